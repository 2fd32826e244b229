//! Square roots of non-negative integers, and their reciprocals.
//!
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Source: Newton's step `w (3 - b w^2) / 2` from a linear guess, on a normalised number with an even exponent: Liedel,
//!   "Secure distributed computation of the square root and applications" (ISPEC 2012), sections 3 and 4. Deviation: Newton's
//!   step throughout, which mends its own rounding, where they end with Goldschmidt's.
//! - Error: the guess `2.13278 - 1.21873 b` is off by at most 8.6% on [1/4, 1); the error goes through `1.5 e^2` four
//!   times, to below 1e-13, and three roundings of each step remain.

use crate::mpc::error::{MpcError, Result};
use crate::mpc::gates::multiply::multiply;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::masks::Masks;
use super::normalise::{Normalised, normalise};
use super::reciprocal::fixed;
use super::truncate::{multiply_scaled, truncate};

/// Digits of the numbers inside.
const DIGITS: u32 = 29;

/// Root and reciprocal root of a normalised number.
pub struct Roots {
    /// `sqrt(b)` in [1/2, 1), 29 digits.
    pub root: RingShares,
    /// `1 / sqrt(b)` in (1, 2], 29 digits.
    pub inverse: RingShares,
}

/// Roots of numbers `b` in [1/4, 1) with 29 digits.
///
/// Rounds: 27. Masks: 14 a value.
///
/// # Errors
/// When a gate fails.
pub fn roots<S: Security>(session: &mut Session<'_, S>, masks: &mut Masks, b: &RingShares) -> Result<Roots> {
    masks.reserve(session, 14 * b.len())?;
    let role = session.role();
    let slope = truncate(&mut session.narrow("guess"), masks, &b.scale(fixed(1.218_73, DIGITS)), DIGITS)?;
    let mut w = slope.neg().add_public(role, fixed(2.132_78, DIGITS));
    for step in 0..4 {
        let mut session = session.narrow_at("newton", step);
        let bw = multiply_scaled(&mut session.narrow("bw"), masks, (b, &w), DIGITS)?;
        let bww = multiply_scaled(&mut session.narrow("bww"), masks, (&bw, &w), DIGITS)?;
        let rest = bww.neg().add_public(role, 3 << DIGITS);
        w = multiply_scaled(&mut session.narrow("w"), masks, (&w, &rest), DIGITS + 1)?;
    }
    let root = multiply_scaled(&mut session.narrow("root"), masks, (b, &w), DIGITS)?;
    Ok(Roots { root, inverse: w })
}

/// `sqrt(x)` with `digits` digits after the point, for integers `0 <= x < 2^width`; `digits + width / 2` at most 60.
///
/// The error is at most 2^-26 of the root, and 3 units. Zero gives zero, off by at most 3 units.
///
/// # Errors
/// When `width` is 0 or over 60; when a gate fails.
pub fn square_root<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    x: &RingShares,
    (width, digits): (u32, u32),
) -> Result<RingShares> {
    let even = width + width % 2;
    if !(1..=60).contains(&width) || digits + even / 2 > 31 + DIGITS {
        return Err(MpcError::Parameter {
            what: "the digits of a root",
            found: u64::from(digits),
            expected: "at most 60 less half the width, which is 1 to 60",
        });
    }
    let Normalised { value, bits, is_positive, .. } = normalise(&mut session.narrow("normalise"), x, even)?;
    let role = session.role();
    // b = x 2^(e - odd) 2^-even with e - odd even: x = b 2^(even - e + odd).
    let [odd, rest @ ..] = &bits;
    // (2 - odd) value has one digit more: b 2^(even + 1).
    let halved = multiply(&mut session.narrow("even"), &value, &odd.neg().add_public(role, 2))?;
    let b = match even + 1 > DIGITS {
        true => truncate(&mut session.narrow("cut"), masks, &halved, even + 1 - DIGITS)?,
        false => halved.scale(1 << (DIGITS - even - 1)),
    };
    let root = roots(&mut session.narrow("roots"), masks, &b)?.root;
    // sqrt(x) = sqrt(b) 2^(even / 2 - h), h = (e - odd) / 2 in the bits after the first; 2^(31 - h) is whole.
    let mut factors: Vec<RingShares> = rest
        .iter()
        .enumerate()
        .map(|(k, bit)| bit.neg().add_public(role, 1).scale((1 << (1 << k)) - 1).add_public(role, 1))
        .collect();
    factors.push(is_positive);
    let power = product_of(&mut session.narrow("power"), &factors)?;
    let product = multiply(&mut session.narrow("scale"), &root, &power)?;
    // The root is the product over 2^(DIGITS + 31 - even / 2).
    truncate(&mut session.narrow("round"), masks, &product, 31 + DIGITS - even / 2 - digits)
}

/// The product of columns, element by element.
///
/// Rounds: `ceil(log2(columns))`.
///
/// # Errors
/// When a gate fails.
pub(super) fn product_of<S: Security>(
    session: &mut Session<'_, S>,
    columns: &[RingShares],
) -> Result<RingShares> {
    let mut left = columns.to_vec();
    let len = left.first().map_or(0, RingShares::len);
    for level in 0.. {
        let pairs = left.len() / 2;
        if pairs == 0 {
            break;
        }
        let side = |k: usize| RingShares::concat(&(0..pairs).map(|i| &left[2 * i + k]).collect::<Vec<_>>());
        let product = multiply(&mut session.narrow_at("level", level), &side(0), &side(1))?;
        let rest = left.split_off(2 * pairs);
        left = (0..pairs).map(|i| product.range(i * len..(i + 1) * len)).chain(rest).collect();
    }
    Ok(left.pop().unwrap_or_default())
}
