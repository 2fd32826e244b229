//! Proofs: Groth16 over BLS12-381.
//!
//! Source: Groth, "On the Size of Pairing-Based Non-interactive Arguments", EUROCRYPT 2016 (eprint 2016/260),
//! section 3.2, with the reduction of constraints to a quadratic arithmetic program of section 2.3; batch
//! verification by random linear combination, Bellare, Garay, Rabin, EUROCRYPT 1998 (the small exponents test).
//!
//! The prover keeps a key's matrices and computes only values for a proof; sums over points are `blst`'s, on points
//! that lie in the key's file as `blst` has them in memory. The verifier takes bytes and leaves nothing open: the
//! key's id, the number of inputs, each input below the modulus and equal to what the statement's public side says,
//! each point of the proof on its curve, in its subgroup and not at infinity.
//!
//! # Security
//! Knowledge-sound for who did not know the setup's randomness ([`setup`] tells whoever runs it). A proof can be
//! re-randomised by anybody into another proof of the same public inputs ([`Proof::rerandomized`]): what was proved
//! is named by its public inputs, never by the proof's bytes. Proving takes variable time.

#[expect(
    unsafe_code,
    reason = "the one place that calls blst's C functions and reads its points out of a file"
)]
mod curve;
pub mod eip2537;
mod key;
mod parts;
mod proof;
mod prove;
mod proving_key;
pub mod setup;
mod sum;
mod verify;

pub use key::{KeyId, VERIFYING_KEY_INPUTS_MAX, VerifyingKey};
pub use parts::KeyParts;
pub use proof::{PROOF_BYTES, Proof};
pub use prove::ProveError;
pub use proving_key::{FileHash, KeyError, ProvingKey};
pub use verify::{Presented, VerifyError};

#[cfg(test)]
mod tests;
