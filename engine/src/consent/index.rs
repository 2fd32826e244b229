//! All consents of a hospital in memory, ready to decide about one patient after the other.
//!
//! Patients share rules: a hospital has a handful of consent forms and a million signatures. So every rule is kept once,
//! a question weighs each rule once ([`Index::lens`]), and deciding about a patient is one look-up in a hash map and a
//! few comparisons.

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

/// All consents of a hospital.
#[derive(Clone, Default)]
pub struct Index {
    rules: Vec<Arc<Rule>>,
    rule_ids: HashMap<Arc<Rule>, u32>,
    patients: ByPatient<Statements>,
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
        let before = self.patients.get(&pseudonym).map_or(0, |known| known.as_slice().len());
        let entry = self.patients.entry(pseudonym).or_insert(Statements::One(statement));
        entry.set(statement);
        self.statements += entry.as_slice().len() - before;
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
        self.patients.get(pseudonym).map_or(&[], Statements::as_slice)
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
            .flat_map(|(who, all)| all.as_slice().iter().map(move |statement| (who, statement)))
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
        let verdicts = self.rules.iter().map(verdict).collect();
        Lens { index: Arc::clone(self), regime, verdicts, classes: question.classes.len(), at_ms }
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

impl Lens {
    /// Decides about one patient: every class must be permitted; the reason is that of the first that is not.
    #[must_use]
    pub fn decide(&self, pseudonym: &Pseudonym) -> Decision {
        let statements = self.index.statements(pseudonym);
        if statements.is_empty() && self.index.erased.contains(pseudonym) {
            return Decision { permitted: false, reason: Reason::Erased };
        }
        let mut last = decision::decide(self.regime, std::iter::empty());
        for class in 0..self.classes {
            let weighed = statements.iter().map(|statement| self.weighed(statement, class));
            last = decision::decide(self.regime, weighed);
            if !last.permitted {
                return last;
            }
        }
        last
    }

    fn weighed(&self, statement: &Statement, class: usize) -> Weighed {
        let as_denial = usize::from(statement.status == Status::Denied);
        let verdict = self.verdicts.get(statement.rule as usize);
        let said = verdict.and_then(|verdict| verdict.by_class[as_denial].get(class).copied()).flatten();
        let is_default = verdict.is_some_and(|verdict| verdict.is_default);
        let in_force = statement.validity.holds(self.at_ms);
        Weighed { status: statement.status, in_force, said, is_default }
    }
}
