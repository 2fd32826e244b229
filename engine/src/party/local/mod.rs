//! A hospital's local step: its own rows in, the slots of a plan out.
//!
//! [`gate`] keeps rows out whose patients have not consented. [`config`] says what is published and what may be asked; [`data`] reads the sources and publishes what they
//! hold (never a row); [`policy`] decides; [`step`] computes. Values pass through [`mapping`] (names, codes,
//! units, fixed point, with the exact arithmetic of [`decimal`]), then the bounds, then the filter in SQL's
//! three-valued logic, then the sums.

pub mod across;
pub mod cohort;
mod complement;
pub mod config;
pub mod data;
mod databases;
pub mod decimal;
mod filter;
pub mod gate;
mod held;
pub mod mapping;
pub mod noise;
pub mod policy;
pub mod privacy;
pub mod proved;
mod raw;
mod scan;
mod shape;
mod statistic;
pub mod step;
mod sums;
mod survey;
mod tables;
mod tally;
#[cfg(test)]
mod tests;

use crate::query::plan::{Content, Split};
use crate::records::RecordsError;

/// Why the local step, or reading a source, failed. Carries names and numbers of the configuration and the
/// plan, never a value of a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The source file is not there, or cannot be read.
    #[error("cannot read the source of table `{table}`: {reason}")]
    SourceUnreadable {
        /// The table.
        table: String,
        /// What the system says.
        reason: String,
    },
    /// Mapped records cannot be read.
    #[error("table `{table}`: {error}")]
    Records {
        /// The table.
        table: String,
        /// Why.
        error: RecordsError,
    },
    /// The source is no table of its kind.
    #[error("the source of table `{table}` is not a readable {format} file: {reason}")]
    SourceMalformed {
        /// The table.
        table: String,
        /// `CSV`, `Parquet`, ...
        format: &'static str,
        /// What is wrong, without content.
        reason: &'static str,
    },
    /// A source column is not there.
    #[error("the source of table `{table}` has no column `{source_column}`")]
    ColumnAbsent {
        /// The table.
        table: String,
        /// The name in the source.
        source_column: String,
    },
    /// A source column is of a type that cannot be mapped.
    #[error("source column `{source_column}` of table `{table}` is of type {dtype}, which cannot be mapped")]
    TypeUnsupported {
        /// The table.
        table: String,
        /// The name in the source.
        source_column: String,
        /// Its type.
        dtype: String,
    },
    /// Values are there, but none is of the column's kind.
    #[error("none of the values of column `{column}` of table `{table}` can be mapped")]
    NothingMapped {
        /// The table.
        table: String,
        /// The catalogue's name.
        column: String,
        /// How many values there are: for the hospital, not in the message, which leaves the house.
        present: u64,
    },
    /// More rows than announced.
    #[error("table `{table}` has {rows} rows, more than the {rows_max} announced")]
    TooManyRows {
        /// The table.
        table: String,
        /// Rows.
        rows: u64,
        /// Rows announced.
        rows_max: u64,
    },
    /// The file changed while it was read.
    #[error("the source of table `{table}` changed while it was read")]
    SourceChanged {
        /// The table.
        table: String,
    },
    /// Rows were to be read without asking for their patients' consent.
    #[error("the rows of table `{table}` may only be read with their patients' consent")]
    ConsentNotAsked {
        /// The table.
        table: String,
    },
    /// The plan asks for a table that this hospital does not have.
    #[error("this hospital has no table `{table}`")]
    TableUnknown {
        /// The table.
        table: String,
    },
    /// The rows that contributions are proved over cannot be published, or nothing can be proved over them.
    #[error("table `{table}` cannot be proved over: {reason}")]
    Proofs {
        /// The table.
        table: String,
        /// Why, without content.
        reason: String,
    },
    /// This hospital has no part in the plan.
    #[error("the plan has no part for hospital `{hospital}`")]
    HospitalAbsent {
        /// The hospital.
        hospital: String,
    },
    /// The plan contradicts itself or the hospital's columns.
    #[error("the plan is inconsistent: {detail}")]
    PlanInconsistent {
        /// Where.
        detail: String,
    },
    /// A slot does not fit its width.
    #[error("a slot of block {block} does not fit {width} bits")]
    SlotTooWide {
        /// Index of the block.
        block: usize,
        /// Bits.
        width: u32,
    },
}

impl LocalError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SourceUnreadable { .. } => "data.unreadable",
            Self::Records { error, .. } => error.code(),
            Self::SourceMalformed { .. } => "data.malformed",
            Self::ColumnAbsent { .. } => "data.column",
            Self::TypeUnsupported { .. } => "data.type",
            Self::NothingMapped { .. } => "data.mapping",
            Self::TooManyRows { .. } => "data.rows_max",
            Self::SourceChanged { .. } => "data.changed",
            Self::ConsentNotAsked { .. } => "consent.not_asked",
            Self::Proofs { .. } => "data.proofs",
            Self::TableUnknown { .. } => "plan.table",
            Self::HospitalAbsent { .. } => "plan.hospital",
            Self::PlanInconsistent { .. } => "plan.inconsistent",
            Self::SlotTooWide { .. } => "plan.width",
        }
    }

    /// What the hospital can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::SourceUnreadable { .. } => "check the path in [[table]] source and the file's permissions",
            Self::Records { error, .. } => error.hint(),
            Self::SourceMalformed { .. } => {
                "check the delimiter, the quotes and the encoding (UTF-8) of the file"
            }
            Self::ColumnAbsent { .. } => "set `source` of the [[table.column]] to the heading in the file",
            Self::TypeUnsupported { .. } => "export the column as a text, a number or a truth value",
            Self::NothingMapped { .. } => "check kind, codes and values of the [[table.column]]",
            Self::TooManyRows { .. } => "raise rows_max of the [[table]]; the catalogue is published again",
            Self::SourceChanged { .. } => {
                "replace files by renaming a finished one over them; then ask again"
            }
            Self::ConsentNotAsked { .. } => "this is a flaw of Ward: no row was read; report it",
            Self::Proofs { .. } => "check [proofs] and the [[table.proof]] of the table",
            Self::TableUnknown { .. } | Self::HospitalAbsent { .. } | Self::PlanInconsistent { .. } => {
                "plan the query again against the current catalogue"
            }
            Self::SlotTooWide { .. } => "the bounds or rows_max in the catalogue do not hold; publish again",
        }
    }
}

/// The further splits of what a block holds.
pub(crate) fn splits_of(content: &Content) -> &[Split] {
    match content {
        Content::Measure(measure) => &measure.by,
        _ => &[],
    }
}
