//! Looking at jobs: who may see which, how one ended, its result and its receipt.

use std::collections::BTreeMap;

use super::Engine;
use super::aggregate::Aggregate;
use super::work::{job_event, message_of};
use super::{attestation, audit_event};
use crate::audit::Context;
use crate::encoding::Digest;
use crate::identity::Principal;
use crate::identity::authorize::Resource;
use crate::ledger::{Ledger as _, ReceiptAnchor, ReceiptAnchorKind};
use crate::party::task::{CeremonySpec, ContributionHeader, Evidence};
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::SetupSpec;
use crate::store::{
    AnchorKind, Job, JobEventRow, JobFilter, JobId, JobKind, JobState, JobSummary, PAGE_ROWS_MAX, Part,
    blocking,
};

/// A result as it is handed to the researcher.
pub struct SealedResult {
    /// The plan.
    pub plan: Vec<u8>,
    /// The receipt.
    pub receipt: Vec<u8>,
    /// Everything the job was told.
    pub job: Aggregate,
    /// Hospitals in the sum.
    pub participants: Vec<String>,
    /// What the hospitals signed.
    pub evidence: Evidence,
    /// The c0 parts of the contributions, in order.
    pub contributions: Vec<u8>,
    /// The shares, in order.
    pub shares: Vec<u8>,
    /// Bytes that hospitals sent.
    pub bytes_from_hospitals: u64,
    /// Bytes that hospitals were sent.
    pub bytes_to_hospitals: u64,
    /// From submission to release, milliseconds.
    pub elapsed_ms: u64,
}

impl SealedResult {
    /// Rounds: those of the engine with the hospitals, or of the compute nodes with each other.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        let between = self.evidence.outputs.iter().map(|output| output.cost.rounds).max();
        between.map_or(4, |rounds| u32::try_from(rounds).unwrap_or(u32::MAX))
    }
}

/// A job as the policies see it.
fn resource_of(summary: &JobSummary) -> Resource {
    Resource::job(summary.id.as_str(), &summary.owner, summary.kind.as_str())
}

impl Engine {
    /// A job that this caller may read by the policies: its own, or any for an operator.
    ///
    /// # Errors
    /// `job.unknown`, also for a job of somebody else.
    pub async fn job_for(&self, caller: &Principal, id: &JobId) -> Result<Job, Problem> {
        let wanted = id.clone();
        let job = blocking(&self.store, move |s| s.job(&wanted)).await?;
        let unknown = || {
            Problem::new(ProblemKind::NotFound, "job.unknown", format!("there is no job {id} of yours"))
                .hint("`ward jobs` lists them")
        };
        let job = job.ok_or_else(unknown)?;
        match self.authorize(caller, "job.read", resource_of(&job.summary)).await {
            Ok(_) => Ok(job),
            Err(problem) if problem.kind == ProblemKind::Authorization => Err(unknown()),
            Err(problem) => Err(problem),
        }
    }

    /// Jobs this caller may see, newest first.
    ///
    /// # Errors
    /// Storage.
    pub async fn jobs_for(
        &self,
        caller: &Principal,
        limit: u32,
        before: Option<JobId>,
    ) -> Result<Vec<JobSummary>, Problem> {
        let is_all = self.may(caller, "job.list_all", Resource::consortium(&self.consortium));
        let owner = (!is_all).then(|| caller.name.clone());
        let filter = JobFilter { owner, state: None, before, limit };
        Ok(blocking(&self.store, move |s| s.jobs(&filter)).await?)
    }

    /// Progress after a number.
    ///
    /// # Errors
    /// Storage.
    pub async fn events(&self, id: &JobId, after: u64) -> Result<Vec<JobEventRow>, Problem> {
        let id = id.clone();
        Ok(blocking(&self.store, move |s| s.events(&id, after, PAGE_ROWS_MAX)).await?)
    }

