//! Small cells: which cells of a table may be released, where no node knows a count.
//!
//! - Parties: three nodes. Inputs: shared counts of a table's cells, row by row; a public floor `k`. Output: for each cell, to all,
//!   whether it is released.
//! - A cell is suppressed where its count is below `k`: 0 and 1 to `k - 1` look alike. With margins, a line (row or column)
//!   with one suppressed cell gets a second, so that subtracting from the margin does not give the first back.
//! - Complement, rows first: a row with exactly one suppressed cell loses the first cell that is left, if possible in a column that
//!   has a suppressed one. Then columns alike, if possible in a row that has a suppressed cell. After these two passes
//!   no line has exactly one: a row that had any has two, and gains only; a row that had none gains only where no other
//!   row had any, and then one cell for every suppressed cell of that row, of which there are two or more.
//! - Adversary: as the session; malicious with abort in a malicious one.
//! - Leakage: the final pattern. Not which of the suppressed cells were small and which are complements, nor any count.
//! - What a reader of released cells and margins can still do: bound a suppressed cell by the sum of the suppressed cells of its
//!   line. Two are what is promised, not a width of those bounds.
//! - Rounds: 1 + `is_negative`'s; with margins 2 passes of `8 + log2` of a line's cells or so. Bytes: about 20 a cell, with
//!   margins 45.
//! - Source: thresholds and complementary suppression, Hundepool et al., Statistical Disclosure Control (2012), section 4.4; computed on
//!   shares by the gates named, without a paper's protocol behind it.

use super::super::error::{MpcError, Result};
use super::super::gates::boolean::{and, prefix_or};
use super::super::gates::compare::{is_less, is_zero};
use super::super::gates::convert::inject;
use super::super::gates::open::open_bits;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};

/// A table of counts and the rule for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Rows of the table.
    pub rows: usize,
    /// Columns of the table; 1 for a list of groups, which has one margin, its total.
    pub columns: usize,
    /// The least count that is released.
    pub floor: u64,
    /// Counts, and the floor, are below `2^width`, `width <= 63`.
    pub width: usize,
    /// Whether margins are known or released, so that single cells need complements.
    pub has_margins: bool,
}

/// Decides which cells are released: row by row, true where released.
///
/// # Errors
/// When the table is not of its shape; when the floor or the width is out of range; when a check fails; when the channel fails.
pub fn released<S: Security>(
    session: &mut Session<'_, S>,
    counts: &RingShares,
    rule: &Rule,
) -> Result<Vec<bool>> {
    let (rows, columns) = (rule.rows, rule.columns);
    if counts.len() != rows * columns {
        return Err(MpcError::Lengths {
            what: "a table and its shape",
            left: counts.len(),
            right: rows * columns,
        });
    }
    if !(1..=63).contains(&rule.width) || rule.floor >> rule.width != 0 {
        return Err(MpcError::Parameter {
            what: "floor",
            found: rule.floor,
            expected: "less than 2^width, width 1 to 63",
        });
    }
    // Step 1. Counts below the floor.
    let floor = RingShares::public(session.role(), &vec![rule.floor; counts.len()]);
    let small = is_less(&mut session.narrow("small"), counts, &floor, rule.width + 1)?;
    // Step 2. Complements: lines are values, their cells planes.
    let mut table = small.rearranged(columns, rows, |column, row| (0, row * columns + column));
    if rule.has_margins {
        if columns > 1 {
            table = complement(&mut session.narrow("rows"), &table)?;
        }
        if rows > 1 {
            let turned = table.rearranged(rows, columns, |row, column| (column, row));
            let turned = complement(&mut session.narrow("columns"), &turned)?;
            table = turned.rearranged(columns, rows, |column, row| (row, column));
        }
    }
    // Step 3. The pattern.
    let flat = table.rearranged(1, rows * columns, |_, cell| (cell % columns, cell / columns));
    let opened = open_bits(&mut session.narrow("open"), &flat)?;
    Ok((0..counts.len()).map(|cell| (opened[cell / 64] >> (cell % 64)) & 1 == 0).collect())
}

/// Values where released, zero where not: what may be opened.
///
/// # Errors
/// When the lengths differ.
pub fn keep_released(values: &RingShares, released: &[bool]) -> Result<RingShares> {
    let factors: Vec<u64> = released.iter().map(|is_released| u64::from(*is_released)).collect();
    values.scale_each(&factors)
}

/// Suppresses a second cell in lines that have one; planes are the places in a line, values the lines.
fn complement<S: Security>(session: &mut Session<'_, S>, table: &BitShares) -> Result<BitShares> {
    let role = session.role();
    let (places, lines) = (table.width, table.len);
    // Step 1. How many cells of each line, and whether any of each crossing line, are suppressed.
    let ones = inject(&mut session.narrow("count"), table)?;
    let in_line = (0..places).try_fold(RingShares::zeros(lines), |sum, place| {
        sum.add(&ones.range(place * lines..(place + 1) * lines))
    })?;
    let mut in_crossing = RingShares::zeros(0);
    for place in 0..places {
        let sum = ones.range(place * lines..(place + 1) * lines).sum();
        in_crossing = RingShares::concat(&[&in_crossing, &sum]);
    }
    // Step 2. Is it exactly one; is it none.
    let tested = RingShares::concat(&[&in_line.add_public(role, 1u64.wrapping_neg()), &in_crossing]);
    let width = (usize::BITS - places.max(lines).leading_zeros()) as usize + 1;
    let is_zero = is_zero(&mut session.narrow("single"), &tested, width)?;
    let is_single = is_zero.rearranged(1, lines, |_, line| (0, line));
    let is_crossed = is_zero.rearranged(places, lines, |place, _| (0, lines + place)).not(role);
    // Step 3. Of the cells that are left, the first that is crossed by a suppressed one, else the first.
    let left = table.not(role);
    let preferred = and(&mut session.narrow("prefer"), &left, &is_crossed)?;
    let candidates = BitShares::concat(&[&preferred, &left])?;
    let reached = prefix_or(&mut session.narrow("first"), &candidates)?;
    let before = BitShares::concat(&[&BitShares::zeros(1, lines), &reached.planes(0..2 * places - 1)])?;
    let first = reached.xor(&before)?;
    let chosen = first.planes(0..places).xor(&first.planes(places..2 * places))?;
    // Step 4. Where there is exactly one.
    let added = and(&mut session.narrow("add"), &chosen, &is_single.planes_by(0, 0, places))?;
    table.xor(&added)
}
