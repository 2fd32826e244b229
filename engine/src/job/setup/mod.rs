//! The ceremony that makes the proof system's keys, as the engine coordinates it.
//!
//! What happened is a list of rows ([`crate::setup::course`]); a worker reads it, does what comes next, and gives its lease
//! back where nothing is to be done but wait: a hospital's contribution or the operator's beacon wakes it. Everything that
//! the engine computes is public, and is computed on a folder as a hospital would (`setup::steps`).
//!
//! # Security
//! Against malicious hospitals: a contribution enters the transcript after it verified, or not at all. The engine need not
//! be trusted with anything but going on; the hospitals verify it.

mod submit;
mod view;
mod workshop;

pub use submit::{FILE_BYTES_MAX, NewSetup, Offered};

use super::work::{End, Work, job_event};
use super::{Engine, audit_event};
use crate::audit::Event;
use crate::clock::now_ms;
use crate::encoding::{Digest, canonical_json};
use crate::ledger::{SetupPhase, SetupRecord};
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::{Course, Next, SetupSpec, Step};
use crate::store::{Conclusion, JobId, JobState, Lease, NewSetupRow, SetupRow, StoreError, blocking};
use workshop::Workshop;

/// What happened in a ceremony, with the times, in order.
type Steps = Vec<(u64, Step)>;

impl Engine {
    /// What happened in a ceremony so far.
    async fn setup_steps(&self, job: &JobId) -> Result<Steps, Problem> {
        let id = job.clone();
        let rows = blocking(&self.store, move |s| s.setup_rows(&id)).await?;
        rows.into_iter()
            .map(|row| {
                let step = serde_json::from_str(&row.step).map_err(|e| Problem::internal(&e))?;
                Ok((row.at_ms, step))
            })
            .collect()
    }

    /// Adds a row. With a lease it is the worker's; without it is a member's, who is the audit event's actor.
    async fn add_setup_step(
        &self,
        (job, lease): (&JobId, Option<&Lease>),
        after: usize,
        step: &Step,
        audit: Event,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(step);
        let json = json.map_err(|e| StoreError::Corrupt { what: "step", reason: e.to_string() })?;
        let row = SetupRow { at_ms: now_ms(), step: json };
        let (party, name, detail) = told(step);
        let event = job_event(party, name, &detail);
        let (job, lease) = (job.clone(), lease.cloned());
        blocking(&self.store, move |s| {
            let new = NewSetupRow {
                job: &job,
                lease: lease.as_ref(),
                after,
                row: &row,
                event: &event,
                audit: &audit,
            };
            s.add_setup_row(&new)
        })
        .await?;
        self.progress.notify_waiters();
        self.wake.notify_one();
        Ok(())
    }
}

/// A step as an event says it.
fn told(step: &Step) -> (Option<&str>, &'static str, String) {
    match step {
        Step::Begun { .. } => (None, "begun", "a phase began".to_owned()),
        Step::Offered { hospital, hash, .. } => (Some(hospital), "offered", format!("contribution {hash}")),
        Step::Accepted => (None, "accepted", "the contribution verifies".to_owned()),
        Step::Refused { problem } => (None, "refused", format!("{} [{}]", problem.message, problem.code)),
        Step::Passed { hospital } => (Some(hospital), "passed", "the turn passed on".to_owned()),
        Step::Beacon { by, .. } => (None, "beacon", format!("given by {by}")),
        Step::Closed { .. } => (None, "closed", "a phase is closed".to_owned()),
        Step::Finished { key, .. } => (None, "finished", format!("key {key}")),
    }
}

