//! Bodies of the kernels that verify products, written over [`LANES`] words side by side so that the compiler makes
//! vectors of them. [`crate::wide`] instantiates each for the baseline, AVX2 and AVX-512, and picks one at run time.

use crate::clmul::Clmul;
use crate::karatsuba::VALUES_MAX;

/// Words side by side.
pub const LANES: usize = 8;

/// The widest row of pairwise products and of subset sums.
pub const ROW_MAX: usize = 64;

/// Coefficients of a leaf of Karatsuba's method in GR(2^64, 48), and leaves.
pub(crate) const LEAF: usize = 6;
pub(crate) const LEAVES: usize = 27;

/// Sums of products of leaves, four lanes apart.
pub(crate) type LeafSums = [[[u64; 4]; 2 * LEAF - 1]; LEAVES];

type Lane = [u64; LANES];
type Quad = [u64; 4];

/// Sums modulo 2^64 or modulo 2.
pub(crate) trait Group {
    fn add(a: u64, b: u64) -> u64;
    fn mul(a: u64, b: u64) -> u64;
}

/// Integers modulo 2^64.
pub(crate) struct Integers;

/// Words of bits.
pub(crate) struct Bits;

impl Group for Integers {
    #[inline(always)]
    fn add(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }
    #[inline(always)]
    fn mul(a: u64, b: u64) -> u64 {
        a.wrapping_mul(b)
    }
}

impl Group for Bits {
    #[inline(always)]
    fn add(a: u64, b: u64) -> u64 {
        a ^ b
    }
    #[inline(always)]
    fn mul(a: u64, b: u64) -> u64 {
        a & b
    }
}

#[inline(always)]
fn add_lanes<G: Group, const N: usize>(a: &[u64; N], b: &[u64; N]) -> [u64; N] {
    core::array::from_fn(|i| G::add(a[i], b[i]))
}

/// `out[k] += ` the sum of those rows whose bit is set: bit `j` of `nibbles[k * tables + t]` stands for row
/// `4t + j`, with `tables = rows.len() / 4` (four Russians: 16 sums for each four rows).
#[inline(always)]
pub(crate) fn subset_sums<G: Group>(out: &mut [Lane], rows: &[Lane], nibbles: &[u8]) {
    let count = (rows.len() / 4).min(ROW_MAX / 4);
    let mut tables = [[[0u64; LANES]; 16]; ROW_MAX / 4];
    for (table, rows) in tables.iter_mut().zip(rows.as_chunks::<4>().0) {
        for (j, row) in rows.iter().enumerate() {
            for i in 0..1 << j {
                table[i + (1 << j)] = add_lanes::<G, LANES>(&table[i], row);
            }
        }
    }
    for (sum, nibbles) in out.iter_mut().zip(nibbles.chunks_exact(count.max(1))) {
        let mut total = *sum;
        for (table, nibble) in tables.iter().zip(nibbles) {
            total = add_lanes::<G, LANES>(&total, &table[usize::from(nibble & 15)]);
        }
        *sum = total;
    }
}

/// Adds the products of a row with itself: first `u_h v_h`, then, for each shift `s` up to half the row,
/// `(u_h + u_(h+s)) (v_h + v_(h+s))`, indices modulo the row.
#[inline(always)]
pub(crate) fn pair_products<G: Group>(out: &mut [u64], u: &[u64], v: &[u64]) {
    let m = u.len();
    let (mut twice_u, mut twice_v) = ([0; 2 * ROW_MAX], [0; 2 * ROW_MAX]);
    for (twice, row) in [(&mut twice_u, u), (&mut twice_v, v)] {
        twice[..m].copy_from_slice(row);
        twice[m..2 * m].copy_from_slice(row);
    }
    let (diagonal, mut rest) = out.split_at_mut(m);
    for ((sum, a), b) in diagonal.iter_mut().zip(u).zip(v) {
        *sum = G::add(*sum, G::mul(*a, *b));
    }
    for shift in 1..=m / 2 {
        let (now, later) = rest.split_at_mut(if 2 * shift == m { m / 2 } else { m });
        let shifted = twice_u[shift..].iter().zip(&twice_v[shift..]);
        for ((sum, (a, b)), (c, d)) in now.iter_mut().zip(u.iter().zip(v)).zip(shifted) {
            *sum = G::add(*sum, G::mul(G::add(*a, *c), G::add(*b, *d)));
        }
        rest = later;
    }
}

/// In each lane, bit `a` of word `c` becomes bit `c` of word `a`.
#[inline(always)]
pub(crate) fn transpose_bits(words: &mut [Lane; 64]) {
    let mut mask = u64::MAX >> 32;
    let mut step = 32;
    while step > 0 {
        for k in (0..64).filter(|k| k & step == 0) {
            for lane in 0..LANES {
                let swapped = ((words[k][lane] >> step) ^ words[k + step][lane]) & mask;
                words[k + step][lane] ^= swapped;
                words[k][lane] ^= swapped << step;
            }
        }
        step /= 2;
        mask ^= mask << step;
    }
}

