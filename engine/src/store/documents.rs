//! Documents as a hospital's node keeps them: facts sealed under the patient's key, content elsewhere.

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::audit::Event;
use crate::consent::Pseudonym;
use crate::identity::Digest;
use crate::vault::DataKey;

/// What is known of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

/// A document, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// 32 hexadecimal digits, random.
    pub id: String,
    /// The patient.
    pub patient: Pseudonym,
    /// The class of data; its data key seals facts and content.
    pub class: String,
    /// Number of that key.
    pub key: u64,
    /// The facts (name, type, size, digest), sealed.
    pub facts: Vec<u8>,
    /// SHA-256 of the sealed content.
    pub digest: Digest,
    /// Digest of the content, blinded under the data key.
    pub blinded: Digest,
    /// When it was stored (unix milliseconds).
    pub at_ms: u64,
}

/// Documents.
pub trait Documents {
    /// Keeps a document whose content is stored, with its audit event.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its key was erased meanwhile.
    fn add_document(&self, document: &DocumentRow, audit: &Event) -> Result<(), StoreError>;

    /// The document of that id, with its data key.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    fn document(&self, id: &str) -> Result<Option<(DocumentRow, DataKey)>, StoreError>;

    /// Documents in the order of storing, with their data keys, after an id; of one patient where one is given.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    fn documents(
        &self,
        patient: Option<&Pseudonym>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(DocumentRow, DataKey)>, StoreError>;
}
