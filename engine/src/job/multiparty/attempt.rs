//! One attempt: everybody is told to begin; whoever cannot go on ends it for all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::super::aggregate::{Aggregate, check_contribution};
use super::super::nodes::{Answered, NodeError};
use super::super::work::{Work, later};
use super::masked::Masked;
use super::{Outputs, PAUSE, arrived_digest, inputs_digest, nothing, session_id, shares_of};
use crate::encoding::{Digest, HexBytes};
use crate::identity::Signature;
use crate::party::multiparty::OUTPUT;
use crate::party::task::{ContributionHeader, MeshMember, Outcome, OutputHeader, Task};
use crate::problem::Problem;

/// Longest time of an attempt, of a job whose own time is longer.
const ATTEMPT: Duration = Duration::from_secs(3600);
/// How long the others are waited for once one could not go on.
const AFTER_FAILURE: Duration = Duration::from_secs(20);

/// Everybody who takes part, sorted.
pub(super) fn members_of(job: &Aggregate, inputs: &[String]) -> Result<Vec<String>, Problem> {
    let mut members = inputs.to_vec();
    members.extend(shares_of(job)?.nodes.iter().cloned());
    members.sort();
    members.dedup();
    Ok(members)
}

/// Waits until all are connected.
pub(super) async fn connected(work: &Work, members: &[String]) -> Result<(), Problem> {
    loop {
        let here = work.engine().nodes.connected();
        let away: Vec<&String> = members.iter().filter(|name| !here.contains(name)).collect();
        if away.is_empty() {
            return Ok(());
        }
        for name in away {
            work.event_once(name, "away", "node.away").await?;
        }
        work.check_deadline("hospitals to connect")?;
        work.wait_for_change(PAUSE).await;
    }
}

/// Runs one attempt.
///
/// # Errors
/// The problem that ended it; `retryable` when another attempt may go well.
pub(super) async fn run(
    work: &Work,
    job: &Aggregate,
    (inputs, masked): (&[String], Option<&Masked>),
    number: u32,
) -> Result<Outputs, Problem> {
    let names = members_of(job, inputs)?;
    let mut members = Vec::new();
    for name in &names {
        let certificate = HexBytes(work.engine().member_certificate(name).await?);
        let announcement = work.engine().nodes.announcement(name);
        members.push(MeshMember { name: name.clone(), certificate, announcement });
    }
    let session = session_id(work.id(), number);
    let compute = &shares_of(job)?.nodes;
    let others: Vec<String> = names.iter().filter(|name| !compute.contains(name)).cloned().collect();
    let _session = work.engine().nodes.open_session(session, compute, &others)?;
    let task = Task::Compute {
        job: work.id().to_owned(),
        attempt: number,
        inputs: inputs.to_vec(),
        members,
        arrived: masked.map(|masked| masked.arrived.clone()),
    };
    let body = |name: &String| match masked {
        Some(masked) if compute.contains(name) => masked.body.clone(),
        _ => nothing(),
    };
    let sent = names.iter().map(|name| (name.clone(), body(name))).collect();
    let answers = call(work, sent, task, number).await?;
    assemble(work, job, (inputs, masked), (number, answers)).await
}

type Answers = BTreeMap<String, Answered>;

