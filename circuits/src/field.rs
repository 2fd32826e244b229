//! The scalar field of BLS12-381, in which statements are written: bytes, small numbers, text.
//!
//! An [`Element`] has one encoding: 32 bytes, big-endian, below the modulus r. It is also how an input is passed
//! to a contract.

use ark_ff::{BigInteger, PrimeField};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

use crate::error::DecodeError;

/// An element of the scalar field of BLS12-381 (255 bits).
pub type Element = ark_bls12_381::Fr;

/// Bytes of an element.
pub const ELEMENT_BYTES: usize = 32;

/// The encoding of an element: big-endian, below the modulus.
#[must_use]
pub fn to_bytes(element: &Element) -> [u8; ELEMENT_BYTES] {
    limbs_to_bytes(&element.into_bigint().0)
}

fn limbs_to_bytes(limbs: &[u64; 4]) -> [u8; ELEMENT_BYTES] {
    let mut bytes = [0; ELEMENT_BYTES];
    for (chunk, limb) in bytes.chunks_exact_mut(8).zip(limbs.iter().rev()) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

/// Reads an element.
///
/// # Errors
/// [`DecodeError::NotCanonical`] at or above the modulus.
pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<Element, DecodeError> {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        *limb = u64::from_be_bytes(word);
    }
    Element::from_bigint(ark_ff::BigInt(limbs)).ok_or(DecodeError::NotCanonical)
}

/// The canonical bits of an element, lowest first, 255 of them.
#[must_use]
pub fn to_bits(element: &Element) -> Vec<bool> {
    let mut bits = element.into_bigint().to_bits_le();
    bits.truncate(Element::MODULUS_BIT_SIZE as usize);
    bits
}

/// Hashes text or other bytes to an element below 2^253: SHA-256 over the length-prefixed tag and parts, its top
/// three bits cleared. A contract computes the same with its SHA-256 precompile.
///
/// Layout of what is hashed: for the tag, then for each part: its length in bytes (8 bytes, big-endian), its bytes.
#[must_use]
pub fn hash_bytes(tag: &str, parts: &[&[u8]]) -> Element {
    let mut hash = Sha256::new();
    for part in std::iter::once(&tag.as_bytes()).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut digest: [u8; 32] = hash.finalize().into();
    digest[0] &= 0x1f;
    from_bytes(&digest).expect("below 2^253, which is below the modulus")
}

/// Draws an element uniformly: 64 random bytes, reduced (bias below 2^-256).
#[must_use]
pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Element {
    let mut wide = [0; 64];
    rng.fill_bytes(&mut wide);
    let element = Element::from_le_bytes_mod_order(&wide);
    zeroize::Zeroize::zeroize(&mut wide);
    element
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::AdditiveGroup;
    use proptest::prelude::*;

    #[test]
    fn the_modulus_and_what_lies_above_are_no_elements() {
        let mut modulus = limbs_to_bytes(&Element::MODULUS.0);
        assert_eq!(from_bytes(&modulus), Err(DecodeError::NotCanonical));
        assert_eq!(from_bytes(&[0xff; 32]), Err(DecodeError::NotCanonical));
        modulus[31] -= 1;
        assert_eq!(from_bytes(&modulus).unwrap(), Element::ZERO - Element::from(1u64));
    }

    #[test]
    fn a_tag_and_the_borders_of_parts_change_the_hash() {
        let one = hash_bytes("ward/test", &[b"ab", b"c"]);
        assert_ne!(one, hash_bytes("ward/test", &[b"a", b"bc"]));
        assert_ne!(one, hash_bytes("ward/tesu", &[b"ab", b"c"]));
        assert_ne!(hash_bytes("ward/test", &[]), hash_bytes("ward/test", &[b""]));
    }

    proptest! {
        #[test]
        fn an_element_survives_its_bytes(limbs: [u64; 3]) {
            let element = Element::from_bigint(ark_ff::BigInt([limbs[0], limbs[1], limbs[2], 7])).unwrap();
            prop_assert_eq!(from_bytes(&to_bytes(&element)), Ok(element));
        }
    }
}
