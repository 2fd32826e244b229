//! Submitting: a signed request becomes a queued job, or is refused with a reason. Explaining: the same, with nothing
//! kept and every hospital's verdict.

use std::sync::Arc;
use std::time::Duration;

use super::aggregate::{Aggregate, nodes_of};
use super::nodes::{Answered, NodeError};
use super::protocol::protocol_info;
use super::studies::admits;
use super::work::message_of;
use super::{Engine, audit_event};
use crate::audit::Context;
use crate::clock::now_ms;
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::authorize::Resource;
use crate::identity::envelope::check_key;
use crate::identity::{Principal, Role, Signature, random};
use crate::party::aggregate::{REQUEST, asked_of};
use crate::party::ceremony::parameters;
use crate::party::task::{CeremonySpec, Epoch, Outcome, Prepare, Request, Task};
use crate::problem::{Problem, ProblemKind};
use crate::query::catalogue::Catalogue;
use crate::query::explain::{CostModel, Explanation};
use crate::query::plan::{Asked, Plan};
use crate::store::{Job, JobId, JobKind, JobState, NewJob, Submitted, blocking};
use crate::study::StudyRef;

/// Longest time a job may take.
pub(super) const TIME_LIMIT_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Limit of one hospital's verdict.
const VERDICT: Duration = Duration::from_secs(5);

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

/// Plans a query under an epoch.
///
/// # Errors
/// The planner's refusal.
pub fn plan(
    sql: &str,
    asked: impl Into<Asked>,
    catalogue: &Catalogue,
    epoch: &Epoch,
) -> Result<Plan, Problem> {
    let params = parameters(&epoch.profile, epoch.holders.len())?;
    let query = crate::query::parse(sql)?;
    let planned = crate::query::plan(&query, catalogue, &protocol_info(epoch, &params), asked);
    let plan = planned.map_err(|error| {
        let place = error.subject().and_then(|subject| crate::query::locate(sql, subject));
        let mut problem = Problem::from(error);
        if let Some(place) = place {
            problem.message.push_str(&format!(" at {place}"));
        }
        problem
    })?;
    if plan.multi_party.is_none() && plan.hospitals.len() > epoch.holders.len() {
        let message = format!(
            "{} hospitals in a sum, the key was made for {}",
            plan.hospitals.len(),
            epoch.holders.len()
        );
        return Err(Problem::new(ProblemKind::Compliance, "epoch.hospitals", message)
            .hint("hold a new key ceremony with all hospitals: `ward keygen`"));
    }
    Ok(plan)
}

/// What the trail says of whoever asks, and of where they are.
pub(super) fn asked_by(caller: &Principal) -> Context {
    let organisation = caller.organisation.clone().unwrap_or_default();
    Context { organisation, ..Context::default() }.here()
}

/// What the trail says of a query: for whom, why, over which rows of which class, from where.
fn circumstances(
    caller: &Principal,
    (plan, study): (&Plan, Option<&StudyRef>),
    catalogue: &Catalogue,
) -> Context {
    let table = &plan.query.table;
    let tables = plan.hospitals.iter().filter_map(|name| catalogue.hospitals.get(name)?.table(table));
    let classes: std::collections::BTreeSet<&str> =
        tables.map(|table| table.data_class.as_str()).filter(|class| !class.is_empty()).collect();
    Context {
        cohort: table.clone(),
        data_class: classes.into_iter().collect::<Vec<_>>().join(", "),
        purpose: plan.purpose.iter().map(ToString::to_string).collect(),
        study: study.map(|study| study.id.clone()).unwrap_or_default(),
        ..asked_by(caller)
    }
}

