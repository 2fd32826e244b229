//! The sources behind the published tables: opened, surveyed, digested, and looked at again when they change.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use polars::prelude::{DataFrame, DataType};
use sha2::{Digest, Sha256};

use super::config::{PartyConfig, Source, TableConfig};
use super::gate::{self, Asking, Gate, RowGate};
use super::mapping::{Mapped, Mapping};
use super::shape::Shape;
use super::{LocalError, scan};
use crate::query::catalogue::{Publication, Table};

/// The data of one hospital.
#[derive(Debug)]
pub struct LocalData {
    tables: Vec<TableConfig>,
    states: Arc<Mutex<HashMap<String, Arc<TableState>>>>,
    gate: Gate,
}

/// What is known of a table's source as long as the file does not change.
#[derive(Debug)]
pub(super) struct TableState {
    stamp: Stamp,
    /// Digest of the file and its mapping, hexadecimal.
    pub(super) dataset_version: String,
    pub(super) survey: Survey,
}

/// Counts over a source, for the hospital's own eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Rows.
    pub rows: u64,
    /// Distinct patients and rows without one, where the table names a patient column.
    pub patients: Option<PatientSurvey>,
    /// Counts per published column, in the order of the configuration.
    pub columns: Vec<ColumnSurvey>,
}

/// Counts over the patient column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatientSurvey {
    /// Distinct patients.
    pub distinct: u64,
    /// Rows that name none.
    pub missing: u64,
}

/// Counts over one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSurvey {
    /// Catalogue name.
    pub column: String,
    /// No value.
    pub missing: u64,
    /// Texts that are no number; they count as missing.
    pub unparseable: u64,
    /// Texts that are no code; they count as out of bounds.
    pub unmapped: u64,
    /// Numbers out of bounds.
    pub out_of_bounds: u64,
}

