//! `[keys] kek`: where the key-encryption keys are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    FileProvider, KeyProvider, Lock, Pkcs11Provider, Pkcs11Settings, TransitProvider, TransitSettings,
    VaultError,
};
use crate::identity::SealKey;
use crate::identity::files::read_private;

const SECRET_BYTES_MAX: u64 = 1 << 14;

/// Where a secret text is read from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// A file that only the node's user reads; a line end at its end is forgiven.
    File(PathBuf),
    /// An environment variable of this name.
    Env(String),
}

impl Secret {
    /// The text.
    ///
    /// # Errors
    /// [`VaultError::Settings`] naming `what`, never the text.
    pub fn read(&self, what: &str) -> Result<Zeroizing<String>, VaultError> {
        let text = match self {
            Self::File(path) => {
                read_private(path, SECRET_BYTES_MAX).map_err(|e| VaultError::settings(what, e))?
            }
            Self::Env(name) => {
                let missing = |_| VaultError::settings(what, format!("the variable {name} is not set"));
                Zeroizing::new(std::env::var(name).map_err(missing)?)
            }
        };
        let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
        if text.is_empty() { Err(VaultError::settings(what, "it is empty")) } else { Ok(text) }
    }

    /// The same, with its path taken relative to a folder.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            variable @ Self::Env(_) => variable,
        }
    }
}

/// Which provider, and how it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderConfig {
    /// `kek.json` in the node's folder, under its seal key.
    #[default]
    Seal,
    /// `kek.json` in the node's folder, under a passphrase.
    Passphrase(Secret),
    /// A token behind PKCS#11.
    Pkcs11(Pkcs11Settings),
    /// The transit engine of a Vault.
    Transit(TransitSettings),
}

impl ProviderConfig {
    /// The same, with paths taken relative to a folder.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        match self {
            Self::Seal => Self::Seal,
            Self::Passphrase(secret) => Self::Passphrase(secret.within(folder)),
            Self::Pkcs11(settings) => {
                let (module, pin) = (folder.join(&settings.module), settings.pin.clone().within(folder));
                Self::Pkcs11(Pkcs11Settings { module, pin, ..settings })
            }
            Self::Transit(settings) => {
                let token = settings.token.clone().within(folder);
                Self::Transit(TransitSettings { token, ..settings })
            }
        }
    }
}

/// Opens the provider of a node's folder; keys are looked at when the first is asked for.
///
/// # Errors
/// [`VaultError::Settings`] for a secret that cannot be read, or settings that make no sense.
pub fn open_provider(
    config: &ProviderConfig,
    folder: &Path,
    seal: SealKey,
) -> Result<Arc<dyn KeyProvider>, VaultError> {
    Ok(match config {
        ProviderConfig::Seal => Arc::new(FileProvider::new(folder, Lock::Seal(seal))),
        ProviderConfig::Passphrase(secret) => {
            let passphrase = secret.read("the passphrase of the key-encryption key")?;
            Arc::new(FileProvider::new(folder, Lock::Passphrase(passphrase)))
        }
        ProviderConfig::Pkcs11(settings) => Arc::new(Pkcs11Provider::new(settings.clone())),
        ProviderConfig::Transit(settings) => Arc::new(TransitProvider::new(settings.clone())?),
    })
}
