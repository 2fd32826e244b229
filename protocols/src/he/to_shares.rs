//! Encryption to shares: from a sum under encryption to additive shares of it modulo `2^64`.
//!
//! Parties: the active holders of key shares `s_i` that add up to `s`. Input: the sum `(c0, c1)` of plaintext `m`.
//! Outputs: every holder its mask `-M_i` modulo `2^64`, one word for each coefficient ([`MaskWords`]); all who see the masked shares,
//! the word `d = m + sum M_i` ([`MaskedSum`]). `m = d + sum (-M_i)` modulo `2^64`: `d` is public, the masks are shared
//! further (each holder deals its own to the compute nodes), and the job goes on in multi-party computation.
//!
//! Rounds: one. Bytes: one polynomial from a party for each ciphertext (27 at eight limbs for each word), where a key switch has two.
//! Adversary: semi-honest, all holders but one and the evaluator together: `d` is uniform as long as one mask is unknown, and the
//! smudging hides the noise to `2^-lambda` a coefficient. A malicious holder can shift `m` by an amount of its choice (a wrong mask): what
//! it can also do by lying about its own input. It learns nothing by it.
//! Source: Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux (PoPETs 2021), protocol Enc2Share, which is their key switch to the zero key
//! with a masked plaintext. Deviations: coefficients instead of slots of a batched encoding, and `t` a power of two of 64 bits or more, of which the
//! low 64 go on (reduction is a ring homomorphism, so sums stay sums); masks of the opposite sign; no holder adds the opened word to its own
//! share, because it is public; smudging uniform with an explicit bound.
//!
//! Noise: that of the sum, the smudging of every share, and at most 1 of rounding for each mask: below `params.noise().switched`.

use core::fmt;

use rand_core::{CryptoRng, Rng};
use rayon::prelude::*;
use ward_math::sampling::{child_seed, expand, uniform_digits};
use ward_math::{Backend, Coefficients, CpuBackend, Evaluations, Poly, Secret};
use zeroize::Zeroizing;

use super::ciphertext::{C0, C1, Scratch, encode_polys};
use super::decrypt::round;
use super::keys::ActiveKeyShare;
use super::params::Parameters;
use super::plaintext::{Plaintext, scaled_digits};
use super::wire::{self, Kind};
use crate::error::{Error, Result};

/// Bits of a word of the ring that shares live in.
const WORD_BITS: u32 = 64;

/// One party's masked share of one ciphertext: `s_i c1 + round(Q M_i / t) + e_i`.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskedShare(Poly<Evaluations>);

impl fmt::Debug for MaskedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskedShare").finish_non_exhaustive()
    }
}

impl MaskedShare {
    /// Encodes a list.
    #[must_use]
    pub fn encode_all(params: &Parameters, list: &[Self]) -> Vec<u8> {
        encode_polys(params, Kind::MaskedShares, list.len(), list.iter().map(|share| &share.0))
    }

    /// Decodes what [`MaskedShare::encode_all`] wrote.
    ///
    /// # Errors
    /// A header of another kind, version, profile or parameter set; a wrong length; a residue that is not reduced.
    pub fn decode_all(params: &Parameters, bytes: &[u8]) -> Result<Vec<Self>> {
        let (count, mut r) = wire::open(params, Kind::MaskedShares, wire::poly_len(params), bytes)?;
        (0..count).map(|_| Ok(Self(wire::read_poly(params, &mut r)?))).collect()
    }
}

/// A party's share of the sum: `-M_i` modulo `2^64`, `[ciphertexts][N]`. Secret; wiped on drop.
pub struct MaskWords(Secret<Vec<u64>>);

impl MaskWords {
    /// The words, to be dealt to the compute nodes.
    #[must_use]
    pub fn expose(&self) -> &[u64] {
        self.0.expose()
    }
}

/// The masked sum `d` modulo `2^64`, `[ciphertexts][N]`. Uniform, public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedSum {
    /// One word for each coefficient.
    pub words: Vec<u64>,
}

fn expect_room(params: &Parameters) -> Result<()> {
    if params.log2_t() >= WORD_BITS {
        return Ok(());
    }
    let (profile, available) = (params.profile().name(), params.log2_t());
    Err(Error::PlaintextSpace { profile, needed: WORD_BITS, available })
}

