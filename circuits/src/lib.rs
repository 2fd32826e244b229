//! Zero-knowledge statements of Ward.
//!
//! A [`Statement`] is a relation between what everybody sees and what only the prover knows, written twice:
//! as ordinary code and as constraints ([`ConstrainedStatement`]). A proof of it is Groth16 over BLS12-381
//! ([`groth16`]). That a statement holds for a public input is said by the token [`Verified`], which only a
//! verifying function makes.
//!
//! - [`field`], [`poseidon`], [`merkle`], [`schnorr`], [`pedersen`]: the arithmetic and the primitives, as ordinary code.
//! - [`r1cs`], [`gadgets`]: constraints, and the primitives as constraints.
//! - [`groth16`]: keys, proofs, prover, verifier.
//! - [`eligibility`]: a patient meets the criteria of a study; [`consent`]: a consent is in force; [`aggregate`]: a
//!   contribution is that of the rows. [`catalog`] names them.
//! - [`criteria`]: the language in which a study writes its criteria, and the schema of what a credential asserts.
//!
//! Nothing here spawns, sleeps, reads a clock, a file or an environment variable.
#![deny(unsafe_code)]

pub mod aggregate;
pub mod catalog;
pub mod ceremony;
pub mod consent;
pub mod criteria;
pub mod eligibility;
mod error;
pub mod field;
pub mod gadgets;
pub mod groth16;
pub mod merkle;
pub mod pedersen;
pub mod poseidon;
pub mod r1cs;
pub mod schnorr;
pub mod statement;
#[cfg(test)]
mod testing;

pub use error::DecodeError;
pub use field::Element;
pub use statement::{ConstrainedStatement, Statement, Verified, constraints, verify_opened};
