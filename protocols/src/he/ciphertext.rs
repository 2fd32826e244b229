//! Ciphertexts and encryption.
//!
//! Source: Fan, Vercauteren, "Somewhat practical fully homomorphic encryption" (2012/144), FV.SH.Encrypt.

use core::fmt;

use rand_core::CryptoRng;
use rayon::prelude::*;
use ward_math::codec::Writer;
use ward_math::sampling::{binomial, child_seed, expand, ternary};
use ward_math::{Backend, Coefficients, CpuBackend, Evaluations, Poly};
use zeroize::{Zeroize, Zeroizing};

use super::keys::PublicKey;
use super::params::Parameters;
use super::plaintext::{Plaintext, scaled_digits};
use super::wire::{self, Kind};
use crate::error::{Error, Result};

/// The half `c0` of a ciphertext, `[L][N]` by values. Needed by whoever releases, not by the parties.
#[derive(Clone, PartialEq, Eq)]
pub struct C0(pub(crate) Poly<Evaluations>);

/// The half `c1` of a ciphertext, `[L][N]` by values. All that a party needs to make its key-switch share.
#[derive(Clone, PartialEq, Eq)]
pub struct C1(pub(crate) Poly<Evaluations>);

/// A ciphertext `(c0, c1)` with `c0 + c1 s = round(Q m / t) + noise`.
#[derive(Clone, PartialEq, Eq)]
pub struct Ciphertext {
    pub(crate) c0: C0,
    pub(crate) c1: C1,
}

macro_rules! opaque_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque_debug!(C0, C1, Ciphertext);

impl AsRef<C0> for C0 {
    fn as_ref(&self) -> &C0 {
        self
    }
}

impl AsRef<C0> for Ciphertext {
    fn as_ref(&self) -> &C0 {
        &self.c0
    }
}

impl C0 {
    /// Decodes what [`Ciphertext::encode_c0`] wrote.
    ///
    /// # Errors
    /// A header of another kind, version, profile or parameter set; a wrong length; a residue that is not reduced.
    pub fn decode_all(params: &Parameters, bytes: &[u8]) -> Result<Vec<Self>> {
        let (count, mut r) = wire::open(params, Kind::C0, wire::poly_len(params), bytes)?;
        (0..count).map(|_| Ok(Self(wire::read_poly(params, &mut r)?))).collect()
    }
}

impl C1 {
    /// Encodes a list.
    #[must_use]
    pub fn encode_all(params: &Parameters, list: &[Self]) -> Vec<u8> {
        encode_polys(params, Kind::C1, list.len(), list.iter().map(|c1| &c1.0))
    }

    /// Decodes what [`C1::encode_all`] or [`Ciphertext::encode_c1`] wrote.
    ///
    /// # Errors
    /// As [`C0::decode_all`].
    pub fn decode_all(params: &Parameters, bytes: &[u8]) -> Result<Vec<Self>> {
        let (count, mut r) = wire::open(params, Kind::C1, wire::poly_len(params), bytes)?;
        (0..count).map(|_| Ok(Self(wire::read_poly(params, &mut r)?))).collect()
    }
}

/// A frame of `count` items made of `polys`.
pub(crate) fn encode_polys<'a>(
    params: &Parameters,
    kind: Kind,
    count: usize,
    polys: impl Iterator<Item = &'a Poly<Evaluations>>,
) -> Vec<u8> {
    let polys_each = if matches!(kind, Kind::C0 | Kind::C1 | Kind::MaskedShares) { 1 } else { 2 };
    let mut w: Writer = wire::start(params, kind, count, polys_each * wire::poly_len(params));
    polys.for_each(|p| p.write(&mut w));
    w.finish()
}

impl Ciphertext {
    /// The half `c0`.
    #[must_use]
    pub fn c0(&self) -> &C0 {
        &self.c0
    }

    /// The half `c1`.
    #[must_use]
    pub fn c1(&self) -> &C1 {
        &self.c1
    }

    /// Takes the halves apart.
    #[must_use]
    pub fn into_parts(self) -> (C0, C1) {
        (self.c0, self.c1)
    }

    /// Ciphertexts from lists of halves.
    ///
    /// # Errors
    /// [`Error::Count`] when the lists differ in length.
    pub fn zip(c0s: Vec<C0>, c1s: Vec<C1>) -> Result<Vec<Self>> {
        if c0s.len() != c1s.len() {
            return Err(Error::Count { what: "c1 halves", found: c1s.len(), expected: c0s.len() });
        }
        Ok(c0s.into_iter().zip(c1s).map(|(c0, c1)| Self { c0, c1 }).collect())
    }

    /// Encodes a list: 20 bytes and 54 for each coefficient at eight limbs.
    #[must_use]
    pub fn encode_all(params: &Parameters, list: &[Self]) -> Vec<u8> {
        encode_polys(params, Kind::Ciphertexts, list.len(), list.iter().flat_map(|c| [&c.c0.0, &c.c1.0]))
    }

