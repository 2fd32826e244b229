//! Randomness: a verifier's coins, and the secrets of a contributor.

use ark_bls12_381::Fr;
use ark_ff::{Field, One, PrimeField, Zero};
use rand_core::{CryptoRng, Rng};
use sha2::{Digest, Sha256, Sha512};
use ward_math::Secret;
use ward_math::sampling::{Expander, child_seed, expand};
use zeroize::{Zeroize, Zeroizing};

use super::transcript::Hasher;

/// Bits of the coefficients in a batched check: a false equation passes with `2^-128`.
pub(crate) const COIN_BITS: usize = 128;

/// A verifier's private coins, drawn after the bytes under test were fixed.
pub(crate) struct Coins(Zeroizing<[u8; 32]>);

impl Coins {
    pub(crate) fn draw<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(child_seed(rng))
    }

    /// An independent stream for each purpose and round.
    pub(crate) fn stream(&self, purpose: &str, round: u64) -> Expander {
        let seed = Hasher::new("coins").field(&*self.0).field(purpose.as_bytes()).finish();
        expand(&seed, round)
    }

    /// `count` coefficients of [`COIN_BITS`], little-endian, for a multi-scalar multiplication.
    pub(crate) fn coefficients(&self, purpose: &str, count: usize) -> Vec<u8> {
        let mut out = vec![0u8; count * COIN_BITS / 8];
        self.stream(purpose, u64::MAX).fill_bytes(&mut out);
        out
    }
}

impl Coins {
    /// One coefficient as a field element.
    pub(crate) fn scalar(&self, purpose: &str) -> Fr {
        let mut bytes = [0u8; COIN_BITS / 8];
        self.stream(purpose, u64::MAX).fill_bytes(&mut bytes);
        Fr::from(u128::from_le_bytes(bytes))
    }
}

/// The coefficients as field elements.
pub(crate) fn as_scalars(coefficients: &[u8]) -> Vec<Fr> {
    coefficients
        .as_chunks::<{ COIN_BITS / 8 }>()
        .0
        .iter()
        .map(|c| Fr::from(u128::from_le_bytes(*c)))
        .collect()
}

/// What the secrets of one contribution are derived from; wiped with it.
pub(crate) struct Entropy(Secret<[u8; 32]>);

impl Entropy {
    /// Mixes 64 bytes of `rng` with what the contributor adds (typed text, dice), so that either alone is
    /// enough. `head` binds to the place in the transcript.
    pub(crate) fn mix<R: CryptoRng + ?Sized>(rng: &mut R, extra: &[u8], head: &[u8; 32]) -> Self {
        let mut drawn = Zeroizing::new([0u8; 64]);
        rng.fill_bytes(&mut *drawn);
        Self(Secret::new(Hasher::new("entropy").field(&*drawn).field(extra).field(head).finish()))
    }

    /// From a public seed: the beacon's.
    pub(crate) fn public(seed: [u8; 32]) -> Self {
        Self(Secret::new(seed))
    }

    /// The factor of the secret called `name`: a hash of 512 bits reduced, neither zero nor one.
    pub(crate) fn factor(&self, name: &str) -> Secret<Fr> {
        let mut round = 0u8;
        loop {
            let mut seed =
                Hasher::new("factor").field(self.0.expose()).field(name.as_bytes()).field(&[round]).finish();
            let mut wide: [u8; 64] = Sha512::digest(seed).into();
            let factor = Fr::from_le_bytes_mod_order(&wide);
            seed.zeroize();
            wide.zeroize();
            if !factor.is_zero() && !factor.is_one() {
                return Secret::new(factor);
            }
            round = round.wrapping_add(1); // with probability 2^-254
        }
    }
}

/// `1 / value` by Fermat: the sequence of operations does not depend on the value, which is not zero.
pub(crate) fn invert(value: &Secret<Fr>) -> Secret<Fr> {
    let mut exponent = Fr::MODULUS;
    exponent.0[0] -= 2; // no borrow: the lowest limb is 0xffff_ffff_0000_0001
    Secret::new(value.expose().pow(exponent))
}

/// `2^log2` times SHA-256 over `seed`. The report gets called about a hundred times.
pub(crate) fn iterate(seed: [u8; 32], log2: u8, mut report: impl FnMut(usize)) -> [u8; 32] {
    let mut value = seed;
    let rounds = 1u64 << log2;
    let stride = (rounds / 128).max(1);
    let mut left = rounds;
    while left > 0 {
        for _ in 0..stride.min(left) {
            value = Sha256::digest(value).into();
        }
        left -= stride.min(left);
        report(1);
    }
    value
}
