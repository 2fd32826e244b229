//! The fixed primes and arithmetic modulo one of them.

/// Number of bits of every prime.
pub const PRIME_BITS: u32 = 27;

/// The sixteen largest primes below 2^27 that are 1 modulo 2^15, in falling order.
///
/// A profile with `L` limbs uses the first `L`. Congruence to 1 modulo 2^15 gives a primitive `2N`-th root of
/// unity for every `N <= 16384`.
pub const PRIMES: [u32; 16] = [
    133_857_281,
    132_710_401,
    132_612_097,
    132_120_577,
    131_923_969,
    131_694_593,
    131_530_753,
    131_432_449,
    130_809_857,
    130_744_321,
    130_121_729,
    130_056_193,
    129_138_689,
    128_253_953,
    127_795_201,
    127_664_129,
];

/// One prime with the constants its reductions need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modulus {
    /// The prime `q`.
    pub(crate) q: u32,
    /// `floor(2^32 / q)`, for Barrett reduction of 32-bit values.
    pub(crate) barrett: u32,
    /// `-q^-1 mod 2^32`, for Montgomery reduction.
    pub(crate) neg_inv: u32,
    /// `2^32 mod q`.
    pub(crate) r1: u32,
    /// `2^64 mod q`.
    pub(crate) r2: u32,
}

impl Modulus {
    /// The modulus for limb `limb`, or `None` past the sixteen fixed primes.
    #[must_use]
    pub fn for_limb(limb: usize) -> Option<Self> {
        PRIMES.get(limb).map(|&q| Self::from_prime(q))
    }

    fn from_prime(q: u32) -> Self {
        let mut inv = q; // correct modulo 2^3; every step doubles the number of correct bits
        for _ in 0..4 {
            inv = inv.wrapping_mul(2u32.wrapping_sub(q.wrapping_mul(inv)));
        }
        let wide = u64::from(q);
        let r1 = ((1u64 << 32) % wide) as u32;
        let r2 = (u64::from(r1) * u64::from(r1) % wide) as u32;
        Self { q, barrett: ((1u64 << 32) / wide) as u32, neg_inv: inv.wrapping_neg(), r1, r2 }
    }

