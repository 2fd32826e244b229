//! An encrypted aggregate, as the engine runs it: prepare, contribute, sum, key switch.
//!
//! The engine sees ciphertexts, sizes and times. Every step is kept before the next begins, so that a restart goes on
//! where it was, and what a hospital has sent is never asked for twice in another form.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use ward_protocols::he::{self, C0, C1, Ciphertext, KeySwitchShare, Parameters};

use super::key_shares;
use super::nodes::{Answered, NodeError};
use super::work::{Work, later};
use crate::encoding::{Digest, canonical_json};
use crate::identity::Signature;
use crate::party::aggregate::CONTRIBUTION;
use crate::party::ceremony::parameters;
use crate::party::task::{ContributionHeader, Epoch, Outcome, Prepare, Task};
use crate::problem::{Problem, ProblemKind};
use crate::proofs;
use crate::query::catalogue::Catalogue;
use crate::query::plan::{Participation, Plan};
use crate::store::MemberRecord;

/// How long hospitals beyond the minimum are waited for.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// Between two rounds of asking.
pub(super) const PAUSE: Duration = Duration::from_millis(150);
/// Limit of one call.
pub(super) const CALL: Duration = Duration::from_secs(60);
/// The same where a contribution is proved: over 4,096 rows that takes a minute or two. Whoever is slower is asked again.
const PROVED_CALL: Duration = Duration::from_secs(300);

/// What the engine keeps of an aggregate when it is submitted.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Aggregate {
    /// What every node is told.
    pub prepare: Prepare,
    /// The plan.
    pub plan: Plan,
    /// SHA-256 of the researcher's key.
    pub receiver_key: Digest,
}

impl Aggregate {
    /// Hospitals, and key holders or compute nodes, sorted.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        nodes_of(&self.plan, &self.prepare.epoch)
    }

    /// How many hospitals must contribute.
    #[must_use]
    pub fn needed(&self) -> usize {
        match self.plan.participation {
            Participation::All => self.plan.hospitals.len(),
            Participation::AtLeast(least) => least as usize,
        }
    }

    /// Of whom how many must be there besides the hospitals: the key's holders, the compute nodes, or both.
    fn quorums(&self) -> Vec<(&[String], usize)> {
        let epoch = &self.prepare.epoch;
        let holders = (epoch.holders.as_slice(), epoch.threshold as usize);
        match &self.plan.multi_party {
            None => vec![holders],
            Some(shares) if self.plan.is_masked() => vec![holders, (&shares.nodes, shares.nodes.len())],
            Some(shares) => vec![(&shares.nodes, shares.nodes.len())],
        }
    }

    /// Whether those who are there are enough to go on.
    fn is_enough(&self, is_there: impl Fn(&String) -> bool) -> bool {
        let count = |names: &[String]| names.iter().filter(|name| is_there(name)).count();
        let quorums = self.quorums();
        count(&self.plan.hospitals) >= self.needed()
            && quorums.into_iter().all(|(names, least)| count(names) >= least)
    }

    /// Parameters of its epoch.
    ///
    /// # Errors
    /// When the epoch's profile is unknown.
    pub fn parameters(&self) -> Result<Parameters, Problem> {
        parameters(&self.prepare.epoch.profile, self.prepare.epoch.holders.len())
    }
}

/// Everybody who is told of a job: hospitals, and key holders or compute nodes, sorted.
#[must_use]
pub fn nodes_of(plan: &Plan, epoch: &Epoch) -> Vec<String> {
    let mut names = plan.hospitals.clone();
    if let Some(shares) = &plan.multi_party {
        names.extend(shares.nodes.iter().cloned());
    }
    if plan.multi_party.is_none() || plan.is_masked() {
        names.extend(epoch.holders.iter().cloned());
    }
    names.sort();
    names.dedup();
    names
}

pub(super) fn is_held(names: &[String], name: &str) -> bool {
    names.iter().any(|n| n == name)
}

