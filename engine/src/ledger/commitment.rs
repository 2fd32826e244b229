//! What a result commits to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::receipt::ReceiptError;
use crate::consent::Purpose;
use crate::identity::{Canonical, Digest, check_name};
use crate::proofs::Proofs;

/// Version of the commitment's canonical bytes.
pub const COMMITMENT_VERSION: u32 = 1;
const HOSPITALS_MAX: usize = 1024;
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Everything that a finished job is answerable for. Digests are SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// [`COMMITMENT_VERSION`].
    pub version: u32,
    /// The consortium.
    pub consortium: String,
    /// The job.
    pub job_id: String,
    /// Canonical text of the query.
    pub query: String,
    /// Of the signed request.
    pub request_digest: Digest,
    /// Of the plan.
    pub plan_digest: Digest,
    /// Fingerprint of the researcher's key.
    pub researcher: Digest,
    /// Dataset version by hospital that took part.
    pub dataset_versions: BTreeMap<String, String>,
    /// Hospitals that took part, by name.
    pub participants: Vec<String>,
    /// Epoch of the collective key.
    pub key_epoch: String,
    /// Of the protocol's parameters.
    pub protocol_digest: Digest,
    /// Of the policy in force, by hospital that took part.
    pub policy_digests: BTreeMap<String, Digest>,
    /// Floor k of the consortium in force.
    pub floor: u32,
    /// Version of the software that computed.
    pub software: String,
    /// Of the sealed result.
    pub result_digest: Digest,
    /// Of the encrypted contribution, by hospital that took part.
    pub contribution_digests: BTreeMap<String, Digest>,
    /// What the answer is for, as the researcher declared it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Root of the consents under which rows were read, by hospital that asks for consent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub consent_roots: BTreeMap<String, Digest>,
    /// What every hospital rounded its counts to; 0 for exact ones.
    #[serde(default, skip_serializing_if = "crate::query::answer::is_zero")]
    pub rounding: u32,
    /// When the job finished (unix milliseconds).
    pub finished_at_ms: u64,
    /// Of the study that it was asked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<Digest>,
    /// What every participant proved of its contribution, where the query asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proofs: Option<Proofs>,
}

impl Commitment {
    /// Checks that it agrees with itself: the version, the names, participants in order and once each, and one
    /// dataset version, policy and contribution for every participant and nobody else.
    ///
    /// # Errors
    /// [`ReceiptError::Commitment`] naming the rule.
    pub fn check(&self) -> Result<(), ReceiptError> {
        let refuse = |reason: &str| Err(ReceiptError::Commitment { reason: reason.to_owned() });
        if self.version != COMMITMENT_VERSION {
            return Err(ReceiptError::Version { found: self.version, known: COMMITMENT_VERSION });
        }
        if check_name(&self.consortium).is_err() || self.participants.iter().any(|p| check_name(p).is_err()) {
            return refuse("a name is malformed");
        }
        if self.participants.is_empty() || self.participants.len() > HOSPITALS_MAX {
            return refuse("no participants, or too many");
        }
        if !self.participants.is_sorted_by(|a, b| a < b) {
            return refuse("participants are not in order, once each");
        }
        let same = |names: &mut dyn Iterator<Item = &String>| names.eq(self.participants.iter());
        if !same(&mut self.dataset_versions.keys())
            || !same(&mut self.policy_digests.keys())
            || !same(&mut self.contribution_digests.keys())
        {
            return refuse("dataset versions, policies or contributions are not those of the participants");
        }
        if let Some(proofs) = &self.proofs {
            if !same(&mut proofs.contributions.keys()) {
                return refuse("proofs are not those of the participants");
            }
            proofs.check().map_err(|e| ReceiptError::Commitment { reason: e.to_string() })?;
        }
        if self.consent_roots.keys().any(|name| !self.participants.contains(name)) {
            return refuse("consent roots of hospitals that did not take part");
        }
        let texts = [&self.job_id, &self.query, &self.key_epoch, &self.software];
        if texts.iter().any(|t| t.is_empty() || t.len() > TEXT_BYTES_MAX) {
            return refuse("a text is empty or too long");
        }
        Ok(())
    }

    /// The canonical bytes, field by field in the order of the type; purpose, consent roots, study, rounding and
    /// proofs come last, and only where there are any.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        self.canonical().finish()
    }

    /// The digest that becomes the log's leaf.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.canonical().digest()
    }

    fn canonical(&self) -> Canonical {
        let digests = |c: Canonical, map: &BTreeMap<String, Digest>| {
            c.each(map.iter(), |c, (name, digest)| c.text(name).bytes(&digest.0))
        };
        let head = Canonical::new("result-commitment/1")
            .number(u64::from(self.version))
            .text(&self.consortium)
            .text(&self.job_id)
            .text(&self.query)
            .bytes(&self.request_digest.0)
            .bytes(&self.plan_digest.0)
            .bytes(&self.researcher.0)
            .each(self.dataset_versions.iter(), |c, (name, version)| c.text(name).text(version))
            .each(self.participants.iter(), |c, name| c.text(name))
            .text(&self.key_epoch)
            .bytes(&self.protocol_digest.0);
        let middle = digests(head, &self.policy_digests)
            .number(u64::from(self.floor))
            .text(&self.software)
            .bytes(&self.result_digest.0);
        let whole = digests(middle, &self.contribution_digests).number(self.finished_at_ms);
        let whole = if self.purpose.is_none() && self.consent_roots.is_empty() {
            whole
        } else {
            let purpose = self.purpose.map(|purpose| purpose.to_string());
            digests(whole.text("consent/1").optional(purpose.as_deref()), &self.consent_roots)
        };
        let whole = match &self.study {
            None => whole,
            Some(study) => whole.text("study/1").bytes(&study.0),
        };
        let whole = match self.rounding {
            0 => whole,
            base => whole.text("rounding/1").number(u64::from(base)),
        };
        match &self.proofs {
            None => whole,
            Some(proofs) => proofs.bind(whole),
        }
    }
}
