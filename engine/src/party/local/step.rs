//! The local step: a plan over this hospital's rows, to the slots that are encrypted next.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use polars::prelude::{BooleanChunked, DataFrame, DataType, lit};
use ward_circuits::pedersen::PIECES;

use super::cohort::{NOWHERE, Partition};
use super::config::{ColumnConfig, TableConfig};
use super::data::{LocalData, TableState};
use super::scan::{named, outside_name};
use super::sums::{MISSING, Rows, Withheld, cell_count, inconsistent};
use super::{LocalError, filter, scan};
use crate::query::ast::HOSPITAL;
use crate::query::plan::{Block, Content, Factor, Filter, Measure, Plan};
use crate::query::rounding::round_block;

/// A hospital's contribution in the clear: it never leaves the node but encrypted.
pub struct Contribution {
    /// One value per slot, in the plan's order.
    pub slots: Vec<SlotValue>,
    /// Digest of the data that were read.
    pub dataset_version: String,
    /// Rows in the filter, for the hospital's own audit; never sent.
    pub rows_in_filter: u64,
    /// What the sums show, as sets of rows: kept at the hospital, never sent.
    pub cohorts: Vec<Partition>,
}

/// The value of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotValue {
    /// This integer.
    Int(i128),
    /// A fresh uniform number modulo the plaintext modulus, drawn once where it is encrypted.
    UniformModT,
}

/// Computes a plan over the rows of this hospital. `floor` is the hospital's own; the plan's applies where it
/// is higher.
///
/// # Errors
/// [`LocalError`]; no content of the data and no plan makes it panic.
pub fn run(plan: &Plan, data: &LocalData, hospital: &str, floor: u32) -> Result<Contribution, LocalError> {
    let Some(index) = plan.hospitals.iter().position(|h| h == hospital) else {
        return Err(LocalError::HospitalAbsent { hospital: hospital.into() });
    };
    let table = data.table(&plan.query.table)?;
    let state = data.state(table)?;
    let needs = Needs::of(plan);
    let mut frame = read(plan, (data, table), &needs, (index, &state))?;
    if let Some(privacy) = &plan.privacy {
        frame = bounded(table, frame, state.patients(table)?.as_deref(), privacy.rows_per_patient)?;
    }
    state.still_holds(table)?;

    // On shares the floor counts the rows of all hospitals together, and nobody sees a cell under it; with noise, no cell
    // is hidden by anything else.
    let is_open = plan.multi_party.is_some() || plan.privacy.is_some();
    let mut rows = Rows {
        plan,
        floor: if is_open { 1 } else { u64::from(floor.max(plan.floor)) },
        len: frame.height(),
        values: HashMap::new(),
        cells: Vec::new(),
    };
    for name in &needs.sums {
        rows.values.insert((*name).to_owned(), integers(table, &frame, name)?);
    }
    let mut outside = HashMap::new();
    for name in &needs.outside {
        outside.insert(*name, flags(table, &frame, name)?);
    }
    let ungrouped = rows.group()?;
    let mut withheld = plan.strata.iter().map(|s| rows.withheld(s)).collect::<Result<Vec<_>, _>>()?;
    rows.complement(&mut withheld)?;
    let cohorts = cohorts(&rows, &withheld, &placed(&state, indices(table, &frame)?), state.survey.rows)?;
    let step = Step { rows, hospital: index, outside, ungrouped, withheld };
    let mut slots = Vec::new();
    for (at, block) in plan.blocks.iter().enumerate() {
        step.block(at, block, &mut slots)?;
    }
    Ok(Contribution {
        slots,
        dataset_version: state.dataset_version.clone(),
        rows_in_filter: step.rows.len as u64,
        cohorts,
    })
}

/// Where each row stands in the source.
fn indices(table: &TableConfig, frame: &DataFrame) -> Result<Vec<u32>, LocalError> {
    let rows = frame.column(scan::ROW).and_then(|series| series.cast(&DataType::UInt32));
    let rows = rows.map_err(|_| unread(table, scan::ROW))?;
    let rows = rows.u32().map_err(|_| unread(table, scan::ROW))?;
    Ok(rows.iter().map(|row| row.unwrap_or(NOWHERE)).collect())
}

