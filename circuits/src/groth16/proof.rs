//! A proof: three points in 192 bytes.

use std::marker::PhantomData;

use ark_ff::Field;
use rand_core::CryptoRng;

use super::curve::{G1, G2, Group, decode_g1, decode_g2};
use super::key::VerifyingKey;
use crate::error::DecodeError;
use crate::field::random;
use crate::statement::ConstrainedStatement;

/// Bytes of a proof: A (48), B (96), C (48), compressed.
pub const PROOF_BYTES: usize = 192;

/// A proof of the statement `S`: three points of the right order, none at infinity.
pub struct Proof<S> {
    pub(super) a: G1,
    pub(super) b: G2,
    pub(super) c: G1,
    statement: PhantomData<fn() -> S>,
}

impl<S> Clone for Proof<S> {
    fn clone(&self) -> Self {
        Self::new(self.a, self.b, self.c)
    }
}

impl<S> PartialEq for Proof<S> {
    fn eq(&self, other: &Self) -> bool {
        (self.a, self.b, self.c) == (other.a, other.b, other.c)
    }
}

impl<S> std::fmt::Debug for Proof<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").finish_non_exhaustive()
    }
}

impl<S> Proof<S> {
    pub(super) fn new(a: G1, b: G2, c: G1) -> Self {
        Self { a, b, c, statement: PhantomData }
    }

    /// The proof in bytes, in the compressed encoding of Zcash.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PROOF_BYTES] {
        let mut bytes = [0; PROOF_BYTES];
        bytes[..48].copy_from_slice(&self.a.compress());
        bytes[48..144].copy_from_slice(&self.b.compress());
        bytes[144..].copy_from_slice(&self.c.compress());
        bytes
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// Another length; a point with a coordinate at or above the modulus, off its curve, outside its subgroup, or at
    /// infinity.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let length = || DecodeError::Length { expected: PROOF_BYTES, found: bytes.len() };
        let (a, rest) = bytes.split_first_chunk::<48>().ok_or_else(length)?;
        let (b, rest) = rest.split_first_chunk::<96>().ok_or_else(length)?;
        let c = <&[u8; 48]>::try_from(rest).map_err(|_| length())?;
        Ok(Self::new(decode_g1(a)?, decode_g2(b)?, decode_g1(c)?))
    }
}

impl<S: ConstrainedStatement> Proof<S> {
    /// Another proof of the same public inputs, which nobody can tell to stem from this one: (A / u, u B + u v delta,
    /// C + v A). Groth 2016, section 3.2, after theorem 1.
    ///
    /// That anybody can do this is why a proof's bytes identify nothing.
    #[must_use]
    pub fn rerandomized<R: CryptoRng + ?Sized>(&self, key: &VerifyingKey<S>, rng: &mut R) -> Self {
        let (u, inverse) = loop {
            let u = random(rng);
            if let Some(inverse) = u.inverse() {
                break (u, inverse);
            }
        };
        let v = random(rng);
        let b = self.b.times(&u).add(&key.delta.times(&(u * v)));
        Self::new(self.a.times(&inverse), b, self.c.add(&self.a.times(&v)))
    }
}
