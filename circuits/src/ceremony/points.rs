//! Vectors of points: their bytes, and the checks that every received point goes through.

use rand_core::Rng;
use rayon::prelude::*;
use ward_math::codec::Reader;

use super::coins::Coins;
use super::curve::Curve;
use super::error::{Error, PointFault, Result};
use super::progress::Progress;

/// Points that one task handles.
pub(crate) const CHUNK: usize = 512;

/// Vectors shorter than this are checked point by point.
const BUCKET_TEST_MIN: usize = 8192;

/// Buckets of the subgroup test, and its rounds: an error of `256^-16 = 2^-128`.
const BUCKETS: usize = 256;
const ROUNDS: u64 = 16;

/// Whether the point at infinity may stand in a vector.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Infinity {
    Refused,
    Allowed,
}

/// Appends the uncompressed points.
pub(crate) fn encode<C: Curve>(points: &[C], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + points.len() * C::BYTES, 0);
    out[start..]
        .par_chunks_exact_mut(C::BYTES)
        .zip(points)
        .with_min_len(CHUNK)
        .for_each(|(bytes, point)| point.write(bytes));
}

/// Reads `count` uncompressed points: canonical and on the curve. [`check_subgroup`] is still to come.
///
/// # Errors
/// [`Error::Codec`] when bytes are missing, [`Error::Point`] with the first bad point of a chunk.
pub(crate) fn decode<C: Curve>(
    reader: &mut Reader<'_>,
    count: usize,
    vector: &'static str,
    infinity: Infinity,
) -> Result<Vec<C>> {
    let bytes = reader.bytes(count.saturating_mul(C::BYTES))?;
    bytes
        .par_chunks_exact(C::BYTES)
        .with_min_len(CHUNK)
        .enumerate()
        .map(|(index, bytes)| {
            let point = C::read(bytes).map_err(|fault| Error::Point { vector, index, fault })?;
            if infinity == Infinity::Refused && point.is_infinity() {
                return Err(Error::Point { vector, index, fault: PointFault::Infinity });
            }
            Ok(point)
        })
        .collect()
}

/// Checks that all points are in the subgroup of prime order, with an error of `2^-128`.
///
/// Long vectors go through the bucket test of Bellare, Garay and Rabin, "Fast Batch Verification for Modular
/// Exponentiation and Digital Signatures" (EUROCRYPT 1998), here for membership: every round throws each point
/// into one of 256 buckets at random and checks each bucket's sum for membership. Let `P` be a point outside
/// and fix where all other points fall. A round passes only if every bucket's sum without `P` is inside, apart
/// from one, whose sum is `-P` modulo the subgroup: at most one of the 256 choices for `P`. So a round errs with
/// at most `1/256` and 16 rounds with `2^-128`, whatever the small factors of the cofactor, which would spoil a
/// single random combination (Boyd, Pavlovski, ASIACRYPT 2000).
///
/// # Errors
/// [`Error::Point`] with the index of a point outside.
pub(crate) fn check_subgroup<C: Curve>(
    points: &[C],
    vector: &'static str,
    coins: &Coins,
    progress: &Progress<'_>,
) -> Result<()> {
    let passed = points.len() >= BUCKET_TEST_MIN && {
        let passed = (0..ROUNDS).into_par_iter().all(|round| {
            let passed = bucket_round(points, coins, vector, round);
            progress.add(points.len() / ROUNDS as usize);
            passed
        });
        progress.add(points.len() % ROUNDS as usize);
        passed
    };
    if passed {
        return Ok(());
    }
    // Short, or something is wrong: say which.
    let outside = points.par_iter().with_min_len(64).position_first(|point| !point.in_subgroup());
    if points.len() < BUCKET_TEST_MIN {
        progress.add(points.len());
    }
    match outside {
        None => Ok(()),
        Some(index) => Err(Error::Point { vector, index, fault: PointFault::Subgroup }),
    }
}

/// One round: all buckets are in the subgroup.
fn bucket_round<C: Curve>(points: &[C], coins: &Coins, vector: &'static str, round: u64) -> bool {
    let mut choices = vec![0u8; points.len()];
    coins.stream(vector, round).fill_bytes(&mut choices);
    let mut buckets: Vec<Vec<&C>> = vec![Vec::new(); BUCKETS];
    for (point, &choice) in points.iter().zip(&choices) {
        buckets[usize::from(choice)].push(point);
    }
    let sums: Vec<C::Sum> = buckets.iter().map(|bucket| C::add_all(bucket)).collect();
    C::normalise(&sums).iter().all(Curve::in_subgroup)
}
