//! Studies at a hospital: its own signed copies are what counts, whatever the engine says.

use super::local::policy::StatisticKind;
use super::node::Node;
use super::task::{Prepare, Request};
use crate::encoding::{Digest, canonical_json};
use crate::identity::PublicKey;
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::Plan;
use crate::store::OwnStudy;
use crate::study::{
    CoSignature, Decision, REASON_BYTES_MAX, SignedDecision, Study, StudyRef, StudyVerdict, StudyView,
};

/// What became of a decision.
pub enum Decided {
    /// It is signed and kept.
    Signed(Box<SignedDecision>),
    /// Too few administrators have said so yet.
    Waiting {
        /// Who has.
        by: Vec<String>,
        /// How many it takes.
        needed: u32,
    },
}

fn refuse(rule: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Compliance, rule, message)
}

/// The statistics of a plan by the names of a policy.
#[must_use]
pub fn statistics_of(plan: &Plan) -> Vec<&'static str> {
    crate::query::statistics(&plan.query).map(|statistic| StatisticKind::of(statistic).name()).collect()
}

/// The copy of a study that this hospital keeps.
pub(super) fn copy_of(own: &OwnStudy) -> Result<Study, Problem> {
    serde_json::from_str(&own.json).map_err(|e| Problem::internal(&e))
}

impl Node {
    /// Holds a plan against the study that its request names, by this hospital's own copy. Returns the copy.
    ///
    /// # Errors
    /// `study.required` where this hospital runs studies alone; `study.unapproved`, `study.denied`, `study.withdrawn`;
    /// or the study's own rule.
    pub(super) fn judge_study(
        &self,
        plan: &Plan,
        researcher: &str,
        named: Option<&StudyRef>,
    ) -> Result<Option<Study>, Problem> {
        let gives_data = plan.hospitals.iter().any(|name| name == self.name());
        let Some(named) = named else {
            if self.policy().studies.required && gives_data && !self.is_overridden(researcher)? {
                return Err(refuse("study.required", "this hospital answers within studies alone")
                    .hint("name one: `ward submit --study ID`; `ward study list` shows yours"));
            }
            return Ok(None);
        };
        let own = self.store().own_study(&named.id)?.filter(|own| own.digest == named.digest);
        let Some(own) = own else {
            if !gives_data || self.is_overridden(researcher)? {
                return Ok(None);
            }
            let message = format!("this hospital has not approved study {}", named.id);
            return Err(refuse("study.unapproved", message)
                .hint("ask the hospital: `ward study show` tells what each has said"));
        };
        stands(&own)?;
        let study = copy_of(&own)?;
        if study.floor != named.floor {
            return Err(refuse("study.floor", "the request names another floor than the study")
                .hint("submit it again: the client takes the study's"));
        }
        let statistics = statistics_of(plan);
        study.admits(&crate::study::Question {
            researcher,
            table: &plan.query.table,
            statistics: &statistics,
            purpose: plan.purpose,
            now_ms: self.now_ms(),
        })?;
        Ok(Some(study))
    }

    /// The copy of the study that a request names, where this hospital keeps one of these very terms.
    pub(super) fn own_copy(&self, named: &StudyRef) -> Result<Option<Study>, Problem> {
        let own = self.store().own_study(&named.id)?.filter(|own| own.digest == named.digest);
        own.map(|own| copy_of(&own)).transpose()
    }

    /// Checks before each step of a job that this hospital has not withdrawn from its study since, and that the study
    /// has not ended.
    ///
    /// # Errors
    /// `study.withdrawn`, `study.denied`, `study.ended`.
    pub(super) fn study_stands(&self, job: &str) -> Result<(), Problem> {
        let Some(bytes) = self.recall("prepare", job)? else { return Ok(()) };
        let prepare: Prepare = serde_json::from_slice(&bytes).map_err(|e| Problem::internal(&e))?;
        let request: Request = serde_json::from_str(&prepare.request).map_err(|e| Problem::internal(&e))?;
        let Some(named) = request.study else { return Ok(()) };
        let Some(own) = self.store().own_study(&named.id)? else { return Ok(()) };
        let ended = copy_of(&own)?.ends_unix_ms <= self.now_ms();
        let over = || refuse("study.ended", format!("study {} has ended", own.id));
        stands(&own).and_then(|()| if ended { Err(over()) } else { Ok(()) }).inspect_err(|problem| {
            let about = self.job_context(job);
            if let Err(error) = self.audit_refusal("job.step", job, &problem.code, about) {
                tracing::error!(%error, "a refusal could not be audited");
            }
        })
    }

