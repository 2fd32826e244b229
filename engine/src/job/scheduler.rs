//! The scheduler: workers that lease jobs and step them until they end. Any worker may die at any moment: the next one
//! goes on from what is stored.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::work::Work;
use super::{Engine, aggregate, attestation, ceremony, commit, multiparty, setup};
use crate::clock::now_ms;
use crate::encoding::canonical_json;
use crate::party::task::{CeremonySpec, Epoch};
use crate::problem::{Problem, ProblemKind};
use crate::store::{Conclusion, JobKind, JobState, Leased, blocking};

/// How long a lease lasts without renewal.
const LEASE_MS: u64 = 4_000;
/// How often it is renewed.
const RENEW: Duration = Duration::from_millis(800);
/// How often an idle worker looks for work that nobody announced.
const IDLE: Duration = Duration::from_millis(500);

/// Runs a worker until `stop` turns true.
pub async fn worker(engine: Arc<Engine>, name: String, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let announced = engine.wake.notified();
        let worker = name.clone();
        let leased = blocking(&engine.store, move |s| s.lease(&worker, now_ms(), LEASE_MS)).await;
        match leased {
            Ok(Some(leased)) => tokio::select! {
                () = run(&engine, leased) => {}
                _ = stop.changed() => return,
            },
            Ok(None) => tokio::select! {
                () = announced => {}
                () = tokio::time::sleep(IDLE) => {}
                _ = stop.changed() => return,
            },
            Err(error) => {
                tracing::error!(%error, "no lease");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
}

async fn run(engine: &Arc<Engine>, leased: Leased) {
    let work = Work::new(engine.clone(), leased.lease, leased.job);
    crate::trace::within(work.origin(), run_work(&work)).await;
}

async fn run_work(work: &Work) {
    let outcome = tokio::select! {
        outcome = step(work) => outcome,
        () = renewals(work) => return tracing::info!(job = work.id(), "lease lost, or job cancelled"),
    };
    if let Err(problem) = outcome {
        end_badly(work, &problem).await;
    }
}

/// Renews the lease until that fails.
async fn renewals(work: &Work) {
    loop {
        tokio::time::sleep(RENEW).await;
        let lease = work.lease().clone();
        if blocking(&work.engine().store, move |s| s.renew(&lease, now_ms() + LEASE_MS)).await.is_err() {
            return;
        }
    }
}

async fn step(work: &Work) -> Result<(), Problem> {
    match work.job().summary.kind {
        JobKind::Aggregate | JobKind::MultiParty => run_query(work).await,
        JobKind::KeyCeremony => run_ceremony(work).await,
        JobKind::Attestation => attestation::run(work).await,
        JobKind::Setup => setup::run(work).await,
    }
}

/// Takes a job that nobody has begun out of the queue; returns where it is.
pub(super) async fn begin(work: &Work) -> Result<JobState, Problem> {
    let state = work.state().await?;
    if state == JobState::Queued {
        work.advance(state, JobState::Waiting).await?;
        return Ok(JobState::Waiting);
    }
    Ok(state)
}

async fn run_query(work: &Work) -> Result<(), Problem> {
    let job: aggregate::Aggregate =
        serde_json::from_str(&work.job().plan).map_err(|e| Problem::internal(&e))?;
    let mut state = begin(work).await?;
    if state == JobState::Waiting {
        aggregate::prepare(work, &job).await?;
        work.advance(state, JobState::Running).await?;
        state = JobState::Running;
    }
    let selection = if job.plan.multi_party.is_some() {
        multiparty::run(work, &job).await?
    } else {
        let selection = aggregate::contribute(work, &job).await?;
        aggregate::switch(work, &job, &selection).await?;
        selection
    };
    if state == JobState::Running {
        work.advance(state, JobState::Committing).await?;
    }
    commit::commit(work, &job, &selection).await?;
    aggregate::abandon(work, &job, JobState::Done.as_str()).await;
    Ok(())
}

async fn run_ceremony(work: &Work) -> Result<(), Problem> {
    let spec: CeremonySpec = serde_json::from_str(&work.job().plan).map_err(|e| Problem::internal(&e))?;
    let mut state = begin(work).await?;
    if state == JobState::Waiting {
        work.advance(state, JobState::Running).await?;
        state = JobState::Running;
    }
    let epoch: Epoch = ceremony::run(work, &spec).await?;
    if state == JobState::Running {
        work.advance(state, JobState::Committing).await?;
    }
    work.engine().activate(&epoch, &spec).await?;
    let digest = commit::log_epoch(work, &epoch).await?;
    let conclusion = Conclusion {
        code: "ok".to_owned(),
        message: format!("key epoch {}", epoch.id),
        ..Conclusion::default()
    };
    work.conclude(JobState::Committing, JobState::Done, conclusion, Some(digest)).await?;
    ceremony::abandon(work, &spec, JobState::Done.as_str()).await;
    Ok(())
}

/// Ends a job with its problem: refused by a rule, or failed.
async fn end_badly(work: &Work, problem: &Problem) {
    if problem.code == "job.stale_fence" || problem.code == "job.illegal_move" {
        return tracing::info!(job = work.id(), "the job went on elsewhere, or was cancelled");
    }
    let refused = matches!(problem.kind, ProblemKind::Compliance | ProblemKind::Authorization);
    let to = if refused { JobState::Refused } else { JobState::Failed };
    let conclusion = Conclusion {
        code: problem.code.clone(),
        message: problem.message.clone(),
        rule: refused.then(|| problem.code.clone()),
        result: None,
    };
    let kept = work.put_part("", "problem", &canonical_json(problem), b"").await;
    let ended = match work.state().await {
        Ok(from) => work.conclude(from, to, conclusion, None).await,
        Err(error) => Err(error),
    };
    if let (Err(error), _) | (_, Err(error)) = (ended, kept) {
        // The lease runs out, and the next worker tries again.
        tracing::error!(job = work.id(), %error, "a job could not be ended");
        return;
    }
    match work.job().summary.kind {
        JobKind::Aggregate | JobKind::MultiParty => {
            if let Ok(job) = serde_json::from_str(&work.job().plan) {
                aggregate::abandon(work, &job, to.as_str()).await;
            }
        }
        JobKind::KeyCeremony => {
            if let Ok(spec) = serde_json::from_str(&work.job().plan) {
                ceremony::abandon(work, &spec, to.as_str()).await;
            }
        }
        // Nobody else takes part.
        JobKind::Attestation => {}
        JobKind::Setup => setup::abandon(work),
    }
}
