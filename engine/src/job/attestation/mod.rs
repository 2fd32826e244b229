//! Attestations as jobs: verified, one or a batch, and registered once for each patient of a study.
//!
//! The job has no hospitals: it verifies with the engine's key and the operator's registry of issuers, and ends in one
//! transaction that counts the patients, appends their attestations and the job's record to the log, and marks it done.
//! What is refused stands in the record with its code; the job is done all the same.
//!
//! # Security
//! Against malicious provers and submitters: a patient counts once in a study whatever is sent, in whatever order. The
//! submitter of an attestation is one whom the operator named for its audience. A witness is refused before it is kept.

mod submit;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ward_circuits::field;

pub use submit::{ITEMS_MAX, REQUESTS_MAX, SUBMISSION_BYTES_MAX, Submission, Terms};
pub use view::VerdictView;

use super::work::{End, Work};
use super::{Engine, audit_event};
use crate::attestation::documents::{DOCUMENT_BYTES_MAX, RegistryFile};
use crate::attestation::file::Attestation;
use crate::attestation::keys::VerifierKey;
use crate::attestation::request::Request;
use crate::attestation::verify::{Audience, Expected, Rules, VerifiedAttestation, Verifier};
use crate::attestation::{AttestationError, read_file, system_rng};
use crate::clock::now_ms;
use crate::config::AttestationsConfig;
use crate::encoding::{Digest, canonical_json};
use crate::ledger::{RecordItem, RegistrationRecord};
use crate::problem::{Problem, ProblemKind};
use crate::store::{Conclusion, JobState, Message, NewRegistration, StoreError, blocking};

/// Attestations that are verified between two events.
const CHUNK: usize = 128;

/// A submission as the job keeps it. Its canonical JSON is the job's request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// 1.
    pub version: u32,
    /// The consortium.
    pub consortium: String,
    /// Who submitted.
    pub submitter: String,
    /// Requests that the attestations must answer; none for any in one of the submitter's names.
    pub requests: Vec<Request>,
    /// The attestations.
    pub items: Vec<Item>,
    /// Their files, one after the other: a blob.
    pub body: Digest,
    /// SHA-256 of the registry of issuers at submission, canonical and without what was stated of it: with other issuers it
    /// is another job.
    pub registry: Digest,
    /// Id of the key.
    pub key: Digest,
    /// Counts up when the same submission failed or was cancelled before.
    pub attempt: u32,
}

/// One attestation of a submission.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Bytes of its file; 0 when it is none.
    pub bytes: u64,
    /// Why it is none.
    pub problem: Option<Problem>,
}

/// The verifier as it is configured now.
struct Bench {
    verifier: Verifier,
    registry: Digest,
}

impl Bench {
    /// Reads the key, and the registry unless its issuers published to the log. Blocks.
    fn load(
        config: &AttestationsConfig,
        published: Option<RegistryFile>,
        expected: Expected,
    ) -> Result<Self, AttestationError> {
        let key = VerifierKey::load(&config.key, config.development_key)?;
        let file = match (published, &config.registry) {
            (Some(published), _) => published,
            (None, Some(path)) => RegistryFile::from_json(&read_file(path, DOCUMENT_BYTES_MAX as u64)?)?,
            (None, None) => RegistryFile::new(Vec::new(), Vec::new()),
        };
        let registry = file.open()?;
        // What the engine states of it has a time: another statement is no other registry.
        let bytes = canonical_json(&RegistryFile { published: None, ..file });
        let rules = Rules {
            expected,
            evaluated_days_max: config.evaluated_days_max,
            revocations_days_max: config.revocations_days_max,
            log: None,
        };
        Ok(Self { verifier: Verifier { key, registry, rules }, registry: Digest::of(&bytes) })
    }
}

/// The names for which a member may register.
fn audiences(config: &AttestationsConfig, member: &str) -> Vec<Audience> {
    let named = config.audience.iter().filter(|audience| audience.members.iter().any(|name| name == member));
    named.map(|a| Audience { name: a.name.clone(), chain_id: a.chain_id }).collect()
}

