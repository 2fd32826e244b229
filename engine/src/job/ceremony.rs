//! A key ceremony, as the engine runs it: five rounds among the holders, every step kept before the next.

use std::sync::Arc;
use std::time::Duration;

use super::nodes::{Answered, NodeError};
use super::work::{Work, later};
use crate::encoding::{Digest, canonical_json};
use crate::identity::Signature;
use crate::party::ceremony::{CONTEXT, epoch_of, spec_digest, step_parts};
use crate::party::task::{CeremonySpec, Epoch, Outcome, SignedStep, StepPayload, Task};
use crate::problem::{Problem, ProblemKind};

const CALL: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(150);
const ROUNDS: [&str; 4] = ["commit", "open", "digest", "reveal"];

/// Runs all rounds; returns the epoch that every holder has signed.
///
/// # Errors
/// The first refusal: a ceremony needs every holder.
pub async fn run(work: &Work, spec: &CeremonySpec) -> Result<Epoch, Problem> {
    let mut rounds: [Vec<SignedStep>; 4] = Default::default();
    for (index, round) in ROUNDS.into_iter().enumerate() {
        let task = task_of(round, spec, index.checked_sub(1).map_or(&[], |before| &rounds[before]));
        rounds[index] = collect(work, spec, round, &task).await?;
        work.event(None, round, "all holders have answered").await?;
    }
    finish(work, spec, &rounds).await
}

fn task_of(round: &str, spec: &CeremonySpec, before: &[SignedStep]) -> Task {
    let (ceremony, before) = (spec.id.clone(), before.to_vec());
    match round {
        "commit" => Task::KeyCommit { spec: spec.clone() },
        "open" => Task::KeyOpen { ceremony, commitments: before },
        "digest" => Task::KeyDigest { ceremony, openings: before },
        _ => Task::KeyReveal { ceremony, digests: before },
    }
}

/// Every holder's step of a round, in order.
async fn collect(
    work: &Work,
    spec: &CeremonySpec,
    round: &str,
    task: &Task,
) -> Result<Vec<SignedStep>, Problem> {
    loop {
        let mut open = Vec::new();
        for holder in &spec.holders {
            if work.part(holder, round).await?.is_none() {
                open.push(holder.clone());
            }
        }
        if open.is_empty() {
            let mut steps = Vec::new();
            for holder in &spec.holders {
                let part =
                    work.part(holder, round).await?.ok_or_else(|| Problem::internal(&"a step is gone"))?;
                steps.push(serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e))?);
            }
            return Ok(steps);
        }
        let mut answered = 0;
        for (holder, answer) in work.call_all(&open, task, Arc::default(), CALL).await {
            match answer {
                Ok(Answered { outcome: Outcome::Step { step }, body }) if step.member == holder => {
                    check_step(work, spec, round, &step).await?;
                    work.put_part(&holder, round, &canonical_json(&step), &body).await?;
                    work.event(Some(&holder), round, "").await?;
                    answered += 1;
                }
                other => passing(work, &holder, other).await?,
            }
        }
        if answered < open.len() {
            work.check_deadline("key holders")?;
            work.wait_for_change(PAUSE).await;
        }
    }
}

/// A step is of its round and signed by its holder: kept unchecked, it would make the other holders refuse.
async fn check_step(work: &Work, spec: &CeremonySpec, round: &str, step: &SignedStep) -> Result<(), Problem> {
    let in_place = matches!(
        (round, &step.payload),
        ("commit", StepPayload::Commit { .. })
            | ("open", StepPayload::Open { .. })
            | ("digest", StepPayload::Digest { .. })
            | ("reveal", StepPayload::Reveal { .. })
    );
    let key = work.engine().member_key(&step.member).await?;
    let [spec, member, payload] = step_parts(&spec_digest(spec), &step.member, &step.payload);
    let signed = Signature::from_slice(&step.signature.0)
        .is_some_and(|s| key.verify(CONTEXT, &[&spec, &member, &payload], &s).is_ok());
    if in_place && signed {
        return Ok(());
    }
    let what = format!("its step is not of the {round} round, or not signed by it");
    Err(NodeError::Protocol { node: step.member.clone(), what }.problem())
}

async fn passing(work: &Work, holder: &str, answer: Result<Answered, NodeError>) -> Result<(), Problem> {
    let error = answer.err().unwrap_or_else(|| NodeError::Protocol {
        node: holder.to_owned(),
        what: "unexpected outcome in a key ceremony".to_owned(),
    });
    if error.is_passing() {
        return work.event_once(holder, "away", &error.problem().code).await;
    }
    Err(error.problem())
}

