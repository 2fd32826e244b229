//! What a sponsor asks: criteria, study, audience, until when. A proof is made for one request, and is of no use for
//! another: the request's digest goes into the proof's context.

use serde::{Deserialize, Serialize};
use ward_circuits::criteria::{Criteria, Schema};
use ward_circuits::eligibility::{Context, StudyId};

use super::error::AttestationError;
use crate::encoding::{Digest, HexBytes, canonical_json, separated};
use crate::identity::random;

/// Largest request read, in bytes.
pub const REQUEST_BYTES_MAX: usize = 1 << 16;
/// Longest name of a study or audience, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// A request. Its canonical JSON is what is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Version of this form: 1.
    pub ward_request: u32,
    /// The study, unique in the consortium: its name goes into the nullifier.
    pub study: String,
    /// Who asks, and alone may use the answer (`https://sponsor.example`).
    pub audience: String,
    /// The criteria, canonical.
    pub criteria: String,
    /// Id of the schema they are about.
    pub schema: Digest,
    /// The chain on which the answer will be used; 0 for none.
    pub chain_id: u64,
    /// 128 random bits.
    pub nonce: HexBytes,
    /// Until when the answer is accepted (unix milliseconds).
    pub expires_unix_ms: u64,
}

impl Request {
    /// A request with a fresh nonce.
    ///
    /// # Errors
    /// [`AttestationError::Criteria`], and what [`Request::check`] refuses.
    pub fn new(
        criteria: &str,
        (study, audience): (&str, &str),
        chain_id: u64,
        expires_unix_ms: u64,
    ) -> Result<Self, AttestationError> {
        let schema = Schema::v1();
        let request = Self {
            ward_request: 1,
            study: study.to_owned(),
            audience: audience.to_owned(),
            criteria: Criteria::parse(criteria, &schema)?.to_string(),
            schema: Digest(schema.id().0),
            chain_id,
            nonce: HexBytes(random::<16>()?.to_vec()),
            expires_unix_ms,
        };
        request.check()?;
        Ok(request)
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`AttestationError::Malformed`], and what [`Request::check`] refuses.
    pub fn from_json(json: &[u8]) -> Result<Self, AttestationError> {
        if json.len() > REQUEST_BYTES_MAX {
            return Err(AttestationError::malformed("a request", "too large"));
        }
        let request: Self =
            serde_json::from_slice(json).map_err(|e| AttestationError::malformed("a request", e))?;
        request.check()?;
        Ok(request)
    }

    /// Checks that it is one that can be answered, and gives its criteria.
    ///
    /// # Errors
    /// Another version or schema, a name that is empty or too long, criteria that are not canonical.
    pub fn check(&self) -> Result<Criteria, AttestationError> {
        if self.ward_request != 1 {
            return Err(AttestationError::Version { what: "a request", found: self.ward_request, known: 1 });
        }
        let schema = Schema::v1();
        if self.schema.0 != schema.id().0 {
            return Err(AttestationError::Schema { found: self.schema.to_string() });
        }
        let is_name = |text: &str| {
            !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
        };
        if !is_name(&self.study) || !is_name(&self.audience) || self.nonce.0.len() != 16 {
            let reason = format!("study and audience have 1 to {NAME_BYTES_MAX} bytes, the nonce has 16");
            return Err(AttestationError::malformed("a request", reason));
        }
        let criteria = Criteria::parse(&self.criteria, &schema)?;
        if criteria.to_string() != self.criteria {
            return Err(AttestationError::NotCanonical);
        }
        Ok(criteria)
    }

    /// The digest of its canonical JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        separated("attestation/request/1", &[&canonical_json(self)])
    }

    /// What a proof is made for: the request as nonce, its audience, its chain.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new(&self.digest().0, &self.audience, self.chain_id)
    }

    /// The study in the circuit.
    #[must_use]
    pub fn study_id(&self) -> StudyId {
        StudyId::of(&self.study)
    }
}
