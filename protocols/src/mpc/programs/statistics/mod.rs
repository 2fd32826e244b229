//! Test statistics that reveal only themselves.
//!
//! The inputs are shared sums over all hospitals; the output is one or two numbers, shared in their one normalised form, and
//! one bit: whether the floor and the arithmetic allow an answer. Without it all the rest is zero, and nobody learns why. A
//! p-value is computed from the opened statistic in the clear.
//!
//! - [`contingency`]: chi-square of tables. [`fisher`]: the exact test, with `correlation`, its table look-ups. [`means`]: t-tests. [`survival`]: log-rank test.

pub mod contingency;
mod correlation;
pub mod fisher;
pub mod means;
pub mod survival;

use crate::mpc::error::{MpcError, Result};
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::floats::{Floats, LEAST_EXPONENT, decode};
use crate::mpc::gates::boolean::all_of;
use crate::mpc::gates::compare::is_negative;
use crate::mpc::gates::convert::inject;
use crate::mpc::gates::multiply::multiply;
use crate::mpc::gates::open::open;
use crate::mpc::role::Role;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

/// Bits of a pooled count.
pub const COUNT_BITS: u32 = 24;

/// Statistics of `len` tables, to be opened, or sealed to whom they are for.
///
/// Words: `len` bits that allow an answer; then for each value of an answer `len` signs, mantissas and exponents.
pub struct Statistics {
    /// The words, in shares.
    pub shares: RingShares,
    len: usize,
    values: usize,
    least_exponent: i32,
}

/// What a table's statistic came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Released {
    /// The values.
    Values(Vec<f64>),
    /// The floor, or a division by zero, forbids an answer; which, nobody knows.
    Suppressed,
}

/// A column of numbers with signs.
struct Signed {
    /// 1 where negative; none where all are positive.
    is_negative: Option<RingShares>,
    /// Magnitudes, not necessarily normalised.
    magnitude: Floats,
}

impl Statistics {
    /// What the opened words say, for each table; none when they are not those of statistics.
    #[must_use]
    pub fn decode(&self, opened: &[u64]) -> Option<Vec<Released>> {
        let n = self.len;
        if opened.len() != n * (1 + 3 * self.values) {
            return None;
        }
        let columns: Vec<&[u64]> = opened.chunks_exact(n.max(1)).collect();
        let value = |v: usize, j: usize| {
            let number = decode(columns[2 + 3 * v][j], columns[3 + 3 * v][j], self.least_exponent)?;
            Some(if columns[1 + 3 * v][j] == 1 { -number } else { number })
        };
        let table = |j: usize| match columns[0][j] {
            1 => (0..self.values).map(|v| value(v, j)).collect::<Option<Vec<f64>>>().map(Released::Values),
            _ => Some(Released::Suppressed),
        };
        (0..n).map(table).collect()
    }

    /// Opens the statistics to all nodes.
    ///
    /// # Errors
    /// When a check or the channel fails.
    pub fn open<S: Security>(&self, session: &mut Session<'_, S>) -> Result<Vec<Released>> {
        let opened = open(session, &self.shares)?;
        let failed = session.check_failed(None, "opened statistics");
        self.decode(&opened).ok_or(failed)
    }

    /// The same where smaller numbers than usual are not zero.
    fn down_to(self, least_exponent: i32) -> Self {
        Self { least_exponent, ..self }
    }

    /// Normalises the values, hides those that are not allowed, and lays all out.
    fn from_values<S: Security>(
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        is_allowed: &RingShares,
        values: &[Signed],
    ) -> Result<Self> {
        let len = is_allowed.len();
        let all = Floats::concat(&values.iter().map(|value| &value.magnitude).collect::<Vec<_>>());
        let all = all.normalised(&mut session.narrow("normalise"), masks)?;
        let zero = RingShares::zeros(len);
        let mut columns = Vec::new();
        for (v, value) in values.iter().enumerate() {
            let normal = all.range(v * len..(v + 1) * len);
            columns.push(value.is_negative.clone().unwrap_or_else(|| zero.clone()));
            columns.push(normal.mantissa);
            columns.push(normal.exponent);
        }
        let columns = RingShares::concat(&columns.iter().collect::<Vec<_>>());
        let allowed = is_allowed.gather(&(0..columns.len()).map(|k| k % len.max(1)).collect::<Vec<_>>());
        let hidden = multiply(&mut session.narrow("hide"), &columns, &allowed)?;
        Ok(Self {
            shares: RingShares::concat(&[is_allowed, &hidden]),
            len,
            values: values.len(),
            least_exponent: LEAST_EXPONENT,
        })
    }
}

/// 1 where all of `columns` reach their least value; all are below `2^(width - 2)` in magnitude.
fn all_reach<S: Security>(
    session: &mut Session<'_, S>,
    columns: &[(&RingShares, u64)],
    width: u32,
) -> Result<RingShares> {
    let role = session.role();
    let over: Vec<RingShares> =
        columns.iter().map(|(column, least)| column.add_public(role, least.wrapping_neg())).collect();
    let all = RingShares::concat(&over.iter().collect::<Vec<_>>());
    let reached = is_negative(&mut session.narrow("below"), &all, width as usize)?.not(role);
    let n = columns.first().map_or(0, |(column, _)| column.len());
    let rows: Vec<BitShares> = (0..columns.len()).map(|k| cut(&reached, k * n, n)).collect();
    let all = all_of(&mut session.narrow("all"), &BitShares::concat(&rows.iter().collect::<Vec<_>>())?)?;
    inject(&mut session.narrow("inject"), &all)
}

/// `len` values of a plane from `start` on.
fn cut(plane: &BitShares, start: usize, len: usize) -> BitShares {
    let bit = |words: &[u64], j: usize| words.get(j / 64).map_or(0, |word| word >> (j % 64) & 1);
    let take = |words: &[u64]| {
        let mut out = vec![0; len.div_ceil(64)];
        for j in 0..len {
            out[j / 64] |= bit(words, start + j) << (j % 64);
        }
        out.into()
    };
    BitShares { width: 1, len, own: take(&plane.own), next: take(&plane.next) }
}

/// `|x|` and 1 where `x < 0`, for `|x| < 2^(width - 1)`.
fn magnitude<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    width: u32,
) -> Result<(RingShares, RingShares)> {
    let negative = is_negative(&mut session.narrow("sign"), x, width as usize)?;
    let negative = inject(&mut session.narrow("inject"), &negative)?;
    let flipped = multiply(&mut session.narrow("flip"), &negative, x)?;
    Ok((x.sub(&flipped.scale(2))?, negative))
}

fn expect_columns(columns: &[RingShares], len: usize) -> Result<()> {
    match columns.iter().find(|column| column.len() != len) {
        Some(column) => Err(MpcError::Lengths { what: "columns of a table", left: column.len(), right: len }),
        None => Ok(()),
    }
}

/// The sum of columns, table by table.
fn sum_of(columns: &[&RingShares]) -> Result<RingShares> {
    let mut columns = columns.iter();
    let first = columns.next().map_or_else(RingShares::default, |first| (*first).clone());
    columns.try_fold(first, |sum, column| sum.add(column))
}

/// A constant for every table.
fn constant(role: Role, value: u64, len: usize) -> RingShares {
    RingShares::public(role, &vec![value; len])
}
