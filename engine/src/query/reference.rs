//! The local step in plain Rust, row by row as the plan's documentation says it: the oracle for the fast one.
//!
//! Values come as text. Numbers become fixed point exactly, rounded half away from zero.

use std::collections::HashMap;

use super::ast::{Comparison, HOSPITAL};
use super::catalogue::{Column, ColumnKind, OutOfBounds};
use super::plan::{Content, Factor, Filter, Measure, Plan, Split, Stratum};

/// A table as text; `None` is missing.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Column names.
    pub names: Vec<String>,
    /// Rows of values.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// Reads comma-separated text with a heading; an empty field is missing. `rename` maps the file's names to the
    /// catalogue's.
    pub fn from_csv(text: &str, rename: &[(&str, &str)]) -> Self {
        let fields = |line: &str| line.split(',').map(|f| f.trim_matches('"').to_owned()).collect::<Vec<_>>();
        let mut lines = text.lines();
        let renamed = |name: String| {
            let to = rename.iter().find(|(from, _)| *from == name);
            to.map_or(name.clone(), |(_, to)| (*to).to_owned())
        };
        let names = fields(lines.next().unwrap_or_default()).into_iter().map(renamed).collect();
        let value = |field: String| (!field.is_empty()).then_some(field);
        let rows = lines.map(|line| fields(line).into_iter().map(value).collect()).collect();
        Self { names, rows }
    }

    /// The rows in which a column has a value.
    pub fn having(&self, column: &str, value: &str) -> Self {
        let at = self.names.iter().position(|n| n == column).expect("a column");
        let rows = self.rows.iter().filter(|row| row[at].as_deref() == Some(value)).cloned().collect();
        Self { names: self.names.clone(), rows }
    }
}

/// A value in fixed point (a code's index for a category), and whether it was out of bounds.
#[derive(Clone, Copy, Default)]
struct Fixed {
    value: Option<i64>,
    out_of_bounds: bool,
}

/// `round(v * 10^digits)`, half away from zero, exactly.
pub fn fixed_point(text: &str, digits: u8) -> Option<i128> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let kept: String =
        fraction.chars().chain("0".repeat(digits.into()).chars()).take(digits.into()).collect();
    let rounded = i128::from(fraction.chars().nth(digits.into()).is_some_and(|next| next >= '5'));
    let magnitude = format!("{whole}{kept}").parse::<i128>().ok()? + rounded;
    Some(if negative { -magnitude } else { magnitude })
}

fn fixed(column: &Column, text: Option<&str>) -> Fixed {
    let Some(text) = text else { return Fixed::default() };
    let number = match column.kind {
        ColumnKind::Category => column.codes.iter().position(|c| c == text).map(|i| i as i128),
        // Sums never read an identifier.
        ColumnKind::Identifier => Some(0),
        ColumnKind::Integer | ColumnKind::Real => fixed_point(text, column.digits),
    };
    let (low, high) = match column.kind {
        ColumnKind::Category => (0, column.codes.len() as i128 - 1),
        _ => (i128::from(column.min), i128::from(column.max)),
    };
    match number {
        // A code that is not published.
        None => Fixed { value: None, out_of_bounds: true },
        Some(n) if (low..=high).contains(&n) => Fixed { value: Some(n as i64), out_of_bounds: false },
        Some(n) => {
            let clamped = (column.out_of_bounds == OutOfBounds::Clamp).then(|| n.clamp(low, high) as i64);
            Fixed { value: clamped, out_of_bounds: true }
        }
    }
}

type Row = HashMap<String, Fixed>;

fn value(row: &Row, column: &str) -> Option<i64> {
    row[column].value
}

/// AND (`truth` is true) or OR (false): one part that is not `truth` decides, else one unknown leaves it unknown.
fn every(parts: &[Filter], row: &Row, truth: bool) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.iter().map(|p| holds(p, row)).collect();
    match parts {
        parts if parts.contains(&Some(!truth)) => Some(!truth),
        parts if parts.contains(&None) => None,
        _ => Some(truth),
    }
}