/// What tells that a file is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl LocalData {
    /// The sources, not looked at yet.
    #[must_use]
    pub fn new(config: &PartyConfig) -> Self {
        let gate = Gate::of(config.consent.regime);
        Self { tables: config.tables.clone(), states: Arc::default(), gate }
    }

    /// The same sources, read through a gate.
    #[must_use]
    pub fn through(&self, rows: Arc<dyn RowGate>) -> Self {
        let gate = Gate::Asked(rows);
        Self { tables: self.tables.clone(), states: Arc::clone(&self.states), gate }
    }

    /// What decides whose rows of a table are read, with the source column that names the patient; none where
    /// every row is.
    pub(super) fn gate<'a>(&'a self, table: &'a TableConfig) -> Result<Option<Asking<'a>>, LocalError> {
        self.gate.at(table)
    }

    /// The patients of a table, one after the other, as often as they have rows.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub fn each_patient(&self, table: &str, mut each: impl FnMut(&str)) -> Result<(), LocalError> {
        let table = self.table(table)?;
        let state = self.state(table)?;
        gate::patients(table, state.survey.rows, &mut each)?;
        state.still_holds(table)
    }

    /// Opens the sources: every column must be there and map, and no table may have more rows than announced.
    ///
    /// # Errors
    /// The first [`LocalError`].
    pub fn open(config: &PartyConfig) -> Result<Self, LocalError> {
        let data = Self::new(config);
        for table in &data.tables {
            data.state(table)?;
        }
        Ok(data)
    }

    /// What this hospital publishes. Files that changed since the last look are read again.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn publication(&self, hospital: &str, floor: u32) -> Result<Publication, LocalError> {
        let tables = self
            .tables
            .iter()
            .map(|table| {
                Ok(Table {
                    name: table.name.clone(),
                    description: table.description.clone(),
                    rows_max: table.rows_max,
                    rows_per_patient_max: table.rows_per_patient_max,
                    data_use: table.data_use.clone(),
                    dataset_version: self.state(table)?.dataset_version.clone(),
                    columns: table.columns.iter().map(|c| c.column.clone()).collect(),
                })
            })
            .collect::<Result<_, LocalError>>()?;
        Ok(Publication { hospital: hospital.into(), floor, tables })
    }

    /// The survey of a table.
    ///
    /// # Errors
    /// As [`Self::open`]; [`LocalError::TableUnknown`].
    pub fn survey(&self, table: &str) -> Result<Survey, LocalError> {
        Ok(self.state(self.table(table)?)?.survey.clone())
    }

    /// The dataset version of a table now.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub fn dataset_version(&self, table: &str) -> Result<String, LocalError> {
        Ok(self.state(self.table(table)?)?.dataset_version.clone())
    }

    /// The patient of every row of a table, as numbers of this reading alone; none where the table names no patients.
    /// A row without a patient has `u32::MAX`.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub fn patients(&self, table: &str) -> Result<Option<Vec<u32>>, LocalError> {
        let table = self.table(table)?;
        let Some(source) = table.patient.as_deref() else { return Ok(None) };
        let absent = || LocalError::ColumnAbsent { table: table.name.clone(), source_column: source.into() };
        let rows = self.state(table)?.survey.rows;
        let frame = scan::collect(table, scan::scan(table, &[source], Some(rows))?)?;
        let named = frame.column(source).and_then(|series| series.cast(&DataType::String));
        let named = named.map_err(|_| absent())?;
        let named = named.str().map_err(|_| absent())?;
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let is_named = |name: &&str| !name.trim().is_empty() && !table.null_values.contains(name.trim());
        Ok(Some(
            named
                .iter()
                .map(|name| match name.filter(is_named) {
                    None => u32::MAX,
                    Some(name) => {
                        let next = numbers.len() as u32;
                        *numbers.entry(name).or_insert(next)
                    }
                })
                .collect(),
        ))
    }

    pub(super) fn table(&self, name: &str) -> Result<&TableConfig, LocalError> {
        self.tables
            .iter()
            .find(|t| t.name == name)
            .ok_or_else(|| LocalError::TableUnknown { table: name.into() })
    }

    /// The state of a table, from memory as long as the file's size and time stay.
    pub(super) fn state(&self, table: &TableConfig) -> Result<Arc<TableState>, LocalError> {
        let stamp = stamp_of(table)?;
        let known = self.states.lock().unwrap_or_else(PoisonError::into_inner).get(&table.name).cloned();
        if let Some(known) = known.filter(|known| known.stamp == stamp) {
            return Ok(known);
        }
        let (dataset_version, rows) = dataset_version(table)?;
        let survey = survey(table, rows)?;
        let state = Arc::new(TableState { stamp, dataset_version, survey });
        state.still_holds(table)?;
        if rows.is_some_and(|rows| rows != state.survey.rows) {
            return Err(malformed(table, "its rows cannot be told apart"));
        }
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(table.name.clone(), Arc::clone(&state));
        Ok(state)
    }
}

impl TableState {
    /// Checks after reading that the file read is the file digested.
    pub(super) fn still_holds(&self, table: &TableConfig) -> Result<(), LocalError> {
        if stamp_of(table)? == self.stamp {
            return Ok(());
        }
        Err(LocalError::SourceChanged { table: table.name.clone() })
    }
}

fn unreadable(table: &TableConfig, error: &std::io::Error) -> LocalError {
    LocalError::SourceUnreadable { table: table.name.clone(), reason: error.kind().to_string() }
}

fn malformed(table: &TableConfig, reason: &'static str) -> LocalError {
    LocalError::SourceMalformed { table: table.name.clone(), format: table.source.format(), reason }
}

fn stamp_of(table: &TableConfig) -> Result<Stamp, LocalError> {
    let read = |path: &Path| {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        Ok(Stamp { bytes: metadata.len(), modified: metadata.modified()? })
    };
    read(table.source.path()).map_err(|error| unreadable(table, &error))
}

