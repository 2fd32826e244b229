//! Heads of audit chains in the log: who keeps a chain has its head logged from time to time, and a chain that was cut
//! short or written anew since does not hold against what the log has.
//!
//! Parties: a hospital (or the engine, for its own chain) and the engine. Input: number and hash of the chain's last
//! event, signed by the chain's owner. Output: a [`AuditCheckpoint`], which verifies offline. Adversary: whoever holds
//! the chain's file, and its key, after the checkpoint was made; the engine may be malicious but for the owner's key. An
//! engine that forks its log is found out by the hospitals that cosign it ([`super::Witness`]), not here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::note::Checkpoint;
use super::proof_text::TlogProof;
use super::receipt::{RECEIPT_BYTES_MAX, ReceiptError, decode};
use crate::audit::AuditError;
use crate::identity::{CaCertificate, Canonical, Digest, PublicKey, Role, Signature};

/// Context of the owner's signature over a head.
pub const AUDIT_HEAD: &str = "ward/v1/audit-head";

/// The head of a chain at some time. The leaf in the log is its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// The consortium.
    pub consortium: String,
    /// Whose chain: a hospital's name, or `engine`.
    pub owner: String,
    /// The key that signs the chain.
    pub key: PublicKey,
    /// Number of its last event.
    pub count: u64,
    /// Hash of its last event.
    pub head: Digest,
    /// When it was looked at (unix milliseconds), by the owner's clock.
    pub at_ms: u64,
}

impl AuditHead {
    /// What the log keeps.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Canonical::new("audit-head/1")
            .text(&self.consortium)
            .text(&self.owner)
            .bytes(self.key.as_bytes())
            .number(self.count)
            .bytes(&self.head.0)
            .number(self.at_ms)
            .digest()
    }
}

/// A head, and the proof that the log has it. Not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCheckpoint {
    /// Version of this file form: 1.
    pub ward_audit_checkpoint: u32,
    /// The head.
    pub head: AuditHead,
    /// The owner's signature over the head's digest, hexadecimal.
    pub signature: String,
    /// c2sp.org/tlog-proof text; its entry is the head's digest.
    pub proof: String,
    /// The engine's certificate (DER in base64): its key signs the log.
    pub engine: String,
}

/// A head that the log has. Only [`AuditCheckpoint::verify`] makes one.
#[derive(Clone, Debug)]
pub struct LoggedHead {
    head: AuditHead,
    position: (u64, u64),
}

impl AuditCheckpoint {
    /// Puts a checkpoint together.
    #[must_use]
    pub fn new(head: AuditHead, signature: &Signature, proof: &TlogProof, engine: &[u8]) -> Self {
        Self {
            ward_audit_checkpoint: 1,
            head,
            signature: hex::encode(signature.0),
            proof: proof.to_text(),
            engine: STANDARD.encode(engine),
        }
    }

    /// Reads the JSON file.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] or [`ReceiptError::Version`].
    pub fn from_json(json: &[u8]) -> Result<Self, ReceiptError> {
        let malformed = |reason: String| ReceiptError::Malformed { reason };
        if json.len() > RECEIPT_BYTES_MAX {
            return Err(malformed(format!("{} bytes, at most {RECEIPT_BYTES_MAX}", json.len())));
        }
        let checkpoint: Self = serde_json::from_slice(json).map_err(|e| malformed(e.to_string()))?;
        match checkpoint.ward_audit_checkpoint {
            1 => Ok(checkpoint),
            found => Err(ReceiptError::Version { found, known: 1 }),
        }
    }

    /// Verifies offline that the owner of the chain had this head, and that the log of the consortium has it: the engine's
    /// certificate is the authority's and held at that time, its key signed the log, the inclusion proof holds.
    ///
    /// # Errors
    /// [`ReceiptError`] naming the first thing that does not hold.
    pub fn verify(&self, authority: &CaCertificate) -> Result<LoggedHead, ReceiptError> {
        let at_s = i64::try_from(self.head.at_ms / 1000).unwrap_or(i64::MAX);
        let engine = authority.verify(&decode(&self.engine)?, at_s)?;
        if engine.role != Role::Engine {
            return Err(ReceiptError::Untrusted { signer: "engine".to_owned() });
        }
        let digest = self.head.digest();
        let unsigned = || ReceiptError::Untrusted { signer: self.head.owner.clone() };
        let signature = hex::decode(&self.signature).ok().and_then(|bytes| Signature::from_slice(&bytes));
        let signature = signature.ok_or_else(unsigned)?;
        self.head.key.verify(AUDIT_HEAD, &[&digest.0], &signature).map_err(|_| unsigned())?;
        let proof = TlogProof::parse(&self.proof)?;
        proof.verify(&digest, &self.head.consortium, &engine.key)?;
        let size = Checkpoint::parse(proof.checkpoint.text())?.head.size;
        Ok(LoggedHead { head: self.head.clone(), position: (proof.index, size) })
    }
}

impl LoggedHead {
    /// The head.
    #[must_use]
    pub fn head(&self) -> &AuditHead {
        &self.head
    }

    /// Index of the leaf, and size of the tree it was shown in.
    #[must_use]
    pub fn position(&self) -> (u64, u64) {
        self.position
    }

    /// Holds a chain that verified under `key` against the head: `count` events, of which the one of the head's number
    /// has the hash `found`.
    ///
    /// # Errors
    /// [`AuditError::Rewritten`] for a chain of another key or with another event there, [`AuditError::Truncated`] for a
    /// shorter one.
    pub fn check(&self, key: &PublicKey, count: u64, found: Option<Digest>) -> Result<(), AuditError> {
        let logged = self.head.count;
        if count < logged {
            return Err(AuditError::Truncated { found: count, logged });
        }
        let is_same = *key == self.head.key && (logged == 0 || found == Some(self.head.head));
        if is_same { Ok(()) } else { Err(AuditError::Rewritten { seq: logged }) }
    }
}
