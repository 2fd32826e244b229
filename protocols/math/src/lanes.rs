//! Bodies of the kernels that verify products, written over [`LANES`] words side by side so that the compiler makes
//! vectors of them. [`crate::wide`] instantiates each for the baseline, AVX2 and AVX-512, and picks one at run time.

use crate::clmul::Clmul;
use crate::karatsuba::Tree;

/// Words side by side.
pub const LANES: usize = 8;

/// The widest row of pairwise products and of subset sums.
pub const ROW_MAX: usize = 64;

/// Coefficients of a leaf of Karatsuba's method in GR(2^64, 48), and leaves.
pub(crate) const LEAF: usize = 3;
pub(crate) const LEAVES: usize = 81;

/// Coefficients and sums of halves.
pub(crate) const NODES: usize = 243;

/// Sums of products of leaves, four lanes apart.
pub(crate) type LeafSums = [[Quad; 2 * LEAF - 1]; LEAVES];

/// Room for the coefficients and sums of two operands.
#[repr(align(64))]
pub(crate) struct LeafRoom([[Quad; NODES]; 2]);

impl Default for LeafRoom {
    fn default() -> Self {
        Self([[[0; 4]; NODES]; 2])
    }
}

/// Coefficients of a block between zeros, and a product before reduction.
#[repr(align(64))]
pub(crate) struct HornerRoom {
    padded: [Lane; 47 + 48 + 48],
    wide: [Lane; 96],
}

impl Default for HornerRoom {
    fn default() -> Self {
        Self { padded: [[0; LANES]; 143], wide: [[0; LANES]; 96] }
    }
}

/// Room for tables of subset sums: 16 for each four rows, the first of them zero.
#[repr(align(64))]
pub struct Tables([Lane; 4 * ROW_MAX]);

impl Default for Tables {
    fn default() -> Self {
        Self([[0; LANES]; 4 * ROW_MAX])
    }
}

/// Words side by side.
pub type Lane = [u64; LANES];
pub(crate) type Quad = [u64; 4];

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

