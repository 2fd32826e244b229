//! Powers of one half, and with a factor of `log2 e` the exponential of what is not positive.
//!
//! - Parties: three. Inputs: shares of `y >= 0` (or below zero by rounding) with a public number of digits, below `2^24`.
//!   Outputs: `2^-y = fraction * 2^-whole`, the fraction in (1/2, 1] with 30 digits; the whole part as a number, and its low bits.
//! - The whole part is read off the bits of `y`; the fraction is a polynomial of degree 8 in `f - 1/2`, the Taylor series there,
//!   off by at most 2^-32. With rounding the error is at most 2^-26 of the result.
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Rounds: those of 54 bits, those of an injection, and 10. Masks: 9 a value.
//! - Source: split into whole and fractional part as in Aly and Smart, "Benchmarking privacy preserving scientific operations"
//!   (ACNS 2019), section 3 (exponential); the polynomial is Taylor's.

use crate::mpc::error::{MpcError, Result};
use crate::mpc::gates::boolean::or;
use crate::mpc::gates::convert::{bits_of, inject};
use crate::mpc::gates::multiply::multiply;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

use super::masks::Masks;
use super::reciprocal::fixed;
use super::truncate::truncate;

/// Bits of a whole part.
const WHOLE_BITS: usize = 24;
/// Bits of a whole part that a caller gets one by one.
const NEAR_BITS: usize = 6;

/// Powers of one half.
pub struct Powers {
    /// `2^-f` for the fractional part `f`, [`Powers::DIGITS`] digits.
    pub fraction: RingShares,
    /// The whole part.
    pub whole: RingShares,
    /// Its six low bits, lowest first.
    pub bits: Vec<RingShares>,
    /// 1 where it is 64 or more.
    pub is_far: RingShares,
}

impl Powers {
    /// Digits of a fraction.
    pub const DIGITS: u32 = 30;
}

/// Powers `2^-y` of numbers with `digits` digits, 30 to 38.
///
/// # Errors
/// When `digits` is out of range; when a gate fails.
pub fn powers_of_half<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    y: &RingShares,
    digits: u32,
) -> Result<Powers> {
    if !(Powers::DIGITS..=38).contains(&digits) {
        return Err(MpcError::Parameter { what: "digits", found: u64::from(digits), expected: "30 to 38" });
    }
    masks.reserve(session, 9 * y.len())?;
    let (role, n) = (session.role(), y.len());
    // Step 1. 30 digits; four units more, so that rounding leaves nothing below zero.
    let y = truncate(&mut session.narrow("cut"), masks, y, digits - Powers::DIGITS)?.add_public(role, 4);
    let all = bits_of(&mut session.narrow("bits"), &y, Powers::DIGITS as usize + WHOLE_BITS)?;
    let whole = all.planes(Powers::DIGITS as usize..all.width);
    let far = any(&mut session.narrow("far"), &whole.planes(NEAR_BITS..WHOLE_BITS))?;
    let bits = inject(&mut session.narrow("inject"), &BitShares::concat(&[&whole, &far])?)?;
    let bit = |k: usize| bits.range(k * n..(k + 1) * n);
    let mut number = RingShares::zeros(n);
    for k in 0..WHOLE_BITS {
        number = number.add(&bit(k).scale(1 << k))?;
    }

    // Step 2. The polynomial in t = f - 1/2.
    let fraction = y.sub(&number.scale(1 << Powers::DIGITS))?;
    let t = fraction.add_public(role, (1u64 << (Powers::DIGITS - 1)).wrapping_neg());
    let mut powers = vec![t];
    for level in 0..3 {
        // From t .. t^m to t .. t^2m: the highest times all.
        let m = powers.len();
        let left = RingShares::concat(&vec![&powers[m - 1]; m]);
        let right = RingShares::concat(&powers.iter().collect::<Vec<_>>());
        let product = multiply(&mut session.narrow_at("powers", level), &left, &right)?;
        let product = truncate(&mut session.narrow_at("cut powers", level), masks, &product, Powers::DIGITS)?;
        powers.extend((0..m).map(|k| product.range(k * n..(k + 1) * n)));
    }
    let mut sum = RingShares::zeros(n);
    let mut coefficient = 0.5f64.sqrt();
    let constant = fixed(coefficient, 2 * Powers::DIGITS);
    for (k, power) in powers.iter().enumerate() {
        coefficient *= -std::f64::consts::LN_2 / (k + 1) as f64;
        sum = sum.add(&power.scale(fixed(coefficient, Powers::DIGITS)))?;
    }
    let sum = sum.add_public(role, constant);
    let fraction = truncate(&mut session.narrow("round"), masks, &sum, Powers::DIGITS)?;
    let is_far = bit(WHOLE_BITS);
    Ok(Powers { fraction, whole: number, bits: (0..NEAR_BITS).map(bit).collect(), is_far })
}

/// The disjunction of all planes.
fn any<S: Security>(session: &mut Session<'_, S>, x: &BitShares) -> Result<BitShares> {
    let mut left = x.clone();
    for level in 0.. {
        let half = left.width / 2;
        if half == 0 {
            break;
        }
        let (low, high) = (left.planes(0..half), left.planes(half..2 * half));
        let merged = or(&mut session.narrow_at("any", level), &low, &high)?;
        left = BitShares::concat(&[&merged, &left.planes(2 * half..left.width)])?;
    }
    Ok(left)
}