/// Asks every node to take the job in; returns once enough have.
///
/// # Errors
/// A refusal that leaves too few hospitals or key holders.
pub async fn prepare(work: &Work, job: &Aggregate) -> Result<(), Problem> {
    let receiver = Arc::new(work.blob(job.receiver_key).await?);
    let mut enough_since = None;
    loop {
        let mut open = Vec::new();
        for node in job.nodes() {
            let ready = work.part(&node, "prepared").await?.is_some();
            if !ready && work.part(&node, "refused").await?.is_none() {
                open.push(node);
            }
        }
        let task = Task::Prepare(Box::new(job.prepare.clone()));
        for (node, answer) in work.call_all(&open, &task, receiver.clone(), CALL).await {
            match answer {
                Ok(Answered { outcome: Outcome::Prepared { pending: false }, .. }) => {
                    work.put_part(&node, "prepared", b"{}", b"").await?;
                    work.event(Some(&node), "prepared", "").await?;
                }
                Ok(Answered { outcome: Outcome::Prepared { pending: true }, .. }) => {
                    work.event_once(&node, "approval", "waits for a person at the hospital").await?;
                }
                other => refused_or_later(work, &node, other, "prepare").await?,
            }
        }
        let (ready, refused) = standing(work, job).await?;
        can_go_on(job, &refused)?;
        if ready.len() + refused.len() == job.nodes().len() {
            return Ok(());
        }
        if job.is_enough(|name| is_held(&ready, name)) {
            let since = *enough_since.get_or_insert_with(tokio::time::Instant::now);
            if since.elapsed() >= GRACE {
                return Ok(());
            }
        }
        work.check_deadline("hospitals to take the job in")?;
        work.wait_for_change(PAUSE).await;
    }
}

/// Keeps a refusal; lets passing faults pass.
pub(super) async fn refused_or_later(
    work: &Work,
    node: &str,
    answer: Result<Answered, NodeError>,
    step: &str,
) -> Result<(), Problem> {
    let error = match answer {
        Ok(_) => NodeError::Protocol { node: node.to_owned(), what: format!("unexpected outcome to {step}") },
        Err(error) => error,
    };
    if error.is_passing() {
        return work.event_once(node, "away", &error.problem().code).await;
    }
    let problem = error.problem();
    work.put_part(node, "refused", &canonical_json(&problem), b"").await?;
    work.event(Some(node), "refused", &problem.code).await
}

pub(super) type Refusals = BTreeMap<String, Problem>;

pub(super) async fn standing(work: &Work, job: &Aggregate) -> Result<(Vec<String>, Refusals), Problem> {
    let mut ready = Vec::new();
    let mut refused = Refusals::new();
    for node in job.nodes() {
        if let Some(part) = work.part(&node, "refused").await? {
            let problem = serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e))?;
            refused.insert(node, problem);
        } else if work.part(&node, "prepared").await?.is_some() {
            ready.push(node);
        }
    }
    Ok((ready, refused))
}

/// Ends the job when the refusals leave too few.
pub(super) fn can_go_on(job: &Aggregate, refused: &Refusals) -> Result<(), Problem> {
    if !job.is_enough(|name| !refused.contains_key(name)) {
        // There is a refusal, or nothing would be short.
        return match refused.values().next() {
            Some(problem) => Err(problem.clone()),
            None => Err(Problem::internal(&"the plan needs more nodes than there are")),
        };
    }
    Ok(())
}

