//! Bodies of the kernels that verify products, written over [`LANES`] words side by side so that the compiler makes
//! vectors of them. `wide` instantiates each for the baseline, AVX2 and AVX-512, and picks one at run time.
//!
//! Bodies are loops over indices, without closures and adapters: those are functions of their own, which a build
//! without optimization at link time need not inline, and outside of a body there are no wide vectors.
#![expect(clippy::needless_range_loop, reason = "see above")]

/// Words side by side.
pub const LANES: usize = 8;

/// The widest row of pairwise products and of subset sums.
pub const ROW_MAX: usize = 64;

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

/// Sums modulo 2^64 or modulo 2.
pub(crate) trait Group {
    fn add(a: u64, b: u64) -> u64;
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
}

impl Group for Bits {
    #[inline(always)]
    fn add(a: u64, b: u64) -> u64 {
        a ^ b
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

/// The sums of [`crate::gf64::add_pair_products`] past the first `m`, as pairs of indices.
#[must_use]
pub fn cross_pairs(m: usize) -> Vec<(usize, usize)> {
    let count = |shift| if 2 * shift == m { m / 2 } else { m };
    (1..=m / 2).flat_map(|shift| (0..count(shift)).map(move |h| (h, (h + shift) % m))).collect()
}

/// In each lane, bit `a` of word `c` becomes bit `c` of word `a`.
pub fn transpose(words: &mut [[u64; LANES]; 64]) {
    crate::wide::transpose_bits(words);
}
