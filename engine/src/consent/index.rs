//! All consents of a hospital in memory, ready to decide about one patient after the other.
//!
//! Patients share rules: a hospital has a handful of consent forms and a million signatures. So every rule is kept once,
//! a question weighs each rule once, in every status ([`Index::lens`]), and deciding about a patient is one look-up in a
//! hash map and one in the table of these verdicts. Who asks about the same patients again and again keeps their
//! [`Place`]s: then the map is not asked either.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::Pseudonym;
use super::artefact::{Rule, Status, Validity};
use super::decision::{self, Decision, Question, Reason, Regime, Weighed};

/// A statement as the decision sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Number of the artefact at this hospital, from 1.
    pub artefact: u64,
    /// Number of its rule in the index.
    pub rule: u32,
    /// Where it stands.
    pub status: Status,
    /// When it holds.
    pub validity: Validity,
}

/// A patient's statements: nearly always one.
#[derive(Clone, Debug)]
enum Statements {
    One(Statement),
    Many(Vec<Statement>),
}

impl Statements {
    fn as_slice(&self) -> &[Statement] {
        match self {
            Self::One(statement) => std::slice::from_ref(statement),
            Self::Many(statements) => statements,
        }
    }

    fn set(&mut self, new: Statement) {
        match self {
            Self::One(known) if known.artefact == new.artefact => *known = new,
            Self::One(known) => *self = Self::Many(vec![*known, new]),
            Self::Many(all) => match all.iter_mut().find(|known| known.artefact == new.artefact) {
                Some(known) => *known = new,
                None => all.push(new),
            },
        }
    }
}

/// Pseudonyms are hashes under a secret key already: their first bytes do.
#[derive(Clone, Copy, Default)]
pub struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

/// A map by pseudonym.
pub type ByPatient<T> = HashMap<Pseudonym, T, BuildHasherDefault<FirstBytes>>;

/// Where a patient was in an index: only a hint, which is checked, so that one from another index does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// Of a patient who was in no index yet.
    pub const NONE: Self = Self(u32::MAX);
}

/// What a patient said.
#[derive(Clone)]
struct Patient {
    pseudonym: Pseudonym,
    said: Statements,
}

/// All consents of a hospital.
#[derive(Clone, Default)]
pub struct Index {
    rules: Vec<Arc<Rule>>,
    rule_ids: HashMap<Arc<Rule>, u32>,
    /// In the order in which they first said something.
    patients: Vec<Patient>,
    places: ByPatient<u32>,
    statements: usize,
    change: u64,
    /// Patients who were erased.
    erased: HashSet<Pseudonym, BuildHasherDefault<FirstBytes>>,
}

impl Index {
    /// Takes in the artefact of that number, new or in a new status. `change` is the number of the change in the
    /// hospital's history; it only grows.
    pub fn apply(
        &mut self,
        (change, artefact): (u64, u64),
        pseudonym: Pseudonym,
        (rule, validity): (&Rule, Validity),
        status: Status,
    ) {
        let rule = match self.rule_ids.get(rule) {
            Some(known) => *known,
            None => {
                let (id, shared) = (self.rules.len() as u32, Arc::new(rule.clone()));
                self.rules.push(Arc::clone(&shared));
                self.rule_ids.insert(shared, id);
                id
            }
        };
        let statement = Statement { artefact, rule, status, validity };
        let next = self.patients.len() as u32;
        let place = *self.places.entry(pseudonym).or_insert(next);
        match self.patients.get_mut(place as usize) {
            Some(Patient { said, .. }) => {
                let before = said.as_slice().len();
                said.set(statement);
                self.statements += said.as_slice().len() - before;
            }
            None => {
                self.patients.push(Patient { pseudonym, said: Statements::One(statement) });
                self.statements += 1;
            }
        }
        self.change = self.change.max(change);
    }

    /// The last change taken in.
    #[must_use]
    pub fn change(&self) -> u64 {
        self.change
    }

    /// Says that everything up to that change is taken in.
    pub fn set_change(&mut self, change: u64) {
        self.change = self.change.max(change);
    }

    /// Takes in that a patient was erased: while nothing new is said, nothing of the patient is used, whatever the regime.
    pub fn erase(&mut self, pseudonym: Pseudonym) {
        self.erased.insert(pseudonym);
    }

