//! Studies: what a group of researchers wants to ask of which hospitals, for what purpose, until when; and each
//! hospital's signed word on it.
//!
//! A [`Study`] is drafted once and never changes: its digest is what hospitals sign ([`Decision`]), what a researcher
//! names in a request ([`StudyRef`]), and what plan and receipt carry. The engine stores and forwards; a hospital goes by
//! the copy that it stored when it decided.

mod decision;
mod rules;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use ward_protocols::dp;

pub use decision::{CoSignature, Decision, SignedDecision, StudyVerdict};
pub use rules::{Question, REASON_BYTES_MAX};

use crate::consent::Purpose;
use crate::encoding::{Digest, canonical_json, separated};
use crate::identity::check_name;
use crate::party::local::policy::StatisticKind;
use crate::problem::{Problem, ProblemKind};

/// Version of a study's canonical form.
pub const STUDY_VERSION: u32 = 1;
/// Most names in one list of a study.
const LIST_MAX: usize = 256;
/// Longest title or ethics reference, bytes.
const TEXT_BYTES_MAX: usize = 512;
/// Highest floor of a study.
const FLOOR_MAX: u32 = 1_000_000;

/// A study, as it was drafted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// [`STUDY_VERSION`].
    pub version: u32,
    /// The consortium.
    pub consortium: String,
    /// Its id: a-z, 0-9, hyphens.
    pub id: String,
    /// What it is about, in a sentence.
    pub title: String,
    /// Who drafted it; the engine's word.
    pub drafter: String,
    /// Researchers that may ask in it.
    pub members: BTreeSet<String>,
    /// For what: codes of the Data Use Ontology.
    pub purposes: BTreeSet<Purpose>,
    /// Tables that may be asked.
    pub tables: BTreeSet<String>,
    /// Statistics that may be asked, by the names of a hospital's policy; empty for all that a hospital allows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub statistics: BTreeSet<String>,
    /// Floor k of its answers; the consortium's and the hospital's apply where they are higher.
    pub floor: u32,
    /// What all its answers together may cost in privacy; none where no noise is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Reference of the ethics vote.
    pub ethics: String,
    /// Hospitals that are asked.
    pub hospitals: BTreeSet<String>,
    /// When it was drafted (unix milliseconds).
    pub drafted_unix_ms: u64,
    /// First moment at which it runs no more (unix milliseconds).
    pub ends_unix_ms: u64,
}

/// A privacy budget: (epsilon, delta), in whole numbers so that a study has one canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Thousandths of epsilon.
    pub epsilon_milli: u64,
    /// 10^-12 of delta.
    pub delta_pico: u64,
}

/// A study as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRef {
    /// Its id.
    pub id: String,
    /// Its digest.
    pub digest: Digest,
    /// Its floor, so that every node makes the same plan, whether it keeps a copy of the study or not.
    pub floor: u32,
}

/// A study with what everybody said of it, as the engine tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyView {
    /// The study.
    pub study: Study,
    /// Its digest.
    pub digest: Digest,
    /// Closed: no new job runs in it.
    pub closed: bool,
    /// The hospitals' words, the last of each.
    pub decisions: Vec<SignedDecision>,
    /// Administrators' words, which their hospitals count.
    #[serde(default)]
    pub cosignatures: Vec<CoSignature>,
}

impl Budget {
    /// The largest cost within it, in 10^-9 of rho (zero-concentrated differential privacy), rounded down.
    #[must_use]
    pub fn rho_nano(self) -> u64 {
        let rho = dp::rho_of(self.epsilon_milli as f64 / 1e3, self.delta_pico as f64 / 1e12);
        (rho * 1e9).floor() as u64
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epsilon {}, delta {:e}", self.epsilon_milli as f64 / 1e3, self.delta_pico as f64 / 1e12)
    }
}

impl StudyRef {
    /// What of it goes into a plan: the digest, and the floor.
    #[must_use]
    pub fn terms(&self) -> (Digest, u32) {
        (self.digest, self.floor)
    }
}

impl StudyView {
    /// A hospital's last word.
    #[must_use]
    pub fn decision_of(&self, hospital: &str) -> Option<&Decision> {
        self.decisions.iter().map(|signed| &signed.decision).find(|decision| decision.hospital == hospital)
    }
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

impl Study {
    /// Its digest: what is signed, and what request, plan and receipt name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        separated("ward/v1/study", &[&canonical_json(self)])
    }

    /// How a request names it.
    #[must_use]
    pub fn reference(&self) -> StudyRef {
        StudyRef { id: self.id.clone(), digest: self.digest(), floor: self.floor }
    }

    /// Reads a study in its canonical form, and checks it.
    ///
    /// # Errors
    /// `study.unreadable`, `study.canonical`, or as [`Self::check`].
    pub fn from_json(json: &[u8]) -> Result<Self, Problem> {
        let study: Self = serde_json::from_slice(json)
            .map_err(|e| invalid("study.unreadable", format!("the study does not parse: {e}")))?;
        if canonical_json(&study) != json {
            return Err(invalid("study.canonical", "the study is not in its canonical form"));
        }
        study.check()?;
        Ok(study)
    }

    /// Checks that it makes sense by itself.
    ///
    /// # Errors
    /// `study.malformed` naming the field.
    pub fn check(&self) -> Result<(), Problem> {
        let bad = |what: String, hint: &str| Err(invalid("study.malformed", what).hint(hint));
        if self.version != STUDY_VERSION {
            return bad(format!("version {} of a study is not known", self.version), "use a newer ward");
        }
        let names = [&self.id, &self.consortium, &self.drafter];
        let names = names.into_iter().chain(&self.members).chain(&self.hospitals);
        if let Some(name) = names.into_iter().find(|name| check_name(name).is_err()) {
            return bad(format!("`{name}` is no name"), "names are a-z, 0-9 and inner hyphens");
        }
        for (what, count, least) in [
            ("members", self.members.len(), 1),
            ("purposes", self.purposes.len(), 1),
            ("tables", self.tables.len(), 1),
            ("hospitals", self.hospitals.len(), 1),
            ("statistics", self.statistics.len(), 0),
        ] {
            if count < least || count > LIST_MAX {
                return bad(
                    format!("{count} {what}"),
                    "a study names its members, purposes, tables and hospitals",
                );
            }
        }
        for (what, text) in [("title", &self.title), ("ethics reference", &self.ethics)] {
            if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                return bad(
                    format!("the {what} is empty, too long or has control characters"),
                    "write one line",
                );
            }
        }
        if let Some(name) = self.statistics.iter().find(|name| StatisticKind::from_name(name).is_none()) {
            let known = StatisticKind::ALL.map(StatisticKind::name).join(", ");
            return bad(format!("no statistic `{name}`"), &format!("the statistics are {known}"));
        }
        if !(1..=FLOOR_MAX).contains(&self.floor) {
            return bad(format!("a floor of {}", self.floor), "the floor is at least 1");
        }
        let fits = |b: Budget| b.epsilon_milli > 0 && (1..1_000_000_000_000).contains(&b.delta_pico);
        if self.budget.is_some_and(|budget| !fits(budget)) {
            return bad(
                "a budget without epsilon, or with a delta that is not between 0 and 1".to_owned(),
                "leave the budget out where no noise is asked for",
            );
        }
        if self.ends_unix_ms <= self.drafted_unix_ms {
            return bad("it ends before it begins".to_owned(), "give --ends as a day to come");
        }
        Ok(())
    }
}
