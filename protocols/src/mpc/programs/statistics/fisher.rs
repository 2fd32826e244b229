//! Fisher's exact test of a 2 by 2 table, two-sided.
//!
//! - Parties: three nodes. Inputs: shared counts of one table; a public bound on its rows and a public floor `k`. Outputs:
//!   shares of the p-value, or of nothing where a row or column has fewer than `max(k, 1)`, or there are more rows than the
//!   bound.
//! - Opened: nothing. Whoever opens the output learns the p-value alone, or that it is suppressed.
//! - Rows and columns are exchanged so that the smaller of each comes first, which changes no p-value. With margins `r`, `c`,
//!   `n` the table with `x` in its first cell has probability `P(x)` with
//!   `log P(x) = log r! (n-r)! c! (n-c)! / n! - log x! (r-x)! (c-x)! (n-r-c+x)!`. A margin in one-hot form makes the column of
//!   `log (r-x)!` over all `x` a public matrix times a shared vector: no communication. The p-value is the sum of `P(x)` over
//!   all `x` with `P(x) <= P(a) (1 + 2^-28)`, computed as `P(a)` times a sum of powers of two between 0 and 1.
//! - Logarithms have 38 digits; powers of two are read off bits and a polynomial of degree 8; terms below `2^-48 P(a)` are
//!   left out. Accuracy: `2^-24` of the p-value, down to p-values of `2^-1000`.
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Rounds: about 150. Bytes: up to 570 for each row of the bound, and 60,000.
//! - Source: Fisher (1935), two-sided by probabilities as in Freeman and Halton (1951); one-hot tables are private table
//!   look-up as in Launchbury, Diatchki, DuBuisson, Adams-Moran, "Efficient lookup-table protocol in secure multiparty
//!   computation" (ICFP 2012).

use crate::mpc::error::{MpcError, Result};
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::floats::Floats;
use crate::mpc::fixed::power::{Powers, powers_of_half};
use crate::mpc::gates::compare::{is_less, is_negative};
use crate::mpc::gates::convert::{bits_of, inject};
use crate::mpc::gates::multiply::{inner_products, multiply};
use crate::mpc::gates::select::select;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::correlation::correlate;
use super::{COUNT_BITS, Signed, Statistics, all_reach, expect_columns};

/// Greatest bound on the rows.
pub const ROWS_MAX: usize = 1 << 15;

/// Digits of a logarithm to base 2.
const LOG_DIGITS: u32 = 38;

/// The logarithm of the factorial of a negative number: more than all others together.
const NEVER: u64 = 1 << (LOG_DIGITS + 21);

/// Exponents of p-values that `f64` can hold.
pub const LEAST_EXPONENT: i32 = -1070;

