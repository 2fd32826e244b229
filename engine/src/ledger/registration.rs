//! The record of a job that registered attestations, and the receipt that shows it offline.
//!
//! Only [`RegistrationReceipt::verify`] makes a [`VerifiedRegistration`]. Adversary: whoever carried the file; the engine
//! signs the log alone, so against an engine that forks its log, compare checkpoints with the hospitals'.

use serde::{Deserialize, Serialize};

use super::logged::Logged;
use super::merkle::PROOF_HASHES_MAX;
use super::proof_text::TlogProof;
use super::receipt::{RECEIPT_BYTES_MAX, ReceiptAnchor, ReceiptError, check_anchors};
use crate::encoding::{canonical_json, separated};
use crate::identity::{CaCertificate, Digest, PublicKey};
use crate::problem::Problem;

/// What became of one attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordItem {
    /// Its digest; none for what was no attestation, or did not hold.
    pub attestation: Option<Digest>,
    /// The study; empty without an attestation.
    pub study: String,
    /// The patient in it.
    pub nullifier: Option<Digest>,
    /// Why it was not registered; none when it was.
    pub problem: Option<Problem>,
}

impl RecordItem {
    /// One that does not hold.
    #[must_use]
    pub fn refused(problem: Problem) -> Self {
        Self { attestation: None, study: String::new(), nullifier: None, problem: Some(problem) }
    }
}

/// What a job that registered attestations is answerable for. Digests are SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationRecord {
    /// 1.
    pub version: u32,
    /// The consortium.
    pub consortium: String,
    /// The job.
    pub job_id: String,
    /// Who submitted.
    pub submitter: String,
    /// Of the submission.
    pub request_digest: Digest,
    /// Id of the key that verified.
    pub key: Digest,
    /// Root of the issuers and their revocations by which was verified.
    pub issuers: Digest,
    /// What became of each.
    pub items: Vec<RecordItem>,
    /// Version of the software.
    pub software: String,
    /// When the job ended (unix milliseconds).
    pub finished_at_ms: u64,
}

impl RegistrationRecord {
    /// The digest that becomes the job's leaf.
    #[must_use]
    pub fn digest(&self) -> Digest {
        separated("registration-record/1", &[&canonical_json(self)])
    }

    /// How many were registered.
    #[must_use]
    pub fn registered(&self) -> usize {
        self.items.iter().filter(|item| item.problem.is_none()).count()
    }
}

/// A receipt of a registration, not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationReceipt {
    /// Version of this file form: 1.
    pub ward_registration_receipt: u32,
    /// What the job is answerable for.
    pub record: RegistrationRecord,
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

/// A receipt that holds. Only [`RegistrationReceipt::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedRegistration {
    record: RegistrationRecord,
    position: (u64, u64),
    engine: PublicKey,
}

impl RegistrationReceipt {
    /// Puts a receipt together.
    #[must_use]
    pub fn new(record: RegistrationRecord, proof: &TlogProof, certificate: &[u8], authority: &[u8]) -> Self {
        let logged = Logged::new(proof, certificate, authority);
        Self {
            ward_registration_receipt: 1,
            record,
            leaf_index: logged.leaf_index,
            inclusion_proof: logged.inclusion_proof,
            checkpoint: logged.checkpoint,
            certificate: logged.certificate,
            authority: logged.authority,
            anchors: logged.anchors,
        }
    }

    /// Whether a file says that it is one.
    #[must_use]
    pub fn is_one(json: &[u8]) -> bool {
        let value: Option<serde_json::Value> = serde_json::from_slice(json).ok();
        value.is_some_and(|value| value.get("ward_registration_receipt").is_some())
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
        let receipt: Self = serde_json::from_slice(json).map_err(|e| malformed(e.to_string()))?;
        if receipt.ward_registration_receipt != 1 || receipt.record.version != 1 {
            let found = receipt.ward_registration_receipt.max(receipt.record.version);
            return Err(ReceiptError::Version { found, known: 1 });
        }
        if receipt.inclusion_proof.len() > PROOF_HASHES_MAX {
            return Err(malformed("too many hashes".to_owned()));
        }
        check_anchors(&receipt.anchors)?;
        Ok(receipt)
    }

    /// The JSON file, for people to read too.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] when it is too large to be read again.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        let malformed = |reason: String| ReceiptError::Malformed { reason };
        let json = serde_json::to_string_pretty(self).map_err(|e| malformed(e.to_string()))?;
        if json.len() > RECEIPT_BYTES_MAX {
            return Err(malformed(format!("{} bytes, at most {RECEIPT_BYTES_MAX}", json.len())));
        }
        Ok(json)
    }

    /// Verifies the receipt offline: the engine was certified by this authority when the job ended, its signature is
    /// under the checkpoint, and the record is in the tree.
    ///
    /// # Errors
    /// [`ReceiptError`] naming the first thing that does not hold.
    pub fn verify(&self, authority: &CaCertificate) -> Result<VerifiedRegistration, ReceiptError> {
        let logged = Logged {
            leaf_index: self.leaf_index,
            inclusion_proof: self.inclusion_proof.clone(),
            checkpoint: self.checkpoint.clone(),
            certificate: self.certificate.clone(),
            authority: self.authority.clone(),
            anchors: Vec::new(),
        };
        let what = (&self.record.digest(), self.record.consortium.as_str());
        let (position, engine) = logged.verify(what, self.record.finished_at_ms, authority)?;
        Ok(VerifiedRegistration { record: self.record.clone(), position, engine })
    }
}

impl VerifiedRegistration {
    /// What the job is answerable for.
    #[must_use]
    pub fn record(&self) -> &RegistrationRecord {
        &self.record
    }

    /// Index of the leaf, and size of the tree it was shown in.
    #[must_use]
    pub fn position(&self) -> (u64, u64) {
        self.position
    }

    /// The engine's key.
    #[must_use]
    pub fn engine(&self) -> &PublicKey {
        &self.engine
    }
}