/// One level of Karatsuba's method: halves and their sum, for each group of `size` quads.
#[inline(always)]
fn expand_quads(from: &[Quad], size: usize, to: &mut [Quad]) {
    let half = size / 2;
    for (group, out) in from.chunks_exact(size).zip(to.chunks_exact_mut(3 * half)) {
        let (low, high) = group.split_at(half);
        for i in 0..half {
            out[i] = low[i];
            out[half + i] = high[i];
            out[2 * half + i] = add_lanes::<Integers, 4>(&low[i], &high[i]);
        }
    }
}

#[inline(always)]
fn leaves(block: &[Lane; 48], at: usize) -> [Quad; LEAVES * LEAF] {
    let mut first = [[0; 4]; 48];
    for (quad, lane) in first.iter_mut().zip(block) {
        quad.copy_from_slice(&lane[at..at + 4]);
    }
    let (mut second, mut third, mut last) = ([[0; 4]; 72], [[0; 4]; 108], [[0; 4]; 162]);
    expand_quads(&first, 48, &mut second);
    expand_quads(&second, 24, &mut third);
    expand_quads(&third, 12, &mut last);
    last
}

/// Adds the products of two blocks, lane by lane, four lanes apart, as leaves of Karatsuba's method.
///
/// A product modulo 2^64 is made of three products of halves: what a vector unit multiplies.
#[inline(always)]
pub(crate) fn add_leaf_products(sums: &mut LeafSums, a: &[Lane; 48], b: &[Lane; 48]) {
    const HALF: u64 = 0xffff_ffff;
    for at in (0..LANES).step_by(4) {
        let (a, b) = (leaves(a, at), leaves(b, at));
        let pairs = a.as_chunks::<LEAF>().0.iter().zip(b.as_chunks::<LEAF>().0);
        for (sum, (a, b)) in sums.iter_mut().zip(pairs) {
            let high_b: [Quad; LEAF] = core::array::from_fn(|j| b[j].map(|x| x >> 32));
            let mut low = [[0u64; 4]; 2 * LEAF - 1];
            let mut cross = [[0u64; 4]; 2 * LEAF - 1];
            for i in 0..LEAF {
                let high_a = a[i].map(|x| x >> 32);
                for j in 0..LEAF {
                    for lane in 0..4 {
                        let (x, y) = (a[i][lane] & HALF, b[j][lane] & HALF);
                        low[i + j][lane] = low[i + j][lane].wrapping_add(x * y);
                        let mixed = (x * high_b[j][lane]).wrapping_add(high_a[lane] * y);
                        cross[i + j][lane] = cross[i + j][lane].wrapping_add(mixed);
                    }
                }
            }
            for ((sum, low), cross) in sum.iter_mut().zip(low).zip(cross) {
                for lane in 0..4 {
                    sum[lane] = sum[lane].wrapping_add(low[lane]).wrapping_add(cross[lane] << 32);
                }
            }
        }
    }
}

/// `value = r value + next` in GR(2^64, 48), lane by lane; `r` is the sum of `X^j` over `powers`, which ascend.
#[inline(always)]
pub(crate) fn horner(value: &mut [Lane; 48], powers: &[usize], next: &[Lane; 48]) {
    const BEFORE: usize = 47;
    let mut padded = [[0u64; LANES]; BEFORE + 48 + 48];
    padded[BEFORE..BEFORE + 48].copy_from_slice(value);
    let mut wide = [[0u64; LANES]; 96];
    for (tile, out) in wide.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let c = 4 * tile;
        let first = powers.partition_point(|&j| j + 47 < c);
        let end = powers.partition_point(|&j| j <= c + 3 && j < 48);
        let mut sums = [[0u64; LANES]; 4];
        for &j in powers.get(first..end).unwrap_or_default() {
            let from = &padded[BEFORE + c - j..][..4];
            for (sum, x) in sums.iter_mut().zip(from) {
                *sum = add_lanes::<Integers, LANES>(sum, x);
            }
        }
        *out = sums;
    }
    reduce_lanes(&mut wide);
    for ((value, wide), next) in value.iter_mut().zip(&wide).zip(next) {
        *value = add_lanes::<Integers, LANES>(wide, next);
    }
}

/// `X^48 = -(X^5 + X^3 + X^2 + 1)`, from the top down.
#[inline(always)]
pub(crate) fn reduce_lanes(wide: &mut [Lane]) {
    for c in (48..wide.len()).rev() {
        let over = wide[c];
        for power in [0, 2, 3, 5] {
            for lane in 0..LANES {
                wide[c - 48 + power][lane] = wide[c - 48 + power][lane].wrapping_sub(over[lane]);
            }
        }
    }
}

