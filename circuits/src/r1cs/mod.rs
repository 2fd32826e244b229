//! Constraints of rank one: how a statement is written for a proof system.
//!
//! A [`Builder`] is told the relation once. Asked for a shape it records the [`Matrices`], which depend on the
//! statement alone and belong to a key; asked for an assignment it only computes values, which is all that a proof
//! needs. Values are always there, so the same code serves both; the matrices of any two witnesses are equal, and
//! a test of each statement says so.
//!
//! Why not the constraint system of arkworks: it keeps every linear combination that a gadget passes through, in a
//! map, for every proof. Here a combination is a short vector that lives as long as the number that it describes,
//! and in a proof not even that.

mod builder;
mod matrices;
mod num;

pub use builder::{Builder, Part};
pub use matrices::{Matrices, SparseMatrix};
pub use num::{Bit, Num};
