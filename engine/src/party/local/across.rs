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

use std::collections::HashMap;

use super::cohort::{NOWHERE, Partition};
use crate::records::version::RowTags;

/// Cells of a version.
pub type Shown<'a> = (&'a Partition, &'a RowTags);

/// Whether two cells, one of each version, have patients in common and differ by one patient or more, but fewer than
/// `floor`. Cells that are not of their version's rows are.
#[must_use]
pub fn is_too_close(before: Shown<'_>, now: Shown<'_>, floor: u64) -> bool {
    if [before, now].iter().any(|(cells, rows)| cells.labels.len() != rows.tags.len()) {
        return true;
    }
    let (before_rows, now_rows) = (rows_of(before), rows_of(now));
    let is_same = |a: &Row, b: &Row| a.patient == b.patient;
    let mut old = before_rows.chunk_by(is_same).peekable();
    let mut new = now_rows.chunk_by(is_same).peekable();
    let mut counts = Counts::default();
    loop {
        let patient = |rows: Option<&&[Row]>| rows.and_then(|rows| rows.first()).map(|row| row.patient);
        let (a, b) = (patient(old.peek()), patient(new.peek()));
        let Some(next) = a.into_iter().chain(b).min() else { break };
        let of_a = if a == Some(next) { old.next() } else { None };
        let of_b = if b == Some(next) { new.next() } else { None };
        counts.count(of_a.unwrap_or_default(), of_b.unwrap_or_default());
    }
    counts.any_below(floor, before.1.is_named && now.1.is_named)
}

/// A row that is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    patient: u64,
    cell: u32,
    row: u64,
}

fn rows_of((cells, rows): Shown<'_>) -> Vec<Row> {
    let shown = cells.labels.iter().zip(&rows.tags).filter(|(cell, _)| **cell != NOWHERE);
    let mut rows: Vec<Row> =
        shown.map(|(cell, (patient, row))| Row { patient: *patient, cell: *cell, row: *row }).collect();
    rows.sort_unstable();
    rows
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
#[derive(Default)]
struct Counts {
    of_a: HashMap<u32, u64>,
    of_b: HashMap<u32, u64>,
    of_both: HashMap<(u32, u32), Pair>,
}

impl Counts {
    /// Takes in the rows of one patient, in order.
    fn count(&mut self, a: &[Row], b: &[Row]) {
        let is_same = |x: &Row, y: &Row| x.cell == y.cell;
        for in_a in a.chunk_by(is_same) {
            *self.of_a.entry(in_a[0].cell).or_default() += 1;
            for in_b in b.chunk_by(is_same) {
                let pair = self.of_both.entry((in_a[0].cell, in_b[0].cell)).or_default();
                pair.both += 1;
                pair.as_many += u64::from(in_a.len() == in_b.len());
                pair.same += u64::from(in_a.iter().map(|r| r.row).eq(in_b.iter().map(|r| r.row)));
            }
        }
        b.chunk_by(is_same).for_each(|in_b| *self.of_b.entry(in_b[0].cell).or_default() += 1);
    }

    fn any_below(&self, floor: u64, is_named: bool) -> bool {
        let is_close = |apart: u64| apart > 0 && apart < floor;
        self.of_both.iter().any(|((a, b), pair)| {
            let went = self.of_a.get(a).copied().unwrap_or(0) - pair.both;
            let came = self.of_b.get(b).copied().unwrap_or(0) - pair.both;
            if !is_named {
                return is_close(went.max(came) + pair.both - pair.as_many);
            }
            let apart = went + came;
            is_close(apart + pair.both - pair.as_many) || is_close(apart + pair.both - pair.same)
        })
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
        is_too_close((&a.0, &a.1), (&b.0, &b.1), floor)
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
        assert!(is_too_close((&some.0, &some.1), (&other.0, &other.1), 5));
    }

    proptest! {
        /// Against the definition, where tables name patients.
        #[test]
        fn closeness_is_the_smallest_number_of_patients_who_differ(
            a in prop::collection::vec((-1i64..2, 0u64..6, 0u64..4), 0..14),
            b in prop::collection::vec((-1i64..2, 0u64..6, 0u64..4), 0..14), floor in 1u64..6,
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
            prop_assert_eq!(close(&a, &b, true, floor), expected);
        }
    }
}