    /// Decides on a study, signs, and keeps the hospital's own copy.
    ///
    /// # Errors
    /// `study.*` for a study that does not hold together, does not ask this hospital, or has ended.
    pub fn decide_study(
        &self,
        view: &StudyView,
        verdict: StudyVerdict,
        reason: &str,
    ) -> Result<Decided, Problem> {
        let study = &view.study;
        study.check()?;
        let fits = study.digest() == view.digest && study.consortium == self.consortium();
        if !fits || !study.hospitals.contains(self.name()) {
            return Err(refuse(
                "study.malformed",
                "the study does not hold together, or does not ask this hospital",
            ));
        }
        if reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
            let message = format!("a reason is one line of at most {REASON_BYTES_MAX} bytes");
            return Err(Problem::new(ProblemKind::Validation, "study.reason", message));
        }
        let rule = &self.policy().studies;
        let by = self.said(view, verdict)?;
        if verdict == StudyVerdict::Approved {
            if self.now_ms() >= study.ends_unix_ms {
                return Err(refuse("study.ended", "the study has ended"));
            }
            let needed = if rule.admins.is_empty() { 0 } else { rule.approvals };
            if by.len() < needed as usize {
                return Ok(Decided::Waiting { by, needed });
            }
        }
        let decision = Decision {
            study: study.id.clone(),
            digest: view.digest,
            hospital: self.name().to_owned(),
            verdict,
            by,
            reason: reason.to_owned(),
            at_unix_ms: self.now_ms(),
        };
        let detail = format!("{} {} by {}", verdict.as_str(), view.digest, speakers(&decision.by));
        let signed = decision.sign(&self.membership().identity, &self.certificate());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|e| Problem::internal(&e));
        let own = OwnStudy {
            id: study.id.clone(),
            digest: view.digest,
            json: text(canonical_json(study))?,
            verdict: verdict.as_str().to_owned(),
            decision: text(canonical_json(&signed))?,
            at_ms: signed.decision.at_unix_ms,
        };
        let audit = self.audit_event("study.decide", &format!("study:{}", study.id), &detail);
        self.store().put_own_study(&own, &audit)?;
        Ok(Decided::Signed(Box::new(signed)))
    }

    /// Administrators who say this of the study: under the keys of this hospital's policy, and later than the hospital's
    /// own last word, so that what was said before a withdrawal does not undo it.
    ///
    /// # Errors
    /// Storage.
    pub fn said(&self, view: &StudyView, verdict: StudyVerdict) -> Result<Vec<String>, Problem> {
        let own = self.store().own_study(&view.study.id)?;
        let after_ms = own.filter(|own| own.verdict != verdict.as_str()).map_or(0, |own| own.at_ms);
        let admins = &self.policy().studies.admins;
        let holds = |word: &&CoSignature| {
            word.digest == view.digest
                && word.hospital == self.name()
                && word.verdict == verdict
                && word.at_unix_ms > after_ms
                && key_of(admins.get(&word.admin)).is_some_and(|key| word.verify(&key).is_ok())
        };
        let mut names: Vec<String> =
            view.cosignatures.iter().filter(holds).map(|word| word.admin.clone()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What the administrators' words on a study come to, beyond what this hospital has said already.
    ///
    /// # Errors
    /// Storage, or as [`Self::decide_study`].
    pub fn count_words(&self, view: &StudyView) -> Result<Option<SignedDecision>, Problem> {
        if !view.study.hospitals.contains(self.name()) || self.policy().studies.admins.is_empty() {
            return Ok(None);
        }
        let own = self.store().own_study(&view.study.id)?;
        let last = own.as_ref().map(|own| own.verdict.as_str());
        for verdict in [StudyVerdict::Withdrawn, StudyVerdict::Denied, StudyVerdict::Approved] {
            if last == Some(verdict.as_str()) || self.said(view, verdict)?.is_empty() {
                continue;
            }
            if verdict == StudyVerdict::Withdrawn && last != Some("approved") {
                continue;
            }
            if let Decided::Signed(signed) = self.decide_study(view, verdict, "")? {
                return Ok(Some(*signed));
            }
        }
        Ok(None)
    }

    /// This hospital's own last word on a study.
    ///
    /// # Errors
    /// Storage.
    pub fn own_decision(&self, id: &str) -> Result<Option<SignedDecision>, Problem> {
        let Some(own) = self.store().own_study(id)? else { return Ok(None) };
        serde_json::from_str(&own.decision).map(Some).map_err(|e| Problem::internal(&e))
    }

    /// The copy of a study that this hospital keeps, as a view: for a withdrawal while the engine is away.
    ///
    /// # Errors
    /// Storage.
    pub fn own_view(&self, id: &str) -> Result<Option<StudyView>, Problem> {
        let Some(own) = self.store().own_study(id)? else { return Ok(None) };
        let study = copy_of(&own)?;
        let digest: Digest = own.digest;
        Ok(Some(StudyView { study, digest, closed: false, decisions: Vec::new(), cosignatures: Vec::new() }))
    }
}

fn speakers(by: &[String]) -> String {
    if by.is_empty() { "the node's operator".to_owned() } else { by.join(", ") }
}

fn key_of(hexadecimal: Option<&String>) -> Option<PublicKey> {
    PublicKey::from_slice(&hex::decode(hexadecimal?).ok()?).ok()
}

/// Checks that the hospital's last word on a study is an approval.
fn stands(own: &OwnStudy) -> Result<(), Problem> {
    let hint = "`ward study show` tells what each hospital has said";
    match own.verdict.as_str() {
        "approved" => Ok(()),
        "withdrawn" => {
            Err(refuse("study.withdrawn", format!("this hospital withdrew from study {}", own.id)).hint(hint))
        }
        _ => Err(refuse("study.denied", format!("this hospital denied study {}", own.id)).hint(hint)),
    }
}
