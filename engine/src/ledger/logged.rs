//! That a record is in the log, as receipts carry it: position, proof, checkpoint, and who signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::merkle::PROOF_HASHES_MAX;
use super::note::{Checkpoint, Note};
use super::proof_text::TlogProof;
use super::receipt::{ReceiptAnchor, ReceiptError, check_anchors};
use crate::identity::{CaCertificate, Digest, PublicKey, Role};

/// Where a record stands in the log, not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logged {
    /// Index of its leaf.
    pub leaf_index: u64,
    /// Inclusion proof, from the leaf's sibling up.
    pub inclusion_proof: Vec<Digest>,
    /// The checkpoint, signed by the engine.
    pub checkpoint: String,
    /// The engine's certificate (DER in base64).
    pub certificate: String,
    /// The authority's certificate (DER in base64); trusted only when it is the one at hand.
    pub authority: String,
    /// Where it is anchored besides, as the engine says; not part of what is verified offline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<ReceiptAnchor>,
}

impl Logged {
    /// Puts it together.
    #[must_use]
    pub fn new(proof: &TlogProof, certificate: &[u8], authority: &[u8]) -> Self {
        Self {
            leaf_index: proof.index,
            inclusion_proof: proof.proof.clone(),
            checkpoint: proof.checkpoint.to_string(),
            certificate: STANDARD.encode(certificate),
            authority: STANDARD.encode(authority),
            anchors: Vec::new(),
        }
    }

    /// Checks what a file may hold.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`].
    pub fn check(&self) -> Result<(), ReceiptError> {
        if self.inclusion_proof.len() > PROOF_HASHES_MAX {
            return Err(ReceiptError::Malformed { reason: "too many hashes".to_owned() });
        }
        check_anchors(&self.anchors)
    }

    /// Verifies offline: the engine was certified by this authority at that time (unix milliseconds), its signature is under
    /// the checkpoint, and the record is in the tree. Returns its index with the tree's size, and the engine's key.
    ///
    /// # Errors
    /// [`ReceiptError`] naming the first thing that does not hold.
    pub fn verify(
        &self,
        (digest, consortium): (&Digest, &str),
        at_ms: u64,
        authority: &CaCertificate,
    ) -> Result<((u64, u64), PublicKey), ReceiptError> {
        let decode = |text: &str| {
            let reason = "a certificate is not base64".to_owned();
            STANDARD.decode(text).map_err(|_| ReceiptError::Malformed { reason })
        };
        if decode(&self.authority)? != authority.der() {
            return Err(ReceiptError::Authority);
        }
        let member = authority.verify(&decode(&self.certificate)?, (at_ms / 1000) as i64)?;
        if member.role != Role::Engine {
            return Err(ReceiptError::Untrusted { signer: "engine".to_owned() });
        }
        let checkpoint = Note::parse(&self.checkpoint)?;
        let size = Checkpoint::parse(checkpoint.text())?.head.size;
        let proof = TlogProof { index: self.leaf_index, proof: self.inclusion_proof.clone(), checkpoint };
        proof.verify(digest, consortium, &member.key)?;
        Ok(((self.leaf_index, size), member.key))
    }
}