/// The places of these rows in the version: what was shown is told by the rows, whatever order they come in.
fn placed(state: &TableState, mut rows: Vec<u32>) -> Vec<u32> {
    rows.iter_mut().for_each(|row| *row = state.places.get(*row as usize).copied().unwrap_or(NOWHERE));
    rows
}

/// The rows of a query with noise: the first `most` of each patient, and none that names no patient.
fn bounded(
    table: &TableConfig,
    frame: DataFrame,
    patients: Option<&[u32]>,
    most: u32,
) -> Result<DataFrame, LocalError> {
    let Some(patients) = patients else { return Ok(frame) };
    let mut seen: HashMap<u32, u32> = HashMap::new();
    let keep = indices(table, &frame)?.into_iter().map(|row| {
        let patient = patients.get(row as usize).copied().filter(|patient| *patient != NOWHERE);
        let Some(patient) = patient else { return false };
        let rows = seen.entry(patient).or_default();
        *rows += 1;
        *rows <= most
    });
    let keep: BooleanChunked = keep.collect();
    frame.filter(&keep).map_err(|_| unread(table, scan::ROW))
}

/// What the contribution shows: the cells of every stratum that are not withheld, and all of them together.
fn cohorts(
    rows: &Rows<'_>,
    withheld: &[Withheld],
    places: &[u32],
    count: u64,
) -> Result<Vec<Partition>, LocalError> {
    let mut cohorts: Vec<Partition> = Vec::new();
    for (stratum, withheld) in rows.plan.strata.iter().zip(withheld) {
        let mut labels = vec![NOWHERE; usize::try_from(count).unwrap_or_default()];
        // Rows in which a value is missing are of the cell all the same: who has a value is not what a cohort is.
        let cells = rows.cells_of(&stratum.by)?;
        for (place, cell) in places.iter().zip(cells) {
            let is_shown = withheld.get(cell as usize).is_some_and(|withheld| !withheld);
            if let Some(label) = labels.get_mut(*place as usize).filter(|_| is_shown) {
                *label = cell;
            }
        }
        let cells = Partition { labels };
        for shown in [cells.union(), cells] {
            if !shown.is_empty() && !cohorts.contains(&shown) {
                cohorts.push(shown);
            }
        }
    }
    Ok(cohorts)
}

/// The values of some columns in the rows of the filter, row by row, each column in the order of `names`; none where a
/// value is missing or rejected.
///
/// # Errors
/// [`LocalError`].
pub fn columns(
    plan: &Plan,
    data: &LocalData,
    hospital: &str,
    names: &[&str],
) -> Result<Vec<Vec<Option<i64>>>, LocalError> {
    let Some(index) = plan.hospitals.iter().position(|h| h == hospital) else {
        return Err(LocalError::HospitalAbsent { hospital: hospital.into() });
    };
    let table = data.table(&plan.query.table)?;
    let state = data.state(table)?;
    let mut needs = Needs::of(plan);
    needs.sums = names.iter().copied().collect();
    needs.outside.clear();
    let frame = read(plan, (data, table), &needs, (index, &state))?;
    state.still_holds(table)?;
    let present = |value: i64| (value != MISSING).then_some(value);
    let column = |name: &&str| Ok(integers(table, &frame, name)?.into_iter().map(present).collect());
    names.iter().map(column).collect()
}

/// The columns a plan reads.
struct Needs<'a> {
    /// By the condition.
    filter: BTreeSet<&'a str>,
    /// By groups, strata and blocks.
    sums: BTreeSet<&'a str>,
    /// By counts of values out of bounds.
    outside: BTreeSet<&'a str>,
}

impl<'a> Needs<'a> {
    fn of(plan: &'a Plan) -> Self {
        let mut needs = Self { filter: BTreeSet::new(), sums: BTreeSet::new(), outside: BTreeSet::new() };
        if let Some(filter) = &plan.filter {
            filter_columns(filter, 0, &mut needs.filter);
        }
        needs.sums.extend(plan.groups.iter().map(|g| g.column.as_str()));
        for stratum in &plan.strata {
            needs.sums.extend(stratum.cases.iter().chain(&stratum.levels).map(String::as_str));
            needs.sums.extend(stratum.by.iter().map(|s| s.column()));
        }
        for block in &plan.blocks {
            match &block.content {
                Content::Measure(measure) => needs.measure(measure),
                Content::Extremum { column, .. } => {
                    needs.sums.insert(column);
                }
                Content::Missing { column } | Content::OutOfBounds { column } => {
                    needs.sums.insert(column);
                    needs.outside.insert(column);
                }
                Content::Withheld { .. } | Content::Ungrouped | Content::Blinding => {}
            }
        }
        needs
    }