    async fn parts(&self, id: &JobId) -> Result<Vec<Part>, Problem> {
        let id = id.clone();
        Ok(blocking(&self.store, move |s| s.parts(&id)).await?)
    }

    /// One sentence on what a job is.
    #[must_use]
    pub fn summary_of(job: &Job) -> (String, Vec<String>) {
        match job.summary.kind {
            JobKind::Aggregate | JobKind::MultiParty => serde_json::from_str::<Aggregate>(&job.plan)
                .map(|a| (a.plan.canonical, a.plan.hospitals))
                .unwrap_or_default(),
            JobKind::Attestation => serde_json::from_str::<attestation::Spec>(&job.plan)
                .map(|spec| match spec.items.len() {
                    1 => ("an attestation".to_owned(), Vec::new()),
                    items => (format!("{items} attestations"), Vec::new()),
                })
                .unwrap_or_default(),
            JobKind::Setup => serde_json::from_str::<SetupSpec>(&job.plan)
                .map(|s| (format!("setup ceremony, {}, 2^{}", s.statement, s.size), s.order))
                .unwrap_or_default(),
            JobKind::KeyCeremony => serde_json::from_str::<CeremonySpec>(&job.plan)
                .map(|s| {
                    let text = format!("key ceremony, {}, {} of {}", s.profile, s.threshold, s.holders.len());
                    (text, s.holders)
                })
                .unwrap_or_default(),
        }
    }

    /// Why a job ended without a result.
    ///
    /// # Errors
    /// Storage.
    pub async fn problem_of(&self, summary: &JobSummary) -> Result<Option<Problem>, Problem> {
        if !matches!(summary.state, JobState::Failed | JobState::Refused) {
            return Ok(None);
        }
        let parts = self.parts(&summary.id).await?;
        let kept = parts.iter().find(|part| part.step == "problem");
        if let Some(problem) = kept.and_then(|part| serde_json::from_slice(&part.header).ok()) {
            return Ok(Some(problem));
        }
        let kind = if summary.state == JobState::Refused {
            ProblemKind::Compliance
        } else {
            ProblemKind::Unavailable
        };
        let conclusion = summary.conclusion.clone().unwrap_or_default();
        Ok(Some(Problem::new(kind, &conclusion.code, conclusion.message)))
    }

    /// The receipt of a job that is done.
    ///
    /// # Errors
    /// `job.not_done`, or storage.
    pub async fn receipt(&self, summary: &JobSummary) -> Result<Vec<u8>, Problem> {
        match summary.kind {
            JobKind::Attestation => return self.registration_receipt(summary).await,
            JobKind::Setup => return self.setup_receipt(summary).await,
            _ => {}
        }
        let receipt = self.parts(&summary.id).await?.into_iter().find(|part| part.step == "receipt");
        match receipt {
            Some(part) if summary.state == JobState::Done => self.with_anchors(part.header, summary).await,
            _ => Err(not_done(summary)),
        }
    }

    /// A receipt, with what chains have of it by now.
    async fn with_anchors(&self, json: Vec<u8>, summary: &JobSummary) -> Result<Vec<u8>, Problem> {
        let mut receipt = crate::ledger::Receipt::from_json(&json).map_err(|e| Problem::internal(&e))?;
        receipt.anchors = self.anchors(receipt.commitment.digest(), summary).await?;
        if receipt.anchors.is_empty() {
            return Ok(json);
        }
        Ok(receipt.to_json().map_err(|e| Problem::internal(&e))?.into_bytes())
    }

