//! Messages that one key alone opens: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;
use ward_math::Secret;
use zeroize::Zeroizing;

/// Length of a public key and of an encapsulated one.
const KEY_BYTES: usize = 32;

/// Why a message is not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The key is none.
    #[error("it is no X25519 public key")]
    Key,
    /// The message was not sealed to this key in this place, or was changed.
    #[error("it does not open")]
    Open,
}

/// A key that opens envelopes.
pub struct EnvelopeSecret(<X25519HkdfSha256 as Kem>::PrivateKey);

impl EnvelopeSecret {
    /// The key that follows from a seed.
    #[must_use]
    pub fn from_seed(seed: &Secret<[u8; 32]>) -> Self {
        Self(X25519HkdfSha256::derive_keypair(seed.expose()).0)
    }

    /// The key to seal to, 32 bytes.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().to_vec()
    }

    /// Opens what was sealed to this key under the same place.
    ///
    /// # Errors
    /// [`EnvelopeError::Open`].
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
        let (encapsulated, text) = sealed.split_at_checked(KEY_BYTES).ok_or(EnvelopeError::Open)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| EnvelopeError::Open)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            place,
            text,
            b"",
        )
        .map(Zeroizing::new)
        .map_err(|_| EnvelopeError::Open)
    }
}

/// Checks that bytes are a key to seal to.
///
/// # Errors
/// [`EnvelopeError::Key`].
pub fn check_key(key: &[u8]) -> Result<(), EnvelopeError> {
    <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(key).map(drop).map_err(|_| EnvelopeError::Key)
}

/// Seals a message to a key, in a place that opening must name too.
///
/// # Errors
/// [`EnvelopeError::Key`].
pub fn seal_to<R: CryptoRng>(
    key: &[u8],
    place: &[u8],
    message: &[u8],
    rng: &mut R,
) -> Result<Vec<u8>, EnvelopeError> {
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(key).map_err(|_| EnvelopeError::Key)?;
    let (encapsulated, text) = hpke::single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &key, place, message, b"", rng)
    .map_err(|_| EnvelopeError::Key)?;
    let mut sealed = encapsulated.to_bytes().to_vec();
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::*;

    fn secret(byte: u8) -> EnvelopeSecret {
        EnvelopeSecret::from_seed(&Secret::new([byte; 32]))
    }

    fn rng() -> chacha20::ChaCha20Rng {
        chacha20::ChaCha20Rng::from_seed([9; 32])
    }

    #[test]
    fn it_opens_for_its_key_in_its_place_only() {
        let sealed = seal_to(&secret(1).public(), b"here", b"words", &mut rng()).unwrap();
        assert_eq!(secret(1).open(b"here", &sealed).unwrap().as_slice(), b"words");
        assert_eq!(secret(2).open(b"here", &sealed).unwrap_err(), EnvelopeError::Open);
        assert_eq!(secret(1).open(b"there", &sealed).unwrap_err(), EnvelopeError::Open);
        assert_eq!(secret(1).open(b"here", &sealed[..31]).unwrap_err(), EnvelopeError::Open);
        assert_eq!(seal_to(b"short", b"", b"", &mut rng()).unwrap_err(), EnvelopeError::Key);
    }

    proptest! {
        #[test]
        fn a_changed_bit_does_not_open(at in 0usize..60, bit in 0u8..8) {
            let mut sealed = seal_to(&secret(1).public(), b"p", &[7; 12], &mut rng()).unwrap();
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            // The top bit of an X25519 point is not part of it.
            prop_assume!(!(at == 31 && bit == 7));
            prop_assert!(secret(1).open(b"p", &sealed).is_err());
        }
    }
}
