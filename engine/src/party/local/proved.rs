//! The rows that a hospital proves contributions over (`[[table.proof]]`): as the statement takes them, and their root.

use std::path::PathBuf;

use toml::Spanned;
use ward_circuits::Element;
use ward_circuits::aggregate::Row;
use ward_circuits::field::hash_bytes;

use super::LocalError;
use super::config::{Checker, ColumnConfig, ConfigError, ConsentConfig, TableConfig};
use super::data::LocalData;
use super::policy::Policy;
use super::step::integers;
use super::sums::MISSING;
use super::{raw, scan};
use crate::attestation::keys::KeyFile;
use crate::consent::Regime;
use crate::encoding::{Digest, canonical_json};
use crate::proofs::{capacity, known, root, root_digest};
use crate::query::catalogue::{Column, ColumnKind, ProvedRows};
use crate::query::proved::MISSING_CODE;

/// With which key a hospital proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofSettings {
    /// Folder of the key.
    pub key: PathBuf,
    /// Allows a key that one party made alone.
    pub allows_development_key: bool,
}

impl ProofSettings {
    pub(super) fn of(here: &Checker<'_>, raw: &raw::Proofs) -> Self {
        Self { key: here.resolve(&raw.key), allows_development_key: raw.development_key }
    }
}

/// Rows of a table that contributions are proved over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofConfig {
    /// One or two columns that conditions may read.
    pub columns: Vec<String>,
    /// The column that is summed.
    pub value: Option<String>,
}

/// Rows, and the salt of their root.
pub struct SaltedRows {
    /// The rows.
    pub rows: Vec<Row>,
    /// The salt.
    pub salt: Element,
}

fn proof_key(table: &TableConfig, settings: &ProofSettings) -> Result<KeyFile, LocalError> {
    known(&settings.key, settings.allows_development_key)
        .map_err(|e| LocalError::Proofs { table: table.name.clone(), reason: e.to_string() })
}

/// Whether a column's values fit into so many bits less `spared` values.
fn fits(column: &Column, bits: u32, spared: u64) -> bool {
    column
        .max
        .checked_sub(column.min)
        .and_then(|span| u64::try_from(span).ok())
        .is_some_and(|span| span < (1 << bits) - spared)
}

/// One `[[table.proof]]` over the rows as they are now, for the hospital's own eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofSurvey {
    /// The columns that conditions may read.
    pub columns: Vec<String>,
    /// The column that is summed.
    pub value: Option<String>,
    /// Rows that would be proved over: those that have the value.
    pub rows: usize,
    /// The rows that the key's statement has room for.
    pub rows_max: usize,
    /// Root of the rows; none where there are more than that.
    pub(super) root: Option<Digest>,
}

/// The proofs of a table in one reading, under a statement.
#[derive(Debug)]
pub(super) struct Roots {
    statement: String,
    surveys: Vec<ProofSurvey>,
}

impl LocalData {
    /// What this hospital publishes of the rows of a table that it proves over. A table that has outgrown the statement
    /// is published without that proof: what else is asked of it goes on.
    pub(super) fn proved_rows(&self, table: &TableConfig) -> Result<Vec<ProvedRows>, LocalError> {
        let (Some(settings), false) = (&self.proofs, table.proofs.is_empty()) else { return Ok(Vec::new()) };
        let key = proof_key(table, settings)?;
        let published = |survey: ProofSurvey| {
            Some(ProvedRows {
                statement: key.statement.clone(),
                key: key.id,
                root: survey.root?,
                columns: survey.columns,
                value: survey.value,
            })
        };
        Ok(self.proofs_of(table, &key.statement)?.into_iter().filter_map(published).collect())
    }

    /// How many rows each `[[table.proof]]` of a table is about, and for how many there is room.
    ///
    /// # Errors
    /// [`LocalError::Proofs`] where the key cannot be read; else as [`Self::survey`].
    pub fn proofs(&self, table: &str) -> Result<Vec<ProofSurvey>, LocalError> {
        let table = self.table(table)?;
        let (Some(settings), false) = (&self.proofs, table.proofs.is_empty()) else { return Ok(Vec::new()) };
        self.proofs_of(table, &proof_key(table, settings)?.statement)
    }

    /// From memory as long as the table is.
    fn proofs_of(&self, table: &TableConfig, statement: &str) -> Result<Vec<ProofSurvey>, LocalError> {
        let state = self.state(table)?;
        if let Some(known) = state.roots.get().filter(|known| known.statement == statement) {
            return Ok(known.surveys.clone());
        }
        let rows_max = capacity(statement).unwrap_or_default();
        let survey = |config: &ProofConfig| {
            let SaltedRows { rows, salt } = self.salted_rows(table, config)?;
            let root = root(statement, &rows, salt).map(|root| root_digest(&root));
            if root.is_none() {
                let (table, rows) = (&table.name, rows.len());
                tracing::warn!(
                    table,
                    rows,
                    rows_max,
                    statement,
                    "not published: more rows than can be proved"
                );
            }
            let (columns, value) = (config.columns.clone(), config.value.clone());
            Ok(ProofSurvey { columns, value, rows: rows.len(), rows_max, root })
        };
        let surveys = table.proofs.iter().map(survey).collect::<Result<Vec<_>, _>>()?;
        // Who comes second has made the same.
        let _ = state.roots.set(Roots { statement: statement.to_owned(), surveys: surveys.clone() });
        Ok(surveys)
    }

