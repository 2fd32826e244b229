//! A set of numbers as disjoint intervals, and its Merkle tree.
//!
//! "In the set" is one interval of the tree that holds the number. "Not in the set" is one interval of the tree of
//! the complement: the gaps of a set are a set. So both cost the circuit one path, and only the root is in the
//! criteria.

use std::sync::{Arc, OnceLock};

use super::types::{CriteriaError, Interval};
use crate::field::Element;
use crate::merkle::{ARITY, Tree};
use crate::poseidon::{self, Domain};

/// Places for intervals in the tree of a set; a set has one interval less at most, so that its gaps fit too.
pub const INTERVALS_MAX: usize = INTERVALS_PER_LEAF * ARITY.pow(SET_DEPTH as u32);

/// Intervals under one leaf of the tree.
pub const INTERVALS_PER_LEAF: usize = 4;

/// Levels of the tree above its leaves.
pub const SET_DEPTH: usize = 4;

/// What stands where no interval is: from 1 to 0, which holds no number.
const NO_INTERVAL: (u64, u64) = (1, 0);

/// Disjoint intervals in ascending order, none touching the next.
#[derive(Clone)]
pub struct CodeSet {
    intervals: Arc<[Interval]>,
    tree: Arc<OnceLock<Tree>>,
}

impl PartialEq for CodeSet {
    fn eq(&self, other: &Self) -> bool {
        self.intervals == other.intervals
    }
}

impl Eq for CodeSet {}

impl std::fmt::Debug for CodeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeSet").field("intervals", &self.intervals.len()).finish()
    }
}

/// An interval of a set, and where it stands in the tree.
pub struct Opening {
    /// The intervals of the leaf: low, high, four times.
    pub leaf: [Element; ARITY],
    /// Which of them.
    pub place: usize,
    /// The way from the leaf to the root.
    pub path: crate::merkle::Path,
}

impl CodeSet {
    /// The union of `intervals`: sorted, and merged where they overlap or touch.
    ///
    /// # Errors
    /// [`CriteriaError::SetTooLarge`] when more than [`INTERVALS_MAX`] less one remain.
    pub fn new(mut intervals: Vec<Interval>) -> Result<Self, CriteriaError> {
        intervals.sort_unstable_by_key(|interval| interval.low());
        let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            match merged.last_mut() {
                Some(last) if interval.low() <= last.high().saturating_add(1) => {
                    *last = Interval::new(last.low(), last.high().max(interval.high()))?;
                }
                _ => merged.push(interval),
            }
        }
        if merged.len() >= INTERVALS_MAX {
            return Err(CriteriaError::SetTooLarge { intervals: merged.len() });
        }
        Ok(Self::sorted(merged))
    }

    /// The set without members.
    #[must_use]
    pub fn none() -> Self {
        Self::sorted(Vec::new())
    }

    /// The intervals, ascending.
    #[must_use]
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Every number that is not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.intervals.len() + 1);
        let mut from = Some(0);
        for interval in self.intervals.iter() {
            if let Some(gap) =
                from.zip(interval.low().checked_sub(1)).and_then(|(low, high)| Interval::new(low, high).ok())
            {
                gaps.push(gap);
            }
            from = interval.high().checked_add(1);
        }
        gaps.extend(from.map(Interval::at_least));
        Self::sorted(gaps)
    }

    fn sorted(intervals: Vec<Interval>) -> Self {
        Self { intervals: intervals.into(), tree: Arc::default() }
    }

    /// The root of its tree. Computed once, about 60 microseconds for each interval.
    #[must_use]
    pub fn root(&self) -> Element {
        self.tree().root()
    }

    /// The interval at `index`, or the first that there is place for where it is beyond the set.
    #[must_use]
    pub fn open(&self, index: usize) -> Opening {
        let index = if index < self.intervals.len() { index } else { 0 };
        let leaf = index / INTERVALS_PER_LEAF;
        let from = leaf * INTERVALS_PER_LEAF;
        let path = self.tree().path(leaf).expect("the tree has a leaf for every interval, and for none");
        Opening { leaf: leaf_of(self.intervals.get(from..).unwrap_or_default()), place: index - from, path }
    }

    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| {
            let leaves =
                self.intervals.chunks(INTERVALS_PER_LEAF).map(|chunk| hash(&leaf_of(chunk))).collect();
            Tree::new(leaves, SET_DEPTH, hash(&leaf_of(&[]))).expect("a set has fewer intervals than places")
        })
    }

    /// The index of the interval that holds `value`.
    #[must_use]
    pub fn position(&self, value: u64) -> Option<usize> {
        let index = self.intervals.partition_point(|interval| interval.high() < value);
        self.intervals.get(index).filter(|interval| interval.low() <= value).map(|_| index)
    }

    /// Whether the set has `value`.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        self.position(value).is_some()
    }
}

