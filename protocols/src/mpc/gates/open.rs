//! Opening: all nodes, or one, learn values.
//!
//! - Parties: three. Inputs: shares. Outputs: the values.
//! - `P_i` misses component `i - 1`, which both peers hold: `P_{i-1}` sends it, and in a malicious session `P_{i+1}` sends
//!   a SHA3-256 hash of it. Two copies that differ end the session.
//! - Adversary: one node, malicious with abort, given that the shares are right: products of the session are verified
//!   before ([`open`], [`open_bits`], [`open_to`]), or no error in them could make the opened values depend on a secret
//!   ([`open_masked`]).
//! - Rounds: 1, after verification. Bytes: 8 a word, and 32 in a malicious session.
//! - Source: Furukawa, Lindell, Nof, Weinstein, Eurocrypt 2017, section 2.3 (compare-view), with the hash sent at once.

use sha3::{Digest, Sha3_256};

use super::super::error::Result;
use super::super::exchange::Route;
use super::super::group::{Group, Sum, Xor};
use super::super::role::{Peer, Role};
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};
use super::super::verify;

/// Opens values to all, once every product of the session so far is verified.
///
/// # Errors
/// When a check fails; when the channel fails.
pub fn open<S: Security>(session: &mut Session<'_, S>, x: &RingShares) -> Result<Vec<u64>> {
    settle(session)?;
    open_words::<S, Sum>(session, &x.own, &x.next)
}

/// Opens bits to all, once every product of the session so far is verified: planes, as in a component of [`BitShares`],
/// bits beyond `len` zero.
///
/// # Errors
/// When a check fails; when the channel fails.
pub fn open_bits<S: Security>(session: &mut Session<'_, S>, x: &BitShares) -> Result<Vec<u64>> {
    settle(session)?;
    let x = x.trimmed();
    open_words::<S, Xor>(session, &x.own, &x.next)
}

/// Opens values that a uniform mask hides, without verifying what was computed before.
///
/// # Security
/// For values `x + r` (or `x ^ r`) where `r` is uniform, in no other opened value, and added last, to whatever the products
/// gave: an error that a corrupted node put into a product shifts `x`, not the distribution of `x + r`, so the opened
/// words say nothing about `x`, right or wrong. Whatever is computed from them is verified before it is opened.
///
/// # Errors
/// When two copies of a component differ; when the channel fails.
pub fn open_masked<S: Security>(session: &mut Session<'_, S>, x: &RingShares) -> Result<Vec<u64>> {
    open_words::<S, Sum>(session, &x.own, &x.next)
}

/// Opens values to one node, once every product of the session so far is verified. The others get nothing.
///
/// # Errors
/// When a check fails; when the channel fails.
pub fn open_to<S: Security>(
    session: &mut Session<'_, S>,
    receiver: Role,
    x: &RingShares,
) -> Result<Option<Vec<u64>>> {
    settle(session)?;
    open_words_to::<S, Sum>(session, Role::ALL.map(|role| role == receiver), &x.own, &x.next)
}

/// Verifies the products of the session so far.
pub(crate) fn settle<S: Security>(session: &mut Session<'_, S>) -> Result<()> {
    verify::flush(&mut session.narrow("verify"))
}

pub(crate) fn open_words<S: Security, G: Group>(
    session: &mut Session<'_, S>,
    own: &[u64],
    next: &[u64],
) -> Result<Vec<u64>> {
    let opened = open_words_to::<S, G>(session, [true; 3], own, next)?;
    Ok(opened.unwrap_or_default())
}

/// Opens to the nodes for which `receivers` is true.
pub(crate) fn open_words_to<S: Security, G: Group>(
    session: &mut Session<'_, S>,
    receivers: [bool; 3],
    own: &[u64],
    next: &[u64],
) -> Result<Option<Vec<u64>>> {
    let role = session.role();
    let learns = |role: Role| receivers[role.index()];
    let route =
        Route { to: learns(role.next()).then_some(Peer::Next), from: learns(role).then_some(Peer::Prev) };
    let mut missing = vec![0; if learns(role) { own.len() } else { 0 }];
    if S::IS_MALICIOUS && learns(role.prev()) {
        let hash = hash_words(session, next);
        session.send(Peer::Prev, &hash)?;
    }
    session.exchange(route, own, &mut missing)?;
    if !learns(role) {
        return Ok(None);
    }
    if S::IS_MALICIOUS {
        check_copy(session, &missing)?;
    }
    Ok(Some(own.iter().zip(next).zip(&missing).map(|((a, b), c)| G::add(G::add(*a, *b), *c)).collect()))
}

fn check_copy<S: Security>(session: &mut Session<'_, S>, missing: &[u64]) -> Result<()> {
    let claimed: Vec<u8> = session.receive(Peer::Next, 32)?;
    if claimed != hash_words(session, missing) {
        return Err(session.check_failed(None, "two copies of an opened component"));
    }
    Ok(())
}

/// A hash of words under the step at work.
pub(crate) fn hash_words<S: Security>(session: &Session<'_, S>, words: &[u64]) -> [u8; 32] {
    let mut digest = Sha3_256::new()
        .chain_update(b"ward/mpc/v1/words")
        .chain_update(session.step().id().0)
        .chain_update((words.len() as u64).to_le_bytes());
    let mut bytes = [0; 4096];
    for chunk in words.chunks(512) {
        for (le, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(chunk) {
            *le = word.to_le_bytes();
        }
        digest.update(&bytes[..8 * chunk.len()]);
    }
    digest.finalize().into()
}
