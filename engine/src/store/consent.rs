//! Consents as a hospital's node keeps them: artefacts with their history, and the roots that were shown.

use super::error::StoreError;
use crate::audit::Event;
use crate::consent::{Artefact, Pseudonym, Status};
use crate::identity::{Digest, Signature};

/// Class of the data key that seals a patient's consents.
pub const CONSENT_CLASS: &str = "ward/consent";
/// Most consents that a listing returns, or a transaction records, at once.
pub const CONSENTS_MAX: u32 = 5_000;

/// An artefact to record: new (version 1), or in its next status.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The artefact.
    pub artefact: Artefact,
    /// The signature over it.
    pub signature: Signature,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// An artefact as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// Its number at this hospital, from 1.
    pub number: u64,
    /// The artefact.
    pub artefact: Artefact,
    /// The signature over it.
    pub signature: Signature,
}

/// A status an artefact had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentChange {
    /// Number of the change at this hospital, from 1.
    pub change: u64,
    /// The artefact's.
    pub version: u32,
    /// The status.
    pub status: Status,
    /// Since when (unix milliseconds).
    pub at_ms: u64,
    /// Why.
    pub reason: String,
    /// The signature over the artefact in that status.
    pub signature: Signature,
}

/// A root that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRoot {
    /// Counts the roots, from 1.
    pub version: u64,
    /// The last change in it.
    pub change: u64,
    /// Artefacts in it.
    pub consents: u64,
    /// The root.
    pub root: Digest,
    /// When it was made (unix milliseconds).
    pub at_ms: u64,
    /// The hospital's signature over it.
    pub signature: Signature,
}

/// Consents.
pub trait Consents {
    /// Records artefacts and their audit event in one transaction; returns how many were new or changed. What is
    /// recorded already, in that status or a later one, is passed over.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a version is missing between the one kept and the one offered;
    /// [`StoreError::Invalid`] for more than [`CONSENTS_MAX`]. Nothing is recorded then.
    fn record_consents(&self, batch: &[Recorded], audit: &Event) -> Result<u64, StoreError>;

    /// The artefact of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consent(&self, id: &str) -> Result<Option<ConsentRow>, StoreError>;

    /// A patient's artefacts, in the order of recording.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consents_of(&self, pseudonym: &Pseudonym) -> Result<Vec<ConsentRow>, StoreError>;

    /// The artefacts of a document.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consents_from(&self, source: &str) -> Result<Vec<ConsentRow>, StoreError>;

    /// Artefacts after a number, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consents(&self, after: u64, limit: u32) -> Result<Vec<ConsentRow>, StoreError>;

    /// Artefacts that changed after a change, as they are now, each with the last change of its own in the page; in the
    /// order of the changes.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consents_changed(&self, after: u64, limit: u32) -> Result<Vec<(u64, ConsentRow)>, StoreError>;

    /// The number of the last change.
    ///
    /// # Errors
    /// [`StoreError`].
    fn last_consent_change(&self) -> Result<u64, StoreError>;

    /// Artefacts whose time is over and whose status does not say so.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consents_over(&self, now_ms: u64, limit: u32) -> Result<Vec<ConsentRow>, StoreError>;

    /// The statuses of an artefact, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consent_history(&self, id: &str) -> Result<Vec<ConsentChange>, StoreError>;

    /// Keeps a root that will be shown.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is a root of that version.
    fn add_consent_root(&self, root: &ConsentRoot, audit: &Event) -> Result<(), StoreError>;

    /// The newest roots, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consent_roots(&self, limit: u32) -> Result<Vec<ConsentRoot>, StoreError>;
}
