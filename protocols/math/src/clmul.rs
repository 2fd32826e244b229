//! Carry-less multiplication of words: what kernels over GF(2^64) need of it, the portable one, and the kernels' bodies,
//! which are loops over indices as in [`crate::lanes`].

use crate::karatsuba::{Sum, Tree};
use crate::lanes::{Bits, LANES, Lane, add_lanes};

/// Products of polynomials over GF(2) of degree under 64.
pub(crate) trait Clmul {
    /// Evidence that the instructions exist.
    type Proof: Copy;
    /// A polynomial of degree under 128.
    type Wide: Copy;
    fn wide(proof: Self::Proof, value: u128) -> Self::Wide;
    fn narrow(wide: Self::Wide) -> u128;
    fn mul(proof: Self::Proof, a: u64, b: u64) -> Self::Wide;
    fn xor(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The sum of the products of the lanes.
    fn dot(proof: Self::Proof, a: &Lane, b: &Lane) -> Self::Wide;
    /// Modulo `X^64 + X^4 + X^3 + X + 1`.
    fn reduce(wide: Self::Wide) -> u64;
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
    fn reduce(wide: u128) -> u64 {
        crate::gf64::reduce(wide)
    }
}

#[inline(always)]
pub(crate) fn gf64_scale<M: Clmul>(proof: M::Proof, values: &mut [u64], weights: &[u64]) {
    let count = values.len().min(weights.len());
    let (values, weights) = (&mut values[..count], &weights[..count]);
    for i in 0..count {
        values[i] = M::reduce(M::mul(proof, values[i], weights[i]));
    }
}

#[inline(always)]
pub(crate) fn gf64_add_scaled<M: Clmul>(proof: M::Proof, sums: &mut [u128], weight: u64, values: &[u64]) {
    let count = sums.len().min(values.len());
    let (sums, values) = (&mut sums[..count], &values[..count]);
    for i in 0..count {
        sums[i] = M::narrow(M::xor(M::wide(proof, sums[i]), M::mul(proof, weight, values[i])));
    }
}

#[inline(always)]
pub(crate) fn gf64_combine<M: Clmul>(proof: M::Proof, out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
    for at in (0..out.len()).step_by(LANES) {
        let mut sums = [M::wide(proof, 0); LANES];
        for h in 0..weights.len().min(rows.len()) {
            let lanes = lanes_at(rows[h], at);
            if weights[h] == 1 {
                for l in 0..LANES {
                    sums[l] = M::xor(sums[l], M::wide(proof, lanes[l] as u128));
                }
                continue;
            }
            for l in 0..LANES {
                sums[l] = M::xor(sums[l], M::mul(proof, weights[h], lanes[l]));
            }
        }
        for l in 0..LANES.min(out.len() - at) {
            out[at + l] = M::reduce(sums[l]);
        }
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
