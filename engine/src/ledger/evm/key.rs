//! The engine's key on the chain: secp256k1, kept in a file sealed with the engine's sealing key.

use std::path::Path;

use alloy_primitives::{Address, B256, Signature};
use k256::ecdsa::SigningKey;
use zeroize::Zeroizing;

use super::EvmError;
use super::tx::Unsigned;
use crate::identity::{IdentityError, SealContext, SealKey, files, random};

const CONTEXT: SealContext<'static> = SealContext { table: "evm", row: "anchorer", column: "key" };
const FILE_BYTES_MAX: u64 = 1024;

/// A key that pays for transactions and signs them; wiped on drop, never shown.
///
/// # Security
/// Whoever has it can spend the money that its address holds for gas, and anchor in the engine's name; neither opens
/// data, and the anchor log's admin takes the right to anchor away from it.
pub struct ChainKey {
    key: SigningKey,
}

impl ChainKey {
    /// A fresh key from the operating system's randomness.
    ///
    /// # Errors
    /// [`EvmError::Key`].
    pub fn generate() -> Result<Self, EvmError> {
        loop {
            let bytes = Zeroizing::new(random::<32>()?);
            // One in 2^128 draws is not below the group's order.
            if let Ok(key) = Self::from_bytes(&bytes) {
                return Ok(key);
            }
        }
    }

    /// The key of 32 bytes.
    ///
    /// # Errors
    /// [`EvmError::KeyBytes`] for zero, or a number at or above the group's order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, EvmError> {
        let key = SigningKey::from_slice(bytes).map_err(|_| EvmError::KeyBytes)?;
        Ok(Self { key })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::from_public_key(self.key.verifying_key())
    }

    /// Seals it into a new file of mode 0600; an existing file is never overwritten.
    ///
    /// # Errors
    /// [`EvmError::Key`].
    pub fn save(&self, path: &Path, seal: &SealKey) -> Result<(), EvmError> {
        let bytes = Zeroizing::new(self.key.to_bytes());
        let envelope = seal.seal(CONTEXT, &bytes)?;
        Ok(files::create_private(path, format!("{}\n", hex::encode(envelope)).as_bytes())?)
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`EvmError::Key`] when it is absent, readable by others, changed, or sealed with another key.
    pub fn load(path: &Path, seal: &SealKey) -> Result<Self, EvmError> {
        let text = files::read_private(path, FILE_BYTES_MAX)?;
        let refuse = |reason: &str| IdentityError::File {
            path: path.display().to_string(),
            reason: reason.to_owned(),
        };
        let envelope = hex::decode(text.trim()).map_err(|_| refuse("not a sealed key"))?;
        let bytes = seal.open(CONTEXT, &envelope)?;
        Self::from_bytes(bytes.as_slice().try_into().map_err(|_| refuse("not a key of 32 bytes"))?)
    }

    /// Signs a transaction and returns its bytes and hash. The same transaction gives the same bytes (RFC 6979).
    pub(super) fn sign(&self, transaction: &Unsigned) -> Result<(Vec<u8>, B256), EvmError> {
        let signed = self.key.sign_prehash_recoverable(transaction.digest().as_slice());
        let signature = signed.map(Signature::from).map_err(|_| EvmError::KeyBytes)?;
        Ok(transaction.signed(&signature))
    }
}

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChainKey({})", self.address())
    }
}
