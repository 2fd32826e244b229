//! The differencing guard between versions of a table: an answer over a later version shows, less one over an earlier, the
//! patients who came, went or changed in between.
//!
//! Rows are told apart by tags that are the same in every version ([`RowTags`]). Of two cells, one of each version, that have
//! somebody in common, two numbers of patients must each be zero or reach the floor: those with another number of rows in the
//! one than in the other, whom counts show; and these together with those whose rows are others, whom sums show. A
//! changed value makes another row.
//!
//! Where a table names no patients, a row that changed is one that went and one that came. So the larger number of the two is
//! held against the floor, and rows that all changed, or whose columns are defined anew, have nothing in common with those before.
//!
//! Not covered, beside what [`super::cohort`] names: which column of a row changed. Where as many patients as the floor have
//! changed rows, one of them may be the only one whose value changed in the column that is asked for.

use std::ops::Range;

use super::cohort::{NOWHERE, Partition};
use super::tally::{Cells, Pairs};
use crate::records::version::RowTags;

/// The rows of a version, patient by patient.
pub struct Sorted<'a> {
    rows: &'a RowTags,
    /// Places of rows in the version.
    places: Vec<u32>,
}

/// Two versions of a table, with the rows of each patient beside each other: made once, for all cells of the two.
pub struct Versions<'a> {
    before: Sorted<'a>,
    now: &'a Sorted<'a>,
    /// The rows of each patient who has rows in one version, and in both.
    only_before: Vec<Range<u32>>,
    only_now: Vec<Range<u32>>,
    both: Vec<(Range<u32>, Range<u32>)>,
    is_named: bool,
}

impl<'a> Sorted<'a> {
    /// Of a version with these rows.
    #[must_use]
    pub fn new(rows: &'a RowTags) -> Self {
        // A version has no places beyond these.
        let mut places: Vec<u32> = (0..rows.tags.len()).filter_map(|at| u32::try_from(at).ok()).collect();
        places.sort_unstable_by_key(|place| rows.tags.get(*place as usize));
        Self { rows, places }
    }

    fn patient(&self, at: u32) -> Option<u64> {
        let place = self.places.get(at as usize)?;
        self.rows.tags.get(*place as usize).map(|tags| tags.0)
    }

    /// The rows of a patient, who has the first of them there or has none.
    fn of(&self, patient: u64, from: u32) -> Range<u32> {
        let mut to = from;
        while self.patient(to) == Some(patient) {
            to += 1;
        }
        from..to
    }

    /// The shown rows among these, in order of their cells.
    fn shown(&self, rows: &Range<u32>, cells: &Partition, into: &mut Vec<Row>) {
        into.clear();
        for place in self.places.get(rows.start as usize..rows.end as usize).unwrap_or_default() {
            let place = *place as usize;
            if let (Some(cell), Some((_, row))) = (cells.labels.get(place), self.rows.tags.get(place))
                && *cell != NOWHERE
            {
                into.push(Row { cell: *cell, row: *row });
            }
        }
        if into.len() > 1 {
            into.sort_unstable();
        }
    }
}

impl<'a> Versions<'a> {
    /// Of an earlier version and the one of now.
    #[must_use]
    pub fn new(before: &'a RowTags, now: &'a Sorted<'a>) -> Self {
        let is_named = before.is_named && now.rows.is_named;
        let before = Sorted::new(before);
        let (mut only_before, mut only_now, mut both) = (Vec::new(), Vec::new(), Vec::new());
        let (mut a, mut b) = (0, 0);
        while let Some(next) = before.patient(a).into_iter().chain(now.patient(b)).min() {
            let (of_a, of_b) = (before.of(next, a), now.of(next, b));
            (a, b) = (of_a.end, of_b.end);
            match (of_a.is_empty(), of_b.is_empty()) {
                (false, false) => both.push((of_a, of_b)),
                (false, true) => only_before.push(of_a),
                _ => only_now.push(of_b),
            }
        }
        Self { before, now, only_before, only_now, both, is_named }
    }

