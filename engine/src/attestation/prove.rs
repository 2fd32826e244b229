//! The holder's side: a credential and a request become an attestation, or a reason, before any time is spent.
//!
//! # Security
//! The witness stays in this process. What is refused is told to the caller alone.

use std::path::Path;

use rand_core::CryptoRng;
use serde::Deserialize;
use ward_circuits::criteria::Date;
use ward_circuits::eligibility::{Eligibility, Public, Violation, Witness};
use ward_circuits::groth16::ProveError;
use ward_circuits::statement::ConstrainedStatement;
use ward_circuits::{Statement, field};

use super::credential::{Opened, day, schema_element};
use super::documents::{Registry, RegistryFile};
use super::error::AttestationError;
use super::file::{Attestation, Base64, STATEMENT};
use super::keys::ProverKey;
use super::read_file;
use super::request::Request;
use super::wallet::Wallet;
use crate::encoding::Digest;
use crate::identity::clip;

const POLICY_BYTES_MAX: u64 = 1 << 16;

/// For whom the house lets its clinicians prove. An empty list allows everything of its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Studies that proofs may be made for.
    #[serde(default)]
    pub studies: Vec<String>,
    /// Audiences that proofs may be made for.
    #[serde(default)]
    pub audiences: Vec<String>,
}

/// What a proof is made of, checked: the claim is true.
pub struct Claim {
    request: Request,
    evaluated: Date,
    public: Public,
    witness: Witness,
    registry: RegistryFile,
}

impl Policy {
    /// Reads a policy (TOML).
    ///
    /// # Errors
    /// [`AttestationError::Malformed`].
    pub fn load(path: &Path) -> Result<Self, AttestationError> {
        let bytes = read_file(path, POLICY_BYTES_MAX)?;
        let malformed = |e: &dyn std::fmt::Display| AttestationError::malformed("a policy", e);
        let text = String::from_utf8(bytes).map_err(|e| malformed(&e))?;
        toml::from_str(&text).map_err(|e| malformed(&e))
    }

    /// Whether the request may be answered.
    ///
    /// # Errors
    /// [`AttestationError::Policy`].
    pub fn check(&self, request: &Request) -> Result<(), AttestationError> {
        for (what, allowed, name) in
            [("study", &self.studies, &request.study), ("audience", &self.audiences, &request.audience)]
        {
            if !allowed.is_empty() && !allowed.contains(name) {
                return Err(AttestationError::Policy { what, name: clip(name) });
            }
        }
        Ok(())
    }
}

/// Puts a claim together and checks that it is true, all of it, before any proving time is spent.
///
/// # Errors
/// [`AttestationError::Unmet`] naming the clause that fails; [`AttestationError::Violation`] for the credential;
/// [`AttestationError::Expired`] for the request.
pub fn claim(
    wallet: &Wallet,
    opened: Opened,
    request: &Request,
    registry: &RegistryFile,
    now_ms: u64,
) -> Result<Claim, AttestationError> {
    let criteria = request.check()?;
    if now_ms >= request.expires_unix_ms {
        return Err(AttestationError::Expired { at_ms: request.expires_unix_ms });
    }
    let evaluated =
        Date::from_unix_ms(now_ms).ok_or_else(|| AttestationError::malformed("a clock", "after 2199"))?;
    let lowered = criteria.lower(evaluated).map_err(AttestationError::Unmet)?;
    lowered.check(opened.credential.attributes()).map_err(AttestationError::Unmet)?;
    let documents = registry.open()?;
    let (public, witness) =
        sides(wallet, opened, request, &documents, (evaluated, lowered.criteria().clone()))?;
    Eligibility::check(&public, &witness).map_err(AttestationError::Violation)?;
    Ok(Claim { request: request.clone(), evaluated, public, witness, registry: registry.clone() })
}

fn sides(
    wallet: &Wallet,
    opened: Opened,
    request: &Request,
    registry: &Registry,
    (evaluated, criteria): (Date, ward_circuits::eligibility::Criteria),
) -> Result<(Public, Witness), AttestationError> {
    let credential = opened.credential;
    let (entry, issuer) =
        registry.find(credential.issuer()).ok_or(AttestationError::Violation(Violation::Issuer))?;
    let tree = entry.revocations.list()?.tree();
    if field::to_bytes(&tree.root()) != entry.revocations.root.0 {
        return Err(AttestationError::Document {
            document: "revocations",
            issuer: clip(&entry.issuer.name),
            reason: "its root is not that of its list",
        });
    }
    let study = request.study_id();
    let public = Public {
        criteria,
        schema: schema_element(),
        study,
        issuers: registry.root(),
        date: day(evaluated),
        context: request.context(),
        nullifier: credential.patient().nullifier(&study),
    };
    let status = tree.path(credential.header().index);
    let holder = wallet.secret()?;
    let witness = Witness { credential, holder, revocations: tree.root(), issuer, status };
    Ok((public, witness))
}

impl Claim {
    /// The patient in the study, as the attestation will have it.
    #[must_use]
    pub fn nullifier(&self) -> Digest {
        Digest(field::to_bytes(&self.public.nullifier.0))
    }

    /// Proves the claim.
    ///
    /// # Errors
    /// [`AttestationError::Prove`], [`AttestationError::KeyFile`].
    pub fn prove(&self, key: &ProverKey, rng: &mut impl CryptoRng) -> Result<Attestation, AttestationError> {
        let proving = key.open()?;
        let proof = proving.prove(&self.public, &self.witness, rng).map_err(|error| match error {
            ProveError::Violation(violation) => AttestationError::Violation(violation),
            other => AttestationError::Prove { reason: other.to_string() },
        })?;
        let inputs = Eligibility::public_inputs(&self.public);
        Ok(Attestation {
            ward_attestation: 1,
            statement: STATEMENT.to_owned(),
            request: self.request.clone(),
            evaluated: self.evaluated.to_string(),
            issuers: Digest(field::to_bytes(&self.public.issuers)),
            nullifier: self.nullifier(),
            key: Digest(key.id.0),
            development_key: key.is_development,
            inputs: Base64(inputs.iter().flat_map(field::to_bytes).collect()),
            proof: Base64(proof.to_bytes().to_vec()),
            registry: Some(self.registry.clone()),
            tlog_proof: None,
        })
    }
}
