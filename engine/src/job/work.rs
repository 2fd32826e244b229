//! A job under a lease: what its steps read and write. A lost lease writes nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Engine;
use super::aggregate::late;
use super::nodes::{Answered, NodeError};
use crate::audit::{Event, Outcome};
use crate::clock::now_ms;
use crate::encoding::Digest;
use crate::party::task::Task;
use crate::problem::Problem;
use crate::store::{
    Conclusion, Job, JobEvent, JobId, JobState, Lease, Message, NewRegistration, PAGE_ROWS_MAX, Part,
    StoreError, Transition, blocking,
};
use crate::trace;

/// How a job ends.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// For people and the record.
    pub conclusion: Conclusion,
    /// Digest of the commitment, which becomes a leaf of the log.
    pub commitment: Option<Digest>,
    /// Attestations that are registered with it.
    pub registrations: Vec<NewRegistration>,
}

/// A number of seconds.
#[must_use]
pub fn later(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A leased job.
#[derive(Clone)]
pub struct Work {
    engine: Arc<Engine>,
    lease: Lease,
    job: Arc<Job>,
}

impl Work {
    /// Takes up a leased job.
    #[must_use]
    pub fn new(engine: Arc<Engine>, lease: Lease, job: Job) -> Self {
        Self { engine, lease, job: Arc::new(job) }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The job as it was when it was leased.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Where it was asked from, in a new span of its trace.
    #[must_use]
    pub fn origin(&self) -> Option<trace::Origin> {
        let parent =
            trace::TraceParent::resumed(&self.job.context.trace).or_else(trace::TraceParent::fresh)?;
        Some(trace::Origin { parent, source: self.job.context.source.clone() })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.lease.job.as_str()
    }

    /// The lease.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// What a party sent for a step (`""` is the engine itself).
    ///
    /// # Errors
    /// Storage.
    pub async fn part(&self, party: &str, step: &str) -> Result<Option<Part>, Problem> {
        let id = self.lease.job.clone();
        let parts = blocking(&self.engine.store, move |s| s.parts(&id)).await?;
        Ok(parts.into_iter().find(|part| part.party == party && part.step == step))
    }

    /// The bytes of a part.
    ///
    /// # Errors
    /// When it is not there, or storage.
    pub async fn part_body(&self, party: &str, step: &str) -> Result<Vec<u8>, Problem> {
        let part = self.part(party, step).await?;
        let part = part.ok_or_else(|| Problem::internal(&format!("part {step} of {party} is gone")))?;
        self.engine.read_blob(part.blob).await
    }

    /// A stored blob by its digest.
    ///
    /// # Errors
    /// Storage.
    pub async fn blob(&self, digest: Digest) -> Result<Vec<u8>, Problem> {
        self.engine.read_blob(digest).await
    }

    /// Keeps what a party sent for a step, before anything is made of it.
    ///
    /// # Errors
    /// A lost lease, another value for the same step, or storage.
    pub async fn put_part(&self, party: &str, step: &str, header: &[u8], body: &[u8]) -> Result<(), Problem> {
        let blob = self.engine.write_blob(body.to_vec()).await?;
        let part = Part {
            job: self.lease.job.clone(),
            party: party.to_owned(),
            step: step.to_owned(),
            attempt: self.job.summary.attempt,
            digest: Digest::of(&[header, body].concat()),
            blob,
            header: header.to_vec(),
        };
        let lease = self.lease.clone();
        blocking(&self.engine.store, move |s| s.put_part(&lease, &part)).await?;
        Ok(())
    }

    /// Notes progress.
    ///
    /// # Errors
    /// A lost lease, or storage.
    pub async fn event(&self, party: Option<&str>, step: &str, detail: &str) -> Result<(), Problem> {
        let event = job_event(party, step, detail);
        let lease = self.lease.clone();
        blocking(&self.engine.store, move |s| s.progress(&lease, &event)).await?;
        self.engine.progress.notify_waiters();
        Ok(())
    }

    /// Notes progress, unless the party's last event says the same.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub async fn event_once(&self, party: &str, step: &str, detail: &str) -> Result<(), Problem> {
        let id = self.lease.job.clone();
        let events = blocking(&self.engine.store, move |s| s.events(&id, 0, PAGE_ROWS_MAX)).await?;
        let last = events.iter().rev().find(|row| row.event.party.as_deref() == Some(party));
        if last.is_some_and(|row| row.event.step == step && row.event.detail == detail) {
            return Ok(());
        }
        self.event(Some(party), step, detail).await
    }

    /// Moves the job.
    ///
    /// # Errors
    /// A lost lease, or storage.
    pub async fn advance(&self, from: JobState, to: JobState) -> Result<(), Problem> {
        Ok(self.transition(from, to, None).await?)
    }

    /// Ends the job.
    ///
    /// # Errors
    /// A lost lease, or storage.
    pub async fn conclude(
        &self,
        from: JobState,
        to: JobState,
        conclusion: Conclusion,
        commitment: Option<Digest>,
    ) -> Result<(), Problem> {
        Ok(self.end(from, to, End { conclusion, commitment, ..End::default() }).await?)
    }

    /// Ends the job, with attestations that are registered, all or none.
    ///
    /// # Errors
    /// As [`crate::store::Jobs::transition`].
    pub async fn end(&self, from: JobState, to: JobState, end: End) -> Result<(), StoreError> {
        self.transition(from, to, Some(end)).await
    }

    async fn transition(&self, from: JobState, to: JobState, end: Option<End>) -> Result<(), StoreError> {
        let code = end.as_ref().map_or(String::new(), |end| end.conclusion.code.clone());
        let event = job_event(None, to.as_str(), &code);
        let audit = Event {
            actor: "scheduler".to_owned(),
            role: "engine".to_owned(),
            action: format!("job.{}", to.as_str()),
            subject: format!("job:{}", self.id()),
            outcome: match to {
                JobState::Refused => Outcome::Refused,
                JobState::Failed => Outcome::Failure,
                _ => Outcome::Success,
            },
            detail: code,
            at_ms: event.at_ms,
            context: self.job.context.clone(),
        };
        let message = message_of(&self.lease.job, to);
        let lease = self.lease.clone();
        blocking(&self.engine.store, move |s| {
            s.transition(&Transition {
                lease: &lease,
                from,
                to,
                event: &event,
                audit: &audit,
                message: &message,
                conclusion: end.as_ref().map(|end| &end.conclusion),
                commitment: end.as_ref().and_then(|end| end.commitment.as_ref()),
                registrations: end.as_ref().map_or(&[], |end| &end.registrations),
            })
        })
        .await?;
        self.engine.progress.notify_waiters();
        Ok(())
    }

    /// Where the job is now.
    ///
    /// # Errors
    /// Storage.
    pub async fn state(&self) -> Result<JobState, Problem> {
        let id = self.lease.job.clone();
        let job = blocking(&self.engine.store, move |s| s.job(&id)).await?;
        job.map(|job| job.summary.state).ok_or_else(|| Problem::internal(&"a leased job is gone"))
    }

    /// Calls several nodes at once; answers come as they arrive, all or after the time limit.
    pub async fn call_all(
        &self,
        nodes: &[String],
        task: &Task,
        body: Arc<Vec<u8>>,
        limit: Duration,
    ) -> Vec<(String, Result<Answered, NodeError>)> {
        let limit = self.within(limit);
        let mut calls = JoinSet::new();
        for node in nodes {
            let (engine, node, task, body) = (self.engine.clone(), node.clone(), task.clone(), body.clone());
            calls.spawn(trace::carried(async move {
                let answer = engine.nodes.call(&node, &task, body, limit).await;
                (node, answer)
            }));
        }
        calls.join_all().await
    }

    /// The limit, or what is left of the job's time where that is less: once it has passed, [`Work::check_deadline`] says so.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Duration {
        limit.min(Duration::from_millis(self.remaining_ms() + 1))
    }

    fn remaining_ms(&self) -> u64 {
        self.job.summary.deadline_ms.saturating_sub(now_ms())
    }

    /// Ends the job when its time is up.
    ///
    /// # Errors
    /// `job.deadline`.
    pub fn check_deadline(&self, waiting_for: &str) -> Result<(), Problem> {
        if self.remaining_ms() == 0 { Err(late(waiting_for)) } else { Ok(()) }
    }

    /// A pause before nodes are asked again.
    pub async fn wait_for_change(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// A progress event of now.
#[must_use]
pub fn job_event(party: Option<&str>, step: &str, detail: &str) -> JobEvent {
    JobEvent {
        at_ms: now_ms(),
        party: party.map(ToOwned::to_owned),
        step: step.to_owned(),
        detail: detail.to_owned(),
    }
}

/// The message that tells other systems of a job's state.
#[must_use]
pub fn message_of(job: &JobId, state: JobState) -> Message {
    let payload = serde_json::json!({ "job": job.as_str(), "state": state.as_str() });
    Message { topic: "job".to_owned(), payload: payload.to_string() }
}
