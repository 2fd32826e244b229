//! Queries: SQL in, a plan that every hospital can make again, and the answer out of the decrypted sums.
//!
//! text -> [`parse`] -> [`ast::Query`] -> [`plan`](mod@plan) against the [`catalogue`] -> slots (computed by the
//! hospitals' local step, summed under encryption) -> [`finish`](mod@finish) -> [`answer::Answer`].

pub mod answer;
pub mod ast;
pub mod catalogue;
pub mod plan;
