//! The field in which a proof works: large enough that a false statement survives a random point with probability at
//! most the degree over 2^56.

use chacha20::ChaCha20Rng;
use rand_core::Rng;
use rayon::prelude::*;
use ward_math::prime::Prime;
use ward_math::{gf64, karatsuba};

/// A field, and vectors over it. An element is a word; vectors may hold words that only stand for one.
///
/// A vector folds by a factor `k`: cut into `k` parts of equal length (the last ones short or empty, as if filled up
/// with zeros), it becomes the sum of `r^h` times part `h`, or, backwards, of `r^(k-1-h)` times part `h`.
pub(super) trait Extension: Copy + Send + Sync {
    /// Words of which one makes a uniform element.
    const SHARE_WORDS: usize;
    /// Binary logarithm of the largest factor.
    const FACTOR_BITS: u32;
    /// Most elements that the last fold takes.
    const LAST: usize;
    /// Binary logarithm of what the field's size is at least.
    #[cfg(test)]
    const BITS: u32;

    fn add(&self, a: u64, b: u64) -> u64;
    fn sub(&self, a: u64, b: u64) -> u64;
    fn mul(&self, a: u64, b: u64) -> u64;

    /// A uniform element from uniform words, [`Extension::SHARE_WORDS`] or more.
    fn uniform(&self, words: &[u64]) -> u64;
    /// The element that a peer's word is; every word is one.
    fn read(&self, word: u64) -> u64;
    /// A uniform element.
    fn point(&self, rng: &mut ChaCha20Rng) -> u64 {
        self.uniform(&[rng.next_u64(), rng.next_u64()])
    }
    /// A uniform one that is not zero.
    fn unit(&self, rng: &mut ChaCha20Rng) -> u64 {
        loop {
            let point = self.point(rng);
            if point != 0 {
                return point;
            }
        }
    }

    /// The `2k - 1` coefficients of `(sum of Z^h u_h) (sum of Z^(k-1-h) v_h)`, added up along the parts of two
    /// vectors of equal length: the middle one is their inner product.
    fn products(&self, u: &[u64], v: &[u64], factor: usize) -> Vec<u64>;
    /// Folds, forwards or backwards.
    fn fold(&self, vector: &mut Vec<u64>, factor: usize, point: u64, order: Order);
    /// The first `count` elements; those beyond the end are zero.
    fn elements(&self, vector: &[u64], count: usize) -> Vec<u64> {
        (0..count).map(|i| self.read(vector.get(i).copied().unwrap_or(0))).collect()
    }
}

/// Which part of a vector has the highest power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The last.
    Forwards,
    /// The first.
    Backwards,
}

impl Order {
    /// The part with power `h`.
    pub(super) fn part(self, h: usize, factor: usize) -> usize {
        match self {
            Self::Forwards => h,
            Self::Backwards => factor - 1 - h,
        }
    }
}

/// The value at a point of the polynomial with these coefficients, lowest first.
pub(super) fn evaluate<E: Extension>(field: E, coefficients: &[u64], point: u64) -> u64 {
    coefficients.iter().rev().fold(0, |value, c| field.add(field.mul(value, point), *c))
}

/// Columns of a share of work.
const COLUMNS: usize = 4096;

/// A vector cut into parts, of which some columns are looked at.
#[derive(Clone, Copy)]
struct Parts<'v> {
    vector: &'v [u64],
    columns: usize,
    factor: usize,
}

impl<'v> Parts<'v> {
    fn new(vector: &'v [u64], factor: usize) -> Self {
        Self { vector, columns: vector.len().div_ceil(factor).max(1), factor }
    }

