//! The setup of Groth16 over BLS12-381 as a ceremony.
//!
//! Whoever knows the secrets behind a proving key forges proofs. Here nobody does, as long as one contributor
//! was honest: each multiplies every secret by a factor of its own and forgets it.
//!
//! - [`Phase1`]: powers of tau, for every circuit up to a size.
//! - [`Phase2`]: delta, for one [`Relation`]; ends in the [`KeyParts`](crate::groth16::KeyParts).
//! - [`Transcript`]: who contributed, in a chain of hashes that each contributor signs outside this module.
//! - [`Beacon`]: the closing contribution of a phase, from a public value.
//!
//! Everything is a function of bytes, randomness and a [`Report`] of progress. A value of [`Phase1`] or
//! [`Phase2`] was verified: contributing without verifying first is not possible.
//!
//! # Security
//! Malicious contributors and coordinators, all contributors but one (eprint 2021/219). The factors live in
//! memory that is wiped; the multiplications take the same steps whatever the factor. What this cannot see: a
//! machine that was observed while it contributed, and one person behind several names.
#![deny(unsafe_code)]

mod beacon;
mod chain;
mod coins;
#[expect(unsafe_code, reason = "the one file that calls blst")]
mod curve;
mod error;
mod knowledge;
mod lagrange;
mod phase1;
mod phase2;
mod points;
mod prepared;
mod progress;
mod queries;
mod relation;
mod scale;
mod transcript;

pub use beacon::Beacon;
pub use error::{Error, PointFault, Result};
pub use phase1::{Phase1, SIZE_LOG2_MAX};
pub use phase2::{Phase2, Phase2Files};
pub use progress::{Report, SILENT};
pub use relation::Relation;
pub use transcript::{CONTRIBUTIONS_MAX, Contribution, Contributor, Phase, Source, Transcript};

#[cfg(test)]
mod tests;