/// SHA-256 of a domain, the file's SHA-256 and the mapping's: the same rows read another way are another
/// dataset.
///
/// Returns the number of rows of a CSV file with it, whose shape is checked on the way.
fn dataset_version(table: &TableConfig) -> Result<(String, Option<u64>), LocalError> {
    let mut shape = matches!(table.source, Source::Csv(_)).then(|| Shape::new(table.delimiter));
    let mut file = std::fs::File::open(table.source.path()).map_err(|error| unreadable(table, &error))?;
    let mut content = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|error| unreadable(table, &error))? {
            0 => break,
            read => {
                content.update(&buffer[..read]);
                shape.iter_mut().for_each(|shape| shape.update(&buffer[..read]));
            }
        }
    }
    let rows = shape.map(Shape::finish).transpose().map_err(|reason| malformed(table, reason))?;
    let mut mapping = Sha256::new();
    let shape = (table.delimiter, &table.null_values, &table.columns);
    mapping.update(serde_json::to_vec(&shape).map_err(|_| LocalError::PlanInconsistent {
        detail: format!("the mapping of table `{}` cannot be written down", table.name),
    })?);
    let mut version = Sha256::new();
    version.update(b"ward dataset version v1\0");
    version.update(content.finalize());
    version.update(mapping.finalize());
    Ok((hex::encode(version.finalize()), rows))
}

fn survey(table: &TableConfig, rows: Option<u64>) -> Result<Survey, LocalError> {
    let mut needed: BTreeSet<&str> = table.columns.iter().map(|c| c.source.as_str()).collect();
    needed.extend(table.patient.as_deref());
    let needed: Vec<&str> = needed.into_iter().collect();
    let frame = scan::collect(table, scan::scan(table, &needed, rows)?)?;
    let rows = frame.height() as u64;
    if rows > table.rows_max {
        return Err(LocalError::TooManyRows { table: table.name.clone(), rows, rows_max: table.rows_max });
    }
    let mut columns = Vec::with_capacity(table.columns.len());
    for config in &table.columns {
        let mapped = mapped(table, &frame, &config.source, &Mapping::new(table, config))?;
        let count = |of: fn(&Mapped) -> bool| mapped.iter().filter(|m| of(m)).count() as u64;
        let (min, max) = (config.column.min, config.column.max);
        let found = ColumnSurvey {
            column: config.column.name.clone(),
            missing: count(|m| *m == Mapped::Missing),
            unparseable: count(|m| *m == Mapped::Unparseable),
            unmapped: count(|m| *m == Mapped::Unmapped),
            out_of_bounds: mapped
                .iter()
                .filter(|m| matches!(m, Mapped::Value(v) if *v < min || *v > max))
                .count() as u64,
        };
        let present = rows - found.missing;
        if present > 0 && found.unparseable + found.unmapped == present {
            let column = config.column.name.clone();
            return Err(LocalError::NothingMapped { table: table.name.clone(), column, present });
        }
        columns.push(found);
    }
    let patients = match &table.patient {
        Some(source) => Some(patients(table, &frame, source)?),
        None => None,
    };
    Ok(Survey { rows, patients, columns })
}

fn mapped(
    table: &TableConfig,
    frame: &DataFrame,
    source: &str,
    mapping: &Mapping,
) -> Result<Vec<Mapped>, LocalError> {
    frame
        .column(source)
        .and_then(|series| mapping.column(series))
        .map_err(|_| LocalError::ColumnAbsent { table: table.name.clone(), source_column: source.into() })
}

fn patients(table: &TableConfig, frame: &DataFrame, source: &str) -> Result<PatientSurvey, LocalError> {
    let absent = |_| LocalError::ColumnAbsent { table: table.name.clone(), source_column: source.into() };
    let series = frame.column(source).map_err(absent)?;
    let missing = series.null_count() as u64;
    let distinct = series.n_unique().map_err(absent)? as u64;
    Ok(PatientSurvey { distinct: distinct - u64::from(missing > 0), missing })
}