fn leaf_of(intervals: &[Interval]) -> [Element; ARITY] {
    std::array::from_fn(|at| {
        let interval =
            intervals.get(at / 2).map_or(NO_INTERVAL, |interval| (interval.low(), interval.high()));
        Element::from(if at % 2 == 0 { interval.0 } else { interval.1 })
    })
}

fn hash(leaf: &[Element; ARITY]) -> Element {
    poseidon::hash(Domain::Intervals, leaf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(intervals: &[(u64, u64)]) -> CodeSet {
        CodeSet::new(intervals.iter().map(|&(low, high)| Interval::new(low, high).unwrap()).collect())
            .unwrap()
    }

    #[test]
    fn intervals_are_sorted_and_merged_where_they_touch() {
        assert_eq!(set(&[(7, 9), (1, 2), (3, 4), (8, 12)]), set(&[(1, 4), (7, 12)]));
    }

    #[test]
    fn the_complement_reaches_both_ends() {
        assert_eq!(set(&[]).complement(), set(&[(0, u64::MAX)]));
        assert_eq!(set(&[(0, u64::MAX)]).complement(), set(&[]));
        assert_eq!(set(&[(0, 3), (9, 9)]).complement(), set(&[(4, 8), (10, u64::MAX)]));
        assert_eq!(set(&[(5, u64::MAX)]).complement(), set(&[(0, 4)]));
    }

    #[test]
    fn every_interval_opens_to_the_root_and_so_does_the_empty_set() {
        let many = set(&(0..40).map(|at| (10 * at, 10 * at + 3)).collect::<Vec<_>>());
        for index in [0, 3, 4, 39] {
            let opening = many.open(index);
            assert_eq!(opening.path.root(&hash(&opening.leaf)), Some(many.root()));
            assert_eq!(opening.leaf[2 * opening.place], Element::from(10 * index as u64));
        }
        let none = set(&[]);
        assert_eq!(none.open(7).path.root(&hash(&none.open(7).leaf)), Some(none.root()));
        assert_ne!(none.root(), many.root());
    }

    #[test]
    fn a_set_with_a_gap_too_many_is_refused() {
        let intervals = |count: u64| (0..count).map(|at| Interval::point(2 * at)).collect();
        let full = INTERVALS_MAX as u64;
        assert!(CodeSet::new(intervals(full)).is_err());
        let largest = CodeSet::new(intervals(full - 1)).unwrap();
        assert!(largest.complement().intervals().len() <= INTERVALS_MAX);
    }

    proptest! {
        #[test]
        fn a_number_is_in_a_set_or_in_its_complement(
            ends in proptest::collection::vec((0u64..60, 0u64..9), 0..8),
            value in 0u64..80,
        ) {
            let intervals: Vec<_> = ends.iter().map(|&(low, more)| (low, low + more)).collect();
            let member = intervals.iter().any(|&(low, high)| low <= value && value <= high);
            let set = set(&intervals);
            prop_assert_eq!(set.contains(value), member);
            prop_assert_eq!(set.complement().contains(value), !member);
            prop_assert_eq!(set.complement().complement(), set);
        }
    }
}
