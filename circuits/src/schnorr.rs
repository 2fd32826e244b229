//! Signatures that a circuit verifies: Schnorr on Jubjub with a Poseidon challenge.
//!
//! Source: Schnorr, "Efficient signature generation by smart cards", Journal of Cryptology 4, 1991, section 2, with
//! the key in the challenge as in EdDSA (Bernstein et al., 2011, section 2); the curve is Jubjub (Zcash protocol
//! specification, section 5.4.9.3), a = -1, of order 8 q. The nonce is derived from the key, the message and fresh
//! bytes (Aranha et al., "Security of Hedged Fiat-Shamir Signatures under Fault Attacks", EUROCRYPT 2020).
//!
//! Key: a in [1, q), A = a G. Signature (R, s): R = k G, c = Poseidon(R, A, m), s = k + c a mod q.
//! Verification: s G = R + c A, with c taken as the whole number in [0, r).
//! The equation has no cofactor in it: A must lie in the subgroup of order q and be no small point, s must be below
//! q, and all three are checked where bytes are read; then R lies in the subgroup by the equation.
//!
//! # Security
//! Signing takes variable time (arkworks' scalar multiplication): an issuer signs where nobody measures it.

use ark_ec::{AffineRepr, CurveGroup};
use ark_ed_on_bls12_381::{EdwardsAffine, EdwardsProjective, Fr as Scalar};
use ark_ff::{AdditiveGroup, BigInteger, PrimeField};
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use ward_math::Secret;
use zeroize::Zeroize;

use crate::error::DecodeError;
use crate::field::{ELEMENT_BYTES, Element, from_bytes, to_bytes};
use crate::poseidon::{self, Domain};

/// Bytes of a public key: its two coordinates.
pub const PUBLIC_KEY_BYTES: usize = 2 * ELEMENT_BYTES;

/// Bytes of a signature: the coordinates of R, then s (big-endian).
pub const SIGNATURE_BYTES: usize = 3 * ELEMENT_BYTES;

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not of this key and message")]
pub struct InvalidSignature;

/// A signing key: a number in [1, q).
pub struct SigningKey(Secret<Scalar>);

/// A verifying key: a point of order q.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(EdwardsAffine);

/// A signature (R, s).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub(crate) commitment: EdwardsAffine,
    pub(crate) response: Scalar,
}

/// The number in 64 bytes, reduced modulo q (bias below 2^-256).
fn scalar_of(wide: &[u8; 64]) -> Scalar {
    Scalar::from_le_bytes_mod_order(wide)
}

fn coordinates(point: &EdwardsAffine) -> [Element; 2] {
    [point.x, point.y]
}

/// c of the signature equation, as an element; the equation takes it as a whole number below r.
pub(crate) fn challenge(commitment: &EdwardsAffine, key: &PublicKey, message: &Element) -> Element {
    let [rx, ry] = coordinates(commitment);
    let [ax, ay] = coordinates(&key.0);
    poseidon::hash(Domain::Challenge, &[rx, ry, ax, ay, *message])
}

/// Reads the coordinates of a point of the curve, in whatever subgroup.
pub(crate) fn point_from(bytes: &[u8; 2 * ELEMENT_BYTES]) -> Result<EdwardsAffine, DecodeError> {
    let (x, y) = bytes.split_at(ELEMENT_BYTES);
    let coordinate = |half: &[u8]| <[u8; ELEMENT_BYTES]>::try_from(half).map_err(|_| DecodeError::NotOnCurve);
    let point = EdwardsAffine::new_unchecked(from_bytes(&coordinate(x)?)?, from_bytes(&coordinate(y)?)?);
    if !point.is_on_curve() {
        return Err(DecodeError::NotOnCurve);
    }
    Ok(point)
}

impl SigningKey {
    /// Draws a key.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            let mut wide = [0; 64];
            rng.fill_bytes(&mut wide);
            let scalar = scalar_of(&wide);
            wide.zeroize();
            if scalar != Scalar::ZERO {
                return Self(Secret::new(scalar));
            }
        }
    }

    /// The key in 32 bytes (big-endian), for a sealed file.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<[u8; ELEMENT_BYTES]> {
        let mut bytes = [0; ELEMENT_BYTES];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0.expose().into_bigint().0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        Secret::new(bytes)
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`DecodeError::NotCanonical`] for zero, and at or above q.
    pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<Self, DecodeError> {
        let scalar = scalar_from(bytes)?;
        if scalar == Scalar::ZERO { Err(DecodeError::NotCanonical) } else { Ok(Self(Secret::new(scalar))) }
    }

    /// The verifying key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey((EdwardsAffine::generator() * *self.0.expose()).into_affine())
    }

    /// Signs an element.
    #[must_use]
    pub fn sign<R: CryptoRng + ?Sized>(&self, message: &Element, rng: &mut R) -> Signature {
        let mut fresh = [0; 32];
        rng.fill_bytes(&mut fresh);
        let key = self.public_key();
        let secret = self.to_bytes();
        let mut nonce = Sha512::new();
        for part in [&b"ward/schnorr-nonce/1"[..], secret.expose(), &fresh, &to_bytes(message)] {
            nonce.update((part.len() as u64).to_be_bytes());
            nonce.update(part);
        }
        let mut wide: [u8; 64] = nonce.finalize().into();
        let nonce = Secret::new(scalar_of(&wide));
        wide.zeroize();
        fresh.zeroize();
        let commitment = (EdwardsAffine::generator() * *nonce.expose()).into_affine();
        let challenge = reduced(&challenge(&commitment, &key, message));
        Signature { commitment, response: *nonce.expose() + challenge * self.0.expose() }
    }
}

/// A number below r, modulo q.
fn reduced(element: &Element) -> Scalar {
    Scalar::from_le_bytes_mod_order(&element.into_bigint().to_bytes_le())
}

