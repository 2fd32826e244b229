//! Linear regression: the normal equations, solved in shares.
//!
//! - Parties: three nodes; any number of hospitals, each of which shared [`super::local::linear_sums`] once.
//! - Opened: nothing. A verdict (suppressed, an answer, a matrix that cannot be inverted), the rows, the coefficients and the
//!   variances are shares, for whoever may have them; all but the verdict are zero where there is no answer.
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - The Gram matrix in units of the rows is inverted ([`super::inverse`]); `b = X X'y` is refined once by its residual, which is
//!   exact because only the small result has to fit the ring; the residual sum of squares is `y'y - b'X'y - b'r`, in which
//!   the error of `b` counts squared.
//! - Rounds: about 190 semi-honest, of which 4 for each of `12 + log2 p` steps of the inverse.

use crate::mpc::fixed::Masks;
use crate::mpc::fixed::floats::Floats;
use crate::mpc::fixed::normalise::normalise;
use crate::mpc::fixed::truncate::{truncate, truncate_each};
use crate::mpc::gates::boolean::and;
use crate::mpc::gates::convert::inject;
use crate::mpc::gates::multiply::{inner_products, multiply};
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

use super::super::Result;
use super::inverse::{self, A_DIGITS, V_DIGITS, X_DIGITS};
use super::local::{SUM_BITS, triangle};
use super::scaling::{Scaling, unscale};
use super::variance::{self, standard_errors};
use super::{Model, expect_sums, reaches_floor};

/// Digits of a coefficient.
const B_DIGITS: u32 = 40;
/// Digits of a coefficient before it is refined.
const FIRST_DIGITS: u32 = 20;

/// Words of a model with `p` coefficients: a verdict, the rows, coefficients, then mantissas and exponents of the variances of
/// the coefficients and of the residuals.
#[must_use]
pub fn words(p: usize) -> usize {
    2 + p + 2 * (p + 1)
}

/// What was fitted, from its opened words.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Too few rows.
    Suppressed,
    /// The covariates are linearly dependent, or nearly so.
    Singular,
    /// A model.
    Line(Line),
}

/// A fitted model, opened, in the units of covariates and outcome; the intercept first.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Rows.
    pub rows: u64,
    /// Coefficients.
    pub coefficients: Vec<f64>,
    /// Their standard errors.
    pub standard_errors: Vec<f64>,
    /// Variance of the residuals.
    pub residual_variance: f64,
}

impl Verdict {
    /// Reads opened words; none when they are not those of a model with these scalings.
    #[must_use]
    pub fn decode(scalings: &[Scaling], outcome: Scaling, opened: &[u64]) -> Option<Self> {
        let p = scalings.len() + 1;
        let ([verdict, rows], rest) = opened.split_first_chunk::<2>()?;
        if opened.len() != words(p) {
            return None;
        }
        match verdict {
            0 => return Some(Self::Suppressed),
            2 => return Some(Self::Singular),
            1 => {}
            _ => return None,
        }
        let (coefficients, variances) = rest.split_at_checked(p)?;
        let y = outcome.half();
        let scaled: Vec<f64> = coefficients
            .iter()
            .map(|word| word.cast_signed() as f64 / f64::from(B_DIGITS).exp2() * y)
            .collect();
        let mut coefficients = unscale(&scaled, scalings, true);
        *coefficients.first_mut()? += outcome.centre();
        let mut errors: Vec<f64> =
            standard_errors(&units(scalings), variances)?.into_iter().map(|error| error * y).collect();
        let residual_variance = errors.pop()?.powi(2);
        Some(Self::Line(Line { rows: *rows, coefficients, standard_errors: errors, residual_variance }))
    }
}

/// By what the decoded variances are to be multiplied: those of the coefficients, then that of the residuals.
fn units(scalings: &[Scaling]) -> Vec<f64> {
    let coefficients = variance::units(scalings, true).into_iter().map(|u| u * (-f64::from(SUM_BITS)).exp2());
    coefficients.chain(std::iter::once(1.0)).collect()
}