impl Engine {
    /// Queues a researcher's signed query. The same request again is the same job.
    ///
    /// # Errors
    /// [`Problem`] for a request that is not signed by its researcher, stale, under another epoch, without its key, or
    /// refused by the planner.
    pub async fn submit(&self, caller: &Principal, request: &[u8], signature: &[u8]) -> Result<Job, Problem> {
        self.authorize(caller, "query.submit", Resource::consortium(&self.consortium)).await?;
        let digest = Digest::of(request);
        let parsed = self.check_request(caller, request, signature).await?;
        let epoch = self.epoch().await?;
        if parsed.epoch != epoch.id {
            return Err(Problem::new(
                ProblemKind::Conflict,
                "request.epoch",
                "the request is under another key epoch",
            )
            .hint("submit it again: the client takes the epoch in force"));
        }
        let receiver = parsed.receiver_key;
        self.read_blob(receiver).await.map_err(|_| {
            invalid("request.receiver_key", "the key for the result has not been sent")
                .hint("use `ward submit`")
        })?;
        let catalogue = self.catalogue().await?;
        let plan = plan(&parsed.sql, asked_of(&parsed), &catalogue, &epoch)?;
        self.can_verify(&plan)?;
        match &parsed.study {
            Some(named) => admits(&self.study_named(named, &plan).await?, &plan, &caller.name)?,
            None => self.needs_no_study()?,
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|e| Problem::internal(&e));
        let now = now_ms();
        let id = JobId::new(now, random::<10>().map_err(|e| Problem::internal(&e))?);
        let prepare = Prepare {
            job: id.to_string(),
            request: text(request.to_vec())?,
            signature: HexBytes(signature.to_vec()),
            certificate: HexBytes(self.member_certificate(&caller.name).await?),
            catalogue: text(canonical_json(&catalogue))?,
            plan: Digest(plan.digest()),
            epoch,
        };
        let on_shares = plan.multi_party.is_some();
        if on_shares && check_key(&parsed.seal_key.0).is_err() {
            return Err(invalid("request.seal_key", "the request has no key to which shares are sealed")
                .hint("use `ward submit` of this version"));
        }
        let kind = if on_shares { JobKind::MultiParty } else { JobKind::Aggregate };
        let context = circumstances(caller, (&plan, parsed.study.as_ref()), &catalogue);
        let aggregate = Aggregate { prepare, plan, receiver_key: parsed.receiver_key };
        let job = NewJob {
            id,
            kind,
            owner: caller.name.clone(),
            request: request.to_vec(),
            request_digest: digest,
            plan: text(canonical_json(&aggregate))?,
            result_key: None,
            created_ms: now,
            deadline_ms: parsed.expires_unix_ms.min(now + TIME_LIMIT_MS_MAX),
            context,
        };
        self.queue_in(job, parsed.study.as_ref()).await
    }

    async fn check_request(
        &self,
        caller: &Principal,
        request: &[u8],
        signature: &[u8],
    ) -> Result<Request, Problem> {
        let parsed: Request = serde_json::from_slice(request)
            .map_err(|e| invalid("request.unreadable", format!("the request does not parse: {e}")))?;
        let signature = Signature::from_slice(signature)
            .ok_or_else(|| invalid("request.signature", "the signature is malformed"))?;
        let key = self.member_key(&caller.name).await?;
        let forged =
            |_| Problem::new(ProblemKind::Authorization, "request.signature", "the signature does not hold");
        key.verify(REQUEST, &[request], &signature).map_err(forged)?;
        if parsed.version != 1 || parsed.consortium != self.consortium || parsed.researcher != caller.name {
            return Err(invalid(
                "request.consortium",
                "the request is for another consortium, or in another's name",
            ));
        }
        if canonical_json(&parsed) != request {
            return Err(invalid("request.canonical", "the request is not in its canonical form"));
        }
        let now = now_ms();
        if parsed.expires_unix_ms <= now || parsed.signed_unix_ms > now + 300_000 {
            return Err(invalid("request.stale", "the request is expired, or from the future")
                .hint("check this machine's clock"));
        }
        Ok(parsed)
    }

    /// Queues a job; the same request again is the job that it made.
    pub(super) async fn queue(&self, job: NewJob) -> Result<Job, Problem> {
        self.queue_in(job, None).await
    }

    async fn queue_in(&self, job: NewJob, study: Option<&StudyRef>) -> Result<Job, Problem> {
        let id = job.id.clone();
        let mut audit = audit_event(&job.owner, "member", "job.submit", &format!("job:{id}"));
        audit.detail = job.kind.as_str().to_owned();
        if let Some(study) = study {
            audit.detail.push_str(&format!(", study {} {}", study.id, study.digest));
        }
        let audit = audit.within(job.context.clone());
        let message = message_of(&id, JobState::Queued);
        let submitted = blocking(&self.store, move |s| s.submit(&job, &audit, &message)).await?;
        let id = match submitted {
            Submitted::New => id,
            Submitted::Existing(summary) => summary.id.clone(),
        };
        self.wake.notify_one();
        let queued = blocking(&self.store, move |s| s.job(&id)).await?;
        queued.ok_or_else(|| Problem::internal(&"a queued job is gone"))
    }

