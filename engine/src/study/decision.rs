//! Words on a study: a hospital's, under its node's key; and an administrator's, which the node counts before it speaks.

use serde::{Deserialize, Serialize};

use super::Study;
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::{CaCertificate, Identity, PublicKey, Role, Signature};
use crate::problem::{Problem, ProblemKind};

/// Context of a hospital's signature.
const DECISION: &str = "ward/v1/study-decision";
/// Context of an administrator's signature.
const COSIGNATURE: &str = "ward/v1/study-cosignature";

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StudyVerdict {
    /// Its jobs may run here.
    Approved,
    /// They may not.
    Denied,
    /// They may not any more; running ones stop before their next step.
    Withdrawn,
}

impl StudyVerdict {
    /// The text in the store and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A hospital's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The study's id.
    pub study: String,
    /// The study's digest: the word is on these very terms.
    pub digest: Digest,
    /// The hospital.
    pub hospital: String,
    /// What it says.
    pub verdict: StudyVerdict,
    /// Administrators whose words it rests on; empty where the hospital's policy asks for none.
    pub by: Vec<String>,
    /// Why; may be empty.
    pub reason: String,
    /// When (unix milliseconds).
    pub at_unix_ms: u64,
}

/// A hospital's word with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedDecision {
    /// The word.
    pub decision: Decision,
    /// The hospital's certificate, DER.
    pub certificate: HexBytes,
    /// Ed25519 under context `ward/v1/study-decision` over the word's canonical JSON.
    pub signature: HexBytes,
}

/// An administrator's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoSignature {
    /// The study's digest.
    pub digest: Digest,
    /// The hospital for which it is said.
    pub hospital: String,
    /// What is said.
    pub verdict: StudyVerdict,
    /// The administrator, as the hospital's policy names it.
    pub admin: String,
    /// When (unix milliseconds).
    pub at_unix_ms: u64,
    /// Ed25519 under context `ward/v1/study-cosignature` over digest, hospital, verdict, administrator and time.
    pub signature: HexBytes,
}

fn forged(message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Authorization, "study.signature", message)
}

impl Decision {
    /// Signs it with the hospital's key.
    #[must_use]
    pub fn sign(self, identity: &Identity, certificate: &[u8]) -> SignedDecision {
        let signature = identity.sign(DECISION, &[&canonical_json(&self)]);
        SignedDecision {
            certificate: HexBytes(certificate.to_vec()),
            signature: HexBytes(signature.0.to_vec()),
            decision: self,
        }
    }
}

impl SignedDecision {
    /// Checks it: the word of that hospital, under a certificate of the consortium, on that study.
    ///
    /// # Errors
    /// `study.signature` naming what does not hold.
    pub fn verify(&self, study: &Study, authority: &CaCertificate, now_s: i64) -> Result<(), Problem> {
        let member =
            authority.verify(&self.certificate.0, now_s).map_err(|error| forged(error.to_string()))?;
        let decision = &self.decision;
        if member.role != Role::Hospital || member.name != decision.hospital {
            return Err(forged(format!("the certificate is not the one of {}", decision.hospital)));
        }
        if decision.study != study.id || decision.digest != study.digest() {
            return Err(forged("the word is on another study"));
        }
        if !study.hospitals.contains(&decision.hospital) {
            return Err(forged(format!("the study does not ask {}", decision.hospital)));
        }
        let signature =
            Signature::from_slice(&self.signature.0).ok_or_else(|| forged("the signature is malformed"))?;
        let signed = canonical_json(decision);
        member.key.verify(DECISION, &[&signed], &signature).map_err(|error| forged(error.to_string()))
    }
}

impl CoSignature {
    fn parts(&self) -> Vec<Vec<u8>> {
        vec![
            self.digest.0.to_vec(),
            self.hospital.as_bytes().to_vec(),
            self.verdict.as_str().as_bytes().to_vec(),
            self.admin.as_bytes().to_vec(),
            self.at_unix_ms.to_be_bytes().to_vec(),
        ]
    }

    /// Says it.
    #[must_use]
    pub fn sign(
        (digest, hospital): (Digest, &str),
        verdict: StudyVerdict,
        admin: &str,
        (identity, at_unix_ms): (&Identity, u64),
    ) -> Self {
        let signature = HexBytes::default();
        let (hospital, admin) = (hospital.to_owned(), admin.to_owned());
        let mut word = Self { digest, hospital, verdict, admin, at_unix_ms, signature };
        let parts = word.parts();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        word.signature = HexBytes(identity.sign(COSIGNATURE, &parts).0.to_vec());
        word
    }

    /// Checks the signature under a key.
    ///
    /// # Errors
    /// `study.signature`.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Problem> {
        let signature =
            Signature::from_slice(&self.signature.0).ok_or_else(|| forged("the signature is malformed"))?;
        let parts = self.parts();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        key.verify(COSIGNATURE, &parts, &signature)
            .map_err(|_| forged(format!("the word of {} is not under the key pinned here", self.admin)))
    }
}
