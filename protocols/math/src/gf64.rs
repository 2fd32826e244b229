//! The field GF(2^64) = `GF(2)[X]` / (X^64 + X^4 + X^3 + X + 1): a word is an element, bit `a` the coefficient of `X^a`.
//!
//! Addition is `^`. Products are carry-less multiplications by the CPU's instruction where it has one, found at run
//! time, else in portable code; both are free of branches and table look-ups on the operands.

use crate::clmul::PAIR_ROWS;
use crate::karatsuba::Tree;
use crate::wide;

/// What `X^64` is.
const TAIL: u64 = 0b1_1011;

/// The product of two elements.
#[must_use]
pub fn mul(a: u64, b: u64) -> u64 {
    let mut out = [a];
    wide::gf64_scale(&mut out, &[b]);
    out[0]
}

/// The product of an element and `X`.
#[must_use]
pub fn mul_x(a: u64) -> u64 {
    (a << 1) ^ (TAIL & (a >> 63).wrapping_neg())
}

/// The element that a polynomial of degree under 128 is: what lazy sums of products are reduced by.
#[must_use]
pub fn reduce(wide: u128) -> u64 {
    let (low, high) = (wide as u64, (wide >> 64) as u64);
    // X^64 = X^4 + X^3 + X + 1; what that pushes over the top again has degree under 4.
    let over = (high >> 63) ^ (high >> 61) ^ (high >> 60);
    let high = high ^ over;
    low ^ high ^ (high << 1) ^ (high << 3) ^ (high << 4)
}

/// `values[j] *= weights[j]`.
pub fn scale(values: &mut [u64], weights: &[u64]) {
    wide::gf64_scale(values, weights);
}

/// `sums[j] += weight * row[j]` for each row and its weight, unreduced: polynomials of degree under 127. Rows are as long as
/// `sums` and follow one another.
pub fn add_scaled(sums: &mut [u128], weights: &[u64], rows: &[u64]) {
    wide::gf64_add_scaled(sums, weights, rows);
}

/// Adds `weight` times the pairwise products of a row's words, bit by bit modulo 2, for each row and its weight, unreduced:
/// first of `u_h v_h`, then of `(u_h + u_k) (v_h + v_k)` for each of [`crate::lanes::cross_pairs`]. Rows have `m` words each, a
/// power of two up to [`crate::lanes::ROW_MAX`], and follow one another.
pub fn add_pair_products(sums: &mut [u128], weights: &[u64], u: &[u64], v: &[u64]) {
    let m = u.len() / weights.len().max(1);
    let rows = PAIR_ROWS * m.max(1);
    for ((weights, u), v) in weights.chunks(PAIR_ROWS).zip(u.chunks(rows)).zip(v.chunks(rows)) {
        wide::gf64_add_pair_products(sums, weights, u, v);
    }
}

/// Adds up, over the columns, the products of a polynomial in `Z` whose coefficients are the `k` rows of `u` and of
/// one whose coefficients are the rows of `v` in reverse order, by Karatsuba in `log2 k` levels: `sums` has
/// `3^(log2 k)` entries, which [`crate::karatsuba::coefficients`] turns into `2k - 1` coefficients. All rows are
/// padded with zeros to the longest and `k` is a power of two, at most [`crate::karatsuba::FACTOR_MAX`].
pub fn add_products(sums: &mut [u128], u: &[&[u64]], v: &[&[u64]]) {
    wide::gf64_add_products(sums, &Tree::new(u.len(), 1), u, v);
}

/// `out[j] = sum over h of weights[h] * rows[h][j]`; a row that is too short counts as zero beyond its end.
pub fn combine(out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
    wide::gf64_combine(out, weights, rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Schoolbook, bit by bit.
    fn slow(a: u64, b: u64) -> u64 {
        let (mut sum, mut power) = (0, a);
        for bit in 0..64 {
            sum ^= power & ((b >> bit) & 1).wrapping_neg();
            power = mul_x(power);
        }
        sum
    }

    #[test]
    fn the_modulus_is_irreducible() {
        // X^(2^64) = X, and X^(2^32) - X is a unit: its inverse is its power 2^64 - 2 (Rabin's test).
        let square = |x: u64| mul(x, x);
        let mut x = 2;
        for _ in 0..32 {
            x = square(x);
        }
        let unit = x ^ 2;
        for _ in 32..64 {
            x = square(x);
        }
        assert_eq!(x, 2);
        let (mut inverse, mut power) = (1, unit);
        for _ in 1..64 {
            power = square(power);
            inverse = mul(inverse, power);
        }
        assert_eq!(mul(unit, inverse), 1);
    }

    #[test]
    fn known_products() {
        assert_eq!(mul(2, 1 << 63), TAIL);
        assert_eq!(mul(u64::MAX, 1), u64::MAX);
        assert_eq!(mul(3, 3), 5);
    }

    proptest! {
        #[test]
        fn products_equal_the_schoolbook(a: u64, b: u64) {
            prop_assert_eq!(mul(a, b), slow(a, b));
        }

        #[test]
        fn lazy_sums_and_combinations_equal_products(w: [u64; 3], x: [[u64; 5]; 3]) {
            let rows: Vec<&[u64]> = x.iter().map(|row| &row[..]).collect();
            let mut combined = [0; 5];
            combine(&mut combined, &w, &rows);
            let mut sums = [0u128; 5];
            for (weight, row) in w.iter().zip(&rows) {
                add_scaled(&mut sums, &[*weight], row);
            }
            for j in 0..5 {
                let expected = (0..3).fold(0, |sum, h| sum ^ slow(w[h], x[h][j]));
                prop_assert_eq!(combined[j], expected);
                prop_assert_eq!(reduce(sums[j]), expected);
            }
        }
    }
}
