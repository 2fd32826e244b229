//! t-tests of two groups.
//!
//! - Parties: three nodes. Inputs: of each group shared counts `n`, sums `s` and sums of squares `q` of integers below `2^b` in
//!   magnitude, `n < 2^24`; a public floor `k`. Outputs: shares of `t` and of its degrees of freedom, or of nothing where a group
//!   has fewer than `max(k, 2)` or nothing varies.
//! - Opened: nothing. Whoever opens the output learns `t` and the degrees of freedom, or that they are suppressed.
//! - Sums of squares about the mean lose no digits: they are taken about an integer `m` near the mean, `q - m (s + r)` with
//!   `r = s - m n`, exact because only the result has to fit the ring; `r^2 / n` mends the rest. Values are first scaled up by
//!   as many bits as the ring has room for.
//! - Accuracy: `2^-23` of `t` and of the degrees of freedom where the standard deviation is 2^-10 of the values' range or
//!   more; measured: the page on numerics.
//! - Adversary: one node, semi-honest, or malicious with abort.

use crate::mpc::error::{MpcError, Result};
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::floats::Floats;
use crate::mpc::fixed::normalise::normalise;
use crate::mpc::fixed::reciprocal::reciprocal;
use crate::mpc::fixed::truncate::truncate;
use crate::mpc::gates::multiply::multiply;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::{COUNT_BITS, Released, Signed, Statistics, all_reach, expect_columns, magnitude};

/// Digits of a difference of means.
const MEAN_DIGITS: u32 = 20;

/// How the variances of the groups are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variances {
    /// Student's test: one variance for both.
    Equal,
    /// Welch's test: one for each.
    Unequal,
}

/// Sums of a group, one for each test.
#[derive(Clone)]
pub struct Group {
    /// Counts.
    pub n: RingShares,
    /// Sums.
    pub sum: RingShares,
    /// Sums of squares.
    pub squares: RingShares,
}

/// Moments of both groups of all tests, the first groups before the second.
struct Moments {
    /// Sums of squares about the mean.
    about_mean: RingShares,
    /// Means, [`MEAN_DIGITS`] digits.
    mean: RingShares,
}

