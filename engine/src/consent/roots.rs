//! The tree of consents: its root says under which consents a job ran, and under it a patient can show theirs.
//!
//! It is the tree of the statement `ward/consent/1` (`ward_circuits::consent`): Poseidon hashes, eight children to a
//! node. Every artefact has a leaf for each purpose and class that it names; so has every exception of a denial that
//! permits. A leaf is active when the artefact is granted (the exception: when the denial is in force as a status), and
//! nothing that the same patient refused touches its scope: what is shown to be active is permitted by the decision. The
//! leaf's texts carry the limits that the statement has no field for: no class is `*`, and a class limited to a grantee
//! is `class@grantee`.
//!
//! # Security
//! A leaf hides its consent: the pseudonym in it has 256 bits that only the hospital can compute. The first leaf is
//! pseudorandom and new in every version, so that two versions never share a root, and a root says nothing, not even whether
//! anything changed. The days of a leaf are whole days (UTC), the days in which its first and its last moment lie.

use std::collections::HashMap;

use ward_circuits::consent::{CONSENT_DEPTH, Consent, Snapshot, Status as LeafStatus};
use ward_circuits::eligibility::Day;
use ward_circuits::field::{self, Element};

use super::artefact::{Rule, Scope, Status, Validity};
use super::{ConsentError, Index, Pseudonym, Purpose, Question};
use crate::encoding::Digest;

const DAY_MS: u64 = 86_400_000;
/// Days from 1900-01-01, from which statements count, to 1970-01-01.
const EPOCH_DAYS: u64 = 25_567;
/// The last day of a consent without end: beyond every date.
const NO_END: Day = Day((1 << 24) - 1);
/// Leaves of a tree, the first, which says nothing, among them.
const LEAVES_MAX: usize = 1 << (3 * CONSENT_DEPTH);
/// Most leaves of one artefact.
const LEAVES_OF_ONE_MAX: usize = 1024;
/// Stands for every class.
const ANY: &str = "*";

/// One leaf: what it says, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its place in the tree.
    pub place: usize,
    /// The purpose.
    pub purpose: Purpose,
    /// The class, with the grantee where there is a limit.
    pub class: String,
    /// First and last day.
    pub days: (Day, Day),
    /// Whether it can be shown.
    pub is_active: bool,
}

/// The tree of a hospital's consents.
pub struct Roots {
    snapshot: Snapshot,
    /// First leaf of every artefact.
    places: HashMap<u64, usize>,
    used: usize,
}

impl Roots {
    /// The tree of an index. The same consents make the same tree but for its first leaf, `salt`.
    ///
    /// # Errors
    /// [`ConsentError::Room`].
    pub fn new(index: &Index, salt: &Element) -> Result<Self, ConsentError> {
        let mut all: Vec<_> = index.iter().collect();
        all.sort_unstable_by_key(|(_, statement)| statement.artefact);
        let mut roots = Self { snapshot: empty()?, places: HashMap::new(), used: 1 };
        let mut leaves = vec![*salt];
        for (pseudonym, statement) in all {
            let Some(rule) = index.rule(statement.rule) else { continue };
            roots.places.insert(statement.artefact, leaves.len());
            let found = leaves_of(index, pseudonym, (rule, statement.status, statement.validity));
            leaves.extend(found.iter().map(|leaf| element(pseudonym, leaf)));
        }
        roots.used = leaves.len();
        roots.snapshot = Snapshot::new(leaves).map_err(|_| room(roots.used))?;
        Ok(roots)
    }

