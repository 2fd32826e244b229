//! Shuffle: rows in a random order that no node knows.
//!
//! - Parties: three. Inputs: shared rows. Outputs: fresh shares of the rows, permuted.
//! - Three passes. In the pass of `(P_i, P_{i+1})` these two, who hold all components between them, apply a permutation that
//!   they have in common, and reshare: `y_i` is common to `P_i` and `P_{i+2}`, `y_{i+2}` to `P_{i+1}` and `P_{i+2}`, and
//!   `y_{i+1}`, the rest, is put together from a message of `P_i`; in the last pass, from a message each way. (In the passes
//!   before, `P_i` needs no copy of it: it has no part in the next.) Each node misses one of the three permutations.
//! - Adversary: one node. Semi-honest: as it stands. Malicious: a message that deviates, or another permutation at one of the
//!   two, adds an error that the node knows to rows; so every row carries a tag, the inner product of its words and a
//!   shared key over GF(2^64), which is shuffled along. Then the key is opened, and a random combination of what the tags
//!   are off by, which must be zero. Tags come from products that are not verified: an error in them is an error of a tag.
//!   An error passes with probability at most 2^-63 (once for the key, once for the combination).
//! - Rounds: 3; malicious 7. Bytes: 16 a word from `P_0`, 8 from the others; malicious, also 24 a row from `P_0`, 16 from
//!   the others, and less than 300.
//! - Source: passes, Laur, Willemson, Zhang, ISC 2011, and Araki et al., CCS 2021, section 4.1; tags and check, Asharov, Hamada,
//!   Ikarashi, Kikuchi, Nof, Pinkas, Takahashi, Tomida, CCS 2022, section 4.2. Deviation: they multiply the combination by the
//!   key, which stays shared; here each shuffle has a key of its own, so that it can be opened once the rows are fixed.

use rand_core::{Rng, SeedableRng};
use ward_math::gf64;

use super::super::error::{MpcError, Result};
use super::super::exchange::Route;
use super::super::group::Xor;
use super::super::prss::PairStream;
use super::super::role::{Peer, Role};
use super::super::rows::Rows;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::RingShares;
use super::open::open_words;
use super::random;
use super::reshare::{Terms, reshare};

/// Shuffles rows.
///
/// # Errors
/// When there are 2^32 rows or more; when the check of a malicious session fails; when the channel fails.
pub fn shuffle<S: Security>(session: &mut Session<'_, S>, rows: &Rows) -> Result<Rows> {
    if u32::try_from(rows.len).is_err() {
        return Err(MpcError::Parameter { what: "rows", found: rows.len as u64, expected: "less than 2^32" });
    }
    if !S::IS_MALICIOUS {
        return passes(session, rows.clone());
    }
    let key = random::ring(&mut session.narrow("key"), rows.stride)?;
    let tagged = tag(&mut session.narrow("tag"), rows, &key)?;
    let mut shuffled = passes(session, tagged)?;
    check(&mut session.narrow("check"), &shuffled, &key)?;
    shuffled.stride -= 1;
    let words = shuffled.stride * shuffled.len;
    shuffled.own.truncate(words);
    shuffled.next.truncate(words);
    Ok(shuffled)
}

fn passes<S: Security>(session: &mut Session<'_, S>, mut rows: Rows) -> Result<Rows> {
    for first in Role::ALL {
        rows = pass(&mut session.narrow_at("pass", first.index()), first, rows)?;
    }
    Ok(rows)
}

