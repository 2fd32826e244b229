//! Consents, snapshots, and the statement as ordinary code.

use ward_math::Secret;

use super::ConsentGiven;
use crate::eligibility::Day;
use crate::field::{Element, hash_bytes};
use crate::merkle::{ARITY, Path, Tree};
use crate::poseidon::{self, Domain};
use crate::statement::Statement;

/// Levels of the tree of a snapshot: 2^21 consents.
pub const CONSENT_DEPTH: usize = 7;

/// What became of a consent. Only an active one can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Asked for.
    Requested,
    /// In force.
    Active,
    /// Refused by the patient.
    Denied,
    /// Taken back.
    Revoked,
}

impl Status {
    /// The status as a number.
    #[must_use]
    pub fn code(self) -> u64 {
        match self {
            Self::Active => 1,
            Self::Requested => 2,
            Self::Denied => 3,
            Self::Revoked => 4,
        }
    }
}

/// One consent, as it stands in a snapshot.
pub struct Consent {
    pseudonym: Secret<Element>,
    purpose: Element,
    class: Element,
    not_before: Day,
    not_after: Day,
    status: Status,
}

impl Consent {
    /// The consent of a patient to a purpose (a DUO code) and a class of data, from day to day.
    #[must_use]
    pub fn new(pseudonym: &[u8], (purpose, class): (&str, &str), days: (Day, Day), status: Status) -> Self {
        Self {
            pseudonym: Secret::new(hash_bytes("ward/pseudonym/1", &[pseudonym])),
            purpose: hash_bytes("ward/purpose/1", &[purpose.as_bytes()]),
            class: hash_bytes("ward/data-class/1", &[class.as_bytes()]),
            not_before: days.0,
            not_after: days.1,
            status,
        }
    }

    /// The leaf of the consent.
    #[must_use]
    pub fn leaf(&self) -> Element {
        let inputs = [
            *self.pseudonym.expose(),
            self.purpose,
            self.class,
            Element::from(self.not_before.0),
            Element::from(self.not_after.0),
            Element::from(self.status.code()),
        ];
        poseidon::hash(Domain::Consent, &inputs)
    }

    /// The patient in one request.
    #[must_use]
    pub fn subject(&self, request: &Element) -> Element {
        poseidon::hash(Domain::Subject, &[*self.pseudonym.expose(), *request])
    }

    pub(super) fn pseudonym(&self) -> Element {
        *self.pseudonym.expose()
    }

    pub(super) fn days(&self) -> [Day; 2] {
        [self.not_before, self.not_after]
    }

    pub(super) fn purpose_and_class(&self) -> [Element; 2] {
        [self.purpose, self.class]
    }
}

/// More consents than a snapshot has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{consents} consents, {} at most", ARITY.pow(CONSENT_DEPTH as u32))]
pub struct TooManyConsents {
    /// How many.
    pub consents: usize,
}

/// The consents of a hospital at a moment.
pub struct Snapshot {
    tree: Tree,
}

impl Snapshot {
    /// The snapshot of these leaves ([`Consent::leaf`]), in this order.
    ///
    /// # Errors
    /// `TooManyConsents`.
    pub fn new(leaves: Vec<Element>) -> Result<Self, TooManyConsents> {
        let consents = leaves.len();
        let tree = Tree::new(leaves, CONSENT_DEPTH, Element::from(0u64));
        Ok(Self { tree: tree.map_err(|_| TooManyConsents { consents })? })
    }

    /// Puts leaves in their places: those of consents that changed, or of new ones beyond the last.
    ///
    /// # Errors
    /// `TooManyConsents`, naming the place beyond the tree; nothing has changed then.
    pub fn update(&mut self, leaves: &[(usize, Element)]) -> Result<(), TooManyConsents> {
        let consents = leaves.iter().map(|(place, _)| place + 1).max().unwrap_or(0);
        self.tree.update(leaves).map_err(|_| TooManyConsents { consents })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Element {
        self.tree.root()
    }

    /// The way from the leaf at `index` to the root.
    #[must_use]
    pub fn path(&self, index: usize) -> Option<Path> {
        self.tree.path(index)
    }
}

/// What everybody sees.
#[derive(Clone, Debug)]
pub struct Public {
    /// The root of the snapshot.
    pub snapshot: Element,
    /// The purpose (a DUO code).
    pub purpose: String,
    /// The class of data.
    pub class: String,
    /// The request for data in which the patient appears once.
    pub request: Element,
    /// The day on which the consent is in force.
    pub date: Day,
    /// The patient in this request.
    pub subject: Element,
}

impl Public {
    /// Purpose and class as elements.
    #[must_use]
    pub fn purpose_and_class(&self) -> [Element; 2] {
        [
            hash_bytes("ward/purpose/1", &[self.purpose.as_bytes()]),
            hash_bytes("ward/data-class/1", &[self.class.as_bytes()]),
        ]
    }

    /// Purpose, class and request in one element.
    #[must_use]
    pub fn terms(&self) -> Element {
        let [purpose, class] = self.purpose_and_class();
        poseidon::hash(Domain::Request, &[purpose, class, self.request])
    }
}

/// What only the prover knows.
pub struct Witness {
    /// The consent.
    pub consent: Consent,
    /// Its way to the root of the snapshot.
    pub path: Path,
}

/// Why there is no consent to show: the first condition that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The consent is not in force.
    #[error("the consent is not active")]
    NotActive,
    /// It is for another purpose or class of data.
    #[error("the consent is for another purpose or class of data")]
    Scope,
    /// It begins later.
    #[error("the consent is not in force yet")]
    NotYet,
    /// It ended.
    #[error("the consent has expired")]
    Expired,
    /// It is not under the root.
    #[error("the consent is not under the root of the snapshot")]
    Snapshot,
    /// The subject is another patient, or the patient in another request.
    #[error("the subject is not the patient in this request")]
    Subject,
}

impl Statement for ConsentGiven {
    const NAME: &'static str = "ward/consent/1";
    type Public = Public;
    type Witness = Witness;
    type Violation = Violation;

    fn check(public: &Public, witness: &Witness) -> Result<(), Violation> {
        let holds = |condition: bool, violation: Violation| if condition { Ok(()) } else { Err(violation) };
        let Witness { consent, path } = witness;
        holds(consent.status == Status::Active, Violation::NotActive)?;
        holds(consent.purpose_and_class() == public.purpose_and_class(), Violation::Scope)?;
        holds(consent.not_before <= public.date, Violation::NotYet)?;
        holds(public.date <= consent.not_after, Violation::Expired)?;
        let root = if path.levels().len() == CONSENT_DEPTH { path.root(&consent.leaf()) } else { None };
        holds(root == Some(public.snapshot), Violation::Snapshot)?;
        holds(consent.subject(&public.request) == public.subject, Violation::Subject)
    }
}