/// Three-valued logic: `None` is unknown.
fn holds(filter: &Filter, row: &Row) -> Option<bool> {
    match filter {
        Filter::And(parts) => every(parts, row, true),
        Filter::Or(parts) => every(parts, row, false),
        Filter::Not(inner) => holds(inner, row).map(|h| !h),
        Filter::Compare { column, op, value: constant } => value(row, column).map(|v| match op {
            Comparison::Eq => v == *constant,
            Comparison::Ne => v != *constant,
            Comparison::Lt => v < *constant,
            Comparison::Le => v <= *constant,
            Comparison::Gt => v > *constant,
            Comparison::Ge => v >= *constant,
        }),
        Filter::In { column, values } => value(row, column).map(|v| values.contains(&v)),
        Filter::IsNull { column } => Some(value(row, column).is_none()),
        Filter::Always { column, holds } => value(row, column).map(|_| *holds),
    }
}

/// The index of a value's code.
fn code(column: &Column, value: i64) -> usize {
    match column.kind {
        ColumnKind::Category => value as usize,
        _ => (value - column.min) as usize,
    }
}

fn split(plan: &Plan, split: &Split, row: &Row) -> usize {
    let v = value(row, split.column()).expect("a case");
    match split {
        Split::Codes { column, .. } => code(plan.column(column).expect("resolved"), v),
        Split::Bins { edges, .. } => {
            let last = edges.len() - 1;
            if v == edges[last] { last } else { edges.iter().filter(|e| **e <= v).count() }
        }
        Split::Grid { low, width, .. } => (v.abs_diff(*low) / width) as usize,
        Split::TimeGrid { step, .. } => (v as u64).div_ceil(u64::from(*step)) as usize,
    }
}

fn splits(plan: &Plan, by: &[Split], row: &Row) -> usize {
    by.iter().fold(0, |index, s| index * s.len() + split(plan, s, row))
}

/// One hospital's rows, placed in group cells.
struct Placed<'a> {
    plan: &'a Plan,
    floor: u64,
    /// (cell, row) of the rows in the filter and in a cell.
    rows: Vec<(usize, Row)>,
    ungrouped: i128,
}

/// The slots that a hospital with this floor contributes. Modular slots are 1 where a random value stands.
pub fn evaluate(plan: &Plan, hospital: &str, floor: u32, table: &Rows) -> Vec<i128> {
    let own = plan.hospitals.iter().position(|h| h == hospital).expect("a hospital of the plan");
    let mut placed = Placed { plan, floor: u64::from(floor.max(plan.floor)), rows: Vec::new(), ungrouped: 0 };
    for texts in &table.rows {
        let read = |c: &Column| {
            let at = table.names.iter().position(|n| *n == c.name).expect("a mapped column");
            (c.name.clone(), fixed(c, texts[at].as_deref()))
        };
        let row: Row = plan.columns.iter().map(read).collect();
        if plan.filter.as_ref().is_some_and(|f| holds(f, &row) != Some(true)) {
            continue;
        }
        let cell = plan.groups.iter().try_fold(0usize, |cell, g| {
            let index = match g.column.as_str() {
                HOSPITAL => own,
                name => code(plan.column(name).expect("resolved"), value(&row, name)?),
            };
            Some(cell * g.codes.len() + index)
        });
        match cell {
            Some(cell) => placed.rows.push((cell, row)),
            None => placed.ungrouped += 1,
        }
    }
    if plan.privacy.is_some() {
        placed.floor = 1;
    }
    let mut withheld: Vec<Vec<bool>> = plan.strata.iter().map(|s| placed.withheld(s)).collect();
    placed.complement(&mut withheld, own);
    plan.blocks
        .iter()
        .flat_map(|block| {
            let mut slots = placed.block(&block.content, &withheld, own);
            if plan.rounding {
                super::rounding::round_block(&block.content, &mut slots);
            }
            assert_eq!(slots.len(), block.slots as usize, "{block:?}");
            let fits = |v: &i128| block.width > 127 || v.unsigned_abs() >> (block.width - 1) == 0;
            assert!(slots.iter().all(fits), "a slot overflows {block:?}");
            slots
        })
        .collect()
}

