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

    /// Adds up, along the columns, products of polynomials whose coefficients are the rows of `u`, and those of `v` in
    /// reverse order, as values of Karatsuba's method.
    fn add_products(&self, sums: &mut [u128], u: &[&[u64]], v: &[&[u64]]);
    /// The sum of two of these sums.
    fn join(&self, a: u128, b: u128) -> u128;
    /// The `2k - 1` coefficients that the sums are for `k` rows.
    fn coefficients(&self, sums: &[u128], factor: usize) -> Vec<u64>;
    /// What [`Extension::combine`] takes for an element.
    fn weight(&self, element: u64) -> u64;
    /// `out[j] = sum over h of weights[h] * rows[h][j]`.
    fn combine(&self, out: &mut [u64], weights: &[u64], rows: &[&[u64]]);
}

/// The value at a point of the polynomial with these coefficients, lowest first.
pub(super) fn evaluate<E: Extension>(field: E, coefficients: &[u64], point: u64) -> u64 {
    coefficients.iter().rev().fold(0, |value, c| field.add(field.mul(value, point), *c))
}

/// Words of a vector in a share of work, and columns that it has at least.
const SHARE: usize = 1 << 14;
const COLUMNS_MIN: usize = 1 << 10;

/// Two vectors of equal length, which are read in parts; they need not be anywhere.
pub(super) trait Pair: Sync {
    fn len(&self) -> usize;
    /// Writes values from `start` on, and zeros beyond the end.
    fn read(&self, start: usize, u: &mut [u64], v: &mut [u64]);
}

impl Pair for [Vec<u64>; 2] {
    fn len(&self) -> usize {
        self[0].len()
    }

    fn read(&self, start: usize, u: &mut [u64], v: &mut [u64]) {
        for (vector, out) in self.iter().zip([u, v]) {
            let values = vector.get(start..).unwrap_or(&[]);
            let (filled, rest) = out.split_at_mut(values.len().min(out.len()));
            filled.copy_from_slice(&values[..filled.len()]);
            rest.fill(0);
        }
    }
}

/// Two vectors cut into parts.
struct Parts<'p, P: ?Sized> {
    pair: &'p P,
    factor: usize,
    /// Values of a part.
    columns: usize,
    /// Columns of a share of work.
    width: usize,
}

/// Room for some columns of both vectors, part by part.
#[derive(Default)]
struct Room([Vec<u64>; 2]);

impl<'p, P: Pair + ?Sized> Parts<'p, P> {
    fn new(pair: &'p P, factor: usize) -> Self {
        let columns = pair.len().div_ceil(factor).max(1);
        Self { pair, factor, columns, width: (SHARE / factor).max(COLUMNS_MIN).min(columns) }
    }

    /// `count` columns from `from` on, of every part: of the left vector and of the right one.
    fn rows<'r>(&self, from: usize, count: usize, room: &'r mut Room) -> [Vec<&'r [u64]>; 2] {
        let Room([u, v]) = room;
        for vector in [&mut *u, &mut *v] {
            vector.resize(self.factor * count, 0);
        }
        let rows = u.chunks_exact_mut(count).zip(v.chunks_exact_mut(count)).enumerate();
        rows.for_each(|(h, (u, v))| self.pair.read(h * self.columns + from, u, v));
        [u, v].map(|vector| vector.chunks_exact(count).collect())
    }

    /// The first column of each share of work, and the number of its columns.
    fn shares(&self) -> impl IndexedParallelIterator<Item = (usize, usize)> {
        let (columns, width) = (self.columns, self.width);
        (0..columns.div_ceil(width)).into_par_iter().map(move |i| (i * width, width.min(columns - i * width)))
    }
}

/// The `2k - 1` coefficients of `(sum of Z^h u_h) (sum of Z^(k-1-h) v_h)`, added up along the parts of the vectors: the
/// middle one is their inner product.
pub(super) fn products<E: Extension>(field: E, pair: &(impl Pair + ?Sized), factor: usize) -> Vec<u64> {
    let parts = Parts::new(pair, factor);
    let new = || (vec![0; karatsuba::values(factor)], Room::default());
    let add = |(mut sums, mut room): (Vec<u128>, Room), (from, count)| {
        let [u, v] = parts.rows(from, count, &mut room);
        field.add_products(&mut sums, &u, &v);
        (sums, room)
    };
    let join = |(a, room): (Vec<u128>, Room), (b, _): (Vec<u128>, Room)| {
        (a.into_iter().zip(b).map(|(a, b)| field.join(a, b)).collect(), room)
    };
    let (sums, _) = parts.shares().fold(new, add).reduce(new, join);
    field.coefficients(&sums, factor)
}

/// Both vectors folded, the left one forwards and the right one backwards.
pub(super) fn fold<E: Extension>(
    field: E,
    pair: &(impl Pair + ?Sized),
    factor: usize,
    point: u64,
) -> [Vec<u64>; 2] {
    let parts = Parts::new(pair, factor);
    let forwards: Vec<u64> =
        powers(field, point, factor).into_iter().map(|power| field.weight(power)).collect();
    let backwards: Vec<u64> = forwards.iter().rev().copied().collect();
    let [mut left, mut right] = [(); 2].map(|()| vec![0; parts.columns]);
    let shares = left.par_chunks_mut(parts.width).zip(right.par_chunks_mut(parts.width)).enumerate();
    shares.for_each_init(Room::default, |room, (share, (left, right))| {
        let [u, v] = parts.rows(share * parts.width, left.len(), room);
        field.combine(left, &forwards, &u);
        field.combine(right, &backwards, &v);
    });
    [left, right]
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

    fn add_products(&self, sums: &mut [u128], u: &[&[u64]], v: &[&[u64]]) {
        gf64::add_products(sums, u, v);
    }

    fn join(&self, a: u128, b: u128) -> u128 {
        a ^ b
    }

    fn coefficients(&self, sums: &[u128], factor: usize) -> Vec<u64> {
        let xor = |a: &u128, b: &u128| a ^ b;
        karatsuba::coefficients(sums, factor, &xor, &xor).into_iter().map(gf64::reduce).collect()
    }

    fn weight(&self, element: u64) -> u64 {
        element
    }

    fn combine(&self, out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
        gf64::combine(out, weights, rows);
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

    fn add_products(&self, sums: &mut [u128], u: &[&[u64]], v: &[&[u64]]) {
        self.0.add_products(sums, u, v);
    }

    fn join(&self, a: u128, b: u128) -> u128 {
        a + b
    }

    fn coefficients(&self, sums: &[u128], factor: usize) -> Vec<u64> {
        let values: Vec<u64> = sums.iter().map(|sum| self.0.finish(*sum)).collect();
        karatsuba::coefficients(&values, factor, &|a, b| self.add(*a, *b), &|a, b| self.sub(*a, *b))
    }

    fn weight(&self, element: u64) -> u64 {
        self.0.grow(element)
    }

    fn combine(&self, out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
        self.0.combine(out, weights, rows);
    }
}
