//! Key-encryption keys in a token behind PKCS#11: they are made there, and do not leave it.
//!
//! A version is an AES-256 key object with the configured label and the version as its id (four bytes, big-endian):
//! sensitive, not extractable. Data keys are encrypted in the token with `CKM_AES_GCM` (PKCS#11 v3.0, section 2.12.3), a
//! random nonce of 96 bits, the name as associated data, and a tag of 128 bits: nonce, ciphertext, tag.
//!
//! # Security
//! SP 800-38D, section 8.3: at most 2^32 data keys under one version with random nonces. Rotate before; a hospital with a
//! million patients and ten classes has 2^23.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{DataKey, KeyName, KeyProvider, Secret, VaultError, Wrapped};
use crate::identity::random;

const NONCE_BYTES: usize = 12;
const TAG_BITS: u64 = 128;
const KEY_BYTES: u64 = 32;

/// How a token is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Settings {
    /// The token's library.
    pub module: PathBuf,
    /// Label of the token.
    pub token: String,
    /// Its user PIN.
    pub pin: Secret,
    /// Label of the key objects.
    #[serde(default = "default_label")]
    pub label: String,
}

fn default_label() -> String {
    "ward-kek".to_owned()
}

/// A token.
pub struct Pkcs11Provider {
    settings: Pkcs11Settings,
    name: String,
}

/// Libraries in use by this process. A library is initialised once and finalised never: it serves every provider.
static LIBRARIES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

impl Pkcs11Provider {
    /// The token of these settings.
    #[must_use]
    pub fn new(settings: Pkcs11Settings) -> Self {
        let name = format!("pkcs11 token {}", settings.token);
        Self { settings, name }
    }

    fn failed(&self, error: &Error) -> VaultError {
        match error {
            Error::Pkcs11(RvError::PinIncorrect | RvError::PinLocked | RvError::PinInvalid, _) => {
                VaultError::settings(&self.name, "it refuses the PIN")
            }
            other => VaultError::provider(&self.name, other),
        }
    }

    fn library(&self) -> Result<Pkcs11, VaultError> {
        let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = libraries.get(&self.settings.module) {
            return Ok(library.clone());
        }
        let unusable = |e: &Error| {
            VaultError::settings(&self.name, format!("the library {}: {e}", self.settings.module.display()))
        };
        let library = Pkcs11::new(&self.settings.module).map_err(|e| unusable(&e))?;
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(unusable(&error)),
        }
        libraries.insert(self.settings.module.clone(), library.clone());
        Ok(library)
    }

    fn session(&self) -> Result<Session, VaultError> {
        let library = self.library()?;
        let failed = |e: Error| self.failed(&e);
        let has_label = |slot: &cryptoki::slot::Slot| {
            library.get_token_info(*slot).is_ok_and(|token| token.label() == self.settings.token)
        };
        let slots = library.get_slots_with_initialized_token().map_err(failed)?;
        let slot = slots.into_iter().find(has_label);
        let slot = slot.ok_or_else(|| VaultError::settings(&self.name, "there is no token of that label"))?;
        let session = library.open_rw_session(slot).map_err(failed)?;
        let pin = AuthPin::from(self.settings.pin.read("the token's PIN")?.as_str());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(failed(error)),
        }
    }

    /// The versions in the token.
    fn versions(&self, session: &Session) -> Result<BTreeMap<u32, ObjectHandle>, VaultError> {
        let failed = |e: Error| self.failed(&e);
        let wanted = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Label(self.settings.label.as_bytes().to_vec()),
        ];
        let mut versions = BTreeMap::new();
        for handle in session.find_objects(&wanted).map_err(failed)? {
            let attributes = session.get_attributes(handle, &[AttributeType::Id]).map_err(failed)?;
            let id = attributes.iter().find_map(|attribute| match attribute {
                Attribute::Id(id) => id.as_slice().try_into().ok().map(u32::from_be_bytes),
                _ => None,
            });
            let version = id.filter(|version| *version > 0).ok_or_else(|| {
                VaultError::settings(&self.name, "a key of that label is not Ward's: choose another label")
            })?;
            if versions.insert(version, handle).is_some() {
                let reason = format!("there are two keys of version {version}: destroy the one not in use");
                return Err(VaultError::settings(&self.name, reason));
            }
        }
        Ok(versions)
    }

    fn make(&self, session: &Session, version: u32) -> Result<ObjectHandle, VaultError> {
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(KEY_BYTES.into()),
            Attribute::Label(self.settings.label.as_bytes().to_vec()),
            Attribute::Id(version.to_be_bytes().to_vec()),
        ];
        session.generate_key(&Mechanism::AesKeyGen, &template).map_err(|e| self.failed(&e))
    }

    /// The newest version; made when there is none.
    fn newest(&self, session: &Session) -> Result<(u32, ObjectHandle), VaultError> {
        if self.versions(session)?.is_empty() {
            self.make(session, 1)?;
        }
        // Looked for again: of two processes that made a first version at once, both are told.
        let versions = self.versions(session)?;
        let last = versions.last_key_value().map(|(version, handle)| (*version, *handle));
        last.ok_or_else(|| VaultError::provider(&self.name, "the key that it made is not there"))
    }
}

