//! Wide integers as planes of 27-bit digits, and their reduction to RNS.
//!
//! A batch of `N` integers below `2^(27 D)` is `[D][N]`: plane `j` holds digit `j` of every integer. Reduction
//! modulo a prime is then `D` multiply-adds a lane and one Montgomery reduction.

use crate::error::{Error, Result};
use crate::modulus::PRIME_BITS;
use crate::ring::Ring;

/// Most digits an integer may have: the sum of `32` products of 54 bits stays below 2^59.
pub const DIGITS_MAX: usize = 32;

/// Number of 27-bit digits that hold `bits` bits.
#[must_use]
pub const fn digits_for(bits: u32) -> usize {
    bits.div_ceil(PRIME_BITS) as usize
}

/// The affine map `x -> scale_l * x + offset_l mod q_l` on integers of `D` digits.
#[derive(Debug, Clone)]
pub struct DigitMap {
    digits: usize,
    /// `[L][D]`: `scale_l * 2^(27 j) * 2^32 mod q_l`.
    pub(crate) constants: Vec<u32>,
    /// `[L]`, below `q_l`.
    pub(crate) offsets: Vec<u32>,
}

impl DigitMap {
    /// The map with `(scale_l, offset_l)` for every limb, on integers of `digits` digits.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than [`DIGITS_MAX`] digits; [`Error::Limbs`] when `affine` has another length
    /// than the ring has limbs.
    pub fn new(ring: &Ring, digits: usize, affine: &[(u32, u32)]) -> Result<Self> {
        if digits > DIGITS_MAX {
            return Err(Error::Limit { declared: digits as u64, limit: DIGITS_MAX as u64 });
        }
        if affine.len() != ring.limbs() {
            return Err(Error::Limbs(affine.len()));
        }
        let mut constants = Vec::with_capacity(digits * affine.len());
        let mut offsets = Vec::with_capacity(affine.len());
        for (m, &(scale, offset)) in ring.moduli().zip(affine) {
            let radix = m.reduce(1 << PRIME_BITS);
            let mut power = m.mul(m.reduce(scale), m.r1);
            for _ in 0..digits {
                constants.push(power);
                power = m.mul(power, radix);
            }
            offsets.push(m.reduce(offset));
        }
        Ok(Self { digits, constants, offsets })
    }

    /// `D`.
    #[must_use]
    pub fn digits(&self) -> usize {
        self.digits
    }
}
