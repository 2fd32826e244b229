//! Small cells: which cells of a table may be released, where no node knows a count, nor which cells they are.
//!
//! - Parties: three nodes. Inputs: shared counts of a table's cells, row by row; a public floor `k`. Output: for each cell a shared
//!   bit, 1 where it is released. [`keep`] makes zeros of the values of the others. Nothing is opened: the pattern is for whoever may
//!   have the values.
//! - A cell is suppressed where its count is below `k`: 0 and 1 to `k - 1` look alike. With margins, a line (row or column)
//!   with one suppressed cell gets a second, so that subtracting from the margin does not give the first back.
//! - Complement, rows first: a row with exactly one suppressed cell loses another, of those that are left the smallest in a column that
//!   has a suppressed cell; where no column has one, the one whose column has the smallest total. Then columns alike, by rows. Of equals,
//!   the first. After these two passes no line has exactly one: a row that had any has two, and gains only; a row that had none gains
//!   only where no other row had any, and then, being for all columns the one with the smallest total, one cell for every suppressed
//!   cell of that other row, of which there are two or more. (A list has one line: its smallest cell that is left.)
//! - Adversary: as the session; malicious with abort in a malicious one.
//! - Leakage: none; the output is shares. Whoever opens it learns the pattern: not which of the suppressed cells were small and which are
//!   complements, nor any count.
//! - What a reader of released cells and margins can still do: bound a suppressed cell by the sum of the suppressed cells of its
//!   line. Two are what is promised, not a width of those bounds.
//! - Rounds: `is_negative`'s; with margins those of `bits_of` and of the carry of a count, and 2 passes of 20 or so, 14 more for each
//!   factor of 8 by which a line is longer than 8. Bytes: about 20 a cell, with margins 200.
//! - Source: thresholds and complementary suppression, Hundepool et al., Statistical Disclosure Control (2012), section 4.4; computed on
//!   shares by the gates named, without a paper's protocol behind it.

use super::super::error::{MpcError, Result};
use super::super::gates::boolean::and;
use super::super::gates::compare::{bits_less, is_less, is_zero};
use super::super::gates::convert::{bits_of, inject};
use super::super::gates::least::least;
use super::super::gates::multiply::multiply;
use super::super::gates::select::select_bits;
use super::super::planes::planes_of;
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
    /// Counts, sums of them over a line, and the floor, are below `2^width`, `width <= 63`.
    pub width: usize,
    /// Whether margins are known or released, so that single cells need complements.
    pub has_margins: bool,
}

/// Decides which cells are released: one bit for each cell, row by row, 1 where released.
///
/// # Errors
/// When the table is not of its shape; when the floor or the width is out of range; when the channel fails.
pub fn released<S: Security>(
    session: &mut Session<'_, S>,
    counts: &RingShares,
    rule: &Rule,
) -> Result<BitShares> {
    let (rows, columns, cells) = (rule.rows, rule.columns, counts.len());
    if cells != rows * columns {
        return Err(MpcError::Lengths { what: "a table and its shape", left: cells, right: rows * columns });
    }
    if !(1..=63).contains(&rule.width) || rule.floor >> rule.width != 0 {
        return Err(MpcError::Parameter {
            what: "floor",
            found: rule.floor,
            expected: "less than 2^width, width 1 to 63",
        });
    }
    let role = session.role();
    if !rule.has_margins || cells <= 1 {
        let floor = RingShares::public(role, &vec![rule.floor; cells]);
        let small = is_less(&mut session.narrow("small"), counts, &floor, rule.width + 1)?;
        return Ok(small.not(role));
    }
    // Step 1. The bits of cells and of totals; cells below the floor.
    let line = |of: &dyn Fn(usize) -> Vec<usize>, lines: usize| {
        let sums: Vec<RingShares> = (0..lines).map(|l| counts.gather(&of(l)).sum()).collect();
        RingShares::concat(&sums.iter().collect::<Vec<_>>())
    };
    let in_rows = line(&|row| (row * columns..(row + 1) * columns).collect(), rows);
    let in_columns = line(&|column| (column..cells).step_by(columns).collect(), columns);
    let all = RingShares::concat(&[counts, &in_rows, &in_columns]);
    let bits = bits_of(&mut session.narrow("bits"), &all, rule.width)?;
    let own = bits.values(0..cells);
    let floor = planes_of(&vec![rule.floor; cells], rule.width);
    let floor = BitShares::public(role, rule.width, cells, &floor)?;
    let small = bits_less(&mut session.narrow("small"), &own, &floor)?;
    // Step 2. Complements: lines are values, their cells planes.
    let mut table = small.rearranged(columns, rows, |column, row| (0, row * columns + column));
    if columns > 1 {
        let sizes = Sizes {
            cells: own.rearranged(own.width, cells, |b, v| (b, v % rows * columns + v / rows)),
            totals: bits.values(cells + rows..all.len()),
        };
        table = complement(&mut session.narrow("rows"), &table, &sizes)?;
    }
    if rows > 1 {
        let turned = table.rearranged(rows, columns, |row, column| (column, row));
        let sizes = Sizes { cells: own, totals: bits.values(cells..cells + rows) };
        let turned = complement(&mut session.narrow("columns"), &turned, &sizes)?;
        table = turned.rearranged(columns, rows, |column, row| (row, column));
    }
    Ok(table.rearranged(1, cells, |_, cell| (cell % columns, cell / columns)).not(role))
}

