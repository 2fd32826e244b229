//! Positive numbers with a mantissa and a shared exponent, for values whose size is not known.
//!
//! `value = m * 2^e`, `m` an integer of [`MANTISSA_BITS`] bits, `e` any integer of the ring. Each operation is off by at most
//! `2^-27` of its result for numbers that are normalised; a product may have one bit less than its factors, which
//! [`Floats::normalised`] mends. Zero is a number of about `2^-400`: so much below all others that it is lost in sums.
//!
//! - Adversary: one node, semi-honest, or malicious with abort.
//! - Source: the format of Aliasgari, Blanton, Zhang, Steele, "Secure computation on floating point numbers" (NDSS 2013),
//!   section 4; deviation: no sign and no zero bit, normalised on demand instead of after every operation.

use crate::mpc::error::Result;
use crate::mpc::gates::compare::is_negative;
use crate::mpc::gates::convert::{bits_of, inject};
use crate::mpc::gates::multiply::multiply;
use crate::mpc::gates::select::select;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::masks::Masks;
use super::normalise::normalise;
use super::reciprocal::{MANTISSA_BITS, reciprocal};
use super::root::product_of;
use super::truncate::{multiply_scaled, truncate};

/// Bits of the difference of two exponents.
const EXPONENT_WIDTH: usize = 12;

/// The exponent of zero.
const ZERO_EXPONENT: i64 = -400;

/// The exponent below which a number is zero, unless it is known better.
pub const LEAST_EXPONENT: i32 = -300;

/// A column of positive numbers.
#[derive(Clone)]
pub struct Floats {
    /// Mantissas, below `2^31`.
    pub mantissa: RingShares,
    /// Exponents.
    pub exponent: RingShares,
}

impl Floats {
    /// From integers `0 <= x < 2^width`.
    ///
    /// Rounds: those of [`normalise`] and 2.
    ///
    /// # Errors
    /// When `width` is 0 or over 62; when a gate fails.
    pub fn from_integers<S: Security>(
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        x: &RingShares,
        width: u32,
    ) -> Result<Self> {
        let normal = normalise(&mut session.narrow("normalise"), x, width)?;
        let cut = i64::from(width) - i64::from(MANTISSA_BITS);
        let mantissa = match u32::try_from(cut) {
            Ok(bits) => truncate(&mut session.narrow("cut"), masks, &normal.value, bits)?,
            Err(_) => normal.value.scale(1 << cut.unsigned_abs()),
        };
        let role = session.role();
        let exponent = normal.exponent.neg().add_public(role, (cut - ZERO_EXPONENT).cast_unsigned());
        let both = RingShares::concat(&[&mantissa, &exponent]);
        let flags = RingShares::concat(&[&normal.is_positive, &normal.is_positive]);
        let kept = multiply(&mut session.narrow("zero"), &both, &flags)?;
        let exponent = kept.range(x.len()..2 * x.len()).add_public(role, ZERO_EXPONENT.cast_unsigned());
        Ok(Self { mantissa: kept.range(0..x.len()), exponent })
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mantissa.len()
    }

