//! Files that a passphrase opens: the key is Argon2id of it (RFC 9106, section 4: 64 MiB, three passes, one lane), the
//! content is sealed with XChaCha20-Poly1305 like everything else at rest.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{IdentityError, SealContext, SealKey, random};
use crate::encoding::HexBytes;

/// Shortest passphrase, in bytes.
pub const PASSPHRASE_BYTES_MIN: usize = 8;
/// Memory of the key derivation, in KiB: RFC 9106, section 4, second recommendation.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
/// Most memory that a file may ask for, in KiB.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 16;
/// The only derivation known here.
pub const DERIVATION: &str = "argon2id";

/// Why a passphrase locks or opens nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Too short to protect anything.
    #[error("a passphrase has {PASSPHRASE_BYTES_MIN} characters at least")]
    Short,
    /// A file that asks for another derivation, or for too much of it.
    #[error("its key is derived in a way not known here")]
    Derivation,
    /// The wrong passphrase, or a file that was changed.
    #[error("the passphrase does not open it, or it was changed")]
    Wrong,
    /// No randomness, or too many bytes.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// How hard a key is to derive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardness {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
}

impl Default for Hardness {
    fn default() -> Self {
        Self { memory_kib: MEMORY_KIB, passes: PASSES }
    }
}

/// The key of a passphrase.
///
/// # Errors
/// [`PassphraseError::Derivation`] for more memory or passes than a file may ask for, or too few.
pub fn derive(passphrase: &str, salt: &[u8; 16], hardness: Hardness) -> Result<SealKey, PassphraseError> {
    let Hardness { memory_kib, passes } = hardness;
    if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX {
        return Err(PassphraseError::Derivation);
    }
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| PassphraseError::Derivation)?;
    let mut key = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|_| PassphraseError::Derivation)?;
    Ok(SealKey::from_bytes(key))
}

/// A secret under a passphrase, as it stands in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    salt: HexBytes,
    sealed: HexBytes,
}

impl Locked {
    /// Locks a secret in its place.
    ///
    /// # Errors
    /// [`PassphraseError::Short`], [`PassphraseError::Identity`].
    pub fn lock(
        place: SealContext<'_>,
        secret: &[u8],
        passphrase: &str,
        hardness: Hardness,
    ) -> Result<Self, PassphraseError> {
        if passphrase.len() < PASSPHRASE_BYTES_MIN {
            return Err(PassphraseError::Short);
        }
        let salt = random::<16>()?;
        let sealed = derive(passphrase, &salt, hardness)?.seal(place, secret)?;
        Ok(Self {
            kdf: DERIVATION.to_owned(),
            memory_kib: hardness.memory_kib,
            passes: hardness.passes,
            salt: HexBytes(salt.to_vec()),
            sealed: HexBytes(sealed),
        })
    }

    /// Opens it in its place.
    ///
    /// # Errors
    /// [`PassphraseError::Wrong`], [`PassphraseError::Derivation`].
    pub fn open(
        &self,
        place: SealContext<'_>,
        passphrase: &str,
    ) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
        let salt = <[u8; 16]>::try_from(self.salt.0.as_slice()).map_err(|_| PassphraseError::Derivation)?;
        if self.kdf != DERIVATION {
            return Err(PassphraseError::Derivation);
        }
        let hardness = Hardness { memory_kib: self.memory_kib, passes: self.passes };
        let key = derive(passphrase, &salt, hardness)?;
        key.open(place, &self.sealed.0).map_err(|_| PassphraseError::Wrong)
    }
}
