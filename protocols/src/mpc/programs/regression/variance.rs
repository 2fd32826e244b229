//! Variances of coefficients, from the inverse of the information in scaled units to numbers that may be opened.

use crate::mpc::error::Result;
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::floats::{Floats, LEAST_EXPONENT, decode};
use crate::mpc::fixed::truncate::truncate;
use crate::mpc::gates::open::open;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::inverse::V_DIGITS;
use super::scaling::Scaling;

/// Shared variances: `p` mantissas, then `p` exponents, of normalised numbers. They say nothing but the variances.
pub struct Variances {
    /// To be opened, or sealed to whom they are for.
    pub shares: RingShares,
    pub(super) units: Vec<f64>,
}

/// Variances as integers, and by what each is to be multiplied.
pub(super) struct Raw {
    pub integers: RingShares,
    pub units: Vec<f64>,
}

impl Variances {
    /// By what each decoded number is to be multiplied to be a variance. Public.
    #[must_use]
    pub fn units(&self) -> &[f64] {
        &self.units
    }

    /// Standard errors in the units of the covariates, from opened shares; none when they are not those of variances.
    #[must_use]
    pub fn standard_errors(&self, opened: &[u64]) -> Option<Vec<f64>> {
        standard_errors(&self.units, opened)
    }

    /// Opens the standard errors to all nodes.
    ///
    /// # Errors
    /// When a check or the channel fails.
    pub fn open<S: Security>(&self, session: &mut Session<'_, S>) -> Result<Vec<f64>> {
        let opened = open(session, &self.shares)?;
        let failed = session.check_failed(None, "opened variances");
        self.standard_errors(&opened).ok_or(failed)
    }
}

/// The variances in the units of the covariates, but for a common factor, of an inverse with [`V_DIGITS`] digits.
///
/// The intercept in these units is `b_0 - sum b_j centre_j / half_j`: its variance is a quadratic form of the whole inverse
/// with public factors, four times which are integers.
pub(super) fn raw<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    inverse: &RingShares,
    scalings: &[Scaling],
    has_intercept: bool,
) -> Result<Raw> {
    let first = usize::from(has_intercept);
    let p = scalings.len() + first;
    let diagonal: Vec<usize> = (first..p).map(|j| j * p + j).collect();
    let mut integers = inverse.gather(&diagonal);
    if has_intercept {
        let quarters: Vec<i64> =
            std::iter::once(4).chain(scalings.iter().map(|s| -s.offset_quarters())).collect();
        let cut = match V_DIGITS - intercept_digits(scalings) {
            0 => inverse.clone(),
            bits => truncate(&mut session.narrow("cut"), masks, inverse, bits)?,
        };
        let weights: Vec<u64> =
            (0..p * p).map(|k| (quarters[k / p] * quarters[k % p]).cast_unsigned()).collect();
        integers = RingShares::concat(&[&cut.scale_each(&weights)?.sum(), &integers]);
    }
    Ok(Raw { integers, units: units(scalings, has_intercept) })
}

/// Standard errors from opened mantissas and exponents; none when they are not those of variances.
pub(super) fn standard_errors(units: &[f64], opened: &[u64]) -> Option<Vec<f64>> {
    let (mantissas, exponents) = opened.split_at_checked(units.len())?;
    if exponents.len() != units.len() {
        return None;
    }
    let pairs = mantissas.iter().zip(exponents).zip(units);
    pairs.map(|((m, e), unit)| Some((decode(*m, *e, LEAST_EXPONENT)? * unit).sqrt())).collect()
}

/// How many digits the intercept's quadratic form keeps: it is at most `spread^2` times an entry below `2^14`, cut to what
/// fits 61 bits. `spread` is the sum of its factors.
fn intercept_digits(scalings: &[Scaling]) -> u32 {
    let spread: u64 = 4 + scalings.iter().map(|s| s.offset_quarters().unsigned_abs()).sum::<u64>();
    V_DIGITS.min((61 - 14) - 2 * (64 - spread.leading_zeros()))
}

/// By what the integers of [`raw`] are to be multiplied. Public.
pub(super) fn units(scalings: &[Scaling], has_intercept: bool) -> Vec<f64> {
    let unit = (-f64::from(V_DIGITS)).exp2();
    let slopes = scalings.iter().map(|s| unit / (s.half() * s.half()));
    let intercept = has_intercept.then(|| (-f64::from(intercept_digits(scalings)) - 4.0).exp2());
    intercept.into_iter().chain(slopes).collect()
}

/// Variances ready to be opened: normalised, with `exponent` added to every exponent.
pub(super) fn finish<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    raw: Raw,
    exponent: &RingShares,
) -> Result<Variances> {
    let floats = Floats::from_integers(session, masks, &raw.integers, 62)?;
    let exponents = floats.exponent.add(&exponent.gather(&vec![0; floats.len()]))?;
    Ok(Variances { shares: RingShares::concat(&[&floats.mantissa, &exponents]), units: raw.units })
}
