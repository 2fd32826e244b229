//! The ledger: an append-only log of result commitments that anybody can check, and the receipts that it gives.
//!
//! A finished job's [`Commitment`] is hashed, and the digest becomes a leaf of an RFC 6962 tree in the same
//! transaction that marks the job done. The engine signs the tree's head ([`Checkpoint`]), the hospitals that
//! took part cosign it after checking that it continues what they saw before ([`Witness`]), and the researcher
//! gets a [`Receipt`] that verifies offline. The leaf holds the digest alone: the log tells nobody what was
//! asked.
//!
//! [`Ledger`] is the adapter: [`EmbeddedLedger`] keeps the tree in the store; ledgers elsewhere are fed from
//! the outbox.

mod audit_head;
mod commitment;
mod cosign;
mod embedded;
#[cfg(feature = "evm")]
pub mod evm;
mod logged;
pub mod merkle;
mod note;
mod proof_text;
pub(crate) mod receipt;
mod registration;
mod setup;
mod tile;

#[cfg(test)]
mod tests;

pub use audit_head::{AUDIT_HEAD, AuditCheckpoint, AuditHead, LoggedHead};
pub use commitment::{COMMITMENT_VERSION, Commitment};
pub use cosign::{Cosignature, Cosigned, Witness, verify_cosignature};
pub use embedded::EmbeddedLedger;
pub use logged::Logged;
pub use merkle::TreeHead;
pub use note::{Checkpoint, NOTE_BYTES_MAX, Note, NoteSignature};
pub use proof_text::TlogProof;
pub use receipt::{
    Quorum, RECEIPT_BYTES_MAX, Receipt, ReceiptAnchor, ReceiptAnchorKind, ReceiptError, TrustAnchors,
    VerifiedReceipt,
};
pub use registration::{RecordItem, RegistrationReceipt, RegistrationRecord, VerifiedRegistration};
pub use setup::{SetupPhase, SetupReceipt, SetupRecord, VerifiedSetup};
pub use tile::{TILE_WIDTH, Tile, TileKind};

use crate::identity::Digest;

/// An append-only log of digests.
pub trait Ledger: Send + Sync {
    /// Appends a commitment's digest and returns the index of its leaf. Appending the same digest again returns
    /// the index it has. The store's transition to done does the same within its own transaction.
    ///
    /// # Errors
    /// [`LedgerError`] of the storage.
    fn append(&self, commitment: &Digest) -> Result<u64, LedgerError>;

    /// A checkpoint of the tree as it is now, signed by the log.
    ///
    /// # Errors
    /// [`LedgerError`] of the storage.
    fn checkpoint(&self) -> Result<Note, LedgerError>;

    /// Inclusion proof of a leaf in the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`LedgerError::Range`] unless `index < size <= ` the present size.
    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Digest>, LedgerError>;

    /// Consistency proof between the trees of the first `old` and the first `new` leaves.
    ///
    /// # Errors
    /// [`LedgerError::Range`] unless `old <= new <= ` the present size.
    fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, LedgerError>;

    /// The bytes of a tile or entry bundle.
    ///
    /// # Errors
    /// [`LedgerError::Tile`] when the tree does not fill it yet.
    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, LedgerError>;
}

/// The origin line of a consortium's log.
#[must_use]
pub fn log_origin(consortium: &str) -> String {
    format!("ward/{consortium}/log")
}

/// The name under which a hospital cosigns.
#[must_use]
pub fn cosigner_name(consortium: &str, hospital: &str) -> String {
    format!("ward/{consortium}/hospital/{hospital}")
}

/// Why the ledger refuses, or a proof does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// An index or size outside the tree.
    #[error("index or size {index} is outside a tree of {size} leaves")]
    Range {
        /// The index or smaller size.
        index: u64,
        /// The size.
        size: u64,
    },
    /// A proof does not hold.
    #[error("the {what} proof does not hold")]
    Proof {
        /// `inclusion` or `consistency`.
        what: &'static str,
    },
    /// A note or checkpoint is malformed.
    #[error("signed note refused: {reason}")]
    Note {
        /// What is malformed.
        reason: &'static str,
    },
    /// A signature that should be there is not.
    #[error("the note is not signed by {name}")]
    Unsigned {
        /// The key's name.
        name: String,
    },
    /// A signature does not verify.
    #[error("the signature of {name} on the note does not verify")]
    Signature {
        /// The key's name.
        name: String,
    },
    /// Another log.
    #[error("checkpoint of another log {origin:?}")]
    Origin {
        /// Its origin, cut.
        origin: String,
    },
    /// The log shrank.
    #[error("the log shrank: {seen} leaves were seen, {presented} are presented")]
    Rollback {
        /// Size seen before.
        seen: u64,
        /// Size presented.
        presented: u64,
    },
    /// The log forked.
    #[error("the log forked: the tree of {presented} leaves does not continue the one of {seen} seen before")]
    Fork {
        /// Size seen before.
        seen: u64,
        /// Size presented.
        presented: u64,
    },
    /// No such tile.
    #[error("no tile {path:?}")]
    Tile {
        /// Its path, cut.
        path: String,
    },
    /// The storage under it.
    #[error("the log's storage failed: {reason}")]
    Storage {
        /// What it says.
        reason: String,
    },
}

impl LedgerError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Range { .. } => "ledger.range",
            Self::Proof { .. } => "ledger.proof",
            Self::Note { .. } => "ledger.note",
            Self::Unsigned { .. } => "ledger.unsigned",
            Self::Signature { .. } => "ledger.signature",
            Self::Origin { .. } => "ledger.origin",
            Self::Rollback { .. } => "ledger.rollback",
            Self::Fork { .. } => "ledger.fork",
            Self::Tile { .. } => "ledger.tile",
            Self::Storage { .. } => "ledger.storage",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Rollback { .. } | Self::Fork { .. } => Some(
                "the operator's log contradicts itself: keep both checkpoints and tell the other hospitals",
            ),
            _ => None,
        }
    }
}