impl Engine {
    fn registrar(&self) -> Result<&AttestationsConfig, Problem> {
        self.attestations.as_ref().ok_or_else(|| {
            let message = "this engine registers no attestations";
            Problem::new(ProblemKind::Unavailable, "attest.not_offered", message)
                .hint("its operator sets [attestations] in engine.toml: docs/reference/config.md")
        })
    }

    /// What goes to the chain with an attestation that is registered here.
    #[cfg(feature = "evm")]
    fn for_chain(&self, attestation: &Attestation) -> Result<Option<Message>, Problem> {
        self.chain.as_ref().map_or(Ok(None), |chain| crate::anchoring::registration(chain, attestation))
    }

    /// Nothing: this build talks to no chain.
    #[cfg(not(feature = "evm"))]
    fn for_chain(&self, _: &Attestation) -> Result<Option<Message>, Problem> {
        Ok(None)
    }

    async fn bench(&self, expected: Expected) -> Result<Bench, Problem> {
        let config = self.registrar()?.clone();
        // A file that is missing or damaged, or an issuer that never published, is the operator's affair.
        let not_ready = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "attestations cannot be verified");
            Problem::new(
                ProblemKind::Unavailable,
                "attest.not_ready",
                "the engine's key or registry does not load",
            )
            .hint("its operator finds the cause in the engine's log")
        };
        let published = match config.issuers.is_empty() {
            true => None,
            false => Some(self.published_registry(&config.issuers).await.map_err(|e| not_ready(&e))?),
        };
        let loaded = tokio::task::spawn_blocking(move || Bench::load(&config, published, expected)).await;
        loaded.map_err(|e| Problem::internal(&e))?.map_err(|error| not_ready(&error))
    }
}

/// Runs a leased job to its end.
///
/// # Errors
/// The engine's configuration, storage, a lost lease.
pub async fn run(work: &Work) -> Result<(), Problem> {
    let spec: Spec = serde_json::from_str(&work.job().plan).map_err(|e| Problem::internal(&e))?;
    let mut state = super::scheduler::begin(work).await?;
    if state == JobState::Waiting {
        work.advance(state, JobState::Running).await?;
        state = JobState::Running;
    }
    let expected = Expected::OneOf {
        requests: spec.requests.clone(),
        audiences: audiences(work.engine().registrar()?, &spec.submitter),
    };
    let bench = work.engine().bench(expected).await?;
    let issuers = Digest(field::to_bytes(&bench.verifier.registry.root()));
    let answers = verify(work, &spec, bench.verifier).await?;
    if state == JobState::Running {
        work.advance(state, JobState::Committing).await?;
    }
    // Another job may count one of the patients between the look and the transaction, which then changes nothing.
    loop {
        work.check_deadline("its turn")?;
        let (items, registrations) = decide(work, &spec, &answers).await?;
        match commit(work, &spec, (issuers, items), registrations).await {
            Err(problem) if problem.code == "store.conflict" => {}
            ended => return ended,
        }
    }
}

/// What holds with the file that it was, or why it does not.
type Answer = Result<(VerifiedAttestation, Attestation), Problem>;

/// Verifies all, in chunks: the answers are in the order of the items.
async fn verify(work: &Work, spec: &Spec, verifier: Verifier) -> Result<Vec<Answer>, Problem> {
    let body = work.engine().read_blob(spec.body).await?;
    let verifier = Arc::new(verifier);
    let mut rest = body.as_slice();
    let mut answers = Vec::with_capacity(spec.items.len());
    for items in spec.items.chunks(CHUNK) {
        let mut read = Vec::with_capacity(items.len());
        for item in items {
            let (file, tail) = usize::try_from(item.bytes)
                .ok()
                .and_then(|bytes| rest.split_at_checked(bytes))
                .ok_or_else(|| Problem::internal(&"a kept submission is too short"))?;
            rest = tail;
            read.push(match &item.problem {
                Some(problem) => Err(problem.clone()),
                None => Attestation::from_json(file).map_err(Problem::from),
            });
        }
        let bench = verifier.clone();
        let checked = tokio::task::spawn_blocking(move || answers_of(&bench, read)).await;
        answers.extend(checked.map_err(|e| Problem::internal(&e))??);
        work.event(None, "verified", &format!("{} of {}", answers.len(), spec.items.len())).await?;
    }
    Ok(answers)
}