    /// What chains have of a job's commitment: itself, or a checkpoint that covers it.
    pub(super) async fn anchors(
        &self,
        digest: Digest,
        summary: &JobSummary,
    ) -> Result<Vec<ReceiptAnchor>, Problem> {
        let Some(index) = summary.leaf_index else { return Ok(Vec::new()) };
        let found = blocking(&self.store, move |s| s.anchors_of(&digest, index)).await?;
        let mut anchors = Vec::with_capacity(found.len());
        for anchor in found {
            let (kind, inclusion_proof) = match anchor.kind {
                AnchorKind::Commitment => (ReceiptAnchorKind::Commitment, Vec::new()),
                AnchorKind::Checkpoint => {
                    let proof = tokio::task::block_in_place(|| self.ledger.inclusion(index, anchor.size))?;
                    (ReceiptAnchorKind::Checkpoint, proof)
                }
                AnchorKind::Attestation => continue,
            };
            anchors.push(ReceiptAnchor {
                chain_id: anchor.chain_id,
                contract: anchor.contract,
                kind,
                size: anchor.size,
                block: anchor.block,
                transaction: anchor.transaction,
                inclusion_proof,
            });
        }
        Ok(anchors)
    }

    /// The sealed result of a job that is done. Every fetch is audited.
    ///
    /// # Errors
    /// `authorization.*`, `job.not_done`, or storage.
    pub async fn result(&self, caller: &Principal, job: &Job) -> Result<SealedResult, Problem> {
        let summary = &job.summary;
        self.authorize(caller, "result.read", resource_of(summary)).await?;
        let receipt = self.receipt(summary).await?;
        let aggregate: Aggregate = serde_json::from_str(&job.plan).map_err(|e| Problem::internal(&e))?;
        let parts = self.parts(&summary.id).await?;
        let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
        for part in parts.iter().filter(|part| !part.party.is_empty()) {
            let bytes = self.blobs.reader(&part.blob)?.length();
            *sizes.entry(part.step.as_str()).or_default() += bytes;
        }
        let participants = crate::ledger::Receipt::from_json(&receipt)
            .map_err(|e| Problem::internal(&e))?
            .commitment
            .participants;
        let (evidence, contributions, shares) = match aggregate.plan.multi_party {
            Some(_) => self.shared_evidence(&aggregate, &parts).await?,
            None => self.evidence(&parts).await?,
        };
        let contributed = sizes.get("contribution").copied().unwrap_or(0);
        let computing = aggregate.plan.multi_party.as_ref().map_or(0, |shares| shares.nodes.len() as u64);
        let receiving = u64::from(aggregate.prepare.epoch.threshold) + computing;
        let receiver = self.blobs.reader(&aggregate.receiver_key)?.length();
        let elapsed_ms = self
            .events(&summary.id, 0)
            .await?
            .last()
            .map_or(0, |row| row.event.at_ms.saturating_sub(summary.created_ms));
        let audit = audit_event(&caller.name, "researcher", "result.fetch", &format!("job:{}", summary.id));
        let audit = audit.within(seen_by(caller, &job.context));
        blocking(&self.store, move |s| s.audit(&audit)).await?;
        let between_nodes = between_nodes(&evidence);
        Ok(SealedResult {
            plan: crate::encoding::canonical_json(&aggregate.plan),
            receipt,
            participants,
            evidence,
            contributions,
            shares,
            bytes_from_hospitals: sizes.values().sum::<u64>() + between_nodes,
            bytes_to_hospitals: receiving * contributed / 2 + aggregate.nodes().len() as u64 * receiver,
            elapsed_ms,
            job: aggregate,
        })
    }

    /// What lets the researcher make the result again: signed headers, c0 parts and shares.
    async fn evidence(&self, parts: &[Part]) -> Result<(Evidence, Vec<u8>, Vec<u8>), Problem> {
        let internal = |e: serde_json::Error| Problem::internal(&e);
        let find = |party: &str, step: &str| {
            let part = parts.iter().find(|part| part.party == party && part.step == step);
            part.ok_or_else(|| Problem::internal(&format!("part {step} of {party:?} is gone")))
        };
        let contributions: Vec<ContributionHeader> =
            serde_json::from_slice(&find("", "selection")?.header).map_err(internal)?;
        let (round, active): (u32, Vec<String>) =
            serde_json::from_slice(&find("", "result")?.header).map_err(internal)?;
        let mut c0s = Vec::new();
        for header in &contributions {
            let body = self.read_blob(find(&header.hospital, "contribution")?.blob).await?;
            let c0 = body.get(..header.c0_bytes as usize);
            c0s.extend_from_slice(c0.ok_or_else(|| Problem::internal(&"a kept contribution is too short"))?);
        }
        let (mut shares, mut headers) = (Vec::new(), Vec::new());
        for holder in &active {
            let part = find(holder, &format!("share.{round}"))?;
            headers.push(serde_json::from_slice(&part.header).map_err(internal)?);
            shares.extend_from_slice(&self.read_blob(part.blob).await?);
        }
        Ok((Evidence { contributions, shares: headers, outputs: Vec::new() }, c0s, shares))
    }

