//! The decision: may this patient's data of these classes be used by this grantee, for this purpose, now?
//!
//! Pure. Over all of a patient's artefacts a denial wins over every grant, and a grant must cover the whole question
//! where a denial need only touch it: what is broader than a grant is not permitted, what is broader than a denial is
//! refused. Exceptions hold against the rule they are in, and against nothing else. A denial of everything with exceptions
//! ("no, but for ...") is what holds where nothing else is said: other grants stand beside it.

use serde::{Deserialize, Serialize};

use super::Purpose;
use super::artefact::{Rule, Scope, Status};

/// What a patient without any statement means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regime {
    /// Consent is not asked for: every row is used, as if this module were not there.
    #[default]
    None,
    /// Who said nothing has not consented.
    OptIn,
    /// Who said nothing has not objected.
    OptOut,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Names under which who asks may have been granted access (the researcher, the consortium).
    pub grantees: Vec<String>,
    /// What for.
    pub purpose: Purpose,
    /// Classes of data in use; each must be permitted.
    pub classes: Vec<String>,
}

/// The answer about one patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Whether the data may be used.
    pub permitted: bool,
    /// Why.
    pub reason: Reason,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A grant covers the question.
    Granted,
    /// Nothing was said, and none need be.
    NotObjected,
    /// The hospital asks for no consent, whatever was said.
    NotAsked,
    /// The patient refused.
    Denied,
    /// The patient took the consent back.
    Revoked,
    /// The consent is not in force at that time.
    NotInForce,
    /// The consent is for other uses, data or people.
    OtherScope,
    /// The patient was asked and has not answered.
    Requested,
    /// Nothing was said.
    Absent,
    /// What was said was erased with the patient's record.
    Erased,
}

impl Scope {
    /// True when it takes in the whole question, for one class.
    pub(super) fn covers(&self, question: &Question, class: &str) -> bool {
        self.is_for(question)
            && (self.classes.is_empty() || self.classes.contains(class))
            && (self.purposes.is_empty() || self.purposes.iter().any(|p| p.covers(question.purpose)))
    }

    /// True when it touches the question.
    pub(super) fn overlaps(&self, question: &Question, class: &str) -> bool {
        self.is_for(question)
            && (self.classes.is_empty() || self.classes.contains(class))
            && (self.purposes.is_empty() || self.purposes.iter().any(|p| p.overlaps(question.purpose)))
    }

    fn is_for(&self, question: &Question) -> bool {
        self.grantees.is_empty() || question.grantees.iter().any(|name| self.grantees.contains(name))
    }
}

/// What a rule says: permit, deny, or nothing.
pub(super) fn weigh(
    rule: &Rule,
    permits: bool,
    (question, class): (&Question, &str),
    at_ms: u64,
) -> Option<bool> {
    if !rule.validity.holds(at_ms) {
        return None;
    }
    let mut inner = rule.except.iter().map(|except| weigh(except, !permits, (question, class), at_ms));
    if permits {
        if !rule.scope.covers(question, class) {
            return None;
        }
        return Some(!inner.any(|said| said == Some(false)));
    }
    if !rule.scope.overlaps(question, class) {
        return None;
    }
    match inner.any(|said| said == Some(true)) {
        false => Some(false),
        // The exception lifts the denial; it permits only what the denial was about.
        true => rule.scope.covers(question, class).then_some(true),
    }
}

/// One statement, weighed.
#[derive(Clone, Copy)]
pub(super) struct Weighed {
    pub status: Status,
    /// Whether it is in force.
    pub in_force: bool,
    /// What its rule says, as a grant or as a denial.
    pub said: Option<bool>,
    /// Whether it is a denial of everything with exceptions: what holds where nothing else is said.
    pub is_default: bool,
}

/// The decision over all statements of a patient, for one class.
pub(super) fn decide(regime: Regime, statements: impl Iterator<Item = Weighed>) -> Decision {
    let mut granted = false;
    let mut why = Reason::Absent;
    for Weighed { status, in_force, said, is_default } in statements {
        let found = match (status, in_force, said) {
            (Status::Denied, true, Some(false)) if is_default => Reason::Denied,
            (Status::Granted | Status::Denied, true, Some(false)) => {
                return Decision { permitted: false, reason: Reason::Denied };
            }
            (Status::Granted | Status::Denied, true, Some(true)) => {
                granted = true;
                continue;
            }
            (Status::Granted, true, None) => Reason::OtherScope,
            (Status::Revoked, _, Some(_)) => Reason::Revoked,
            (Status::Expired, _, Some(true)) | (Status::Granted, false, Some(true)) => Reason::NotInForce,
            (Status::Requested, _, Some(_)) => Reason::Requested,
            _ => continue,
        };
        why = why.min(found);
    }
    match regime {
        _ if granted => Decision { permitted: true, reason: Reason::Granted },
        Regime::None => Decision { permitted: true, reason: Reason::NotAsked },
        // Who took a consent back has objected.
        Regime::OptOut if !matches!(why, Reason::Revoked | Reason::Denied) => {
            Decision { permitted: true, reason: Reason::NotObjected }
        }
        _ => Decision { permitted: false, reason: why },
    }
}