/// Student's or Welch's t of the first group's mean less the second's, and the degrees of freedom; see [`t_of`].
///
/// `value_bits` bounds the values. Rounds: about 190. Bytes: about 6 kB a test.
///
/// # Errors
/// When columns differ in length; when `value_bits` is over 17; when a gate fails.
pub fn t_test<S: Security>(
    session: &mut Session<'_, S>,
    groups: &[Group; 2],
    (variances, value_bits): (Variances, u32),
    floor: u64,
) -> Result<Statistics> {
    let t = groups[0].n.len();
    for group in groups {
        expect_columns(&[group.n.clone(), group.sum.clone(), group.squares.clone()], t)?;
    }
    if value_bits > 17 {
        let found = u64::from(value_bits);
        return Err(MpcError::Parameter { what: "bits of a value", found, expected: "at most 17" });
    }
    let role = session.role();
    let mut masks = Masks::new(0);
    masks.reserve(&mut session.narrow("prepare"), 90 * t)?;
    let both =
        |column: fn(&Group) -> &RingShares| RingShares::concat(&[column(&groups[0]), column(&groups[1])]);
    let n = both(|group| &group.n);
    // Values are scaled by 2^up: sums of squares have 2 (value_bits + up) + 24 bits, at most 59.
    let up = (35 - 2 * value_bits) / 2;
    let sum = both(|group| &group.sum).scale(1 << up);
    let squares = both(|group| &group.squares).scale(1 << (2 * up));
    let bits = value_bits + up;
    let moments = moments(&mut session.narrow("moments"), &mut masks, (&n, &sum, &squares), bits)?;
    let difference = moments.mean.range(0..t).sub(&moments.mean.range(t..2 * t))?;
    let (difference, is_negative) = magnitude(&mut session.narrow("difference"), &difference, 62)?;

    // An answer needs rows and something that varies.
    let (first, second) = (n.range(0..t), n.range(t..2 * t));
    let spread = moments.about_mean.range(0..t).add(&moments.about_mean.range(t..2 * t))?;
    let least = floor.max(2);
    let enough =
        all_reach(&mut session.narrow("floor"), &[(&first, least), (&second, least)], COUNT_BITS + 2)?;
    let varies = all_reach(&mut session.narrow("varies"), &[(&spread, 64)], 63)?;
    let is_allowed = multiply(&mut session.narrow("allowed"), &enough, &varies)?;

    let less = n.add_public(role, 1u64.wrapping_neg());
    let pooled = first.add(&second)?.add_public(role, 2u64.wrapping_neg());
    let all = RingShares::concat(&[&moments.about_mean, &n, &less, &difference, &spread, &pooled]);
    let floats = Floats::from_integers(&mut session.narrow("floats"), &mut masks, &all, 62)?;
    let part = |from: usize, to: usize| floats.range(from * t..to * t);
    let parts = Parts {
        about_mean: part(0, 2),
        n: part(2, 4),
        less: part(4, 6),
        difference: part(6, 7),
        spread: part(7, 8),
        pooled: part(8, 9),
    };
    let (square, freedom) = match variances {
        Variances::Unequal => parts.welch(&mut session.narrow("welch"), &mut masks)?,
        Variances::Equal => parts.student(&mut session.narrow("student"), &mut masks)?,
    };
    // The difference has 20 digits.
    let square = square.times_power(session, -2 * i64::from(MEAN_DIGITS));
    let values = [
        Signed { is_negative: Some(is_negative), magnitude: square },
        Signed { is_negative: None, magnitude: freedom },
    ];
    Statistics::from_values(&mut session.narrow("release"), &mut masks, &is_allowed, &values)
}

/// `t` and the degrees of freedom of a released test: the first value is the square of `t` with the sign of `t`.
#[must_use]
pub fn t_of(released: &Released) -> Option<(f64, f64)> {
    match released {
        Released::Values(values) => {
            let [square, freedom] = values[..] else { return None };
            Some((square.abs().sqrt().copysign(square), freedom))
        }
        Released::Suppressed => None,
    }
}

fn moments<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    (n, sum, squares): (&RingShares, &RingShares, &RingShares),
    bits: u32,
) -> Result<Moments> {
    // Step 1. w = 2^59 / (n 2^(e + 2)), where n 2^e has 28 bits.
    let width = COUNT_BITS + 4;
    let normal = normalise(&mut session.narrow("normalise"), n, width)?;
    let w = reciprocal(&mut session.narrow("reciprocal"), masks, &normal.value.scale(4))?;

    // Step 2. m near s / n: s 2^e cut to 30 bits, times w.
    let scaled = multiply(&mut session.narrow("scale"), sum, &normal.factor)?;
    let scaled = truncate(&mut session.narrow("cut"), masks, &scaled, bits - 2)?;
    let product = multiply(&mut session.narrow("mean"), &scaled, &w)?;
    let m = truncate(&mut session.narrow("round"), masks, &product, 59 - bits)?;

    // Step 3. r = s - m n and q - m (s + r), exactly.
    let rest = sum.sub(&multiply(&mut session.narrow("rest"), &m, n)?)?;
    let left = RingShares::concat(&[&m, &rest]);
    let right = RingShares::concat(&[&sum.add(&rest)?, &normal.factor]);
    let products = multiply(&mut session.narrow("about"), &left, &right)?;
    let about_m = squares.sub(&products.range(0..n.len()))?;
    let rest_scaled = products.range(n.len()..2 * n.len());

    // Step 4. r / n in 20 digits and r^2 / n.
    let left = RingShares::concat(&[&rest_scaled, &rest]);
    let right = RingShares::concat(&[&w, &rest_scaled]);
    let products = multiply(&mut session.narrow("ratio"), &left, &right)?;
    let ratio = products.range(0..n.len());
    let ratio = truncate(&mut session.narrow("cut ratio"), masks, &ratio, 57 - MEAN_DIGITS)?;
    let square = products.range(n.len()..2 * n.len());
    let square = truncate(&mut session.narrow("cut square"), masks, &square, 27)?;
    let excess = multiply(&mut session.narrow("excess"), &square, &w)?;
    let excess = truncate(&mut session.narrow("cut excess"), masks, &excess, 57 - 27)?;
    Ok(Moments { about_mean: about_m.sub(&excess)?, mean: m.scale(1 << MEAN_DIGITS).add(&ratio)? })
}

