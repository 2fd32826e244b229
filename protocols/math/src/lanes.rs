//! Bodies of the kernels that verify products, written over [`LANES`] words side by side so that the compiler makes
//! vectors of them. `wide` instantiates each for the baseline, AVX2 and AVX-512, and picks one at run time.
//!
//! Bodies are loops over indices, without closures and adapters: those are functions of their own, which a build
//! without optimization at link time need not inline, and outside of a body there are no wide vectors.
#![expect(clippy::needless_range_loop, reason = "see above")]

use crate::karatsuba::{Sum, Tree};

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
pub(crate) fn add_lanes<G: Group, const N: usize>(a: &[u64; N], b: &[u64; N]) -> [u64; N] {
    let mut sum = [0; N];
    for l in 0..N {
        sum[l] = G::add(a[l], b[l]);
    }
    sum
}

/// `out[k] += ` the sums that the picks name: pick `16 t + n` is the sum of those rows `4 t + j` for which bit `j` of
/// `n` is set, and each output has as many picks as there are fours of rows (four Russians).
#[inline(always)]
pub(crate) fn subset_sums<G: Group>(tables: &mut Tables, out: &mut [Lane], rows: &[Lane], picks: &[u8]) {
    let Tables(sums) = tables;
    let count = (rows.len() / 4).clamp(1, ROW_MAX / 4);
    for t in 0..rows.len() / 4 {
        let table = &mut sums[16 * t..16 * t + 16];
        for j in 0..4 {
            let row = rows[4 * t + j];
            for i in 0..1 << j {
                table[i + (1 << j)] = add_lanes::<G, LANES>(&table[i], &row);
            }
        }
    }
    let outputs = out.len().min(picks.len() / count);
    for k in 0..outputs {
        let mut total = out[k];
        let picks = &picks[k * count..(k + 1) * count];
        for t in 0..count {
            total = add_lanes::<G, LANES>(&total, &sums[usize::from(picks[t])]);
        }
        out[k] = total;
    }
}