impl Placed<'_> {
    fn cases<'b>(&'b self, cases: &'b [String]) -> impl Iterator<Item = (usize, &'b Row)> {
        let complete = |row: &Row| cases.iter().all(|c| value(row, c).is_some());
        self.rows.iter().filter(move |(_, row)| complete(row)).map(|(cell, row)| (*cell, row))
    }

    /// Which cells of a stratum the hospital withholds.
    fn withheld(&self, stratum: &Stratum) -> Vec<bool> {
        let each: usize = stratum.by.iter().map(Split::len).product();
        let size = self.plan.cells() * each;
        if self.floor <= 1 {
            return vec![false; size];
        }
        let mut counts = vec![0u64; size];
        let column = |name: &String| self.plan.column(name).expect("resolved");
        let codes = |name: &String| {
            let column = column(name);
            column.few_values().unwrap_or_else(|| column.group_codes().expect("a level has codes").len())
        };
        let mut levels: Vec<Vec<Vec<u64>>> =
            stratum.levels.iter().map(|l| vec![vec![0; codes(l)]; size]).collect();
        for (cell, row) in self.cases(&stratum.cases) {
            let at = cell * each + splits(self.plan, &stratum.by, row);
            counts[at] += 1;
            for (name, of) in stratum.levels.iter().zip(&mut levels) {
                of[at][code(column(name), value(row, name).expect("a case"))] += 1;
            }
        }
        let small = |n: &u64| *n < self.floor;
        (0..size).map(|at| small(&counts[at]) || levels.iter().any(|of| of[at].iter().any(small))).collect()
    }

    fn block(&self, content: &Content, withheld: &[Vec<bool>], own: usize) -> Vec<i128> {
        match content {
            Content::Measure(measure) => self.measure(measure, &withheld[measure.stratum]),
            Content::Withheld { stratum } => {
                withheld[*stratum].iter().map(|w| if *w { 1i128 << own } else { 0 }).collect()
            }
            Content::Extremum { column, max, stratum } => self.extremum(column, *max, &withheld[*stratum]),
            Content::Ungrouped => vec![self.not_small(self.ungrouped)],
            Content::Blinding => vec![0; ward_circuits::pedersen::PIECES],
            Content::Missing { column } => self.quality(|row| row[column].value.is_none()),
            Content::OutOfBounds { column } => self.quality(|row| row[column].out_of_bounds),
        }
    }

    fn measure(&self, measure: &Measure, withheld: &[bool]) -> Vec<i128> {
        let each: usize = measure.by.iter().map(Split::len).product();
        let stratum = &self.plan.strata[measure.stratum];
        let prefix: usize = stratum.by.iter().map(Split::len).product();
        let mut sums = vec![0i128; self.plan.cells() * each];
        for (cell, row) in self.cases(&measure.cases) {
            if withheld[cell * prefix + splits(self.plan, &measure.by[..stratum.by.len()], row)] {
                continue;
            }
            let factor = |f: &Factor| match f {
                Factor::Value(column) => i128::from(value(row, column).expect("a case")),
                Factor::Level { column, code } => i128::from(value(row, column) == Some(i64::from(*code))),
            };
            sums[cell * each + splits(self.plan, &measure.by, row)] +=
                measure.product.iter().map(factor).product::<i128>();
        }
        sums
    }

    fn extremum(&self, name: &str, max: bool, withheld: &[bool]) -> Vec<i128> {
        let column = self.plan.column(name).expect("resolved");
        let points = (column.max - column.min + 1) as usize;
        let mut slots = vec![0; self.plan.cells() * points];
        for (cell, row) in self.rows.iter().filter(|(cell, _)| !withheld[*cell]) {
            let Some(v) = value(row, name) else { continue };
            let at = (v - column.min) as usize;
            let range = if max { 0..=at } else { at..=points - 1 };
            for point in range {
                slots[cell * points + point] = 1;
            }
        }
        slots
    }

    fn quality(&self, counted: impl Fn(&Row) -> bool) -> Vec<i128> {
        let mut found = vec![0i128; self.plan.cells()];
        for (cell, row) in &self.rows {
            found[*cell] += i128::from(counted(row));
        }
        found.into_iter().map(|n| self.not_small(n)).collect()
    }

    fn not_small(&self, count: i128) -> i128 {
        if count < i128::from(self.floor) { 0 } else { count }
    }

    /// Withholds the smallest cells of a line whose total is shown, until two and as many rows as the floor are withheld.
    fn complement(&self, withheld: &mut [Vec<bool>], own: usize) {
        if self.floor <= 1 {
            return;
        }
        let strata = &self.plan.strata;
        let each = |s: &Stratum| s.by.iter().map(Split::len).product::<usize>();
        let indices = |s: &Stratum, mut at: usize| -> Vec<usize> {
            let mut found: Vec<usize> = Vec::new();
            for split in s.by.iter().rev() {
                found.insert(0, at % split.len());
                at /= split.len();
            }
            found
        };
        for fine in 0..strata.len() {
            let mut counts = vec![0u64; self.plan.cells() * each(&strata[fine])];
            for (cell, row) in self.cases(&strata[fine].cases) {
                counts[cell * each(&strata[fine]) + splits(self.plan, &strata[fine].by, row)] += 1;
            }
            loop {
                let before = withheld[fine].clone();
                for coarse in 0..strata.len() {
                    let is_coarser = strata[coarse].by.len() < strata[fine].by.len()
                        && strata[coarse].by.iter().all(|s| strata[fine].by.contains(s));
                    if !is_coarser {
                        continue;
                    }
                    for total in 0..self.plan.cells() * each(&strata[coarse]) {
                        if withheld[coarse][total] {
                            continue;
                        }
                        let (group, wanted) = (
                            total / each(&strata[coarse]),
                            indices(&strata[coarse], total % each(&strata[coarse])),
                        );
                        let mut line: Vec<usize> = (0..each(&strata[fine]))
                            .filter(|at| {
                                let at = indices(&strata[fine], *at);
                                strata[coarse].by.iter().zip(&wanted).all(|(split, want)| {
                                    let place =
                                        strata[fine].by.iter().position(|s| s == split).expect("finer");
                                    at[place] == *want
                                }) && strata[fine].by.iter().zip(&at).all(|(s, i)| self.can_be(s, *i))
                            })
                            .map(|at| group * each(&strata[fine]) + at)
                            .filter(|_| self.is_own(group, own))
                            .collect();
                        line.sort_by_key(|at| (counts[*at], *at));
                        let hidden = |withheld: &[bool]| {
                            let of = line.iter().filter(|at| withheld[**at]);
                            (of.clone().count(), of.map(|at| counts[*at]).sum::<u64>())
                        };
                        while let Some(next) = line.iter().find(|at| !withheld[fine][**at]) {
                            let (cells, rows) = hidden(&withheld[fine]);
                            if cells == 0 || (cells >= 2 && rows >= self.floor) {
                                break;
                            }
                            withheld[fine][*next] = true;
                        }
                    }
                }
                if before == withheld[fine] {
                    break;
                }
            }
        }
    }

    /// Whether a value within the bounds falls into the cell.
    fn can_be(&self, split: &Split, index: usize) -> bool {
        let Split::Bins { column, edges } = split else { return true };
        let column = self.plan.column(column).expect("resolved");
        let last = edges.len() - 1;
        let bin = |v: i64| if v == edges[last] { last } else { edges.iter().filter(|e| **e <= v).count() };
        (column.min..=column.max).any(|v| bin(v) == index)
    }

    /// Whether a group can have rows of this hospital.
    fn is_own(&self, mut group: usize, own: usize) -> bool {
        self.plan.groups.iter().rev().all(|g| {
            let code = group % g.codes.len();
            group /= g.codes.len();
            g.column != HOSPITAL || code == own
        })
    }
}

/// What the encryption gives: sums of signed slots; a modular slot is 1 where one contribution is.
pub fn sum(plan: &Plan, contributions: &[Vec<i128>]) -> Vec<i128> {
    let modular = plan
        .blocks
        .iter()
        .flat_map(|b| std::iter::repeat_n(matches!(b.content, Content::Extremum { .. }), b.slots as usize));
    let total = |i: usize| contributions.iter().map(|c| c[i]).sum::<i128>();
    modular
        .enumerate()
        .map(|(i, modular)| if modular { i128::from(total(i) != 0) } else { total(i) })
        .collect()
}
