//! The gate before the local step: rows of patients who have not consented never enter it.
//!
//! Where a hospital asks for consent, its tables cannot be read but through a gate: a path of the code that forgets to
//! ask is refused every row. The gate sees nothing but the patient's identifier, whatever the source is.

use std::fmt;
use std::sync::Arc;

use polars::prelude::{
    BooleanChunked, ChunkTake as _, Column as Series, DataType, Expr, Field, IntoColumn, NewChunkedArray,
    PolarsResult,
};

use super::LocalError;
use super::config::TableConfig;
use super::data::{TableState, malformed};
use super::scan::{self, named};
use crate::consent::Regime;

/// Decides whose rows are read.
pub trait RowGate: fmt::Debug + Send + Sync {
    /// For every row of a reading, in the order of the source: may it be read?
    ///
    /// # Errors
    /// When the rows' patients cannot be read.
    fn admit(&self, reading: &Reading<'_>) -> Result<Vec<bool>, LocalError>;
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

impl Gate {
    /// Before anybody asks.
    pub(super) fn of(regime: Regime) -> Self {
        if regime == Regime::None { Self::Open } else { Self::Closed }
    }

    /// The condition on [`scan::numbered`] rows of a table; none where every row is read.
    pub(super) fn before(
        &self,
        table: &TableConfig,
        state: &Arc<TableState>,
    ) -> Result<Option<Expr>, LocalError> {
        match (self, &table.patient) {
            (Self::Open, _) => Ok(None),
            (Self::Asked(rows), Some(_)) => {
                let admitted = rows.admit(&Reading { table, state: Arc::clone(state) })?;
                let count =
                    usize::try_from(state.survey.rows).map_err(|_| malformed(table, "it is too long"))?;
                Ok(Some(admits(admitted, count)))
            }
            _ => Err(LocalError::ConsentNotAsked { table: table.name.clone() }),
        }
    }
}

/// By the row's place in the source, of that many; a row that nobody decided about is left out.
fn admits(mut admitted: Vec<bool>, rows: usize) -> Expr {
    admitted.resize(rows, false);
    let admitted = BooleanChunked::from_slice(scan::ROW.into(), &admitted);
    let mask = move |rows: Series| -> PolarsResult<Series> {
        let mask = admitted.take(rows.idx()?)?;
        Ok(mask.with_name(rows.name().clone()).into_column())
    };
    named(scan::ROW).map(mask, |_, field| Ok(Field::new(field.name().clone(), DataType::Boolean)))
}

/// A table as it was read at one moment: the same rows in the same order, as long as its source does not change.
pub struct Reading<'a> {
    table: &'a TableConfig,
    state: Arc<TableState>,
}

impl<'a> Reading<'a> {
    /// Of a table in this state.
    pub(super) fn of(table: &'a TableConfig, state: Arc<TableState>) -> Self {
        Self { table, state }
    }

    /// Name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table.name
    }

    /// Tells the readings of this process apart.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.state.reading
    }

    /// Calls `each` for every row, in the order of the source, with its patient where it names one.
    ///
    /// # Errors
    /// When the source cannot be read, has changed, or names no patients.
    pub fn patients(&self, each: &mut dyn FnMut(Option<&str>)) -> Result<(), LocalError> {
        let Some(patient) = self.table.patient.as_deref() else {
            return Err(LocalError::ConsentNotAsked { table: self.table.name.clone() });
        };
        self.state.each_patient(self.table, patient, each)
    }
}

impl TableState {
    /// [`Reading::patients`], by the source column that names them.
    pub(super) fn each_patient(
        &self,
        table: &TableConfig,
        patient: &str,
        each: &mut dyn FnMut(Option<&str>),
    ) -> Result<(), LocalError> {
        let lazy = scan::scan(table, self.held.as_ref(), &[patient], Some(self.survey.rows))?;
        let frame = scan::collect(table, lazy)?;
        self.still_holds(table)?;
        let absent =
            |_| LocalError::ColumnAbsent { table: table.name.clone(), source_column: patient.to_owned() };
        let texts =
            frame.column(patient).and_then(|series| series.cast(&DataType::String)).map_err(absent)?;
        let texts = texts.str().map_err(absent)?;
        if texts.len() as u64 != self.survey.rows {
            return Err(malformed(table, "its rows cannot be told apart"));
        }
        let is_named = |text: &&str| !text.is_empty() && !table.null_values.contains(*text);
        texts.iter().for_each(|text| each(text.map(str::trim).filter(is_named)));
        Ok(())
    }
}