    /// True when there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mantissa.is_empty()
    }

    /// The values of a range.
    ///
    /// # Panics
    /// When the range goes past the end, as for slices.
    #[must_use]
    pub fn range(&self, range: std::ops::Range<usize>) -> Self {
        Self { mantissa: self.mantissa.range(range.clone()), exponent: self.exponent.range(range) }
    }

    /// One column after another.
    #[must_use]
    pub fn concat(columns: &[&Self]) -> Self {
        let all = |part: fn(&Self) -> &RingShares| {
            RingShares::concat(&columns.iter().map(|column| part(column)).collect::<Vec<_>>())
        };
        Self { mantissa: all(|column| &column.mantissa), exponent: all(|column| &column.exponent) }
    }

    /// `2^bits` times the values. Local.
    #[must_use]
    pub fn times_power(&self, session: &Session<'_, impl Security>, bits: i64) -> Self {
        let exponent = self.exponent.add_public(session.role(), bits.cast_unsigned());
        Self { mantissa: self.mantissa.clone(), exponent }
    }

    /// Products.
    ///
    /// Rounds: 2.
    ///
    /// # Errors
    /// When a gate fails.
    pub fn multiply<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        other: &Self,
    ) -> Result<Self> {
        let mantissa = multiply_scaled(session, masks, (&self.mantissa, &other.mantissa), MANTISSA_BITS)?;
        let exponent = self.exponent.add(&other.exponent)?;
        let exponent = exponent.add_public(session.role(), u64::from(MANTISSA_BITS));
        Ok(Self { mantissa, exponent })
    }

    /// Reciprocals of normalised numbers; of zero, some number.
    ///
    /// Rounds: 13.
    ///
    /// # Errors
    /// When a gate fails.
    pub fn reciprocal<S: Security>(&self, session: &mut Session<'_, S>, masks: &mut Masks) -> Result<Self> {
        let mantissa = reciprocal(session, masks, &self.mantissa)?;
        let exponent = self.exponent.neg().add_public(session.role(), 59u64.wrapping_neg());
        Ok(Self { mantissa, exponent })
    }

    /// Sums. The result has a bit more than the larger, cut again.
    ///
    /// Rounds: a comparison of 12 bits, the bits of one of 11 bits, two injections, and 7. Exponents may differ by up to
    /// 2047; what is more than `2^31` times smaller is left out.
    ///
    /// # Errors
    /// When a gate fails.
    pub fn add<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        other: &Self,
    ) -> Result<Self> {
        let (role, n) = (session.role(), self.len());
        // Step 1. The one with the greater exponent, and the distance.
        let difference = self.exponent.sub(&other.exponent)?;
        let is_less = is_negative(&mut session.narrow("less"), &difference, EXPONENT_WIDTH)?;
        let is_less = inject(&mut session.narrow("choice"), &is_less)?;
        let choice = RingShares::concat(&[&is_less, &is_less, &is_less]);
        let if_less = RingShares::concat(&[&other.exponent, &other.mantissa, &self.mantissa]);
        let if_not = RingShares::concat(&[&self.exponent, &self.mantissa, &other.mantissa]);
        let ordered = select(&mut session.narrow("order"), &choice, &if_less, &if_not)?;
        let [exponent, upper, lower] = [0, 1, 2].map(|k| ordered.range(k * n..(k + 1) * n));
        let distance = exponent.scale(2).sub(&self.exponent)?.sub(&other.exponent)?;

        // Step 2. The lower one shifted right by the distance: times 2^(31 - distance), over 2^31; nothing from 32 on.
        let bits = bits_of(&mut session.narrow("bits"), &distance, EXPONENT_WIDTH - 1)?;
        let bits = inject(&mut session.narrow("distance"), &bits)?;
        let factors: Vec<RingShares> = (0..EXPONENT_WIDTH - 1)
            .map(|b| {
                let kept = bits.range(b * n..(b + 1) * n).neg().add_public(role, 1);
                match b {
                    0..=4 => kept.scale((1 << (1 << b)) - 1).add_public(role, 1),
                    _ => kept,
                }
            })
            .collect();
        let power = product_of(&mut session.narrow("power"), &factors)?;
        let lower = multiply(&mut session.narrow("shift"), &lower, &power)?;
        // One bit is cut from both together.
        let total = lower.add(&upper.scale(1 << 31))?;
        let mantissa = truncate(&mut session.narrow("cut"), masks, &total, 32)?;
        Ok(Self { mantissa, exponent: exponent.add_public(role, 1) })
    }

    /// The same numbers with mantissas of [`MANTISSA_BITS`] bits again: the one form of each number, fit to be opened.
    ///
    /// Rounds: those of [`normalise`] of 31 bits and 1.
    ///
    /// # Errors
    /// When a gate fails.
    pub fn normalised<S: Security>(&self, session: &mut Session<'_, S>, masks: &mut Masks) -> Result<Self> {
        let again = Self::from_integers(session, masks, &self.mantissa, MANTISSA_BITS + 2)?;
        Ok(Self { mantissa: again.mantissa, exponent: again.exponent.add(&self.exponent)? })
    }
}

/// A number from its opened mantissa and exponent, zero where the exponent is below `least`; none when it is not one that
/// computations give.
#[must_use]
pub fn decode(mantissa: u64, exponent: u64, least: i32) -> Option<f64> {
    let exponent = i32::try_from(exponent.cast_signed()).ok().filter(|e| e.abs() < 4096)?;
    if exponent < least {
        return Some(0.0);
    }
    Some(mantissa.cast_signed() as f64 * f64::from(exponent).exp2()).filter(|number| number.is_finite())
}