impl KeyProvider for Pkcs11Provider {
    fn describe(&self) -> String {
        format!("{}, keys {} (made and kept in the token)", self.name, self.settings.label)
    }

    fn current(&self) -> Result<u32, VaultError> {
        Ok(self.newest(&self.session()?)?.0)
    }

    fn wrap(&self, keys: &[(&KeyName, &DataKey)]) -> Result<Vec<Wrapped>, VaultError> {
        let session = self.session()?;
        let (version, kek) = self.newest(&session)?;
        let wrap = |(name, key): &(&KeyName, &DataKey)| {
            let nonce = random::<NONCE_BYTES>()?;
            let (mut iv, associated) = (nonce, name.associated_data());
            let parameters = GcmParams::new(&mut iv, &associated, TAG_BITS.into());
            let mechanism = Mechanism::AesGcm(parameters.map_err(|e| self.failed(&e))?);
            let sealed = session.encrypt(&mechanism, kek, key.expose()).map_err(|e| self.failed(&e))?;
            Ok(Wrapped { version, bytes: [&nonce[..], &sealed].concat() })
        };
        keys.iter().map(wrap).collect()
    }

    fn unwrap(&self, keys: &[(&KeyName, &Wrapped)]) -> Result<Vec<DataKey>, VaultError> {
        let session = self.session()?;
        let versions = self.versions(&session)?;
        let unwrap = |(name, wrapped): &(&KeyName, &Wrapped)| {
            let version = wrapped.version;
            let kek = *versions.get(&version).ok_or(VaultError::Version { version })?;
            let split = wrapped.bytes.split_first_chunk::<NONCE_BYTES>();
            let (nonce, sealed) = split.ok_or_else(|| name.unopened(version))?;
            let (mut iv, associated) = (*nonce, name.associated_data());
            let parameters = GcmParams::new(&mut iv, &associated, TAG_BITS.into());
            let mechanism = Mechanism::AesGcm(parameters.map_err(|e| self.failed(&e))?);
            let opened = session.decrypt(&mechanism, kek, sealed).map(Zeroizing::new);
            let opened = opened.map_err(|error| match error {
                Error::Pkcs11(
                    RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange | RvError::GeneralError,
                    _,
                ) => name.unopened(version),
                other => self.failed(&other),
            })?;
            let bytes: &[u8; 32] = opened.as_slice().try_into().map_err(|_| name.unopened(version))?;
            Ok(DataKey::from_bytes(Zeroizing::new(*bytes)))
        };
        keys.iter().map(unwrap).collect()
    }

    fn rotate(&self) -> Result<u32, VaultError> {
        let session = self.session()?;
        let next = self.newest(&session)?.0.saturating_add(1);
        self.make(&session, next)?;
        Ok(self.newest(&session)?.0)
    }

    fn retire(&self, below: u32) -> Result<(), VaultError> {
        let session = self.session()?;
        let last = self.newest(&session)?.0;
        for (_, handle) in self.versions(&session)?.range(..below.min(last)) {
            session.destroy_object(*handle).map_err(|e| self.failed(&e))?;
        }
        Ok(())
    }
}