/// Hands every holder all shares of the public key and the Shamir shares dealt to it; collects signatures.
async fn finish(work: &Work, spec: &CeremonySpec, rounds: &[Vec<SignedStep>; 4]) -> Result<Epoch, Problem> {
    let mut reveals = Vec::new();
    for step in &rounds[3] {
        reveals.push((step, work.part_body(&step.member, "reveal").await?));
    }
    let mut agreed: Option<Epoch> = None;
    loop {
        let mut open = 0;
        for holder in &spec.holders {
            let signed = match work.part(holder, "finished").await? {
                Some(part) => serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e))?,
                None => match ask_to_finish(work, spec, holder, rounds, &reveals).await? {
                    Some(epoch) => epoch,
                    None => {
                        open += 1;
                        continue;
                    }
                },
            };
            let first = agreed.get_or_insert_with(|| signed.clone());
            if *first != signed {
                let message = format!("{holder} arrived at another key than the holders before it");
                return Err(Problem::new(ProblemKind::Conflict, "ceremony.epoch", message).at(holder));
            }
        }
        if let (0, Some(epoch)) = (open, agreed.take()) {
            return Ok(epoch);
        }
        work.check_deadline("key holders")?;
        work.wait_for_change(PAUSE).await;
    }
}

async fn ask_to_finish(
    work: &Work,
    spec: &CeremonySpec,
    holder: &str,
    rounds: &[Vec<SignedStep>; 4],
    reveals: &[(&SignedStep, Vec<u8>)],
) -> Result<Option<Epoch>, Problem> {
    let body = body_for(holder, reveals)?;
    let task = Task::KeyFinish { ceremony: spec.id.clone(), reveals: rounds[3].clone() };
    match work.engine().nodes.call(holder, &task, Arc::new(body), CALL).await {
        Ok(Answered { outcome: Outcome::KeyFinished { epoch, signature }, .. }) => {
            let key = work.engine().member_key(holder).await?;
            let valid = Signature::from_slice(&signature.0)
                .is_some_and(|s| key.verify("ward/v1/epoch", &[&canonical_json(&epoch)], &s).is_ok());
            if !valid || epoch_of(spec, rounds, epoch.public_key) != epoch {
                let what = "the epoch is not the one that the ceremony makes, or not signed".to_owned();
                return Err(NodeError::Protocol { node: holder.to_owned(), what }.problem());
            }
            work.put_part(holder, "finished", &canonical_json(&epoch), b"").await?;
            work.event(Some(holder), "key kept", "").await?;
            Ok(Some(epoch))
        }
        other => passing(work, holder, other).await.map(|()| None),
    }
}

/// Every holder's share, then what was sealed to `holder`, by dealer.
fn body_for(holder: &str, reveals: &[(&SignedStep, Vec<u8>)]) -> Result<Vec<u8>, Problem> {
    let malformed = |step: &SignedStep| {
        let what = "what it revealed is not as long as it said".to_owned();
        NodeError::Protocol { node: step.member.clone(), what }.problem()
    };
    let (mut shares, mut dealt) = (Vec::new(), Vec::new());
    for (step, body) in reveals {
        let StepPayload::Reveal { share_bytes, sealed } = &step.payload else { return Err(malformed(step)) };
        let (share, mut rest) =
            body.split_at_checked(*share_bytes as usize).ok_or_else(|| malformed(step))?;
        shares.extend_from_slice(share);
        for part in sealed {
            let (bytes, tail) = rest.split_at_checked(part.bytes as usize).ok_or_else(|| malformed(step))?;
            if part.to == holder && Digest::of(bytes) == part.sha256 {
                dealt.extend_from_slice(bytes);
            }
            rest = tail;
        }
    }
    shares.extend_from_slice(&dealt);
    Ok(shares)
}

/// Tells the holders that the ceremony is over.
pub async fn abandon(work: &Work, spec: &CeremonySpec, outcome: &str) {
    let task = Task::Abandon { job: spec.id.clone(), outcome: outcome.to_owned() };
    for holder in &spec.holders {
        if work.engine().nodes.call(holder, &task, Arc::default(), later(5)).await.is_err() {
            tracing::debug!(%holder, "not told that the ceremony is over");
        }
    }
}
