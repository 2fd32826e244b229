//! Studies at the engine: kept, shown to whom the policies permit, decided on by hospitals. The engine's word on a study
//! is believed by nobody; it refuses early what hospitals would refuse anyway.

use super::{Engine, audit_event};
use crate::clock::now_ms;
use crate::encoding::canonical_json;
use crate::identity::Principal;
use crate::identity::authorize::Resource;
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::Plan;
use crate::store::{StudyRecord, StudyWord, blocking};
use crate::study::{CoSignature, SignedDecision, Study, StudyRef, StudyVerdict, StudyView};

/// Most studies that a list has.
const LIST_MAX: u32 = 200;
/// A clock may be off by this much.
const SKEW_MS: u64 = 300_000;

/// A word on a study, as it came.
pub enum Word<'a> {
    /// A hospital's: JSON of a [`SignedDecision`].
    Decision(&'a [u8]),
    /// An administrator's: JSON of a [`CoSignature`].
    CoSignature(&'a [u8]),
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(80).collect();
    Problem::new(ProblemKind::NotFound, "study.unknown", format!("there is no study `{id}`"))
        .hint("`ward study list` lists those that you may read")
}

fn unreadable(error: &serde_json::Error) -> Problem {
    Problem::new(ProblemKind::Validation, "study.unreadable", format!("the word does not parse: {error}"))
}

fn resource(study: &Study, closed: bool) -> Resource {
    let attributes = serde_json::json!({
        "drafter": study.drafter,
        "members": study.members,
        "hospitals": study.hospitals,
        "state": if closed { "closed" } else { "open" },
    });
    Resource::new("Study", &study.id, attributes)
}

fn parsed(record: &StudyRecord) -> Result<Study, Problem> {
    serde_json::from_str(&record.json).map_err(|e| Problem::internal(&e))
}

impl Engine {
    async fn study_record(&self, id: &str) -> Result<StudyRecord, Problem> {
        let wanted = id.to_owned();
        blocking(&self.store, move |s| s.study(&wanted)).await?.ok_or_else(|| unknown(id))
    }

    async fn study_view(&self, record: StudyRecord) -> Result<StudyView, Problem> {
        let study = parsed(&record)?;
        let id = record.id.clone();
        let words = blocking(&self.store, move |s| s.study_words(&id)).await?;
        let (mut decisions, mut cosignatures) = (Vec::new(), Vec::new());
        for word in words {
            let internal = |e: serde_json::Error| Problem::internal(&e);
            if word.admin.is_empty() {
                decisions.push(serde_json::from_str(&word.json).map_err(internal)?);
            } else {
                cosignatures.push(serde_json::from_str(&word.json).map_err(internal)?);
            }
        }
        let (digest, closed) = (record.digest, record.closed_ms.is_some());
        Ok(StudyView { study, digest, closed, decisions, cosignatures })
    }

    /// Keeps a new study.
    ///
    /// # Errors
    /// `authorization.*`; `study.*` for one that makes no sense, of another consortium, in another's name, or ended.
    pub async fn draft_study(&self, caller: &Principal, json: &[u8]) -> Result<StudyView, Problem> {
        self.authorize(caller, "study.draft", Resource::consortium(&self.consortium)).await?;
        let study = Study::from_json(json)?;
        let now = now_ms();
        let bad = |message: &str| Problem::new(ProblemKind::Validation, "study.malformed", message);
        if study.consortium != self.consortium || study.drafter != caller.name {
            return Err(bad("the study is of another consortium, or in another's name"));
        }
        if study.drafted_unix_ms > now + SKEW_MS || study.ends_unix_ms <= now {
            return Err(bad("the study is from the future, or has ended").hint("check this machine's clock"));
        }
        for hospital in &study.hospitals {
            self.member(hospital).await.map_err(|problem| problem.hint("see `ward parties`"))?;
        }
        let record = StudyRecord {
            id: study.id.clone(),
            digest: study.digest(),
            json: String::from_utf8(json.to_vec()).map_err(|e| Problem::internal(&e))?,
            drafter: caller.name.clone(),
            at_ms: now,
            closed_ms: None,
        };
        let subject = format!("study:{}", record.id);
        let mut audit = audit_event(&caller.name, &caller.role_text(), "study.draft", &subject);
        audit.detail = record.digest.to_string();
        let kept = record.clone();
        blocking(&self.store, move |s| s.add_study(&kept, &audit)).await?;
        self.study_view(record).await
    }

    /// A study that the caller may read.
    ///
    /// # Errors
    /// `study.unknown`, also for one that the policies do not let the caller read.
    pub async fn study_for(&self, caller: &Principal, id: &str) -> Result<StudyView, Problem> {
        let record = self.study_record(id).await?;
        let seen = resource(&parsed(&record)?, record.closed_ms.is_some());
        match self.authorize(caller, "study.read", seen).await {
            Ok(_) => self.study_view(record).await,
            Err(problem) if problem.kind == ProblemKind::Authorization => Err(unknown(id)),
            Err(problem) => Err(problem),
        }
    }

    /// The studies that the caller may read, newest first.
    ///
    /// # Errors
    /// Storage.
    pub async fn studies_for(&self, caller: &Principal) -> Result<Vec<StudyView>, Problem> {
        let mut views = Vec::new();
        for record in blocking(&self.store, |s| s.studies(LIST_MAX)).await? {
            let seen = resource(&parsed(&record)?, record.closed_ms.is_some());
            if self.may(caller, "study.read", seen) {
                views.push(self.study_view(record).await?);
            }
        }
        Ok(views)
    }

    /// Keeps a word on a study.
    ///
    /// # Errors
    /// `authorization.*` for another hospital's, or without a second factor; `study.signature` for a hospital's word that
    /// is not signed by it; `study.unknown`.
    pub async fn decide_study(
        &self,
        caller: &Principal,
        id: &str,
        word: Word<'_>,
    ) -> Result<StudyView, Problem> {
        let record = self.study_record(id).await?;
        let study = parsed(&record)?;
        let (hospital, admin, verdict, at_ms, json) = match word {
            Word::Decision(json) => {
                let signed: SignedDecision = serde_json::from_slice(json).map_err(|e| unreadable(&e))?;
                signed.verify(&study, self.authority.certificate(), (now_ms() / 1000) as i64)?;
                let said = signed.decision;
                (said.hospital, String::new(), said.verdict, said.at_unix_ms, json)
            }
            Word::CoSignature(json) => {
                let said: CoSignature = serde_json::from_slice(json).map_err(|e| unreadable(&e))?;
                let fits = said.digest == record.digest && study.hospitals.contains(&said.hospital);
                if !fits || crate::identity::check_name(&said.admin).is_err() {
                    let message =
                        "the word is on another study, of a hospital that is not asked, or without a name";
                    return Err(Problem::new(ProblemKind::Validation, "study.word", message));
                }
                (said.hospital, said.admin, said.verdict, said.at_unix_ms, json)
            }
        };
        if at_ms > now_ms() + SKEW_MS {
            let message = "the word is from the future";
            return Err(Problem::new(ProblemKind::Validation, "study.word", message)
                .hint("check this machine's clock"));
        }
        let action = if verdict == StudyVerdict::Approved { "study.approve" } else { "study.withdraw" };
        self.authorize(caller, action, Resource::hospital(&hospital)).await?;
        let mut audit =
            audit_event(&caller.name, &caller.role_text(), "study.decide", &format!("study:{}", record.id));
        let speaker = if admin.is_empty() { String::new() } else { format!(" ({admin})") };
        audit.detail = format!("{hospital}{speaker}: {}", verdict.as_str());
        let json = String::from_utf8(json.to_vec()).map_err(|e| Problem::internal(&e))?;
        let word = StudyWord { study: record.id.clone(), hospital, admin, json, at_ms };
        blocking(&self.store, move |s| s.put_study_word(&word, &audit)).await?;
        self.study_view(record).await
    }

    /// Closes a study: no new job runs in it.
    ///
    /// # Errors
    /// `authorization.*`, `study.unknown`, or when it is closed already.
    pub async fn close_study(&self, caller: &Principal, id: &str) -> Result<StudyView, Problem> {
        let record = self.study_record(id).await?;
        let seen = resource(&parsed(&record)?, record.closed_ms.is_some());
        self.authorize(caller, "study.close", seen).await?;
        let audit = audit_event(&caller.name, &caller.role_text(), "study.close", &format!("study:{id}"));
        let wanted = record.id.clone();
        blocking(&self.store, move |s| s.close_study(&wanted, now_ms(), &audit)).await?;
        self.study_view(StudyRecord { closed_ms: Some(now_ms()), ..record }).await
    }

    /// Checks that a query needs no study here.
    ///
    /// # Errors
    /// `study.required` where the consortium asks for one.
    pub(super) fn needs_no_study(&self) -> Result<(), Problem> {
        if !self.studies.required {
            return Ok(());
        }
        let message = "this consortium answers within studies alone";
        Err(Problem::new(ProblemKind::Compliance, "study.required", message)
            .hint("name one: `ward submit --study ID`; `ward study list` shows yours"))
    }

    /// The study that a request names, open, under these terms, and denied by no hospital of the plan. Whether one that has
    /// not decided answers all the same is for that hospital to say (broken glass).
    ///
    /// # Errors
    /// `study.unknown`, `study.closed`, `study.denied`, `study.withdrawn`.
    pub async fn study_named(&self, reference: &StudyRef, plan: &Plan) -> Result<Study, Problem> {
        let record = self.study_record(&reference.id).await?;
        if record.digest != reference.digest {
            return Err(unknown(&reference.id).hint("the request names other terms: submit it again"));
        }
        if record.closed_ms.is_some() {
            let message = format!("study {} is closed", record.id);
            return Err(
                Problem::new(ProblemKind::Compliance, "study.closed", message).hint("draft a new study")
            );
        }
        let view = self.study_view(record).await?;
        for decision in plan.hospitals.iter().filter_map(|hospital| view.decision_of(hospital)) {
            let (code, said) = match decision.verdict {
                StudyVerdict::Approved => continue,
                StudyVerdict::Denied => ("study.denied", "denied"),
                StudyVerdict::Withdrawn => ("study.withdrawn", "withdrew from"),
            };
            let message = format!("{} {said} study {}", decision.hospital, decision.study);
            return Err(Problem::new(ProblemKind::Compliance, code, message)
                .at(&decision.hospital)
                .hint("`ward study show` tells what each hospital has said"));
        }
        Ok(view.study)
    }
}

/// Checks that a plan falls under a study.
///
/// # Errors
/// As [`Study::admits`].
pub fn admits(study: &Study, plan: &Plan, researcher: &str) -> Result<(), Problem> {
    let statistics = crate::party::study::statistics_of(plan);
    study.admits(&crate::study::Question {
        researcher,
        table: &plan.query.table,
        statistics: &statistics,
        purpose: plan.purpose,
        now_ms: now_ms(),
    })
}

/// A view as it is sent.
#[must_use]
pub fn view_json(view: &StudyView) -> Vec<u8> {
    canonical_json(view)
}
