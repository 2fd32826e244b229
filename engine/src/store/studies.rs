//! Studies as they are kept: the engine's list, and a hospital's own copies.

use super::error::StoreError;
use crate::audit::Event;
use crate::identity::Digest;

/// A study at the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyRecord {
    /// Its id.
    pub id: String,
    /// Its digest.
    pub digest: Digest,
    /// Canonical JSON.
    pub json: String,
    /// Who drafted it.
    pub drafter: String,
    /// When (unix milliseconds).
    pub at_ms: u64,
    /// Since when no new job runs in it (unix milliseconds).
    pub closed_ms: Option<u64>,
}

/// A word on a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyWord {
    /// The study.
    pub study: String,
    /// The hospital.
    pub hospital: String,
    /// The administrator; empty for the hospital's own word.
    pub admin: String,
    /// JSON, as it came.
    pub json: String,
    /// When it was said (unix milliseconds).
    pub at_ms: u64,
}

/// The engine's studies.
pub trait Studies {
    /// Keeps a new study.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id is taken.
    fn add_study(&self, study: &StudyRecord, audit: &Event) -> Result<(), StoreError>;

    /// The study of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn study(&self, id: &str) -> Result<Option<StudyRecord>, StoreError>;

    /// Studies, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn studies(&self, limit: u32) -> Result<Vec<StudyRecord>, StoreError>;

    /// Closes a study.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is closed already, or absent.
    fn close_study(&self, id: &str, at_ms: u64, audit: &Event) -> Result<(), StoreError>;

    /// Keeps a word in place of an older one of the same hospital and administrator; an older word than the one kept
    /// changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_study_word(&self, word: &StudyWord, audit: &Event) -> Result<(), StoreError>;

    /// The words on a study, by hospital and administrator.
    ///
    /// # Errors
    /// [`StoreError`].
    fn study_words(&self, study: &str) -> Result<Vec<StudyWord>, StoreError>;
}

/// A hospital's own copy of a study that it decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStudy {
    /// Its id.
    pub id: String,
    /// Its digest.
    pub digest: Digest,
    /// Canonical JSON of the study.
    pub json: String,
    /// `approved`, `denied` or `withdrawn`.
    pub verdict: String,
    /// JSON of the signed decision.
    pub decision: String,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

/// A hospital's studies.
pub trait OwnStudies {
    /// Keeps a decision, in place of the one before on the same study.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_own_study(&self, study: &OwnStudy, audit: &Event) -> Result<(), StoreError>;

    /// The study of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn own_study(&self, id: &str) -> Result<Option<OwnStudy>, StoreError>;

    /// Every study decided on here, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn own_studies(&self) -> Result<Vec<OwnStudy>, StoreError>;
}