#[inline(always)]
pub(crate) fn gf64_scale<M: Clmul>(proof: M::Proof, values: &mut [u64], weights: &[u64]) {
    for (value, weight) in values.iter_mut().zip(weights) {
        *value = M::reduce(M::mul(proof, *value, *weight));
    }
}

#[inline(always)]
pub(crate) fn gf64_add_scaled<M: Clmul>(proof: M::Proof, sums: &mut [u128], weight: u64, values: &[u64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = M::xor(M::wide(proof, *sum), M::mul(proof, weight, *value)).into();
    }
}

#[inline(always)]
pub(crate) fn gf64_combine<M: Clmul>(proof: M::Proof, out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
    for (j, out) in out.iter_mut().enumerate() {
        let mut sum = M::wide(proof, 0);
        for (weight, row) in weights.iter().zip(rows) {
            sum = M::xor(sum, M::mul(proof, *weight, row.get(j).copied().unwrap_or(0)));
        }
        *out = M::reduce(sum);
    }
}

#[inline(always)]
pub(crate) fn gf64_add_products<M: Clmul>(proof: M::Proof, sums: &mut [u128], u: &[&[u64]], v: &[&[u64]]) {
    let (mut a, mut b) = ([0; VALUES_MAX], [0; VALUES_MAX]);
    let columns = u.iter().map(|row| row.len()).max().unwrap_or(0);
    for j in 0..columns {
        let column = |row: &&[u64]| row.get(j).copied().unwrap_or(0);
        for (value, row) in a.iter_mut().zip(u) {
            *value = column(row);
        }
        for (value, row) in b.iter_mut().zip(v.iter().rev()) {
            *value = column(row);
        }
        expand_words(&mut a, u.len());
        expand_words(&mut b, u.len());
        for ((sum, a), b) in sums.iter_mut().zip(&a).zip(&b) {
            *sum = M::xor(M::wide(proof, *sum), M::mul(proof, *a, *b)).into();
        }
    }
}

/// The values of a polynomial over GF(2^64) with `k` coefficients, in place: from the last group to the first.
#[inline(always)]
fn expand_words(words: &mut [u64; VALUES_MAX], k: usize) {
    let (mut groups, mut size) = (1, k);
    while size > 1 {
        let half = size / 2;
        for group in (0..groups).rev() {
            // What is written lies behind every group that is still to be read.
            for i in 0..half {
                let (low, high) = (words[group * size + i], words[group * size + half + i]);
                words[group * 3 * half + 2 * half + i] = low ^ high;
            }
            words.copy_within(group * size..(group + 1) * size, group * 3 * half);
        }
        groups *= 3;
        size = half;
    }
}

/// `out[k] += ` the sum modulo 2^64 of the rows that a nibble selects: bit `j` of `nibbles[k * rows.len() / 4 + t]`
/// stands for row `4t + j`. At most [`ROW_MAX`] rows, a multiple of four.
pub fn add_subset_sums(out: &mut [[u64; LANES]], rows: &[[u64; LANES]], nibbles: &[u8]) {
    crate::wide::subset_sums(out, rows, nibbles);
}

/// As [`add_subset_sums`], modulo 2.
pub fn add_subset_xors(out: &mut [[u64; LANES]], rows: &[[u64; LANES]], nibbles: &[u8]) {
    crate::wide::subset_xors(out, rows, nibbles);
}

/// Number of pairwise products of a row of `m`.
#[must_use]
pub fn pairs(m: usize) -> usize {
    m * (m + 1) / 2
}

/// The rows of [`add_pair_products`] past the first `m`, as pairs of indices.
#[must_use]
pub fn cross_pairs(m: usize) -> Vec<(usize, usize)> {
    let count = |shift| if 2 * shift == m { m / 2 } else { m };
    (1..=m / 2).flat_map(|shift| (0..count(shift)).map(move |h| (h, (h + shift) % m))).collect()
}

/// Adds to `out` the products of `m` values each, `m` a power of two up to [`ROW_MAX`], modulo 2^64: first
/// `u_h v_h`, then `(u_h + u_k) (v_h + v_k)` for each of [`cross_pairs`].
pub fn add_pair_products(out: &mut [u64], u: &[u64], v: &[u64]) {
    crate::wide::pair_products(out, u, v);
}

/// As [`add_pair_products`], bit by bit modulo 2.
pub fn add_pair_conjunctions(out: &mut [u64], u: &[u64], v: &[u64]) {
    crate::wide::pair_conjunctions(out, u, v);
}

/// In each lane, bit `a` of word `c` becomes bit `c` of word `a`.
pub fn transpose(words: &mut [[u64; LANES]; 64]) {
    crate::wide::transpose_bits(words);
}
