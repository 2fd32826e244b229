//! What is shared: a content sealed under a fresh data key, and that key under a policy, or for a house.
//!
//! ```text
//! "WSHF", version 1 | length of the key part (u32, little-endian) | key part | content, sealed (as at rest)
//! ```
//! The key part is a message of `ward_protocols::sharing` and holds the data key (32 bytes); its `about` is canonical
//! JSON of [`About`]. The content is bound to the hash of `about`. A proxy replaces the key part and leaves the rest.
//!
//! Records of a hospital's vault ([`super::record`]) are in version 2:
//! ```text
//! "WSHF", version 2 | length of the key part | key part | length of the manifest (u32) | manifest, sealed | sealed values
//! ```
//! The sealed values are the vault's own bytes; the manifest has the key of each.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use ward_protocols::sharing::delegation::{First, Grant, PublicKey as HouseKey, Second, SecretKey};
use ward_protocols::sharing::fame::{PublicKey, UserKey};
use ward_protocols::sharing::sealed::{self, Sealed};
use ward_protocols::sharing::{Policy, SharingError};
use zeroize::Zeroizing;

use super::record::{Manifest, Record};
use super::{ShareError, from_json};
use crate::encoding::{canonical_json, separated};
use crate::identity::{SealContext, SealKey};

/// Largest content, in bytes.
pub const CONTENT_BYTES_MAX: usize = 256 << 20;
/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = (CONTENT_BYTES_MAX + (1 << 20)) as u64;
const MAGIC: [u8; 4] = *b"WSHF";
const WHAT: &str = "a shared file";

/// What everybody may know of a shared file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What it is called.
    pub name: String,
    /// What the owner says about it; may be empty.
    pub note: String,
}

/// Who may open a shared file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// Whoever has the attributes.
    Policy(Sealed),
    /// A house, which may have it turned over.
    House(Second),
    /// A house to which it was turned over.
    Turned(First),
}

/// A shared file, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    key: KeyPart,
    /// The content, or the manifest of sealed values, sealed.
    content: Vec<u8>,
    /// Sealed values of a vault.
    values: Option<Vec<u8>>,
}

/// What a shared file holds.
pub enum Opened {
    /// A content.
    Content(Zeroizing<Vec<u8>>),
    /// Records of a hospital's vault.
    Record(Box<Record>),
}

/// To whom a content is sealed.
pub enum Recipient<'a> {
    /// Whoever has the attributes, under an authority.
    Policy(&'a PublicKey, &'a Policy),
    /// A house.
    House(&'a HouseKey),
}

/// What opens a shared file.
pub enum Opener<'a> {
    /// A holder's key, with its authority's.
    Holder(&'a PublicKey, &'a UserKey),
    /// A house's key.
    House(&'a SecretKey),
}

impl KeyPart {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Policy(sealed) => sealed.to_bytes(),
            Self::House(second) => second.to_bytes(),
            Self::Turned(first) => first.to_bytes(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        let kind = bytes.get(..4).unwrap_or_default();
        Ok(match kind {
            b"WSD2" => Self::House(Second::from_bytes(bytes)?),
            b"WSD1" => Self::Turned(First::from_bytes(bytes)?),
            _ => Self::Policy(Sealed::from_bytes(bytes)?),
        })
    }

    fn about(&self) -> &[u8] {
        match self {
            Self::Policy(sealed) => sealed.about(),
            Self::House(second) => second.about(),
            Self::Turned(first) => first.about(),
        }
    }
}

fn content_row(about: &[u8]) -> String {
    separated("shared-file/1", &[about]).to_string()
}

fn place(row: &str) -> SealContext<'_> {
    SealContext { table: "shared", row, column: "content" }
}

