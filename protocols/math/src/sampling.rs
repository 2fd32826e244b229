//! Secret and public randomness.
//!
//! Secret samples take constant time: no branch, index or division depends on an accepted value. Where random
//! bytes are rejected, the rejection depends on rejected bytes only.

use chacha20::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use zeroize::{Zeroize, Zeroizing};

use crate::kernel::{BINOMIAL_BYTES, BINOMIAL_ETA};
use crate::modulus::{Modulus, PRIME_BITS};
use crate::poly::{Evaluations, Poly};
use crate::ring::Ring;
use crate::simd;

/// Variance of [`binomial`], `eta / 2`; the standard deviation is 3.24.
pub const BINOMIAL_VARIANCE: f64 = BINOMIAL_ETA as f64 / 2.0;
/// Largest magnitude of [`binomial`].
pub const BINOMIAL_MAX: i8 = BINOMIAL_ETA as i8;

/// ChaCha20 keyed by a 32-byte seed: the expansion of every seed in Ward. Wiped on drop.
pub type Expander = ChaCha20Rng;

/// The stream `stream` of `seed`. Streams of one seed are independent.
#[must_use]
pub fn expand(seed: &[u8; 32], stream: u64) -> Expander {
    let mut rng = ChaCha20Rng::from_seed(*seed);
    rng.set_stream(stream);
    rng
}

/// A fresh seed from `rng`, wiped on drop.
#[must_use]
pub fn child_seed<R: CryptoRng + ?Sized>(rng: &mut R) -> Zeroizing<[u8; 32]> {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(seed.as_mut());
    seed
}

/// Uniform on `{-1, 0, 1}`, exactly: five base-3 digits of each byte below 243.
pub fn ternary<R: CryptoRng + ?Sized>(rng: &mut R, out: &mut [i8]) {
    let mut bytes = Zeroizing::new([0u8; 256]);
    let mut digits = Zeroizing::new([[0i8; 5]; 256]);
    let mut filled = 0;
    while filled < out.len() {
        rng.fill_bytes(bytes.as_mut());
        let mut accepted = 0;
        for &byte in bytes.iter() {
            let mut rest = u32::from(byte);
            for digit in &mut digits[accepted] {
                let third = (rest * 171) >> 9; // rest / 3 for rest < 256
                *digit = (rest - 3 * third) as i8 - 1;
                rest = third;
            }
            accepted = (accepted + usize::from(byte < 243)).min(255);
        }
        let flat = digits[..accepted].as_flattened();
        let take = flat.len().min(out.len() - filled);
        out[filled..filled + take].copy_from_slice(&flat[..take]);
        filled += take;
    }
}

/// Centred binomial with `eta = 21`: standard deviation 3.24, magnitude at most 21.
pub fn binomial<R: CryptoRng + ?Sized>(rng: &mut R, out: &mut [i8]) {
    const SAMPLES: usize = 512;
    let mut bytes = Zeroizing::new([0u8; SAMPLES * BINOMIAL_BYTES + 2]);
    for out in out.chunks_mut(SAMPLES) {
        rng.fill_bytes(&mut bytes[..out.len() * BINOMIAL_BYTES]);
        simd::binomial(&bytes[..out.len() * BINOMIAL_BYTES + 2], out);
    }
}

/// Uniform on `[0, q)` by rejection of 27-bit candidates.
pub fn uniform_residues<R: CryptoRng + ?Sized>(rng: &mut R, modulus: &Modulus, out: &mut [u32]) {
    const MASK: u32 = (1 << PRIME_BITS) - 1;
    let mut bytes = Zeroizing::new([0u8; 1024]);
    let mut filled = 0;
    while filled < out.len() {
        rng.fill_bytes(bytes.as_mut());
        for word in bytes.as_chunks::<4>().0 {
            let candidate = u32::from_le_bytes(*word) & MASK;
            if let Some(slot) = out.get_mut(filled) {
                *slot = candidate;
                filled += usize::from(candidate < modulus.value());
            }
        }
    }
}

