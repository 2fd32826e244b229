//! Domain-separated hashing: SHA3-256 over length-prefixed fields.

use sha3::{Digest, Sha3_256};

/// A hash of a label and of fields that cannot run into each other.
pub(crate) struct Transcript(Sha3_256);

impl Transcript {
    /// Starts with `label`, which names the purpose.
    pub(crate) fn new(label: &str) -> Self {
        Self(Sha3_256::new()).field(b"ward/he/v1").field(label.as_bytes())
    }

    /// Adds a field with its length before it.
    pub(crate) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds an integer.
    pub(crate) fn integer(self, value: u64) -> Self {
        self.field(&value.to_le_bytes())
    }

    /// The 32-byte hash.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