    /// Whether two cells, one of each version, have patients in common and differ by one patient or more, but fewer than
    /// `floor`. Cells that are not of their version's rows are.
    #[must_use]
    pub fn is_too_close(&self, before: &Partition, now: &Partition, floor: u64) -> bool {
        let is_of = |cells: &Partition, side: &Sorted<'_>| cells.labels.len() == side.rows.tags.len();
        if !is_of(before, &self.before) || !is_of(now, self.now) {
            return true;
        }
        let mut counts = Counts::of(before, now);
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for rows in &self.only_before {
            self.before.shown(rows, before, &mut old);
            counts.count(&old, &[]);
        }
        for rows in &self.only_now {
            self.now.shown(rows, now, &mut new);
            counts.count(&[], &new);
        }
        for (of_before, of_now) in &self.both {
            self.before.shown(of_before, before, &mut old);
            self.now.shown(of_now, now, &mut new);
            counts.count(&old, &new);
        }
        counts.any_below(floor, self.is_named)
    }
}

/// A row that is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    cell: u32,
    row: u64,
}

/// Patients of a pair of cells.
#[derive(Clone, Copy, Default)]
struct Pair {
    /// In both.
    both: u64,
    /// In both with as many rows.
    as_many: u64,
    /// In both with the same rows.
    same: u64,
}

/// Counts of patients, by cell and by pair of cells.
struct Counts {
    of_a: Cells,
    of_b: Cells,
    of_both: Pairs<Pair>,
}

impl Counts {
    fn of(before: &Partition, now: &Partition) -> Self {
        let (of_a, of_b) = (Cells::of(before), Cells::of(now));
        let of_both = Pairs::of(&of_a, &of_b);
        Self { of_a, of_b, of_both }
    }

    /// Takes in the rows of one patient, in order.
    fn count(&mut self, a: &[Row], b: &[Row]) {
        let is_same = |x: &Row, y: &Row| x.cell == y.cell;
        for in_a in a.chunk_by(is_same) {
            self.of_a.add(in_a[0].cell);
            for in_b in b.chunk_by(is_same) {
                let pair = self.of_both.at(in_a[0].cell, in_b[0].cell);
                pair.both += 1;
                pair.as_many += u64::from(in_a.len() == in_b.len());
                pair.same += u64::from(in_a.iter().map(|r| r.row).eq(in_b.iter().map(|r| r.row)));
            }
        }
        b.chunk_by(is_same).for_each(|in_b| self.of_b.add(in_b[0].cell));
    }

