//! A look at all rows of a table: counts of what maps, and the dataset version.

use std::collections::{BTreeSet, HashSet};

use polars::prelude::{Column as Series, DataFrame, DataType};

use super::config::{ColumnConfig, TableConfig};
use super::data::{ColumnSurvey, PatientSurvey, Survey};
use super::mapping::{Mapped, Mapping};
use super::{LocalError, scan};
use crate::records::Rejects;
use crate::records::version::{Version, VersionKey, Versioner};

/// Rows that are mapped at a time.
const CHUNK_ROWS: usize = 1 << 16;

/// Counts over a table's rows, and their version. `rows` ends a CSV file before blank lines.
pub(super) fn survey(
    table: &TableConfig,
    held: Option<&DataFrame>,
    rows: Option<u64>,
    key: &VersionKey,
) -> Result<(Survey, Version), LocalError> {
    let mut needed: BTreeSet<&str> = table.columns.iter().map(|c| c.source.as_str()).collect();
    needed.extend(table.patient.as_deref());
    let needed: Vec<&str> = needed.into_iter().collect();
    let frame = scan::collect(table, scan::scan(table, held, &needed, rows)?)?;
    let rows = frame.height() as u64;
    if rows > table.rows_max {
        return Err(LocalError::TooManyRows { table: table.name.clone(), rows, rows_max: table.rows_max });
    }
    let published: Vec<_> = table.columns.iter().map(|c| &c.column).collect();
    let mut versioner = Versioner::new(key, &published, table.patient.is_some());
    let mut columns: Vec<Counter<'_>> = table.columns.iter().map(|c| Counter::new(table, c)).collect();
    let mut patients = table.patient.as_deref().map(Patients::new);
    let mut at = 0;
    while at < frame.height() {
        let chunk = frame.slice(at as i64, CHUNK_ROWS);
        at += chunk.height();
        let mapped = columns
            .iter_mut()
            .map(|counter| counter.take(table, &chunk))
            .collect::<Result<Vec<Vec<Option<i64>>>, _>>()?;
        let named = patients.as_mut().map(|patients| patients.take(table, &chunk)).transpose()?;
        for row in 0..chunk.height() {
            let patient = named.as_ref().and_then(|named| named.get(row)).and_then(Option::as_deref);
            versioner.row(patient, mapped.iter().map(|column| column.get(row).copied().flatten()));
        }
    }
    let survey = Survey {
        rows,
        patients: patients.map(|p| PatientSurvey { distinct: p.seen.len() as u64, missing: p.missing }),
        columns: columns.into_iter().map(|c| c.finish(table, rows)).collect::<Result<_, _>>()?,
        rejects: Rejects::default(),
    };
    Ok((survey, versioner.finish()))
}

/// The first rows, as texts, in the order of the published columns.
pub(super) fn first_rows(
    table: &TableConfig,
    held: Option<&DataFrame>,
    count: u64,
) -> Result<Vec<Vec<Option<String>>>, LocalError> {
    let needed: BTreeSet<&str> = table.columns.iter().map(|c| c.source.as_str()).collect();
    let needed: Vec<&str> = needed.into_iter().collect();
    let lazy = scan::scan(table, held, &needed, Some(count))?;
    let frame = scan::collect(table, lazy.limit(u32::try_from(count).unwrap_or(u32::MAX)))?;
    let columns = table
        .columns
        .iter()
        .map(|c| texts(series(table, &frame, &c.source)?).ok_or_else(|| absent(table, &c.source)))
        .collect::<Result<Vec<_>, _>>()?;
    let row = |at: usize| columns.iter().map(|column| column.get(at).cloned().flatten()).collect();
    Ok((0..frame.height()).map(row).collect())
}

struct Counter<'a> {
    config: &'a ColumnConfig,
    mapping: Mapping,
    found: ColumnSurvey,
}

impl<'a> Counter<'a> {
    fn new(table: &TableConfig, config: &'a ColumnConfig) -> Self {
        let found = ColumnSurvey {
            column: config.column.name.clone(),
            missing: 0,
            unparseable: 0,
            unmapped: 0,
            out_of_bounds: 0,
            range: None,
        };
        Self { config, mapping: Mapping::new(table, config), found }
    }

    fn take(&mut self, table: &TableConfig, chunk: &DataFrame) -> Result<Vec<Option<i64>>, LocalError> {
        let series = series(table, chunk, &self.config.source)?;
        let mapped = self.mapping.column(series).map_err(|_| absent(table, &self.config.source))?;
        let (min, max) = (self.config.column.min, self.config.column.max);
        let found = &mut self.found;
        for value in &mapped {
            match value {
                Mapped::Missing => found.missing += 1,
                Mapped::Unparseable => found.unparseable += 1,
                Mapped::Unmapped => found.unmapped += 1,
                Mapped::Value(value) => {
                    found.out_of_bounds += u64::from(*value < min || *value > max);
                    let (low, high) = found.range.unwrap_or((*value, *value));
                    found.range = Some((low.min(*value), high.max(*value)));
                }
            }
        }
        Ok(mapped.into_iter().map(Mapped::value).collect())
    }

    fn finish(self, table: &TableConfig, rows: u64) -> Result<ColumnSurvey, LocalError> {
        let present = rows - self.found.missing;
        if present > 0 && self.found.unparseable + self.found.unmapped == present {
            let column = self.found.column;
            return Err(LocalError::NothingMapped { table: table.name.clone(), column, present });
        }
        Ok(self.found)
    }
}

struct Patients<'a> {
    source: &'a str,
    seen: HashSet<String>,
    missing: u64,
}

impl<'a> Patients<'a> {
    fn new(source: &'a str) -> Self {
        Self { source, seen: HashSet::new(), missing: 0 }
    }

    fn take(&mut self, table: &TableConfig, chunk: &DataFrame) -> Result<Vec<Option<String>>, LocalError> {
        let texts = texts(series(table, chunk, self.source)?).ok_or_else(|| absent(table, self.source))?;
        for patient in &texts {
            match patient {
                None => self.missing += 1,
                Some(patient) if self.seen.contains(patient) => {}
                Some(patient) => {
                    self.seen.insert(patient.clone());
                }
            }
        }
        Ok(texts)
    }
}

/// A column of keys as texts, without the spaces around them; a number is written as a whole one where it is one.
fn texts(series: &Series) -> Option<Vec<Option<String>>> {
    let text = series.cast(&DataType::String).ok()?;
    let text = text.str().ok()?;
    let is_float = matches!(series.dtype(), DataType::Float32 | DataType::Float64);
    let clean = |text: &str| {
        let text = text.trim();
        let text = if is_float { text.strip_suffix(".0").unwrap_or(text) } else { text };
        (!text.is_empty()).then(|| text.to_owned())
    };
    Some(text.iter().map(|text| text.and_then(clean)).collect())
}

fn series<'a>(table: &TableConfig, frame: &'a DataFrame, source: &str) -> Result<&'a Series, LocalError> {
    frame.column(source).map_err(|_| absent(table, source))
}

fn absent(table: &TableConfig, source: &str) -> LocalError {
    LocalError::ColumnAbsent { table: table.name.clone(), source_column: source.into() }
}