/// What both tests are made of, as numbers with an exponent.
struct Parts {
    about_mean: Floats,
    n: Floats,
    less: Floats,
    difference: Floats,
    spread: Floats,
    pooled: Floats,
}

impl Parts {
    /// `v_g = SS_g / (n_g (n_g - 1))`, `t^2 = d^2 / (v_1 + v_2)`, `(v_1 + v_2)^2 / sum v_g^2 / (n_g - 1)`.
    fn welch<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
    ) -> Result<(Floats, Floats)> {
        let t = self.difference.len();
        let counts = Floats::concat(&[&self.n, &self.less]);
        let inverse = counts.reciprocal(&mut session.narrow("counts"), masks)?;
        let (over_n, over_less) = (inverse.range(0..2 * t), inverse.range(2 * t..4 * t));
        let variance = self.about_mean.multiply(&mut session.narrow("v n"), masks, &over_n)?;
        let variance = variance.multiply(&mut session.narrow("v"), masks, &over_less)?;
        let variance = variance.normalised(&mut session.narrow("normalise v"), masks)?;
        let square = variance.multiply(&mut session.narrow("v v"), masks, &variance)?;
        let weighted = square.multiply(&mut session.narrow("weigh"), masks, &over_less)?;
        let upper = Floats::concat(&[&variance.range(0..t), &weighted.range(0..t)]);
        let lower = Floats::concat(&[&variance.range(t..2 * t), &weighted.range(t..2 * t)]);
        let sums = upper.add(&mut session.narrow("sums"), masks, &lower)?;
        let sums = sums.normalised(&mut session.narrow("normalise sums"), masks)?;
        let inverse = sums.reciprocal(&mut session.narrow("inverse"), masks)?;
        let total = sums.range(0..t);
        let squares = Floats::concat(&[&self.difference, &total]);
        let squares = squares.multiply(&mut session.narrow("squares"), masks, &squares)?;
        let out = squares.multiply(&mut session.narrow("out"), masks, &inverse)?;
        Ok((out.range(0..t), out.range(t..2 * t)))
    }

    /// `t^2 = d^2 (n_1 + n_2 - 2) n_1 n_2 / ((SS_1 + SS_2)(n_1 + n_2))`, by `1 / n_1 + 1 / n_2`.
    fn student<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
    ) -> Result<(Floats, Floats)> {
        let t = self.difference.len();
        let over_n = self.n.reciprocal(&mut session.narrow("counts"), masks)?;
        let weight = over_n.range(0..t).add(&mut session.narrow("weight"), masks, &over_n.range(t..2 * t))?;
        let variance = self.spread.multiply(&mut session.narrow("spread"), masks, &weight)?;
        let variance = variance.normalised(&mut session.narrow("normalise"), masks)?;
        let inverse = variance.reciprocal(&mut session.narrow("inverse"), masks)?;
        let square = self.difference.multiply(&mut session.narrow("square"), masks, &self.difference)?;
        let square = square.multiply(&mut session.narrow("freedom"), masks, &self.pooled)?;
        let square = square.multiply(&mut session.narrow("out"), masks, &inverse)?;
        Ok((square, self.pooled.clone()))
    }
}