impl Shared {
    /// Seals a content.
    ///
    /// # Errors
    /// [`ShareError::TooLarge`], and what the schemes refuse.
    pub fn seal<R: CryptoRng>(
        to: &Recipient<'_>,
        about: &About,
        content: &[u8],
        rng: &mut R,
    ) -> Result<Self, ShareError> {
        check_size(content.len())?;
        let about = canonical_json(about);
        let mut data_key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *data_key);
        let key = match to {
            Recipient::Policy(public, policy) => {
                KeyPart::Policy(sealed::seal(public, policy, &about, &*data_key, rng)?)
            }
            Recipient::House(house) => KeyPart::House(Second::seal(house, &about, &*data_key, rng)?),
        };
        let content = SealKey::from_bytes(data_key).seal(place(&content_row(&about)), content)?;
        Ok(Self { key, content, values: None })
    }

    /// Seals the keys of a vault's sealed values; the values are taken along as they are.
    ///
    /// # Errors
    /// [`ShareError::TooLarge`], and what the schemes refuse.
    pub fn seal_record<R: CryptoRng>(
        to: &Recipient<'_>,
        about: &About,
        (manifest, values): (&Manifest, Vec<u8>),
        rng: &mut R,
    ) -> Result<Self, ShareError> {
        check_size(values.len())?;
        let manifest = Zeroizing::new(canonical_json(manifest));
        Ok(Self { values: Some(values), ..Self::seal(to, about, &manifest, rng)? })
    }

    /// Opens it.
    ///
    /// # Errors
    /// What the schemes refuse: attributes that are missing, another recipient, changes.
    pub fn open<R: CryptoRng>(&self, with: &Opener<'_>, rng: &mut R) -> Result<Opened, ShareError> {
        let opened = match (&self.key, with) {
            (KeyPart::Policy(sealed), Opener::Holder(public, key)) => sealed.open(public, key)?,
            (KeyPart::House(second), Opener::House(key)) => second.open(key, rng)?,
            (KeyPart::Turned(first), Opener::House(key)) => first.open(key, rng)?,
            (KeyPart::Policy(_), Opener::House(_)) => return Err(mismatch("a holder's key opens it")),
            (_, Opener::Holder(..)) => return Err(mismatch("a house's key opens it")),
        };
        let data_key = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| SharingError::Changed)?;
        let key = SealKey::from_bytes(Zeroizing::new(data_key));
        let row = content_row(self.key.about());
        let content = key.open(place(&row), &self.content).map_err(|_| SharingError::Changed)?;
        match &self.values {
            None => Ok(Opened::Content(content)),
            Some(values) => Ok(Opened::Record(Box::new(Record::open(&content, values)?))),
        }
    }

    /// Turns it over to the grant's delegatee.
    ///
    /// # Errors
    /// A file that is not for a house, is for another house than the grant's, or was turned already.
    pub fn turn<R: CryptoRng>(&self, grant: &Grant, rng: &mut R) -> Result<Self, ShareError> {
        match &self.key {
            KeyPart::House(second) => {
                Ok(Self { key: KeyPart::Turned(second.turn(grant, rng)?), ..self.clone() })
            }
            KeyPart::Turned(_) => Err(mismatch("it was turned over already, and that is done once")),
            KeyPart::Policy(_) => {
                Err(mismatch("it is sealed under a policy, and a grant turns what is for a house"))
            }
        }
    }

    /// Who may open it.
    #[must_use]
    pub fn key(&self) -> &KeyPart {
        &self.key
    }

    /// What everybody may know of it.
    ///
    /// # Errors
    /// [`ShareError::Malformed`].
    pub fn about(&self) -> Result<About, ShareError> {
        from_json(self.key.about(), WHAT)
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let key = self.key.to_bytes();
        let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
        let version = 1 + u8::from(self.values.is_some());
        let head = [&MAGIC[..], &[version], &length(&key), &key].concat();
        match &self.values {
            None => [head, self.content.clone()].concat(),
            Some(values) => [&head[..], &length(&self.content), &self.content, values].concat(),
        }
    }

    /// Reads a file; every point of it is checked.
    ///
    /// # Errors
    /// [`ShareError::Malformed`], and what the schemes refuse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        let malformed = |reason: &str| ShareError::Malformed { what: WHAT, reason: reason.to_owned() };
        let cut = |bytes| split(bytes).ok_or_else(|| malformed("too few bytes"));
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| malformed("another kind"))?;
        match rest.split_first() {
            Some((1, rest)) => {
                let (key, content) = cut(rest)?;
                Ok(Self { key: KeyPart::from_bytes(key)?, content: content.to_vec(), values: None })
            }
            Some((2, rest)) => {
                let (key, rest) = cut(rest)?;
                let (manifest, values) = cut(rest)?;
                let (key, values) = (KeyPart::from_bytes(key)?, Some(values.to_vec()));
                Ok(Self { key, content: manifest.to_vec(), values })
            }
            _ => Err(malformed("another version")),
        }
    }

    /// Whether it holds records of a hospital's vault.
    #[must_use]
    pub fn is_record(&self) -> bool {
        self.values.is_some()
    }

    /// Whether bytes begin like a shared file.
    #[must_use]
    pub fn is_shared(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }
}

fn check_size(bytes: usize) -> Result<(), ShareError> {
    match bytes > CONTENT_BYTES_MAX {
        true => Err(ShareError::TooLarge { bytes, limit: CONTENT_BYTES_MAX }),
        false => Ok(()),
    }
}

/// What a length in front says, and the rest.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

fn mismatch(reason: &str) -> ShareError {
    ShareError::Malformed { what: "a file that this opens", reason: reason.to_owned() }
}
