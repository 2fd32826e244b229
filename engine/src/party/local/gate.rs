//! The gate before the local step: rows of patients who have not consented never enter it.
//!
//! Where a hospital asks for consent, its tables cannot be read but through a gate: a path of the code that forgets to
//! ask is refused every row. The gate sees nothing but the patient's identifier, whatever the source is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use polars::prelude::{
    BooleanChunked, Column as Series, DataType, Expr, Field, IntoColumn, NewChunkedArray, PolarsResult,
};

use super::LocalError;
use super::config::TableConfig;
use super::data::TableState;
use super::scan::{self, named};
use crate::consent::Regime;

/// Decides whose rows are read.
pub trait RowGate: fmt::Debug + Send + Sync {
    /// For one row after the other, by its patient where it names one: may it be read?
    fn admit(&self, patients: &mut dyn Iterator<Item = Option<&str>>) -> Vec<bool>;
}

/// What stands before the rows of a hospital.
#[derive(Clone, Debug)]
pub(super) enum Gate {
    /// Nothing: the hospital asks for no consent.
    Open,
    /// Nobody has asked yet: nothing is read.
    Closed,
    /// Consent, as of a moment.
    Asked(Arc<dyn RowGate>),
}

/// A gate before a table.
pub(super) struct Asking<'a> {
    /// Source column that names the patient.
    pub(super) patient: &'a str,
    rows: Arc<dyn RowGate>,
}

impl Gate {
    /// Before anybody asks.
    pub(super) fn of(regime: Regime) -> Self {
        if regime == Regime::None { Self::Open } else { Self::Closed }
    }

    /// Before a table.
    pub(super) fn at<'a>(&'a self, table: &'a TableConfig) -> Result<Option<Asking<'a>>, LocalError> {
        match (self, &table.patient) {
            (Self::Open, _) => Ok(None),
            (Self::Asked(rows), Some(patient)) => Ok(Some(Asking { patient, rows: Arc::clone(rows) })),
            _ => Err(LocalError::ConsentNotAsked { table: table.name.clone() }),
        }
    }
}

impl Asking<'_> {
    /// The condition on rows of the source.
    pub(super) fn admits(&self, table: &TableConfig) -> Expr {
        let (rows, null_values) = (Arc::clone(&self.rows), table.null_values.clone());
        named(self.patient).map(
            move |series| mask(&*rows, &null_values, &series),
            |_, field| Ok(Field::new(field.name().clone(), DataType::Boolean)),
        )
    }
}

fn mask(rows: &dyn RowGate, null_values: &BTreeSet<String>, series: &Series) -> PolarsResult<Series> {
    let texts = series.cast(&DataType::String)?;
    let texts = texts.str()?;
    let admitted =
        rows.admit(&mut texts.iter().map(|text| text.and_then(|text| named_in(text, null_values))));
    Ok(BooleanChunked::from_slice(series.name().clone(), &admitted).into_column())
}

fn named_in<'a>(text: &'a str, null_values: &BTreeSet<String>) -> Option<&'a str> {
    let text = text.trim();
    (!text.is_empty() && !null_values.contains(text)).then_some(text)
}

/// Calls `each` for the patient of every row.
pub(super) fn patients(
    table: &TableConfig,
    state: &TableState,
    each: &mut dyn FnMut(&str),
) -> Result<(), LocalError> {
    let Some(patient) = table.patient.as_deref() else {
        return Err(LocalError::ConsentNotAsked { table: table.name.clone() });
    };
    let frame =
        scan::collect(table, scan::scan(table, state.held.as_ref(), &[patient], Some(state.survey.rows))?)?;
    let absent =
        |_| LocalError::ColumnAbsent { table: table.name.clone(), source_column: patient.to_owned() };
    let texts = frame.column(patient).and_then(|series| series.cast(&DataType::String)).map_err(absent)?;
    for text in texts.str().map_err(absent)?.iter().flatten() {
        if let Some(named) = named_in(text, &table.null_values) {
            each(named);
        }
    }
    Ok(())
}
