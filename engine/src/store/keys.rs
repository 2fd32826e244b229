//! Keys of patients' records as a hospital's node keeps them: wrapped, numbered, destroyed with their patient.

use std::collections::BTreeMap;

use super::error::StoreError;
use crate::audit::Event;
use crate::consent::Pseudonym;
use crate::vault::{DataKey, KeyName};

/// Most data keys that one call makes, reads or wraps anew.
pub const KEYS_MAX: usize = 5_000;

/// A data key with its number.
pub struct Keyed {
    /// Its number at this hospital, from 1; never used again. Rows that are sealed under the key name it.
    pub number: u64,
    /// The key.
    pub key: DataKey,
}

/// What is known of a data key without its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its number.
    pub number: u64,
    /// The class of data.
    pub class: String,
    /// The version of the key-encryption key that it is wrapped under.
    pub version: u32,
    /// When it was made (unix milliseconds).
    pub at_ms: u64,
}

/// What became of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// The keys were destroyed, and what was sealed under them deleted.
    Now {
        /// The classes whose keys were destroyed.
        classes: Vec<String>,
        /// Consent artefacts deleted.
        consents: u64,
        /// Documents whose rows were deleted; their sealed content lies elsewhere.
        documents: Vec<String>,
        /// Items of HL7 messages deleted.
        messages: u64,
        /// True when the write-ahead log was emptied: false while another process reads; then old pages stay in it.
        is_log_empty: bool,
    },
    /// It was done before, and nothing has been stored since.
    Before {
        /// When (unix milliseconds).
        at_ms: u64,
        /// True when the write-ahead log was emptied now.
        is_log_empty: bool,
    },
}

/// Data keys of patients, and their end.
pub trait RecordKeys {
    /// Opens the data keys of these names, in their order, making those that are not there.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when the provider refuses; [`StoreError::Invalid`] for more than [`KEYS_MAX`];
    /// [`StoreError::Database`] to be tried again when the key-encryption key was rotated meanwhile.
    fn data_keys(&self, names: &[KeyName]) -> Result<Vec<Keyed>, StoreError>;

    /// Opens the data key of a name, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    fn known_key(&self, name: &KeyName) -> Result<Option<Keyed>, StoreError>;

    /// A patient's data keys, closed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keys_of(&self, patient: &Pseudonym) -> Result<Vec<KeyRow>, StoreError>;

    /// How many data keys are wrapped under which version.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keys_by_version(&self) -> Result<BTreeMap<u32, u64>, StoreError>;

    /// The version below which no data key is kept any more, from 1.
    ///
    /// # Errors
    /// [`StoreError`].
    fn kek_minimum(&self) -> Result<u32, StoreError>;

    /// Refuses, from now on, data keys wrapped under a version below that one; those there are wrapped anew.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it falls.
    fn raise_kek_minimum(&self, version: u32, audit: &Event) -> Result<(), StoreError>;

    /// Wraps up to [`KEYS_MAX`] data keys anew that are below the minimum; returns how many.
    ///
    /// # Errors
    /// [`StoreError::Vault`]. What was wrapped before stays.
    fn rewrap_keys(&self) -> Result<u64, StoreError>;

    /// Destroys a patient's data keys and deletes what was sealed under them, with the audit event, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when nothing is stored of the patient, nor was.
    ///
    /// # Security
    /// Deleted content is overwritten with zeros in the database, and the write-ahead log is emptied. Copies that a file
    /// system, a disk or a backup keeps hold wrapped keys: they open until their key-encryption key is retired.
    fn erase(&self, patient: &Pseudonym, audit: &Event) -> Result<Erased, StoreError>;

    /// Patients erased after a change of the consents, each with the change that its erasure counts as; in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn erased_after(&self, change: u64) -> Result<Vec<(u64, Pseudonym)>, StoreError>;
}
