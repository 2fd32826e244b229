//! The words of eligibility: slots, attributes, clauses, criteria.
//!
//! A credential has [`SLOTS`] attribute slots. A slot holds a whole number from 0 to 2^64 - 1 or nothing. Which
//! number means what (a date in days since 1900-01-01, a laboratory value in fixed point, a code such that a
//! branch of its hierarchy is one interval) is said by a schema, which statements name but do not read.
//!
//! A list of codes occupies a [`Run`] of slots: [`Slot::Before`], the codes in ascending order, then
//! [`Slot::Absent`] to the end of the run, at least once. "No code of the list lies in the interval" is then two
//! neighbours with the interval between them, if the issuer says that the list is complete.

use std::sync::{Arc, OnceLock};

use zeroize::Zeroize;

use super::encoding;
use super::set::CodeSet;
use crate::field::Element;

/// Attribute slots of a credential.
pub const SLOTS: usize = 32;

/// Clauses of a criteria at most.
pub const CLAUSES_MAX: usize = 16;

/// Clauses that name a set, at most.
pub const SET_CLAUSES_MAX: usize = 4;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroize)]
pub enum Slot {
    /// Nothing: unknown, not recorded, or the end of a list. No clause holds of it. Stands above every number.
    Absent,
    /// The head of a list. Stands below every number.
    Before,
    /// A number.
    Value(u64),
}

impl Slot {
    /// The place of the slot in the order of numbers: -1, the number, 2^64.
    #[must_use]
    pub fn position(self) -> i128 {
        match self {
            Self::Before => -1,
            Self::Value(value) => i128::from(value),
            Self::Absent => 1 << 64,
        }
    }
}

/// The index of a slot, below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotIndex(u8);

impl SlotIndex {
    /// The slot at `index`.
    ///
    /// # Errors
    /// [`CriteriaError::NoSuchSlot`] from [`SLOTS`] on.
    pub fn new(index: usize) -> Result<Self, CriteriaError> {
        match u8::try_from(index) {
            Ok(small) if index < SLOTS => Ok(Self(small)),
            _ => Err(CriteriaError::NoSuchSlot { index }),
        }
    }

    /// The index as a number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// Neighbouring slots, `first` and `last` included: one attribute, or a list of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    first: SlotIndex,
    last: SlotIndex,
}

impl Run {
    /// The run of one slot.
    #[must_use]
    pub fn one(slot: SlotIndex) -> Self {
        Self { first: slot, last: slot }
    }

    /// `len` slots from `first` on.
    ///
    /// # Errors
    /// [`CriteriaError::EmptyRun`], or [`CriteriaError::NoSuchSlot`] when it ends beyond the last slot.
    pub fn new(first: SlotIndex, len: usize) -> Result<Self, CriteriaError> {
        let length = len.checked_sub(1).ok_or(CriteriaError::EmptyRun)?;
        Ok(Self { first, last: SlotIndex::new(first.get().saturating_add(length))? })
    }

    /// The first slot.
    #[must_use]
    pub fn first(self) -> SlotIndex {
        self.first
    }

    /// The last slot.
    #[must_use]
    pub fn last(self) -> SlotIndex {
        self.last
    }

    /// How many slots.
    #[must_use]
    pub fn len(self) -> usize {
        self.last.get() - self.first.get() + 1
    }

    /// Never: a run has a slot.
    #[must_use]
    pub fn is_empty(self) -> bool {
        false
    }

    /// The indices of its slots.
    pub fn indices(self) -> std::ops::RangeInclusive<usize> {
        self.first.get()..=self.last.get()
    }
}

/// Numbers from `low` to `high`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    low: u64,
    high: u64,
}

impl Interval {
    /// Every number.
    pub const ALL: Self = Self { low: 0, high: u64::MAX };

    /// From `low` to `high`.
    ///
    /// # Errors
    /// [`CriteriaError::EmptyInterval`] when `low` is above `high`.
    pub fn new(low: u64, high: u64) -> Result<Self, CriteriaError> {
        if low > high {
            return Err(CriteriaError::EmptyInterval { low, high });
        }
        Ok(Self { low, high })
    }

    /// One number.
    #[must_use]
    pub fn point(value: u64) -> Self {
        Self { low: value, high: value }
    }

    /// From `low` on.
    #[must_use]
    pub fn at_least(low: u64) -> Self {
        Self { low, high: u64::MAX }
    }

    /// Up to `high`, which is included.
    #[must_use]
    pub fn at_most(high: u64) -> Self {
        Self { low: 0, high }
    }

    /// The lowest number.
    #[must_use]
    pub fn low(self) -> u64 {
        self.low
    }

    /// The highest number.
    #[must_use]
    pub fn high(self) -> u64 {
        self.high
    }

    /// Whether the slot holds a number of the interval.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        matches!(slot, Slot::Value(value) if (self.low..=self.high).contains(&value))
    }
}

