//! Quantiles, from a shared histogram or from shared rows.
//!
//! **Histogram** ([`of_histogram`]): the bin of a quantile is the number of bins whose running total does not reach its rank. With
//! running totals `S` and `n` in all, both shared, and `q = numerator / denominator`:
//! - inverted distribution function (type 1 of Hyndman and Fan, 1996): `S < q n`, that is `denominator S < numerator n`;
//! - the neighbours of type 7, at `h = q (n - 1)`: `S <= h` for the lower, `S <= h + 1` for the upper. Type 7 is
//!   `lower + (h - floor(h)) (upper - lower)`, and whoever has `n` finishes it.
//! - All three are comparisons of public multiples, and `n` stays shared. Exact where the histogram has a bin for each value.
//! - Rounds: those of a comparison, 2 more. Bytes: about 35 a bin and quantile.
//! - Leakage: none; outputs are shares.
//!
//! **Rows** ([`of_rows`]): the rows of given ranks, by shuffled selection ([`super::super::gates::sort`]): exact, with leakage as there:
//! the number of rows.
//!
//! - Adversary: as the session; malicious with abort in a malicious one.

use super::super::error::{MpcError, Result};
use super::super::gates::compare::is_negative;
use super::super::gates::convert::{bits_of, inject, ring_of};
use super::super::gates::sort::select_ranks;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::RingShares;

/// A quantile, `numerator / denominator` in `0..=1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantile {
    /// At most the denominator.
    pub numerator: u32,
    /// From 1.
    pub denominator: u32,
}

/// Bins of quantiles, counted from 0, as shares; a bin past the last where there are no values.
pub struct Bins {
    /// Type 1, one for each quantile.
    pub inverted: RingShares,
    /// Type 7, the lower neighbour.
    pub lower: RingShares,
    /// Type 7, the upper neighbour; past the last bin for `q = 1`, where its weight is zero.
    pub upper: RingShares,
}

impl Quantile {
    fn check(self) -> Result<()> {
        if self.denominator == 0 || self.numerator > self.denominator {
            let found = u64::from(self.numerator);
            return Err(MpcError::Parameter { what: "quantile", found, expected: "a fraction from 0 to 1" });
        }
        Ok(())
    }

    /// The rank of the inverted distribution function (type 1) among `len` values, from 0.
    #[must_use]
    pub fn rank(self, len: usize) -> usize {
        let rank = (len as u128 * u128::from(self.numerator)).div_ceil(u128::from(self.denominator.max(1)));
        (rank as usize).saturating_sub(1)
    }

    /// The lower rank of type 7 among `len` values, from 0, and the weight of the next, in `denominator`-ths.
    #[must_use]
    pub fn rank_below(self, len: usize) -> (usize, u32) {
        let h = len.saturating_sub(1) as u128 * u128::from(self.numerator);
        let denominator = u128::from(self.denominator.max(1));
        ((h / denominator) as usize, (h % denominator) as u32)
    }
}

/// Bins of quantiles of a histogram with `n < 2^count_width` values in all.
///
/// # Errors
/// When a quantile is none; when `count_width` and the denominators do not fit 62 bits together; when the channel fails.
pub fn of_histogram<S: Security>(
    session: &mut Session<'_, S>,
    histogram: &RingShares,
    quantiles: &[Quantile],
    count_width: usize,
) -> Result<Bins> {
    let role = session.role();
    let bins = histogram.len();
    let totals = histogram.prefix_sums();
    let n = histogram.sum();
    let mut differences = Vec::with_capacity(3 * quantiles.len());
    let mut denominator_max = 1;
    for quantile in quantiles {
        quantile.check()?;
        let (p, d) = (u64::from(quantile.numerator), u64::from(quantile.denominator));
        denominator_max = denominator_max.max(d);
        let everywhere = |value: &RingShares| value.gather(&vec![0; bins]);
        let scaled = totals.scale(d);
        // Negative where the bin is below. For q = 0, the rank is 1 as for any q up to 1/n.
        let target = match p {
            0 => RingShares::public(role, &[1]),
            _ => n.scale(p),
        };
        differences.push(scaled.sub(&everywhere(&target))?);
        let h = n.scale(p).add_public(role, p.wrapping_neg());
        let lower = scaled.sub(&everywhere(&h))?.add_public(role, 1u64.wrapping_neg());
        differences.push(lower.clone());
        differences.push(lower.add_public(role, d.wrapping_neg()));
    }
    let denominator_width = (u64::BITS - denominator_max.leading_zeros()) as usize;
    let width = count_width + denominator_width + 2;
    if width > 64 {
        let found = width as u64;
        return Err(MpcError::Parameter {
            what: "width",
            found,
            expected: "at most 64 bits of counts and denominator",
        });
    }
    let all: Vec<&RingShares> = differences.iter().collect();
    let is_below = is_negative(&mut session.narrow("below"), &RingShares::concat(&all), width)?;
    let is_below = inject(&mut session.narrow("inject"), &is_below)?;
    let bin = |kind: usize| {
        let sums = (0..quantiles.len())
            .map(|k| 3 * k + kind)
            .map(|k| is_below.range(k * bins..(k + 1) * bins).sum());
        let sums: Vec<RingShares> = sums.collect();
        RingShares::concat(&sums.iter().collect::<Vec<_>>())
    };
    Ok(Bins { inverted: bin(0), lower: bin(1), upper: bin(2) })
}

/// The values of these ranks, from 0, of a column of `width`-bit values: ascending by rank, each rank once.
///
/// # Errors
/// When a rank is not below the number of rows; when `width` is not in `1..=64`; when a check fails; when the channel fails.
pub fn of_rows<S: Security>(
    session: &mut Session<'_, S>,
    values: &RingShares,
    width: usize,
    ranks: &[usize],
) -> Result<RingShares> {
    let keys = bits_of(&mut session.narrow("bits"), values, width)?;
    let found = select_ranks(&mut session.narrow("select"), &keys, &[], ranks)?;
    ring_of(&mut session.narrow("ring"), &found.keys)
}
