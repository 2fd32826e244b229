//! The verifier's side, offline: the proof first, then whether it is for this verifier, in time, under issuers that it
//! accepts, and not under revocations that have been overtaken.
//!
//! # Security
//! Against a malicious prover and whoever carried the file. The verifier's own key, registry and clock are trusted.

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use ward_circuits::Verified;
use ward_circuits::criteria::Date;
use ward_circuits::eligibility::{Eligibility, Public};
use ward_circuits::field;
use ward_circuits::groth16::{KeyId, VerifyError};

use super::documents::{Entry, Registry};
use super::error::AttestationError;
use super::file::Attestation;
use super::keys::VerifierKey;
use super::nullifiers::{Count, Nullifiers};
use super::request::Request;
use crate::encoding::Digest;
use crate::identity::{PublicKey, clip};
use crate::ledger::{LedgerError, TlogProof};

/// How far two clocks may differ, in milliseconds.
const SKEW_MS: u64 = 300_000;
const DAY_MS: u64 = 86_400_000;

/// Whose answer this has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An answer to this request.
    Request(Box<Request>),
    /// An answer to any request in this name.
    Audience {
        /// The name.
        audience: String,
        /// The chain, 0 for none.
        chain_id: u64,
    },
    /// An answer to one of these requests, or, when there is none, to any request in one of these names.
    OneOf {
        /// The requests.
        requests: Vec<Request>,
        /// The names.
        audiences: Vec<Audience>,
    },
}

/// A name that proofs are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// The name.
    pub name: String,
    /// The chain, 0 for none.
    pub chain_id: u64,
}

/// How old things may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whose answer this has to be.
    pub expected: Expected,
    /// Most days between the evaluation of the criteria and today.
    pub evaluated_days_max: u32,
    /// Most days since the issuers' revocations were published.
    pub revocations_days_max: u32,
    /// The log in which the attestation has to be: the consortium and its log's key.
    pub log: Option<(String, PublicKey)>,
}

/// Days for which an evaluation is accepted unless the verifier says otherwise.
pub const EVALUATED_DAYS: u32 = 7;
/// Days for which revocations are accepted unless the verifier says otherwise.
pub const REVOCATIONS_DAYS: u32 = 7;

/// A verifier.
pub struct Verifier {
    /// The circuit's key.
    pub key: VerifierKey,
    /// The issuers it accepts.
    pub registry: Registry,
    /// How old things may be.
    pub rules: Rules,
}

/// An attestation that holds and is fresh. Only a [`Verifier`] makes one.
#[derive(Debug)]
pub struct VerifiedAttestation {
    token: Verified<Eligibility>,
    request: Request,
    evaluated: Date,
    digest: Digest,
    logged: bool,
}

impl VerifiedAttestation {
    /// The public side of the statement.
    #[must_use]
    pub fn public(&self) -> &Public {
        self.token.public()
    }

    /// What was asked.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The day for which the criteria were evaluated.
    #[must_use]
    pub fn evaluated(&self) -> Date {
        self.evaluated
    }

    /// The patient in this study.
    #[must_use]
    pub fn nullifier(&self) -> Digest {
        Digest(field::to_bytes(&self.public().nullifier.0))
    }

    /// What is registered and logged of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether it was shown to be in the log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.logged
    }

    /// The patient, to be counted.
    #[must_use]
    pub fn count(&self, now_ms: u64) -> Count {
        let study = self.request.study.clone();
        Count { study, nullifier: self.nullifier(), attestation: self.digest, counted_unix_ms: now_ms }
    }
}

impl Verifier {
    /// Verifies one attestation.
    ///
    /// # Errors
    /// [`AttestationError`] naming the first thing that does not hold.
    pub fn verify(
        &self,
        attestation: &Attestation,
        now_ms: u64,
    ) -> Result<VerifiedAttestation, AttestationError> {
        self.check_key(attestation)?;
        let public = attestation.public()?;
        let token = self.key.key.verify(public, &attestation.presented()).map_err(refused)?;
        let logged = self.check_freshness(attestation, now_ms)?;
        verified(attestation, token, logged)
    }