/// Adds the products of a row with itself: first `u_h v_h`, then, for each shift `s` up to half the row,
/// `(u_h + u_(h+s)) (v_h + v_(h+s))`, indices modulo the row.
#[inline(always)]
pub(crate) fn pair_products<G: Group>(out: &mut [u64], u: &[u64], v: &[u64]) {
    let m = u.len().min(v.len()).min(ROW_MAX);
    let (mut twice_u, mut twice_v) = ([0; 2 * ROW_MAX], [0; 2 * ROW_MAX]);
    twice_u[..m].copy_from_slice(&u[..m]);
    twice_u[m..2 * m].copy_from_slice(&u[..m]);
    twice_v[..m].copy_from_slice(&v[..m]);
    twice_v[m..2 * m].copy_from_slice(&v[..m]);
    let (diagonal, mut rest) = out.split_at_mut(m);
    for h in 0..m {
        diagonal[h] = G::add(diagonal[h], G::mul(u[h], v[h]));
    }
    for shift in 1..=m / 2 {
        let count = if 2 * shift == m { m / 2 } else { m };
        let (now, later) = rest.split_at_mut(count);
        let (a, b) = (&twice_u[..count], &twice_v[..count]);
        let (c, d) = (&twice_u[shift..shift + count], &twice_v[shift..shift + count]);
        for h in 0..count {
            now[h] = G::add(now[h], G::mul(G::add(a[h], c[h]), G::add(b[h], d[h])));
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
        for k in 0..64 {
            if k & step != 0 {
                continue;
            }
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

/// Four words in a register.
pub(crate) trait Words: Copy {
    /// Evidence that the instructions exist.
    type Proof: Copy;
    fn load(proof: Self::Proof, words: &Quad) -> Self;
    fn store(self, words: &mut Quad);
    fn add(self, other: Self) -> Self;
    /// The product of the lower halves.
    fn mul_low(self, other: Self) -> Self;
    /// The lower half moved up, or the upper one down.
    fn up(self) -> Self;
    fn down(self) -> Self;
}

/// Portable words.
#[derive(Clone, Copy)]
pub(crate) struct PlainWords(Quad);

impl PlainWords {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let mut out = [0; 4];
        for l in 0..4 {
            out[l] = f(self.0[l], other.0[l]);
        }
        Self(out)
    }
}

impl Words for PlainWords {
    type Proof = ();
    #[inline(always)]
    fn load((): (), words: &Quad) -> Self {
        Self(*words)
    }
    #[inline(always)]
    fn store(self, words: &mut Quad) {
        *words = self.0;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }
    #[inline(always)]
    fn mul_low(self, other: Self) -> Self {
        self.each(other, |a, b| (a & 0xffff_ffff) * (b & 0xffff_ffff))
    }
    #[inline(always)]
    fn up(self) -> Self {
        self.each(self, |a, _| a << 32)
    }
    #[inline(always)]
    fn down(self) -> Self {
        self.each(self, |a, _| a >> 32)
    }
}

/// Adds to `sum` the products of pairs of words modulo 2^64, each from three products of halves.
#[inline(always)]
fn add_output<W: Words, const N: usize>(proof: W::Proof, sum: &mut Quad, a: [[W; 2]; N], b: [[W; 2]; N]) {
    let zero = W::load(proof, &[0; 4]);
    let (mut low, mut cross) = (zero, zero);
    for n in 0..N {
        low = low.add(a[n][0].mul_low(b[n][0]));
        cross = cross.add(a[n][0].mul_low(b[n][1])).add(a[n][1].mul_low(b[n][0]));
    }
    W::load(proof, sum).add(low).add(cross.up()).store(sum);
}

/// Words and their upper halves.
#[inline(always)]
fn halves<W: Words>(proof: W::Proof, words: &Quad) -> [W; 2] {
    let words = W::load(proof, words);
    [words, words.down()]
}

#[inline(always)]
fn fill_nodes<W: Words>(
    proof: W::Proof,
    nodes: &mut [Quad; NODES],
    block: &[Lane; 48],
    half: usize,
    tree: &Tree,
) {
    for c in 0..48 {
        W::load(proof, &block[c].as_chunks::<4>().0[half]).store(&mut nodes[c]);
    }
    for s in 0..tree.sums.len() {
        let Sum { to, from, half } = tree.sums[s];
        let (before, out) = nodes.split_at_mut(to);
        let (low, high) = before[from..from + 2 * half].split_at(half);
        let out = &mut out[..half];
        for i in 0..half {
            W::load(proof, &low[i]).add(W::load(proof, &high[i])).store(&mut out[i]);
        }
    }
}

/// Adds the products of two blocks, lane by lane, four lanes apart, as leaves of Karatsuba's method.
#[inline(always)]
pub(crate) fn add_leaf_products<W: Words>(
    proof: W::Proof,
    sums: &mut LeafSums,
    room: &mut LeafRoom,
    tree: &Tree,
    (a, b): (&[Lane; 48], &[Lane; 48]),
) {
    let leaves = &tree.leaves[..LEAVES.min(tree.leaves.len())];
    let LeafRoom([left, right]) = room;
    for half in [0, 1] {
        fill_nodes::<W>(proof, left, a, half, tree);
        fill_nodes::<W>(proof, right, b, half, tree);
        for n in 0..leaves.len() {
            let from = leaves[n].min(NODES - LEAF);
            let a0 = halves::<W>(proof, &left[from]);
            let a1 = halves::<W>(proof, &left[from + 1]);
            let a2 = halves::<W>(proof, &left[from + 2]);
            let b0 = halves::<W>(proof, &right[from]);
            let b1 = halves::<W>(proof, &right[from + 1]);
            let b2 = halves::<W>(proof, &right[from + 2]);
            let sum = &mut sums[n];
            add_output(proof, &mut sum[0], [a0], [b0]);
            add_output(proof, &mut sum[1], [a0, a1], [b1, b0]);
            add_output(proof, &mut sum[2], [a0, a1, a2], [b2, b1, b0]);
            add_output(proof, &mut sum[3], [a1, a2], [b2, b1]);
            add_output(proof, &mut sum[4], [a2], [b2]);
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
    for tile in 0..24 {
        let (first, end) = reaching[tile];
        let mut sums = [[0u64; LANES]; 4];
        for i in first..end.min(powers.len()) {
            // At least 4 tile - 47, by `reaching`; the rows before and after are zero.
            let from = (BEFORE + 4 * tile).saturating_sub(powers[i]).min(143 - 4);
            for c in 0..4 {
                sums[c] = add_lanes::<Integers, LANES>(&sums[c], &padded[from + c]);
            }
        }
        for c in 0..4 {
            wide[4 * tile + c] = sums[c];
        }
    }
    reduce_lanes(wide);
    for c in 0..48 {
        value[c] = add_lanes::<Integers, LANES>(&wide[c], &next[c]);
    }
}

/// `X^48 = -(X^5 + X^3 + X^2 + 1)`, from the top down.
#[inline(always)]
pub(crate) fn reduce_lanes(wide: &mut [Lane]) {
    for c in (48..wide.len()).rev() {
        let over = wide[c];
        for power in [0, 2, 3, 5] {
            let out = &mut wide[c - 48 + power];
            for lane in 0..LANES {
                out[lane] = out[lane].wrapping_sub(over[lane]);
            }
        }
    }
}

/// Multiplies the element of lane `l` by `X^l`.
#[inline(always)]
pub(crate) fn shift_lanes(block: &mut [Lane; 48]) {
    let mut wide = [[0; LANES]; 48 + LANES - 1];
    for c in 0..48 {
        for lane in 0..LANES {
            wide[c + lane][lane] = block[c][lane];
        }
    }
    reduce_lanes(&mut wide);
    block.copy_from_slice(&wide[..48]);
}

#[inline(always)]
pub(crate) fn add_blocks(block: &mut [Lane; 48], other: &[Lane; 48]) {
    for c in 0..48 {
        block[c] = add_lanes::<Integers, LANES>(&block[c], &other[c]);
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