    /// How many artefacts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements == 0
    }

    /// How many patients have said something.
    #[must_use]
    pub fn patients(&self) -> usize {
        self.patients.len()
    }

    /// A patient's statements.
    #[must_use]
    pub fn statements(&self, pseudonym: &Pseudonym) -> &[Statement] {
        match self.places.get(pseudonym).and_then(|place| self.patients.get(*place as usize)) {
            Some(patient) => patient.said.as_slice(),
            None => &[],
        }
    }

    /// A patient's statements, looked for at a place first, which is mended where it is not the patient's.
    fn statements_at(&self, pseudonym: &Pseudonym, place: &mut Place) -> &[Statement] {
        let is_here = |patient: &&Patient| patient.pseudonym == *pseudonym;
        if let Some(patient) = self.patients.get(place.0 as usize).filter(is_here) {
            return patient.said.as_slice();
        }
        *place = self.places.get(pseudonym).map_or(Place::NONE, |place| Place(*place));
        self.patients.get(place.0 as usize).map_or(&[], |patient| patient.said.as_slice())
    }

    /// The rule of that number.
    #[must_use]
    pub fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize).map(|rule| &**rule)
    }

    /// Every statement with its patient, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Pseudonym, &Statement)> {
        self.patients
            .iter()
            .flat_map(|Patient { pseudonym, said }| said.as_slice().iter().map(move |said| (pseudonym, said)))
    }

    /// A question at a moment, with every rule weighed.
    #[must_use]
    pub fn lens(self: &Arc<Self>, regime: Regime, question: &Question, at_ms: u64) -> Lens {
        let weigh = |rule: &Arc<Rule>, permits: bool| {
            let said = |class: &String| decision::weigh(rule, permits, (question, class), at_ms);
            question.classes.iter().map(said).collect::<Vec<_>>()
        };
        let verdict = |rule| Verdict {
            by_class: [weigh(rule, true), weigh(rule, false)],
            is_default: Rule::is_default(rule),
        };
        let verdicts: Vec<Verdict> = self.rules.iter().map(verdict).collect();
        let mut lens = Lens {
            index: Arc::clone(self),
            regime,
            verdicts,
            alone: Vec::new(),
            classes: question.classes.len(),
            at_ms,
        };
        lens.alone = (0..self.rules.len() as u32).map(|rule| lens.alone(rule)).collect();
        lens
    }

    /// Decides about one patient.
    #[must_use]
    pub fn decide(
        self: &Arc<Self>,
        regime: Regime,
        pseudonym: &Pseudonym,
        (question, at_ms): (&Question, u64),
    ) -> Decision {
        self.lens(regime, question, at_ms).decide(pseudonym)
    }
}

/// A question to an index at a moment.
pub struct Lens {
    index: Arc<Index>,
    regime: Regime,
    /// By rule.
    verdicts: Vec<Verdict>,
    /// By rule: the decision about who said nothing else.
    alone: Vec<Alone>,
    classes: usize,
    at_ms: u64,
}

/// What a rule says to a question.
struct Verdict {
    /// As a grant and as a denial, by class.
    by_class: [Vec<Option<bool>>; 2],
    /// [`Rule::is_default`].
    is_default: bool,
}

/// By status, out of force and in force.
type Alone = [[Decision; 2]; Status::ALL.len()];

impl Lens {
    /// Decides about one patient: every class must be permitted; the reason is that of the first that is not.
    #[must_use]
    pub fn decide(&self, pseudonym: &Pseudonym) -> Decision {
        let mut place = Place::NONE;
        self.decide_at(pseudonym, &mut place)
    }

    /// The same of a patient whose place is remembered; it is mended where it is not the patient's any more.
    #[must_use]
    pub fn decide_at(&self, pseudonym: &Pseudonym, place: &mut Place) -> Decision {
        match self.index.statements_at(pseudonym, place) {
            [] if self.index.erased.contains(pseudonym) => {
                Decision { permitted: false, reason: Reason::Erased }
            }
            [only] => {
                let alone = self.alone.get(only.rule as usize);
                let by_status = alone.and_then(|alone| alone.get(only.status as usize));
                let in_force = only.validity.holds(self.at_ms);
                by_status.map_or_else(
                    || self.weigh(&[self.weighed(only)]),
                    |by_force| by_force[usize::from(in_force)],
                )
            }
            statements => {
                let weighed: Vec<_> = statements.iter().map(|statement| self.weighed(statement)).collect();
                self.weigh(&weighed)
            }
        }
    }

    /// The decision about who said nothing but that rule.
    fn alone(&self, rule: u32) -> Alone {
        let decided =
            |status: Status| [false, true].map(|in_force| self.weigh(&[Said { rule, status, in_force }]));
        Status::ALL.map(decided)
    }

    fn weigh(&self, statements: &[Said]) -> Decision {
        let mut last = decision::decide(self.regime, std::iter::empty());
        for class in 0..self.classes {
            let weighed = statements.iter().map(|said| self.for_class(*said, class));
            last = decision::decide(self.regime, weighed);
            if !last.permitted {
                return last;
            }
        }
        last
    }

    fn weighed(&self, statement: &Statement) -> Said {
        let Statement { rule, status, validity, .. } = *statement;
        Said { rule, status, in_force: validity.holds(self.at_ms) }
    }

    fn for_class(&self, Said { rule, status, in_force }: Said, class: usize) -> Weighed {
        let as_denial = usize::from(status == Status::Denied);
        let verdict = self.verdicts.get(rule as usize);
        let said = verdict.and_then(|verdict| verdict.by_class[as_denial].get(class).copied()).flatten();
        let is_default = verdict.is_some_and(|verdict| verdict.is_default);
        Weighed { status, in_force, said, is_default }
    }
}

/// A statement at the moment of the question.
#[derive(Clone, Copy)]
struct Said {
    rule: u32,
    status: Status,
    in_force: bool,
}
