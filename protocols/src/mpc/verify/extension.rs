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
    /// Room for reading, reused.
    type Room: Default + Send;

    fn len(&self) -> usize;
    /// Writes values from `start` on, and zeros beyond the end.
    fn read(&self, start: usize, vectors: (&mut [u64], &mut [u64]), room: &mut Self::Room);
    /// The vectors, where they are in memory.
    fn vectors(&self) -> Option<&[Vec<u64>; 2]>;
}

/// How vectors are cut: into parts, and all parts alike into shares of work.
#[derive(Clone, Copy)]
struct Cut {
    factor: usize,
    /// Values of a part.
    columns: usize,
    /// Columns of a share of work.
    width: usize,
}

/// Both vectors, share after share and in a share part after part: as [`products`] has read them.
pub(super) struct Kept {
    cut: Cut,
    vectors: [Vec<u64>; 2],
}

/// The parts of both vectors in one share.
type Rows<'r> = [Vec<&'r [u64]>; 2];

impl Cut {
    fn new(len: usize, factor: usize) -> Self {
        let columns = len.div_ceil(factor).max(1);
        Self { factor, columns, width: (SHARE / factor).max(COLUMNS_MIN).min(columns) }
    }

    /// The first column of each share, and the number of its columns.
    fn shares(self) -> impl IndexedParallelIterator<Item = (usize, usize)> {
        let Self { columns, width, .. } = self;
        (0..columns.div_ceil(width)).into_par_iter().map(move |i| (i * width, width.min(columns - i * width)))
    }

    /// A share of vectors in memory; parts may be short.
    fn rows<'r>(&self, vectors: &'r [Vec<u64>; 2], (from, count): (usize, usize)) -> Rows<'r> {
        let part = |vector: &'r [u64], h: usize| {
            let start = (h * self.columns + from).min(vector.len());
            let end = (h * self.columns + from + count).min((h + 1) * self.columns).min(vector.len());
            &vector[start..end]
        };
        vectors.each_ref().map(|vector| (0..self.factor).map(|h| part(vector, h)).collect())
    }

    /// Reads a share into `u` and `v`.
    fn read<'r, P: Pair + ?Sized>(
        &self,
        pair: &P,
        from: usize,
        (u, v): (&'r mut [u64], &'r mut [u64]),
        room: &mut P::Room,
    ) -> Rows<'r> {
        let count = (u.len() / self.factor).max(1);
        let rows = u.chunks_exact_mut(count).zip(v.chunks_exact_mut(count)).enumerate();
        rows.for_each(|(h, vectors)| pair.read(h * self.columns + from, vectors, room));
        [u, v].map(|vector| vector.chunks_exact(count).collect())
    }
}

/// The `2k - 1` coefficients of `(sum of Z^h u_h) (sum of Z^(k-1-h) v_h)`, added up along the parts of the vectors: the
/// middle one is their inner product. What had to be computed is kept for the fold.
pub(super) fn products<E: Extension, P: Pair + ?Sized>(
    field: E,
    pair: &P,
    factor: usize,
) -> (Vec<u64>, Option<Kept>) {
    let cut = Cut::new(pair.len(), factor);
    let new = || vec![0; karatsuba::values(factor)];
    let join = |a: Vec<u128>, b: Vec<u128>| a.into_iter().zip(b).map(|(a, b)| field.join(a, b)).collect();
    if let Some(vectors) = pair.vectors() {
        let add = |mut sums: Vec<u128>, share| {
            let [u, v] = cut.rows(vectors, share);
            field.add_products(&mut sums, &u, &v);
            sums
        };
        let sums = cut.shares().fold(new, add).reduce(new, join);
        return (field.coefficients(&sums, factor), None);
    }
    let mut vectors = [(); 2].map(|()| vec![0; cut.factor * cut.columns]);
    let [u, v] = vectors.each_mut().map(|vector| vector.par_chunks_mut(cut.factor * cut.width));
    let add = |(mut sums, mut room): (Vec<u128>, P::Room), (share, vectors)| {
        let [u, v] = cut.read(pair, share * cut.width, vectors, &mut room);
        field.add_products(&mut sums, &u, &v);
        (sums, room)
    };
    let sums = u.zip(v).enumerate().map(|(share, (u, v))| (share, (u, v)));
    let sums = sums.fold(|| (new(), P::Room::default()), add).map(|(sums, _)| sums).reduce(new, join);
    (field.coefficients(&sums, factor), Some(Kept { cut, vectors }))
}

/// Both vectors folded, the left one forwards and the right one backwards.
pub(super) fn fold<E: Extension, P: Pair + ?Sized>(
    field: E,
    pair: &P,
    factor: usize,
    point: u64,
) -> [Vec<u64>; 2] {
    let (cut, powers) = (Cut::new(pair.len(), factor), Powers::new(field, point, factor));
    if let Some(vectors) = pair.vectors() {
        return cut.fold(
            || (),
            |(), share, out| {
                let count = out[0].len();
                powers.combine(cut.rows(vectors, (share * cut.width, count)), out);
            },
        );
    }
    let new = || ([Vec::new(), Vec::new()], P::Room::default());
    cut.fold(new, |(vectors, room), share, out| {
        let [u, v] = vectors.each_mut().map(|vector| {
            vector.resize(cut.factor * out[0].len(), 0);
            &mut vector[..]
        });
        powers.combine(cut.read(pair, share * cut.width, (u, v), room), out);
    })
}

impl Kept {
    /// As [`fold`], by the factor of the products.
    pub(super) fn fold<E: Extension>(&self, field: E, point: u64) -> [Vec<u64>; 2] {
        let Self { cut, vectors } = self;
        let powers = Powers::new(field, point, cut.factor);
        cut.fold(
            || (),
            |(), share, out| {
                let (start, count) = (share * cut.factor * cut.width, out[0].len());
                let rows = vectors
                    .each_ref()
                    .map(|vector| vector[start..][..cut.factor * count].chunks_exact(count).collect());
                powers.combine(rows, out);
            },
        )
    }
}

impl Cut {
    /// Two vectors of a part's length, of which `combine` writes the columns of each share.
    fn fold<R: Send>(
        self,
        new: impl Fn() -> R + Sync + Send,
        combine: impl Fn(&mut R, usize, [&mut [u64]; 2]) + Sync + Send,
    ) -> [Vec<u64>; 2] {
        let [mut left, mut right] = [(); 2].map(|()| vec![0; self.columns]);
        let shares = left.par_chunks_mut(self.width).zip(right.par_chunks_mut(self.width)).enumerate();
        shares.for_each_init(new, |room, (share, (left, right))| combine(room, share, [left, right]));
        [left, right]
    }
}

/// Weights of the parts of the left vector and of the right one.
struct Powers<E> {
    field: E,
    forwards: Vec<u64>,
    backwards: Vec<u64>,
}

impl<E: Extension> Powers<E> {
    fn new(field: E, point: u64, factor: usize) -> Self {
        let forwards: Vec<u64> =
            powers(field, point, factor).into_iter().map(|power| field.weight(power)).collect();
        Self { field, backwards: forwards.iter().rev().copied().collect(), forwards }
    }

    fn combine(&self, [u, v]: Rows<'_>, [left, right]: [&mut [u64]; 2]) {
        self.field.combine(left, &self.forwards, &u);
        self.field.combine(right, &self.backwards, &v);
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
