//! Sums over the rows of a cell: which cell a row is in, which cells are withheld, and what is summed.

use std::collections::HashMap;

use super::LocalError;
use crate::query::ast::HOSPITAL;
use crate::query::catalogue::{Column, ColumnKind};
use crate::query::plan::{Factor, Measure, Plan, Split, Stratum};

/// A missing value in a column of [`Rows`]; no bound reaches it.
pub(super) const MISSING: i64 = i64::MIN;
/// A row that is in no cell.
const NOWHERE: u32 = u32::MAX;
/// Most slots of a plan.
const SLOTS_MAX: usize = 1 << 26;

/// The rows in the filter, column by column.
pub(super) struct Rows<'a> {
    pub(super) plan: &'a Plan,
    /// The floor in force here.
    pub(super) floor: u64,
    /// Number of rows.
    pub(super) len: usize,
    /// Bounded values by catalogue name.
    pub(super) values: HashMap<String, Vec<i64>>,
    /// Group cell of each row, or nowhere.
    pub(super) cells: Vec<u32>,
}

/// For each cell of a stratum, whether it is withheld.
pub(super) type Withheld = Vec<bool>;

pub(super) fn inconsistent(detail: impl Into<String>) -> LocalError {
    LocalError::PlanInconsistent { detail: detail.into() }
}

/// Product of cell counts, within the limit on slots.
pub(super) fn cell_count(cells: usize, by: &[Split]) -> Result<usize, LocalError> {
    by.iter()
        .try_fold(cells, |count, split| count.checked_mul(split.len()))
        .filter(|count| *count <= SLOTS_MAX)
        .ok_or_else(|| inconsistent(format!("more than {SLOTS_MAX} cells")))
}

impl<'a> Rows<'a> {
    /// Finds the group cell of every row; returns how many rows are in none.
    ///
    /// # Errors
    /// [`LocalError::PlanInconsistent`].
    pub(super) fn group(&mut self) -> Result<u64, LocalError> {
        let groups = self
            .plan
            .groups
            .iter()
            .map(|g| Split::Codes { column: g.column.clone(), codes: g.codes.clone() });
        let by: Vec<Split> = groups.collect();
        cell_count(1, &by)?;
        self.cells = vec![0; self.len];
        let mut cells = std::mem::take(&mut self.cells);
        for split in &by {
            self.split(&mut cells, split)?;
        }
        self.cells = cells;
        Ok(self.cells.iter().filter(|cell| **cell == NOWHERE).count() as u64)
    }

    /// The definition of a column; `hospital` is one whose codes are the plan's hospitals.
    fn codes(&self, name: &str) -> Result<(i64, usize), LocalError> {
        if name == HOSPITAL {
            return Ok((0, self.plan.hospitals.len()));
        }
        let column = self.column(name)?;
        match column.group_codes() {
            Some(codes) => Ok((column.min, codes.len())),
            None => Err(inconsistent(format!("column `{name}` has no codes"))),
        }
    }

    /// The smallest level of a column and how many there are: its codes, or its few values.
    fn levels(&self, name: &str) -> Result<(i64, usize), LocalError> {
        let column = self.column(name)?;
        match column.few_values() {
            Some(count) => Ok((column.min, count)),
            None => self.codes(name),
        }
    }

