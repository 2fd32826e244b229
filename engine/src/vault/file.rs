//! Key-encryption keys in a file of the node's folder, sealed under the node's seal key or under a passphrase.
//!
//! `kek.json`: the versions in use, each 32 random bytes sealed (XChaCha20-Poly1305) for its place; with a passphrase, the
//! sealing key is Argon2id of it (RFC 9106, section 4, second recommended option: 64 MiB, three passes), and salt and
//! costs stand beside the versions. Mode 0600. Data keys are wrapped by [`xaes`](super::xaes).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{DataKey, KeyName, KeyProvider, VaultError, Wrapped, xaes};
use crate::attestation::{read_file, write_private};
use crate::encoding::HexBytes;
use crate::identity::files::create_private;
use crate::identity::{SealContext, SealKey, random};

/// The file in a node's folder.
pub const KEK_FILE: &str = "kek.json";
const FILE_BYTES_MAX: u64 = 1 << 20;
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// What a file may ask of memory and time at most.
const MEMORY_KIB_MAX: u32 = 1 << 21;
const PASSES_MAX: u32 = 64;

/// What the file is sealed under.
pub enum Lock {
    /// The node's own seal key.
    Seal(SealKey),
    /// A passphrase.
    Passphrase(Zeroizing<String>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hardening {
    salt: HexBytes,
    memory_kib: u32,
    passes: u32,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    sealed: HexBytes,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    ward_kek: u32,
    passphrase: Option<Hardening>,
    versions: Vec<Kept>,
}

impl Saved {
    /// The newest version.
    fn last(&self) -> u32 {
        self.versions.last().map_or(1, |last| last.version)
    }
}

/// The key-encryption keys of a folder.
pub struct FileProvider {
    path: PathBuf,
    lock: Lock,
    /// Argon2id of the passphrase, once it was computed.
    derived: OnceLock<SealKey>,
}

fn refused(path: &Path, reason: impl ToString) -> VaultError {
    VaultError::settings(&path.display().to_string(), reason)
}

fn harden(passphrase: &str, with: &Hardening, path: &Path) -> Result<SealKey, VaultError> {
    if with.memory_kib > MEMORY_KIB_MAX || with.passes > PASSES_MAX {
        return Err(refused(path, "it asks for more memory or time than any passphrase needs"));
    }
    let bad = |e: argon2::Error| refused(path, e);
    let params = Params::new(with.memory_kib, with.passes, 1, Some(32)).map_err(bad)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &with.salt.0, &mut *key)
        .map_err(bad)?;
    Ok(SealKey::from_bytes(key))
}

impl FileProvider {
    /// The keys of a folder. The file is read when a key is first asked for, and made when there is none.
    #[must_use]
    pub fn new(folder: &Path, lock: Lock) -> Self {
        Self { path: folder.join(KEK_FILE), lock, derived: OnceLock::new() }
    }

    fn seal_key(&self, saved: &Saved) -> Result<&SealKey, VaultError> {
        match (&self.lock, &saved.passphrase) {
            (Lock::Seal(key), None) => Ok(key),
            (Lock::Passphrase(passphrase), Some(with)) => {
                if let Some(derived) = self.derived.get() {
                    return Ok(derived);
                }
                let derived = harden(passphrase, with, &self.path)?;
                Ok(self.derived.get_or_init(|| derived))
            }
            (Lock::Seal(_), Some(_)) => {
                Err(refused(&self.path, "it is sealed under a passphrase, and none is configured"))
            }
            (Lock::Passphrase(_), None) => {
                Err(refused(&self.path, "it is sealed under the node's seal key, not under a passphrase"))
            }
        }
    }

    /// A file with its first version.
    fn first(&self) -> Result<Saved, VaultError> {
        let mut saved = Saved { ward_kek: 1, passphrase: None, versions: Vec::new() };
        match &self.lock {
            Lock::Seal(key) => add(&mut saved, key)?,
            // Another process may make the file first: what is derived from this salt is not kept.
            Lock::Passphrase(passphrase) => {
                let salt = HexBytes(random::<16>()?.to_vec());
                let with = Hardening { salt, memory_kib: MEMORY_KIB, passes: PASSES };
                let key = harden(passphrase, &with, &self.path)?;
                saved.passphrase = Some(with);
                add(&mut saved, &key)?;
            }
        };
        Ok(saved)
    }