    /// The prime.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.q
    }

    /// `x mod q` for any 64-bit `x` (variable time, for public values and tables).
    #[must_use]
    pub fn reduce_u64_vartime(&self, x: u64) -> u32 {
        (x % u64::from(self.q)) as u32
    }

    /// `x mod q` for any `x`, without a branch or a division.
    #[must_use]
    #[inline(always)]
    pub fn reduce(&self, x: u32) -> u32 {
        let quotient = ((u64::from(x) * u64::from(self.barrett)) >> 32) as u32;
        let r = x.wrapping_sub(quotient.wrapping_mul(self.q));
        r.min(r.wrapping_sub(self.q))
    }

    /// `a + b mod q` for `a, b < q`.
    #[must_use]
    #[inline(always)]
    pub fn add(&self, a: u32, b: u32) -> u32 {
        let s = a.wrapping_add(b);
        s.min(s.wrapping_sub(self.q))
    }

    /// `a - b mod q` for `a, b < q`.
    #[must_use]
    #[inline(always)]
    pub fn sub(&self, a: u32, b: u32) -> u32 {
        let d = a.wrapping_sub(b);
        d.min(d.wrapping_add(self.q))
    }

    /// `-a mod q` for `a < q`.
    #[must_use]
    #[inline(always)]
    pub fn neg(&self, a: u32) -> u32 {
        let d = self.q.wrapping_sub(a);
        d.min(d.wrapping_sub(self.q))
    }

    /// Montgomery reduction: `x * 2^-32 mod q` in `[0, 3q)` for `x < 2^59`.
    #[must_use]
    #[inline(always)]
    pub(crate) fn redc_lazy(&self, x: u64) -> u32 {
        let m = (x as u32).wrapping_mul(self.neg_inv);
        ((x + u64::from(m) * u64::from(self.q)) >> 32) as u32
    }

    /// `a * b mod q` for `a, b < q`, without a branch or a division.
    #[must_use]
    #[inline(always)]
    pub fn mul(&self, a: u32, b: u32) -> u32 {
        let low = self.redc_lazy(u64::from(a) * u64::from(b));
        self.reduce(self.redc_lazy(u64::from(low) * u64::from(self.r2)))
    }

    /// `base^exponent mod q` (variable time in the exponent).
    #[must_use]
    pub fn pow_vartime(&self, base: u32, mut exponent: u64) -> u32 {
        let (mut result, mut power) = (1, base);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, power);
            }
            power = self.mul(power, power);
            exponent >>= 1;
        }
        result
    }

    /// The inverse of `a`, or `None` for zero.
    #[must_use]
    pub fn inv(&self, a: u32) -> Option<u32> {
        (a != 0).then(|| self.pow_vartime(a, u64::from(self.q) - 2))
    }

    /// Shoup's quotient `floor(w * 2^32 / q)` of a fixed operand `w < q`.
    ///
    /// Computed without a division: `w * 2^32 = floor * q + (w * 2^32 mod q)`, and `floor` is exact modulo
    /// 2^32 through the inverse of `q`.
    #[must_use]
    #[inline(always)]
    pub fn shoup(&self, w: u32) -> u32 {
        let rest = self.mul(w, self.r1); // w * 2^32 mod q
        rest.wrapping_mul(self.neg_inv) // (0 - rest) / q mod 2^32
    }

    /// `x * w mod q` in `[0, 2q)` for any 32-bit `x`, with `quotient = shoup(w)`.
    #[must_use]
    #[inline(always)]
    pub fn mul_shoup_lazy(&self, x: u32, w: u32, quotient: u32) -> u32 {
        let high = ((u64::from(x) * u64::from(quotient)) >> 32) as u32;
        x.wrapping_mul(w).wrapping_sub(high.wrapping_mul(self.q))
    }

    /// A primitive `2n`-th root of unity, `n` a power of two up to 16384: the smallest generator's power.
    pub(crate) fn primitive_root(&self, n: usize) -> u32 {
        let order = 2 * n as u64;
        let exponent = (u64::from(self.q) - 1) / order;
        let mut candidate = 2;
        loop {
            let root = self.pow_vartime(candidate, exponent);
            if self.pow_vartime(root, n as u64) == self.q - 1 {
                return root;
            }
            candidate += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_prime(n: u32) -> bool {
        n > 1 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
    }

    #[test]
    fn primes_are_the_largest_with_the_congruence() {
        let mut expected = Vec::new();
        let mut candidate = (1u32 << PRIME_BITS) - (1 << 15) + 1;
        while expected.len() < PRIMES.len() {
            if is_prime(candidate) {
                expected.push(candidate);
            }
            candidate -= 1 << 15;
        }
        assert_eq!(PRIMES.as_slice(), expected.as_slice());
    }

    #[test]
    fn primitive_root_has_the_full_order() {
        for l in 0..16 {
            let m = Modulus::for_limb(l).expect("limb");
            let root = m.primitive_root(16384);
            assert_eq!(m.pow_vartime(root, 16384), m.value() - 1);
        }
        assert!(Modulus::for_limb(16).is_none());
    }

    proptest! {
        #[test]
        fn arithmetic_matches_wide_integers(l in 0usize..16, a in any::<u32>(), b in any::<u32>(), x in any::<u32>()) {
            let m = Modulus::for_limb(l).expect("limb");
            let q = u64::from(m.value());
            prop_assert_eq!(u64::from(m.reduce(x)), u64::from(x) % q);
            let (a, b) = (m.reduce(a), m.reduce(b));
            let (wa, wb) = (u64::from(a), u64::from(b));
            prop_assert_eq!(u64::from(m.add(a, b)), (wa + wb) % q);
            prop_assert_eq!(u64::from(m.sub(a, b)), (wa + q - wb) % q);
            prop_assert_eq!(u64::from(m.neg(a)), (q - wa) % q);
            prop_assert_eq!(u64::from(m.mul(a, b)), wa * wb % q);
            prop_assert_eq!(u64::from(m.shoup(a)), (wa << 32) / q);
            let lazy = u64::from(m.mul_shoup_lazy(x, a, m.shoup(a)));
            prop_assert!(lazy < 2 * q);
            prop_assert_eq!(lazy % q, u64::from(x) * wa % q);
            prop_assert_eq!(m.inv(a).map(|i| m.mul(i, a)), (a != 0).then_some(1));
        }
    }
}