/// What a clause asks of the slots that it looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Some slot of the run holds a number of the interval. `=`, `<=`, `>=`, `between`; of a list: any of.
    Within(Interval),
    /// The slot holds a number, and not one of the interval. `!=`, not between.
    Outside(Interval),
    /// The list is complete, and none of its codes lies in the interval. None of.
    NoneWithin(Interval),
    /// Some slot of the run holds a member of the set.
    InSet(CodeSet),
    /// The slot holds a number, and not a member of the set.
    NotInSet(CodeSet),
}

impl Test {
    /// Whether it names a set.
    #[must_use]
    pub fn has_set(&self) -> bool {
        matches!(self, Self::InSet(_) | Self::NotInSet(_))
    }
}

/// One condition on the slots of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    run: Run,
    test: Test,
}

impl Clause {
    /// Asks `test` of `run`.
    ///
    /// # Errors
    /// [`CriteriaError::NotOneSlot`] when the test is for one slot and the run has more;
    /// [`CriteriaError::NoList`] when it is for a list and the run is too short to be one.
    pub fn new(run: Run, test: Test) -> Result<Self, CriteriaError> {
        let slots = run.len();
        match test {
            Test::Outside(_) | Test::NotInSet(_) if slots != 1 => Err(CriteriaError::NotOneSlot { slots }),
            Test::NoneWithin(_) if slots < 2 => Err(CriteriaError::NoList { slots }),
            _ => Ok(Self { run, test }),
        }
    }

    /// The slots that it looks at.
    #[must_use]
    pub fn run(&self) -> Run {
        self.run
    }

    /// What it asks of them.
    #[must_use]
    pub fn test(&self) -> &Test {
        &self.test
    }
}

/// Every group holds; a group holds when one of its clauses does.
#[derive(Clone)]
pub struct Criteria {
    groups: Arc<[Vec<Clause>]>,
    /// Computed once, for the criteria and all its clones.
    digest: Arc<OnceLock<Element>>,
}

impl PartialEq for Criteria {
    fn eq(&self, other: &Self) -> bool {
        self.groups == other.groups
    }
}

impl Eq for Criteria {}

impl std::fmt::Debug for Criteria {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Criteria").field("groups", &self.groups).finish()
    }
}

impl Criteria {
    /// The conjunction of `groups`, each the disjunction of its clauses.
    ///
    /// # Errors
    /// No group or an empty one, or more clauses than [`CLAUSES_MAX`] or [`SET_CLAUSES_MAX`].
    pub fn new(groups: Vec<Vec<Clause>>) -> Result<Self, CriteriaError> {
        if groups.is_empty() || groups.iter().any(Vec::is_empty) {
            return Err(CriteriaError::EmptyGroup);
        }
        let clauses = groups.iter().map(Vec::len).sum();
        if clauses > CLAUSES_MAX {
            return Err(CriteriaError::TooManyClauses { clauses });
        }
        let sets = groups.iter().flatten().filter(|clause| clause.test.has_set()).count();
        if sets > SET_CLAUSES_MAX {
            return Err(CriteriaError::TooManySets { sets });
        }
        Ok(Self { groups: groups.into(), digest: Arc::default() })
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Vec<Clause>] {
        &self.groups
    }

    /// The digest that the circuit opens. A millisecond the first time.
    #[must_use]
    pub fn digest(&self) -> Element {
        *self.digest.get_or_init(|| encoding::digest(self))
    }

    /// All clauses, group after group: the order in which the circuit numbers them.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.groups.iter().flatten()
    }
}

/// What no criteria, and no list of a credential, can be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CriteriaError {
    /// A slot that no credential has.
    #[error("slot {index}, and a credential has {SLOTS}")]
    NoSuchSlot {
        /// The index given.
        index: usize,
    },
    /// A run without slots.
    #[error("a run without slots")]
    EmptyRun,
    /// An interval without numbers.
    #[error("no number is at least {low} and at most {high}")]
    EmptyInterval {
        /// Its low end.
        low: u64,
        /// Its high end.
        high: u64,
    },
    /// A test of one slot on a run of more.
    #[error("a test of one slot on {slots}")]
    NotOneSlot {
        /// Slots of the run.
        slots: usize,
    },
    /// A test of a list on a run that holds none.
    #[error("a test of a list on {slots} slots, which hold none")]
    NoList {
        /// Slots of the run.
        slots: usize,
    },
    /// No group, or a group without clauses.
    #[error("a group without clauses")]
    EmptyGroup,
    /// More clauses than the circuit has.
    #[error("{clauses} clauses, {CLAUSES_MAX} at most")]
    TooManyClauses {
        /// How many.
        clauses: usize,
    },
    /// More sets than the circuit opens.
    #[error("{sets} clauses name a set, {SET_CLAUSES_MAX} at most")]
    TooManySets {
        /// How many.
        sets: usize,
    },
    /// More intervals than a set has room for.
    #[error("{intervals} intervals in a set, {} at most", super::set::INTERVALS_MAX)]
    SetTooLarge {
        /// How many.
        intervals: usize,
    },
    /// More codes than the run has room for.
    #[error("{codes} codes, and the list has room for {room}")]
    ListTooLong {
        /// How many.
        codes: usize,
        /// How many fit: the slots of the run less two.
        room: usize,
    },
}
