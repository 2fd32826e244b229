//! Shares of a sum, from as many key holders as the key's threshold: key-switch shares where the sum goes to the researcher,
//! masked shares where it goes on in a computation on shares.

use std::sync::Arc;

use ward_protocols::he::{KeySwitchShare, MaskedShare};

use super::aggregate::{Aggregate, CALL, GRACE, PAUSE, can_go_on, is_held, refused_or_later, standing};
use super::nodes::{Answered, NodeError};
use super::work::Work;
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::Signature;
use crate::party::aggregate::context_of;
use crate::party::task::{ContributionHeader, Outcome, ShareHeader, Task};
use crate::problem::Problem;

/// Asks until all active holders of a round gave their shares; a round follows a round while holders stay away and others can
/// take their place. Returns the round, its holders and their shares. The body is the c1 parts of the selection.
///
/// # Errors
/// A refusal that leaves too few holders; the deadline; storage.
pub(super) async fn collect(
    work: &Work,
    job: &Aggregate,
    selection: &[ContributionHeader],
    body: &Arc<Vec<u8>>,
) -> Result<(u32, Vec<String>, Vec<Vec<u8>>), Problem> {
    let mut round = 0;
    loop {
        let active = choose_active(work, job, round).await?;
        if let Some(shares) = collect_shares(work, job, selection, (&active, round), body).await? {
            return Ok((round, active, shares));
        }
        round += 1;
    }
}

fn task(work: &Work, job: &Aggregate, selection: &[ContributionHeader], active: &[String]) -> Task {
    let (id, contributions, active) = (work.id().to_owned(), selection.to_vec(), active.to_vec());
    if job.plan.is_masked() {
        return Task::MaskSum { job: id, contributions, active };
    }
    Task::KeySwitch { job: id, contributions, active }
}

/// The holders of a round: those that are connected and ready, contributors first. Kept before anybody is asked.
async fn choose_active(work: &Work, job: &Aggregate, round: u32) -> Result<Vec<String>, Problem> {
    let step = format!("active.{round}");
    if let Some(part) = work.part("", &step).await? {
        return serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e));
    }
    loop {
        let (ready, refused) = standing(work, job).await?;
        can_go_on(job, &refused)?;
        let connected = work.engine().nodes.connected();
        let able = |name: &&String| is_held(&ready, name) && is_held(&connected, name);
        let mut active: Vec<String> = job.prepare.epoch.holders.iter().filter(able).cloned().collect();
        let threshold = job.prepare.epoch.threshold as usize;
        if active.len() >= threshold {
            active.truncate(threshold);
            work.put_part("", &step, &canonical_json(&active), b"").await?;
            return Ok(active);
        }
        work.check_deadline("key holders")?;
        work.wait_for_change(PAUSE).await;
    }
}

/// Shares of all active holders; none when a holder stays away and others can take its place.
async fn collect_shares(
    work: &Work,
    job: &Aggregate,
    selection: &[ContributionHeader],
    (active, round): (&[String], u32),
    body: &Arc<Vec<u8>>,
) -> Result<Option<Vec<Vec<u8>>>, Problem> {
    let step = format!("share.{round}");
    let started = tokio::time::Instant::now();
    let task = task(work, job, selection, active);
    loop {
        let mut open = Vec::new();
        for node in active {
            if work.part(node, &step).await?.is_none() {
                open.push(node.clone());
            }
        }
        if open.is_empty() {
            let mut shares = Vec::new();
            for node in active {
                shares.push(work.part_body(node, &step).await?);
            }
            return Ok(Some(shares));
        }
        for (node, answer) in work.call_all(&open, &task, body.clone(), CALL).await {
            match answer {
                Ok(Answered {
                    outcome:
                        Outcome::KeySwitched { sum, shares, signature }
                        | Outcome::SumMasked { sum, shares, signature },
                    body,
                }) => take_share(work, job, (&node, &step), (sum, shares, signature), body).await?,
                other => refused_or_later(work, &node, other, "share").await?,
            }
        }
        if !is_still_open(work, active, &step).await? {
            continue;
        }
        let (_, refused) = standing(work, job).await?;
        can_go_on(job, &refused)?;
        let replaceable = job.prepare.epoch.holders.len() > active.len();
        let lost = active.iter().any(|node| refused.contains_key(node));
        if replaceable && (lost || started.elapsed() > GRACE) {
            return Ok(None);
        }
        work.check_deadline("key shares")?;
        work.wait_for_change(PAUSE).await;
    }
}

/// Checks a share's signature and every residue, and keeps it.
async fn take_share(
    work: &Work,
    job: &Aggregate,
    (node, step): (&str, &str),
    (sum, shares, signature): (Digest, Digest, HexBytes),
    body: Vec<u8>,
) -> Result<(), Problem> {
    let member = work.engine().member(node).await?;
    let parts: [&[u8]; 3] = [work.id().as_bytes(), &sum.0, &shares.0];
    let valid = Signature::from_slice(&signature.0)
        .is_some_and(|s| member.key.verify(context_of(&job.plan), &parts, &s).is_ok());
    let params = job.parameters()?;
    let count = if job.plan.is_masked() {
        MaskedShare::decode_all(&params, &body).map(|list| list.len())
    } else {
        KeySwitchShare::decode_all(&params, &body).map(|list| list.len())
    };
    let whole = count.is_ok_and(|count| count == job.plan.ciphertexts as usize);
    if !valid || Digest::of(&body) != shares || !whole {
        let what = "its share is malformed or not signed".to_owned();
        let error = NodeError::Protocol { node: node.to_owned(), what };
        return refused_or_later(work, node, Err(error), "share").await;
    }
    let header = ShareHeader {
        holder: node.to_owned(),
        certificate: HexBytes(member.certificate),
        sum,
        shares,
        bytes: body.len() as u64,
        signature,
    };
    work.put_part(node, step, &canonical_json(&header), &body).await?;
    work.event(Some(node), "share sent", "").await
}

async fn is_still_open(work: &Work, active: &[String], step: &str) -> Result<bool, Problem> {
    for node in active {
        if work.part(node, step).await?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}
