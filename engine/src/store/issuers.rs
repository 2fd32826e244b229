//! What issuers of credentials published.

use super::blobs::BlobId;
use super::error::StoreError;
use crate::audit::Event;
use crate::identity::{Digest, PublicKey};

/// A publication as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRecord {
    /// The issuer.
    pub issuer: String,
    /// Counts up.
    pub sequence: u64,
    /// The organisation that published first under the name.
    pub organisation: String,
    /// Who sent it.
    pub publisher: String,
    /// The issuer's identity.
    pub identity: PublicKey,
    /// Its leaf.
    pub leaf: Digest,
    /// Index of the leaf.
    pub leaf_index: u64,
    /// The issuer's signed word: JSON.
    pub word: String,
    /// All of it: JSON.
    pub body: BlobId,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

/// Publications of issuers.
pub trait IssuerPublications {
    /// Keeps a publication, appends its leaf and the audit event, or nothing; returns the leaf's index. The record's
    /// `leaf_index` is not read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] unless it is later than every other of the issuer, of the same organisation and identity; and for a new
    /// issuer when there are [`super::PAGE_ROWS_MAX`] already.
    fn publish_issuer(&self, new: &IssuerRecord, audit: &Event) -> Result<u64, StoreError>;

    /// The latest publication of an issuer.
    ///
    /// # Errors
    /// [`StoreError`].
    fn issuer_publication(&self, issuer: &str) -> Result<Option<IssuerRecord>, StoreError>;

    /// The latest publication of every issuer, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn issuer_publications(&self) -> Result<Vec<IssuerRecord>, StoreError>;
}
