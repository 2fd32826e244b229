//! Sorting and selection by rank.
//!
//! - Parties: three. Inputs: shared keys of a public width, shared columns that go with them. Outputs: fresh shares of both,
//!   in ascending order of the keys, equal keys in their first order; or the rows of some ranks.
//! - Every key gets its row number as lowest bits, so that no two are equal. The rows are shuffled. Comparisons of them are
//!   opened, and all nodes sort by these.
//! - Adversary: one node. Malicious: the shuffle is verified, and the products of each batch of comparisons before it is opened.
//! - Leakage: the opened bits say how the shuffled rows are ordered. As the keys with their numbers are distinct, that order is a
//!   permutation that the shuffle made uniform, whatever the keys: the bits could be drawn without them. Nothing about
//!   keys, ties or rows comes of it but their number.
//! - Rounds: those of the shuffle, and `2 + ceil(log2 w)` for a batch, `w` the bits of a key and of a row number; about 16
//!   batches at 10,000 rows. Malicious: verification on top of each batch.
//! - Bytes at 10,000 rows of 63 bits: 0.33 M for the shuffle and 23 a comparison, about 150,000 of them.
//! - Source: Hamada, Kikuchi, Ikarashi, Chida, Takahashi, ICISC 2012 (shuffle, then open comparisons; distinct keys). Deviation:
//!   which comparisons are made (see [`super::ranking`]) is not quicksort's; their argument covers every comparison sort.

use super::super::error::{MpcError, Result};
use super::super::planes::planes_of;
use super::super::rows::{Field, Rows};
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::BitShares;
use super::compare::bits_less;
use super::open::open_bits;
use super::ranking::Ranking;
use super::shuffle::shuffle;

/// Rows in order.
pub struct Sorted {
    /// The keys, ascending.
    pub keys: BitShares,
    /// The columns that went with them.
    pub columns: Vec<BitShares>,
}

/// Sorts all rows.
///
/// # Errors
/// When the columns have different lengths; when a check fails; when the channel fails.
pub fn sort<S: Security>(
    session: &mut Session<'_, S>,
    keys: &BitShares,
    columns: &[&BitShares],
) -> Result<Sorted> {
    by_rank(session, keys, columns, Ranking::sort(keys.len))
}

/// The rows of these ranks, from 0, in ascending order of rank and each once.
///
/// # Errors
/// When a rank is not below the number of rows; when the columns have different lengths; when a check fails; when the
/// channel fails.
pub fn select_ranks<S: Security>(
    session: &mut Session<'_, S>,
    keys: &BitShares,
    columns: &[&BitShares],
    ranks: &[usize],
) -> Result<Sorted> {
    if let Some(rank) = ranks.iter().find(|rank| **rank >= keys.len) {
        return Err(MpcError::Parameter {
            what: "rank",
            found: *rank as u64,
            expected: "less than the rows",
        });
    }
    by_rank(session, keys, columns, Ranking::select(keys.len, ranks))
}

fn by_rank<S: Security>(
    session: &mut Session<'_, S>,
    keys: &BitShares,
    columns: &[&BitShares],
    mut ranking: Ranking,
) -> Result<Sorted> {
    // Step 1. Row numbers below the keys.
    let role = session.role();
    let number_width = (usize::BITS - keys.len.saturating_sub(1).leading_zeros()) as usize;
    let numbers: Vec<u64> = (0..keys.len as u64).collect();
    let numbers = BitShares::public(role, number_width, keys.len, &planes_of(&numbers, number_width))?;
    let distinct = BitShares::concat(&[&numbers, keys])?;
    // Step 2. A random order.
    let all: Vec<&BitShares> = std::iter::once(&distinct).chain(columns.iter().copied()).collect();
    let (rows, fields) = Rows::of(&all)?;
    let rows = shuffle(&mut session.narrow("shuffle"), &rows)?;
    // Step 3. Comparisons, batch by batch.
    let key = Field { word: 0, width: distinct.width };
    for level in 0.. {
        let batch = ranking.batch();
        if batch.is_empty() {
            break;
        }
        let results = compare(&mut session.narrow_at("batch", level), &rows, key, &batch)?;
        ranking.learn((0..batch.len()).map(|k| (results[k / 64] >> (k % 64)) & 1 == 1));
    }
    // Step 4. The rows by rank.
    let order = ranking.items();
    let mut taken = fields.into_iter().map(|field| rows.gather(field, &order));
    let keys = taken.next().map_or_else(BitShares::default, |key| key.planes(number_width..key.width));
    Ok(Sorted { keys, columns: taken.collect() })
}

fn compare<S: Security>(
    session: &mut Session<'_, S>,
    rows: &Rows,
    key: Field,
    batch: &[(u32, u32)],
) -> Result<Vec<u64>> {
    let (left, right): (Vec<u32>, Vec<u32>) = batch.iter().copied().unzip();
    let (left, right) = (rows.gather(key, &left), rows.gather(key, &right));
    let is_less = bits_less(&mut session.narrow("less"), &left, &right)?;
    open_bits(&mut session.narrow("open"), &is_less)
}
