//! Verification of multiplications: malicious security with abort, at a vanishing number of bytes a multiplication.
//!
//! Gates record what they multiplied ([`super::security::Transcript`]); [`flush`] proves it, before anything is opened.
//! Each node proves to the two others that the messages it sent in multiplications were right, in a distributed
//! zero-knowledge proof: all that the statement speaks about is shared additively between the two verifiers, which
//! only add up, draw challenges that the prover cannot foresee, and compare one product at the end. The three proofs
//! run side by side, those about words of bits (`bits`) and those about integers (`ring`) in the same rounds.
//!
//! - `columns`, `outputs`, `chunk`: records as vectors; `plan`: how they are folded.
//! - `statement`, `bits`, `ring`, `wide`: what is claimed, and the first message, over base values.
//! - `extension`, `proof`: folding inner products over GF(2^64) and modulo a random prime.
//! - `protocol`: the messages.
//! - `agree`: whether all have the same bytes.

pub mod agree;
mod bits;
mod chunk;
mod columns;
mod cost;
mod extension;
mod outputs;
mod plan;
mod proof;
mod protocol;
mod ring;
mod statement;
mod wide;

pub use cost::{Shape, cost};

use super::error::Result;
use super::security::{Records, Security};
use super::session::Session;

/// Words that may wait to be verified, operands counted once: [`flush_if_full`] flushes beyond.
pub const PENDING_WORDS_MAX: usize = 1 << 20;

/// Verifies all that was multiplied and not yet verified; nothing at a semi-honest node. To be called before anything
/// is opened, under a step of its own.
///
/// Rounds and bytes: [`cost`]; none when nothing waits.
///
/// # Errors
/// When the channel fails; when a check fails: then somebody deviated, and nothing may be opened.
///
/// # Security
/// Malicious, one corrupted node, abort. A wrong product passes with probability at most 2^-45.
pub fn flush<S: Security>(session: &mut Session<'_, S>) -> Result<()> {
    let transcript = session.records().take();
    for (index, chunk) in chunk::chunks_of(&transcript)?.iter().enumerate() {
        protocol::verify(&mut session.narrow_at("batch", index), &transcript, chunk)?;
    }
    Ok(())
}

/// As [`flush`], when much waits.
///
/// # Errors
/// As [`flush`].
pub fn flush_if_full<S: Security>(session: &mut Session<'_, S>) -> Result<()> {
    if session.records().pending_words() > PENDING_WORDS_MAX { flush(session) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
