//! The most frequent codes.
//!
//! - Parties: three nodes. Inputs: shared counts, one for each code of a public list; how many are asked for; a public floor.
//! - Outputs: shares of the codes with the highest counts, and of their counts, in descending order; a code whose count is below the
//!   floor is neither named nor counted. Of equal counts, the code that comes first in the list goes first.
//! - Adversary: as the session; malicious with abort in a malicious one.
//! - Leakage: none; see [`super::super::gates::sort`]. Whoever opens the outputs learns how many of the codes asked for are below the
//!   floor.
//! - Rounds: those of a selection by rank, 26 more. Bytes: about 60 a code for its bits, those of the selection.

use super::super::error::{MpcError, Result};
use super::super::gates::boolean::and;
use super::super::gates::compare::bits_less;
use super::super::gates::convert::{bits_of, ring_of};
use super::super::gates::sort::select_ranks;
use super::super::planes::planes_of;
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

/// The most frequent codes, highest count first.
pub struct Frequent {
    /// Places in the list, counted from 1; 0 where the count is below the floor, which comes last.
    pub codes: RingShares,
    /// Their counts; 0 where below the floor.
    pub counts: RingShares,
}

/// The most frequent codes: as many as are asked for, or as there are.
///
/// # Errors
/// When the floor or the width is out of range; when a check fails; when the channel fails.
pub fn codes<S: Security>(session: &mut Session<'_, S>, counts: &RingShares, top: &Top) -> Result<Frequent> {
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
        return Ok(Frequent { codes: RingShares::zeros(0), counts: RingShares::zeros(0) });
    }
    // Step 1. The highest ranks; the list is turned, so that of equals the first has the highest.
    let turned = counts.gather(&(0..len).rev().collect::<Vec<_>>());
    let keys = bits_of(&mut session.narrow("bits"), &turned, top.width)?;
    let code_width = (usize::BITS - len.leading_zeros()) as usize;
    let places: Vec<u64> = (1..=len as u64).rev().collect();
    let places = BitShares::public(role, code_width, len, &planes_of(&places, code_width))?;
    let ranks: Vec<usize> = (len - taken..len).collect();
    let found = select_ranks(&mut session.narrow("select"), &keys, &[&places], &ranks)?;
    // Step 2. Nothing of codes below the floor.
    let floor = planes_of(&vec![top.floor; taken], top.width);
    let floor = BitShares::public(role, top.width, taken, &floor)?;
    let is_small = bits_less(&mut session.narrow("floor"), &found.keys, &floor)?;
    let rows = BitShares::concat(&[&found.keys, &found.columns[0]])?;
    let kept = and(&mut session.narrow("keep"), &rows, &is_small.not(role).planes_by(0, 0, rows.width))?;
    // Step 3. Integers, highest rank first.
    let counts = ring_of(&mut session.narrow("counts"), &kept.planes(0..top.width))?;
    let codes = ring_of(&mut session.narrow("codes"), &kept.planes(top.width..rows.width))?;
    let descending: Vec<usize> = (0..taken).rev().collect();
    Ok(Frequent { codes: codes.gather(&descending), counts: counts.gather(&descending) })
}
