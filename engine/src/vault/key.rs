//! Data keys, and who wraps them.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{VaultError, xaes};
use crate::consent::Pseudonym;
use crate::identity::seal::keyed_digest;
use crate::identity::{Canonical, Digest, SealContext, random};

/// First bytes of a sealed value: "WV", version 1.
const HEADER: [u8; 3] = [0x57, 0x56, 1];
/// Longest name of a class, in bytes.
pub const CLASS_BYTES_MAX: usize = 128;
/// Longest wrapped key, in bytes.
pub const WRAPPED_BYTES_MAX: usize = 4096;

/// Whose key, and for what.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    patient: Pseudonym,
    class: String,
}

impl KeyName {
    /// The key of a patient for a class of data, as the hospital names its classes; Ward's own are `ward/...`.
    ///
    /// # Errors
    /// [`VaultError::Class`].
    pub fn new(patient: Pseudonym, class: &str) -> Result<Self, VaultError> {
        if class.is_empty() || class.len() > CLASS_BYTES_MAX {
            return Err(VaultError::Class);
        }
        Ok(Self { patient, class: class.to_owned() })
    }

    /// The patient.
    #[must_use]
    pub fn patient(&self) -> &Pseudonym {
        &self.patient
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// What a wrapped key is bound to: canonical bytes of patient and class.
    #[must_use]
    pub fn associated_data(&self) -> Vec<u8> {
        Canonical::new("vault-key/1").bytes(&self.patient.0).text(&self.class).finish()
    }

    pub(super) fn unopened(&self, version: u32) -> VaultError {
        VaultError::Unwrap { class: self.class.clone(), version }
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({}, {})", self.patient, self.class)
    }
}

/// A data key: 32 bytes; wiped on drop, never shown.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A fresh key of the operating system's randomness.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn generate() -> Result<Self, VaultError> {
        Ok(Self(Zeroizing::new(random::<32>()?)))
    }

    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be wrapped for somebody else. They open everything of one patient and class.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals a value for a place: header, nonce (24 random bytes), ciphertext and tag of [`xaes`].
    ///
    /// # Errors
    /// [`VaultError::Random`]; [`VaultError::Value`] for more bytes than the cipher takes.
    pub fn seal(&self, place: SealContext<'_>, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce = random::<{ xaes::NONCE_BYTES }>()?;
        let sealed = xaes::seal(&self.0, &nonce, plain, &associated_data(place));
        Ok([&HEADER[..], &nonce, &sealed.ok_or_else(|| refuse(place))?].concat())
    }

    /// Opens a value at its place.
    ///
    /// # Errors
    /// [`VaultError::Value`] for another key, another place, another version or changed bytes.
    pub fn open(&self, place: SealContext<'_>, envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, sealed) = parts(place, envelope)?;
        xaes::open(&self.0, nonce, sealed, &associated_data(place)).ok_or_else(|| refuse(place))
    }

    /// The key of one sealed value, which opens that value and no other. The value stays closed.
    ///
    /// # Errors
    /// [`VaultError::Value`] for bytes that are no sealed value.
    pub fn of_value(&self, place: SealContext<'_>, envelope: &[u8]) -> Result<ValueKey, VaultError> {
        let (nonce, _) = parts(place, envelope)?;
        Ok(ValueKey(xaes::message_key(&self.0, nonce)))
    }

    /// A digest that says nothing without this key: HMAC-SHA-256 under a key derived from it (RFC 2104).
    #[must_use]
    pub fn blind(&self, domain: &'static str, bytes: &[u8]) -> Digest {
        keyed_digest(&self.0, domain, bytes)
    }

    /// Whether both are the same key, in constant time.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// The key of one sealed value: what its data key and its nonce derive (C2SP XAES-256-GCM). Whoever it is given to opens
/// that value; of the data key and of every other value it says nothing, as long as CMAC-AES-256 is a pseudorandom function
/// (NIST SP 800-108r1) and no other nonce under the data key begins with the same 96 bits.
pub struct ValueKey(Zeroizing<[u8; 32]>);

impl ValueKey {
    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be handed to whom the value is shared with.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Opens its value at its place.
    ///
    /// # Errors
    /// [`VaultError::Value`] for another value, another place or changed bytes.
    pub fn open(&self, place: SealContext<'_>, envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, sealed) = parts(place, envelope)?;
        xaes::open_message(&self.0, nonce, sealed, &associated_data(place)).ok_or_else(|| refuse(place))
    }
}

/// Nonce and sealed bytes of a value.
fn parts<'a>(
    place: SealContext<'_>,
    envelope: &'a [u8],
) -> Result<(&'a [u8; xaes::NONCE_BYTES], &'a [u8]), VaultError> {
    let body = envelope.strip_prefix(&HEADER).ok_or_else(|| refuse(place))?;
    body.split_first_chunk().ok_or_else(|| refuse(place))
}

fn associated_data(place: SealContext<'_>) -> Vec<u8> {
    Canonical::new("vault-value/1").text(place.table).text(place.row).text(place.column).finish()
}

fn refuse(place: SealContext<'_>) -> VaultError {
    VaultError::Value { table: place.table.to_owned(), column: place.column.to_owned() }
}

/// A data key as it is kept: under which version of the key-encryption key, and the provider's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The version, from 1.
    pub version: u32,
    /// The provider's own format; at most [`WRAPPED_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

/// Who holds the key-encryption keys, and wraps and unwraps data keys with them. A wrapped key is bound to its name.
///
/// Calls take many keys at once, since a provider may be at the other end of a network. They block; on a runtime they
/// belong on a thread that may.
pub trait KeyProvider: Send + Sync {
    /// What it is, for people: `file`, `pkcs11 TOKEN`, `transit URL`.
    fn describe(&self) -> String;

    /// The version that wraps new keys, from 1; made when there is none yet.
    ///
    /// # Errors
    /// [`VaultError::Provider`], [`VaultError::Settings`].
    fn current(&self) -> Result<u32, VaultError>;

    /// Wraps data keys under the current version; as many as were given, in their order.
    ///
    /// # Errors
    /// [`VaultError::Provider`], [`VaultError::Settings`].
    fn wrap(&self, keys: &[(&KeyName, &DataKey)]) -> Result<Vec<Wrapped>, VaultError>;

    /// Unwraps data keys; as many as were given, in their order.
    ///
    /// # Errors
    /// [`VaultError::Unwrap`] for a key that is another name's or was changed; [`VaultError::Version`] for a version that is
    /// retired; what the provider says.
    fn unwrap(&self, keys: &[(&KeyName, &Wrapped)]) -> Result<Vec<DataKey>, VaultError>;

    /// Wraps data keys anew under the current version.
    ///
    /// # Errors
    /// As [`Self::unwrap`] and [`Self::wrap`].
    fn rewrap(&self, keys: &[(&KeyName, &Wrapped)]) -> Result<Vec<Wrapped>, VaultError> {
        let opened = self.unwrap(keys)?;
        let named: Vec<_> = keys.iter().zip(&opened).map(|((name, _), key)| (*name, key)).collect();
        self.wrap(&named)
    }

    /// Makes a new version, which wraps from now on; the older ones still unwrap. Returns it.
    ///
    /// # Errors
    /// [`VaultError::Provider`], [`VaultError::Settings`].
    fn rotate(&self) -> Result<u32, VaultError>;

    /// Destroys every version below that one: what is still wrapped under them is lost.
    ///
    /// # Errors
    /// [`VaultError::Provider`], [`VaultError::Settings`].
    fn retire(&self, below: u32) -> Result<(), VaultError>;
}
