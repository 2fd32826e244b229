//! Carry-less multiplication of words: what a kernel needs of it, and the portable one.

use crate::lanes::Lane;

/// Products of polynomials over GF(2) of degree under 64.
pub(crate) trait Clmul {
    /// Evidence that the instructions exist.
    type Proof: Copy;
    /// A polynomial of degree under 128.
    type Wide: Copy + Into<u128>;
    fn wide(proof: Self::Proof, value: u128) -> Self::Wide;
    fn mul(proof: Self::Proof, a: u64, b: u64) -> Self::Wide;
    fn xor(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The sum of the products of the lanes.
    fn dot(proof: Self::Proof, a: &Lane, b: &Lane) -> Self::Wide;
    /// Modulo `X^64 + X^4 + X^3 + X + 1`.
    fn reduce(wide: Self::Wide) -> u64;
}

/// Integer multiplications of every fourth bit (Pornin, BearSSL, `ctmul64`): the three bits between hold the carries
/// of a column of up to 15 ones; only the topmost column can have 16, whose carry falls off.
pub(crate) struct Portable;

/// The low half of a product: four residue classes of bit positions, so that carries stay inside the holes.
#[inline(always)]
fn low(a: u64, b: u64) -> u64 {
    const CLASS: u64 = 0x1111_1111_1111_1111;
    let part = |x: u64, class: u32| x & (CLASS << class);
    let mut out = 0;
    for class in 0..4 {
        let mut sum = 0;
        for i in 0..4 {
            let j = (4 + class - i) % 4;
            sum ^= part(a, i).wrapping_mul(part(b, j));
        }
        out |= part(sum, class);
    }
    out
}

impl Clmul for Portable {
    type Proof = ();
    type Wide = u128;
    #[inline(always)]
    fn wide((): (), value: u128) -> u128 {
        value
    }
    #[inline(always)]
    fn mul((): (), a: u64, b: u64) -> u128 {
        // The high half is the low half of the product of the reversed words, reversed, one bit down.
        let high = low(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
        (u128::from(high) << 64) | u128::from(low(a, b))
    }
    #[inline(always)]
    fn xor(a: u128, b: u128) -> u128 {
        a ^ b
    }
    #[inline(always)]
    fn dot((): (), a: &Lane, b: &Lane) -> u128 {
        a.iter().zip(b).fold(0, |sum, (a, b)| sum ^ Self::mul((), *a, *b))
    }
    #[inline(always)]
    fn reduce(wide: u128) -> u64 {
        crate::gf64::reduce(wide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_portable_product_equals_shifts_and_sums(a: u64, b: u64) {
            let slow = (0..64).fold(0, |sum, i| sum ^ ((u128::from(a) << i) & u128::from((b >> i) & 1).wrapping_neg()));
            prop_assert_eq!(Portable::mul((), a, b), slow);
        }
    }

    #[test]
    fn the_portable_product_of_all_ones_is_right() {
        let expected = (0..64).fold(0, |sum, i| sum ^ (u128::from(u64::MAX) << i));
        assert_eq!(Portable::mul((), u64::MAX, u64::MAX), expected);
    }
}
