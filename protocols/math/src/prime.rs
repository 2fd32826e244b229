//! Fields of a random prime order between 2^56 and 2^57: what integers are compared in when nobody could foresee the
//! prime.
//!
//! A *short* value is a word below 2^58 that stands for its residue; kernels take and give short values, and only
//! [`Prime::canonical`] ones are below the prime. Reduction is Montgomery's: it divides by 2^64, exactly.

use crate::karatsuba::Tree;

/// Binary logarithm of what every such prime is above.
pub const BITS: u32 = 56;

/// Bases for which the test of Miller and Rabin is exact below 2^78 (Sorenson, Webster, "Strong pseudoprimes to twelve
/// prime bases", 2015).
const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Columns that are multiplied together.
const STRIP: usize = 32;

/// A prime between 2^56 and 2^57.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prime {
    p: u64,
    /// `-1 / p` modulo 2^64.
    negated_inverse: u64,
    /// 2^128 modulo `p`.
    square: u64,
}

impl Prime {
    /// A uniform one, from uniform words. Variable time: the prime is public.
    #[must_use]
    pub fn draw_vartime(mut word: impl FnMut() -> u64) -> Self {
        loop {
            let candidate = Self::odd((1 << BITS) | (word() >> (64 - BITS)) | 1);
            if candidate.is_prime() {
                return candidate;
            }
        }
    }

    /// Arithmetic modulo an odd number between 2^56 and 2^57.
    fn odd(p: u64) -> Self {
        // Newton: each step doubles the bits that are right, of which `p` itself has three.
        let inverse = (0..5).fold(p, |x, _| x.wrapping_mul(2u64.wrapping_sub(p.wrapping_mul(x))));
        let power = u128::from(u64::MAX) % u128::from(p) + 1;
        let square = power * power % u128::from(p);
        Self { p, negated_inverse: inverse.wrapping_neg(), square: square as u64 }
    }

    fn is_prime(&self) -> bool {
        let (minus, shift) = (self.p - 1, (self.p - 1).trailing_zeros());
        BASES.iter().all(|base| {
            let mut power = self.power(*base, minus >> shift);
            let mut is_witness = power != 1 && power != minus;
            for _ in 1..shift {
                power = self.mul(power, power);
                is_witness &= power != minus;
            }
            !is_witness
        })
    }

    fn power(&self, base: u64, exponent: u64) -> u64 {
        let bits = (0..u64::BITS - exponent.leading_zeros()).rev();
        bits.fold(1, |power, bit| {
            let square = self.mul(power, power);
            if (exponent >> bit) & 1 == 1 { self.mul(square, base) } else { square }
        })
    }