    /// Queues a key ceremony.
    ///
    /// # Errors
    /// [`Problem`] for another role than operator, unknown holders, or an impossible threshold.
    pub async fn submit_ceremony(
        &self,
        caller: &Principal,
        mut holders: Vec<String>,
        (profile, threshold, time_limit_ms): (String, u32, u64),
    ) -> Result<Job, Problem> {
        self.authorize(caller, "ceremony.hold", Resource::consortium(&self.consortium)).await?;
        let members = blocking(&self.store, |s| s.members()).await?;
        let hospitals: Vec<_> =
            members.into_iter().filter(|m| m.role == Role::Hospital && m.revoked_ms.is_none()).collect();
        if holders.is_empty() {
            holders = hospitals.iter().map(|m| m.name.clone()).collect();
        }
        holders.sort();
        holders.dedup();
        let mut certificates = Vec::new();
        for holder in &holders {
            let found = hospitals.iter().find(|m| &m.name == holder);
            let unknown = || {
                Problem::new(
                    ProblemKind::NotFound,
                    "member.unknown",
                    format!("no hospital is enrolled as {holder}"),
                )
                .hint("see `ward parties`")
            };
            certificates.push(HexBytes(found.ok_or_else(unknown)?.certificate.clone()));
        }
        let threshold = if threshold == 0 { holders.len() as u32 } else { threshold };
        if holders.len() < 2 || threshold < 2 || threshold as usize > holders.len() {
            let message =
                format!("a threshold of {threshold} of {} hospitals is not possible", holders.len());
            return Err(
                invalid("ceremony.threshold", message).hint("at least 2 hospitals, threshold from 2 to all")
            );
        }
        parameters(&profile, holders.len())?;
        let now = now_ms();
        let id = JobId::new(now, random::<10>().map_err(|e| Problem::internal(&e))?);
        let spec = CeremonySpec {
            id: id.to_string(),
            consortium: self.consortium.clone(),
            profile,
            holders,
            certificates,
            threshold,
        };
        let limit_ms = time_limit_ms.clamp(1_000, TIME_LIMIT_MS_MAX);
        let job = NewJob::of_request(
            (id, JobKind::KeyCeremony),
            &caller.name,
            canonical_json(&spec),
            (now, limit_ms),
        );
        let job = job.map_err(|e| Problem::internal(&e))?;
        self.queue(NewJob { context: asked_by(caller), ..job }).await
    }

    /// Whether what the hospitals are asked to prove can be verified here.
    fn can_verify(&self, plan: &Plan) -> Result<(), Problem> {
        let Some(of) = &plan.proved else { return Ok(()) };
        let key = self.proofs.as_ref().ok_or_else(|| {
            Problem::new(
                ProblemKind::Compliance,
                "proofs.key",
                "this engine verifies no proofs of contributions",
            )
            .hint("its operator sets [proofs] in engine.toml; or ask without WITH PROOFS")
        })?;
        Ok(key.is_of(of)?)
    }

    /// Explains a query: the plan, and what each hospital's policy says to it.
    ///
    /// # Errors
    /// The planner's refusal.
    pub async fn explain(
        &self,
        caller: &Principal,
        sql: &str,
        (minimum, asked): (u32, Asked),
        study: &str,
    ) -> Result<Explanation, Problem> {
        self.authorize(caller, "query.explain", Resource::consortium(&self.consortium)).await?;
        let epoch = self.epoch().await?;
        let catalogue = self.catalogue().await?;
        let named = match study {
            "" => {
                self.needs_no_study()?;
                None
            }
            id => Some(self.study_for(caller, id).await?.study),
        };
        let study = named.as_ref().map(crate::study::Study::reference);
        let purpose = named.as_ref().map_or(asked.purpose, |named| named.purpose_of(asked.purpose));
        let asked = Asked { study: study.as_ref().map(StudyRef::terms), purpose, ..asked };
        let plan = plan(sql, asked, &catalogue, &epoch)?;
        self.can_verify(&plan)?;
        if let Some(named) = &named {
            admits(named, &plan, &caller.name)?;
        }
        let catalogue = String::from_utf8(canonical_json(&catalogue)).map_err(|e| Problem::internal(&e))?;
        let nodes = nodes_of(&plan, &epoch);
        let task = Task::Check {
            sql: sql.to_owned(),
            researcher: caller.name.clone(),
            participants_min: minimum,
            route: asked.route,
            purpose: asked.purpose,
            study,
            catalogue,
            epoch,
        };
        let mut calls = tokio::task::JoinSet::new();
        for node in nodes {
            let (nodes, task) = (self.nodes.clone(), task.clone());
            calls.spawn(crate::trace::carried(async move {
                let answer = nodes.call(&node, &task, Arc::default(), VERDICT).await;
                verdict_of(&node, answer)
            }));
        }
        let mut verdicts = calls.join_all().await;
        verdicts.sort();
        let explained = crate::query::explain::explain(&plan, &CostModel::default());
        Ok(explained.with_study(named.as_ref()).with_verdicts(verdicts))
    }
}

/// A hospital's verdict: name, words, rule.
fn verdict_of(node: &str, answer: Result<Answered, NodeError>) -> (String, String, String) {
    let (verdict, rule) = match answer {
        Ok(Answered { outcome: Outcome::Checked { by_hand, budget }, .. }) => {
            let (words, rule) = if by_hand {
                ("would answer after a person there approves", "policy.approval")
            } else {
                ("would answer", "")
            };
            let verdict = if budget.is_empty() { words.to_owned() } else { format!("{words}; {budget}") };
            (verdict, rule.to_owned())
        }
        Ok(_) => ("answered nonsense".to_owned(), "node.protocol".to_owned()),
        Err(error) => {
            let problem = error.problem();
            (problem.message, problem.code)
        }
    };
    (node.to_owned(), verdict, rule)
}