/// The two-sided p-value of one table `[a, b, c, d]`, row by row, of at most `rows_max` rows. Rounding may take it past 1 by
/// `2^-24`.
///
/// # Errors
/// When a cell is not one value; when `rows_max` is 0 or over [`ROWS_MAX`]; when a gate fails.
pub fn fisher_exact<S: Security>(
    session: &mut Session<'_, S>,
    cells: &[RingShares; 4],
    rows_max: usize,
    floor: u64,
) -> Result<Statistics> {
    expect_columns(cells, 1)?;
    if !(1..=ROWS_MAX).contains(&rows_max) {
        let found = rows_max as u64;
        return Err(MpcError::Parameter { what: "rows of an exact test", found, expected: "1 to 32768" });
    }
    let role = session.role();
    let [a, b, c, d] = cells;
    let n = RingShares::concat(&[a, b, c, d]).sum();
    let least = floor.max(1);
    let room = n.neg().add_public(role, rows_max as u64);
    let margins = [a.add(b)?, c.add(d)?, a.add(c)?, b.add(d)?];
    let mut needs: Vec<(&RingShares, u64)> = margins.iter().map(|margin| (margin, least)).collect();
    needs.push((&room, 0));
    let is_allowed = all_reach(&mut session.narrow("floor"), &needs, COUNT_BITS + 2)?;

    // Step 1. The smaller row and column first: first cell, first row, first column.
    let table = order(&mut session.narrow("order"), cells)?;
    let [first, row, column] = [0, 1, 2].map(|k| table.range(k..k + 1));

    // Step 2. One-hot forms: of what is at most half the rows, and of the rest.
    let half = rows_max / 2 + 1;
    let second = [n.sub(&row)?, n.sub(&column)?, n.clone(), n.sub(&row)?.sub(&column)?];
    let values = RingShares::concat(&[&first, &row, &column, &second[0], &second[1], &second[2], &second[3]]);
    let lengths = [half, half, half, rows_max + 1, rows_max + 1, rows_max + 1, rows_max + 1];
    let hot = one_hot(&mut session.narrow("one-hot"), &values, &lengths)?;

    // Step 3. log P up to what all tables have in common, for every first cell; and of the table itself.
    let logs = log_factorials(rows_max + half);
    let below = vec![NEVER; half];
    let table = [&below[..], &logs].concat();
    // At x the entries from half - x on: those from 1 on at the last x.
    let falling = looked_up(&hot[1].add(&hot[2])?, half, &table[1..]);
    let falling = falling.gather(&(0..half).rev().collect::<Vec<_>>());
    let log_p = falling.add(&looked_up(&hot[6], half, &table[half..]))?;
    let log_p = log_p.add(&RingShares::public(role, &logs[..half]))?.neg();
    let at_first = inner_products(&mut session.narrow("first"), &hot[0], &log_p, half)?;
    let at = |hot: &RingShares| looked_up(hot, 1, &logs);
    let margins = at(&hot[1]).add(&at(&hot[2]))?.add(&at(&hot[3]))?.add(&at(&hot[4]))?.sub(&at(&hot[5]))?;
    let own_log = at_first.add(&margins)?;

    // Step 4. Those no more likely than the table, as powers of 1/2 relative to it; and the table's own.
    let apart = log_p.sub(&at_first.gather(&vec![0; half]))?;
    let over = apart.add_public(role, (1u64 << (LOG_DIGITS - 28)).wrapping_neg());
    let counts = is_negative(&mut session.narrow("likely"), &over, 64)?;
    let counts = inject(&mut session.narrow("counts"), &counts)?;
    let kept = multiply(&mut session.narrow("keep"), &apart.neg(), &counts)?;
    let depth = RingShares::concat(&[&kept, &own_log.neg()]);
    let mut masks = Masks::new(0);
    masks.reserve(&mut session.narrow("prepare"), 12 * depth.len() + 128)?;
    let powers = powers_of_half(&mut session.narrow("powers"), &mut masks, &depth, LOG_DIGITS)?;

    // Step 5. P(a) times the sum.
    let sum = sum_of_powers(&mut session.narrow("sum"), &mut masks, &powers, &counts)?;
    let sum = Floats::from_integers(&mut session.narrow("float"), &mut masks, &sum, 61)?;
    let own = Floats {
        mantissa: powers.fraction.range(half..half + 1),
        exponent: powers.whole.range(half..half + 1).neg(),
    };
    let value = sum.multiply(&mut session.narrow("p"), &mut masks, &own)?;
    let value = value.times_power(session, -i64::from(SUM_DIGITS) - i64::from(Powers::DIGITS));
    let value = Signed { is_negative: None, magnitude: value };
    let out = Statistics::from_values(&mut session.narrow("release"), &mut masks, &is_allowed, &[value])?;
    Ok(out.down_to(LEAST_EXPONENT))
}

/// Digits of the sum of powers.
const SUM_DIGITS: u32 = Powers::DIGITS + 15;

/// The sum of the powers that count, [`SUM_DIGITS`] digits: those down to `2^-16`, `2^-32` and `2^-48` apart, so that each
/// sum fits.
fn sum_of_powers<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    powers: &Powers,
    counts: &RingShares,
) -> Result<RingShares> {
    let (role, len) = (session.role(), counts.len());
    let bit = |k: usize| powers.bits[k].range(0..len);
    let kept = |k: usize| bit(k).neg().add_public(role, 1);
    // 2^(15 - whole mod 16), and whether a term counts and is above 2^-64.
    let factors = [0, 1, 2, 3].map(|k| kept(k).scale((1 << (1 << k)) - 1).add_public(role, 1));
    let small = powers.is_far.range(0..len).neg().add_public(role, 1);
    let left = RingShares::concat(&[&factors[0], &factors[2], &bit(4), &small]);
    let right = RingShares::concat(&[&factors[1], &factors[3], &bit(5), counts]);
    let pairs = multiply(&mut session.narrow("pairs"), &left, &right)?;
    let [low, high, both, counts] = [0, 1, 2, 3].map(|k| pairs.range(k * len..(k + 1) * len));
    let left = RingShares::concat(&[&low, &counts]);
    let right = RingShares::concat(&[&high, &powers.fraction.range(0..len)]);
    let halves = multiply(&mut session.narrow("halves"), &left, &right)?;
    let scaled = multiply(&mut session.narrow("scaled"), &halves.range(0..len), &halves.range(len..2 * len))?;
    let none = bit(4).add(&bit(5))?.sub(&both)?.neg().add_public(role, 1);
    let classes = RingShares::concat(&[&none, &bit(4).sub(&both)?, &bit(5).sub(&both)?]);
    let every = RingShares::concat(&[&scaled, &scaled, &scaled]);
    let sums = inner_products(&mut session.narrow("classes"), &every, &classes, len)?;
    let lower = crate::mpc::fixed::truncate::truncate_each(
        &mut session.narrow("cut"),
        masks,
        &sums.range(1..3),
        &[16, 32],
    )?;
    sums.range(0..1).add(&lower.sum())
}

