//! The circuit's keys as a folder: the proving key, the verifying key, and what is known of their making.
//!
//! ```text
//! key.json           id, hash of the proving key's file, how it was made
//! verifying.key      what verifies
//! proving.key        what proves (not needed to verify)
//! ```
//! A development key was made by one party alone, who can forge attestations: everything made with it says so.

use std::marker::PhantomData;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ward_circuits::aggregate::Aggregate;
use ward_circuits::eligibility::Eligibility;
use ward_circuits::groth16::setup::insecure_single_party_setup;
use ward_circuits::groth16::{FileHash, KeyId, ProvingKey, VerifyingKey};
use ward_circuits::{ConstrainedStatement, Statement as _};

use super::error::AttestationError;
use super::{read_file, system_rng, write_public};
use crate::encoding::Digest;

/// Largest proving key read, in bytes.
pub const PROVING_KEY_BYTES_MAX: u64 = 1 << 30;
/// Largest verifying key read, in bytes.
pub const VERIFYING_KEY_BYTES_MAX: u64 = 1 << 20;

/// What is said wherever a development key is used.
pub const DEVELOPMENT_WARNING: &str =
    "development key: one party made it alone and can forge proofs; nothing may depend on this";

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Version of this form: 1.
    pub ward_key: u32,
    /// The statement.
    pub statement: String,
    /// Id of the verifying key.
    pub id: Digest,
    /// SHA-256 of the proving key's file, which was validated; absent where there is only a verifying key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proving_key: Option<Digest>,
    /// Made by one party alone.
    pub development: bool,
}

/// A verifying key of attestations.
pub type VerifierKey = VerifierKeyOf<Eligibility>;

/// A proving key of attestations.
pub type ProverKey = ProverKeyOf<Eligibility>;

/// A verifying key, and what is known of it.
pub struct VerifierKeyOf<S> {
    /// The key.
    pub key: VerifyingKey<S>,
    /// Made by one party alone.
    pub is_development: bool,
}

/// A proving key's bytes, and what opens them.
pub struct ProverKeyOf<S> {
    bytes: Vec<u8>,
    hash: FileHash,
    /// Id of the verifying key.
    pub id: KeyId,
    /// Made by one party alone.
    pub is_development: bool,
    statement: PhantomData<fn() -> S>,
}

/// Makes a development key in a folder.
///
/// # Errors
/// [`AttestationError::Conflict`] when there is a key already; [`AttestationError::File`].
///
/// # Security
/// None: see the module.
pub fn create_development<S: ConstrainedStatement>(folder: &Path) -> Result<KeyFile, AttestationError> {
    check_empty(folder)?;
    let (key, bytes) = insecure_single_party_setup::<S>(&mut system_rng()?).map_err(|e| bad_key(&e))?;
    write_folder(folder, &key, Some(&bytes), true)
}

/// Takes a ceremony's key over into a folder. `id` is the id that the ceremony's verified transcript gave: it, and not
/// the file, says which key is meant.
///
/// # Errors
/// [`AttestationError::Conflict`] when there is a key already; [`AttestationError::KeyFile`] for a key of another id or
/// statement, or with a point that is none.
pub fn import<S: ConstrainedStatement>(
    folder: &Path,
    verifying: &[u8],
    proving: Option<&[u8]>,
    id: Digest,
) -> Result<KeyFile, AttestationError> {
    let key = VerifyingKey::<S>::from_bytes(verifying).map_err(|e| bad_key(&e))?;
    if key.id() != KeyId(id.0) {
        let reason = format!("its id is {}, not {id}", Digest(key.id().0));
        return Err(AttestationError::KeyFile { reason });
    }
    write_folder(folder, &key, proving, false)
}

type Create = fn(&Path) -> Result<KeyFile, AttestationError>;
type Import = fn(&Path, &[u8], Option<&[u8]>, Digest) -> Result<KeyFile, AttestationError>;

/// What makes and takes over the keys of a statement.
#[derive(Clone, Copy)]
pub struct KeysOf {
    create: Create,
    import: Import,
}

impl KeysOf {
    const fn of<S: ConstrainedStatement>() -> Self {
        Self { create: create_development::<S>, import: import::<S> }
    }

    /// [`create_development`] of the statement.
    ///
    /// # Errors
    /// As there.
    pub fn create_development(self, folder: &Path) -> Result<KeyFile, AttestationError> {
        (self.create)(folder)
    }

    /// [`import`] of the statement.
    ///
    /// # Errors
    /// As there.
    pub fn import(
        self,
        folder: &Path,
        verifying: &[u8],
        proving: Option<&[u8]>,
        id: Digest,
    ) -> Result<KeyFile, AttestationError> {
        (self.import)(folder, verifying, proving, id)
    }
}

/// The keys of the statement of that name, of those that files are made with.
///
/// # Errors
/// [`AttestationError::KeyFile`] for another.
pub fn for_statement(name: &str) -> Result<KeysOf, AttestationError> {
    let known = [
        (Eligibility::NAME, KeysOf::of::<Eligibility>()),
        (Aggregate::<64>::NAME, KeysOf::of::<Aggregate<64>>()),
        (Aggregate::<512>::NAME, KeysOf::of::<Aggregate<512>>()),
        (Aggregate::<4096>::NAME, KeysOf::of::<Aggregate<4096>>()),
    ];
    let found = known.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, keys)| keys).ok_or_else(|| bad_key(&format!("nothing is proved with keys of {name}")))
}