/// `out[k] += ` the sums that the picks name: pick `16 t + n` is the sum of those rows `4 t + j` for which bit `j` of
/// `n` is set, and each output has as many picks as there are fours of rows (four Russians).
#[inline(always)]
pub(crate) fn subset_sums<G: Group>(tables: &mut Tables, out: &mut [Lane], rows: &[Lane], picks: &[u8]) {
    let Tables(sums) = tables;
    let count = rows.len() / 4;
    for (table, rows) in sums.as_chunks_mut::<16>().0.iter_mut().zip(rows.as_chunks::<4>().0) {
        for (j, row) in rows.iter().enumerate() {
            for i in 0..1 << j {
                table[i + (1 << j)] = add_lanes::<G, LANES>(&table[i], row);
            }
        }
    }
    for (sum, picks) in out.iter_mut().zip(picks.chunks_exact(count.max(1))) {
        let mut total = *sum;
        for pick in picks {
            total = add_lanes::<G, LANES>(&total, &sums[usize::from(*pick)]);
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

/// The low product and the sum of the cross products of the halves of two words.
#[inline(always)]
fn halves(a: &Quad, b: &Quad) -> [Quad; 2] {
    const HALF: u64 = 0xffff_ffff;
    [
        core::array::from_fn(|l| (a[l] & HALF) * (b[l] & HALF)),
        core::array::from_fn(|l| ((a[l] & HALF) * (b[l] >> 32)).wrapping_add((a[l] >> 32) * (b[l] & HALF))),
    ]
}

#[inline(always)]
fn plus(a: [Quad; 2], b: [Quad; 2]) -> [Quad; 2] {
    core::array::from_fn(|i| add_lanes::<Integers, 4>(&a[i], &b[i]))
}

#[inline(always)]
fn fill_nodes(nodes: &mut [Quad; NODES], block: &[Lane; 48], at: usize, tree: &Tree) {
    for (quad, lane) in nodes.iter_mut().zip(block) {
        *quad = core::array::from_fn(|l| lane[at + l]);
    }
    for sum in &tree.sums {
        let (before, out) = nodes.split_at_mut(sum.to);
        let (low, high) = before[sum.from..sum.from + 2 * sum.half].split_at(sum.half);
        for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
            *out = add_lanes::<Integers, 4>(low, high);
        }
    }
}

/// Adds the products of two blocks, lane by lane, four lanes apart, as leaves of Karatsuba's method.
///
/// A product modulo 2^64 is made of three products of halves: what a vector unit multiplies.
#[inline(always)]
pub(crate) fn add_leaf_products(
    sums: &mut LeafSums,
    room: &mut LeafRoom,
    tree: &Tree,
    a: &[Lane; 48],
    b: &[Lane; 48],
) {
    for at in (0..LANES).step_by(4) {
        let LeafRoom([left, right]) = room;
        fill_nodes(left, a, at, tree);
        fill_nodes(right, b, at, tree);
        for (sum, from) in sums.iter_mut().zip(&tree.leaves) {
            let (Some([a0, a1, a2]), Some([b0, b1, b2])) =
                (left[*from..].first_chunk::<LEAF>(), right[*from..].first_chunk::<LEAF>())
            else {
                continue;
            };
            let products = [
                halves(a0, b0),
                plus(halves(a0, b1), halves(a1, b0)),
                plus(plus(halves(a0, b2), halves(a2, b0)), halves(a1, b1)),
                plus(halves(a1, b2), halves(a2, b1)),
                halves(a2, b2),
            ];
            for (sum, [low, cross]) in sum.iter_mut().zip(&products) {
                for l in 0..4 {
                    sum[l] = sum[l].wrapping_add(low[l]).wrapping_add(cross[l] << 32);
                }
            }
        }
    }
}

/// Which powers of a point reach each four coefficients of a product.
pub(crate) fn reaching(powers: &[usize]) -> [(usize, usize); 24] {
    core::array::from_fn(|tile| {
        let first = powers.partition_point(|&j| j + 47 < 4 * tile);
        (first, powers.partition_point(|&j| j <= 4 * tile + 3).max(first))
    })
}

/// `value = r value + next` in GR(2^64, 48), lane by lane; `r` is the sum of `X^j` over `powers`, which ascend.
#[inline(always)]
pub(crate) fn horner(
    room: &mut HornerRoom,
    value: &mut [Lane; 48],
    (powers, reaching): (&[usize], &[(usize, usize); 24]),
    next: &[Lane; 48],
) {
    const BEFORE: usize = 47;
    let HornerRoom { padded, wide } = room;
    padded[BEFORE..BEFORE + 48].copy_from_slice(value);
    for (tile, (out, (first, end))) in wide.as_chunks_mut::<4>().0.iter_mut().zip(reaching).enumerate() {
        let mut sums = [[0u64; LANES]; 4];
        for j in powers.get(*first..*end).unwrap_or_default() {
            let Some(from) = padded.get(BEFORE + 4 * tile - j..).and_then(|rest| rest.first_chunk::<4>())
            else {
                continue;
            };
            for (sum, x) in sums.iter_mut().zip(from) {
                *sum = add_lanes::<Integers, LANES>(sum, x);
            }
        }
        *out = sums;
    }
    reduce_lanes(wide);
    for ((value, wide), next) in value.iter_mut().zip(&*wide).zip(next) {
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
    for (chunk, out) in out.chunks_mut(LANES).enumerate() {
        let mut sums = [M::wide(proof, 0); LANES];
        for (weight, row) in weights.iter().zip(rows) {
            let lanes = lanes_at(row, chunk * LANES);
            for (sum, lane) in sums.iter_mut().zip(&lanes) {
                *sum = M::xor(*sum, M::mul(proof, *weight, *lane));
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = M::reduce(sum);
        }
    }
}

/// The lanes of a row from `at` on, zeros beyond its end.
#[inline(always)]
fn lanes_at(row: &[u64], at: usize) -> Lane {
    let rest = row.get(at..).unwrap_or_default();
    match rest.first_chunk::<LANES>() {
        Some(lanes) => *lanes,
        None => core::array::from_fn(|l| rest.get(l).copied().unwrap_or(0)),
    }
}

#[inline(always)]
pub(crate) fn gf64_add_products<M: Clmul>(
    proof: M::Proof,
    sums: &mut [u128],
    tree: &Tree,
    u: &[&[u64]],
    v: &[&[u64]],
) {
    let columns = u.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut nodes = [vec![[0; LANES]; tree.len], vec![[0; LANES]; tree.len]];
    for at in (0..columns).step_by(LANES) {
        let [left, right] = &mut nodes;
        left.iter_mut().zip(u).for_each(|(node, row)| *node = lanes_at(row, at));
        right.iter_mut().zip(v.iter().rev()).for_each(|(node, row)| *node = lanes_at(row, at));
        for nodes in [&mut *left, &mut *right] {
            for sum in &tree.sums {
                let (before, out) = nodes.split_at_mut(sum.to);
                let (low, high) = before[sum.from..sum.from + 2 * sum.half].split_at(sum.half);
                for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
                    *out = add_lanes::<Bits, LANES>(low, high);
                }
            }
        }
        for (sum, leaf) in sums.iter_mut().zip(&tree.leaves) {
            *sum = M::xor(M::wide(proof, *sum), M::dot(proof, &left[*leaf], &right[*leaf])).into();
        }
    }
}

/// What [`add_subset_sums`] takes to add up rows by the bits of `points`: output `k` is the sum of those rows `h` for
/// which bit `k` of `points[h]` is set. At most [`ROW_MAX`] points, up to 64 outputs.
#[must_use]
pub fn picks(points: &[u64], outputs: usize) -> Vec<u8> {
    let tables = points.len().div_ceil(4).max(1);
    let mut picks: Vec<u8> = (0..outputs * tables).map(|i| (16 * (i % tables)) as u8).collect();
    for (h, point) in points.iter().enumerate() {
        for k in 0..outputs {
            picks[k * tables + h / 4] |= (((point >> k) & 1) as u8) << (h % 4);
        }
    }
    picks
}

/// `out[k] += ` the sums modulo 2^64 that the picks name: pick `16 t + n` is the sum of those rows `4 t + j` for which
/// bit `j` of `n` is set; each output has as many picks as there are fours of rows. At most [`ROW_MAX`] rows, a multiple
/// of four. `tables` is room, reused.
pub fn add_subset_sums(tables: &mut Tables, out: &mut [Lane], rows: &[Lane], picks: &[u8]) {
    crate::wide::subset_sums(tables, out, rows, picks);
}

/// As [`add_subset_sums`], modulo 2.
pub fn add_subset_xors(tables: &mut Tables, out: &mut [Lane], rows: &[Lane], picks: &[u8]) {
    crate::wide::subset_xors(tables, out, rows, picks);
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
