//! A set of numbers as disjoint intervals, and its Merkle tree.
//!
//! "In the set" is one interval of the tree that holds the number. "Not in the set" is one interval of the tree of
//! the complement: the gaps of a set are a set. So both cost the circuit one path, and only the root is in the
//! criteria.

use std::sync::Arc;

use super::types::{CriteriaError, Interval};

/// Intervals of a set at most, and one less gap.
pub const INTERVALS_MAX: usize = 16_384;

/// Disjoint intervals in ascending order, none touching the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSet {
    intervals: Arc<[Interval]>,
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
        Ok(Self { intervals: merged.into() })
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
        Self { intervals: gaps.into() }
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