    /// The prime.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.p
    }

    /// `wide / 2^64` modulo the prime, for `wide` below 2^127: less than `wide / 2^64` and the prime together, so short
    /// for `wide` below 2^121.
    #[inline(always)]
    #[must_use]
    pub fn shrink(&self, wide: u128) -> u64 {
        let multiple = (wide as u64).wrapping_mul(self.negated_inverse);
        ((wide + u128::from(multiple) * u128::from(self.p)) >> 64) as u64
    }

    /// The residue of any word.
    #[must_use]
    pub fn canonical(&self, value: u64) -> u64 {
        self.less(self.shrink(u128::from(self.shrink(u128::from(value) * u128::from(self.square)))))
    }

    /// Of a value below twice the prime, without a branch or a division.
    #[inline(always)]
    fn less(&self, value: u64) -> u64 {
        let (less, is_below) = value.overflowing_sub(self.p);
        less.wrapping_add(self.p & u64::from(is_below).wrapping_neg())
    }

    /// The residue of any two words: uniform, to 2^-71, where they are.
    #[must_use]
    pub fn residue(&self, value: u128) -> u64 {
        self.add(self.canonical(value as u64), self.grow((value >> 64) as u64))
    }

    /// `value * 2^64`: what [`Prime::shrink`] takes away from a product.
    #[must_use]
    pub fn grow(&self, value: u64) -> u64 {
        self.less(self.shrink(u128::from(self.canonical(value)) * u128::from(self.square)))
    }

    /// The sum of residues.
    #[must_use]
    pub fn add(&self, a: u64, b: u64) -> u64 {
        self.less(a + b)
    }

    /// The difference of residues.
    #[must_use]
    pub fn sub(&self, a: u64, b: u64) -> u64 {
        self.less(a + self.p - b)
    }

    /// The product of residues.
    #[must_use]
    pub fn mul(&self, a: u64, b: u64) -> u64 {
        let product = self.shrink(u128::from(a) * u128::from(b));
        self.less(self.shrink(u128::from(product) * u128::from(self.square)))
    }

    /// Adds up, over the columns, the products of a polynomial whose coefficients are the `k` rows of `u` and of one
    /// whose coefficients are the rows of `v` in reverse order, as [`crate::gf64::add_products`] does, each sum divided
    /// by 2^64. Values are short, `k` is a power of two up to 32; [`Prime::finish`] makes residues of the sums.
    pub fn add_products(&self, sums: &mut [u128], u: &[&[u64]], v: &[&[u64]]) {
        let tree = Tree::new(u.len(), 1);
        let columns = u.iter().chain(v).map(|row| row.len()).max().unwrap_or(0);
        // Sums of `k` short values: products below 2^116 k^2, of which so many stay below 2^127.
        let run = (1usize << 11usize.saturating_sub(2 * u.len().ilog2() as usize)).min(STRIP);
        let (mut left, mut right) = (vec![[0; STRIP]; tree.len], vec![[0; STRIP]; tree.len]);
        for start in (0..columns).step_by(STRIP) {
            fill(&mut left, &tree, u.iter(), start);
            fill(&mut right, &tree, v.iter().rev(), start);
            for (sum, leaf) in sums.iter_mut().zip(&tree.leaves) {
                for (a, b) in left[*leaf].chunks_exact(run).zip(right[*leaf].chunks_exact(run)) {
                    let mut product = 0u128;
                    for i in 0..run {
                        product += u128::from(a[i]) * u128::from(b[i]);
                    }
                    *sum += u128::from(self.shrink(product));
                }
            }
        }
    }

    /// The residue of a sum of [`Prime::add_products`].
    #[must_use]
    pub fn finish(&self, sum: u128) -> u64 {
        self.grow(self.residue(sum))
    }

    /// `out[j] = sum over h of weights[h] * rows[h][j]`, short for short rows, of which there are at most 32; the
    /// weights are [grown](Prime::grow). A row that is too short counts as zero beyond its end.
    pub fn combine(&self, out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
        let mut sums = [0u128; STRIP];
        for (strip, out) in out.chunks_mut(STRIP).enumerate() {
            sums.fill(0);
            for (weight, row) in weights.iter().zip(rows) {
                let row = row.get(strip * STRIP..).unwrap_or(&[]);
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += u128::from(*weight) * u128::from(*value);
                }
            }
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = self.shrink(*sum);
            }
        }
    }
}