    fn read(&self) -> Result<Saved, VaultError> {
        if !self.path.exists() {
            let saved = self.first()?;
            match create_private(&self.path, &json(&saved)) {
                Err(_) if self.path.exists() => {}
                made => made?,
            }
        }
        let bytes = read_file(&self.path, FILE_BYTES_MAX).map_err(|e| refused(&self.path, e))?;
        let saved: Saved =
            serde_json::from_slice(&bytes).map_err(|_| refused(&self.path, "it is damaged"))?;
        if saved.ward_kek != 1 || saved.versions.is_empty() {
            return Err(refused(&self.path, "it is of another version of ward, or empty"));
        }
        Ok(saved)
    }

    fn write(&self, saved: &Saved) -> Result<(), VaultError> {
        write_private(&self.path, &json(saved)).map_err(|e| refused(&self.path, e))
    }

    fn key(&self, saved: &Saved, version: u32) -> Result<DataKey, VaultError> {
        let kept = saved.versions.iter().find(|kept| kept.version == version);
        let kept = kept.ok_or(VaultError::Version { version })?;
        let row = version.to_string();
        let opened = self.seal_key(saved)?.open(place(&row), &kept.sealed.0);
        let wrong = |_| refused(&self.path, "it does not open with this passphrase or seal key");
        let bytes: &[u8; 32] = &opened
            .map_err(wrong)?
            .as_slice()
            .try_into()
            .map_err(|_| refused(&self.path, "it holds no key of 32 bytes"))?;
        Ok(DataKey::from_bytes(Zeroizing::new(*bytes)))
    }
}

/// A new version in a file's list.
fn add(saved: &mut Saved, seal: &SealKey) -> Result<(), VaultError> {
    let version = if saved.versions.is_empty() { 1 } else { saved.last().saturating_add(1) };
    let key = Zeroizing::new(random::<32>()?);
    let row = version.to_string();
    let sealed = HexBytes(seal.seal(place(&row), &*key)?);
    saved.versions.push(Kept { version, sealed });
    Ok(())
}

fn json(saved: &Saved) -> Vec<u8> {
    crate::encoding::canonical_json(saved)
}

fn place(row: &str) -> SealContext<'_> {
    SealContext { table: "file", row, column: KEK_FILE }
}

impl KeyProvider for FileProvider {
    fn describe(&self) -> String {
        let under = match self.lock {
            Lock::Seal(_) => "the node's seal key",
            Lock::Passphrase(_) => "a passphrase",
        };
        format!("file {}, sealed under {under}", self.path.display())
    }

    fn current(&self) -> Result<u32, VaultError> {
        Ok(self.read()?.last())
    }

    fn wrap(&self, keys: &[(&KeyName, &DataKey)]) -> Result<Vec<Wrapped>, VaultError> {
        let saved = self.read()?;
        let version = saved.last();
        let kek = self.key(&saved, version)?;
        let wrap = |(name, key): &(&KeyName, &DataKey)| {
            let nonce = random::<{ xaes::NONCE_BYTES }>()?;
            let sealed = xaes::seal(kek.expose(), &nonce, key.expose(), &name.associated_data());
            let sealed = sealed.ok_or_else(|| name.unopened(version))?;
            Ok(Wrapped { version, bytes: [&nonce[..], &sealed].concat() })
        };
        keys.iter().map(wrap).collect()
    }

    fn unwrap(&self, keys: &[(&KeyName, &Wrapped)]) -> Result<Vec<DataKey>, VaultError> {
        let saved = self.read()?;
        let mut kek: Option<(u32, DataKey)> = None;
        let mut opened = Vec::with_capacity(keys.len());
        for (name, wrapped) in keys {
            let kek = match &kek {
                Some((version, kek)) if *version == wrapped.version => kek,
                _ => &kek.insert((wrapped.version, self.key(&saved, wrapped.version)?)).1,
            };
            let wrong = || name.unopened(wrapped.version);
            let (nonce, sealed) = wrapped.bytes.split_first_chunk().ok_or_else(wrong)?;
            let plain = xaes::open(kek.expose(), nonce, sealed, &name.associated_data());
            let plain = plain.ok_or_else(wrong)?;
            let bytes: &[u8; 32] = plain.as_slice().try_into().map_err(|_| wrong())?;
            opened.push(DataKey::from_bytes(Zeroizing::new(*bytes)));
        }
        Ok(opened)
    }

    fn rotate(&self) -> Result<u32, VaultError> {
        let mut saved = self.read()?;
        let seal = self.seal_key(&saved)?;
        add(&mut saved, seal)?;
        self.write(&saved)?;
        Ok(saved.last())
    }

    fn retire(&self, below: u32) -> Result<(), VaultError> {
        let mut saved = self.read()?;
        // The last version stays, whatever is asked.
        let least = below.min(saved.last());
        saved.versions.retain(|kept| kept.version >= least);
        self.write(&saved)
    }
}
