//! The CPU backend: vector kernels chosen at run time, on one thread or on rayon's pool.

use rayon::prelude::*;

use super::Backend;
use crate::digits::DigitMap;
use crate::modulus::Modulus;
use crate::poly::FixedPoly;
use crate::ring::Ring;
use crate::simd;

/// Residues below `q` that a `u32` can add up: `32 q < 2^32`.
const LAZY_TERMS: usize = 32;

/// Residues of a sum that stay in the first cache while all inputs pass by.
const SUM_BLOCK: usize = 2048;

/// Vector kernels, limb by limb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuBackend {
    parallel: bool,
}

impl CpuBackend {
    /// On the caller's thread, for use inside a parallel loop over polynomials.
    pub const SERIAL: Self = Self { parallel: false };
    /// Limbs in parallel on rayon's pool.
    pub const PARALLEL: Self = Self { parallel: true };

    /// Calls `f(limb index in its polynomial, index in the batch, limb)` for every limb.
    fn each_limb(self, ring: &Ring, batch: &mut [u32], f: impl Fn(usize, usize, &mut [u32]) + Sync) {
        let (n, limbs) = (ring.degree(), ring.limbs());
        if self.parallel {
            batch.par_chunks_exact_mut(n).enumerate().for_each(|(i, limb)| f(i % limbs, i, limb));
        } else {
            batch.chunks_exact_mut(n).enumerate().for_each(|(i, limb)| f(i % limbs, i, limb));
        }
    }

    /// Calls `f(modulus, acc, x)` for every pair of limbs.
    fn each_pair(
        self,
        ring: &Ring,
        acc: &mut [u32],
        x: &[u32],
        f: impl Fn(&Modulus, &mut [u32], &[u32]) + Sync,
    ) {
        let n = ring.degree();
        self.each_limb(ring, acc, |l, i, acc| {
            if let Some(x) = x.get(i * n..(i + 1) * n) {
                f(ring.tables()[l].modulus(), acc, x);
            }
        });
    }
}

fn fixed_limb<'a>(ring: &Ring, fixed: &'a FixedPoly, l: usize) -> (&'a [u32], &'a [u32]) {
    let range = l * ring.degree()..(l + 1) * ring.degree();
    (&fixed.values().residues()[range.clone()], &fixed.quotients()[range])
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        if self.parallel { "cpu" } else { "cpu, one thread" }
    }

    fn forward(&self, ring: &Ring, batch: &mut [u32]) {
        self.each_limb(ring, batch, |l, _, limb| simd::ntt_forward(&ring.tables()[l], limb));
    }

    fn inverse(&self, ring: &Ring, batch: &mut [u32]) {
        self.each_limb(ring, batch, |l, _, limb| simd::ntt_inverse(&ring.tables()[l], limb));
    }

    fn add(&self, ring: &Ring, acc: &mut [u32], x: &[u32]) {
        self.each_pair(ring, acc, x, simd::add);
    }

    fn sub(&self, ring: &Ring, acc: &mut [u32], x: &[u32]) {
        self.each_pair(ring, acc, x, simd::sub);
    }

    fn neg(&self, ring: &Ring, x: &mut [u32]) {
        self.each_limb(ring, x, |l, _, limb| simd::neg(ring.tables()[l].modulus(), limb));
    }

    fn mul(&self, ring: &Ring, acc: &mut [u32], x: &[u32]) {
        self.each_pair(ring, acc, x, simd::mul);
    }

    fn mul_fixed(&self, ring: &Ring, x: &mut [u32], fixed: &FixedPoly) {
        self.each_limb(ring, x, |l, _, limb| {
            simd::mul_fixed(ring.tables()[l].modulus(), limb, fixed_limb(ring, fixed, l));
        });
    }

    fn mul_fixed_add(&self, ring: &Ring, acc: &mut [u32], x: &[u32], fixed: &FixedPoly) {
        let n = ring.degree();
        self.each_limb(ring, acc, |l, i, acc| {
            if let Some(x) = x.get(i * n..(i + 1) * n) {
                simd::mul_fixed_add(ring.tables()[l].modulus(), acc, x, fixed_limb(ring, fixed, l));
            }
        });
    }

    fn accumulate(&self, ring: &Ring, acc: &mut [u32], pending: usize, inputs: &[&[u32]]) -> usize {
        let n = ring.degree();
        self.each_limb(ring, acc, |l, i, acc| {
            for (block, acc) in acc.chunks_mut(SUM_BLOCK).enumerate() {
                let start = i * n + block * SUM_BLOCK;
                accumulate_block(ring.tables()[l].modulus(), acc, pending, inputs, start);
            }
        });
        terms_after(pending, inputs.len())
    }

    fn reduce(&self, ring: &Ring, x: &mut [u32]) {
        self.each_limb(ring, x, |l, _, limb| simd::reduce(ring.tables()[l].modulus(), limb));
    }

    fn digits_add(&self, ring: &Ring, acc: &mut [u32], planes: &[u32], map: &DigitMap) {
        let (d, stride) = (map.digits(), map.digits() * ring.degree());
        self.each_limb(ring, acc, |l, i, acc| {
            let poly = i / ring.limbs();
            if let Some(planes) = planes.get(poly * stride..(poly + 1) * stride) {
                let constants = (&map.constants[l * d..(l + 1) * d], map.offsets[l]);
                simd::digits_add(ring.tables()[l].modulus(), acc, planes, constants);
            }
        });
    }
}

/// Adds one block of every input, four at a time, reducing only when a lane could overflow: memory is the limit.
fn accumulate_block(m: &Modulus, acc: &mut [u32], pending: usize, inputs: &[&[u32]], start: usize) {
    let end = start + acc.len();
    let mut terms = pending;
    let (fours, rest) = inputs.as_chunks::<4>();
    for four in fours {
        if terms + 4 > LAZY_TERMS {
            simd::reduce(m, acc);
        }
        terms = terms_after_step(terms, 4);
        simd::add_lazy4(acc, four.map(|x| &x[start..end]));
    }
    for x in rest {
        if terms + 1 > LAZY_TERMS {
            simd::reduce(m, acc);
        }
        terms = terms_after_step(terms, 1);
        simd::add_lazy(acc, &x[start..end]);
    }
}

/// Terms in a lane after `more` are added, with the reduction before them where they would not fit.
fn terms_after_step(terms: usize, more: usize) -> usize {
    if terms + more > LAZY_TERMS { 1 + more } else { terms + more }
}

/// Terms in a lane after [`accumulate_block`].
fn terms_after(pending: usize, inputs: usize) -> usize {
    let fours = (0..inputs / 4).fold(pending, |terms, _| terms_after_step(terms, 4));
    (0..inputs % 4).fold(fours, |terms, _| terms_after_step(terms, 1))
}
