//! Randomness of the three nodes: shared values that none knows, and coins that all learn.
//!
//! - Parties: three. Outputs: shares of uniform words ([`ring`], [`bits`]): no message. A public seed ([`coin`]): 1 round,
//!   32 bytes, 64 in a malicious session.
//! - Adversary: one node, malicious with abort: each component comes from a seed that two nodes know, so the sum has at
//!   least one that a corrupted node neither knows nor chose.
//! - Source: Cramer, Damgard, Ishai, TCC 2005.

use super::super::error::Result;
use super::super::group::Xor;
use super::super::role::Peer;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};
use super::open::open_words;

/// Shares of uniform ring values.
///
/// # Errors
/// When the step has drawn before.
pub fn ring<S: Security>(session: &mut Session<'_, S>, len: usize) -> Result<RingShares> {
    let own = session.common(Peer::Prev)?.words(len).into();
    let next = session.common(Peer::Next)?.words(len).into();
    Ok(RingShares { own, next })
}

/// Shares of uniform bits.
///
/// # Errors
/// When the step has drawn before.
pub fn bits<S: Security>(session: &mut Session<'_, S>, width: usize, len: usize) -> Result<BitShares> {
    let RingShares { own, next } = ring(session, width * len.div_ceil(64))?;
    Ok(BitShares { width, len, own, next })
}

/// A seed that all learn now, and none could know before.
///
/// # Errors
/// When two copies of a component differ; when the channel fails.
pub fn coin<S: Security>(session: &mut Session<'_, S>) -> Result<[u8; 32]> {
    let shares = ring(session, 4)?;
    let words = open_words::<S, Xor>(session, &shares.own, &shares.next)?;
    let mut seed = [0; 32];
    for (le, word) in seed.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *le = word.to_le_bytes();
    }
    Ok(seed)
}
