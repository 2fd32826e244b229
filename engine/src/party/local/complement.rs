//! Complementary suppression: a hospital withholds further cells, so that its total does not give back the ones under the
//! floor.
//!
//! Where a query shows both a total and its parts (COUNT(*) beside CROSSTAB, a test by one column beside a table of two),
//! a part that is withheld is the total less the other parts. So along each such line a hospital withholds its smallest
//! cells, until those withheld have as many rows together as the floor, and are two or more. Zero is treated as any
//! number under the floor. Each hospital does so for itself, by its own rows: then it holds for every sum over hospitals,
//! and for a hospital alone.
//!
//! Source: Cox, Suppression Methodology and Statistical Disclosure Control, JASA 1980, for lines; linear combinations of
//! several lines are not looked at. Totals in other queries are the differencing guard's ([`super::cohort`]).

use super::LocalError;
use super::sums::{Rows, Withheld};
use crate::query::ast::HOSPITAL;
use crate::query::plan::Split;

/// Rounds over all lines: each withholds a cell or more, or is the last.
const ROUNDS_MAX: usize = 1 << 10;

impl Rows<'_> {
    /// Withholds further cells where a total in the plan would give back one that is withheld.
    ///
    /// # Errors
    /// [`LocalError::PlanInconsistent`]; when lines and lines do not come to rest.
    pub(super) fn complement(&self, withheld: &mut [Withheld]) -> Result<(), LocalError> {
        if self.floor <= 1 {
            return Ok(());
        }
        for fine in 0..withheld.len() {
            let mut lines = Vec::new();
            for coarse in (0..withheld.len()).filter(|coarse| *coarse != fine) {
                if let Some(line) = self.lines(fine, coarse) {
                    lines.push((coarse, line));
                }
            }
            if lines.is_empty() {
                continue;
            }
            let counts = self.tallies(&self.plan.strata[fine])?;
            let can_be = self.possible(fine);
            for round in 0.. {
                let mut changed = false;
                for (coarse, line_of) in &lines {
                    let totals = withheld[*coarse].clone();
                    changed |=
                        close_lines(&mut withheld[fine], &counts, &can_be, (line_of, &totals), self.floor);
                }
                if !changed || round > ROUNDS_MAX {
                    break;
                }
            }
        }
        Ok(())
    }

    /// For each cell of a stratum the cell of a coarser one that it is part of; none where the other is not coarser.
    fn lines(&self, fine: usize, coarse: usize) -> Option<Vec<usize>> {
        let (by, kept) = (&self.plan.strata[fine].by, &self.plan.strata[coarse].by);
        if kept.len() >= by.len() {
            return None;
        }
        let places: Vec<usize> =
            kept.iter().map(|split| by.iter().position(|b| b == split)).collect::<Option<_>>()?;
        let each: usize = by.iter().map(Split::len).product();
        let lines = (0..self.plan.cells().checked_mul(each)?).map(|at| {
            let (group, mut rest) = (at / each, at % each);
            let mut index = vec![0; by.len()];
            for (i, split) in by.iter().enumerate().rev() {
                index[i] = rest % split.len();
                rest /= split.len();
            }
            places.iter().zip(kept).fold(group, |line, (place, split)| line * split.len() + index[*place])
        });
        Some(lines.collect())
    }

    /// Which cells of a stratum can have rows at all, by what is published: bins outside a column's bounds cannot, nor
    /// another hospital's groups.
    fn possible(&self, stratum: usize) -> Vec<bool> {
        let by = &self.plan.strata[stratum].by;
        let each: usize = by.iter().map(Split::len).product();
        let own = self.values.get(HOSPITAL).and_then(|codes| codes.first()).copied();
        let can = |split: &Split, index: usize| match split {
            Split::Bins { column, edges } => self.plan.column(column).is_none_or(|column| {
                let from = index.checked_sub(1).and_then(|i| edges.get(i)).copied().unwrap_or(i64::MIN);
                let to = edges.get(index).copied().unwrap_or(i64::MAX);
                let is_last_bin = index + 1 == edges.len();
                let above = index == edges.len();
                let starts = if above { from < column.max } else { from <= column.max };
                starts && (column.min < to || (is_last_bin && column.min <= to))
            }),
            _ => true,
        };
        (0..self.plan.cells() * each)
            .map(|at| {
                let mut rest = at % each;
                let mut possible = true;
                for split in by.iter().rev() {
                    possible &= can(split, rest % split.len());
                    rest /= split.len();
                }
                let mut group = at / each;
                for column in self.plan.groups.iter().rev() {
                    let code = group % column.codes.len().max(1);
                    let is_own = own.is_none_or(|own| own == code as i64);
                    possible &= column.column != HOSPITAL || is_own;
                    group /= column.codes.len().max(1);
                }
                possible
            })
            .collect()
    }
}

/// Withholds the smallest shown cells of each line that shows its total, until the withheld ones reach the floor
/// together; true when anything was withheld.
fn close_lines(
    withheld: &mut [bool],
    counts: &[u64],
    can_be: &[bool],
    (line_of, totals): (&[usize], &[bool]),
    floor: u64,
) -> bool {
    let mut hidden = vec![(0usize, 0u64); totals.len()];
    let mut shown: Vec<Vec<usize>> = vec![Vec::new(); totals.len()];
    for (cell, line) in line_of.iter().enumerate().filter(|(cell, _)| can_be[*cell]) {
        if withheld[cell] {
            hidden[*line].0 += 1;
            hidden[*line].1 += counts[cell];
        } else {
            shown[*line].push(cell);
        }
    }
    let mut changed = false;
    for ((mut cells, mut rows), (mut rest, total)) in hidden.into_iter().zip(shown.into_iter().zip(totals)) {
        if *total || cells == 0 {
            continue;
        }
        rest.sort_by_key(|cell| (counts[*cell], *cell));
        for cell in rest {
            if cells >= 2 && rows >= floor {
                break;
            }
            withheld[cell] = true;
            cells += 1;
            rows += counts[cell];
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_single_small_cell_takes_the_next_smallest_with_it() {
        let counts = [50, 3, 9, 40];
        let mut withheld = [false, true, false, false];
        assert!(close_lines(&mut withheld, &counts, &[true; 4], (&[0; 4], &[false]), 5));
        assert_eq!(withheld, [false, true, true, false]);
        // Nothing to close where the total is withheld too, or where the cell cannot have rows.
        let mut withheld = [false, true, false, false];
        assert!(!close_lines(&mut withheld, &counts, &[true; 4], (&[0; 4], &[true]), 5));
        assert!(!close_lines(&mut withheld, &counts, &[true, false, true, true], (&[0; 4], &[false]), 5));
    }

    proptest! {
        #[test]
        fn a_line_never_hides_one_cell_or_fewer_rows_than_the_floor(
            counts in prop::collection::vec(0u64..30, 1..20), floor in 2u64..12,
        ) {
            let mut withheld: Vec<bool> = counts.iter().map(|n| *n < floor).collect();
            let all = vec![true; counts.len()];
            let lines = vec![0; counts.len()];
            close_lines(&mut withheld, &counts, &all, (&lines, &[false]), floor);
            let hidden: Vec<u64> = counts.iter().zip(&withheld).filter(|(_, w)| **w).map(|(n, _)| *n).collect();
            let rows: u64 = hidden.iter().sum();
            let is_closed = hidden.is_empty() || hidden.len() == counts.len() || (hidden.len() >= 2 && rows >= floor);
            prop_assert!(is_closed, "{hidden:?}");
        }
    }
}