    fn any_below(&self, floor: u64, is_named: bool) -> bool {
        let is_close = |apart: u64| apart > 0 && apart < floor;
        let is_below = |a: u32, b: u32, pair: &Pair| {
            if pair.both == 0 {
                return false;
            }
            let (went, came) = (self.of_a.count(a) - pair.both, self.of_b.count(b) - pair.both);
            if !is_named {
                return is_close(went.max(came) + pair.both - pair.as_many);
            }
            let apart = went + came;
            is_close(apart + pair.both - pair.as_many) || is_close(apart + pair.both - pair.same)
        };
        self.of_both.any(is_below)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// Cell (none below zero), patient, row.
    type Given = (i64, u64, u64);

    fn shown(rows: &[Given], is_named: bool) -> (Partition, RowTags) {
        let labels = rows.iter().map(|r| u32::try_from(r.0).unwrap_or(NOWHERE)).collect();
        let tags = rows.iter().map(|r| if is_named { (r.1, r.2) } else { (r.2, r.2) }).collect();
        (Partition { labels }, RowTags { is_named, tags })
    }

    fn close(a: &[Given], b: &[Given], is_named: bool, floor: u64) -> bool {
        let (a, b) = (shown(a, is_named), shown(b, is_named));
        Versions::new(&a.1, &Sorted::new(&b.1)).is_too_close(&a.0, &b.0, floor)
    }

    /// Patients 0 to n with a row each.
    fn people(n: u64) -> Vec<Given> {
        (0..n).map(|i| (0, i, 100 + i)).collect()
    }

    #[test]
    fn who_came_went_or_changed_between_versions_is_hidden_among_as_many_as_the_floor() {
        for is_named in [true, false] {
            assert!(!close(&people(20), &people(20), is_named, 5));
            for (more, is_close) in [(1, true), (4, true), (5, false)] {
                assert_eq!(close(&people(20), &people(20 + more), is_named, 5), is_close, "{more} came");
                assert_eq!(close(&people(20 + more), &people(20), is_named, 5), is_close, "{more} went");
                let mut changed = people(20);
                changed[..more as usize].iter_mut().for_each(|row| row.2 += 1000);
                assert_eq!(close(&people(20), &changed, is_named, 5), is_close, "{more} changed");
            }
        }
        // Everybody's row changed, and one came: a count shows who.
        let all_new: Vec<Given> =
            people(21).iter().map(|(cell, who, row)| (*cell, *who, row + 1000)).collect();
        assert!(close(&people(20), &all_new, true, 5));
        assert!(!close(&people(20), &all_new, false, 5), "nobody can be known again");
        // A group of one version against everybody of the other, in any order of rows.
        let mut grouped = people(21);
        grouped.reverse();
        grouped[0].0 = 1;
        assert!(close(&people(21), &grouped, true, 5) && close(&grouped, &people(21), true, 5));
    }

    #[test]
    fn cells_of_another_number_of_rows_are_too_close() {
        let (some, mut other) = (shown(&people(9), true), shown(&people(9), true));
        other.1.tags.pop();
        assert!(Versions::new(&some.1, &Sorted::new(&other.1)).is_too_close(&some.0, &other.0, 5));
    }

    proptest! {
        /// Against the definition, where tables name patients.
        #[test]
        fn closeness_is_the_smallest_number_of_patients_who_differ(
            a in prop::collection::vec((-1i64..2, 0u64..6, 0u64..4), 0..14),
            b in prop::collection::vec((-1i64..2, 0u64..6, 0u64..4), 0..14), floor in 1u64..6, is_far in any::<bool>(),
        ) {
            // A row is of one patient.
            let own = |rows: &[Given]| rows.iter().map(|(c, p, r)| (*c, *p, p * 10 + r)).collect::<Vec<_>>();
            let (a, b) = (own(&a), own(&b));
            let of = |rows: &[Given], cell: i64| {
                let mut of: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
                rows.iter().filter(|r| r.0 == cell).for_each(|r| of.entry(r.1).or_default().push(r.2));
                of.values_mut().for_each(|rows| rows.sort_unstable());
                of
            };
            let mut expected = false;
            for (x, y) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (x, y) = (of(&a, x), of(&b, y));
                let who: BTreeSet<u64> = x.keys().chain(y.keys()).copied().collect();
                let many = |of: &BTreeMap<u64, Vec<u64>>, p: &u64| of.get(p).map_or(0, Vec::len);
                let counted = who.iter().filter(|p| many(&x, p) != many(&y, p)).count() as u64;
                let summed = who.iter().filter(|p| x.get(p) != y.get(p)).count() as u64;
                let in_common = x.keys().any(|p| y.contains_key(p));
                expected |= in_common && [counted, summed].iter().any(|n| *n > 0 && *n < floor);
            }
            // Cells beyond those that are counted in a table.
            let far = |rows: &[Given]| rows.iter().map(|(c, p, r)| (c * 300, *p, *r)).collect::<Vec<_>>();
            let (a, b) = if is_far { (far(&a), far(&b)) } else { (a, b) };
            prop_assert_eq!(close(&a, &b, true, floor), expected);
        }
    }
}