    fn column(&self, name: &str) -> Result<&'a Column, LocalError> {
        self.plan.column(name).ok_or_else(|| inconsistent(format!("column `{name}` is not resolved")))
    }

    fn values(&self, name: &str) -> Result<&[i64], LocalError> {
        self.values
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| inconsistent(format!("column `{name}` is not read")))
    }

    /// Cell of each row over group and splits, for rows whose `cases` are all present.
    fn keys(&self, cases: &[String], by: &[Split]) -> Result<Vec<u32>, LocalError> {
        cell_count(self.plan.cells(), by)?;
        let mut keys = self.cells.clone();
        for case in cases {
            for (key, value) in keys.iter_mut().zip(self.values(case)?) {
                if *value == MISSING {
                    *key = NOWHERE;
                }
            }
        }
        for split in by {
            if !cases.iter().any(|case| case == split.column()) {
                return Err(inconsistent(format!(
                    "split column `{}` is not among the cases",
                    split.column()
                )));
            }
            self.split(&mut keys, split)?;
        }
        Ok(keys)
    }

    fn split(&self, keys: &mut [u32], split: &Split) -> Result<(), LocalError> {
        let count = split.len();
        let values = self.values(split.column())?;
        match split {
            Split::Codes { column, codes } => {
                let (min, expected) = self.codes(column)?;
                if expected != codes.len() {
                    return Err(inconsistent(format!(
                        "column `{column}` has {expected} codes, not {}",
                        codes.len()
                    )));
                }
                refine(keys, values, count, |value| usize::try_from(value.checked_sub(min)?).ok())
            }
            Split::Bins { column, edges } => {
                if edges.len() < 2 || edges.windows(2).any(|pair| pair[0] >= pair[1]) {
                    return Err(inconsistent(format!("the edges on column `{column}` do not ascend")));
                }
                let last = edges[edges.len() - 1];
                refine(keys, values, count, |value| {
                    // Cell i > 0 holds [edges[i - 1], edges[i]); the last edge belongs to the last bin.
                    Some(if value == last { edges.len() - 1 } else { edges.partition_point(|e| *e <= value) })
                })
            }
            Split::Grid { low, width, .. } => refine(keys, values, count, |value| {
                let above = u64::try_from(i128::from(value) - i128::from(*low)).ok()?;
                usize::try_from(above / (*width).max(1)).ok()
            }),
            Split::TimeGrid { step, .. } => {
                let step = i64::from((*step).max(1));
                refine(keys, values, count, |value| {
                    let up = value.checked_add(step - 1).filter(|_| value >= 0)?;
                    usize::try_from(up / step).ok()
                })
            }
        }
    }

    /// Group cell and further cell of each row, whatever else is missing in it.
    pub(super) fn cells_of(&self, by: &[Split]) -> Result<Vec<u32>, LocalError> {
        let cases: Vec<String> = by.iter().map(|split| split.column().to_owned()).collect();
        self.keys(&cases, by)
    }

    /// Rows in each cell of a stratum.
    pub(super) fn tallies(&self, stratum: &Stratum) -> Result<Vec<u64>, LocalError> {
        let count = cell_count(self.plan.cells(), &stratum.by)?;
        Ok(tally(&self.keys(&stratum.cases, &stratum.by)?, count))
    }

    /// Which cells of a stratum are under the floor.
    ///
    /// # Errors
    /// [`LocalError::PlanInconsistent`].
    pub(super) fn withheld(&self, stratum: &Stratum) -> Result<Withheld, LocalError> {
        let count = cell_count(self.plan.cells(), &stratum.by)?;
        if self.floor <= 1 {
            return Ok(vec![false; count]);
        }
        let keys = self.keys(&stratum.cases, &stratum.by)?;
        let mut withheld: Withheld = tally(&keys, count).into_iter().map(|rows| rows < self.floor).collect();
        for level in &stratum.levels {
            let (min, codes) = self.levels(level)?;
            cell_count(count, &[])?
                .checked_mul(codes)
                .filter(|n| *n <= SLOTS_MAX)
                .ok_or_else(|| inconsistent("too many levels"))?;
            let mut fine = keys.clone();
            refine(&mut fine, self.values(level)?, codes, |value| {
                usize::try_from(value.checked_sub(min)?).ok()
            })?;
            for (cell, rows) in tally(&fine, count * codes).chunks(codes).enumerate() {
                withheld[cell] |= rows.iter().any(|rows| *rows < self.floor);
            }
        }
        Ok(withheld)
    }

    /// Sums of a measure over its cells; zero where its stratum withholds.
    ///
    /// # Errors
    /// [`LocalError::PlanInconsistent`], among it when bounds and rows could overflow 127 bits.
    pub(super) fn sums(&self, measure: &Measure, withheld: &[Withheld]) -> Result<Vec<i128>, LocalError> {
        let (Some(stratum), Some(withheld)) =
            (self.plan.strata.get(measure.stratum), withheld.get(measure.stratum))
        else {
            return Err(inconsistent(format!("no stratum {}", measure.stratum)));
        };
        if !measure.by.starts_with(&stratum.by) {
            return Err(inconsistent("the splits of a stratum are no prefix of its measure's"));
        }
        let count = cell_count(self.plan.cells(), &measure.by)?;
        let keys = self.keys(&measure.cases, &measure.by)?;
        let factors = self.factors(measure)?;
        let mut sums = vec![0i128; count];
        match factors.as_slice() {
            [] => add(&keys, &mut sums, |_| 1),
            [a] => add(&keys, &mut sums, |row| i128::from(a.at(row))),
            [a, b] => add(&keys, &mut sums, |row| i128::from(a.at(row)) * i128::from(b.at(row))),
            many => add(&keys, &mut sums, |row| many.iter().map(|f| i128::from(f.at(row))).product()),
        }
        let rest = count / withheld.len().max(1);
        for (cell, sum) in sums.iter_mut().enumerate() {
            if withheld.get(cell / rest.max(1)).copied().unwrap_or(true) {
                *sum = 0;
            }
        }
        Ok(sums)
    }

    fn factors(&self, measure: &Measure) -> Result<Vec<Values<'_>>, LocalError> {
        let mut magnitude = Some(self.len as i128);
        let mut factors = Vec::with_capacity(measure.product.len());
        for factor in &measure.product {
            let (Factor::Value(name) | Factor::Level { column: name, .. }) = factor;
            if !measure.cases.contains(name) {
                return Err(inconsistent(format!("factor `{name}` is not among the cases")));
            }
            let column = self.column(name)?;
            let values = self.values(name)?;
            factors.push(match factor {
                Factor::Value(_) if matches!(column.kind, ColumnKind::Category | ColumnKind::Identifier) => {
                    return Err(inconsistent(format!("`{name}` holds no numbers")));
                }
                Factor::Value(_) => {
                    let largest = i128::from(column.min).abs().max(i128::from(column.max).abs());
                    magnitude = magnitude.and_then(|m| m.checked_mul(largest.max(1)));
                    Values { values, level: None }
                }
                Factor::Level { code, .. } => {
                    Values { values, level: Some(column.min.saturating_add(i64::from(*code))) }
                }
            });
        }
        match magnitude {
            Some(_) => Ok(factors),
            None => Err(inconsistent("a sum of products could exceed 127 bits")),
        }
    }

    /// Rows per group cell for which `counts` says yes; zero where they are under the floor.
    pub(super) fn count(&self, counts: impl Fn(usize) -> bool) -> Vec<i128> {
        let mut sums = vec![0; self.plan.cells()];
        add(&self.cells, &mut sums, |row| i128::from(counts(row)));
        for sum in &mut sums {
            if *sum < i128::from(self.floor) {
                *sum = 0;
            }
        }
        sums
    }

    /// Smallest or largest value of a column per group cell, over the rows of a stratum without splits.
    ///
    /// # Errors
    /// [`LocalError::PlanInconsistent`].
    pub(super) fn extrema(
        &self,
        column: &str,
        max: bool,
        stratum: &Stratum,
    ) -> Result<Vec<Option<i64>>, LocalError> {
        if !stratum.by.is_empty() {
            return Err(inconsistent("the stratum of an extremum has splits"));
        }
        let values = self.values(column)?;
        let mut extrema: Vec<Option<i64>> = vec![None; self.plan.cells()];
        for (key, value) in self.keys(&stratum.cases, &[])?.iter().zip(values) {
            if let Some(best) = extrema.get_mut(*key as usize).filter(|_| *value != MISSING) {
                *best = Some(match *best {
                    None => *value,
                    Some(best) if max => best.max(*value),
                    Some(best) => best.min(*value),
                });
            }
        }
        Ok(extrema)
    }
}