    /// `count` columns from `from` on, of every part in this order.
    fn rows(&self, from: usize, count: usize, order: Order) -> Vec<&'v [u64]> {
        let row = |h: usize| {
            let start = order.part(h, self.factor) * self.columns;
            let end = (start + (from + count).min(self.columns)).min(self.vector.len());
            &self.vector[(start + from).min(end)..end]
        };
        (0..self.factor).map(row).collect()
    }

    /// Sums over all columns, by shares of work; `add` adds up rows of one share.
    fn sum<'s>(
        u: Parts<'s>,
        v: Parts<'s>,
        add: impl Fn(&mut [u128], &[&[u64]], &[&[u64]]) + Sync,
        join: impl Fn(u128, u128) -> u128 + Sync,
    ) -> Vec<u128> {
        let count = karatsuba::values(u.factor);
        let chunks: Vec<usize> = (0..u.columns).step_by(COLUMNS).collect();
        let share = |from: usize| {
            let mut sums = vec![0; count];
            let [u, v] = [u, v].map(|parts| parts.rows(from, COLUMNS, Order::Forwards));
            add(&mut sums, &u, &v);
            sums
        };
        let join = |a: Vec<u128>, b: Vec<u128>| a.into_iter().zip(b).map(|(a, b)| join(a, b)).collect();
        chunks.into_par_iter().map(share).reduce(|| vec![0; count], join)
    }

    /// Every share of work of a folded vector.
    fn fold(&self, order: Order, combine: impl Fn(&mut [u64], &[&[u64]]) + Sync) -> Vec<u64> {
        let mut out = vec![0; self.columns];
        out.par_chunks_mut(COLUMNS).enumerate().for_each(|(chunk, out)| {
            let rows = self.rows(chunk * COLUMNS, out.len(), order);
            combine(out, &rows);
        });
        out
    }
}

/// `factor` powers, from one on.
fn powers<E: Extension>(field: E, point: u64, factor: usize) -> Vec<u64> {
    core::iter::successors(Some(1), |power| Some(field.mul(*power, point))).take(factor).collect()
}

/// GF(2^64).
#[derive(Clone, Copy)]
pub(super) struct Gf64;

impl Extension for Gf64 {
    const SHARE_WORDS: usize = 1;
    const FACTOR_BITS: u32 = 6;
    const LAST: usize = 64;
    #[cfg(test)]
    const BITS: u32 = 64;

    fn add(&self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    fn sub(&self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    fn mul(&self, a: u64, b: u64) -> u64 {
        gf64::mul(a, b)
    }

    fn uniform(&self, words: &[u64]) -> u64 {
        words.first().copied().unwrap_or(0)
    }

    fn read(&self, word: u64) -> u64 {
        word
    }

    fn products(&self, u: &[u64], v: &[u64], factor: usize) -> Vec<u64> {
        let (u, v) = (Parts::new(u, factor), Parts::new(v, factor));
        let sums = Parts::sum(u, v, gf64::add_products, |a, b| a ^ b);
        let xor = |a: &u128, b: &u128| a ^ b;
        karatsuba::coefficients(&sums, factor, &xor, &xor).into_iter().map(gf64::reduce).collect()
    }

    fn fold(&self, vector: &mut Vec<u64>, factor: usize, point: u64, order: Order) {
        let powers = powers(*self, point, factor);
        *vector = Parts::new(vector, factor).fold(order, |out, rows| gf64::combine(out, &powers, rows));
    }
}

/// Integers modulo a random prime between 2^56 and 2^57. Vectors hold short values.
#[derive(Clone, Copy)]
pub(super) struct Fp(pub Prime);

impl Extension for Fp {
    const SHARE_WORDS: usize = 2;
    const FACTOR_BITS: u32 = 5;
    const LAST: usize = 128;
    #[cfg(test)]
    const BITS: u32 = ward_math::prime::BITS;

    fn add(&self, a: u64, b: u64) -> u64 {
        self.0.add(a, b)
    }

    fn sub(&self, a: u64, b: u64) -> u64 {
        self.0.sub(a, b)
    }

    fn mul(&self, a: u64, b: u64) -> u64 {
        self.0.mul(a, b)
    }

    fn uniform(&self, words: &[u64]) -> u64 {
        let word = |i: usize| u128::from(words.get(i).copied().unwrap_or(0));
        self.0.residue((word(1) << 64) | word(0))
    }

    fn read(&self, word: u64) -> u64 {
        self.0.canonical(word)
    }

    fn products(&self, u: &[u64], v: &[u64], factor: usize) -> Vec<u64> {
        let (u, v) = (Parts::new(u, factor), Parts::new(v, factor));
        let sums = Parts::sum(u, v, |sums, u, v| self.0.add_products(sums, u, v), |a, b| a + b);
        let values: Vec<u64> = sums.into_iter().map(|sum| self.0.finish(sum)).collect();
        karatsuba::coefficients(&values, factor, &|a, b| self.add(*a, *b), &|a, b| self.sub(*a, *b))
    }

    fn fold(&self, vector: &mut Vec<u64>, factor: usize, point: u64, order: Order) {
        let powers: Vec<u64> =
            powers(*self, point, factor).into_iter().map(|power| self.0.grow(power)).collect();
        *vector = Parts::new(vector, factor).fold(order, |out, rows| self.0.combine(out, &powers, rows));
    }
}
