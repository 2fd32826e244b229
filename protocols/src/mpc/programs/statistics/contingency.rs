//! Chi-square of contingency tables.
//!
//! - Parties: three nodes. Inputs: shared counts of tables, each of at most `2^24` rows in all; a public floor `k`. Outputs:
//!   for each table, shares of the statistic, or of nothing where a row or a column of it has fewer than `max(k, 1)`.
//! - Opened: nothing. Whoever opens the output learns the statistic alone, or that it is suppressed.
//! - Accuracy: `2^-24` of the statistic; measured: the page on numerics. Below `2^-300` it is not told from zero.
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Source: for 2 by 2, `N (|ad - bc| - c N / 2)^2 / (r_1 r_2 c_1 c_2)` with `c` 1 for Yates's correction and 0 for none; in general
//!   `sum (N O - R C)^2 / (N R C)`. Differences are exact integers; the rest is done with exponents ([`Floats`]).

use crate::mpc::error::{MpcError, Result};
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::floats::Floats;
use crate::mpc::gates::multiply::multiply;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::{COUNT_BITS, Signed, Statistics, all_reach, constant, expect_columns, magnitude};

/// Bits of a product of two counts, with room for a sum.
const PRODUCT_BITS: u32 = 2 * COUNT_BITS + 2;

/// Continuity correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Pearson's statistic.
    None,
    /// Yates's correction, which never takes a difference past zero.
    Yates,
}

/// Chi-square of 2 by 2 tables `[a, b, c, d]`, row by row, as many tables as the columns are long; one degree of freedom.
///
/// Rounds: about 100. Bytes: about 2 kB a table.
///
/// # Errors
/// When the columns differ in length; when a gate fails.
pub fn chi_square_2x2<S: Security>(
    session: &mut Session<'_, S>,
    cells: &[RingShares; 4],
    correction: Correction,
    floor: u64,
) -> Result<Statistics> {
    let t = cells[0].len();
    expect_columns(cells, t)?;
    let [a, b, c, d] = cells;
    let (r1, r2, c1, c2) = (a.add(b)?, c.add(d)?, a.add(c)?, b.add(d)?);
    let n = r1.add(&r2)?;
    let least = floor.max(1);
    let margins = [(&r1, least), (&r2, least), (&c1, least), (&c2, least)];
    let is_allowed = all_reach(&mut session.narrow("floor"), &margins, COUNT_BITS + 2)?;

    // Step 1. z = 2 |ad - bc|, less N and not below zero where it is corrected.
    let left = RingShares::concat(&[a, b, &r1, &c1]);
    let right = RingShares::concat(&[d, c, &r2, &c2]);
    let products = multiply(&mut session.narrow("products"), &left, &right)?;
    let [ad, bc, rows, columns] = [0, 1, 2, 3].map(|k| products.range(k * t..(k + 1) * t));
    let (size, _) = magnitude(&mut session.narrow("size"), &ad.sub(&bc)?, PRODUCT_BITS)?;
    let z = match correction {
        Correction::None => size.scale(2),
        Correction::Yates => {
            let (size, over) = (size.scale(2).sub(&n)?, constant(session.role(), 1, t));
            let (_, is_below) = magnitude(&mut session.narrow("correct"), &size, PRODUCT_BITS + 1)?;
            multiply(&mut session.narrow("clip"), &size, &over.sub(&is_below)?)?
        }
    };

    // Step 2. N z^2 / (4 r_1 r_2 c_1 c_2).
    let mut masks = Masks::new(0);
    masks.reserve(&mut session.narrow("prepare"), 26 * t)?;
    let all = RingShares::concat(&[&z, &n, &rows, &columns]);
    let floats = Floats::from_integers(&mut session.narrow("floats"), &mut masks, &all, PRODUCT_BITS)?;
    let part = |k: usize| floats.range(k * t..(k + 1) * t);
    let inverse = floats.range(2 * t..4 * t).reciprocal(&mut session.narrow("inverse"), &mut masks)?;
    let left = Floats::concat(&[&part(0), &inverse.range(0..t)]);
    let right = Floats::concat(&[&part(0), &inverse.range(t..2 * t)]);
    let pairs = left.multiply(&mut session.narrow("pairs"), &mut masks, &right)?;
    let pairs = pairs.normalised(&mut session.narrow("middle"), &mut masks)?;
    let value = pairs.range(0..t).multiply(&mut session.narrow("times n"), &mut masks, &part(1))?;
    let value = value.multiply(&mut session.narrow("over"), &mut masks, &pairs.range(t..2 * t))?;
    let value = Signed { is_negative: None, magnitude: value.times_power(session, -2) };
    Statistics::from_values(&mut session.narrow("release"), &mut masks, &is_allowed, &[value])
}