/// A factor of a product over the rows.
struct Values<'a> {
    values: &'a [i64],
    level: Option<i64>,
}

impl Values<'_> {
    fn at(&self, row: usize) -> i64 {
        match self.level {
            None => self.values[row],
            Some(level) => i64::from(self.values[row] == level),
        }
    }
}

/// Goes from cell `k` to `k * count + index`; rows without a value are nowhere.
fn refine(
    keys: &mut [u32],
    values: &[i64],
    count: usize,
    index: impl Fn(i64) -> Option<usize>,
) -> Result<(), LocalError> {
    for (key, value) in keys.iter_mut().zip(values) {
        if *key == NOWHERE {
            continue;
        }
        if *value == MISSING {
            *key = NOWHERE;
            continue;
        }
        match index(*value).filter(|index| *index < count) {
            // Below SLOTS_MAX, which `cell_count` checked.
            Some(index) => *key = (*key as usize * count + index) as u32,
            None => return Err(inconsistent("a value within the bounds has no cell")),
        }
    }
    Ok(())
}

fn tally(keys: &[u32], count: usize) -> Vec<u64> {
    let mut rows = vec![0u64; count];
    for key in keys {
        if let Some(rows) = rows.get_mut(*key as usize) {
            *rows += 1;
        }
    }
    rows
}

fn add(keys: &[u32], sums: &mut [i128], value: impl Fn(usize) -> i128) {
    for (row, key) in keys.iter().enumerate() {
        if let Some(sum) = sums.get_mut(*key as usize) {
            *sum += value(row);
        }
    }
}
