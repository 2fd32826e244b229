//! Log-rank test of two and more groups.
//!
//! - Parties: three nodes. Inputs: for each time of a public grid and each group, shared numbers at risk and of events, in
//!   all below `2^24` people; a public floor `k`. Outputs: shares of the statistic, or of nothing where a group has
//!   fewer than `k` people at the first time, or the events fewer than `max(k, 1)`, or the covariance cannot be inverted.
//! - Opened: nothing. Whoever opens the output learns the statistic alone, or that it is suppressed; degrees of freedom are
//!   the number of groups less one, which is public.
//! - At a time with `n` at risk, `n_g` of group `g`, and `d` events, `d n_g / n` are expected in group `g`, with covariance
//!   `d (n - d) / (n - 1) (n_g / n) (1_gh - n_h / n)`. All divisions are one batch. For two groups the statistic is
//!   `(O - E)^2 / V`; for more, `(O - E)' V^-1 (O - E)` over all groups but the last, with the inverse of
//!   [`super::super::regression::inverse`] as a first guess whose error counts squared.
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Source: Mantel (1966), Peto and Peto (1972), in the hypergeometric form.

use crate::mpc::error::{MpcError, Result};
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::floats::Floats;
use crate::mpc::fixed::normalise::normalise;
use crate::mpc::fixed::reciprocal::reciprocal;
use crate::mpc::fixed::truncate::{multiply_scaled, truncate};
use crate::mpc::gates::multiply::{inner_products, multiply};
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::super::regression::inverse::{self, A_DIGITS, X_DIGITS};
use super::super::regression::local::triangle;
use super::{COUNT_BITS, Signed, Statistics, all_reach, magnitude};

/// Digits of fractions.
const DIGITS: u32 = 30;
/// Bits of a count, normalised.
const WIDTH: u32 = COUNT_BITS + 4;

/// Risk table of all groups on a public grid: column `g` has one value for each time.
#[derive(Clone)]
pub struct RiskTable {
    /// At risk just before each time, one column for each group.
    pub at_risk: Vec<RingShares>,
    /// Events at each time, one column for each group.
    pub events: Vec<RingShares>,
}

/// Observed less expected events and their covariance, over all groups but the last, [`DIGITS`] digits.
struct Moments {
    difference: RingShares,
    /// Upper triangle.
    covariance: RingShares,
    events: RingShares,
}

/// The log-rank statistic.
///
/// Rounds: about 110 for two groups, 180 for more. Bytes: about 1 kB a time and group.
///
/// # Errors
/// When the table has less than two groups, or columns of different lengths; when a gate fails.
pub fn log_rank<S: Security>(
    session: &mut Session<'_, S>,
    table: &RiskTable,
    floor: u64,
) -> Result<Statistics> {
    let groups = table.at_risk.len();
    let times = table.at_risk.first().map_or(0, RingShares::len);
    if !(2..=inverse::ROWS_MAX).contains(&groups) || times == 0 || table.events.len() != groups {
        return Err(MpcError::Lengths {
            what: "groups of a risk table",
            left: groups,
            right: table.events.len(),
        });
    }
    super::expect_columns(&table.at_risk, times)?;
    super::expect_columns(&table.events, times)?;
    let mut masks = Masks::new(0);
    let per_time = 12 + groups + groups * groups;
    masks.reserve(&mut session.narrow("prepare"), per_time * times + 4096)?;
    let moments = moments(&mut session.narrow("moments"), &mut masks, table)?;

    let sizes: Vec<RingShares> = table.at_risk.iter().map(|column| column.range(0..1)).collect();
    let mut least: Vec<(&RingShares, u64)> = sizes.iter().map(|size| (size, floor)).collect();
    least.push((&moments.events, floor.max(1)));
    let enough = all_reach(&mut session.narrow("floor"), &least, COUNT_BITS + 2)?;
    let (value, is_allowed) = match groups {
        2 => {
            // A covariance of nothing but rounding is none.
            let varies = all_reach(&mut session.narrow("varies"), &[(&moments.covariance, 1 << 14)], 58)?;
            let is_allowed = multiply(&mut session.narrow("allowed"), &enough, &varies)?;
            (ratio(&mut session.narrow("ratio"), &mut masks, &moments)?, is_allowed)
        }
        _ => form(&mut session.narrow("form"), &mut masks, &moments, (&enough, groups - 1))?,
    };
    let value = Signed { is_negative: None, magnitude: value };
    Statistics::from_values(&mut session.narrow("release"), &mut masks, &is_allowed, &[value])
}