async fn call(
    work: &Work,
    sent: Vec<(String, Arc<Vec<u8>>)>,
    task: Task,
    number: u32,
) -> Result<Answers, Problem> {
    let names: Vec<String> = sent.iter().map(|(name, _)| name.clone()).collect();
    let mut calls = JoinSet::new();
    for (name, body) in sent {
        let (engine, task) = (work.engine().clone(), task.clone());
        calls.spawn(crate::trace::carried(async move {
            let answer = engine.nodes.call(&name, &task, body, ATTEMPT).await;
            (name, answer)
        }));
    }
    let mut answers = Answers::new();
    let mut failed: Option<(String, NodeError)> = None;
    let mut until = Instant::now() + work.within(ATTEMPT);
    while let Ok(Some(joined)) = timeout_at(until, calls.join_next()).await {
        match joined {
            Ok((name, Ok(answered))) => {
                work.event(Some(&name), "computed", "").await?;
                answers.insert(name, answered);
            }
            Ok((name, Err(error))) => {
                if failed.is_none() {
                    stop(work, &names, number);
                    until = until.min(Instant::now() + AFTER_FAILURE);
                }
                // What somebody else's failure caused says less than the failure itself.
                let is_consequence = failed.as_ref().is_some_and(|(_, first)| !first.is_passing())
                    || (failed.is_some() && error.is_passing());
                if !is_consequence {
                    failed = Some((name, error));
                }
            }
            Err(error) => return Err(Problem::internal(&error)),
        }
    }
    match failed {
        None if answers.len() == names.len() => Ok(answers),
        None => {
            stop(work, &names, number);
            work.check_deadline("the compute nodes")?;
            Err(passing(Problem::internal(&"the attempt took too long")))
        }
        Some((name, error)) => {
            let problem = error.problem().at(&name);
            work.event(Some(&name), "stopped", &problem.code).await?;
            Err(if error.is_passing() { passing(problem) } else { problem })
        }
    }
}

fn passing(problem: Problem) -> Problem {
    Problem { retryable: true, ..problem }
}

/// Tells everybody to leave the attempt; nobody is waited for.
fn stop(work: &Work, names: &[String], attempt: u32) {
    for name in names {
        let (engine, name) = (work.engine().clone(), name.clone());
        let task = Task::Stop { job: work.id().to_owned(), attempt };
        tokio::spawn(async move { engine.nodes.call(&name, &task, nothing(), later(5)).await.is_ok() });
    }
}

/// Checks what everybody signed, and that the compute nodes agree on the inputs.
async fn assemble(
    work: &Work,
    job: &Aggregate,
    (inputs, masked): (&[String], Option<&Masked>),
    (attempt, mut answers): (u32, Answers),
) -> Result<Outputs, Problem> {
    let mut headers: Vec<ContributionHeader> = Vec::new();
    let mut outputs: BTreeMap<String, (OutputHeader, Vec<u8>)> = BTreeMap::new();
    let broken = |node: &str, what: &str| {
        NodeError::Protocol { node: node.to_owned(), what: what.to_owned() }.problem()
    };
    for name in answers.keys().cloned().collect::<Vec<_>>() {
        let Some(Answered { outcome: Outcome::Computed { input, output }, body }) = answers.remove(&name)
        else {
            return Err(broken(&name, "unexpected outcome to compute"));
        };
        let member = work.engine().member(&name).await?;
        // What arrived under encryption was checked when it came.
        if let Some(header) = input.filter(|_| masked.is_none()) {
            check_contribution(&job.prepare, &job.plan.query.table, &header, &member)
                .map_err(|what| broken(&name, &what))?;
            headers.push(header);
        }
        if let Some(header) = output {
            let parts = header.parts(work.id(), job.prepare.plan);
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let signed = Signature::from_slice(&header.signature.0)
                .is_some_and(|signature| member.key.verify(OUTPUT, &parts, &signature).is_ok());
            let whole = header.bytes == body.len() as u64 && Digest::of(&body) == header.sealed;
            if !signed || !whole || header.node != name || header.attempt != attempt {
                return Err(broken(&name, "its output is malformed or not signed"));
            }
            outputs.insert(name, (header, body));
        }
    }
    headers.sort_by(|a, b| a.hospital.cmp(&b.hospital));
    let digest = match masked {
        Some(masked) => {
            headers.clone_from(&masked.arrived.contributions);
            arrived_digest(&masked.arrived)
        }
        None if headers.iter().map(|h| &h.hospital).eq(inputs) => inputs_digest(&headers),
        None => return Err(Problem::internal(&"an input is missing")),
    };
    let (mut signed, mut sealed) = (Vec::new(), Vec::new());
    for node in &shares_of(job)?.nodes {
        let (header, body) = outputs.remove(node).ok_or_else(|| broken(node, "it gave no output"))?;
        if header.inputs != digest {
            return Err(broken(node, "it computed on other inputs than the hospitals signed"));
        }
        signed.push(header);
        sealed.push(body);
    }
    Ok(Outputs { inputs: headers, outputs: signed, sealed })
}
