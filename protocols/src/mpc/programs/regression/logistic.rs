//! Logistic regression by Newton's method.
//!
//! - Parties: three nodes; any number of hospitals, which get the coefficients of each iteration in the clear and return
//!   shares of [`super::local::logit_sums`].
//! - Opened: whether the floor forbids an answer; the coefficients of each iteration; whether the information matrix can
//!   be inverted at the last. The standard errors stay in shares, for whoever may have them.
//! - Adversary: one node, semi-honest, or malicious with abort; every opening is verified first.
//! - Rounds and bytes: the page on numerics; for 10 coefficients below 300 rounds and 1 MB semi-honest.
//! - Source: Newton's method on locally computed gradients and information matrices, as in El Emam et al., "A secure
//!   distributed logistic regression protocol for the detection of rare adverse drug events" (JAMIA 2013), section
//!   "Methods"; here the sums are pooled, inverted and multiplied in shares.

use crate::mpc::fixed::Masks;
use crate::mpc::fixed::normalise::normalise;
use crate::mpc::gates::multiply::multiply;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::super::{ProgramError, Result};
use super::inverse;
use super::local::{SUM_BITS, scale, triangle};
use super::newton::{Newton, Slope};
use super::scaling::unscale;
use super::variance::{self, Variances};
use super::{Fit, Hospitals, Model, expect_sums, hold_floor};

/// The sum of the weights at zero coefficients, a quarter of the rows, in binary digits.
const TOP: u32 = SUM_BITS - 2;

/// A step below this settles.
const SETTLED: f64 = 2.4e-10;

/// Fits a model with an intercept.
///
/// # Errors
/// [`ProgramError`]; when the model has no covariate or over 63.
pub fn fit<S: Security>(
    session: &mut Session<'_, S>,
    model: &Model,
    hospitals: &mut impl Hospitals<S>,
) -> Result<Fit> {
    let p = model.columns(1)?;
    let mut masks = Masks::new(0);
    masks.reserve(&mut session.narrow("prepare"), masks_of(p, 3))?;
    // Weights are greatest at zero and shrink on the way: the last inverse is never too large.
    let mut newton = Newton::new(p, SETTLED, f64::INFINITY);
    let mut unit = None;
    for iteration in 0..model.iterations_max {
        let mut session = session.narrow_at("iteration", iteration);
        let sums = hospitals.sums(&mut session.narrow("sums"), iteration, &newton.beta)?;
        expect_sums(&sums, 2 + p + triangle(p))?;
        let unit = match &unit {
            Some(unit) => unit,
            None => {
                let (n, positives) = (sums.range(0..1), sums.range(1..2));
                let negatives = n.sub(&positives)?;
                hold_floor(&mut session.narrow("floor"), &[&n, &positives, &negatives], model.floor)?;
                let weight = sums.range(2 + p..3 + p);
                unit.insert(normalise(&mut session.narrow("unit"), &weight, TOP)?)
            }
        };
        let columns = sums.range(2..sums.len());
        let factor = unit.factor.gather(&vec![0; columns.len()]);
        let scaled = multiply(&mut session.narrow("scale"), &columns, &factor)?;
        let slope =
            Slope { gradient: scaled.range(0..p), information: scaled.range(p..scaled.len()), top: TOP };
        if iteration % 3 == 0 && iteration > 0 {
            masks.reserve(&mut session.narrow("prepare"), 3 * masks_of_iteration(p))?;
        }
        newton.step(&mut session, &mut masks, &slope)?;
        if newton.is_settled() {
            let exponent = unit.exponent.add_public(
                session.role(),
                (i64::from(scale(model.rows_max)) - i64::from(TOP)).cast_unsigned(),
            );
            return finish(
                &mut session.narrow("finish"),
                &mut masks,
                model,
                newton,
                (iteration + 1, &exponent),
            );
        }
    }
    Err(ProgramError::NotConverged { iterations: model.iterations_max })
}

fn finish<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    model: &Model,
    newton: Newton,
    (iterations, exponent): (usize, &RingShares),
) -> Result<Fit> {
    let p = newton.beta.len();
    let x = newton.inverse.ok_or(ProgramError::Singular)?;
    let refined = inverse::refine(&mut session.narrow("refine"), masks, &newton.matrix, &x, p)?;
    if !refined.open_verdict(&mut session.narrow("verdict"))? {
        return Err(ProgramError::Singular);
    }
    let raw =
        variance::raw(&mut session.narrow("variances"), masks, &refined.inverse, &model.scalings, true)?;
    let variances: Variances = variance::finish(&mut session.narrow("normalise"), masks, raw, exponent)?;
    Ok(Fit { coefficients: unscale(&newton.beta, &model.scalings, true), variances, iterations })
}

fn masks_of_iteration(p: usize) -> usize {
    inverse::masks_of(p, 2) + triangle(p) + 2 * p
}

fn masks_of(p: usize, iterations: usize) -> usize {
    inverse::masks_of(p, inverse::cold_steps(p) - 2) + iterations * masks_of_iteration(p)
}