/// A uniform polynomial.
#[must_use]
pub fn uniform_poly<R: CryptoRng + ?Sized>(rng: &mut R, ring: &Ring) -> Poly<Evaluations> {
    let mut poly = Poly::zero(ring);
    for (m, limb) in ring.moduli().zip(poly.residues_mut().chunks_exact_mut(ring.degree())) {
        uniform_residues(rng, m, limb);
    }
    poly
}

/// Uniform integers in `[0, 2^bits)` as planes of 27-bit digits `[ceil(bits / 27)][n]`, with
/// `planes.len() = n * ceil(bits / 27)`.
pub fn uniform_digits<R: CryptoRng + ?Sized>(rng: &mut R, bits: u32, planes: &mut [u32]) {
    let digits = bits.div_ceil(PRIME_BITS) as usize;
    if digits == 0 {
        return;
    }
    let n = planes.len() / digits;
    let mut bytes = Zeroizing::new([0u8; 2048]);
    for (j, plane) in planes.chunks_exact_mut(n.max(1)).enumerate() {
        let width = PRIME_BITS.min(bits - j as u32 * PRIME_BITS);
        let mask = (1u32 << width) - 1;
        for part in plane.chunks_mut(512) {
            let taken = &mut bytes[..4 * part.len()];
            rng.fill_bytes(taken);
            for (digit, word) in part.iter_mut().zip(taken.as_chunks::<4>().0) {
                *digit = u32::from_le_bytes(*word) & mask;
            }
        }
    }
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    fn moments(samples: &[i8]) -> (f64, f64) {
        let n = samples.len() as f64;
        let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        (mean, samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n)
    }

    #[test]
    fn ternary_is_balanced_and_uses_three_values() {
        let mut out = vec![9i8; 300_000];
        ternary(&mut expand(&[1; 32], 0), &mut out);
        for v in -1..=1 {
            let share = out.iter().filter(|&&x| x == v).count() as f64 / out.len() as f64;
            assert!((share - 1.0 / 3.0).abs() < 0.005, "{v}: {share}");
        }
        assert!(out.iter().all(|x| (-1..=1).contains(x)));
    }

    #[test]
    fn binomial_has_the_stated_variance() {
        let mut out = vec![0i8; 300_000];
        binomial(&mut expand(&[2; 32], 0), &mut out);
        let (mean, variance) = moments(&out);
        assert!(mean.abs() < 0.03 && (variance - BINOMIAL_VARIANCE).abs() < 0.15, "{mean} {variance}");
        assert!(out.iter().all(|x| x.abs() <= BINOMIAL_MAX));
    }

    #[test]
    fn uniform_residues_stay_below_the_prime_and_fill_it() {
        let m = Modulus::for_limb(15).expect("limb");
        let mut out = vec![0; 100_000];
        uniform_residues(&mut expand(&[3; 32], 0), &m, &mut out);
        assert!(out.iter().all(|&x| x < m.value()));
        let mean = out.iter().map(|&x| f64::from(x)).sum::<f64>() / out.len() as f64;
        assert!((mean / f64::from(m.value()) - 0.5).abs() < 0.005);
    }

    #[test]
    fn uniform_digits_keep_to_their_bits() {
        let mut planes = vec![0; 4 * 1000];
        uniform_digits(&mut expand(&[4; 32], 0), 27 * 3 + 5, &mut planes);
        assert!(planes[..3000].iter().all(|&d| d < 1 << 27) && planes[..3000].iter().any(|&d| d >= 1 << 26));
        assert!(planes[3000..].iter().all(|&d| d < 32) && planes[3000..].iter().any(|&d| d >= 16));
    }

    #[test]
    fn streams_of_a_seed_differ_and_repeat() {
        let take = |stream| {
            let mut out = [0u8; 16];
            expand(&[5; 32], stream).fill_bytes(&mut out);
            out
        };
        assert_eq!(take(0), take(0));
        assert_ne!(take(0), take(1));
    }
}
