//! Products of short polynomials by Karatsuba's method, split so that many products are added up before they are put
//! together: values at the points, sums of products, coefficients.
//!
//! A polynomial of `k = 2^l` coefficients has `3^l` values: at each level the lower half, the upper half and their
//! sum. The values of a product are the products of the values, and both steps are linear.

/// The largest number of coefficients of a factor.
pub const FACTOR_MAX: usize = 64;

/// Values of a polynomial of [`FACTOR_MAX`] coefficients.
pub const VALUES_MAX: usize = 729;

/// The number of values of a polynomial of `k` coefficients, `k` a power of two.
#[must_use]
pub fn values(k: usize) -> usize {
    3usize.pow(k.trailing_zeros())
}

/// Which coefficients add up to each value, as bits.
#[must_use]
pub fn subsets(k: usize) -> Vec<u64> {
    let tree = Tree::new(k, 1);
    let mut subsets: Vec<u64> = (0..k).map(|h| 1 << h).collect();
    subsets.resize(tree.len, 0);
    for sum in &tree.sums {
        for i in 0..sum.half {
            subsets[sum.to + i] = subsets[sum.from + i] | subsets[sum.from + sum.half + i];
        }
    }
    tree.leaves.iter().map(|leaf| subsets[*leaf]).collect()
}

/// How coefficients become values: sums of halves, stored behind the coefficients, none moved.
#[derive(Clone, Debug)]
pub struct Tree {
    /// In the order in which they can be computed.
    pub sums: Vec<Sum>,
    /// Where each leaf of coefficients begins, in the order of [`coefficients`].
    pub leaves: Vec<usize>,
    /// Coefficients and sums.
    pub len: usize,
}

/// Entries `to..to + half` are those from `from` on plus those from `from + half` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Where the sums go.
    pub to: usize,
    /// Where both halves lie.
    pub from: usize,
    /// Entries of a half.
    pub half: usize,
}

impl Tree {
    /// For `k` coefficients, halved until a part has `leaf` of them; `k / leaf` is a power of two.
    #[must_use]
    pub fn new(k: usize, leaf: usize) -> Self {
        let (mut sums, mut leaves, mut len, mut size) = (Vec::new(), vec![0], k, k);
        while size > leaf.max(1) {
            let half = size / 2;
            let mut next = Vec::with_capacity(3 * leaves.len());
            for from in leaves {
                sums.push(Sum { to: len, from, half });
                next.extend([from, from + half, len]);
                len += half;
            }
            (leaves, size) = (next, half);
        }
        Self { sums, leaves, len }
    }
}

/// The `2k - 1` coefficients of the product whose values these are.
#[must_use]
pub fn coefficients<T: Clone>(
    values: &[T],
    k: usize,
    add: &impl Fn(&T, &T) -> T,
    sub: &impl Fn(&T, &T) -> T,
) -> Vec<T> {
    if k <= 1 {
        return values.to_vec();
    }
    let (third, half) = (values.len() / 3, k / 2);
    let low = coefficients(&values[..third], half, add, sub);
    let high = coefficients(&values[third..2 * third], half, add, sub);
    let both = coefficients(&values[2 * third..], half, add, sub);
    let middle: Vec<T> =
        both.iter().zip(low.iter().zip(&high)).map(|(m, (l, h))| sub(&sub(m, l), h)).collect();
    // low has 2 half - 1 coefficients from 0, middle from half, high from 2 half.
    let mut out = low;
    out.push(middle[half - 1].clone());
    out.extend(high);
    for (i, m) in middle.iter().enumerate().filter(|(i, _)| *i != half - 1) {
        out[half + i] = add(&out[half + i], m);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn coefficients_equal_the_schoolbook(level in 0u32..7, seed: [u64; 4]) {
            let k = 1usize << level;
            let word = |i: usize| seed[i % 4].rotate_left(i as u32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (u, v): (Vec<u64>, Vec<u64>) = (0..k).map(|i| (word(i), word(i + 100))).unzip();
            let mut expected = vec![0u64; 2 * k - 1];
            for i in 0..k {
                for j in 0..k {
                    expected[i + j] = expected[i + j].wrapping_add(u[i].wrapping_mul(v[j]));
                }
            }
            let values_of = |mut x: Vec<u64>| -> Vec<u64> {
                let tree = Tree::new(k, 1);
                x.resize(tree.len, 0);
                for sum in &tree.sums {
                    for i in 0..sum.half {
                        x[sum.to + i] = x[sum.from + i].wrapping_add(x[sum.from + sum.half + i]);
                    }
                }
                tree.leaves.iter().map(|leaf| x[*leaf]).collect()
            };
            let (a, b) = (values_of(u), values_of(v));
            prop_assert_eq!(a.len(), values(k));
            let products: Vec<u64> = a.iter().zip(&b).map(|(x, y)| x.wrapping_mul(*y)).collect();
            let add = |x: &u64, y: &u64| x.wrapping_add(*y);
            let sub = |x: &u64, y: &u64| x.wrapping_sub(*y);
            prop_assert_eq!(coefficients(&products, k, &add, &sub), expected);
        }
    }
}