/// The pass of `first` and the node after it.
fn pass<S: Security>(session: &mut Session<'_, S>, first: Role, rows: Rows) -> Result<Rows> {
    let role = session.role();
    let words = rows.own.len();
    let shared = |own, next| Rows { stride: rows.stride, len: rows.len, own, next };
    if role == first.prev() {
        // y_{i+2} and y_i are known already.
        let own = session.common(Peer::Prev)?.words(words);
        let next = session.common(Peer::Next)?.words(words);
        session.exchange(Route { to: None, from: None }, &[], &mut [])?;
        return Ok(shared(own, next));
    }
    // P_i holds x_i ^ x_{i+1}, P_{i+1} holds x_{i+2}.
    let (partner, third) = if role == first { (Peer::Next, Peer::Prev) } else { (Peer::Prev, Peer::Next) };
    let is_last = first == Role::P2;
    let order = permutation(session.common(partner)?, rows.len);
    let fresh = session.common(third)?.words(words);
    let mut message = Vec::with_capacity(words);
    for (column, fresh) in fresh.chunks(rows.len.max(1)).enumerate() {
        let at = column * rows.len;
        let (own, next) = (&rows.own[at..at + rows.len], &rows.next[at..at + rows.len]);
        if role == first {
            let moved = order.iter().map(|k| own[*k as usize] ^ next[*k as usize]);
            message.extend(moved.zip(fresh).map(|(word, mask)| word ^ mask));
        } else {
            message.extend(order.iter().zip(fresh).map(|(k, mask)| next[*k as usize] ^ mask));
        }
    }
    // Of the middle component, only P_{i+1} needs a copy for the next pass; after the last, both do.
    let (is_sender, is_receiver) = (role == first || is_last, role != first || is_last);
    let mut middle = vec![0; if is_receiver { words } else { 0 }];
    let route = Route { to: is_sender.then_some(partner), from: is_receiver.then_some(partner) };
    session.exchange(route, &message, &mut middle)?;
    middle.resize(words, 0);
    middle.iter_mut().zip(&message).for_each(|(word, sent)| *word ^= sent);
    Ok(if role == first { shared(fresh, middle) } else { shared(middle, fresh) })
}

/// A uniform permutation (Fisher and Yates; indices below a bound by rejection, Lemire 2019).
fn permutation(mut stream: PairStream, len: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..len as u32).collect();
    for k in (1..len).rev() {
        let bound = k as u64 + 1;
        let least = bound.wrapping_neg() % bound;
        let wide = loop {
            let wide = u128::from(stream.word()) * u128::from(bound);
            if wide as u64 >= least {
                break wide;
            }
        };
        order.swap(k, (wide >> 64) as usize);
    }
    order
}

/// Appends to each row its tag, the sum of `key[c] * word[c]`.
fn tag<S: Security>(session: &mut Session<'_, S>, rows: &Rows, key: &RingShares) -> Result<Rows> {
    // key_i (word_i + word_{i+1}) + key_{i+1} word_i, for each word of the row.
    let weights: Vec<u64> = key.own.iter().chain(&key.next).copied().collect();
    let tags = reshare::<S, Xor>(session, rows.len, Terms::All, |start, block| {
        let at = |column: usize| column * rows.len + start..column * rows.len + start + block.len();
        let both: Vec<Vec<u64>> = (0..rows.stride)
            .map(|column| {
                let (own, next) = (&rows.own[at(column)], &rows.next[at(column)]);
                own.iter().zip(next).map(|(own, next)| own ^ next).collect()
            })
            .collect();
        let own = (0..rows.stride).map(|column| &rows.own[at(column)]);
        let factors: Vec<&[u64]> = both.iter().map(Vec::as_slice).chain(own).collect();
        gf64::combine(block, &weights, &factors);
    })?;
    let mut tagged = rows.clone();
    tagged.stride += 1;
    tagged.own.extend(tags.own);
    tagged.next.extend(tags.next);
    Ok(tagged)
}

fn check<S: Security>(session: &mut Session<'_, S>, rows: &Rows, key: &RingShares) -> Result<()> {
    let key = open_words::<S, Xor>(&mut session.narrow("key"), &key.own, &key.next)?;
    let seed = random::coin(&mut session.narrow("coin"))?;
    let mut stream = chacha20::ChaCha20Rng::from_seed(seed);
    let weights: Vec<u64> = (0..rows.len).map(|_| stream.next_u64()).collect();
    // What each tag is off by, weighed: local, as key and weights are public now.
    let factors: Vec<u64> = key.into_iter().chain([1]).collect();
    let off = |component: &[u64]| {
        let columns: Vec<&[u64]> = component.chunks(rows.len.max(1)).collect();
        let mut sums = vec![0; rows.len];
        gf64::combine(&mut sums, &factors, &columns);
        gf64::scale(&mut sums, &weights);
        sums.iter().fold(0, |sum, word| sum ^ word)
    };
    let (own, next) = ([off(&rows.own)], [off(&rows.next)]);
    let opened = open_words::<S, Xor>(&mut session.narrow("tags"), &own, &next)?;
    if opened != [0] {
        return Err(session.check_failed(None, "the tags of shuffled rows"));
    }
    Ok(())
}
