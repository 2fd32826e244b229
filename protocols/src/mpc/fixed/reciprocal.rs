//! Reciprocals of normalised numbers, and of positive integers.
//!
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Source: Catrina and Saxena, "Secure computation with fixed-point numbers" (Financial Cryptography 2010), section 4:
//!   normalise, linear first guess, quadratically convergent steps. Deviations: Newton's step `w (2 - b w)`, which mends
//!   its own rounding, for Goldschmidt's; and the guess `48/17 - 32/17 b`, whose relative error is least, for
//!   `2.9142 - 2 b`.
//! - Error: the guess is off by at most 1/17 of the reciprocal, three steps take that to 17^-8 = 1.4e-10; each step rounds
//!   twice by at most 2 units of 2^-30. All in all below 2^-27.5 of the result; measured: the page on numerics.

use crate::mpc::error::Result;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::masks::Masks;
use super::truncate::{multiply_scaled, truncate};

/// Binary digits of a mantissa: `2^(MANTISSA_BITS - 1) <= m < 2^MANTISSA_BITS`.
pub const MANTISSA_BITS: u32 = 30;

/// `2^59 / m` for mantissas `m`, which read as numbers of [1/2, 1): a mantissa again, up to and with `2^30`.
///
/// Rounds: 12. Masks: 6 a value.
///
/// # Errors
/// When a gate fails.
pub fn reciprocal<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    mantissa: &RingShares,
) -> Result<RingShares> {
    masks.reserve(session, 6 * mantissa.len())?;
    let role = session.role();
    // w has 29 digits after the point, b has 30: w_0 = 48/17 - 32/17 b.
    let slope = truncate(&mut session.narrow("guess"), masks, &mantissa.scale(fixed(32.0 / 17.0, 29)), 30)?;
    let mut w = slope.neg().add_public(role, fixed(48.0 / 17.0, 29));
    for step in 0..3 {
        let mut session = session.narrow_at("newton", step);
        let product = multiply_scaled(&mut session.narrow("bw"), masks, (mantissa, &w), 30)?;
        let rest = product.neg().add_public(role, 2 << 29);
        w = multiply_scaled(&mut session.narrow("w"), masks, (&w, &rest), 29)?;
    }
    Ok(w)
}

/// A constant with `digits` binary digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "constants of programs, below 2^62"
)]
pub(crate) fn fixed(value: f64, digits: u32) -> u64 {
    (value * f64::from(digits).exp2()).round() as i64 as u64
}
