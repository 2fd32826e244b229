//! Sums of a vector's products with every stretch of a table, by Karatsuba's method.
//!
//! The matrix `H[x][j] = table[x + j]` is cut in four; its two middle quarters are the same, `H1`. With
//! `both = H1 (v0 + v1)` the halves of the result are `both + (H0 - H1) v0` and `both + (H2 - H1) v1`: three products of half
//! the size, of matrices of the same kind (as for Toeplitz matrices in Fan, Hasan, "A new approach to subquadratic space
//! complexity parallel multipliers for extended binary fields", IEEE Trans. Computers 2007, section 2). All modulo 2^64.

/// Sizes of which products are taken one by one.
const PLAIN_MAX: usize = 64;

/// `out[x] = sum over j of vector[j] * table[x + j]` for `x < len`; beyond its end the table is zero. In time that depends on
/// the lengths alone.
pub(super) fn correlate(vector: &[u64], table: &[u64], len: usize) -> Vec<u64> {
    let size = len.max(PLAIN_MAX).next_power_of_two();
    let mut out = vec![0; size];
    for (part, piece) in vector.chunks(size).enumerate() {
        let mut entries = table.get(part * size..).unwrap_or(&[]).to_vec();
        entries.resize(2 * size, 0);
        let mut piece = piece.to_vec();
        piece.resize(size, 0);
        add_products(&entries, &piece, &mut out);
    }
    out.truncate(len);
    out
}

/// `out[x] += sum over j of vector[j] * table[x + j]`, for a power of two of each, and twice as many entries.
fn add_products(table: &[u64], vector: &[u64], out: &mut [u64]) {
    let half = out.len() / 2;
    if out.len() <= PLAIN_MAX {
        for (stretch, out) in table.windows(vector.len()).zip(out) {
            let products = stretch.iter().zip(vector).map(|(entry, value)| entry.wrapping_mul(*value));
            *out = products.fold(*out, u64::wrapping_add);
        }
        return;
    }
    let combine = |a: &[u64], b: &[u64], how: fn(u64, u64) -> u64| -> Vec<u64> {
        a.iter().zip(b).map(|(a, b)| how(*a, *b)).collect()
    };
    let [first, middle, last] = [0, half, 2 * half].map(|from| &table[from..from + 2 * half]);
    let mut both = vec![0; half];
    add_products(middle, &combine(&vector[..half], &vector[half..], u64::wrapping_add), &mut both);
    let (upper, lower) = out.split_at_mut(half);
    for (outer, vector, out) in [(first, &vector[..half], upper), (last, &vector[half..], lower)] {
        out.iter_mut().zip(&both).for_each(|(out, both)| *out = out.wrapping_add(*both));
        add_products(&combine(outer, middle, u64::wrapping_sub), vector, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_equal_the_products_one_by_one(
            vector in prop::collection::vec(any::<u64>(), 0..700),
            table in prop::collection::vec(any::<u64>(), 0..900),
            len in 0usize..400,
        ) {
            let out = correlate(&vector, &table, len);
            prop_assert_eq!(out.len(), len);
            for (x, out) in out.iter().enumerate() {
                let products = vector.iter().zip(table.get(x..).unwrap_or(&[])).map(|(a, b)| a.wrapping_mul(*b));
                prop_assert_eq!(*out, products.fold(0, u64::wrapping_add));
            }
        }
    }
}
