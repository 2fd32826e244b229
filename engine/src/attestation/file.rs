//! The attestation: one file with everything that a verifier needs beside its own key and registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ward_circuits::criteria::Date;
use ward_circuits::eligibility::{Nullifier, Public};
use ward_circuits::groth16::{KeyId, Presented};

use super::credential::{day, schema_element};
use super::documents::{RegistryFile, element};
use super::error::AttestationError;
use super::request::Request;
use crate::encoding::{Digest, separated};

/// Largest attestation read, in bytes.
pub const ATTESTATION_BYTES_MAX: usize = 8 << 20;
/// The statement.
pub const STATEMENT: &str = "ward/eligibility/1";

/// Bytes as base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// An attestation, not verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Version of this form: 1.
    pub ward_attestation: u32,
    /// The statement that was proved: [`STATEMENT`].
    pub statement: String,
    /// What was asked.
    pub request: Request,
    /// The day for which the criteria were evaluated.
    pub evaluated: String,
    /// Root of the issuers and their revocations.
    pub issuers: Digest,
    /// The patient in this study.
    pub nullifier: Digest,
    /// Id of the key.
    pub key: Digest,
    /// Made with a development key, as the prover says: for people to read. What a verifier relies on is its own key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub development_key: bool,
    /// The public inputs, 32 bytes each.
    pub inputs: Base64,
    /// The proof: 192 bytes.
    pub proof: Base64,
    /// The registry that the prover proved under; for a verifier to compare, never to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryFile>,
    /// Proof that the attestation's digest is in a transparency log (c2sp.org/tlog-proof).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tlog_proof: Option<String>,
}

impl Attestation {
    /// Reads the file.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`], [`AttestationError::Version`].
    pub fn from_json(json: &[u8]) -> Result<Self, AttestationError> {
        if json.len() > ATTESTATION_BYTES_MAX {
            return Err(AttestationError::malformed("an attestation", "too large"));
        }
        let attestation: Self =
            serde_json::from_slice(json).map_err(|e| AttestationError::malformed("an attestation", e))?;
        if attestation.ward_attestation != 1 {
            let found = attestation.ward_attestation;
            return Err(AttestationError::Version { what: "an attestation", found, known: 1 });
        }
        if attestation.statement != STATEMENT {
            return Err(AttestationError::malformed("an attestation", "it is of another statement"));
        }
        Ok(attestation)
    }

    /// The file, for people to read too.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`] when it is too large to be read again.
    pub fn to_json(&self) -> Result<String, AttestationError> {
        let json = serde_json::to_string_pretty(self);
        let json = json.map_err(|e| AttestationError::malformed("an attestation", e))?;
        if json.len() > ATTESTATION_BYTES_MAX {
            return Err(AttestationError::malformed("an attestation", "too large"));
        }
        Ok(json)
    }

    /// The evaluation date.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`].
    pub fn date(&self) -> Result<Date, AttestationError> {
        self.evaluated.parse().map_err(|e| AttestationError::malformed("an attestation", e))
    }

    /// The public side of the statement, worked out anew from what is written in the clear.
    ///
    /// # Errors
    /// What makes the request, the date or the roots none.
    pub fn public(&self) -> Result<Public, AttestationError> {
        let wrong = |reason: &str| AttestationError::malformed("an attestation", reason);
        let date = self.date()?;
        let lowered = self.request.check()?.lower(date);
        let lowered = lowered.map_err(|e| AttestationError::malformed("an attestation", e))?;
        Ok(Public {
            criteria: lowered.criteria().clone(),
            schema: schema_element(),
            study: self.request.study_id(),
            issuers: element(&self.issuers).ok_or_else(|| wrong("its root is no element"))?,
            date: day(date),
            context: self.request.context(),
            nullifier: Nullifier(
                element(&self.nullifier).ok_or_else(|| wrong("its nullifier is no element"))?,
            ),
        })
    }

    /// What is handed to the verifying key.
    #[must_use]
    pub fn presented(&self) -> Presented<'_> {
        Presented { key: KeyId(self.key.0), inputs: &self.inputs.0, proof: &self.proof.0 }
    }

    /// What is logged and registered: of the public inputs and the key, never of the proof's bytes, which anybody can
    /// change into another proof of the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        separated("attestation/1", &[STATEMENT.as_bytes(), &self.key.0, &self.inputs.0])
    }
}
