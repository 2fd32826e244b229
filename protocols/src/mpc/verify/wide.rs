//! Integers of 192 bits: sums of products of which no bit may be lost.

use ward_math::prime::Prime;

/// Words of a [`Wide`].
const WORDS: usize = 3;

/// Bits of a limb: 2^17 of them add up in a word.
const LIMB_BITS: u32 = 47;

/// An integer between `-2^191` and `2^191`, in two's complement, lowest word first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wide([u64; WORDS]);

impl Wide {
    /// Words on the wire.
    pub(super) const WORDS: usize = WORDS;

    /// Limbs of a sum of products of 130 bits.
    pub(super) const LIMBS: usize = 3;

    /// The product of two sums of words, `a_0 + a_1` and `b_0 + b_1`.
    #[inline]
    pub(super) fn product(a: [u64; 2], b: [u64; 2]) -> Self {
        let (x, x_over) = a[0].overflowing_add(a[1]);
        let (y, y_over) = b[0].overflowing_add(b[1]);
        let low = u128::from(x) * u128::from(y);
        let (x_over, y_over) = (u64::from(x_over), u64::from(y_over));
        // x_over y + y_over x, below 2^65, at 2^64.
        let middle = u128::from(y & x_over.wrapping_neg()) + u128::from(x & y_over.wrapping_neg());
        let high = (low >> 64) + middle;
        Self([low as u64, high as u64, (high >> 64) as u64 + (x_over & y_over)])
    }

    /// The sum.
    #[inline]
    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut out = [0; WORDS];
        let mut carry = false;
        for (i, out) in out.iter_mut().enumerate() {
            let (sum, over) = self.0[i].overflowing_add(other.0[i]);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            (*out, carry) = (sum, over | over_again);
        }
        Self(out)
    }

    /// The difference.
    pub(super) fn less(&self, other: &Self) -> Self {
        self.plus(&Self(other.0.map(|word| !word))).plus(&Self([1, 0, 0]))
    }

    /// Less a word.
    pub(super) fn less_word(&self, word: u64) -> Self {
        self.less(&Self([word, 0, 0]))
    }

    /// Divided by 2^64, rounded down.
    pub(super) fn shifted(&self) -> Self {
        let [_, low, high] = self.0;
        Self([low, high, ((high as i64) >> 63) as u64])
    }

    /// Limbs of 47 bits, lowest first, the last one with all above: of an integer that is not negative and below 2^158.
    #[inline]
    pub(super) fn limbs(&self) -> [u64; Self::LIMBS] {
        const MASK: u64 = (1 << LIMB_BITS) - 1;
        let [a, b, c] = self.0;
        [a & MASK, ((a >> 47) | (b << 17)) & MASK, (b >> 30) | (c << 34)]
    }

    /// From sums of limbs.
    pub(super) fn from_limbs(limbs: [u128; Self::LIMBS]) -> Self {
        limbs.iter().enumerate().fold(Self::default(), |sum, (at, limb)| {
            let shift = LIMB_BITS * at as u32;
            let (word, bits) = ((shift / 64) as usize, shift % 64);
            let mut shifted = [0; WORDS];
            for (i, part) in [*limb as u64, (*limb >> 64) as u64].iter().enumerate() {
                if let Some(out) = shifted.get_mut(i + word) {
                    *out |= part << bits;
                }
                if bits > 0
                    && let Some(out) = shifted.get_mut(i + word + 1)
                {
                    *out |= part >> (64 - bits);
                }
            }
            sum.plus(&Self(shifted))
        })
    }

    /// What hides an integer below 2^100 to 2^-60: 160 bits of random words.
    pub(super) fn mask(words: &[u64]) -> Self {
        let [a, b, c] = Self::read(words).0;
        Self([a, b, c & 0xffff_ffff])
    }

    /// From a peer's words; every pattern is one.
    pub(super) fn read(words: &[u64]) -> Self {
        Self(core::array::from_fn(|i| words.get(i).copied().unwrap_or(0)))
    }

    /// The words.
    pub(super) fn words(&self) -> [u64; WORDS] {
        self.0
    }

    /// Modulo a prime.
    pub(super) fn residue(&self, prime: Prime) -> u64 {
        let [a, b, c] = self.0;
        let low = prime.residue((u128::from(b) << 64) | u128::from(a));
        // c 2^128, less 2^192 where it is negative.
        let top = prime.sub(prime.canonical(c), if c >> 63 == 1 { prime.grow(1) } else { 0 });
        prime.add(low, prime.grow(prime.grow(top)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn limbs_make_the_product_again(a: [u64; 2], b: [u64; 2], count in 1u64..1000) {
            let product = Wide::product(a, b);
            let mut sum = Wide::default();
            let mut limbs = [0u128; Wide::LIMBS];
            for _ in 0..count {
                sum = sum.plus(&product);
                for (sum, limb) in limbs.iter_mut().zip(product.limbs()) {
                    *sum += u128::from(limb);
                }
            }
            prop_assert_eq!(Wide::from_limbs(limbs), sum);
        }

        #[test]
        fn residues_are_those_of_the_integer(a: [u64; 2], b: [u64; 2], c: [u64; 3], seed: u64) {
            let mut state = seed;
            let prime = Prime::draw_vartime(|| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                state
            });
            let sum = |x: [u64; 2]| prime.residue(u128::from(x[0]) + u128::from(x[1]));
            let product = Wide::product(a, b);
            prop_assert_eq!(product.residue(prime), prime.mul(sum(a), sum(b)));
            let other = Wide(c.map(|word| word >> 2)).shifted();
            let difference = product.less(&other);
            prop_assert_eq!(difference.residue(prime), prime.sub(product.residue(prime), other.residue(prime)));
            prop_assert_eq!(difference.plus(&other), product);
            // A multiple of 2^64 and a word.
            let rest = prime.residue(u128::from(difference.words()[0]));
            let back = prime.add(prime.grow(difference.shifted().residue(prime)), rest);
            prop_assert_eq!(back, difference.residue(prime));
        }
    }
}
