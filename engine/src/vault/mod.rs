//! What is stored about patients opens with keys of their own, and is gone with them.
//!
//! A *data key* belongs to one patient and one class of data ([`KeyName`]). It seals values with AES-256-GCM, each under a
//! key derived for it ([`xaes`]; [`ValueKey`] is that key alone, which shares one value and no other) and bound to its table, row and column ([`DataKey::seal`]). Data keys are kept wrapped by a
//! *key-encryption key* that only a [`KeyProvider`] knows: a sealed file ([`FileProvider`]), a token behind PKCS#11
//! ([`Pkcs11Provider`]), or the transit engine of a Vault ([`TransitProvider`]). Key-encryption keys are numbered; rotation
//! wraps the data keys anew and touches no data. Erasing a patient destroys the patient's data keys.
//!
//! # Security
//! Adversary: whoever reads the disk, or a backup, but not the key-encryption key. Values and wrapped keys are
//! authenticated, so one moved to another place, patient or class does not open. Who runs code as the node's user reads
//! what the node reads.
//!
//! Source of the construction: envelope encryption as in NIST SP 800-57 part 1 rev. 5, sections 5.3 and 8.2 (key-wrapping
//! keys above data keys), SP 800-38D for AES-GCM, C2SP XAES-256-GCM for the key of each value.

mod config;
mod file;
mod key;
mod pkcs11;
#[cfg(test)]
mod tests;
mod transit;
pub mod xaes;

pub use config::{ProviderConfig, Secret, open_provider};
pub use file::{FileProvider, KEK_FILE, Lock};
pub use key::{CLASS_BYTES_MAX, DataKey, KeyName, KeyProvider, ValueKey, WRAPPED_BYTES_MAX, Wrapped};
pub use pkcs11::{Pkcs11Provider, Pkcs11Settings};
pub use transit::{TransitProvider, TransitSettings};

use crate::identity::IdentityError;
use crate::problem::{Problem, ProblemKind};

/// Why a key or a value is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// A value does not open: another key, another place, or changed bytes.
    #[error("a sealed value of {table}.{column} does not open")]
    Value {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A data key does not unwrap: another key-encryption key, another patient or class, or changed bytes.
    #[error(
        "a data key of class {class:?} does not unwrap under version {version} of the key-encryption key"
    )]
    Unwrap {
        /// The class of data.
        class: String,
        /// The version it says it is wrapped under.
        version: u32,
    },
    /// That version of the key-encryption key was retired, or never was.
    #[error("version {version} of the key-encryption key is not in use")]
    Version {
        /// The version.
        version: u32,
    },
    /// A class of data that is empty or too long.
    #[error("a class of data is empty, or longer than {CLASS_BYTES_MAX} bytes")]
    Class,
    /// The provider cannot be used.
    #[error("{provider}: {reason}")]
    Provider {
        /// Which one.
        provider: String,
        /// What it says.
        reason: String,
    },
    /// The provider is set up otherwise than its key needs.
    #[error("{provider}: {reason}")]
    Settings {
        /// Which one.
        provider: String,
        /// What is wrong.
        reason: String,
    },
    /// The system gives no randomness.
    #[error("no randomness from the operating system")]
    Random,
}

impl VaultError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Value { .. } => "vault.value",
            Self::Unwrap { .. } => "vault.unwrap",
            Self::Version { .. } => "vault.version",
            Self::Class => "vault.class",
            Self::Provider { .. } => "vault.provider",
            Self::Settings { .. } => "vault.settings",
            Self::Random => "vault.random",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Value { .. } | Self::Unwrap { .. } => {
                "is `[keys] kek` the one that wrapped it? a copy of the folder needs the keys of its time"
            }
            Self::Version { .. } => {
                "`ward party keys show` lists the versions; a retired one opens nothing any more"
            }
            Self::Class => "name the class as the hospital's configuration does, as labs",
            Self::Provider { .. } => "is the key service up, and may this node use the key?",
            Self::Settings { .. } => "compare `[keys] kek` with docs/operating/keys.md",
            Self::Random => "",
        }
    }

    pub(crate) fn provider(provider: &str, reason: impl ToString) -> Self {
        Self::Provider { provider: provider.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn settings(provider: &str, reason: impl ToString) -> Self {
        Self::Settings { provider: provider.to_owned(), reason: reason.to_string() }
    }
}

impl From<IdentityError> for VaultError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Random => Self::Random,
            other => Self::settings("the key-encryption key", other),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        let kind = match &error {
            VaultError::Provider { .. } | VaultError::Random => ProblemKind::Unavailable,
            VaultError::Version { .. } => ProblemKind::Compliance,
            VaultError::Value { .. } | VaultError::Unwrap { .. } => ProblemKind::Conflict,
            VaultError::Class | VaultError::Settings { .. } => ProblemKind::Validation,
        };
        Self::new(kind, error.code(), error.to_string()).hint(error.hint())
    }
}
