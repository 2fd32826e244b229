//! Carry-less multiplication of words: what kernels over GF(2^64) need of it, the portable one, and the kernels' bodies,
//! which are loops over indices as in [`crate::lanes`].

use core::ops::Range;

use crate::karatsuba::{Sum, Tree};
use crate::lanes::{Bits, LANES, Lane, ROW_MAX, add_lanes};

/// Products of polynomials over GF(2) of degree under 64.
pub(crate) trait Clmul {
    /// Evidence that the instructions exist.
    type Proof: Copy;
    /// A polynomial of degree under 128.
    type Wide: Copy;
    /// One for each lane, in an order of its own.
    type Sums: Copy;
    fn wide(proof: Self::Proof, value: u128) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> u128;
    fn mul(proof: Self::Proof, a: u64, b: u64) -> Self::Wide;
    fn xor(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The sum of the products of the lanes.
    fn dot(proof: Self::Proof, a: &Lane, b: &Lane) -> Self::Wide;
    fn zeros(proof: Self::Proof) -> Self::Sums;
    /// `sums += weight * lanes`.
    fn add_scaled(proof: Self::Proof, sums: &mut Self::Sums, weight: u64, lanes: &Lane);
    /// Lane by lane.
    fn sums(sums: Self::Sums) -> [Self::Wide; LANES];
    /// Each modulo `X^64 + X^4 + X^3 + X + 1`.
    fn reduced(sums: Self::Sums) -> Lane;
    /// Products of lanes, reduced.
    fn products(proof: Self::Proof, a: &Lane, b: &Lane) -> Lane;
}

/// Integer multiplications of every fourth bit (Pornin, BearSSL, `ctmul64`): the three bits between hold the carries
/// of a column of up to 15 ones; only the topmost column can have 16, whose carry falls off.
pub(crate) struct Portable;

/// The low half of a product: four residue classes of bit positions, so that carries stay inside the holes.
#[inline(always)]
fn low(a: u64, b: u64) -> u64 {
    const CLASS: u64 = 0x1111_1111_1111_1111;
    let part = |x: u64, class: u32| x & (CLASS << class);
    let mut out = 0;
    for class in 0..4 {
        let mut sum = 0;
        for i in 0..4 {
            let j = (4 + class - i) % 4;
            sum ^= part(a, i).wrapping_mul(part(b, j));
        }
        out |= part(sum, class);
    }
    out
}

impl Clmul for Portable {
    type Proof = ();
    type Wide = u128;
    type Sums = [u128; LANES];
    #[inline(always)]
    fn wide((): (), value: u128) -> u128 {
        value
    }
    #[inline(always)]
    fn narrow(wide: u128) -> u128 {
        wide
    }
    #[inline(always)]
    fn mul((): (), a: u64, b: u64) -> u128 {
        // The high half is the low half of the product of the reversed words, reversed, one bit down.
        let high = low(a.reverse_bits(), b.reverse_bits()).reverse_bits() >> 1;
        (u128::from(high) << 64) | u128::from(low(a, b))
    }
    #[inline(always)]
    fn xor(a: u128, b: u128) -> u128 {
        a ^ b
    }
    #[inline(always)]
    fn dot((): (), a: &Lane, b: &Lane) -> u128 {
        a.iter().zip(b).fold(0, |sum, (a, b)| sum ^ Self::mul((), *a, *b))
    }
    #[inline(always)]
    fn zeros((): ()) -> [u128; LANES] {
        [0; LANES]
    }
    #[inline(always)]
    fn add_scaled((): (), sums: &mut [u128; LANES], weight: u64, lanes: &Lane) {
        for l in 0..LANES {
            sums[l] ^= Self::mul((), weight, lanes[l]);
        }
    }
    #[inline(always)]
    fn sums(sums: [u128; LANES]) -> [u128; LANES] {
        sums
    }
    #[inline(always)]
    fn reduced(sums: [u128; LANES]) -> Lane {
        sums.map(crate::gf64::reduce)
    }
    #[inline(always)]
    fn products((): (), a: &Lane, b: &Lane) -> Lane {
        core::array::from_fn(|l| crate::gf64::reduce(Self::mul((), a[l], b[l])))
    }
}

#[inline(always)]
pub(crate) fn gf64_scale<M: Clmul>(proof: M::Proof, values: &mut [u64], weights: &[u64]) {
    let count = values.len().min(weights.len());
    for at in (0..count).step_by(LANES) {
        let products = M::products(proof, &lanes_at(values, at), &lanes_at(weights, at));
        let out = &mut values[at..count.min(at + LANES)];
        out.copy_from_slice(&products[..out.len()]);
    }
}

#[inline(always)]
pub(crate) fn gf64_add_scaled<M: Clmul>(proof: M::Proof, sums: &mut [u128], weights: &[u64], rows: &[u64]) {
    let width = sums.len();
    for at in (0..width).step_by(LANES) {
        let mut lanes = M::zeros(proof);
        for (r, weight) in weights.iter().enumerate() {
            let row = rows.get(r * width..(r + 1) * width).unwrap_or_default();
            M::add_scaled(proof, &mut lanes, *weight, &lanes_at(row, at));
        }
        add_to::<M>(proof, sums, at..width, lanes);
    }
}

/// Rows whose pairs are added up together: two copies of each of both sides in the first cache.
pub(crate) const PAIR_ROWS: usize = 8;

#[inline(always)]
pub(crate) fn gf64_add_pair_products<M: Clmul>(
    proof: M::Proof,
    sums: &mut [u128],
    weights: &[u64],
    u: &[u64],
    v: &[u64],
) {
    let m = (u.len().min(v.len()) / weights.len().max(1)).min(ROW_MAX);
    let mut twice = [[[0; 2 * ROW_MAX]; 2]; PAIR_ROWS];
    for (r, [us, vs]) in twice.iter_mut().enumerate().take(weights.len()) {
        for (twice, side) in [(us, u), (vs, v)] {
            let row = &side[r * m..(r + 1) * m];
            twice[..m].copy_from_slice(row);
            twice[m..2 * m].copy_from_slice(row);
        }
    }
    for at in (0..m).step_by(LANES) {
        let mut lanes = M::zeros(proof);
        for (weight, [u, v]) in weights.iter().zip(&twice) {
            let (u, v) = (lanes_at(u, at), lanes_at(v, at));
            let products = core::array::from_fn(|l| u[l] & v[l]);
            M::add_scaled(proof, &mut lanes, *weight, &products);
        }
        add_to::<M>(proof, sums, at..m, lanes);
    }
    let mut first = m;
    for shift in 1..=m / 2 {
        let count = if 2 * shift == m { m / 2 } else { m };
        for at in (0..count).step_by(LANES) {
            let mut lanes = M::zeros(proof);
            for (weight, [u, v]) in weights.iter().zip(&twice) {
                let [a, b] = [u, v].map(|row| lanes_at(row, at));
                let [c, d] = [u, v].map(|row| lanes_at(row, at + shift));
                let products = core::array::from_fn(|l| (a[l] ^ c[l]) & (b[l] ^ d[l]));
                M::add_scaled(proof, &mut lanes, *weight, &products);
            }
            add_to::<M>(proof, sums, first + at..first + count, lanes);
        }
        first += count;
    }
}

/// Adds lanes to the sums of a range, as many as it has.
#[inline(always)]
fn add_to<M: Clmul>(proof: M::Proof, sums: &mut [u128], range: Range<usize>, lanes: M::Sums) {
    for (sum, lane) in sums[range].iter_mut().zip(M::sums(lanes)) {
        *sum = M::narrow(M::xor(M::wide(proof, *sum), lane));
    }
}

#[inline(always)]
pub(crate) fn gf64_combine<M: Clmul>(proof: M::Proof, out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
    for at in (0..out.len()).step_by(LANES) {
        let mut sums = M::zeros(proof);
        for h in 0..weights.len().min(rows.len()) {
            M::add_scaled(proof, &mut sums, weights[h], &lanes_at(rows[h], at));
        }
        let reduced = M::reduced(sums);
        let out = &mut out[at..];
        let count = LANES.min(out.len());
        out[..count].copy_from_slice(&reduced[..count]);
    }
}

/// The lanes of a row from `at` on, zeros beyond its end.
#[inline(always)]
fn lanes_at(row: &[u64], at: usize) -> Lane {
    let mut lanes = [0; LANES];
    if at + LANES <= row.len() {
        lanes.copy_from_slice(&row[at..at + LANES]);
    } else {
        let rest = row.get(at..).unwrap_or_default();
        lanes[..rest.len()].copy_from_slice(rest);
    }
    lanes
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
    let (mut left, mut right) = (vec![[0; LANES]; tree.len], vec![[0; LANES]; tree.len]);
    for at in (0..columns).step_by(LANES) {
        for h in 0..u.len() {
            left[h] = lanes_at(u[h], at);
            right[h] = lanes_at(v[v.len() - 1 - h], at);
        }
        add_halves_of(&mut left, tree);
        add_halves_of(&mut right, tree);
        for n in 0..sums.len().min(tree.leaves.len()) {
            let leaf = tree.leaves[n];
            sums[n] = M::narrow(M::xor(M::wide(proof, sums[n]), M::dot(proof, &left[leaf], &right[leaf])));
        }
    }
}

#[inline(always)]
fn add_halves_of(nodes: &mut [Lane], tree: &Tree) {
    for s in 0..tree.sums.len() {
        let Sum { to, from, half } = tree.sums[s];
        let (before, out) = nodes.split_at_mut(to);
        let (low, high) = before[from..from + 2 * half].split_at(half);
        let out = &mut out[..half];
        for i in 0..half {
            out[i] = add_lanes::<Bits, LANES>(&low[i], &high[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_portable_product_equals_shifts_and_sums(a: u64, b: u64) {
            let slow = (0..64).fold(0, |sum, i| sum ^ ((u128::from(a) << i) & u128::from((b >> i) & 1).wrapping_neg()));
            prop_assert_eq!(Portable::mul((), a, b), slow);
        }
    }

    #[test]
    fn the_portable_product_of_all_ones_is_right() {
        let expected = (0..64).fold(0, |sum, i| sum ^ (u128::from(u64::MAX) << i));
        assert_eq!(Portable::mul((), u64::MAX, u64::MAX), expected);
    }
}