/// Collects contributions until every hospital that is ready has given one, or enough have and the rest are late;
/// then fixes who is in the sum.
///
/// # Errors
/// A refusal that leaves too few hospitals.
pub async fn contribute(work: &Work, job: &Aggregate) -> Result<Vec<ContributionHeader>, Problem> {
    if let Some(part) = work.part("", "selection").await? {
        return serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e));
    }
    let mut enough_since = None;
    loop {
        let (ready, refused) = standing(work, job).await?;
        can_go_on(job, &refused)?;
        let mut open = Vec::new();
        for node in job.plan.hospitals.iter().filter(|n| is_held(&ready, n)) {
            if work.part(node, "contribution").await?.is_none() {
                open.push(node.clone());
            }
        }
        let task = Task::Contribute { job: work.id().to_owned() };
        let limit = if job.plan.proved.is_some() { PROVED_CALL } else { CALL };
        for (node, answer) in work.call_all(&open, &task, Arc::default(), limit).await {
            match answer {
                Ok(Answered { outcome: Outcome::Contributed { contribution }, body }) => {
                    take_contribution(work, job, &node, contribution, body).await?;
                }
                other => refused_or_later(work, &node, other, "contribute").await?,
            }
        }
        let given = contributions(work, job).await?;
        let (ready, refused) = standing(work, job).await?;
        can_go_on(job, &refused)?;
        let expected = job.plan.hospitals.iter().filter(|n| is_held(&ready, n)).count();
        let mut complete = given.len() >= expected && given.len() >= job.needed();
        if given.len() >= job.needed() {
            let since = *enough_since.get_or_insert_with(tokio::time::Instant::now);
            complete |= since.elapsed() >= GRACE;
        }
        if complete {
            work.put_part("", "selection", &canonical_json(&given), b"").await?;
            return Ok(given);
        }
        work.check_deadline("contributions")?;
        work.wait_for_change(PAUSE).await;
    }
}

async fn contributions(work: &Work, job: &Aggregate) -> Result<Vec<ContributionHeader>, Problem> {
    let mut given = Vec::new();
    for node in &job.plan.hospitals {
        if let Some(part) = work.part(node, "contribution").await? {
            given.push(serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e))?);
        }
    }
    Ok(given)
}

/// Checks a contribution's signature, digests and every residue, and keeps it.
async fn take_contribution(
    work: &Work,
    job: &Aggregate,
    node: &str,
    header: ContributionHeader,
    body: Vec<u8>,
) -> Result<(), Problem> {
    let member = work.engine().member(node).await?;
    let params = job.parameters()?;
    let count = job.plan.ciphertexts as usize;
    let (prepare, plan) = (job.prepare.clone(), job.plan.clone());
    let key = work.engine().proofs.clone();
    let checked = tokio::task::spawn_blocking(move || {
        check_contribution(&prepare, &plan.query.table, &header, &member)?;
        proofs::check_contribution(&plan, &header.hospital, header.proof.as_ref(), key.as_deref())
            .map_err(|e| e.to_string())?;
        let (c0, c1) = body.split_at_checked(header.c0_bytes as usize).ok_or("the body is too short")?;
        if c1.len() as u64 != header.c1_bytes || Digest::of(c0) != header.c0 || Digest::of(c1) != header.c1 {
            return Err("the ciphertexts are not those that were signed".to_owned());
        }
        let list = ciphertexts(&params, c0, c1).map_err(|e| e.to_string())?;
        if list.len() != count {
            return Err("another number of ciphertexts than the plan".to_owned());
        }
        Ok((header, body))
    })
    .await
    .map_err(|e| Problem::internal(&e))?;
    match checked {
        Ok((header, body)) => {
            work.put_part(node, "contribution", &canonical_json(&header), &body).await?;
            work.event(Some(node), "encrypted", "").await
        }
        Err(what) => {
            let error = NodeError::Protocol { node: node.to_owned(), what };
            refused_or_later(work, node, Err(error), "contribute").await
        }
    }
}

