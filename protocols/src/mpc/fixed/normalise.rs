//! Normalisation: a positive integer times the power of two that brings it to the top of its range.
//!
//! - Parties: three. Inputs: shares of `x` with `0 <= x < 2^width`. Outputs: shares of `x * 2^e`, `2^e` and `e`, where
//!   `2^(width - 1) <= x * 2^e < 2^width`; for `x = 0` all of `0`, `1`, `0`.
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Rounds: those of the bits of `x`, `ceil(log2(width))`, those of one conversion, and 3.
//! - Source: Catrina and Saxena, "Secure computation with fixed-point numbers" (Financial Cryptography 2010), protocol
//!   Norm: prefix-or of the bits, most significant bit, power of two.
//! - Deviation: the position of the top bit is written in binary by local sums of the one-hot bits, so that 6 bits are
//!   converted to numbers instead of `width`; the power is the product of one factor for each.

use crate::mpc::error::{MpcError, Result};
use crate::mpc::gates::boolean::or;
use crate::mpc::gates::convert::{bits_of, inject};
use crate::mpc::gates::multiply::multiply;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

/// Bits of an exponent.
const EXPONENT_BITS: usize = 6;

/// What normalisation gives, value by value.
pub struct Normalised {
    /// `x * 2^e`.
    pub value: RingShares,
    /// `2^e`.
    pub factor: RingShares,
    /// `e`.
    pub exponent: RingShares,
    /// The bits of `e`, lowest first.
    pub bits: [RingShares; EXPONENT_BITS],
    /// 1 when `x > 0`.
    pub is_positive: RingShares,
}

/// Normalises values of `width` bits.
///
/// # Errors
/// When `width` is 0 or over 63; when a gate fails.
pub fn normalise<S: Security>(
    session: &mut Session<'_, S>,
    x: &RingShares,
    width: u32,
) -> Result<Normalised> {
    if !(1..=63).contains(&width) {
        return Err(MpcError::Parameter {
            what: "a width",
            found: u64::from(width),
            expected: "1 to 63 bits",
        });
    }
    let bits = bits_of(&mut session.narrow("bits"), x, width as usize)?;
    let position = position(&mut session.narrow("position"), &bits)?;
    let numbers = inject(&mut session.narrow("convert"), &position)?;
    let bits: [RingShares; EXPONENT_BITS] =
        std::array::from_fn(|b| numbers.range(b * x.len()..(b + 1) * x.len()));
    let is_positive = numbers.range(EXPONENT_BITS * x.len()..numbers.len());
    let mut exponent = RingShares::zeros(x.len());
    for (b, bit) in bits.iter().enumerate() {
        exponent = exponent.add(&bit.scale(1 << b))?;
    }
    // 2^e is the product of (1 + bit_b (2^(2^b) - 1)).
    let role = session.role();
    let factors: [RingShares; EXPONENT_BITS] =
        std::array::from_fn(|b| bits[b].scale((1u64 << (1 << b)).wrapping_sub(1)).add_public(role, 1));
    let [f0, f1, f2, f3, f4, f5] = &factors;
    let n = x.len();
    let pairs = multiply(
        &mut session.narrow("pairs"),
        &RingShares::concat(&[f0, f2, f4]),
        &RingShares::concat(&[f1, f3, f5]),
    )?;
    let [p0, p1, p2] = [0, 1, 2].map(|k| pairs.range(k * n..(k + 1) * n));
    // p0 and x p0, times p1 p2.
    let halves = multiply(
        &mut session.narrow("halves"),
        &RingShares::concat(&[&p1, x]),
        &RingShares::concat(&[&p2, &p0]),
    )?;
    let [upper, scaled] = [0, 1].map(|k| halves.range(k * n..(k + 1) * n));
    let ends = multiply(
        &mut session.narrow("ends"),
        &RingShares::concat(&[&p0, &scaled]),
        &RingShares::concat(&[&upper, &upper]),
    )?;
    let [factor, value] = [0, 1].map(|k| ends.range(k * n..(k + 1) * n));
    Ok(Normalised { value, factor, exponent, bits, is_positive })
}

/// How far the top bit of each value is from the top plane, in six bits, 0 when there is none; and whether there is one.
fn position<S: Security>(session: &mut Session<'_, S>, bits: &BitShares) -> Result<BitShares> {
    let width = bits.width;
    // Step 1. From the top: reached[i] is the disjunction of the i + 1 highest bits (Sklansky's network).
    let mut reached: Vec<BitShares> = (0..width).rev().map(|b| bits.planes(b..b + 1)).collect();
    let mut level = 0;
    while 1 << level < width {
        let changed: Vec<usize> = (0..width).filter(|i| i >> level & 1 == 1).collect();
        let before = |i: usize| ((i >> level) << level) - 1;
        let left: Vec<&BitShares> = changed.iter().map(|i| &reached[*i]).collect();
        let right: Vec<&BitShares> = changed.iter().map(|i| &reached[before(*i)]).collect();
        let (left, right) = (BitShares::concat(&left)?, BitShares::concat(&right)?);
        let merged = or(&mut session.narrow_at("level", level), &left, &right)?;
        for (k, i) in changed.into_iter().enumerate() {
            reached[i] = merged.planes(k..k + 1);
        }
        level += 1;
    }
    // Step 2. The top bit is where the disjunction begins; its place in binary is a sum of these modulo 2.
    let mut place = vec![BitShares::zeros(1, bits.len); EXPONENT_BITS];
    for i in 1..width {
        let is_top = reached[i].xor(&reached[i - 1])?;
        for (b, bit) in place.iter_mut().enumerate() {
            if i >> b & 1 == 1 {
                *bit = bit.xor(&is_top)?;
            }
        }
    }
    place.push(reached.swap_remove(width - 1));
    BitShares::concat(&place.iter().collect::<Vec<_>>())
}