    fn measure(&mut self, measure: &'a Measure) {
        self.sums.extend(measure.cases.iter().map(String::as_str));
        self.sums.extend(measure.by.iter().map(|s| s.column()));
        self.sums.extend(measure.product.iter().map(|factor| match factor {
            Factor::Value(column) | Factor::Level { column, .. } => column.as_str(),
        }));
    }
}

fn filter_columns<'a>(filter: &'a Filter, depth: usize, columns: &mut BTreeSet<&'a str>) {
    // `filter::expression` refuses what is deeper.
    if depth > filter::DEPTH_MAX {
        return;
    }
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().for_each(|part| filter_columns(part, depth + 1, columns));
        }
        Filter::Not(part) => filter_columns(part, depth + 1, columns),
        Filter::Compare { column, .. }
        | Filter::In { column, .. }
        | Filter::IsNull { column }
        | Filter::Always { column, .. } => {
            columns.insert(column);
        }
    }
}

/// Reads the table's rows of patients who consented, maps, bounds and filters them; keeps the columns that are summed.
fn read(
    plan: &Plan,
    (data, table): (&LocalData, &TableConfig),
    needs: &Needs<'_>,
    (hospital, state): (usize, &Arc<TableState>),
) -> Result<DataFrame, LocalError> {
    let names: BTreeSet<&str> = needs.filter.union(&needs.sums).copied().collect();
    let mut columns: Vec<&ColumnConfig> = Vec::new();
    for name in names.iter().filter(|name| **name != HOSPITAL) {
        let own =
            table.column(name).filter(|own| plan.column(name).is_some_and(|c| c.agrees_with(&own.column)));
        match own {
            Some(own) => columns.push(own),
            None => {
                return Err(inconsistent(format!("column `{name}` is not as this hospital publishes it")));
            }
        }
    }
    // Rows can only be counted over some column.
    if columns.is_empty() {
        columns.extend(table.columns.first());
    }
    let sources: BTreeSet<&str> = columns.iter().map(|c| c.source.as_str()).collect();
    let sources: Vec<&str> = sources.into_iter().collect();
    let code = lit(hospital as i64).cast(DataType::Int64).alias(HOSPITAL);
    let source = scan::scan(table, state.held.as_ref(), &sources, Some(state.survey.rows))?;
    let mut source = scan::numbered(source);
    if let Some(admits) = data.gate(table, state)? {
        source = source.filter(admits);
    }
    let mut frame = scan::mapped(source, table, &columns).with_column(code);
    if let Some(condition) = &plan.filter {
        frame = frame.filter(filter::expression(condition)?);
    }
    let kept = needs.sums.iter().copied().chain([HOSPITAL, scan::ROW]).collect::<BTreeSet<_>>();
    let flags = needs.outside.iter().map(|name| named(&outside_name(name)));
    let kept = kept.into_iter().map(named).chain(flags).collect::<Vec<_>>();
    scan::collect(table, frame.select(kept))
}

fn unread(table: &TableConfig, name: &str) -> LocalError {
    inconsistent(format!("column `{name}` of table `{}` was not read", table.name))
}

pub(super) fn integers(table: &TableConfig, frame: &DataFrame, name: &str) -> Result<Vec<i64>, LocalError> {
    let values = frame.column(name).and_then(|series| series.i64()).map_err(|_| unread(table, name))?;
    Ok(values.iter().map(|value| value.unwrap_or(MISSING)).collect())
}

fn flags(table: &TableConfig, frame: &DataFrame, name: &str) -> Result<Vec<bool>, LocalError> {
    let name = outside_name(name);
    let values = frame.column(&name).and_then(|series| series.bool()).map_err(|_| unread(table, &name))?;
    Ok(values.iter().map(|value| value.unwrap_or(false)).collect())
}