    /// Takes in what these patients said since, and a new first leaf.
    ///
    /// # Errors
    /// [`ConsentError::Room`]; the tree must then be made anew.
    pub fn update(
        &mut self,
        index: &Index,
        patients: &[Pseudonym],
        salt: &Element,
    ) -> Result<(), ConsentError> {
        let mut changed = vec![(0, *salt)];
        let mut all: Vec<_> =
            patients.iter().flat_map(|who| index.statements(who).iter().map(move |s| (who, s))).collect();
        all.sort_unstable_by_key(|(_, statement)| statement.artefact);
        all.dedup_by_key(|(_, statement)| statement.artefact);
        for (pseudonym, statement) in all {
            let Some(rule) = index.rule(statement.rule) else { continue };
            let leaves = leaves_of(index, pseudonym, (rule, statement.status, statement.validity));
            let first = *self.places.entry(statement.artefact).or_insert(self.used);
            self.used = self.used.max(first + leaves.len());
            changed.extend(leaves.iter().enumerate().map(|(i, leaf)| (first + i, element(pseudonym, leaf))));
        }
        self.snapshot.update(&changed).map_err(|_| room(self.used))
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        Digest(field::to_bytes(&self.snapshot.root()))
    }

    /// The tree.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// A patient's leaves.
    #[must_use]
    pub fn leaves(&self, index: &Index, pseudonym: &Pseudonym) -> Vec<Leaf> {
        let mut found = Vec::new();
        for statement in index.statements(pseudonym) {
            let (Some(rule), Some(first)) =
                (index.rule(statement.rule), self.places.get(&statement.artefact))
            else {
                continue;
            };
            let leaves = leaves_of(index, pseudonym, (rule, statement.status, statement.validity));
            found.extend(leaves.into_iter().enumerate().map(|(i, leaf)| Leaf { place: first + i, ..leaf }));
        }
        found
    }
}

impl Leaf {
    /// The consent as the statement has it.
    #[must_use]
    pub fn consent(&self, pseudonym: &Pseudonym) -> Consent {
        let status = if self.is_active { LeafStatus::Active } else { LeafStatus::Denied };
        let scope = (self.purpose.to_string(), self.class.clone());
        Consent::new(&pseudonym.0, (&scope.0, &scope.1), self.days, status)
    }
}

fn empty() -> Result<Snapshot, ConsentError> {
    Snapshot::new(Vec::new()).map_err(|_| room(0))
}

fn room(leaves: usize) -> ConsentError {
    ConsentError::Room { leaves, leaves_max: LEAVES_MAX }
}

fn element(pseudonym: &Pseudonym, leaf: &Leaf) -> Element {
    leaf.consent(pseudonym).leaf()
}

/// The leaves of one artefact, in an order that follows from its rule alone.
fn leaves_of(
    index: &Index,
    pseudonym: &Pseudonym,
    (rule, status, validity): (&Rule, Status, Validity),
) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut add = |scope: &Scope, validity: Validity, permits: bool, within: Option<&Rule>| {
        for (purpose, class, grantee) in parts(scope) {
            let is_active = permits
                && within.is_none_or(|rule| holds(&rule.scope, (purpose, class, grantee)))
                && !touched(index, pseudonym, (scope, purpose, class), within);
            let class = grantee.map_or(class.to_owned(), |grantee| format!("{class}@{grantee}"));
            leaves.push(Leaf { place: 0, purpose, class, days: days(validity), is_active });
        }
    };
    add(&rule.scope, validity, status == Status::Granted, None);
    for except in &rule.except {
        let scope = within(&rule.scope, &except.scope);
        add(&scope, both(validity, except.validity), status == Status::Denied, Some(rule));
    }
    leaves.truncate(LEAVES_OF_ONE_MAX);
    leaves
}