/// Values times their flags, 0 or 1: what may be opened.
///
/// Rounds: 1. Bytes: 8 a value.
///
/// # Errors
/// When the lengths differ; when the channel fails.
pub fn keep<S: Security>(
    session: &mut Session<'_, S>,
    values: &RingShares,
    flags: &RingShares,
) -> Result<RingShares> {
    multiply(session, values, flags)
}

/// How large the cells of lines are, in bits.
struct Sizes {
    /// Value `place * lines + line`: the cell at a place of a line.
    cells: BitShares,
    /// The totals of the crossing lines, one for each place.
    totals: BitShares,
}

/// Suppresses a second cell in lines that have one; planes are the places in a line, values the lines.
fn complement<S: Security>(
    session: &mut Session<'_, S>,
    table: &BitShares,
    sizes: &Sizes,
) -> Result<BitShares> {
    let role = session.role();
    let (places, lines) = (table.width, table.len);
    let cells = places * lines;
    // Step 1. How many cells of each line, and whether any of each crossing line, are suppressed.
    let ones = inject(&mut session.narrow("count"), table)?;
    let in_line = (0..places).try_fold(RingShares::zeros(lines), |sum, place| {
        sum.add(&ones.range(place * lines..(place + 1) * lines))
    })?;
    let in_crossing: Vec<RingShares> =
        (0..places).map(|place| ones.range(place * lines..(place + 1) * lines).sum()).collect();
    let in_crossing = RingShares::concat(&in_crossing.iter().collect::<Vec<_>>());
    // Step 2. Is it exactly one; is it none.
    let tested = RingShares::concat(&[&in_line.add_public(role, 1u64.wrapping_neg()), &in_crossing]);
    let width = (usize::BITS - places.max(lines).leading_zeros()) as usize + 1;
    let is_zero = is_zero(&mut session.narrow("single"), &tested, width)?;
    let is_single = is_zero.rearranged(1, lines, |_, line| (0, line));
    let is_uncrossed = is_zero.rearranged(1, cells, |_, v| (0, lines + v / lines));
    // Step 3. Of the cells that are left, the smallest that is crossed by a suppressed one, else the one whose crossing
    // line is smallest, else the first: the least key, read from its highest bits.
    let is_gone = table.rearranged(1, cells, |_, v| (v / lines, v % lines));
    let totals = sizes.totals.rearranged(sizes.totals.width, cells, |b, v| (b, v / lines));
    let size = select_bits(&mut session.narrow("size"), &is_uncrossed, &totals, &sizes.cells)?;
    let place_width = (usize::BITS - (places - 1).leading_zeros()).max(1) as usize;
    let places_of: Vec<u64> = (0..cells).map(|v| (v / lines) as u64).collect();
    let place = BitShares::public(role, place_width, cells, &planes_of(&places_of, place_width))?;
    let keys = BitShares::concat(&[&place, &size, &is_uncrossed, &is_gone])?;
    let chosen = least(&mut session.narrow("least"), &keys, lines)?;
    let chosen = chosen.rearranged(places, lines, |place, line| (0, place * lines + line));
    // Step 4. Where there is exactly one.
    let added = and(&mut session.narrow("add"), &chosen, &is_single.planes_by(0, 0, places))?;
    table.xor(&added)
}