    /// The rows of a table, in an order of their own, and a salt that only this hospital can make.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn salted_rows(&self, table: &TableConfig, config: &ProofConfig) -> Result<SaltedRows, LocalError> {
        let state = self.state(table)?;
        let names = config.columns.iter().chain(&config.value);
        let columns: Vec<&ColumnConfig> = names.filter_map(|name| table.column(name)).collect();
        // What is summed may stand in a condition too; it is read once.
        let mut once: Vec<&ColumnConfig> = Vec::with_capacity(columns.len());
        for column in &columns {
            if once.iter().all(|other| other.column.name != column.column.name) {
                once.push(column);
            }
        }
        let mut sources: Vec<&str> = columns.iter().map(|c| c.source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        let source = scan::scan(table, state.held.as_ref(), &sources, Some(state.survey.rows))?;
        let frame = scan::collect(table, scan::mapped(scan::numbered(source), table, &once))?;
        state.still_holds(table)?;
        let values = columns
            .iter()
            .map(|c| integers(table, &frame, &c.column.name).map(|values| (&c.column, values)))
            .collect::<Result<Vec<_>, _>>()?;
        let (conditions, value) = values.split_at(config.columns.len().min(values.len()));
        let mut rows: Vec<Row> =
            (0..frame.height()).filter_map(|at| row(conditions, value.first(), at)).collect();
        // The same rows from another source, in another order, have the same root.
        rows.sort_unstable_by_key(|row| (row.columns, row.value));
        let about = canonical_json(&(&table.name, &config.columns, &config.value));
        let tag = self.key.tag(b"ward proof salt/1\0", &[state.dataset_version.as_bytes(), &about]);
        Ok(SaltedRows { rows, salt: hash_bytes("ward/dataset-salt/1", &[&tag]) })
    }
}

type Values<'a> = (&'a Column, Vec<i64>);

/// A row as the statement takes it; none where the value that is summed is missing.
fn row(conditions: &[Values<'_>], value: Option<&Values<'_>>, at: usize) -> Option<Row> {
    let above = |(column, values): &Values<'_>| {
        let value = values.get(at).copied().filter(|value| *value != MISSING)?;
        value.checked_sub(column.min)
    };
    let mut columns = [0; 2];
    for (own, of) in columns.iter_mut().zip(conditions) {
        *own = above(of).and_then(|value| u16::try_from(value).ok()).unwrap_or(MISSING_CODE);
    }
    let value = match value {
        None => 0,
        Some(of) => above(of).and_then(|value| u32::try_from(value).ok())?,
    };
    Some(Row { columns, value })
}

/// `[[table.proof]]`: columns that there are, of as many values as the statement has room for.
fn check(here: &Checker<'_>, raw: raw::Proof, columns: &[ColumnConfig]) -> Result<ProofConfig, ConfigError> {
    let hint = "columns = [\"age\", \"sex\"], value = \"hba1c\": one or two columns of fewer than 65,536 values each, \
                and a number of at most 2^32";
    let span = raw.columns.span();
    let find = |name: &String| columns.iter().map(|c| &c.column).find(|c| c.name == *name);
    let names = raw.columns.into_inner();
    let are_columns = (1..=2).contains(&names.len()) && names.first() != names.get(1);
    if !are_columns {
        return Err(here.invalid(&span, "a [[table.proof]] names one or two columns".into(), hint));
    }
    let is_condition = |c: &Column| c.kind != ColumnKind::Identifier && fits(c, 16, 1);
    if let Some(name) = names.iter().find(|name| !find(name).is_some_and(is_condition)) {
        let message = format!("`{name}` is no column, an identifier, or has too many values");
        return Err(here.invalid(&span, message, hint));
    }
    let is_number = |c: &Column| matches!(c.kind, ColumnKind::Integer | ColumnKind::Real) && fits(c, 32, 0);
    if let Some(value) = raw.value.as_ref().filter(|name| !find(name.get_ref()).is_some_and(is_number)) {
        let message = format!("`{}` is no column of numbers, or has too many values", value.get_ref());
        return Err(here.invalid(&value.span(), message, hint));
    }
    Ok(ProofConfig { columns: names, value: raw.value.map(Spanned::into_inner) })
}

/// All of a table.
pub(super) fn check_each(
    here: &Checker<'_>,
    raw: Vec<raw::Proof>,
    columns: &[ColumnConfig],
) -> Result<Vec<ProofConfig>, ConfigError> {
    raw.into_iter().map(|proof| check(here, proof, columns)).collect()
}

/// What is proved is counts and sums of every row: nothing may leave rows out or change counts.
pub(super) fn check_all(
    here: &Checker<'_>,
    settings: Option<&ProofSettings>,
    tables: &[TableConfig],
    (policy, consent): (&Policy, &ConsentConfig),
) -> Result<(), ConfigError> {
    let Some(table) = tables.iter().find(|table| !table.proofs.is_empty()) else { return Ok(()) };
    let refuse = |what: &str, hint: &str| {
        let message = format!("table `{}` has [[table.proof]], and {what}", table.name);
        Err(here.invalid(&(0..0), message, hint))
    };
    if settings.is_none() {
        return refuse("there is no key to prove with", "add [proofs] key = \"FOLDER\"");
    }
    if consent.regime != Regime::None {
        let what = "rows are read with consent only: the rows of an answer are not those published before it";
        return refuse(what, "leave [[table.proof]] out");
    }
    if policy.rounding {
        return refuse("counts are rounded", "leave [[table.proof]] out, or rounding of [policy]");
    }
    Ok(())
}
