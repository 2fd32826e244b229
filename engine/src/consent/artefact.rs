//! Artefacts: one statement of one patient each, with its scope, its time, its status and where it comes from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ConsentError, Pseudonym, Purpose};
use crate::identity::{Canonical, Digest, Identity, PublicKey, Signature};

/// Context of the signature over an artefact.
pub const ARTEFACT: &str = "ward/v1/consent";
/// Deepest nesting of exceptions.
pub const DEPTH_MAX: usize = 6;
/// Most grantees, classes, purposes or exceptions of one rule.
pub const COUNT_MAX: usize = 64;
/// Longest text in a scope, in bytes.
pub const TEXT_BYTES_MAX: usize = 128;

/// What an artefact or an exception is about. An empty set is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Who may use the data: researchers, or a consortium.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub grantees: BTreeSet<String>,
    /// Which data (`labs`, `imaging`, as the hospital names its classes).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<String>,
    /// What for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub purposes: BTreeSet<Purpose>,
}

/// From when to when; unix milliseconds, the end exclusive. Nothing is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// First moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// First moment after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

impl Validity {
    /// True at that moment.
    #[must_use]
    pub fn holds(self, at_ms: u64) -> bool {
        self.from_ms.is_none_or(|from| from <= at_ms) && self.until_ms.is_none_or(|until| at_ms < until)
    }
}

/// A scope with its exceptions: of a grant they deny, of a denial they permit, and so on inwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is about.
    #[serde(default)]
    pub scope: Scope,
    /// When an exception holds; of an artefact's own rule it is [`Artefact::validity`].
    #[serde(default)]
    pub validity: Validity,
    /// What it is not about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Rule>,
}

impl Rule {
    /// True for everything with exceptions: as a denial, what holds where nothing else is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.scope == Scope::default() && !self.except.is_empty()
    }
}

/// Where an artefact stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The patient has been asked.
    Requested,
    /// The patient permits.
    Granted,
    /// The patient refuses: no grant helps against it.
    Denied,
    /// Taken back.
    Revoked,
    /// Over.
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Requested, Self::Granted, Self::Denied, Self::Revoked, Self::Expired];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// True for a status that may change.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Granted | Self::Denied)
    }

    /// True when an artefact may go from this status to that one. What was revoked or has expired stays so: a patient
    /// who consents again makes a new statement.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Requested, Self::Granted | Self::Denied)
                | (Self::Requested | Self::Granted | Self::Denied, Self::Revoked | Self::Expired)
        )
    }
}

/// Where an artefact comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// `cli`, or the document: `fhir-r4 Consent/123`.
    pub source: String,
    /// SHA-256 of the document; of nothing where there is none.
    pub digest: Digest,
    /// Who recorded it.
    pub by: String,
    /// When the patient said it (unix milliseconds).
    pub stated_ms: u64,
}

/// One statement of one patient. Its scope never changes; its status does ([`Status::may_become`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// 32 hexadecimal digits, from the patient, the scope, and which statement it is.
    pub id: String,
    /// The patient.
    pub pseudonym: Pseudonym,
    /// What is permitted or refused.
    pub rule: Rule,
    /// When.
    pub validity: Validity,
    /// Where it stands.
    pub status: Status,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Counts its statuses, from 1.
    pub version: u32,
    /// When it got this status (unix milliseconds).
    pub changed_ms: u64,
}