fn moments<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    table: &RiskTable,
) -> Result<Moments> {
    let role = session.role();
    let (times, groups) = (table.at_risk[0].len(), table.at_risk.len());
    let n = super::sum_of(&table.at_risk.iter().collect::<Vec<_>>())?;
    let d = super::sum_of(&table.events.iter().collect::<Vec<_>>())?;

    // Step 1. 1 / n and 1 / (n - 1): w = 2^57 / (x 2^e).
    let both = RingShares::concat(&[&n, &n.add_public(role, 1u64.wrapping_neg())]);
    let normal = normalise(&mut session.narrow("normalise"), &both, WIDTH)?;
    let w = reciprocal(&mut session.narrow("reciprocal"), masks, &normal.value.scale(4))?;

    // Step 2. n_g / n for all groups but the last, and (n - d) / (n - 1). Where n - 1 is zero or -1, n - d is too, or d is
    // zero; either way its product with d is.
    let kept = groups - 1;
    let mut numerators: Vec<RingShares> = table.at_risk[..kept].to_vec();
    numerators.push(n.sub(&d)?);
    let numerators = RingShares::concat(&numerators.iter().collect::<Vec<_>>());
    let column = |k: usize| (if k / times < kept { 0 } else { times }) + k % times;
    let indices: Vec<usize> = (0..numerators.len()).map(column).collect();
    let scaled = multiply(&mut session.narrow("scale"), &numerators, &normal.factor.gather(&indices))?;
    let fractions =
        multiply_scaled(&mut session.narrow("divide"), masks, (&scaled, &w.gather(&indices)), 57 - DIGITS)?;
    let (share, rest) = (fractions.range(0..kept * times), fractions.range(kept * times..fractions.len()));

    // Step 3. Expected events and their covariance.
    let every =
        |x: &RingShares, count: usize| x.gather(&(0..count * times).map(|k| k % times).collect::<Vec<_>>());
    let spread =
        multiply_scaled(&mut session.narrow("spread"), masks, (&share, &every(&rest, kept)), DIGITS)?;
    let pairs: Vec<(usize, usize)> = (0..kept).flat_map(|g| (g..kept).map(move |h| (g, h))).collect();
    let left: Vec<usize> = pairs.iter().flat_map(|(g, _)| (0..times).map(move |t| g * times + t)).collect();
    let right: Vec<usize> = pairs.iter().flat_map(|(_, h)| (0..times).map(move |t| h * times + t)).collect();
    let factors = (&spread.gather(&left), &share.gather(&right));
    let crossed = multiply_scaled(&mut session.narrow("cross"), masks, factors, DIGITS)?;
    let columns = RingShares::concat(&[&share, &spread, &crossed]);
    let count = columns.len() / times;
    let sums = inner_products(&mut session.narrow("sum"), &columns, &every(&d, count), times)?;
    let (expected, own) = (sums.range(0..kept), sums.range(kept..2 * kept));
    let observed: Vec<RingShares> = table.events[..kept].iter().map(RingShares::sum).collect();
    let observed = RingShares::concat(&observed.iter().collect::<Vec<_>>()).scale(1 << DIGITS);
    let mut covariance = sums.range(2 * kept..count).neg();
    for (k, (g, h)) in pairs.into_iter().enumerate() {
        if g == h {
            covariance.own[k] = covariance.own[k].wrapping_add(own.own[g]);
            covariance.next[k] = covariance.next[k].wrapping_add(own.next[g]);
        }
    }
    Ok(Moments { difference: observed.sub(&expected)?, covariance, events: d.sum() })
}

