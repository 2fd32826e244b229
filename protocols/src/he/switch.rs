//! Collective public-key switching (PubColKeySwitch): the release of a sum to the receiver.
//!
//! Parties: the active holders of key shares `s_i` that add up to `s`. Input: the sum `(c0, c1)`; the receiver's
//! pinned key `(p0, p1)`. Output: a ciphertext of the same plaintext under the receiver's key.
//! Rounds: one. Bytes: two polynomials to a party and ciphertext.
//! Adversary: semi-honest, all parties but one, the evaluator and the receiver together.
//! Source: Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux (PoPETs 2021), protocol PubColKeySwitch. Deviation: smudging uniform
//! with an explicit bound.

use core::fmt;

use rand_core::CryptoRng;
use rayon::prelude::*;
use ward_math::sampling::{binomial, child_seed, expand, uniform_digits};
use ward_math::{Backend, Coefficients, CpuBackend, Evaluations, Poly};

use super::ciphertext::{C0, C1, Ciphertext, Scratch, encode_polys};
use super::keys::{ActiveKeyShare, PublicKey};
use super::params::Parameters;
use super::wire::{self, Kind};
use crate::error::{Error, Result};

/// One party's share of the switch of one ciphertext: `h0 = s_i c1 + u p0 + e0`, `h1 = u p1 + e1`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySwitchShare {
    h0: Poly<Evaluations>,
    h1: Poly<Evaluations>,
}

impl fmt::Debug for KeySwitchShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySwitchShare").finish_non_exhaustive()
    }
}

impl KeySwitchShare {
    /// Encodes a list.
    #[must_use]
    pub fn encode_all(params: &Parameters, list: &[Self]) -> Vec<u8> {
        encode_polys(params, Kind::KeySwitchShares, list.len(), list.iter().flat_map(|h| [&h.h0, &h.h1]))
    }

    /// Decodes what [`KeySwitchShare::encode_all`] wrote.
    ///
    /// # Errors
    /// A header of another kind, version, profile or parameter set; a wrong length; a residue that is not reduced.
    pub fn decode_all(params: &Parameters, bytes: &[u8]) -> Result<Vec<Self>> {
        let (count, mut r) = wire::open(params, Kind::KeySwitchShares, 2 * wire::poly_len(params), bytes)?;
        let mut poly = || wire::read_poly(params, &mut r);
        (0..count).map(|_| Ok(Self { h0: poly()?, h1: poly()? })).collect()
    }
}

/// This party's shares for a list of sums, given by their `c1` halves.
///
/// Noise: `e0` uniform on `[-2^b, 2^b)` with `b = params.noise().smudging_bits`, which hides the noise of the sum to
/// `2^-lambda` a coefficient; `e1` has standard deviation 3.24.
///
/// # Security
/// A share is a decryption oracle. Before making one, a party makes sure that `c1s` is the deterministic sum of
/// the inputs that the approved plan names (it adds them up itself with [`super::C1Accumulator`]), that its own
/// input is in it exactly once, that there are enough inputs, and that `target` is the pinned key. One share for
/// each epoch, ciphertext and active set, stored before it is sent; a retry replays the stored bytes. Two shares of
/// one ciphertext differ by fresh smudging, and enough of them average it away.
#[must_use]
pub fn key_switch_share<R: CryptoRng + ?Sized>(
    params: &Parameters,
    share: &ActiveKeyShare,
    c1s: &[C1],
    target: &PublicKey,
    rng: &mut R,
) -> Vec<KeySwitchShare> {
    let seeds: Vec<_> = c1s.iter().map(|_| child_seed(rng)).collect();
    c1s.par_iter()
        .zip(&seeds)
        .map_init(
            || Scratch::new(params, params.smudging().digits()),
            |scratch, (c1, seed)| share_with_seed(params, share, c1, target, (seed, scratch)),
        )
        .collect()
}

fn share_with_seed(
    params: &Parameters,
    share: &ActiveKeyShare,
    c1: &C1,
    target: &PublicKey,
    (seed, scratch): (&[u8; 32], &mut Scratch),
) -> KeySwitchShare {
    let (ring, cpu) = (params.ring(), &CpuBackend::SERIAL);
    scratch.draw_u(params, &mut expand(seed, 0));
    // h0 = e0 + s_i c1 + u p0, e0 the smudging
    let mut h0 = Poly::<Coefficients>::zero(ring);
    uniform_digits(&mut expand(seed, 1), params.noise().smudging_bits + 1, &mut scratch.planes);
    cpu.digits_add(ring, h0.residues_mut(), &scratch.planes, params.smudging());
    let mut h0 = h0.into_evaluations(ring, cpu);
    h0.mul_fixed_add(ring, cpu, &c1.0, share.s.expose());
    h0.mul_fixed_add(ring, cpu, &scratch.u, &target.b);
    // h1 = e1 + u p1
    binomial(&mut expand(seed, 2), &mut scratch.small);
    let mut h1 = Poly::from_small(ring, &scratch.small).into_evaluations(ring, cpu);
    h1.mul_fixed_add(ring, cpu, &scratch.u, &target.a);
    KeySwitchShare { h0, h1 }
}

/// Adds the shares of all active parties to the sums, of which only the `c0` halves count: `(c0 + sum h0, sum h1)`, ciphertexts under the receiver's key.
///
/// # Errors
/// [`Error::Count`] when there is no share, or a party's list has another length than `sum`;
/// [`Error::TooManyTerms`] when there are more shares than parties.
pub fn key_switch_combine<T: AsRef<C0> + Sync>(
    params: &Parameters,
    sum: &[T],
    shares: &[Vec<KeySwitchShare>],
) -> Result<Vec<Ciphertext>> {
    let limit = params.parties() as usize;
    if shares.is_empty() {
        return Err(Error::Count { what: "key-switch shares", found: 0, expected: limit });
    }
    if shares.len() > limit {
        return Err(Error::TooManyTerms { terms: shares.len(), limit });
    }
    if let Some(list) = shares.iter().find(|list| list.len() != sum.len()) {
        let expected = sum.len();
        return Err(Error::Count { what: "key-switch shares of a party", found: list.len(), expected });
    }
    let (ring, cpu) = (params.ring(), &CpuBackend::SERIAL);
    let switch = |(j, c): (usize, &T)| {
        let h0s: Vec<&[u32]> = shares.iter().map(|list| list[j].h0.residues()).collect();
        let h1s: Vec<&[u32]> = shares.iter().map(|list| list[j].h1.residues()).collect();
        let (mut c0, mut c1) = (c.as_ref().0.clone(), Poly::zero(ring));
        cpu.accumulate(ring, c0.residues_mut(), 1, &h0s);
        cpu.reduce(ring, c0.residues_mut());
        cpu.sum(ring, c1.residues_mut(), &h1s);
        Ciphertext { c0: C0(c0), c1: C1(c1) }
    };
    Ok(sum.par_iter().enumerate().map(switch).collect())
}