impl Artefact {
    /// A new artefact. A text among the classes or grantees is compared as it is written.
    ///
    /// # Errors
    /// [`ConsentError::Scope`] for a grant without purpose, a validity that is over before it begins, texts that are
    /// empty or too long, and rules that are too large or too deep.
    pub fn new(
        pseudonym: Pseudonym,
        (rule, validity): (Rule, Validity),
        status: Status,
        provenance: Provenance,
    ) -> Result<Self, ConsentError> {
        check(&rule, 0)?;
        if matches!(status, Status::Requested | Status::Granted) && rule.scope.purposes.is_empty() {
            return Err(ConsentError::Scope { reason: "a grant names what the data may be used for" });
        }
        if let (Some(from), Some(until)) = (validity.from_ms, validity.until_ms)
            && from >= until
        {
            return Err(ConsentError::Scope { reason: "it is over before it begins" });
        }
        let id = named(&pseudonym, (&rule, validity), &provenance).digest().to_string();
        let changed_ms = provenance.stated_ms;
        let id = id.chars().take(32).collect();
        Ok(Self { id, pseudonym, rule, validity, status, provenance, version: 1, changed_ms })
    }

    /// The same in its next status.
    ///
    /// # Errors
    /// [`ConsentError::Status`] when it may not get it.
    pub fn become_status(&self, next: Status, at_ms: u64) -> Result<Self, ConsentError> {
        if !self.status.may_become(next) {
            return Err(ConsentError::Status { from: self.status.as_str(), to: next.as_str() });
        }
        let (version, changed_ms) = (self.version + 1, at_ms.max(self.changed_ms));
        Ok(Self { status: next, version, changed_ms, ..self.clone() })
    }

    /// The canonical bytes.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        named(&self.pseudonym, (&self.rule, self.validity), &self.provenance)
            .bytes(&self.provenance.digest.0)
            .text(&self.provenance.by)
            .text(self.status.as_str())
            .number(u64::from(self.version))
            .number(self.changed_ms)
            .finish()
    }

    /// The hospital's, or the issuer's, signature over it.
    #[must_use]
    pub fn sign(&self, identity: &Identity) -> Signature {
        identity.sign(ARTEFACT, &[&self.canonical()])
    }

    /// True when the signature is by that key.
    #[must_use]
    pub fn is_signed(&self, key: &PublicKey, signature: &Signature) -> bool {
        key.verify(ARTEFACT, &[&self.canonical()], signature).is_ok()
    }
}

/// What tells artefacts apart: the patient, the scope, and which statement of the patient it is.
fn named(pseudonym: &Pseudonym, (rule, validity): (&Rule, Validity), provenance: &Provenance) -> Canonical {
    let head = Canonical::new("consent-artefact/1").bytes(&pseudonym.0);
    span(write(head, rule), validity).text(&provenance.source).number(provenance.stated_ms)
}

fn span(canonical: Canonical, validity: Validity) -> Canonical {
    let moment = |canonical: Canonical, at: Option<u64>| match at {
        None => canonical.number(0),
        Some(at) => canonical.number(1).number(at),
    };
    moment(moment(canonical, validity.from_ms), validity.until_ms)
}

fn write(canonical: Canonical, rule: &Rule) -> Canonical {
    let scope = &rule.scope;
    let scoped = canonical
        .each(scope.grantees.iter(), |c, grantee| c.text(grantee))
        .each(scope.classes.iter(), |c, class| c.text(class))
        .each(scope.purposes.iter(), |c, purpose| c.text(&purpose.to_string()));
    span(scoped, rule.validity).each(rule.except.iter(), write)
}

fn check(rule: &Rule, depth: usize) -> Result<(), ConsentError> {
    let refuse = |reason| Err(ConsentError::Scope { reason });
    let scope = &rule.scope;
    let counts = [scope.grantees.len(), scope.classes.len(), scope.purposes.len(), rule.except.len()];
    if depth > DEPTH_MAX || counts.iter().any(|count| *count > COUNT_MAX) {
        return refuse("its exceptions are nested too deeply, or it names too many things");
    }
    let mut texts = scope.grantees.iter().chain(&scope.classes);
    if texts.any(|t| t.is_empty() || t.len() > TEXT_BYTES_MAX || t.trim() != t) {
        return refuse("a grantee or a class is empty, too long, or has spaces around it");
    }
    rule.except.iter().try_for_each(|except| check(except, depth + 1))
}