/// First cell, first row and first column, once rows and columns are exchanged where the second is smaller.
fn order<S: Security>(session: &mut Session<'_, S>, cells: &[RingShares; 4]) -> Result<RingShares> {
    let [a, b, c, d] = cells;
    let (r1, r2, c1, c2) = (a.add(b)?, c.add(d)?, a.add(c)?, b.add(d)?);
    let (left, right) = (RingShares::concat(&[&r2, &c2]), RingShares::concat(&[&r1, &c1]));
    let exchange = is_less(&mut session.narrow("less"), &left, &right, COUNT_BITS as usize + 2)?;
    let exchange = inject(&mut session.narrow("inject"), &exchange)?;
    let (rows, columns) = (exchange.range(0..1), exchange.range(1..2));
    let choice = RingShares::concat(&[&rows, &rows, &rows, &columns]);
    let if_one = RingShares::concat(&[c, d, &r2, &c2]);
    let if_zero = RingShares::concat(&[a, b, &r1, &c1]);
    let chosen = select(&mut session.narrow("rows"), &choice, &if_one, &if_zero)?;
    let first = select(&mut session.narrow("columns"), &columns, &chosen.range(1..2), &chosen.range(0..1))?;
    Ok(RingShares::concat(&[&first, &chosen.range(2..4)]))
}

/// One-hot forms of the given lengths, each one longer by what fits for values out of range: those are all zeros or wrong,
/// and not to be released.
fn one_hot<S: Security>(
    session: &mut Session<'_, S>,
    values: &RingShares,
    lengths: &[usize],
) -> Result<Vec<RingShares>> {
    let role = session.role();
    let longest = lengths.iter().copied().max().unwrap_or(1);
    let width = (usize::BITS - longest.leading_zeros()) as usize;
    let count = values.len();
    let bits = bits_of(&mut session.narrow("bits"), values, width)?;
    let bits = inject(&mut session.narrow("inject"), &bits)?;
    let mut hot = vec![RingShares::public(role, &[1]); count];
    for bit in 0..width {
        // Those with the bit set follow those without.
        let reach: Vec<usize> =
            hot.iter().zip(lengths).map(|(hot, length)| (length - hot.len()).min(hot.len())).collect();
        let left: Vec<RingShares> = hot.iter().map(RingShares::clone).collect();
        let right: Vec<RingShares> =
            (0..count).map(|v| bits.gather(&vec![bit * count + v; hot[v].len()])).collect();
        let all = |columns: &[RingShares]| RingShares::concat(&columns.iter().collect::<Vec<_>>());
        let set = multiply(&mut session.narrow_at("double", bit), &all(&left), &all(&right))?;
        let mut start = 0;
        for (hot, reach) in hot.iter_mut().zip(reach) {
            let set = set.range(start..start + hot.len());
            start += hot.len();
            *hot = RingShares::concat(&[&hot.sub(&set)?, &set.range(0..reach)]);
        }
    }
    Ok(hot)
}

/// `out[x] = sum over j of hot[j] * table[x + j]`. Local.
fn looked_up(hot: &RingShares, len: usize, table: &[u64]) -> RingShares {
    let column = |hot: &[u64]| correlate(hot, table, len).into();
    RingShares { own: column(&hot.own), next: column(&hot.next) }
}

/// `log2 k!` with [`LOG_DIGITS`] digits, for `k < len`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "non-negative, below 2^58")]
fn log_factorials(len: usize) -> Vec<u64> {
    // Compensated, so that the last is as good as the first.
    let (mut sum, mut rest) = (0.0f64, 0.0f64);
    let mut out = vec![0];
    for k in 1..len.max(1) {
        let term = (k as f64).log2() - rest;
        let next = sum + term;
        rest = (next - sum) - term;
        sum = next;
        out.push(((sum - rest) * f64::from(LOG_DIGITS).exp2()).round() as u64);
    }
    out
}
