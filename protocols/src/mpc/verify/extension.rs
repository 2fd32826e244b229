//! The ring in which a proof works: large enough that a false statement survives a random point with probability at
//! most the degree over 2^48.

use chacha20::ChaCha20Rng;
use rand_core::Rng;
use rayon::prelude::*;
use ward_math::galois::{self, Block, DEGREE, Galois, Horner, Point, Products, ZEROS};
use ward_math::lanes::LANES;
use ward_math::{gf64, karatsuba};

/// A commutative ring with an exceptional set, and vectors over it.
///
/// A vector folds by a factor `k`: cut into `k` parts of equal length (the last ones short or empty, as if filled up
/// with zeros), it becomes the sum of `r^h` times part `h`, or, backwards, of `r^(k-1-h)` times part `h`.
pub(super) trait Extension {
    /// An element.
    type Element: Copy + PartialEq + Send + Sync;
    /// A member of the exceptional set.
    type Point: Copy;
    /// Many elements.
    type Vector: Send;

    /// Words of an element on the wire.
    const WORDS: usize;
    /// Elements of the shortest piece of a vector.
    const LANES: usize;
    /// Binary logarithm of the largest factor.
    const FACTOR_BITS: u32;
    /// Most elements that the last fold takes.
    const LAST: usize;
    /// Binary logarithm of the size of the exceptional set.
    #[cfg(test)]
    const BITS: u32;

    fn zero() -> Self::Element;
    fn add(a: &Self::Element, b: &Self::Element) -> Self::Element;
    fn mul(a: &Self::Element, b: &Self::Element) -> Self::Element;
    fn scale(a: &Self::Element, point: Self::Point) -> Self::Element;

    /// One.
    fn one() -> Self::Point;
    /// A uniform member of the exceptional set.
    fn point(rng: &mut ChaCha20Rng) -> Self::Point;
    /// A uniform one that is not zero, so a unit.
    fn unit(rng: &mut ChaCha20Rng) -> Self::Point;

    /// The difference of two words of messages.
    fn sub_words(a: u64, b: u64) -> u64;
    /// Appends an element's words.
    fn write(element: &Self::Element, words: &mut Vec<u64>);
    /// Reads an element from its words; every pattern is one.
    fn read(words: &[u64]) -> Self::Element;

    /// The `2k - 1` coefficients of `(sum of Z^h u_h) (sum of Z^(k-1-h) v_h)`, added up along the parts of two
    /// vectors of equal length: the middle one is their inner product.
    fn products(u: &Self::Vector, v: &Self::Vector, factor: usize) -> Vec<Self::Element>;
    /// Folds, forwards or backwards.
    fn fold(vector: &mut Self::Vector, factor: usize, point: Self::Point, order: Order);
    /// The elements, of which the first `count` may differ from zero.
    fn elements(vector: &Self::Vector, count: usize) -> Vec<Self::Element>;
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
pub(super) fn evaluate<E: Extension>(coefficients: &[E::Element], point: E::Point) -> E::Element {
    coefficients.iter().rev().fold(E::zero(), |value, c| E::add(&E::scale(&value, point), c))
}

/// Elements one after another.
pub(super) fn read_all<E: Extension>(words: &[u64]) -> Vec<E::Element> {
    words.chunks_exact(E::WORDS).map(E::read).collect()
}

/// Columns of a share of work.
const COLUMNS: usize = 4096;

/// GF(2^64).
pub(super) struct Gf64;

impl Extension for Gf64 {
    type Element = u64;
    type Point = u64;
    type Vector = Vec<u64>;

    const WORDS: usize = 1;
    const LANES: usize = 1;
    const FACTOR_BITS: u32 = 6;
    const LAST: usize = 64;
    #[cfg(test)]
    const BITS: u32 = 64;

    fn zero() -> u64 {
        0
    }

    fn add(a: &u64, b: &u64) -> u64 {
        a ^ b
    }

    fn mul(a: &u64, b: &u64) -> u64 {
        gf64::mul(*a, *b)
    }

    fn scale(a: &u64, point: u64) -> u64 {
        gf64::mul(*a, point)
    }

    fn one() -> u64 {
        1
    }

    fn point(rng: &mut ChaCha20Rng) -> u64 {
        rng.next_u64()
    }

    fn unit(rng: &mut ChaCha20Rng) -> u64 {
        loop {
            let point = rng.next_u64();
            if point != 0 {
                return point;
            }
        }
    }

    fn sub_words(a: u64, b: u64) -> u64 {
        a ^ b
    }

    fn write(element: &u64, words: &mut Vec<u64>) {
        words.push(*element);
    }

    fn read(words: &[u64]) -> u64 {
        words.first().copied().unwrap_or(0)
    }

    fn products(u: &Vec<u64>, v: &Vec<u64>, factor: usize) -> Vec<u64> {
        let columns = u.len().div_ceil(factor).max(1);
        let values = karatsuba::values(factor);
        let chunks: Vec<usize> = (0..columns).step_by(COLUMNS).collect();
        let sums = chunks
            .into_par_iter()
            .map(|from| {
                let part = |vector: &'_ [u64], h: usize| {
                    let end = (h * columns + (from + COLUMNS).min(columns)).min(vector.len());
                    (h * columns + from).min(end)..end
                };
                let u: Vec<&[u64]> = (0..factor).map(|h| &u[part(u, h)]).collect();
                let v: Vec<&[u64]> = (0..factor).map(|h| &v[part(v, h)]).collect();
                let mut sums = vec![0u128; values];
                gf64::add_products(&mut sums, &u, &v);
                sums
            })
            .reduce(|| vec![0; values], |a, b| a.iter().zip(&b).map(|(a, b)| a ^ b).collect());
        let xor = |a: &u128, b: &u128| a ^ b;
        karatsuba::coefficients(&sums, factor, &xor, &xor).into_iter().map(gf64::reduce).collect()
    }

