//! The sources behind the published tables: opened, surveyed, digested, and looked at again when they change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use polars::prelude::{DataFrame, Expr};

use super::config::{PartyConfig, Source, TableConfig};
use super::gate::{Gate, Reading, RowGate};
use super::proved::{ProofSettings, Roots};
use super::survey::{first_rows, survey};
use super::{LocalError, held, shape};
use crate::query::catalogue::{Publication, Table};
use crate::records::source::{self, FileStamp};
use crate::records::version::{RowTags, VersionKey};
use crate::records::{Reader, Rejects};

/// Readings of tables so far.
static READINGS: AtomicU64 = AtomicU64::new(0);

/// The data of one hospital.
#[derive(Debug)]
pub struct LocalData {
    tables: Vec<TableConfig>,
    pub(super) key: VersionKey,
    states: Arc<Mutex<HashMap<String, Arc<TableState>>>>,
    gate: Gate,
    rounding: bool,
    pub(super) proofs: Option<ProofSettings>,
}

/// What is known of a table's source as long as the file does not change.
#[derive(Debug)]
pub(super) struct TableState {
    stamp: Vec<FileStamp>,
    read_at: Instant,
    /// Tells the readings of this process apart.
    pub(super) reading: u64,
    /// Root of the Merkle tree over the mapped rows, hexadecimal.
    pub(super) dataset_version: String,
    pub(super) survey: Survey,
    /// The place of each row in the version, whatever the order of the source.
    pub(super) places: Vec<u32>,
    /// What tells the rows apart in every version, by place.
    tags: Arc<RowTags>,
    /// The rows, where they are not scanned from the source for every query.
    pub(super) held: Option<DataFrame>,
    /// The roots of the rows that contributions are proved over, once asked for.
    pub(super) roots: OnceLock<Roots>,
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
    /// What was read of mapped records, and what was left out.
    pub rejects: Rejects,
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
    /// Smallest and largest number, in fixed point; for the hospital's own eyes, like everything here.
    pub range: Option<(i64, i64)>,
}

impl LocalData {
    /// The sources, not looked at yet. Dataset versions are made under `key`.
    #[must_use]
    pub fn new(config: &PartyConfig, key: VersionKey) -> Self {
        let gate = Gate::of(config.consent.regime);
        let (rounding, proofs) = (config.policy.rounding, config.proofs.clone());
        Self { tables: config.tables.clone(), key, states: Arc::default(), gate, rounding, proofs }
    }

    /// The same sources, read through a gate.
    #[must_use]
    pub fn through(&self, rows: Arc<dyn RowGate>) -> Self {
        let (tables, states) = (self.tables.clone(), Arc::clone(&self.states));
        let (gate, rounding) = (Gate::Asked(rows), self.rounding);
        Self { tables, key: self.key.clone(), states, gate, rounding, proofs: self.proofs.clone() }
    }

    /// The condition on [`scan::numbered`] rows of a table that may be read; none where every row is.
    pub(super) fn gate(
        &self,
        table: &TableConfig,
        state: &Arc<TableState>,
    ) -> Result<Option<Expr>, LocalError> {
        self.gate.before(table, state)
    }

