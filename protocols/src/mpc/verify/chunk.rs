//! Recorded products, checked for their lengths and cut into batches of bounded size.

use core::ops::Range;

use crate::mpc::error::{MpcError, Result};
use crate::mpc::security::{BitProducts, RingProducts, Transcript};

/// Most terms of ring products, and most words of conjunctions, that are verified at once; a single sum may have
/// more.
pub(super) const CHUNK_MAX: usize = 1 << 20;

/// A batch: ranges of records, by index.
#[derive(Default)]
pub(super) struct Chunk {
    /// Ranges of words of conjunctions.
    pub bits: Vec<(usize, Range<usize>)>,
    /// Ranges of outputs of ring products, by arity.
    pub ring: Vec<(usize, Range<usize>)>,
    words: usize,
    terms: usize,
}

/// Cuts records of which these are the numbers of words, and the arities and numbers of outputs.
pub(super) fn chunks(bits: &[usize], ring: &[(usize, usize)]) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut at = 0;
    for (record, len) in bits.iter().enumerate() {
        let mut start = 0;
        while start < *len {
            let chunk = chunk_at(&mut chunks, &mut at, |chunk| chunk.words < CHUNK_MAX);
            let count = (len - start).min(CHUNK_MAX - chunk.words);
            chunk.words += count;
            chunk.bits.push((record, start..start + count));
            start += count;
        }
    }
    let mut order: Vec<usize> = (0..ring.len()).collect();
    order.sort_by_key(|record| ring[*record].0);
    at = 0;
    for record in order {
        let (arity, len) = ring[record];
        let mut start = 0;
        while start < len {
            let fits = |chunk: &Chunk| chunk.terms == 0 || chunk.terms + arity <= CHUNK_MAX;
            let chunk = chunk_at(&mut chunks, &mut at, fits);
            let room = (CHUNK_MAX.saturating_sub(chunk.terms) / arity.max(1)).max(1);
            let count = (len - start).min(room);
            chunk.terms += count * arity;
            chunk.ring.push((record, start..start + count));
            start += count;
        }
    }
    chunks
}

/// The first chunk from `at` on that has room; a new one where there is none.
fn chunk_at<'c>(
    chunks: &'c mut Vec<Chunk>,
    at: &mut usize,
    has_room: impl Fn(&Chunk) -> bool,
) -> &'c mut Chunk {
    while chunks.get(*at).is_some_and(|chunk| !has_room(chunk)) {
        *at += 1;
    }
    if *at == chunks.len() {
        chunks.push(Chunk::default());
    }
    &mut chunks[*at]
}

/// Cuts a transcript.
///
/// # Errors
/// When a record's vectors do not fit together: a fault of the program.
pub(super) fn chunks_of(transcript: &Transcript) -> Result<Vec<Chunk>> {
    transcript.bits.iter().try_for_each(check_bits)?;
    transcript.ring.iter().try_for_each(check_ring)?;
    let bits: Vec<usize> = transcript.bits.iter().map(|record| record.z.own.len()).collect();
    let ring: Vec<_> = transcript.ring.iter().map(|record| (record.arity, record.z.own.len())).collect();
    Ok(chunks(&bits, &ring))
}

fn check_bits(record: &BitProducts) -> Result<()> {
    let BitProducts { x, y, z, mask_prev, mask_next } = record;
    let others =
        [&x.own, &x.next, &y.own, &y.next, &z.next, mask_prev, mask_next].map(|words: &Vec<u64>| words.len());
    same("conjunctions", z.own.len(), &others)
}

fn check_ring(record: &RingProducts) -> Result<()> {
    let RingProducts { x, y, arity, z, mask_prev, mask_next } = record;
    if *arity == 0 {
        return Err(MpcError::Parameter {
            what: "terms of a sum of products",
            found: 0,
            expected: "at least 1",
        });
    }
    same("products", z.own.len(), &[z.next.len(), mask_prev.len(), mask_next.len()])?;
    let terms = z.own.len().saturating_mul(*arity);
    same("terms of products", terms, &[x.own.len(), x.next.len(), y.own.len(), y.next.len()])
}

fn same(what: &'static str, left: usize, others: &[usize]) -> Result<()> {
    match others.iter().find(|right| **right != left) {
        Some(right) => Err(MpcError::Lengths { what, left, right: *right }),
        None => Ok(()),
    }
}
