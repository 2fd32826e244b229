//! What verification costs, from public sizes alone.

use super::bits;
use super::chunk::chunks;
use super::proof::OPENED;
use super::protocol::SEED_WORDS;
use super::ring;
use crate::mpc::counters::Cost;

/// Sizes of what waits to be verified, in the order in which it was multiplied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Words of each record of conjunctions.
    pub bits: Vec<usize>,
    /// Terms of an output, at least 1, and number of outputs, of each record of ring products.
    pub ring: Vec<(usize, usize)>,
}

/// What a node sends and how often it waits to verify this: what [`super::flush`] costs, exactly.
///
/// For each batch of up to 2^20 words and terms: `F` messages of a prover, `2 F + 2` rounds, and 130 bytes, 64 more
/// for each message but the first, and what the messages and the last values take.
#[must_use]
pub fn cost(shape: &Shape) -> Cost {
    let mut total = Cost::default();
    for chunk in chunks(&shape.bits, &shape.ring) {
        let words: usize = chunk.bits.iter().map(|(_, range)| range.len()).sum();
        let terms: usize = chunk.ring.iter().map(|(record, range)| shape.ring[*record].0 * range.len()).sum();
        let bits = (words > 0).then(|| bits::plan(words));
        let ring = (terms > 0).then(|| ring::plan(terms));
        let count = bits.iter().chain(&ring).map(|plan| plan.messages()).max().unwrap_or(0);
        let mut sent = 4 * SEED_WORDS;
        for index in 0..count {
            sent += bits.as_ref().map_or(0, |plan| plan.words(index));
            sent += ring.as_ref().map_or(0, |plan| plan.words(index));
            sent += if index > 0 { 2 * SEED_WORDS } else { 0 };
        }
        sent += 2 * OPENED * (usize::from(bits.is_some()) + usize::from(ring.is_some()));
        total.bytes_sent += 8 * sent as u64 + 2;
        total.messages += (4 + count + 2 * (count - 1) + 4) as u64;
        total.rounds += (2 * count + 2) as u64;
    }
    total
}