/// Fits a model with an intercept to pooled sums: [`words`] words, which [`Verdict::decode`] reads when they are opened.
///
/// # Errors
/// When the model has no covariate or over 63; when a gate fails.
pub fn fit<S: Security>(
    session: &mut Session<'_, S>,
    model: &Model,
    sums: &RingShares,
) -> Result<RingShares> {
    let p = model.columns(1)?;
    expect_sums(sums, 2 + p + triangle(p))?;
    let n = sums.range(0..1);
    // More rows than coefficients, so that there is a residual variance.
    let floor = model.floor.max(p as u64 + 1);
    let is_enough = reaches_floor(&mut session.narrow("floor"), &[&n], floor)?;
    let mut masks = Masks::new(0);
    let steps = inverse::cold_steps(p);
    masks.reserve(
        &mut session.narrow("prepare"),
        inverse::masks_of(p, steps + 1) + 2 * triangle(p) + 64 * p,
    )?;

    // Step 1. Sums in units of the rows: 60 digits.
    let unit = normalise(&mut session.narrow("unit"), &sums.range(1..2), SUM_BITS)?;
    let columns = sums.range(1..sums.len());
    let factor = unit.factor.gather(&vec![0; columns.len()]);
    let scaled = multiply(&mut session.narrow("scale"), &columns, &factor)?;
    let t = triangle(p);
    let equations = Equations {
        p,
        gram: inverse::whole(&scaled.range(0..t), p),
        right: scaled.range(t..t + p),
        square: scaled.range(t + p..t + p + 1),
    };

    // Step 2. The inverse.
    let a = truncate(&mut session.narrow("cut"), &mut masks, &equations.gram, SUM_BITS - A_DIGITS)?;
    let start = inverse::start(session, p);
    let x = inverse::improve(&mut session.narrow("inverse"), &mut masks, &a, start, (p, steps))?;
    let refined = inverse::refine(&mut session.narrow("refine"), &mut masks, &a, &x, p)?;
    // Step 3. Coefficients, residuals, variances.
    let (coefficients, residual) = equations.solve(&mut session.narrow("solve"), &mut masks, &x)?;
    let raw = variance::raw(&mut session.narrow("raw"), &mut masks, &refined.inverse, &model.scalings, true)?;
    let freedom = n.add_public(session.role(), (p as u64).wrapping_neg());
    // What is common to numerator and denominator (units of rows and sums) is left out of both.
    let all = RingShares::concat(&[&raw.integers, &residual, &freedom]);
    let floats = Floats::from_integers(&mut session.narrow("floats"), &mut masks, &all, 62)?;
    let inverse_freedom =
        floats.range(p + 1..p + 2).reciprocal(&mut session.narrow("freedom"), &mut masks)?;
    let residual = floats.range(p..p + 1);
    let sigma = residual.multiply(&mut session.narrow("sigma"), &mut masks, &inverse_freedom)?;
    let copies = vec![0; p];
    let sigmas =
        Floats { mantissa: sigma.mantissa.gather(&copies), exponent: sigma.exponent.gather(&copies) };
    let products = floats.range(0..p).multiply(&mut session.narrow("products"), &mut masks, &sigmas)?;
    // The residual variance is in units of rows: 2^(exponent of the unit + digits of a sum) are taken back.
    let away = unit.exponent.add_public(session.role(), u64::from(super::local::scale(model.rows_max)));
    let sigma = Floats { exponent: sigma.exponent.sub(&away)?, ..sigma };
    let normal =
        Floats::concat(&[&products, &sigma]).normalised(&mut session.narrow("normalise"), &mut masks)?;
    let answer = RingShares::concat(&[&n, &coefficients, &normal.mantissa, &normal.exponent]);
    seal(&mut session.narrow("seal"), [&is_enough, &refined.is_good], &answer)
}

/// The verdict, and the answer where there is one.
fn seal<S: Security>(
    session: &mut Session<'_, S>,
    [is_enough, is_good]: [&BitShares; 2],
    answer: &RingShares,
) -> Result<RingShares> {
    let both = and(&mut session.narrow("both"), is_enough, is_good)?;
    let flags = inject(&mut session.narrow("inject"), &BitShares::concat(&[is_enough, &both])?)?;
    let (enough, shown) = (flags.range(0..1), flags.range(1..2));
    let kept = multiply(&mut session.narrow("keep"), answer, &shown.gather(&vec![0; answer.len()]))?;
    // 0 when there are too few, 1 when there is an answer, else 2.
    let verdict = enough.scale(2).sub(&shown)?;
    Ok(RingShares::concat(&[&verdict, &kept]))
}

/// The normal equations in units of the rows, 60 digits.
struct Equations {
    p: usize,
    gram: RingShares,
    right: RingShares,
    square: RingShares,
}

impl Equations {
    /// Coefficients with 40 digits and the residual sum of squares with 60.
    fn solve<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        x: &RingShares,
    ) -> Result<(RingShares, RingShares)> {
        let p = self.p;
        let rows: Vec<usize> = (0..p * p).map(|k| k % p).collect();
        // Step 1. The right side with 34 and 40 digits, the matrix with 50.
        let all = RingShares::concat(&[&self.right, &self.right, &self.gram]);
        let digits = |k: usize| {
            if k < p {
                34
            } else if k < 2 * p {
                40
            } else {
                50
            }
        };
        let shifts: Vec<u32> = (0..all.len()).map(|k| SUM_BITS - digits(k)).collect();
        let cut = truncate_each(&mut session.narrow("cut"), masks, &all, &shifts)?;
        let (right_34, right_40) = (cut.range(0..p), cut.range(p..2 * p));
        let gram_50 = cut.range(2 * p..cut.len());

        // Step 2. b = X X'y with 20 digits; what is rounded away here comes back with the residual.
        let product = inner_products(&mut session.narrow("first"), x, &right_34.gather(&rows), p)?;
        let first =
            truncate(&mut session.narrow("cut first"), masks, &product, X_DIGITS + 34 - FIRST_DIGITS)?;

        // Step 3. r = X'y - A b, 70 digits, of which 24 are cut: it is below 2^-8.
        let product = inner_products(&mut session.narrow("residual"), &gram_50, &first.gather(&rows), p)?;
        let rest = self.right.scale(1 << 10).sub(&product)?;
        let rest = truncate(&mut session.narrow("cut residual"), masks, &rest, 24)?;
        let correction = inner_products(&mut session.narrow("correct"), x, &rest.gather(&rows), p)?;
        let down = X_DIGITS + 46 - B_DIGITS;
        let ends = RingShares::concat(&[&correction, &rest]);
        let shifts: Vec<u32> = (0..2 * p).map(|k| if k < p { down } else { 6 }).collect();
        let ends = truncate_each(&mut session.narrow("cut ends"), masks, &ends, &shifts)?;
        let b = first.scale(1 << (B_DIGITS - FIRST_DIGITS)).add(&ends.range(0..p))?;

        // Step 4. y'y - b'(X'y + r) at the b of step 2.
        let both = right_40.add(&ends.range(p..2 * p))?;
        let explained = inner_products(&mut session.narrow("explained"), &first, &both, p)?;
        Ok((b, self.square.sub(&explained)?))
    }
}

const _: () = assert!(V_DIGITS + 14 <= 61 && FIRST_DIGITS + 40 == SUM_BITS);