/// Goes on with a leased ceremony until it waits for somebody, or ends.
///
/// # Errors
/// Too few contributors, the deadline, storage, a lost lease.
pub async fn run(work: &Work) -> Result<(), Problem> {
    let spec: SetupSpec = serde_json::from_str(&work.job().plan).map_err(|e| Problem::internal(&e))?;
    let mut state = super::scheduler::begin(work).await?;
    let job = work.lease().job.clone();
    loop {
        let steps = work.engine().setup_steps(&job).await?;
        let course = Course::of(&spec, steps.iter().cloned());
        let now = now_ms();
        let step = match course.next(now) {
            Next::Turn { until_ms, .. } => return rest(work, steps.len(), until_ms).await,
            Next::Beacon { .. } => return rest(work, steps.len(), u64::MAX).await,
            Next::Few { found } => return Err(few(found, &spec)),
            Next::End => break,
            Next::Pass { hospital } => Step::Passed { hospital },
            next => {
                if state == JobState::Waiting && next == Next::Finish {
                    work.advance(state, JobState::Running).await?;
                    state = JobState::Running;
                }
                Workshop::new(work.engine(), &spec, &course)?.step(next).await?
            }
        };
        let mut audit = audit_event("scheduler", "engine", "setup.step", &format!("job:{job}"));
        audit.detail = told(&step).1.to_owned();
        match work.engine().add_setup_step((&job, Some(work.lease())), steps.len(), &step, audit).await {
            // A member was faster: look again.
            Err(StoreError::Conflict { .. }) => {}
            other => other?,
        }
    }
    finish(work, &spec, state).await
}

fn few(found: usize, spec: &SetupSpec) -> Problem {
    let message = format!("{found} hospitals contributed, {} are required", spec.at_least);
    Problem::new(ProblemKind::Unavailable, "setup.contributors", message)
        .hint("start another ceremony, with longer turns or with other hospitals")
}

/// Waits without holding the job.
async fn rest(work: &Work, seen: usize, until_ms: u64) -> Result<(), Problem> {
    work.check_deadline("contributors, or the beacon")?;
    let until = until_ms.min(work.job().summary.deadline_ms);
    let lease = work.lease().clone();
    Ok(blocking(&work.engine().store, move |s| s.rest_setup(&lease, seen, until)).await?)
}

/// Ends the job: the record becomes a leaf of the log.
async fn finish(work: &Work, spec: &SetupSpec, state: JobState) -> Result<(), Problem> {
    if matches!(state, JobState::Waiting) {
        work.advance(state, JobState::Running).await?;
    }
    if state != JobState::Committing {
        work.advance(JobState::Running, JobState::Committing).await?;
    }
    let job = work.lease().job.clone();
    let steps = work.engine().setup_steps(&job).await?;
    let course = Course::of(spec, steps);
    let Some((key, verifying, proving)) = course.keys else {
        return Err(Problem::internal(&"a ceremony ends without its keys"));
    };
    let record = SetupRecord {
        version: 1,
        consortium: spec.consortium.clone(),
        job_id: work.id().to_owned(),
        operator: spec.operator.clone(),
        name: spec.name.clone(),
        statement: spec.statement.clone(),
        size: spec.size,
        request_digest: work.job().summary.request_digest,
        phases: course
            .phases
            .iter()
            .zip(&spec.beacons)
            .map(|(phase, beacon)| SetupPhase {
                transcript: phase.files.map(|files| files.transcript.digest).unwrap_or(Digest([0; 32])),
                contributions: phase.contributed.clone(),
                beacon: beacon.source.clone(),
            })
            .collect(),
        key,
        verifying_key: verifying.digest,
        proving_key: proving.digest,
        software: format!("ward {}", env!("CARGO_PKG_VERSION")),
        finished_at_ms: now_ms(),
    };
    let result = work.engine().write_blob(canonical_json(&record)).await?;
    work.engine().blobs.drop_partials(&job);
    let conclusion =
        Conclusion { code: "ok".to_owned(), message: format!("key {key}"), rule: None, result: Some(result) };
    let end = End { conclusion, commitment: Some(record.digest()), registrations: Vec::new() };
    Ok(work.end(JobState::Committing, JobState::Done, end).await?)
}

/// Throws away what was sent and is of no use any more.
pub fn abandon(work: &Work) {
    work.engine().blobs.drop_partials(&work.lease().job);
}
