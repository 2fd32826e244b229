//! Pseudonyms: a patient as consents name them, HMAC-SHA-256 of the hospital's identifier under a key that stays at the
//! hospital (RFC 2104), sealed at rest.
//!
//! # Security
//! Without the key nobody tells whose pseudonym one is, nor finds it by trying identifiers. The key is one hospital's:
//! pseudonyms of two hospitals say nothing about each other.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ward_circuits::field::{Element, hash_bytes};
use zeroize::Zeroizing;

use super::ConsentError;
use crate::identity::files::create_private;
use crate::identity::{Canonical, SealContext, SealKey, random};

const PLACE: SealContext<'static> = SealContext { table: "file", row: "pseudonym.key", column: "key" };
/// Longest identifier, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 1024;

/// A patient of one hospital.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub [u8; 32]);

impl Pseudonym {
    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::identity::Digest::parse(text).map(|digest| Self(digest.0))
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({self})")
    }
}

impl Serialize for Pseudonym {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pseudonym {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected 64 lower-case hex characters"))
    }
}

/// The key that makes pseudonyms; never shown.
#[derive(Clone)]
pub struct PseudonymKey {
    /// With the key in it, ready for texts.
    mac: ring::hmac::Key,
}

impl PseudonymKey {
    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self { mac: ring::hmac::Key::new(ring::hmac::HMAC_SHA256, bytes) }
    }

    /// Reads the key file of a node's folder, or makes it with a fresh key when it is absent.
    ///
    /// # Errors
    /// [`ConsentError::Key`] when it cannot be read, opened or made.
    pub fn load_or_create(folder: &Path, seal: &SealKey) -> Result<Self, ConsentError> {
        let path = folder.join("pseudonym.key");
        let bad = |reason: &dyn fmt::Display| ConsentError::Key { reason: reason.to_string() };
        if !path.exists() {
            let key = Zeroizing::new(random::<32>().map_err(|e| bad(&e))?);
            let sealed = seal.seal(PLACE, &*key).map_err(|e| bad(&e))?;
            match create_private(&path, &sealed) {
                // Somebody else made it meanwhile: theirs counts.
                Err(_) if path.exists() => {}
                made => made.map_err(|e| bad(&e))?,
            }
        }
        let sealed = std::fs::read(&path).map_err(|e| bad(&e))?;
        let key = seal.open(PLACE, &sealed).map_err(|e| bad(&e))?;
        let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| bad(&"not a key of 32 bytes"))?;
        Ok(Self::from_bytes(key))
    }

    /// The pseudonym of a patient's identifier, spaces around it forgiven; none for an empty or endless one.
    #[must_use]
    pub fn pseudonym(&self, identifier: &str) -> Option<Pseudonym> {
        let identifier = identifier.trim();
        if identifier.is_empty() || identifier.len() > IDENTIFIER_BYTES_MAX {
            return None;
        }
        let framed = Canonical::new("patient-pseudonym/1").text(identifier).finish();
        let tag = ring::hmac::sign(&self.mac, &framed);
        tag.as_ref().try_into().ok().map(Pseudonym)
    }

    /// The random leaf of a version of the tree of consents: another in every version, the same in every process.
    #[must_use]
    pub fn salt(&self, version: u64) -> Element {
        let framed = Canonical::new("consent-salt/1").number(version).finish();
        hash_bytes("ward/consent-salt/1", &[ring::hmac::sign(&self.mac, &framed).as_ref()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hmac over the canonical bytes.
    #[test]
    fn a_pseudonym_is_hmac_sha_256_of_the_framed_identifier() {
        let key = PseudonymKey::from_bytes(&[7; 32]);
        let found = key.pseudonym("p-1").unwrap();
        assert_eq!(found.to_string(), "49318c9cc664683e33cd8372f19b4df666d4aae74ab3f432e478499380427bb7");
        assert_eq!(key.pseudonym(" p-1 "), Some(found));
        assert_ne!(PseudonymKey::from_bytes(&[8; 32]).pseudonym("p-1"), Some(found));
        assert_eq!(Pseudonym::parse(&found.to_string()), Some(found));
    }

    #[test]
    fn nobody_has_no_pseudonym() {
        let key = PseudonymKey::from_bytes(&[7; 32]);
        assert_eq!(key.pseudonym("  "), None);
        assert_eq!(key.pseudonym(&"x".repeat(2000)), None);
    }

    #[test]
    fn a_key_file_is_made_once_and_opens_under_its_seal_only() {
        let folder = tempfile::tempdir().unwrap();
        let seal = SealKey::from_bytes(Zeroizing::new([1; 32]));
        let first = PseudonymKey::load_or_create(folder.path(), &seal).unwrap().pseudonym("a");
        assert_eq!(PseudonymKey::load_or_create(folder.path(), &seal).unwrap().pseudonym("a"), first);
        let other = SealKey::from_bytes(Zeroizing::new([2; 32]));
        assert!(matches!(PseudonymKey::load_or_create(folder.path(), &other), Err(ConsentError::Key { .. })));
    }
}
