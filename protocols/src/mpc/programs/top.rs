//! The most frequent codes.
//!
//! - Parties: three nodes. Inputs: shared counts, one for each code of a public list; how many are asked for; a public floor.
//! - Outputs, to all: the codes with the highest counts, and their counts, in descending order; a code whose count is below the floor is
//!   neither named nor counted. Of equal counts, the code that comes first in the list goes first.
//! - Adversary: as the session; malicious with abort in a malicious one.
//! - Leakage: the outputs, and how many of the codes asked for are below the floor. See [`super::super::gates::sort`].
//! - Rounds: those of a selection by rank, 20 more. Bytes: about 60 a code for its bits, those of the selection.

use super::super::error::{MpcError, Result};
use super::super::gates::boolean::and;
use super::super::gates::compare::bits_less;
use super::super::gates::convert::bits_of;
use super::super::gates::open::open_bits;
use super::super::gates::sort::select_ranks;
use super::super::planes::{planes_of, values_of};
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// How many codes.
    pub codes: usize,
    /// The least count that is released, from 1.
    pub floor: u64,
    /// Counts, and the floor, are below `2^width`, `width <= 63`.
    pub width: usize,
}

/// A code by its place in the list, and how often it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequent {
    /// Place in the list, from 0.
    pub code: usize,
    /// Its count.
    pub count: u64,
}

/// The most frequent codes; `None` for each below the floor, which come last.
///
/// # Errors
/// When the floor or the width is out of range; when a check fails; when the channel fails.
pub fn codes<S: Security>(
    session: &mut Session<'_, S>,
    counts: &RingShares,
    top: &Top,
) -> Result<Vec<Option<Frequent>>> {
    if !(1..=63).contains(&top.width) || top.floor == 0 || top.floor >> top.width != 0 {
        return Err(MpcError::Parameter {
            what: "floor",
            found: top.floor,
            expected: "1 to 2^width, width 1 to 63",
        });
    }
    let (role, len) = (session.role(), counts.len());
    let taken = top.codes.min(len);
    if taken == 0 {
        return Ok(Vec::new());
    }
    // Step 1. The highest ranks; the list is turned, so that of equals the first has the highest.
    let turned = counts.gather(&(0..len).rev().collect::<Vec<_>>());
    let keys = bits_of(&mut session.narrow("bits"), &turned, top.width)?;
    let code_width = (usize::BITS - (len - 1).leading_zeros()).max(1) as usize;
    let places: Vec<u64> = (0..len as u64).rev().collect();
    let places = BitShares::public(role, code_width, len, &planes_of(&places, code_width))?;
    let ranks: Vec<usize> = (len - taken..len).collect();
    let found = select_ranks(&mut session.narrow("select"), &keys, &[&places], &ranks)?;
    // Step 2. Nothing of codes below the floor.
    let floor = planes_of(&vec![top.floor; taken], top.width);
    let floor = BitShares::public(role, top.width, taken, &floor)?;
    let is_small = bits_less(&mut session.narrow("floor"), &found.keys, &floor)?;
    let rows = BitShares::concat(&[&BitShares::zeros(1, taken).not(role), &found.keys, &found.columns[0]])?;
    let kept = and(&mut session.narrow("keep"), &rows, &is_small.not(role).planes_by(0, 0, rows.width))?;
    // Step 3. Opening, highest rank first.
    let opened = open_bits(&mut session.narrow("open"), &kept)?;
    let words = taken.div_ceil(64);
    let part = |bits: std::ops::Range<usize>| {
        values_of(&opened[bits.start * words..bits.end * words], bits.end - bits.start, taken)
    };
    let (is_kept, values) = (part(0..1), part(1..1 + top.width));
    let codes = part(1 + top.width..1 + top.width + code_width);
    let row = |k: usize| (is_kept[k] == 1).then(|| Frequent { code: codes[k] as usize, count: values[k] });
    Ok((0..taken).rev().map(row).collect())
}
