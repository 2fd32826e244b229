//! A computation on shares, as the engine runs it: it names who takes part, starts an attempt, waits, and keeps what
//! the compute nodes signed and sealed. It sees sizes and times; no share, no value, no key.
//!
//! An attempt is never resumed. Where one breaks off for a passing reason (a node is away, a message did not come),
//! the next one starts from nothing with fresh randomness, over the same hospitals. One that ended well is kept whole in one
//! write: before it nothing of the attempt counts, after it no other is begun. Where a check of the protocol fails, somebody deviated: the job fails and says which check.

mod attempt;
mod masked;

use std::sync::Arc;
use std::time::Duration;

use super::aggregate::Aggregate;
use super::work::Work;
use crate::encoding::{Digest, canonical_json, separated};
use crate::party::task::{Arrived, ContributionHeader, OutputHeader};
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::MultiParty;

/// Attempts of a job.
pub const ATTEMPTS_MAX: u32 = 5;
/// The step under which all that a finished attempt gave is kept.
const COMPUTED: &str = "computed";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// What an attempt that ended well gave.
pub struct Outputs {
    /// The inputs' headers, by hospital.
    pub inputs: Vec<ContributionHeader>,
    /// The outputs' headers, in the order of the roles.
    pub outputs: Vec<OutputHeader>,
    /// The sealed shares, in the same order.
    pub sealed: Vec<Vec<u8>>,
}

/// The name of an attempt on the mesh: 128 bits.
#[must_use]
pub fn session_id(job: &str, attempt: u32) -> [u8; 16] {
    let digest = separated("mpc-session/1", &[job.as_bytes(), &attempt.to_be_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    id
}

/// Digest of the inputs' headers, which every node's output names.
#[must_use]
pub fn inputs_digest(inputs: &[ContributionHeader]) -> Digest {
    separated("mpc-inputs/1", &[&canonical_json(inputs)])
}

/// Digest of sums that arrived under encryption, which every node's output names.
#[must_use]
pub fn arrived_digest(arrived: &Arrived) -> Digest {
    separated("mpc-arrived/1", &[&canonical_json(arrived)])
}

/// The plan's part on shares.
///
/// # Errors
/// When the plan has none.
pub fn shares_of(job: &Aggregate) -> Result<&MultiParty, Problem> {
    job.plan.multi_party.as_ref().ok_or_else(|| Problem::internal(&"the plan is not computed on shares"))
}

/// Digest of what is computed on shares, and how: the protocol of a receipt.
#[must_use]
pub fn protocol_digest(shares: &MultiParty) -> Digest {
    separated("mpc-protocol/1", &[&canonical_json(shares)])
}

/// Runs attempts until one ends well; keeps its result.
///
/// # Errors
/// A refusal, a failed check of the protocol, too many attempts, or the deadline.
pub async fn run(work: &Work, job: &Aggregate) -> Result<Vec<ContributionHeader>, Problem> {
    if let Some(part) = work.part("", "selection").await?
        && work.part("", "result").await?.is_some()
    {
        return serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e));
    }
    let masked = if job.plan.is_masked() { Some(masked::arrive(work, job).await?) } else { None };
    let inputs = match &masked {
        Some(masked) => masked.arrived.shares.iter().map(|share| share.holder.clone()).collect(),
        None => participants(work, job).await?,
    };
    if let Some(outputs) = kept(work).await? {
        return spread(work, outputs).await;
    }
    let mut last: Option<Problem> = None;
    for number in 1..=ATTEMPTS_MAX {
        let step = format!("attempt.{number}");
        if work.part("", &step).await?.is_some() {
            // Begun before this worker took the job up: never gone on with.
            continue;
        }
        attempt::connected(work, &attempt::members_of(job, &inputs)?).await?;
        work.put_part("", &step, b"{}", b"").await?;
        work.event(None, "computing", &format!("attempt {number}")).await?;
        match attempt::run(work, job, (&inputs, masked.as_ref()), number).await {
            Ok(outputs) => {
                keep(work, &outputs).await?;
                return spread(work, outputs).await;
            }
            Err(problem) if problem.retryable => {
                work.event(None, "attempt failed", &problem.code).await?;
                last = Some(problem);
            }
            Err(problem) => return Err(problem),
        }
        work.check_deadline("the compute nodes")?;
        work.wait_for_change(PAUSE).await;
    }
    let cause = last.map(|problem| format!(": {}", problem.message)).unwrap_or_default();
    let message = format!("{ATTEMPTS_MAX} attempts of the computation broke off{cause}");
    Err(Problem::new(ProblemKind::Unavailable, "mpc.attempts", message)
        .hint("`ward parties` shows who is connected; the hospitals can check with `ward party doctor`"))
}

/// Hospitals that give input: those that took the job in. Fixed once.
async fn participants(work: &Work, job: &Aggregate) -> Result<Vec<String>, Problem> {
    if let Some(part) = work.part("", "participants").await? {
        return serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e));
    }
    let mut inputs = Vec::new();
    for hospital in &job.plan.hospitals {
        if work.part(hospital, "prepared").await?.is_some() {
            inputs.push(hospital.clone());
        }
    }
    inputs.sort();
    if inputs.len() < job.needed() {
        return Err(Problem::internal(&"fewer hospitals are ready than the plan needs"));
    }
    work.put_part("", "participants", &canonical_json(&inputs), b"").await?;
    Ok(inputs)
}

/// Keeps all that an attempt gave as one part, before anything is made of it: an engine that dies right after goes on with
/// this attempt's outputs, and never mixes them with another's.
async fn keep(work: &Work, outputs: &Outputs) -> Result<(), Problem> {
    let headers = canonical_json(&(&outputs.inputs, &outputs.outputs));
    work.put_part("", COMPUTED, &headers, &outputs.sealed.concat()).await
}

/// What an attempt gave that ended well before this worker took the job up.
async fn kept(work: &Work) -> Result<Option<Outputs>, Problem> {
    let Some(part) = work.part("", COMPUTED).await? else { return Ok(None) };
    let (inputs, outputs): (Vec<ContributionHeader>, Vec<OutputHeader>) =
        serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e))?;
    let whole = work.blob(part.blob).await?;
    let (mut rest, mut sealed) = (whole.as_slice(), Vec::new());
    for header in &outputs {
        let bytes = usize::try_from(header.bytes).unwrap_or(usize::MAX);
        let (one, others) =
            rest.split_at_checked(bytes).ok_or_else(|| Problem::internal(&"a kept output is too short"))?;
        sealed.push(one.to_vec());
        rest = others;
    }
    Ok(Some(Outputs { inputs, outputs, sealed }))
}

/// Files what was kept under the steps where results, receipts and `ward jobs` look for it. Done again, it changes nothing.
async fn spread(work: &Work, outputs: Outputs) -> Result<Vec<ContributionHeader>, Problem> {
    let is_first = work.part("", "selection").await?.is_none();
    for header in outputs.inputs.iter().filter(|_| is_first) {
        work.put_part(&header.hospital, "contribution", &canonical_json(header), b"").await?;
    }
    for (header, sealed) in outputs.outputs.iter().zip(&outputs.sealed) {
        work.put_part(&header.node, "output", &canonical_json(header), sealed).await?;
    }
    let result = outputs.sealed.concat();
    work.put_part("", "result", &canonical_json(&outputs.outputs), &result).await?;
    if is_first {
        work.put_part("", "selection", &canonical_json(&outputs.inputs), b"").await?;
    }
    Ok(outputs.inputs)
}

/// An empty body.
fn nothing() -> Arc<Vec<u8>> {
    Arc::default()
}