    /// The same for a computation on shares: signed headers and sealed shares.
    async fn shared_evidence(
        &self,
        aggregate: &Aggregate,
        parts: &[Part],
    ) -> Result<(Evidence, Vec<u8>, Vec<u8>), Problem> {
        let find = |step: &str| {
            let part = parts.iter().find(|part| part.party.is_empty() && part.step == step);
            part.ok_or_else(|| Problem::internal(&format!("part {step} is gone")))
        };
        let contributions =
            serde_json::from_slice(&find("selection")?.header).map_err(|e| Problem::internal(&e))?;
        let masked = aggregate.plan.is_masked().then(|| find("masked")).transpose()?;
        let shares = masked.map(|part| serde_json::from_slice(&part.header)).transpose();
        let shares = shares.map_err(|e| Problem::internal(&e))?.unwrap_or_default();
        let result = find("result")?;
        let outputs = serde_json::from_slice(&result.header).map_err(|e| Problem::internal(&e))?;
        let sealed = self.read_blob(result.blob).await?;
        Ok((Evidence { contributions, shares, outputs }, Vec::new(), sealed))
    }

    /// Cancels a job.
    ///
    /// # Errors
    /// When it has ended, or storage.
    pub async fn cancel(&self, caller: &Principal, id: &JobId) -> Result<Job, Problem> {
        let job = self.job_for(caller, id).await?;
        self.authorize(caller, "job.cancel", resource_of(&job.summary)).await?;
        let audit = audit_event(&caller.name, &caller.role_text(), "job.cancel", &format!("job:{id}"));
        let audit = audit.within(seen_by(caller, &job.context));
        let event = job_event(None, "cancelled", &format!("by {}", caller.name));
        let message = message_of(id, JobState::Cancelled);
        let wanted = id.clone();
        blocking(&self.store, move |s| s.cancel(&wanted, &event, &audit, &message)).await?;
        self.progress.notify_waiters();
        self.job_for(caller, id).await
    }
}

/// The circumstances of a job, for an act on it by somebody now: over what and why are the job's, whose and where from
/// are the act's.
fn seen_by(caller: &Principal, job: &Context) -> Context {
    let act = super::submit::asked_by(caller);
    let trace = if act.trace.is_empty() { job.trace.clone() } else { act.trace };
    Context { organisation: act.organisation, source: act.source, trace, ..job.clone() }
}

/// Bytes that compute nodes and hospitals sent each other.
fn between_nodes(evidence: &Evidence) -> u64 {
    let sent = evidence.outputs.iter().map(|output| output.cost.bytes_sent).sum::<u64>();
    // Under encryption they sent the engine what it has counted.
    let direct = evidence.contributions.iter().filter(|_| evidence.shares.is_empty());
    let inputs = direct.map(|input| 2 * input.c0_bytes).sum::<u64>();
    if evidence.outputs.is_empty() { 0 } else { sent + inputs }
}

pub(super) fn not_done(summary: &JobSummary) -> Problem {
    let message = format!("job {} is {}", summary.id, summary.state);
    let kind = if summary.state.is_terminal() { ProblemKind::NotFound } else { ProblemKind::Unavailable };
    Problem::new(kind, "job.not_done", message).hint("`ward watch JOB` follows it")
}