/// The blocks of a contribution.
struct Step<'a> {
    rows: Rows<'a>,
    /// Index of this hospital in the plan.
    hospital: usize,
    outside: HashMap<&'a str, Vec<bool>>,
    ungrouped: u64,
    withheld: Vec<Withheld>,
}

impl Step<'_> {
    fn block(&self, at: usize, block: &Block, slots: &mut Vec<SlotValue>) -> Result<(), LocalError> {
        let before = slots.len();
        match &block.content {
            Content::Extremum { column, max, stratum } => {
                self.extremum(column, *max, *stratum, slots)?;
            }
            content => {
                let fits = |value: i128| {
                    let beyond = value.checked_shr(block.width.saturating_sub(1)).unwrap_or(value >> 127);
                    block.width > 0 && (beyond == 0 || beyond == -1)
                };
                let mut values = self.integers(content)?;
                if self.rows.plan.rounding {
                    round_block(content, &mut values);
                }
                for value in values {
                    if !fits(value) {
                        return Err(LocalError::SlotTooWide { block: at, width: block.width });
                    }
                    slots.push(SlotValue::Int(value));
                }
            }
        }
        let filled = slots.len() - before;
        if filled == block.slots as usize {
            return Ok(());
        }
        Err(inconsistent(format!("block {at} has {} slots, its content {filled}", block.slots)))
    }

    fn integers(&self, content: &Content) -> Result<Vec<i128>, LocalError> {
        Ok(match content {
            Content::Measure(measure) => self.rows.sums(measure, &self.withheld)?,
            Content::Withheld { stratum } => {
                let bit = 1i128.checked_shl(self.hospital as u32).filter(|bit| *bit > 0);
                let (Some(withheld), Some(bit)) = (self.withheld.get(*stratum), bit) else {
                    return Err(inconsistent(format!("no stratum {stratum}, or more than 126 hospitals")));
                };
                withheld.iter().map(|withheld| if *withheld { bit } else { 0 }).collect()
            }
            Content::Ungrouped => {
                vec![if self.ungrouped < self.rows.floor { 0 } else { i128::from(self.ungrouped) }]
            }
            Content::Missing { column } => {
                let (values, _) = self.quality(column)?;
                self.rows.count(|row| values[row] == MISSING)
            }
            Content::OutOfBounds { column } => {
                let (_, outside) = self.quality(column)?;
                self.rows.count(|row| outside[row])
            }
            // Drawn where the contribution is proved.
            Content::Blinding => vec![0; PIECES],
            Content::Extremum { .. } => Vec::new(),
        })
    }

    fn quality(&self, column: &str) -> Result<(&[i64], &[bool]), LocalError> {
        match (self.rows.values.get(column), self.outside.get(column)) {
            (Some(values), Some(outside)) => Ok((values, outside)),
            _ => Err(inconsistent(format!("column `{column}` is not read"))),
        }
    }

    fn extremum(
        &self,
        name: &str,
        max: bool,
        stratum: usize,
        slots: &mut Vec<SlotValue>,
    ) -> Result<(), LocalError> {
        let plan = self.rows.plan;
        let (Some(column), Some(definition), Some(withheld)) =
            (plan.column(name), plan.strata.get(stratum), self.withheld.get(stratum))
        else {
            return Err(inconsistent(format!("no stratum {stratum} or column `{name}`")));
        };
        let points = column.max.checked_sub(column.min).and_then(|span| usize::try_from(span).ok());
        let points =
            points.and_then(|span| span.checked_add(1)).ok_or_else(|| inconsistent("an empty domain"))?;
        plan.cells().checked_mul(points).ok_or_else(|| inconsistent("a domain without end"))?;
        cell_count(plan.cells() * points, &[])?;
        for (cell, extremum) in self.rows.extrema(name, max, definition)?.into_iter().enumerate() {
            let own = extremum
                .filter(|_| !withheld.get(cell).copied().unwrap_or(true))
                .and_then(|value| usize::try_from(value.checked_sub(column.min)?).ok());
            slots.extend((0..points).map(|point| match own {
                Some(own) if (max && point <= own) || (!max && point >= own) => SlotValue::UniformModT,
                _ => SlotValue::Int(0),
            }));
        }
        Ok(())
    }
}
