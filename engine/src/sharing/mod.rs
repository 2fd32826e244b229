//! Sharing records between hospitals: files for those whose attributes satisfy a policy, or to whom a house delegates.
//!
//! - [`authority`]: who says which attributes somebody has; its keys and its holders'.
//! - [`house`]: a house's key for delegation, and grants.
//! - [`file`](mod@file): what is shared: a content under a fresh data key, and that key under a policy or for a house.
//! - [`trail`]: which grants were made with a house's secret.
//! - [`record`]: records of a hospital's vault, which are shared by their keys and stay closed.
//!
//! The cryptography is `ward_protocols::sharing`; here are the files, under passphrases where they are secret.
//!
//! # Security
//! A key holder who may open a file can keep it. An authority opens everything that is sealed under it. A withdrawn key
//! opens nothing that is sealed in a later epoch, and still opens what it opened before.

pub mod authority;
mod error;
pub mod file;
pub mod house;
pub mod record;
pub mod trail;

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::error::ShareError;

/// Largest file of keys read, in bytes: a key with the most attributes takes a third of it.
pub const KEY_BYTES_MAX: u64 = 2 << 20;

/// Writes one of the module's documents.
///
/// # Errors
/// [`ShareError::Malformed`] when it cannot be encoded.
pub fn to_json<T: Serialize>(document: &T, what: &'static str) -> Result<Vec<u8>, ShareError> {
    serde_json::to_vec_pretty(document).map_err(|e| ShareError::Malformed { what, reason: e.to_string() })
}

/// Reads one of the module's documents.
fn from_json<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, ShareError> {
    serde_json::from_slice(bytes).map_err(|e| ShareError::Malformed { what, reason: e.to_string() })
}

/// Refuses a version that is not known here.
fn check_version(what: &'static str, found: u32) -> Result<(), ShareError> {
    if found == 1 { Ok(()) } else { Err(ShareError::Version { what, found }) }
}