/// Everything that another hospital or the log would refuse later, and for which this hospital is to be named.
pub(super) fn check_contribution(
    prepare: &Prepare,
    table: &str,
    header: &ContributionHeader,
    member: &MemberRecord,
) -> Result<(), String> {
    if header.hospital != member.name {
        return Err("the contribution is in another hospital's name".to_owned());
    }
    if header.certificate.0 != member.certificate {
        return Err("the contribution comes with another certificate than the one in force".to_owned());
    }
    let catalogue: Catalogue = serde_json::from_str(&prepare.catalogue).map_err(|e| e.to_string())?;
    let published = catalogue.hospitals.get(&member.name).and_then(|publication| publication.table(table));
    if published.is_none_or(|table| table.dataset_version != header.dataset_version) {
        return Err("the contribution is of other data than were published".to_owned());
    }
    let parts = prepare.binding().parts(header);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let signature = Signature::from_slice(&header.signature.0).ok_or("malformed signature")?;
    member.key.verify(CONTRIBUTION, &parts, &signature).map_err(|e| e.to_string())
}

fn ciphertexts(params: &Parameters, c0: &[u8], c1: &[u8]) -> Result<Vec<Ciphertext>, ward_protocols::Error> {
    Ciphertext::zip(C0::decode_all(params, c0)?, C1::decode_all(params, c1)?)
}

/// The c0 half of the sum of the selected contributions, and the body that lets every key holder make the other.
async fn sum(
    work: &Work,
    job: &Aggregate,
    selection: &[ContributionHeader],
) -> Result<(Vec<C0>, Vec<u8>), Problem> {
    let params = job.parameters()?;
    let mut sum = he::C0Accumulator::new(&params);
    let mut c1s = Vec::new();
    for header in selection {
        let body = work.part_body(&header.hospital, "contribution").await?;
        let (c0, c1) = body
            .split_at_checked(header.c0_bytes as usize)
            .ok_or_else(|| Problem::internal(&"a kept contribution is too short"))?;
        c1s.extend_from_slice(c1);
        tokio::task::block_in_place(|| sum.add(&C0::decode_all(&params, c0)?))
            .map_err(|e: ward_protocols::Error| Problem::internal(&e))?;
    }
    Ok((sum.finish(), c1s))
}

/// Has the sum switched to the researcher's key by `threshold` holders; keeps the result.
///
/// # Errors
/// A refusal that leaves too few holders.
pub async fn switch(work: &Work, job: &Aggregate, selection: &[ContributionHeader]) -> Result<(), Problem> {
    if work.part("", "result").await?.is_some() {
        return Ok(());
    }
    let (sum, body) = sum(work, job, selection).await?;
    let (round, active, shares) = key_shares::collect(work, job, selection, &Arc::new(body)).await?;
    let params = job.parameters()?;
    let result = tokio::task::block_in_place(|| {
        let shares =
            shares.iter().map(|s| KeySwitchShare::decode_all(&params, s)).collect::<Result<Vec<_>, _>>()?;
        let switched = he::key_switch_combine(&params, &sum, &shares)?;
        Ok(Ciphertext::encode_all(&params, &switched))
    })
    .map_err(|e: ward_protocols::Error| Problem::internal(&e))?;
    work.put_part("", "result", &canonical_json(&(round, &active)), &result).await
}

/// Tells the nodes that the job is over; those that are away learn it when they ask.
pub async fn abandon(work: &Work, job: &Aggregate, outcome: &str) {
    let task = Task::Abandon { job: work.id().to_owned(), outcome: outcome.to_owned() };
    let mut calls = JoinSet::new();
    for node in job.nodes() {
        let (engine, task) = (work.engine().clone(), task.clone());
        let call = async move { engine.nodes.call(&node, &task, Arc::default(), later(5)).await.is_ok() };
        calls.spawn(crate::trace::carried(call));
    }
    while calls.join_next().await.is_some() {}
}

/// The kind of an error when the time of a job is up.
#[must_use]
pub fn late(what: &str) -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "job.deadline",
        format!("the time limit passed while waiting for {what}"),
    )
    .hint("see `ward parties` for who is connected, or allow more time with --time-limit")
}