    /// Verifies many at once; the answers are in the order of the attestations.
    pub fn verify_batch(
        &self,
        attestations: &[Attestation],
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Vec<Result<VerifiedAttestation, AttestationError>> {
        // What is refused for another reason does not enter the batch.
        let before = |attestation: &Attestation| {
            self.check_key(attestation)?;
            Ok((attestation.public()?, self.check_freshness(attestation, now_ms)?))
        };
        let checked: Vec<Result<(Public, bool), AttestationError>> =
            attestations.iter().map(before).collect();
        let together: Vec<_> = attestations
            .iter()
            .zip(&checked)
            .filter_map(|(attestation, checked)| {
                Some((checked.as_ref().ok()?.0.clone(), attestation.presented()))
            })
            .collect();
        match self.key.key.verify_batch(together, rng) {
            Ok(tokens) => {
                let mut tokens = tokens.into_iter();
                let answer = |(attestation, checked): (&Attestation, Result<(Public, bool), _>)| {
                    let (_, logged) = checked?;
                    let token = tokens.next().ok_or(AttestationError::Proof(VerifyError::Equation))?;
                    verified(attestation, token, logged)
                };
                attestations.iter().zip(checked).map(answer).collect()
            }
            // One of them is false: each is looked at alone.
            Err(_) => attestations.iter().map(|attestation| self.verify(attestation, now_ms)).collect(),
        }
    }

    fn check_key(&self, attestation: &Attestation) -> Result<(), AttestationError> {
        let (expected, found) = (self.key.key.id(), KeyId(attestation.key.0));
        if expected == found { Ok(()) } else { Err(AttestationError::Key { expected, found }) }
    }

    /// Everything but the proof. Gives whether the log has it.
    fn check_freshness(&self, attestation: &Attestation, now_ms: u64) -> Result<bool, AttestationError> {
        self.check_request(&attestation.request)?;
        if now_ms >= attestation.request.expires_unix_ms {
            return Err(AttestationError::Expired { at_ms: attestation.request.expires_unix_ms });
        }
        self.check_date(attestation.date()?, now_ms)?;
        self.check_issuers(attestation, now_ms)?;
        let Some((consortium, log)) = &self.rules.log else { return Ok(false) };
        let missing = LedgerError::Note { reason: "the attestation carries no proof of the log" };
        let text = attestation.tlog_proof.as_ref().ok_or(AttestationError::Log(missing))?;
        let proof = TlogProof::parse(text).map_err(AttestationError::Log)?;
        proof.verify(&attestation.digest(), consortium, log).map_err(AttestationError::Log)?;
        Ok(true)
    }

    fn check_request(&self, found: &Request) -> Result<(), AttestationError> {
        let (audience, chain_id) = match &self.rules.expected {
            Expected::Request(request) => (&request.audience, request.chain_id),
            Expected::Audience { audience, chain_id } => (audience, *chain_id),
            Expected::OneOf { requests, audiences } => return check_one_of(found, requests, audiences),
        };
        if found.audience != *audience {
            let (expected, found) = (clip(audience), clip(&found.audience));
            return Err(AttestationError::Audience { expected, found });
        }
        if found.chain_id != chain_id {
            return Err(AttestationError::Chain { expected: chain_id, found: found.chain_id });
        }
        match &self.rules.expected {
            Expected::Request(request) if **request != *found => Err(AttestationError::Request),
            _ => Ok(()),
        }
    }

    fn check_date(&self, evaluated: Date, now_ms: u64) -> Result<(), AttestationError> {
        let day =
            |ms| Date::from_unix_ms(ms).ok_or_else(|| AttestationError::malformed("a clock", "after 2199"));
        let (today, latest) = (day(now_ms)?, day(now_ms.saturating_add(SKEW_MS))?);
        if evaluated > latest {
            return Err(AttestationError::Future { evaluated, today });
        }
        let earliest = today.minus_days(u64::from(self.rules.evaluated_days_max)).unwrap_or(Date::FIRST);
        if evaluated < earliest { Err(AttestationError::Stale { evaluated, earliest }) } else { Ok(()) }
    }

    /// Under issuers that are accepted here, with revocations that have not been overtaken.
    fn check_issuers(&self, attestation: &Attestation, now_ms: u64) -> Result<(), AttestationError> {
        if field::to_bytes(&self.registry.root()) == attestation.issuers.0 {
            return self.registry.entries().iter().try_for_each(|entry| self.check_age(entry, entry, now_ms));
        }
        // Another root: its documents say why. They count only as far as they are of issuers known here.
        let theirs = attestation.registry.as_ref().ok_or(AttestationError::UnknownIssuer)?.open()?;
        if field::to_bytes(&theirs.root()) != attestation.issuers.0 {
            return Err(AttestationError::UnknownIssuer);
        }
        let mut overtaken = Vec::new();
        for entry in theirs.entries() {
            let is_same = |own: &&Entry| own.issuer == entry.issuer;
            let own = self.registry.entries().iter().find(is_same).ok_or(AttestationError::UnknownIssuer)?;
            let known: BTreeSet<&u32> = entry.revocations.revoked.iter().collect();
            if own.revocations.revoked.iter().any(|place| !known.contains(place)) {
                overtaken.push(entry.issuer.name.clone());
            }
            self.check_age(entry, own, now_ms)?;
        }
        if overtaken.is_empty() {
            Ok(())
        } else {
            Err(AttestationError::RevokedSince { issuers: overtaken.join(", ") })
        }
    }

    /// The later of two publications of an issuer must not be too old.
    fn check_age(&self, theirs: &Entry, own: &Entry, now_ms: u64) -> Result<(), AttestationError> {
        let issued_ms = theirs.revocations.issued_unix_ms.max(own.revocations.issued_unix_ms);
        let age_ms_max = u64::from(self.rules.revocations_days_max) * DAY_MS;
        if now_ms.saturating_sub(issued_ms) > age_ms_max {
            return Err(AttestationError::RevocationsStale { issuer: own.issuer.name.clone(), issued_ms });
        }
        Ok(())
    }
}

/// One of the names, and one of the requests if there are any.
fn check_one_of(
    found: &Request,
    requests: &[Request],
    audiences: &[Audience],
) -> Result<(), AttestationError> {
    let named: Vec<&Audience> = audiences.iter().filter(|audience| audience.name == found.audience).collect();
    let Some(first) = named.first() else {
        let names: Vec<&str> = audiences.iter().map(|audience| audience.name.as_str()).collect();
        return Err(AttestationError::Audience {
            expected: clip(&names.join(" or ")),
            found: clip(&found.audience),
        });
    };
    if named.iter().all(|audience| audience.chain_id != found.chain_id) {
        return Err(AttestationError::Chain { expected: first.chain_id, found: found.chain_id });
    }
    if !requests.is_empty() && !requests.contains(found) {
        return Err(AttestationError::Request);
    }
    Ok(())
}

fn refused(error: VerifyError) -> AttestationError {
    match error {
        VerifyError::Key { expected, found } => AttestationError::Key { expected, found },
        other => AttestationError::Proof(other),
    }
}

fn verified(
    attestation: &Attestation,
    token: Verified<Eligibility>,
    logged: bool,
) -> Result<VerifiedAttestation, AttestationError> {
    let (request, evaluated) = (attestation.request.clone(), attestation.date()?);
    Ok(VerifiedAttestation { token, request, evaluated, digest: attestation.digest(), logged })
}

/// Counts what was verified; what cannot be counted becomes a refusal in its place.
///
/// # Errors
/// [`AttestationError::File`] when the registry of nullifiers cannot be used; nothing was counted then.
pub fn count_all(
    answers: &mut [Result<VerifiedAttestation, AttestationError>],
    registry: &mut dyn Nullifiers,
    now_ms: u64,
) -> Result<(), AttestationError> {
    loop {
        let held = answers.iter().enumerate().filter_map(|(at, answer)| Some((at, answer.as_ref().ok()?)));
        let (places, counts): (Vec<usize>, Vec<Count>) =
            held.map(|(at, verified)| (at, verified.count(now_ms))).unzip();
        match registry.count(&counts) {
            Ok(()) => return Ok(()),
            Err((index, error @ (AttestationError::Replay | AttestationError::DoubleCount))) => {
                let place = places.get(index).copied().ok_or(AttestationError::Replay)?;
                answers[place] = Err(error);
            }
            Err((_, error)) => return Err(error),
        }
    }
}
