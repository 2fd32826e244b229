//! The reference: one thread, one residue at a time, divisions instead of tricks.

use super::Backend;
use crate::digits::DigitMap;
use crate::modulus::{Modulus, PRIME_BITS};
use crate::ntt::NttTable;
use crate::poly::FixedPoly;
use crate::ring::Ring;

/// Defines what every backend computes. Slow, variable time: for tests and for reading, never for secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReferenceBackend;

/// `(a * b + c) mod q`.
fn mul_add(m: &Modulus, a: u32, b: u32, c: u32) -> u32 {
    m.reduce_u64_vartime(u64::from(a) * u64::from(b) + u64::from(c))
}

fn forward_limb(table: &NttTable, x: &mut [u32]) {
    let (m, n) = (table.modulus(), x.len());
    let mut groups = 1;
    while groups < n {
        let half = n / groups / 2;
        for (g, chunk) in x.chunks_exact_mut(2 * half).enumerate() {
            let (w, _) = table.root(groups + g);
            for j in 0..half {
                let (u, v) = (chunk[j], mul_add(m, chunk[j + half], w, 0));
                chunk[j] = mul_add(m, 1, u, v);
                chunk[j + half] = mul_add(m, 1, u, m.value() - v);
            }
        }
        groups *= 2;
    }
}

fn inverse_limb(table: &NttTable, x: &mut [u32]) {
    let (m, n) = (table.modulus(), x.len());
    let mut groups = n / 2;
    while groups >= 1 {
        let half = n / groups / 2;
        for (g, chunk) in x.chunks_exact_mut(2 * half).enumerate() {
            let (w, _) = table.inverse_root(groups + g);
            for j in 0..half {
                let (u, v) = (chunk[j], chunk[j + half]);
                chunk[j] = mul_add(m, 1, u, v);
                chunk[j + half] = mul_add(m, mul_add(m, 1, u, m.value() - v), w, 0);
            }
        }
        groups /= 2;
    }
    for x in x {
        *x = mul_add(m, *x, table.degree_inverse().0, 0);
    }
}

/// Calls `f(limb index, index in the batch, residues)`.
fn each_limb(ring: &Ring, batch: &mut [u32], f: impl Fn(usize, usize, &mut [u32])) {
    let limbs = ring.limbs();
    batch.chunks_exact_mut(ring.degree()).enumerate().for_each(|(i, x)| f(i % limbs, i, x));
}

/// Calls `f(modulus, acc, x, index in the polynomial)` for every pair of residues.
fn each_pair(ring: &Ring, acc: &mut [u32], x: &[u32], f: impl Fn(&Modulus, u32, u32, usize) -> u32) {
    for (i, (a, &x)) in acc.iter_mut().zip(x).enumerate() {
        let place = i % ring.residues();
        *a = f(ring.tables()[place / ring.degree()].modulus(), *a, x, place);
    }
}

impl Backend for ReferenceBackend {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn forward(&self, ring: &Ring, batch: &mut [u32]) {
        each_limb(ring, batch, |l, _, x| forward_limb(&ring.tables()[l], x));
    }

    fn inverse(&self, ring: &Ring, batch: &mut [u32]) {
        each_limb(ring, batch, |l, _, x| inverse_limb(&ring.tables()[l], x));
    }

    fn add(&self, ring: &Ring, acc: &mut [u32], x: &[u32]) {
        each_pair(ring, acc, x, |m, a, x, _| mul_add(m, 1, a, x));
    }

    fn sub(&self, ring: &Ring, acc: &mut [u32], x: &[u32]) {
        each_pair(ring, acc, x, |m, a, x, _| mul_add(m, 1, a, m.value() - x));
    }

    fn neg(&self, ring: &Ring, x: &mut [u32]) {
        each_limb(ring, x, |l, _, x| {
            let q = ring.tables()[l].modulus().value();
            x.iter_mut().for_each(|x| *x = (q - *x) % q);
        });
    }

    fn mul(&self, ring: &Ring, acc: &mut [u32], x: &[u32]) {
        each_pair(ring, acc, x, |m, a, x, _| mul_add(m, a, x, 0));
    }

    fn mul_fixed(&self, ring: &Ring, x: &mut [u32], fixed: &FixedPoly) {
        let w = fixed.values().residues();
        for poly in x.chunks_exact_mut(ring.residues()) {
            self.mul(ring, poly, w);
        }
    }

    fn mul_fixed_add(&self, ring: &Ring, acc: &mut [u32], x: &[u32], fixed: &FixedPoly) {
        let w = fixed.values().residues();
        each_pair(ring, acc, x, |m, a, x, place| mul_add(m, x, w[place], a));
    }

    fn accumulate(&self, ring: &Ring, acc: &mut [u32], _pending: usize, inputs: &[&[u32]]) -> usize {
        self.reduce(ring, acc);
        for x in inputs {
            self.add(ring, acc, x);
        }
        1
    }

    fn reduce(&self, ring: &Ring, x: &mut [u32]) {
        each_limb(ring, x, |l, _, x| {
            let q = ring.tables()[l].modulus().value();
            x.iter_mut().for_each(|x| *x %= q);
        });
    }

    fn digits_add(&self, ring: &Ring, acc: &mut [u32], planes: &[u32], map: &DigitMap) {
        let (n, d) = (ring.degree(), map.digits());
        each_limb(ring, acc, |l, i, acc| {
            let m = ring.tables()[l].modulus();
            let unscale = m.inv(m.r1).unwrap_or_default(); // the map's constants carry a factor 2^32
            for (k, a) in acc.iter_mut().enumerate() {
                let mut value = mul_add(m, 1, map.offsets[l], *a);
                for j in 0..d {
                    let digit = planes[(i / ring.limbs() * d + j) * n + k] & ((1 << PRIME_BITS) - 1);
                    value = mul_add(m, digit, mul_add(m, map.constants[l * d + j], unscale, 0), value);
                }
                *a = value;
            }
        });
    }
}