/// `(O - E)^2 / V`.
fn ratio<S: Security>(session: &mut Session<'_, S>, masks: &mut Masks, moments: &Moments) -> Result<Floats> {
    let (size, _) = magnitude(&mut session.narrow("size"), &moments.difference, COUNT_BITS + DIGITS + 2)?;
    let both = RingShares::concat(&[&size, &moments.covariance]);
    let floats = Floats::from_integers(&mut session.narrow("floats"), masks, &both, COUNT_BITS + DIGITS + 1)?;
    let (size, variance) = (floats.range(0..1), floats.range(1..2));
    let inverse = variance.reciprocal(&mut session.narrow("inverse"), masks)?;
    let square = size.multiply(&mut session.narrow("square"), masks, &size)?;
    let value = square.multiply(&mut session.narrow("over"), masks, &inverse)?;
    Ok(value.times_power(session, -i64::from(DIGITS)))
}

/// `z' V^-1 z`, and whether it is one.
///
/// In units of the number of events: `u = X z` with 22 digits, then `u' (2 z - V u)`, whose error is that of `u` squared.
fn form<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    moments: &Moments,
    (enough, p): (&RingShares, usize),
) -> Result<(Floats, RingShares)> {
    const TOP: u32 = COUNT_BITS + DIGITS + 2;
    let unit = normalise(&mut session.narrow("unit"), &moments.events.scale(1 << DIGITS), TOP)?;
    let columns = RingShares::concat(&[&moments.covariance, &moments.difference]);
    let factor = unit.factor.gather(&vec![0; columns.len()]);
    let scaled = multiply(&mut session.narrow("scale"), &columns, &factor)?;
    let (covariance, z) = (scaled.range(0..triangle(p)), scaled.range(triangle(p)..scaled.len()));
    let a = truncate(&mut session.narrow("cut"), masks, &covariance, TOP - A_DIGITS)?;
    let a = inverse::whole(&a, p);
    let start = inverse::start(session, p);
    let steps = (p, inverse::cold_steps(p));
    let x = inverse::improve(&mut session.narrow("inverse"), masks, &a, start, steps)?;
    let is_good = inverse::is_inverse(&mut session.narrow("good"), masks, &a, &x, p)?;
    let is_allowed = multiply(&mut session.narrow("allowed"), enough, &is_good)?;

    let rows: Vec<usize> = (0..p * p).map(|k| k % p).collect();
    let z_32 = truncate(&mut session.narrow("cut z"), masks, &z, TOP - 32)?;
    let product = inner_products(&mut session.narrow("first"), &x, &z_32.gather(&rows), p)?;
    let u = truncate(&mut session.narrow("round"), masks, &product, 32)?;
    let product = inner_products(&mut session.narrow("residual"), &a, &u.gather(&rows), p)?;
    let rest = z.scale(2 << (A_DIGITS + X_DIGITS - TOP)).sub(&product)?;
    let rest = truncate(&mut session.narrow("cut rest"), masks, &rest, A_DIGITS + X_DIGITS - 36)?;
    let value = inner_products(&mut session.narrow("value"), &u, &rest, p)?;
    let value = Floats::from_integers(&mut session.narrow("float"), masks, &value, 62)?;
    // In units of events 2^e: 2^(TOP - e) / 2^DIGITS for each.
    let exponent = value.exponent.sub(&unit.exponent)?;
    let value = Floats { exponent, ..value };
    Ok((value.times_power(session, i64::from(TOP - DIGITS) - i64::from(X_DIGITS + 36)), is_allowed))
}
