//! How many different identifiers there are across hospitals.
//!
//! - Parties: three nodes. Inputs: shared 64-bit hashes of identifiers, and for each row a shared bit that says whether it
//!   counts. Output: shares of the number of different hashes among the rows that count.
//! - The rows are sorted by whether they count and by hash; a row is a new one where it counts and differs from the row before.
//! - Adversary: as the session; malicious with abort in a malicious one.
//! - Leakage: the number of rows; see [`super::super::gates::sort`].
//! - Rounds: those of a sort of 65-bit keys, 10 more. Bytes: those of the sort, 16 a row more.
//! - Two identifiers of the same hash count as one: with hashes that are uniform, among `n` with probability `n^2 / 2^65`.
//! - Source: sort and compare neighbours, as in Hamada et al., ICISC 2012, section 5; nothing else is opened.

use super::super::error::Result;
use super::super::gates::boolean::and;
use super::super::gates::compare::bits_equal;
use super::super::gates::convert::inject;
use super::super::gates::sort::sort;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};

/// Counts the different hashes of the rows that count.
///
/// # Errors
/// When the columns have different lengths; when a check fails; when the channel fails.
pub fn count<S: Security>(
    session: &mut Session<'_, S>,
    hashes: &BitShares,
    counts: &BitShares,
) -> Result<RingShares> {
    let role = session.role();
    let (width, len) = (hashes.width, hashes.len);
    // Step 1. Rows that do not count go last.
    let keys = BitShares::concat(&[hashes, &counts.not(role)])?;
    if len == 0 {
        return Ok(RingShares::zeros(1));
    }
    let keys = sort(&mut session.narrow("sort"), &keys, &[])?.keys;
    // Step 2. Rows that equal the one before; the first equals none.
    let (before, after) = (keys.values(0..len - 1), keys.values(1..len));
    let is_repeated =
        bits_equal(&mut session.narrow("equal"), &before.planes(0..width), &after.planes(0..width))?;
    // Step 3. Rows that count, less those of them that repeat.
    let repeats =
        and(&mut session.narrow("repeats"), &is_repeated, &after.planes(width..width + 1).not(role))?;
    let counted = inject(&mut session.narrow("counted"), counts)?.sum();
    counted.sub(&inject(&mut session.narrow("repeated"), &repeats)?.sum())
}
