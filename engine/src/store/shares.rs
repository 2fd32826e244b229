//! Records that a hospital sealed for somebody elsewhere, and whom its houses' keys let read them.

use super::error::StoreError;
use crate::audit::Event;
use crate::consent::Pseudonym;
use crate::identity::Digest;
use crate::vault::DataKey;

/// A share, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRow {
    /// 32 hexadecimal digits, random.
    pub id: String,
    /// The patient.
    pub patient: Pseudonym,
    /// The class of data.
    pub class: String,
    /// Number of the data key of patient and class: the share is forgotten with it.
    pub key: u64,
    /// What was shared: `document:ID`, or `messages:COUNT`.
    pub what: String,
    /// The purpose, as a DUO code.
    pub purpose: String,
    /// For whom, by name.
    pub recipient: String,
    /// Id of the house's key, where it was sealed for a house.
    pub house: Option<Digest>,
    /// The policy, where it was sealed under one.
    pub policy: String,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

/// A house's key lets another house read what is sealed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Id of the house's key.
    pub house: Digest,
    /// Id of the other's key.
    pub recipient_id: Digest,
    /// The other house.
    pub recipient: String,
    /// The purpose, as a DUO code.
    pub purpose: String,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

/// An item of messages, closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedItem {
    /// The row that its fields are sealed for.
    pub row: String,
    /// Its fields, sealed.
    pub sealed: Vec<u8>,
}

/// Shares and grants. Both are kept with their audit events in one transaction, under the consents of one change.
pub trait Shares {
    /// Keeps a share that was decided on when this much was `seen`: the last change of the consents, the number of grants.
    ///
    /// # Errors
    /// [`StoreError::Database`] to be tried again when consents changed since, or houses were granted;
    /// [`StoreError::Conflict`] when the patient was erased meanwhile.
    fn add_share(&self, share: &ShareRow, seen: (u64, u64), audit: &[Event]) -> Result<(), StoreError>;

    /// Shares in the order of time; of a patient, or for a house's key, where one is given.
    ///
    /// # Errors
    /// [`StoreError`].
    fn shares(
        &self,
        patient: Option<&Pseudonym>,
        house: Option<&Digest>,
    ) -> Result<Vec<ShareRow>, StoreError>;

    /// Keeps a grant that was decided on when this much was `seen`: the last change of the consents, the number of shares for
    /// that house. The same grant again keeps the
    /// later purpose.
    ///
    /// # Errors
    /// [`StoreError::Database`] to be tried again when consents or shares changed since.
    fn add_grant(&self, grant: &GrantRow, seen: (u64, u64), audit: &[Event]) -> Result<(), StoreError>;

    /// Whom a house's key lets read.
    ///
    /// # Errors
    /// [`StoreError`].
    fn grants(&self, house: &Digest) -> Result<Vec<GrantRow>, StoreError>;

    /// What messages said of a patient in a class of data, closed, with the data key and its number; none without such a
    /// key. At most `limit` items.
    ///
    /// # Errors
    /// [`StoreError::Vault`].
    fn sealed_items(
        &self,
        patient: &Pseudonym,
        class: &str,
        limit: u32,
    ) -> Result<Option<(u64, DataKey, Vec<SealedItem>)>, StoreError>;
}