/// This party's masked shares for a list of sums, given by their `c1` halves, and its share of the result.
///
/// # Errors
/// [`Error::PlaintextSpace`] when a coefficient has less than 64 bits.
///
/// # Security
/// A decryption oracle as a key-switch share is, with the same duties: see [`super::key_switch_share`]. The masks are drawn once,
/// stored with the shares before these are sent, and used for nothing else: two masked shares of one ciphertext
/// with the same mask differ by smudging alone.
pub fn masked_share<R: CryptoRng + ?Sized>(
    params: &Parameters,
    share: &ActiveKeyShare,
    c1s: &[C1],
    rng: &mut R,
) -> Result<(Vec<MaskedShare>, MaskWords)> {
    expect_room(params)?;
    let seeds: Vec<_> = c1s.iter().map(|_| child_seed(rng)).collect();
    let digits = params.smudging().digits().max(params.encoding().map.digits());
    let made: Vec<(MaskedShare, Zeroizing<Vec<u64>>)> = c1s
        .par_iter()
        .zip(&seeds)
        .map_init(
            || Scratch::new(params, digits),
            |scratch, (c1, seed)| masked_with_seed(params, share, c1, (seed, scratch)),
        )
        .collect();
    let mut words = Secret::new(Vec::with_capacity(c1s.len() * params.degree()));
    let mut shares = Vec::with_capacity(made.len());
    for (share, mask) in made {
        words.expose_mut().extend_from_slice(&mask);
        shares.push(share);
    }
    Ok((shares, MaskWords(words)))
}

fn masked_with_seed(
    params: &Parameters,
    share: &ActiveKeyShare,
    c1: &C1,
    (seed, scratch): (&[u8; 32], &mut Scratch),
) -> (MaskedShare, Zeroizing<Vec<u64>>) {
    let (ring, cpu, n) = (params.ring(), &CpuBackend::SERIAL, params.degree());
    // Step 1. M_i, uniform modulo t.
    let mut stream = expand(seed, 0);
    let mask = Plaintext::from_words(params, (0..n * params.words()).map(|_| stream.next_u64()).collect());
    // Step 2. h = round(Q M_i / t) + e_i + s_i c1, e_i the smudging.
    let mut h = Poly::<Coefficients>::zero(ring);
    let planes = params.encoding().map.digits() * n;
    scaled_digits(params, &mask, &mut scratch.planes[..planes]);
    cpu.digits_add(ring, h.residues_mut(), &scratch.planes[..planes], &params.encoding().map);
    let planes = params.smudging().digits() * n;
    uniform_digits(&mut expand(seed, 1), params.noise().smudging_bits + 1, &mut scratch.planes[..planes]);
    cpu.digits_add(ring, h.residues_mut(), &scratch.planes[..planes], params.smudging());
    let mut h = h.into_evaluations(ring, cpu);
    h.mul_fixed_add(ring, cpu, &c1.0, share.s.expose());
    // Step 3. The share is what the mask takes away.
    let low = mask.words().chunks_exact(params.words()).map(|m| m[0].wrapping_neg());
    (MaskedShare(h), Zeroizing::new(low.collect()))
}

/// Opens the masked sum from the `c0` halves and the masked shares of all active parties.
///
/// # Errors
/// [`Error::PlaintextSpace`] as in [`masked_share`]; [`Error::Count`] when there is no share, or a party's list has another length than
/// `sum`; [`Error::TooManyTerms`] when there are more shares than parties; [`Error::Undecryptable`] with the index of a
/// ciphertext whose noise exceeds what the parameters account for: a share is missing, wrong or of another sum.
pub fn masked_open<T: AsRef<C0> + Sync>(
    params: &Parameters,
    sum: &[T],
    shares: &[Vec<MaskedShare>],
) -> Result<MaskedSum> {
    expect_room(params)?;
    let limit = params.parties() as usize;
    if shares.is_empty() {
        return Err(Error::Count { what: "masked shares", found: 0, expected: limit });
    }
    if shares.len() > limit {
        return Err(Error::TooManyTerms { terms: shares.len(), limit });
    }
    if let Some(list) = shares.iter().find(|list| list.len() != sum.len()) {
        return Err(Error::Count {
            what: "masked shares of a party",
            found: list.len(),
            expected: sum.len(),
        });
    }
    let (ring, cpu) = (params.ring(), &CpuBackend::SERIAL);
    let open = |(j, c): (usize, &T)| {
        let parts: Vec<&[u32]> = shares.iter().map(|list| list[j].0.residues()).collect();
        let mut x = c.as_ref().0.clone();
        cpu.accumulate(ring, x.residues_mut(), 1, &parts);
        cpu.reduce(ring, x.residues_mut());
        let mut y = x.into_coefficients(ring, cpu);
        y.mul_scalars(ring, &params.decoding().cofactor_inverses);
        let opened = round(params, &y).ok_or(Error::Undecryptable(j))?;
        Ok(opened.words().chunks_exact(params.words()).map(|m| m[0]).collect::<Vec<u64>>())
    };
    let words: Vec<Vec<u64>> = sum.par_iter().enumerate().map(open).collect::<Result<_>>()?;
    Ok(MaskedSum { words: words.concat() })
}