/// Pearson's chi-square of one table of `rows` by `columns`, `(rows - 1)(columns - 1)` degrees of freedom; its cells row by
/// row.
///
/// Rounds: about 90, and 24 for each doubling of the number of cells. Bytes: about 3 kB a cell.
///
/// # Errors
/// When the table is not of its shape or has less than two rows or columns; when a gate fails.
pub fn chi_square<S: Security>(
    session: &mut Session<'_, S>,
    cells: &RingShares,
    (rows, columns): (usize, usize),
    floor: u64,
) -> Result<Statistics> {
    if rows < 2 || columns < 2 || cells.len() != rows * columns {
        return Err(MpcError::Lengths {
            what: "a table and its cells",
            left: cells.len(),
            right: rows * columns,
        });
    }
    let count = rows * columns;
    let row = |i: usize| cells.range(i * columns..(i + 1) * columns).sum();
    let column = |j: usize| cells.gather(&(0..rows).map(|i| i * columns + j).collect::<Vec<_>>()).sum();
    let row_sums: Vec<RingShares> = (0..rows).map(row).collect();
    let column_sums: Vec<RingShares> = (0..columns).map(column).collect();
    let n = cells.sum();
    let least = floor.max(1);
    let margins: Vec<(&RingShares, u64)> =
        row_sums.iter().chain(&column_sums).map(|sum| (sum, least)).collect();
    let is_allowed = all_reach(&mut session.narrow("floor"), &margins, COUNT_BITS + 2)?;

    // Step 1. |N O - R C| and R C, exactly.
    let over = |sums: &[RingShares], index: &dyn Fn(usize) -> usize| {
        RingShares::concat(&(0..count).map(|k| &sums[index(k)]).collect::<Vec<_>>())
    };
    let (by_row, by_column) = (over(&row_sums, &|k| k / columns), over(&column_sums, &|k| k % columns));
    let every = n.gather(&vec![0; count]);
    let left = RingShares::concat(&[&every, &by_row]);
    let products =
        multiply(&mut session.narrow("products"), &left, &RingShares::concat(&[cells, &by_column]))?;
    let (observed, expected) = (products.range(0..count), products.range(count..2 * count));
    let (size, _) = magnitude(&mut session.narrow("size"), &observed.sub(&expected)?, PRODUCT_BITS)?;

    // Step 2. The terms and their sum, which is over N.
    let mut masks = Masks::new(0);
    masks.reserve(&mut session.narrow("prepare"), 16 * count + 16)?;
    let all = RingShares::concat(&[&size, &expected, &n]);
    let floats = Floats::from_integers(&mut session.narrow("floats"), &mut masks, &all, PRODUCT_BITS)?;
    let size = floats.range(0..count);
    let inverse =
        floats.range(count..2 * count + 1).reciprocal(&mut session.narrow("inverse"), &mut masks)?;
    let squares = size.multiply(&mut session.narrow("squares"), &mut masks, &size)?;
    let terms = squares.multiply(&mut session.narrow("terms"), &mut masks, &inverse.range(0..count))?;
    let terms = terms.normalised(&mut session.narrow("middle"), &mut masks)?;
    let total = total(&mut session.narrow("total"), &mut masks, terms)?;
    let value = total.multiply(&mut session.narrow("over"), &mut masks, &inverse.range(count..count + 1))?;
    let value = Signed { is_negative: None, magnitude: value };
    Statistics::from_values(&mut session.narrow("release"), &mut masks, &is_allowed, &[value])
}

/// The sum of all numbers of a column, by halves.
fn total<S: Security>(session: &mut Session<'_, S>, masks: &mut Masks, mut terms: Floats) -> Result<Floats> {
    for level in 0.. {
        let half = terms.len() / 2;
        if half == 0 {
            break;
        }
        let rest = terms.range(2 * half..terms.len());
        let upper = terms.range(half..2 * half);
        let sum = terms.range(0..half).add(&mut session.narrow_at("level", level), masks, &upper)?;
        terms = Floats::concat(&[&sum, &rest]);
    }
    Ok(terms)
}