    /// Decodes what [`Ciphertext::encode_all`] wrote.
    ///
    /// # Errors
    /// As [`C0::decode_all`].
    pub fn decode_all(params: &Parameters, bytes: &[u8]) -> Result<Vec<Self>> {
        let (count, mut r) = wire::open(params, Kind::Ciphertexts, 2 * wire::poly_len(params), bytes)?;
        let mut poly = || wire::read_poly(params, &mut r);
        (0..count).map(|_| Ok(Self { c0: C0(poly()?), c1: C1(poly()?) })).collect()
    }

    /// Encodes the `c0` halves of a list.
    #[must_use]
    pub fn encode_c0(params: &Parameters, list: &[Self]) -> Vec<u8> {
        encode_polys(params, Kind::C0, list.len(), list.iter().map(|c| &c.c0.0))
    }

    /// Encodes the `c1` halves of a list.
    #[must_use]
    pub fn encode_c1(params: &Parameters, list: &[Self]) -> Vec<u8> {
        encode_polys(params, Kind::C1, list.len(), list.iter().map(|c| &c.c1.0))
    }
}

/// Buffers of secrets that encryption and key switching reuse; wiped on drop.
pub(crate) struct Scratch {
    /// `[L][N]`: `u` by values.
    pub(crate) u: Poly<Evaluations>,
    /// `[N]`: small samples.
    pub(crate) small: Zeroizing<Vec<i8>>,
    /// `[D][N]`: digits of plaintexts or of smudging noise.
    pub(crate) planes: Zeroizing<Vec<u32>>,
}

impl Scratch {
    pub(crate) fn new(params: &Parameters, digits: usize) -> Self {
        Self {
            u: Poly::zero(params.ring()),
            small: Zeroizing::new(vec![0; params.degree()]),
            planes: Zeroizing::new(vec![0; digits * params.degree()]),
        }
    }

    /// Draws `u`, uniform ternary.
    pub(crate) fn draw_u(&mut self, params: &Parameters, rng: &mut impl CryptoRng) {
        ternary(rng, &mut self.small);
        self.u.set_from_small(params.ring(), &CpuBackend::SERIAL, &self.small);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.u.zeroize();
    }
}

/// Encrypts one plaintext: `c0 = b u + e0 + round(Q m / t)`, `c1 = a u + e1`.
///
/// Noise of a fresh ciphertext: `e u + e0 + s e1` and at most 1 of rounding; `params.noise()` bounds sums of one
/// for each party.
#[must_use]
pub fn encrypt<R: CryptoRng + ?Sized>(
    params: &Parameters,
    key: &PublicKey,
    plaintext: &Plaintext,
    rng: &mut R,
) -> Ciphertext {
    let seed = child_seed(rng);
    let mut scratch = Scratch::new(params, params.encoding().map.digits());
    encrypt_with_seed(params, key, plaintext, &seed, &mut scratch)
}

/// Encrypts a list, in parallel, each plaintext with its own seed from `rng`.
#[must_use]
pub fn encrypt_all<R: CryptoRng + ?Sized>(
    params: &Parameters,
    key: &PublicKey,
    plaintexts: &[Plaintext],
    rng: &mut R,
) -> Vec<Ciphertext> {
    let seeds: Vec<_> = plaintexts.iter().map(|_| child_seed(rng)).collect();
    let scratch = || Scratch::new(params, params.encoding().map.digits());
    plaintexts
        .par_iter()
        .zip(&seeds)
        .map_init(scratch, |scratch, (plaintext, seed)| {
            encrypt_with_seed(params, key, plaintext, seed, scratch)
        })
        .collect()
}

fn encrypt_with_seed(
    params: &Parameters,
    key: &PublicKey,
    plaintext: &Plaintext,
    seed: &[u8; 32],
    scratch: &mut Scratch,
) -> Ciphertext {
    let (ring, cpu) = (params.ring(), &CpuBackend::SERIAL);
    scratch.draw_u(params, &mut expand(seed, 0));
    // c0 = round(Q m / t) + e0 + b u
    let mut c0 = Poly::<Coefficients>::zero(ring);
    scaled_digits(params, plaintext, &mut scratch.planes);
    cpu.digits_add(ring, c0.residues_mut(), &scratch.planes, &params.encoding().map);
    binomial(&mut expand(seed, 1), &mut scratch.small);
    c0.add_small(ring, &scratch.small);
    let mut c0 = c0.into_evaluations(ring, cpu);
    c0.mul_fixed_add(ring, cpu, &scratch.u, &key.b);
    // c1 = e1 + a u
    binomial(&mut expand(seed, 2), &mut scratch.small);
    let mut c1 = Poly::from_small(ring, &scratch.small).into_evaluations(ring, cpu);
    c1.mul_fixed_add(ring, cpu, &scratch.u, &key.a);
    Ciphertext { c0: C0(c0), c1: C1(c1) }
}