    fn fold(vector: &mut Vec<u64>, factor: usize, point: u64, order: Order) {
        let columns = vector.len().div_ceil(factor).max(1);
        let powers: Vec<u64> =
            core::iter::successors(Some(1), |power| Some(gf64::mul(*power, point))).take(factor).collect();
        let mut out = vec![0; columns];
        out.par_chunks_mut(COLUMNS).enumerate().for_each(|(chunk, out)| {
            let part = |h: usize| {
                let end = (h * columns + chunk * COLUMNS + out.len()).min(vector.len());
                &vector[(h * columns + chunk * COLUMNS).min(end)..end]
            };
            let rows: Vec<&[u64]> = (0..factor).map(|h| part(order.part(h, factor))).collect();
            gf64::combine(out, &powers, &rows);
        });
        *vector = out;
    }

    fn elements(vector: &Vec<u64>, count: usize) -> Vec<u64> {
        (0..count).map(|i| vector.get(i).copied().unwrap_or(0)).collect()
    }
}

/// GR(2^64, 48), with 0 and 1 as coefficients of the exceptional set.
pub(super) struct Gr48;

impl Extension for Gr48 {
    type Element = Galois;
    type Point = Point;
    type Vector = Vec<Block>;

    const WORDS: usize = DEGREE;
    const LANES: usize = LANES;
    const FACTOR_BITS: u32 = 4;
    const LAST: usize = 16;
    #[cfg(test)]
    const BITS: u32 = DEGREE as u32;

    fn zero() -> Galois {
        Galois::ZERO
    }

    fn add(a: &Galois, b: &Galois) -> Galois {
        a.add(b)
    }

    fn mul(a: &Galois, b: &Galois) -> Galois {
        a.mul(b)
    }

    fn scale(a: &Galois, point: Point) -> Galois {
        a.mul_point(point)
    }

    fn one() -> Point {
        Point::ONE
    }

    fn point(rng: &mut ChaCha20Rng) -> Point {
        Point::new(rng.next_u64())
    }

    fn unit(rng: &mut ChaCha20Rng) -> Point {
        loop {
            let point = Self::point(rng);
            if !point.is_zero() {
                return point;
            }
        }
    }

    fn sub_words(a: u64, b: u64) -> u64 {
        a.wrapping_sub(b)
    }

    fn write(element: &Galois, words: &mut Vec<u64>) {
        words.extend_from_slice(&element.0);
    }

    fn read(words: &[u64]) -> Galois {
        Galois(core::array::from_fn(|j| words.get(j).copied().unwrap_or(0)))
    }

    fn products(u: &Vec<Block>, v: &Vec<Block>, factor: usize) -> Vec<Galois> {
        let columns = u.len().div_ceil(factor).max(1);
        let values = karatsuba::subsets(factor)
            .into_par_iter()
            .map(|subset| {
                let rows: Vec<usize> = (0..factor).filter(|h| (subset >> h) & 1 == 1).collect();
                let mut products = Products::default();
                let (mut a, mut b) = (ZEROS, ZEROS);
                for column in 0..columns {
                    let left = rows.iter().map(|h| u.get(h * columns + column));
                    let right = rows.iter().map(|h| v.get((factor - 1 - h) * columns + column));
                    if let (Some(a), Some(b)) = (sum_blocks(left, &mut a), sum_blocks(right, &mut b)) {
                        products.add(a, b);
                    }
                }
                products.sum()
            })
            .collect::<Vec<_>>();
        karatsuba::coefficients(&values, factor, &Galois::add, &Galois::sub)
    }

    fn fold(vector: &mut Vec<Block>, factor: usize, point: Point, order: Order) {
        let columns = vector.len().div_ceil(factor).max(1);
        let mut out = vec![ZEROS; columns];
        out.par_iter_mut().enumerate().with_min_len(64).for_each_init(
            || Horner::new(point),
            |horner, (column, sum)| {
                let part = |h: usize| vector.get(order.part(h, factor) * columns + column).unwrap_or(&ZEROS);
                *sum = *part(factor - 1);
                for h in (0..factor - 1).rev() {
                    horner.step(sum, part(h));
                }
            },
        );
        *vector = out;
    }

    fn elements(vector: &Vec<Block>, count: usize) -> Vec<Galois> {
        (0..count)
            .map(|i| vector.get(i / LANES).map_or(Galois::ZERO, |b| galois::lane(b, i % LANES)))
            .collect()
    }
}

/// The sum of those blocks that there are; none when there is none. A single one is not copied.
fn sum_blocks<'a>(blocks: impl Iterator<Item = Option<&'a Block>>, sum: &'a mut Block) -> Option<&'a Block> {
    let mut blocks = blocks.flatten();
    let first = blocks.next()?;
    let Some(second) = blocks.next() else { return Some(first) };
    *sum = *first;
    galois::add_block(sum, second);
    for block in blocks {
        galois::add_block(sum, block);
    }
    Some(sum)
}
