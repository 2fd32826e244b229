//! The course of a ceremony that makes the proof system's keys, as rows that are only added.

use super::error::StoreError;
use super::job::{JobEvent, JobId, Lease};
use crate::audit::Event;

/// Something that happened in a ceremony.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupRow {
    /// When (unix milliseconds).
    pub at_ms: u64,
    /// What, as JSON.
    pub step: String,
}

/// A row to add, with what goes with it in one transaction.
#[derive(Debug)]
pub struct NewSetupRow<'a> {
    /// The job.
    pub job: &'a JobId,
    /// The lease of a worker; none for what a member brings.
    pub lease: Option<&'a Lease>,
    /// How many rows there are: with another number nothing is added.
    pub after: usize,
    /// The row.
    pub row: &'a SetupRow,
    /// The job's event.
    pub event: &'a JobEvent,
    /// For the audit chain.
    pub audit: &'a Event,
}

/// Ceremonies of the proof system.
pub trait Setups {
    /// Adds a row, and lets a worker look at the job at once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there are more rows than `after`, or the job has ended; [`StoreError::StaleFence`].
    fn add_setup_row(&self, new: &NewSetupRow<'_>) -> Result<(), StoreError>;

    /// All rows of a job, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn setup_rows(&self, job: &JobId) -> Result<Vec<SetupRow>, StoreError>;

    /// Gives a lease back until `not_before_ms`; when there are other rows than the worker has seen, until now.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`].
    fn rest_setup(&self, lease: &Lease, seen: usize, not_before_ms: u64) -> Result<(), StoreError>;
}