/// Every purpose, class and grantee that a scope names.
fn parts(scope: &Scope) -> impl Iterator<Item = (Purpose, &str, Option<&str>)> {
    let purposes: Vec<Purpose> = match scope.purposes.is_empty() {
        true => Purpose::parse("NRES").into_iter().collect(),
        false => scope.purposes.iter().copied().collect(),
    };
    let classes: Vec<&str> =
        if scope.classes.is_empty() { vec![ANY] } else { scope.classes.iter().map(String::as_str).collect() };
    let grantees: Vec<Option<&str>> = match scope.grantees.is_empty() {
        true => vec![None],
        false => scope.grantees.iter().map(|grantee| Some(grantee.as_str())).collect(),
    };
    purposes.into_iter().flat_map(move |purpose| {
        let (classes, grantees) = (classes.clone(), grantees.clone());
        classes
            .into_iter()
            .flat_map(move |class| grantees.clone().into_iter().map(move |grantee| (purpose, class, grantee)))
    })
}

/// An exception's scope inside its rule's: where it sets no limit, the rule's holds.
fn within(outer: &Scope, inner: &Scope) -> Scope {
    let or = |inner: &std::collections::BTreeSet<String>, outer: &std::collections::BTreeSet<String>| {
        if inner.is_empty() { outer.clone() } else { inner.clone() }
    };
    Scope {
        grantees: or(&inner.grantees, &outer.grantees),
        classes: or(&inner.classes, &outer.classes),
        purposes: if inner.purposes.is_empty() { outer.purposes.clone() } else { inner.purposes.clone() },
    }
}

fn both(outer: Validity, inner: Validity) -> Validity {
    let latest = |a: Option<u64>, b: Option<u64>| a.max(b);
    let earliest = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Validity {
        from_ms: latest(outer.from_ms, inner.from_ms),
        until_ms: earliest(outer.until_ms, inner.until_ms),
    }
}

/// The day of a moment (unix milliseconds), as statements count days.
pub(super) fn day_of(ms: u64) -> Day {
    Day(u32::try_from(ms / DAY_MS + EPOCH_DAYS).unwrap_or(NO_END.0).min(NO_END.0))
}

fn days(validity: Validity) -> (Day, Day) {
    let last = validity.until_ms.map_or(NO_END, |until| day_of(until.saturating_sub(1)));
    (validity.from_ms.map_or(Day(0), day_of), last)
}

/// True when a scope takes all of this in.
fn holds(scope: &Scope, (purpose, class, grantee): (Purpose, &str, Option<&str>)) -> bool {
    let grantees = grantee.map(str::to_owned).into_iter().collect();
    scope.covers(&Question { grantees, purpose, classes: Vec::new() }, class)
}

/// True when something that the patient refused touches the scope: any denial, however deep, and whenever it holds, but
/// the one that the scope is an exception of.
fn touched(
    index: &Index,
    pseudonym: &Pseudonym,
    (scope, purpose, class): (&Scope, Purpose, &str),
    exception_of: Option<&Rule>,
) -> bool {
    index.statements(pseudonym).iter().filter(|s| s.status.is_open()).any(|statement| {
        index.rule(statement.rule).is_some_and(|rule| {
            // What holds where nothing else is said is a whole statement: inside one, a denial of everything is a denial.
            let is_lifted = exception_of == Some(rule) || rule.is_default();
            let is_denial = statement.status == Status::Denied;
            denies(rule, (is_denial, is_lifted), (scope, purpose, class))
        })
    })
}

fn denies(rule: &Rule, (is_denial, is_lifted): (bool, bool), part: (&Scope, Purpose, &str)) -> bool {
    let (scope, purpose, class) = part;
    let own = is_denial && !is_lifted && {
        let grantees: Vec<String> = match scope.grantees.is_empty() {
            // Everybody: whoever the denial is for is among them.
            true => rule.scope.grantees.iter().cloned().collect(),
            false => scope.grantees.iter().cloned().collect(),
        };
        let question = Question { grantees, purpose, classes: Vec::new() };
        let any_class = class == ANY && !rule.scope.classes.is_empty();
        let named = rule.scope.classes.first().map_or(class, |first| if any_class { first } else { class });
        rule.scope.overlaps(&question, named)
    };
    own || rule.except.iter().any(|except| denies(except, (!is_denial, false), part))
}
