//! Attestations that were registered, and anchors on chains.

use super::job::{JobId, Message, text_enum};
use crate::audit::Event;
use crate::identity::Digest;

/// A patient counted in a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The study.
    pub study: String,
    /// The patient in it.
    pub nullifier: Digest,
    /// Digest of the attestation: the leaf of the log.
    pub attestation: Digest,
    /// The job that registered it.
    pub job: JobId,
    /// Index of the leaf.
    pub leaf_index: u64,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

/// A registration to be made with a job's end: the row, the leaf, the audit event and the message, or nothing.
#[derive(Clone, Debug)]
pub struct NewRegistration {
    /// The study.
    pub study: String,
    /// The patient in it.
    pub nullifier: Digest,
    /// Digest of the attestation.
    pub attestation: Digest,
    /// For the audit chain.
    pub audit: Event,
    /// For the outbox, where the attestation goes to a chain.
    pub message: Option<Message>,
}

text_enum! {
    /// What a chain has.
    AnchorKind {
        /// A commitment by itself.
        Commitment = "commitment",
        /// A checkpoint of the log.
        Checkpoint = "checkpoint",
        /// An attestation that the chain verified.
        Attestation = "attestation",
    }
}

/// Something of the log on a chain, as deep as was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The chain's id.
    pub chain_id: u64,
    /// The contract's address.
    pub contract: String,
    /// What it is.
    pub kind: AnchorKind,
    /// The commitment, the checkpoint's root, or the attestation's digest.
    pub digest: Digest,
    /// Leaves of the checkpoint's tree; 0 for others.
    pub size: u64,
    /// The block.
    pub block: u64,
    /// The transaction, when it was sent from here.
    pub transaction: Option<Digest>,
    /// When it was seen to be deep enough (unix milliseconds).
    pub at_ms: u64,
}