fn answers_of(verifier: &Verifier, read: Vec<Result<Attestation, Problem>>) -> Result<Vec<Answer>, Problem> {
    let attestations: Vec<Attestation> = read.iter().filter_map(|item| item.as_ref().ok().cloned()).collect();
    let mut verified = verifier.verify_batch(&attestations, now_ms(), &mut system_rng()?).into_iter();
    let next = |item: Result<Attestation, Problem>| {
        let attestation = item?;
        let answer = verified.next().ok_or_else(|| Problem::internal(&"an attestation without an answer"))?;
        Ok((answer?, attestation))
    };
    Ok(read.into_iter().map(next).collect())
}

/// Which are registered now, and why the others are not.
async fn decide(
    work: &Work,
    spec: &Spec,
    answers: &[Answer],
) -> Result<(Vec<RecordItem>, Vec<NewRegistration>), Problem> {
    let mut items = Vec::with_capacity(answers.len());
    let mut new: HashMap<(String, Digest), Digest> = HashMap::new();
    let mut registrations = Vec::new();
    for answer in answers {
        let (verified, attestation) = match answer {
            Ok(answer) => answer,
            Err(problem) => {
                items.push(RecordItem::refused(problem.clone()));
                continue;
            }
        };
        let count = verified.count(now_ms());
        let cell = (count.study.clone(), count.nullifier);
        let there = match new.get(&cell) {
            Some(attestation) => Some(*attestation),
            None => {
                let (study, nullifier) = cell.clone();
                let found =
                    blocking(&work.engine().store, move |s| s.registration(&study, &nullifier)).await?;
                found.map(|registration| registration.attestation)
            }
        };
        let problem = match there {
            None => None,
            Some(attestation) if attestation == count.attestation => Some(AttestationError::Replay),
            Some(_) => Some(AttestationError::DoubleCount),
        };
        if problem.is_none() {
            new.insert(cell, count.attestation);
            let subject = format!("attestation:{}", count.attestation);
            let mut audit = audit_event(&spec.submitter, "member", "attestation.register", &subject);
            audit.detail = format!("job {}", work.id());
            audit.context.study.clone_from(&count.study);
            registrations.push(NewRegistration {
                study: count.study.clone(),
                nullifier: count.nullifier,
                attestation: count.attestation,
                audit,
                message: work.engine().for_chain(attestation)?,
            });
        }
        items.push(RecordItem {
            attestation: Some(count.attestation),
            study: count.study,
            nullifier: Some(count.nullifier),
            problem: problem.map(Problem::from),
        });
    }
    Ok((items, registrations))
}

/// Ends the job: record, leaves, counts and audit events, together or not at all.
async fn commit(
    work: &Work,
    spec: &Spec,
    (issuers, items): (Digest, Vec<RecordItem>),
    registrations: Vec<NewRegistration>,
) -> Result<(), Problem> {
    let (registered, all) = (registrations.len(), items.len());
    let record = RegistrationRecord {
        version: 1,
        consortium: spec.consortium.clone(),
        job_id: work.id().to_owned(),
        submitter: spec.submitter.clone(),
        request_digest: work.job().summary.request_digest,
        key: spec.key,
        issuers,
        items,
        software: format!("ward {}", env!("CARGO_PKG_VERSION")),
        finished_at_ms: now_ms(),
    };
    let result = work.engine().write_blob(canonical_json(&record)).await?;
    let conclusion = Conclusion {
        code: "ok".to_owned(),
        message: format!("{registered} of {all} registered"),
        rule: None,
        result: Some(result),
    };
    let end = End { conclusion, commitment: Some(record.digest()), registrations };
    work.end(JobState::Committing, JobState::Done, end).await.map_err(|error| match error {
        StoreError::Conflict { what: "registration", .. } => {
            Problem::new(ProblemKind::Conflict, "store.conflict", error.to_string())
        }
        other => other.into(),
    })
}