    /// A table as it is read now.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub fn reading(&self, table: &str) -> Result<Reading<'_>, LocalError> {
        let table = self.table(table)?;
        Ok(Reading::of(table, self.state(table)?))
    }

    /// Opens the sources: every column must be there and map, and no table may have more rows than announced.
    ///
    /// # Errors
    /// The first [`LocalError`].
    pub fn open(config: &PartyConfig, key: VersionKey) -> Result<Self, LocalError> {
        let data = Self::new(config, key);
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
                    data_class: table.data_class.clone().unwrap_or_default(),
                    data_use: table.data_use.clone(),
                    dataset_version: self.state(table)?.dataset_version.clone(),
                    columns: table.columns.iter().map(|c| c.column.clone()).collect(),
                    proofs: self.proved_rows(table)?,
                })
            })
            .collect::<Result<_, LocalError>>()?;
        Ok(Publication { hospital: hospital.into(), floor, rounding: self.rounding, tables })
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

    /// The patient of every row of a table, by the row's place in this version, as numbers of this reading alone; none
    /// where the table names no patients. A row without a patient has `u32::MAX`.
    ///
    /// # Errors
    /// As [`Self::survey`]; [`LocalError::SourceChanged`] where the table has another version by now.
    pub fn patients(&self, table: &str, version: &str) -> Result<Option<Vec<u32>>, LocalError> {
        let table = self.table(table)?;
        let state = self.state(table)?;
        if state.dataset_version != version {
            return Err(LocalError::SourceChanged { table: table.name.clone() });
        }
        let Some(patients) = state.patients(table)? else { return Ok(None) };
        let mut placed = vec![u32::MAX; patients.len()];
        for (patient, place) in patients.into_iter().zip(&state.places) {
            if let Some(own) = placed.get_mut(*place as usize) {
                *own = patient;
            }
        }
        Ok(Some(placed))
    }

    /// What tells the rows of this version of a table, and their patients, apart in every version.
    ///
    /// # Errors
    /// As [`Self::patients`].
    pub fn tags(&self, table: &str, version: &str) -> Result<Arc<RowTags>, LocalError> {
        let table = self.table(table)?;
        let state = self.state(table)?;
        if state.dataset_version != version {
            return Err(LocalError::SourceChanged { table: table.name.clone() });
        }
        Ok(Arc::clone(&state.tags))
    }

    /// The first rows of a table, as the source's texts, in the order of the published columns: patients' values, for
    /// a person at the hospital who has asked for them.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub fn rows(&self, table: &str, count: usize) -> Result<Vec<Vec<Option<String>>>, LocalError> {
        let table = self.table(table)?;
        let state = self.state(table)?;
        first_rows(table, state.held.as_ref(), state.survey.rows.min(count as u64))
    }

    pub(super) fn table(&self, name: &str) -> Result<&TableConfig, LocalError> {
        self.tables
            .iter()
            .find(|t| t.name == name)
            .ok_or_else(|| LocalError::TableUnknown { table: name.into() })
    }

    /// The state of a table, from memory as long as the files' sizes and times stay, and a database is not due to be
    /// read again. Tables of one database are read together, at one moment.
    pub(super) fn state(&self, table: &TableConfig) -> Result<Arc<TableState>, LocalError> {
        let known = self.states.lock().unwrap_or_else(PoisonError::into_inner).get(&table.name).cloned();
        if let Some(known) = known
            && known.is_good(table)?
        {
            return Ok(known);
        }
        let Source::Records(source) = &table.source else { return self.load(table, None) };
        let failed = |error| LocalError::Records { table: table.name.clone(), error };
        // What is wrong with the mapping is said before a database is asked for.
        source.mapping().map_err(failed)?;
        let mut reader = source.open().map_err(failed)?;
        let state = self.load(table, Some(reader.as_mut()))?;
        if source.refresh().is_some() {
            let is_sibling = |other: &&TableConfig| match &other.source {
                Source::Records(own) => other.name != table.name && own.origin == source.origin,
                _ => false,
            };
            for sibling in self.tables.iter().filter(is_sibling) {
                // What fails here fails again, and is said, when that table is asked for.
                let _ = self.load(sibling, Some(reader.as_mut()));
            }
        }
        Ok(state)
    }

    fn load(
        &self,
        table: &TableConfig,
        reader: Option<&mut dyn Reader>,
    ) -> Result<Arc<TableState>, LocalError> {
        let stamp = stamp_of(table)?;
        let (held, rejects, rows) = match &table.source {
            source if source.is_held() => {
                let (frame, rejects) = held::read(table, reader)?;
                (Some(frame), rejects, None)
            }
            Source::Csv(path) => (None, Rejects::default(), Some(shape::check(table, path)?)),
            _ => (None, Rejects::default(), None),
        };
        let (mut survey, version) = survey(table, held.as_ref(), rows, &self.key)?;
        if rows.is_some_and(|rows| rows != survey.rows) {
            return Err(malformed(table, "its rows cannot be told apart"));
        }
        survey.rejects = rejects;
        if stamp_of(table)? != stamp {
            return Err(LocalError::SourceChanged { table: table.name.clone() });
        }
        let state = Arc::new(TableState {
            stamp,
            read_at: Instant::now(),
            reading: READINGS.fetch_add(1, Ordering::Relaxed),
            dataset_version: version.root.to_string(),
            survey,
            places: version.places,
            tags: Arc::new(version.tags),
            held,
            roots: OnceLock::new(),
        });
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(table.name.clone(), Arc::clone(&state));
        Ok(state)
    }
}

impl TableState {
    fn is_good(&self, table: &TableConfig) -> Result<bool, LocalError> {
        let refresh = match &table.source {
            Source::Records(source) => source.refresh(),
            _ => None,
        };
        Ok(stamp_of(table)? == self.stamp && refresh.is_none_or(|refresh| self.read_at.elapsed() < refresh))
    }

    /// The patient of every row, in the order of the source: [`LocalData::patients`] of this reading.
    pub(super) fn patients(&self, table: &TableConfig) -> Result<Option<Vec<u32>>, LocalError> {
        let Some(source) = table.patient.as_deref() else { return Ok(None) };
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut patients = Vec::new();
        self.each_patient(table, source, &mut |name| {
            let next = numbers.len() as u32;
            patients.push(match name {
                None => u32::MAX,
                Some(name) => match numbers.get(name) {
                    Some(known) => *known,
                    None => *numbers.entry(name.to_owned()).or_insert(next),
                },
            });
        })?;
        Ok(Some(patients))
    }

    /// Checks after reading that the file read is the file digested; what is held in memory is.
    pub(super) fn still_holds(&self, table: &TableConfig) -> Result<(), LocalError> {
        if self.held.is_some() || stamp_of(table)? == self.stamp {
            return Ok(());
        }
        Err(LocalError::SourceChanged { table: table.name.clone() })
    }
}

pub(super) fn unreadable(table: &TableConfig, error: &std::io::Error) -> LocalError {
    LocalError::SourceUnreadable { table: table.name.clone(), reason: error.kind().to_string() }
}

pub(super) fn malformed(table: &TableConfig, reason: &'static str) -> LocalError {
    LocalError::SourceMalformed { table: table.name.clone(), format: table.source.format(), reason }
}

fn stamp_of(table: &TableConfig) -> Result<Vec<FileStamp>, LocalError> {
    let records = |error| LocalError::Records { table: table.name.clone(), error };
    match &table.source {
        Source::Csv(path) | Source::Parquet(path) => Ok(vec![source::stamp(path).map_err(records)?]),
        Source::Records(source) => source.stamps().map_err(records),
    }
}