/// Columns from `start` on, and their sums by the tree.
fn fill<'r>(
    nodes: &mut [[u64; STRIP]],
    tree: &Tree,
    rows: impl Iterator<Item = &'r &'r [u64]>,
    start: usize,
) {
    for (node, row) in nodes.iter_mut().zip(rows) {
        let row = row.get(start..).unwrap_or(&[]);
        let row = &row[..row.len().min(STRIP)];
        node[..row.len()].copy_from_slice(row);
        node[row.len()..].fill(0);
    }
    for sum in &tree.sums {
        let (before, out) = nodes.split_at_mut(sum.to);
        for i in 0..sum.half {
            let (a, b) = (&before[sum.from + i], &before[sum.from + sum.half + i]);
            for l in 0..STRIP {
                out[i][l] = a[l] + b[l];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::karatsuba;
    use proptest::prelude::*;

    fn prime(seed: u64) -> Prime {
        let mut state = seed;
        Prime::draw_vartime(|| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state
        })
    }

    #[test]
    fn primes_are_told_from_composites() {
        // The largest prime below 2^57, 2^57 - 13, and squares and products of primes near 2^28.
        assert!(Prime::odd((1 << 57) - 13).is_prime());
        for offset in [1, 3, 5, 7, 9, 11] {
            assert!(!Prime::odd((1 << 57) - offset).is_prime(), "{offset}");
        }
        assert!(!Prime::odd(268_435_459 * 268_435_459).is_prime());
        assert!(!Prime::odd(268_435_459 * 268_435_463).is_prime());
    }

    proptest! {
        #[test]
        fn drawn_numbers_are_primes_of_57_bits(seed: u64) {
            let p = prime(seed).value();
            prop_assert!(p >> BITS == 1);
            prop_assert!((3..2000).step_by(2).all(|d| !p.is_multiple_of(d)));
        }

        #[test]
        fn arithmetic_matches_wide_integers(seed: u64, a: u64, b: u64, wide: u128) {
            let prime = prime(seed);
            let p = u128::from(prime.value());
            let (a, b) = (prime.canonical(a), prime.canonical(b));
            prop_assert_eq!(u128::from(prime.mul(a, b)), u128::from(a) * u128::from(b) % p);
            prop_assert_eq!(u128::from(prime.add(a, b)), (u128::from(a) + u128::from(b)) % p);
            prop_assert_eq!(prime.add(prime.sub(a, b), b), a);
            let wide = wide >> 1;
            prop_assert!(u128::from(prime.shrink(wide)) < (wide >> 64) + p + 1);
            prop_assert_eq!(prime.grow(prime.shrink(wide)), prime.residue(wide));
            prop_assert_eq!(u128::from(prime.residue(wide)), wide % p);
            for value in [wide as u64, 0, u64::MAX, prime.value(), prime.value() - 1, prime.value() + 1] {
                prop_assert_eq!(prime.canonical(value), value % prime.value());
            }
        }

        #[test]
        fn kernels_equal_sums_of_products(seed: u64, level in 0u32..6, columns in 1usize..70, largest: bool) {
            let prime = prime(seed);
            let k = 1usize << level;
            let word = |i: usize| {
                let word = (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(i as u32 * 7);
                if largest { (1 << 58) - 1 } else { word >> 6 }
            };
            // The last row is cut short.
            let rows = |at: usize| -> Vec<Vec<u64>> {
                let len = |h: usize| if h + 1 == k { columns / 2 } else { columns };
                (0..k).map(|h| (0..len(h)).map(|c| word(at + 100 * h + c)).collect()).collect()
            };
            let (u, v) = (rows(0), rows(9999));
            let us: Vec<&[u64]> = u.iter().map(|row| &row[..]).collect();
            let vs: Vec<&[u64]> = v.iter().map(|row| &row[..]).collect();
            let mut sums = vec![0; karatsuba::values(k)];
            prime.add_products(&mut sums, &us, &vs);
            let values: Vec<u64> = sums.iter().map(|sum| prime.finish(*sum)).collect();
            let got = karatsuba::coefficients(&values, k, &|a, b| prime.add(*a, *b), &|a, b| prime.sub(*a, *b));
            let mut expected = vec![0; 2 * k - 1];
            for (i, a) in u.iter().enumerate() {
                for (j, b) in v.iter().rev().enumerate() {
                    for (a, b) in a.iter().zip(b) {
                        let product = prime.mul(prime.canonical(*a), prime.canonical(*b));
                        expected[i + j] = prime.add(expected[i + j], product);
                    }
                }
            }
            prop_assert_eq!(got, expected);
            let weights: Vec<u64> = (0..k).map(|h| prime.canonical(word(h + 7))).collect();
            let grown: Vec<u64> = weights.iter().map(|w| prime.grow(*w)).collect();
            let mut out = vec![7; columns];
            prime.combine(&mut out, &grown, &us);
            for (c, out) in out.iter().enumerate() {
                let value = |row: &Vec<u64>| prime.canonical(row.get(c).copied().unwrap_or(0));
                let sum = u.iter().zip(&weights).fold(0, |sum, (row, w)| prime.add(sum, prime.mul(value(row), *w)));
                prop_assert!(*out >> 58 == 0);
                prop_assert_eq!(prime.canonical(*out), sum);
            }
        }
    }
}