fn scalar_from(bytes: &[u8; ELEMENT_BYTES]) -> Result<Scalar, DecodeError> {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        *limb = u64::from_be_bytes(word);
    }
    Scalar::from_bigint(ark_ff::BigInt(limbs)).ok_or(DecodeError::NotCanonical)
}

impl PublicKey {
    /// The two coordinates.
    #[must_use]
    pub fn coordinates(&self) -> [Element; 2] {
        coordinates(&self.0)
    }

    pub(crate) fn point(&self) -> EdwardsAffine {
        self.0
    }

    /// The key in bytes: x, then y.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_BYTES] {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        for (half, coordinate) in bytes.chunks_exact_mut(ELEMENT_BYTES).zip(self.coordinates()) {
            half.copy_from_slice(&to_bytes(&coordinate));
        }
        bytes
    }

    /// Reads a key.
    ///
    /// # Errors
    /// Coordinates at or above the modulus, off the curve, outside the subgroup, or the neutral element.
    pub fn from_bytes(bytes: &[u8; PUBLIC_KEY_BYTES]) -> Result<Self, DecodeError> {
        let point = point_from(bytes)?;
        if point.is_zero() {
            return Err(DecodeError::Infinity);
        }
        if !point.is_in_correct_subgroup_assuming_on_curve() {
            return Err(DecodeError::NotInSubgroup);
        }
        Ok(Self(point))
    }

    /// Checks a signature.
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn verify(&self, message: &Element, signature: &Signature) -> Result<(), InvalidSignature> {
        let challenge = reduced(&challenge(&signature.commitment, self, message));
        let left: EdwardsProjective = EdwardsAffine::generator() * signature.response;
        let right = self.0 * challenge + signature.commitment;
        if left == right { Ok(()) } else { Err(InvalidSignature) }
    }
}

impl Signature {
    /// The signature in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIGNATURE_BYTES] {
        let [x, y] = coordinates(&self.commitment).map(|coordinate| to_bytes(&coordinate));
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes[..32].copy_from_slice(&x);
        bytes[32..64].copy_from_slice(&y);
        for (chunk, limb) in bytes[64..].chunks_exact_mut(8).zip(self.response.into_bigint().0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// Reads a signature.
    ///
    /// # Errors
    /// A coordinate at or above r, R off the curve or outside the subgroup, s at or above q.
    pub fn from_bytes(bytes: &[u8; SIGNATURE_BYTES]) -> Result<Self, DecodeError> {
        let mut point = [0; 2 * ELEMENT_BYTES];
        point.copy_from_slice(&bytes[..64]);
        let mut response = [0; ELEMENT_BYTES];
        response.copy_from_slice(&bytes[64..]);
        let commitment = point_from(&point)?;
        if !commitment.is_in_correct_subgroup_assuming_on_curve() {
            return Err(DecodeError::NotInSubgroup);
        }
        Ok(Self { commitment, response: scalar_from(&response)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;
    use proptest::prelude::*;

    #[test]
    fn the_generator_has_order_q_and_the_curve_is_jubjub() {
        use ark_ec::twisted_edwards::TECurveConfig;
        use ark_ed_on_bls12_381::EdwardsConfig;
        let generator = EdwardsAffine::generator();
        assert!(generator.is_on_curve() && generator.is_in_correct_subgroup_assuming_on_curve());
        assert!(!generator.is_zero());
        assert_eq!(EdwardsConfig::COEFF_A, -Element::from(1u64));
        assert_eq!(EdwardsConfig::COEFF_D * Element::from(10_241u64), -Element::from(10_240u64));
    }

    #[test]
    fn a_small_point_and_a_point_off_the_curve_are_no_keys() {
        let key = |x: Element, y: Element| {
            PublicKey::from_bytes(&PublicKey(EdwardsAffine::new_unchecked(x, y)).to_bytes())
        };
        let (zero, one) = (Element::from(0u64), Element::from(1u64));
        assert_eq!(key(zero, one), Err(DecodeError::Infinity));
        assert_eq!(key(zero, -one), Err(DecodeError::NotInSubgroup));
        assert_eq!(key(one, one), Err(DecodeError::NotOnCurve));
        assert_eq!(PublicKey::from_bytes(&[0xff; 64]), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn a_response_at_or_above_the_order_is_no_signature() {
        let rng = &mut rng(1);
        let key = SigningKey::generate(rng);
        let mut bytes = key.sign(&Element::from(5u64), rng).to_bytes();
        bytes[64..].fill(0xff);
        assert_eq!(Signature::from_bytes(&bytes), Err(DecodeError::NotCanonical));
        assert!(SigningKey::from_bytes(&[0; 32]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn a_signature_is_of_its_key_and_message_alone(seed: u64, message: u64, at in 0usize..96) {
            let rng = &mut rng(seed);
            let (key, other) = (SigningKey::generate(rng), SigningKey::generate(rng));
            let key = SigningKey::from_bytes(key.to_bytes().expose()).unwrap();
            let public = PublicKey::from_bytes(&key.public_key().to_bytes()).unwrap();
            let message = Element::from(message);
            let signature = key.sign(&message, rng);
            prop_assert_eq!(public.verify(&message, &signature), Ok(()));
            prop_assert!(other.public_key().verify(&message, &signature).is_err());
            prop_assert!(public.verify(&(message + Element::from(1u64)), &signature).is_err());
            let mut bytes = signature.to_bytes();
            prop_assert_eq!(Signature::from_bytes(&bytes), Ok(signature));
            bytes[at] ^= 1;
            let changed = Signature::from_bytes(&bytes);
            prop_assert!(changed.is_err() || public.verify(&message, &changed.unwrap()).is_err());
        }
    }
}
