//! Credentials and attestations: what an issuer says about a patient, and what is shown of it.
//!
//! - [`issuer`]: a hospital writes a record into slots ([`mapping`]), signs a [`credential`], revokes, publishes
//!   [`documents`] and a [`status_list`].
//! - [`publication`]: the issuer's word, a leaf of the consortium's log, on which documents are its latest; [`published`]: what
//!   the log has of all issuers, for a verifier to hold its registry against.
//! - [`wallet`]: the holder keeps credentials under a passphrase, and may show attributes of one to a verifier
//!   ([`key_binding`], [`presentation`]).
//! - [`request`]: a sponsor asks; [`prove`]: the holder answers with an attestation `file`, a proof and what it is about;
//!   [`verify`]: the sponsor, or anybody, checks it offline; [`nullifiers`]: and counts a patient once.
//! - [`door`]: what an engine takes in.
//! - [`keys`]: the circuit's keys as files; [`qr`]: an attestation as a code to scan.
//!
//! # Security
//! The issuer is trusted for what it writes down. The holder's machine sees the record; nobody else does. A verifier
//! trusts the key of the circuit (a ceremony with one honest contributor) and the registry of issuers that it chose.

pub mod credential;
pub mod documents;
pub mod door;
mod error;
pub mod file;
mod issued;
pub mod issuer;
pub mod jws;
pub mod key_binding;
pub mod keys;
pub mod mapping;
pub mod nullifiers;
pub mod presentation;
mod problem;
pub mod prove;
pub mod publication;
pub mod published;
pub mod qr;
pub mod records;
pub mod request;
pub mod sd_jwt;
pub mod status_list;
pub mod verify;
pub mod wallet;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

pub use self::error::AttestationError;
use crate::identity::random;

/// A generator with a fresh seed of the operating system.
///
/// # Errors
/// When the system gives no randomness.
pub fn system_rng() -> Result<ChaCha20Rng, AttestationError> {
    let seed = Zeroizing::new(random::<32>()?);
    Ok(ChaCha20Rng::from_seed(*seed))
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// [`AttestationError::File`].
pub fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, AttestationError> {
    let length = fs::metadata(path).map_err(|e| AttestationError::file(path, e))?.len();
    if length > bytes_max {
        return Err(AttestationError::file(path, format!("{length} bytes, at most {bytes_max} expected")));
    }
    fs::read(path).map_err(|e| AttestationError::file(path, e))
}

/// Writes a file that only its owner reads, whole or not at all.
///
/// # Errors
/// [`AttestationError::File`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AttestationError> {
    write(path, bytes, true)
}

/// Writes a file for everybody, whole or not at all.
///
/// # Errors
/// [`AttestationError::File`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), AttestationError> {
    write(path, bytes, false)
}

fn write(path: &Path, bytes: &[u8], is_private: bool) -> Result<(), AttestationError> {
    let unique = hex::encode(random::<8>()?);
    let next = path.with_extension(format!("tmp-{unique}"));
    let written = || {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if is_private { 0o600 } else { 0o644 });
        let mut file = options.open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    written().map_err(|e| AttestationError::file(path, e))
}
