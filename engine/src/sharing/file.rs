//! What is shared: a content sealed under a fresh data key, and that key under a policy, or for a house.
//!
//! ```text
//! "WSHF", version 1 | length of the key part (u32, little-endian) | key part | content, sealed (as at rest)
//! ```
//! The key part is a message of `ward_protocols::sharing` and holds the data key (32 bytes); its `about` is canonical
//! JSON of [`About`]. The content is bound to the hash of `about`. A proxy replaces the key part and leaves the rest.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use ward_protocols::sharing::delegation::{First, Grant, PublicKey as HouseKey, Second, SecretKey};
use ward_protocols::sharing::fame::{PublicKey, UserKey};
use ward_protocols::sharing::sealed::{self, Sealed};
use ward_protocols::sharing::{Policy, SharingError};
use zeroize::Zeroizing;

use super::{ShareError, from_json};
use crate::encoding::{canonical_json, separated};
use crate::identity::{SealContext, SealKey};

/// Largest content, in bytes.
pub const CONTENT_BYTES_MAX: usize = 256 << 20;
/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = (CONTENT_BYTES_MAX + (1 << 20)) as u64;
const MAGIC: [u8; 5] = *b"WSHF\x01";
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
    content: Vec<u8>,
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
        if content.len() > CONTENT_BYTES_MAX {
            return Err(ShareError::TooLarge { bytes: content.len(), limit: CONTENT_BYTES_MAX });
        }
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
        Ok(Self { key, content })
    }

    /// Opens it.
    ///
    /// # Errors
    /// What the schemes refuse: attributes that are missing, another recipient, changes.
    pub fn open<R: CryptoRng>(
        &self,
        with: &Opener<'_>,
        rng: &mut R,
    ) -> Result<Zeroizing<Vec<u8>>, ShareError> {
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
        key.open(place(&row), &self.content).map_err(|_| SharingError::Changed.into())
    }

    /// Turns it over to the grant's delegatee.
    ///
    /// # Errors
    /// A file that is not for a house, is for another house than the grant's, or was turned already.
    pub fn turn<R: CryptoRng>(&self, grant: &Grant, rng: &mut R) -> Result<Self, ShareError> {
        match &self.key {
            KeyPart::House(second) => {
                Ok(Self { key: KeyPart::Turned(second.turn(grant, rng)?), content: self.content.clone() })
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
        [&MAGIC[..], &(key.len() as u32).to_le_bytes(), &key, &self.content].concat()
    }

    /// Reads a file; every point of it is checked.
    ///
    /// # Errors
    /// [`ShareError::Malformed`], and what the schemes refuse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        let malformed = |reason: &str| ShareError::Malformed { what: WHAT, reason: reason.to_owned() };
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| malformed("another kind or version"))?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("too few bytes"))?;
        let (key, content) = usize::try_from(u32::from_le_bytes(*length))
            .ok()
            .and_then(|length| rest.split_at_checked(length))
            .ok_or_else(|| malformed("too few bytes"))?;
        Ok(Self { key: KeyPart::from_bytes(key)?, content: content.to_vec() })
    }

    /// Whether bytes begin like a shared file.
    #[must_use]
    pub fn is_shared(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }
}

fn mismatch(reason: &str) -> ShareError {
    ShareError::Malformed { what: "a file that this opens", reason: reason.to_owned() }
}