fn check_empty(folder: &Path) -> Result<(), AttestationError> {
    if folder.join("key.json").exists() {
        let reason = format!("{} holds a key already", folder.display());
        return Err(AttestationError::Conflict { reason });
    }
    Ok(())
}

fn write_folder<S: ConstrainedStatement>(
    folder: &Path,
    key: &VerifyingKey<S>,
    proving: Option<&[u8]>,
    development: bool,
) -> Result<KeyFile, AttestationError> {
    check_empty(folder)?;
    let mut hash = None;
    if let Some(proving) = proving {
        // Who made a key knows that its points are right; looking at each takes seconds.
        let validated = if development {
            FileHash(Sha256::digest(proving).into())
        } else {
            ProvingKey::<S>::validate(proving).map_err(|e| bad_key(&e))?
        };
        let opened = ProvingKey::<S>::open(proving, validated).map_err(|e| bad_key(&e))?;
        if opened.verifying_key().id() != key.id() {
            return Err(bad_key(&"the proving key is of another id than the verifying key"));
        }
        write_public(&folder.join("proving.key"), proving)?;
        hash = Some(Digest(validated.0));
    }
    let file = KeyFile {
        ward_key: 1,
        statement: S::NAME.to_owned(),
        id: Digest(key.id().0),
        proving_key: hash,
        development,
    };
    write_public(&folder.join("verifying.key"), &key.to_bytes())?;
    let json = serde_json::to_vec_pretty(&file).map_err(|e| bad_key(&e))?;
    // Last: a folder with this file is whole.
    write_public(&folder.join("key.json"), &json)?;
    Ok(file)
}

fn bad_key(reason: &dyn std::fmt::Display) -> AttestationError {
    AttestationError::KeyFile { reason: reason.to_string() }
}

/// What is known of the key in a folder.
///
/// # Errors
/// [`AttestationError::DevelopmentKey`] unless it is allowed; [`AttestationError::KeyFile`], [`AttestationError::File`].
pub fn key_file(folder: &Path, allow_development: bool) -> Result<KeyFile, AttestationError> {
    let json = read_file(&folder.join("key.json"), VERIFYING_KEY_BYTES_MAX)?;
    let file: KeyFile = serde_json::from_slice(&json).map_err(|e| bad_key(&e))?;
    if file.ward_key != 1 {
        return Err(AttestationError::Version { what: "a key", found: file.ward_key, known: 1 });
    }
    if file.development && !allow_development {
        return Err(AttestationError::DevelopmentKey);
    }
    Ok(file)
}

fn key_file_of<S: ConstrainedStatement>(folder: &Path, allow: bool) -> Result<KeyFile, AttestationError> {
    let file = key_file(folder, allow)?;
    if file.statement != S::NAME {
        return Err(bad_key(&format!("it is of {}, not of {}", file.statement, S::NAME)));
    }
    Ok(file)
}

impl<S: ConstrainedStatement> VerifierKeyOf<S> {
    /// Reads the verifying key of a folder, and compares it with the id pinned in `key.json`.
    ///
    /// # Errors
    /// [`AttestationError::DevelopmentKey`] unless it is allowed; [`AttestationError::KeyFile`].
    pub fn load(folder: &Path, allow_development: bool) -> Result<Self, AttestationError> {
        let file = key_file_of::<S>(folder, allow_development)?;
        let bytes = read_file(&folder.join("verifying.key"), VERIFYING_KEY_BYTES_MAX)?;
        let key = VerifyingKey::from_bytes_pinned(&bytes, KeyId(file.id.0)).map_err(|e| bad_key(&e))?;
        Ok(Self { key, is_development: file.development })
    }
}

impl<S: ConstrainedStatement> ProverKeyOf<S> {
    /// Reads the proving key of a folder.
    ///
    /// # Errors
    /// As [`VerifierKey::load`].
    pub fn load(folder: &Path, allow_development: bool) -> Result<Self, AttestationError> {
        let file = key_file_of::<S>(folder, allow_development)?;
        let hash = file.proving_key.ok_or_else(|| bad_key(&"the folder has no proving key"))?;
        let bytes = read_file(&folder.join("proving.key"), PROVING_KEY_BYTES_MAX)?;
        let hash = FileHash(hash.0);
        let is_development = file.development;
        Ok(Self { bytes, hash, id: KeyId(file.id.0), is_development, statement: PhantomData })
    }

    /// The key, over the bytes.
    ///
    /// # Errors
    /// [`AttestationError::KeyFile`] for a file that was changed, or of another id than `key.json` says.
    pub fn open(&self) -> Result<ProvingKey<'_, S>, AttestationError> {
        let key = ProvingKey::open(&self.bytes, self.hash).map_err(|e| bad_key(&e))?;
        if key.verifying_key().id() == self.id { Ok(key) } else { Err(bad_key(&"its id is another")) }
    }
}
