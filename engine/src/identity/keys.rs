//! Ed25519 keys and signatures with a context.

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::canonical::{Canonical, Digest};
use super::{IdentityError, random};

/// The secret half of a member's identity; wiped on drop, never shown.
pub struct Identity {
    key: SigningKey,
}

/// A checked Ed25519 public key: a point on the curve, not of small order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// An Ed25519 signature, R || s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

fn framed(context: &'static str, parts: &[&[u8]]) -> Vec<u8> {
    Canonical::new("signature/1")
        .text(context)
        .each(parts.iter(), |canonical, part| canonical.bytes(part))
        .finish()
}

impl Identity {
    /// A fresh identity from the operating system's randomness.
    ///
    /// # Errors
    /// [`IdentityError::Random`].
    pub fn generate() -> Result<Self, IdentityError> {
        let seed = Zeroizing::new(random::<32>()?);
        Ok(Self::from_seed(&seed))
    }

    /// The identity of a 32-byte seed (RFC 8032 private key).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// Reads a PKCS#8 PEM private key.
    ///
    /// # Errors
    /// [`IdentityError::Key`].
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        SigningKey::from_pkcs8_pem(pem).map(|key| Self { key }).map_err(|_| IdentityError::Key)
    }

    /// PKCS#8 PEM, for TLS and for the key file.
    ///
    /// # Errors
    /// [`IdentityError::Key`] when the encoder refuses.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, IdentityError> {
        self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| IdentityError::Key)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    /// Signs the parts under a context: a constant that says what the signature is for.
    #[must_use]
    pub fn sign(&self, context: &'static str, parts: &[&[u8]]) -> Signature {
        self.sign_raw(&framed(context, parts))
    }

    /// Signs bytes as they are, for formats that bring their own domain separation (X.509, signed notes).
    pub(crate) fn sign_raw(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public().fingerprint())
    }
}

impl PublicKey {
    /// Checks 32 bytes.
    ///
    /// # Errors
    /// [`IdentityError::Key`] for a non-canonical or weak point.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, IdentityError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| IdentityError::Key)?;
        if key.is_weak() || key.to_edwards().compress().to_bytes() != *bytes {
            return Err(IdentityError::Key);
        }
        Ok(Self(*bytes))
    }

    /// Checks a slice.
    ///
    /// # Errors
    /// [`IdentityError::Key`], also for a wrong length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, IdentityError> {
        Self::from_bytes(bytes.try_into().map_err(|_| IdentityError::Key)?)
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name a person compares: hexadecimal SHA-256, domain separated.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.digest().to_string()
    }

    /// The fingerprint as a digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Canonical::new("key-fingerprint/1").bytes(&self.0).digest()
    }

    /// Verifies a signature made by [`Identity::sign`] under the same context and parts.
    ///
    /// # Errors
    /// [`IdentityError::Signature`].
    ///
    /// # Security
    /// Strict verification (canonical s, no small-order points), so that a signature cannot be altered into
    /// another valid one.
    pub fn verify(
        &self,
        context: &'static str,
        parts: &[&[u8]],
        signature: &Signature,
    ) -> Result<(), IdentityError> {
        self.verify_raw(&framed(context, parts), signature).ok_or(IdentityError::Signature { context })
    }

    /// Verifies over bytes as they are.
    pub(crate) fn verify_raw(&self, message: &[u8], signature: &Signature) -> Option<()> {
        let key = VerifyingKey::from_bytes(&self.0).ok()?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(message, &signature).ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.0))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digest = Digest::deserialize(deserializer)?;
        Self::from_bytes(&digest.0).map_err(serde::de::Error::custom)
    }
}

impl Signature {
    /// From 64 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", hex::encode(&self.0[..8]))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).ok().filter(|bytes| hex::encode(bytes) == text);
        bytes
            .and_then(|bytes| Self::from_slice(&bytes))
            .ok_or_else(|| serde::de::Error::custom("expected 128 lower-case hex characters"))
    }
}
