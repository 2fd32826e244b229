//! Submitting attestations: what is no attestation is not kept, a witness least of all.

use super::super::submit::TIME_LIMIT_MS_MAX;
use super::{Item, Spec, audiences};
use crate::attestation::file::{ATTESTATION_BYTES_MAX, Attestation};
use crate::attestation::request::Request;
use crate::attestation::verify::{Audience, Expected};
use crate::attestation::{AttestationError, door};
use crate::clock::now_ms;
use crate::encoding::{Digest, canonical_json};
use crate::identity::{Principal, clip, random};
use crate::job::Engine;
use crate::problem::{Problem, ProblemKind};
use crate::store::{Job, JobId, JobKind, JobState, NewJob};

/// Attestations of one submission.
pub const ITEMS_MAX: usize = 1024;
/// Bytes of one submission.
pub const SUBMISSION_BYTES_MAX: usize = 64 << 20;
/// Requests of one submission.
pub const REQUESTS_MAX: usize = 64;
/// How often the same submission is queued again after it failed or was cancelled.
const ATTEMPTS_MAX: u32 = 100;

/// What a member submits.
#[derive(Debug, Default)]
pub struct Submission {
    /// Requests (JSON) that must be answered; none for any in one of the member's names.
    pub requests: Vec<Vec<u8>>,
    /// Files of attestations.
    pub items: Vec<Vec<u8>>,
    /// Limit of the job, milliseconds.
    pub time_limit_ms: u64,
}

/// By what this engine verifies, for a member.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Id of the key.
    pub key: Digest,
    /// One party made it alone.
    pub is_development: bool,
    /// Root of the issuers and their revocations.
    pub issuers: Digest,
    /// Names for which the member may register.
    pub audiences: Vec<String>,
}

impl Engine {
    /// By what attestations are verified here, for this member.
    ///
    /// # Errors
    /// `attest.not_offered`, `attest.not_ready`.
    pub async fn attestation_terms(&self, member: &Principal) -> Result<Terms, Problem> {
        let allowed = audiences(self.registrar()?, &member.name);
        let names = allowed.iter().map(|audience| audience.name.clone()).collect();
        let bench = self.bench(Expected::OneOf { requests: Vec::new(), audiences: allowed }).await?;
        Ok(Terms {
            key: Digest(bench.verifier.key.key.id().0),
            is_development: bench.verifier.key.is_development,
            issuers: Digest(ward_circuits::field::to_bytes(&bench.verifier.registry.root())),
            audiences: names,
        })
    }

    /// Queues attestations. The same again is the same job, unless that failed or was cancelled.
    ///
    /// # Errors
    /// `attest.not_offered`; `attest.audience` for a member whom the operator named for no audience; `attest.witness`
    /// when a credential, a wallet or a record is among them: nothing of the submission is kept then.
    pub async fn submit_attestations(
        &self,
        member: &Principal,
        submission: Submission,
    ) -> Result<Job, Problem> {
        let allowed = audiences(self.registrar()?, &member.name);
        let requests = requests(&submission.requests, &allowed)?;
        let (items, body) = open(&submission.items)?;
        let bench = self.bench(Expected::OneOf { requests: Vec::new(), audiences: allowed }).await?;
        let mut spec = Spec {
            version: 1,
            consortium: self.consortium.clone(),
            submitter: member.name.clone(),
            requests,
            items,
            body: Digest::of(&body),
            registry: bench.registry,
            key: Digest(bench.verifier.key.key.id().0),
            attempt: 0,
        };
        self.write_blob(body).await?;
        let limit_ms = submission.time_limit_ms.clamp(1_000, TIME_LIMIT_MS_MAX);
        loop {
            let job = self.queue_attestations(&spec, limit_ms).await?;
            let over =
                matches!(job.summary.state, JobState::Failed | JobState::Refused | JobState::Cancelled);
            if !over || spec.attempt >= ATTEMPTS_MAX {
                return Ok(job);
            }
            spec.attempt += 1;
        }
    }

    async fn queue_attestations(&self, spec: &Spec, limit_ms: u64) -> Result<Job, Problem> {
        let now = now_ms();
        let id = JobId::new(now, random::<10>().map_err(|e| Problem::internal(&e))?);
        let job = NewJob::of_request(
            (id, JobKind::Attestation),
            &spec.submitter,
            canonical_json(spec),
            (now, limit_ms),
        );
        self.queue(job.map_err(|e| Problem::internal(&e))?).await
    }
}

fn malformed(message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, "attest.submission", message)
}

/// The requests, each in a name that the member may register for.
fn requests(files: &[Vec<u8>], allowed: &[Audience]) -> Result<Vec<Request>, Problem> {
    let refuse = |message: String| {
        Problem::new(ProblemKind::Authorization, "attest.audience", message)
            .hint("the operator names the members of an audience in engine.toml")
    };
    if allowed.is_empty() {
        return Err(refuse("you may register attestations for no audience".to_owned()));
    }
    if files.len() > REQUESTS_MAX {
        return Err(malformed(format!("{} requests, at most {REQUESTS_MAX}", files.len())));
    }
    let read = |file: &Vec<u8>| {
        let request = Request::from_json(file)?;
        let known = allowed.iter().any(|a| a.name == request.audience && a.chain_id == request.chain_id);
        if known { Ok(request) } else { Err(refuse(format!("{:?} is not yours", clip(&request.audience)))) }
    };
    files.iter().map(read).collect()
}

/// The items, and the files that are kept of them: without the log's proof, so that a file that got one is the same.
fn open(files: &[Vec<u8>]) -> Result<(Vec<Item>, Vec<u8>), Problem> {
    if files.is_empty() || files.len() > ITEMS_MAX {
        return Err(malformed(format!("{} attestations, 1 to {ITEMS_MAX} at once", files.len())));
    }
    let total: usize = files.iter().map(Vec::len).sum();
    if total > SUBMISSION_BYTES_MAX || files.iter().any(|file| file.len() > ATTESTATION_BYTES_MAX) {
        return Err(malformed(format!("{total} bytes, at most {SUBMISSION_BYTES_MAX} together")));
    }
    let (mut items, mut body) = (Vec::with_capacity(files.len()), Vec::new());
    for file in files {
        match door::attestation(file) {
            Ok(attestation) => {
                let kept = canonical_json(&Attestation { tlog_proof: None, ..attestation });
                items.push(Item { bytes: kept.len() as u64, problem: None });
                body.extend_from_slice(&kept);
            }
            Err(error @ AttestationError::Witness { .. }) => return Err(error.into()),
            Err(error) => items.push(Item { bytes: 0, problem: Some(error.into()) }),
        }
    }
    Ok((items, body))
}
