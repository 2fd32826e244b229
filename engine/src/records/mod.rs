//! A hospital's records where they already are, made into tables: FHIR R4 bulk exports, OMOP CDM in files or in
//! PostgreSQL; and what HL7 v2 messages said.
//!
//! A [`mapping`] file says which rows a table has and what stands in its columns, in the [`path`] language. A
//! [`Reader`] passes the items of one kind by, one at a time; [`table`] makes the rows of them in two passes, keeping
//! one value per patient and column of another kind, and counts by [`Reason`] what it leaves out. What comes out are
//! texts: kinds, codes, bounds and units of the catalogue are the party's ([`crate::party::local`]). Nothing of a
//! record is ever in an error, a count or a log.

pub mod csv;
pub mod date;
pub mod fhir;
pub mod hl7;
pub mod mapping;
pub mod omop;
pub mod path;
pub mod source;
pub mod standard;
pub mod table;
#[cfg(test)]
mod tests;
pub mod unit;
pub mod version;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::path::Item;

/// Passes the items of a source by.
pub trait Reader {
    /// Every item of a kind, once, in the order of the source. `names` are the columns that will be asked for.
    ///
    /// # Errors
    /// [`RecordsError`] of the source, or the first that `each` gives.
    fn visit(
        &mut self,
        kind: &str,
        names: &BTreeSet<String>,
        pass: &mut Pass<'_>,
    ) -> Result<(), RecordsError>;
}

/// Where a reader puts what it reads.
pub struct Pass<'a> {
    /// Takes an item.
    pub each: &'a mut dyn FnMut(Item<'_>, &mut Rejects) -> Result<(), RecordsError>,
    /// Counts what is no item.
    pub rejects: &'a mut Rejects,
}

impl Pass<'_> {
    /// Hands an item on.
    ///
    /// # Errors
    /// As the receiver says.
    pub fn item(&mut self, item: Item<'_>) -> Result<(), RecordsError> {
        (self.each)(item, self.rejects)
    }
}

/// Why a record, or one value of it, was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A line or row that is not of its format.
    Malformed,
    /// A line or row that is too large.
    TooLarge,
    /// A resource of another type than its file's.
    OtherType,
    /// It says of itself that it was entered in error.
    EnteredInError,
    /// It names no patient.
    NoPatient,
    /// A record with this key was read before.
    Duplicate,
    /// A value whose unit does not convert to the column's.
    Unit,
    /// Several values, or none that is a single one, where one is meant.
    Ambiguous,
    /// A quantity below or above a number, not a number.
    Inexact,
}

impl Reason {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too large",
            Self::OtherType => "of another type",
            Self::EnteredInError => "entered in error",
            Self::NoPatient => "without a patient",
            Self::Duplicate => "there twice",
            Self::Unit => "values in another unit",
            Self::Ambiguous => "ambiguous values",
            Self::Inexact => "values that are a limit",
        }
    }
}

/// Counts of what was read and of what was left out; never what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rejects {
    /// Items read, by kind.
    pub read: BTreeMap<String, u64>,
    /// Left out, by reason.
    pub reasons: BTreeMap<Reason, u64>,
}

impl Rejects {
    /// Counts one.
    pub fn count(&mut self, reason: Reason) {
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// All that was left out.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.reasons.values().sum()
    }

    /// `3 without a patient, 1 malformed`; empty for none.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = self.reasons.iter().map(|(reason, count)| format!("{count} {}", reason.as_str()));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// Why records cannot be read. Names of files, tables, columns and kinds, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// A file or a folder cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// It.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// There is no file for a kind.
    #[error("{path} has no file of {kind}")]
    KindAbsent {
        /// The folder.
        path: String,
        /// Resource type or table.
        kind: String,
    },
    /// A file is not of its format.
    #[error("{path} is no {format}: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What it should be.
        format: &'static str,
        /// What is wrong, without content.
        reason: &'static str,
    },
    /// A column that a mapping names is not there.
    #[error("{kind} has no column `{column}`")]
    ColumnAbsent {
        /// The table.
        kind: String,
        /// The column.
        column: String,
    },
    /// The mapping file is refused.
    #[error("{path}: {section}: {message}")]
    Mapping {
        /// The file.
        path: String,
        /// Table and column.
        section: String,
        /// What is wrong.
        message: String,
    },
    /// More than the limit of rows.
    #[error("more than {rows_max} rows")]
    TooManyRows {
        /// The limit.
        rows_max: u64,
    },
    /// More patients than are kept in memory.
    #[error("more than {patients_max} patients")]
    TooManyPatients {
        /// The limit.
        patients_max: usize,
    },
    /// The database does not answer, or refuses.
    #[error("the database {step}: {reason}")]
    Database {
        /// What was being done.
        step: &'static str,
        /// The SQLSTATE, or what the system says.
        reason: String,
    },
}

impl RecordsError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "data.unreadable",
            Self::KindAbsent { .. } => "data.kind",
            Self::Malformed { .. } => "data.malformed",
            Self::ColumnAbsent { .. } => "data.column",
            Self::Mapping { .. } => "data.mapping_file",
            Self::TooManyRows { .. } => "data.rows_max",
            Self::TooManyPatients { .. } => "data.patients_max",
            Self::Database { .. } => "data.database",
        }
    }

    /// What the hospital can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the path in [[table]] source and the permissions",
            Self::KindAbsent { .. } => {
                "export it too; where the hospital has none, an empty file says so (docs/operating/records.md)"
            }
            Self::Malformed { .. } => "export the file again; docs/operating/records.md says what is read",
            Self::ColumnAbsent { .. } => "name the columns of the standard's version that the mapping states",
            Self::Mapping { .. } => "docs/reference/mapping.md describes mapping files",
            Self::TooManyRows { .. } => "raise rows_max of the [[table]]; the catalogue is published again",
            Self::TooManyPatients { .. } => "split the source",
            Self::Database { .. } => {
                "check [table.source] and the database's log (docs/operating/records.md)"
            }
        }
    }
}
