//! The record of a ceremony that made the proof system's keys, and the receipt that shows it offline.
//!
//! Only [`SetupReceipt::verify`] makes a [`VerifiedSetup`]. It says who the engine says took part; that the keys are those of
//! the transcripts is for `ward setup verify` on the ceremony's files. Adversary: whoever carried the file.

use serde::{Deserialize, Serialize};

use super::logged::Logged;
use super::proof_text::TlogProof;
use super::receipt::{RECEIPT_BYTES_MAX, ReceiptError};
use crate::encoding::{canonical_json, separated};
use crate::identity::{CaCertificate, Digest};
use crate::setup::course::Contributed;

/// A phase of a ceremony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupPhase {
    /// SHA-256 of the transcript's file.
    pub transcript: Digest,
    /// Who contributed, in order, each with the hash that it signed.
    pub contributions: Vec<Contributed>,
    /// The beacon, as it was announced.
    pub beacon: String,
}

/// What a ceremony is answerable for. Digests are SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupRecord {
    /// 1.
    pub version: u32,
    /// The consortium.
    pub consortium: String,
    /// The job.
    pub job_id: String,
    /// Who started it.
    pub operator: String,
    /// Its name.
    pub name: String,
    /// The statement.
    pub statement: String,
    /// Logarithm of the size.
    pub size: u8,
    /// Of what was announced at its start.
    pub request_digest: Digest,
    /// The two phases.
    pub phases: Vec<SetupPhase>,
    /// Id of the keys.
    pub key: Digest,
    /// Of the verifying key's file.
    pub verifying_key: Digest,
    /// Of the proving key's file.
    pub proving_key: Digest,
    /// Version of the software.
    pub software: String,
    /// When the job ended (unix milliseconds).
    pub finished_at_ms: u64,
}

impl SetupRecord {
    /// The digest that becomes the job's leaf.
    #[must_use]
    pub fn digest(&self) -> Digest {
        separated("setup-record/1", &[&canonical_json(self)])
    }
}

/// A receipt of a ceremony, not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupReceipt {
    /// Version of this file form: 1.
    pub ward_setup_receipt: u32,
    /// What the job is answerable for.
    pub record: SetupRecord,
    /// Where it stands in the log.
    pub log: Logged,
}

/// A receipt that holds. Only [`SetupReceipt::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedSetup {
    record: SetupRecord,
    position: (u64, u64),
}

impl SetupReceipt {
    /// Puts a receipt together.
    #[must_use]
    pub fn new(record: SetupRecord, proof: &TlogProof, certificate: &[u8], authority: &[u8]) -> Self {
        Self { ward_setup_receipt: 1, record, log: Logged::new(proof, certificate, authority) }
    }

    /// Whether a file says that it is one.
    #[must_use]
    pub fn is_one(json: &[u8]) -> bool {
        let value: Option<serde_json::Value> = serde_json::from_slice(json).ok();
        value.is_some_and(|value| value.get("ward_setup_receipt").is_some())
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
        if receipt.ward_setup_receipt != 1 || receipt.record.version != 1 {
            let found = receipt.ward_setup_receipt.max(receipt.record.version);
            return Err(ReceiptError::Version { found, known: 1 });
        }
        receipt.log.check()?;
        Ok(receipt)
    }

    /// The JSON file, for people to read too.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] when it cannot be written.
    pub fn to_json(&self) -> Result<String, ReceiptError> {
        serde_json::to_string_pretty(self).map_err(|e| ReceiptError::Malformed { reason: e.to_string() })
    }

    /// Verifies the receipt offline: [`Logged::verify`].
    ///
    /// # Errors
    /// [`ReceiptError`] naming the first thing that does not hold.
    pub fn verify(&self, authority: &CaCertificate) -> Result<VerifiedSetup, ReceiptError> {
        let record = &self.record;
        let what = (&record.digest(), record.consortium.as_str());
        let (position, _) = self.log.verify(what, record.finished_at_ms, authority)?;
        Ok(VerifiedSetup { record: record.clone(), position })
    }
}

impl VerifiedSetup {
    /// What the job is answerable for.
    #[must_use]
    pub fn record(&self) -> &SetupRecord {
        &self.record
    }

    /// Index of the leaf, and size of the tree it was shown in.
    #[must_use]
    pub fn position(&self) -> (u64, u64) {
        self.position
    }
}
