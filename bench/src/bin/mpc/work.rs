//! The programs that are measured, and what their results are checked against.

use ward_protocols::mpc::error::Result;
use ward_protocols::mpc::gates::compare::is_less;
use ward_protocols::mpc::gates::convert::{bits_of, inject, ring_of};
use ward_protocols::mpc::gates::multiply::{inner_products, multiply};
use ward_protocols::mpc::gates::open::open;
use ward_protocols::mpc::gates::random;
use ward_protocols::mpc::gates::sort::sort;
use ward_protocols::mpc::programs::quantile;
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::verify;
use ward_protocols::mpc::{MpcError, Security, Session};

use super::logistic;

/// A program to measure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Multiply,
    Inner,
    Less,
    Sort,
    Median,
    Stream,
    Logistic,
}

/// Products of a part of the stream.
const PART: usize = 1 << 18;

/// Values of the sort and of the median, and their bits.
const ROWS: usize = 10_000;
const KEY_BITS: usize = 63;

/// How many results are checked.
const CHECKED: usize = 1_000;

impl Work {
    pub const ALL: [Self; 7] =
        [Self::Multiply, Self::Inner, Self::Less, Self::Sort, Self::Median, Self::Logistic, Self::Stream];

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Multiply => "mul",
            Self::Inner => "inner",
            Self::Less => "less",
            Self::Sort => "sort",
            Self::Median => "median",
            Self::Stream => "stream",
            Self::Logistic => "logistic",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Multiply => "1M multiplications",
            Self::Inner => "inner product of 1M",
            Self::Less => "100k comparisons, 64 bit, ring out",
            Self::Sort => "sort of 10k 63-bit keys, ring out",
            Self::Median => "median of 10k, 63 bit, exact",
            Self::Stream => "10M multiplications, streamed",
            Self::Logistic => "logistic regression, 1,000 x 10",
        }
    }

    /// Products of the plain loop beside it.
    pub fn plain_products(self) -> usize {
        match self {
            Self::Multiply | Self::Inner => 1_000_000,
            Self::Less => 100_000,
            Self::Sort | Self::Median => ROWS,
            Self::Stream => 10_000_000,
            Self::Logistic => logistic::ROWS,
        }
    }

    /// Random shared inputs, two columns.
    pub fn prepare<S: Security>(self, session: &mut Session<'_, S>) -> Result<[RingShares; 2]> {
        let len = if matches!(self, Self::Stream | Self::Logistic) { 0 } else { self.plain_products() };
        let column = |session: &mut Session<'_, S>| random::ring(session, len);
        let (x, y) = (column(&mut session.narrow("x"))?, column(&mut session.narrow("y"))?);
        match self {
            Self::Multiply | Self::Inner | Self::Stream | Self::Logistic => Ok([x, y]),
            // Below 2^62, so that differences fit.
            Self::Less => {
                let halve = |session: &mut Session<'_, S>, column: &RingShares| {
                    let bits = bits_of(&mut session.narrow("bits"), column, 62)?;
                    ring_of(&mut session.narrow("ring"), &bits)
                };
                Ok([halve(&mut session.narrow("hx"), &x)?, halve(&mut session.narrow("hy"), &y)?])
            }
            Self::Sort | Self::Median => {
                let bits = bits_of(&mut session.narrow("bits"), &x, KEY_BITS)?;
                Ok([ring_of(&mut session.narrow("ring"), &bits)?, RingShares::default()])
            }
        }
    }

    /// What is measured: with verification, in a malicious session.
    pub fn run<S: Security>(
        self,
        session: &mut Session<'_, S>,
        [x, y]: &[RingShares; 2],
    ) -> Result<RingShares> {
        let out = match self {
            Self::Multiply => multiply(&mut session.narrow("mul"), x, y)?,
            Self::Inner => inner_products(&mut session.narrow("inner"), x, y, x.len())?,
            Self::Less => {
                let is_less = is_less(&mut session.narrow("less"), x, y, 64)?;
                inject(&mut session.narrow("inject"), &is_less)?
            }
            Self::Sort => {
                let keys = bits_of(&mut session.narrow("bits"), x, KEY_BITS)?;
                let sorted = sort(&mut session.narrow("sort"), &keys, &[])?;
                ring_of(&mut session.narrow("ring"), &sorted.keys)?
            }
            Self::Median => quantile::of_rows(&mut session.narrow("median"), x, KEY_BITS, &[ROWS / 2 - 1])?,
            Self::Stream => return stream(session),
            Self::Logistic => return logistic::run(session),
        };
        verify::flush(&mut session.narrow("flush"))?;
        Ok(out)
    }

    /// Opens inputs and results, some of many, and compares.
    pub fn check<S: Security>(
        self,
        session: &mut Session<'_, S>,
        [x, y]: &[RingShares; 2],
        out: &RingShares,
    ) -> Result<()> {
        let some = |column: &RingShares| column.range(0..column.len().min(CHECKED));
        let all = matches!(self, Self::Inner | Self::Sort | Self::Median);
        let part = |column: &RingShares| if all { column.clone() } else { some(column) };
        let mut reveal = |name: &str, column: &RingShares| open(&mut session.narrow(name), &part(column));
        let (x, y, out) = (reveal("x", x)?, reveal("y", y)?, reveal("out", out)?);
        let products = || x.iter().zip(&y).map(|(x, y)| x.wrapping_mul(*y));
        let mut sorted = x.clone();
        sorted.sort_unstable();
        let expected: Vec<u64> = match self {
            Self::Multiply => products().collect(),
            Self::Inner => vec![products().fold(0, u64::wrapping_add)],
            Self::Less => x.iter().zip(&y).map(|(x, y)| u64::from(x < y)).collect(),
            Self::Sort => sorted,
            Self::Median => vec![sorted[ROWS / 2 - 1]],
            Self::Logistic if !logistic::is_right(&out) => Vec::new(),
            // The stream compares its own.
            Self::Stream | Self::Logistic => out.clone(),
        };
        if out == expected {
            return Ok(());
        }
        Err(session.check_failed(None, "the results of the bench"))
    }
}

/// Ten million products, of which no more than a part is held at a time: inputs are drawn, multiplied and added up.
fn stream<S: Security>(session: &mut Session<'_, S>) -> Result<RingShares> {
    let mut sum = RingShares::zeros(1);
    for part in 0..10_000_000usize.div_ceil(PART) {
        let mut session = session.narrow_at("part", part);
        let len = PART.min(10_000_000 - part * PART);
        let x = random::ring(&mut session.narrow("x"), len)?;
        let y = random::ring(&mut session.narrow("y"), len)?;
        let z = multiply(&mut session.narrow("mul"), &x, &y)?;
        sum = sum.add(&z.sum())?;
        verify::flush_if_full(&mut session.narrow("flush"))?;
        if part == 0 {
            let first = |column: &RingShares| column.range(0..CHECKED);
            let all = RingShares::concat(&[&first(&x), &first(&y), &first(&z)]);
            let all = open(&mut session.narrow("check"), &all)?;
            let is_right =
                (0..CHECKED).all(|k| all[k].wrapping_mul(all[CHECKED + k]) == all[2 * CHECKED + k]);
            if !is_right {
                return Err(MpcError::Parameter {
                    what: "products that are right",
                    found: 0,
                    expected: "all",
                });
            }
        }
    }
    verify::flush(&mut session.narrow("flush"))?;
    Ok(sum)
}
