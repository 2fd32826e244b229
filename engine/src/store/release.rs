//! What a hospital's node keeps so that answers given before bind those to come: the consortium's floor, the cohorts
//! that were shown, and the privacy that was spent.

use super::error::StoreError;
use crate::audit::Event;
use crate::identity::Digest;

/// What a stored floor that was changed is called in [`super::StoreError::Corrupt`].
pub const FLOOR_ROW: &str = "consortium floor";

/// What an answer with noise costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What is answered: the query, its noise, and the version of the data. Charged once.
    pub answer: Digest,
    /// The table.
    pub dataset: String,
    /// The study; empty for none.
    pub study: String,
    /// The job that was the first to ask.
    pub job: String,
    /// Zero-concentrated differential privacy, in 10^-9 of rho.
    pub rho_nano: u64,
    /// Epsilon as asked, in 10^-9.
    pub epsilon_nano: u64,
    /// Delta as asked, in 10^-18.
    pub delta_atto: u64,
    /// When (unix milliseconds).
    pub at_ms: u64,
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// It is entered now.
    New,
    /// The same answer was charged before: it costs nothing again.
    Before,
}

/// Whose cohorts are compared.
#[derive(Clone, Copy, Debug)]
pub struct CohortScope<'a> {
    /// The table.
    pub dataset: &'a str,
    /// Version of its data, and the consents that they were read under.
    pub version: &'a str,
    /// The researcher or study.
    pub who: &'a str,
}

/// What tells the rows of a version apart.
#[derive(Clone, Copy, Debug)]
pub struct VersionRows<'a> {
    /// Version of the data alone.
    pub version: &'a str,
    /// By place.
    pub rows: &'a [u8],
}

/// Judges a cohort that was shown: over which version, and its rows.
pub type Judge<'a> = &'a dyn Fn(&str, &[u8]) -> Result<(), StoreError>;

/// Release rules that outlast a query.
pub trait ReleaseStore {
    /// The highest floor of the consortium that was heard of; 1 before any.
    ///
    /// # Errors
    /// [`StoreError`].
    fn consortium_floor(&self) -> Result<u32, StoreError>;

    /// Keeps a floor where it is higher than the one known; true when it was.
    ///
    /// # Errors
    /// [`StoreError`].
    fn raise_floor(&self, floor: u32, audit: &Event) -> Result<bool, StoreError>;

    /// Enters a charge, where all charges of the table since `since_ms` stay within the first limit, and those of its
    /// study within the second, both in 10^-9 of rho. Entry and audit event are one transaction.
    ///
    /// # Errors
    /// [`StoreError::BudgetSpent`]; nothing is written then.
    fn charge(
        &self,
        charge: &Charge,
        limits_rho_nano: (u64, Option<u64>),
        since_ms: u64,
        audit: &Event,
    ) -> Result<Charged, StoreError>;

    /// What is spent of a table's budget since then, in 10^-9 of rho.
    ///
    /// # Errors
    /// [`StoreError`].
    fn spent(&self, dataset: &str, since_ms: u64) -> Result<u64, StoreError>;

    /// What a study has spent of a table's budget since then, in 10^-9 of rho.
    ///
    /// # Errors
    /// [`StoreError`].
    fn spent_by(&self, study: &str, dataset: &str, since_ms: u64) -> Result<u64, StoreError>;

    /// True when this answer was charged before.
    ///
    /// # Errors
    /// [`StoreError`].
    fn is_charged(&self, answer: &Digest) -> Result<bool, StoreError>;

    /// The newest charges of a table.
    ///
    /// # Errors
    /// [`StoreError`].
    fn charges(&self, dataset: &str, limit: u32) -> Result<Vec<Charge>, StoreError>;

    /// Versions over which cohorts of a table were shown to a researcher, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn cohort_versions(&self, dataset: &str, who: &str) -> Result<Vec<String>, StoreError>;

    /// What tells the rows of a version apart, where an answer over it was kept.
    ///
    /// # Errors
    /// [`StoreError`].
    fn version_rows(&self, dataset: &str, version: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Judges new cohorts against those kept of every version, and keeps them, with the rows of theirs, where `judge` lets
    /// them pass: one transaction, so that two queries at once cannot both pass. Cohorts kept before are not kept twice.
    ///
    /// # Errors
    /// What `judge` says; [`StoreError::CohortsFull`] when more than `kept_max` would be kept of the version.
    fn admit_cohorts(
        &self,
        scope: CohortScope<'_>,
        new: (&[Vec<u8>], VersionRows<'_>),
        kept_max: u32,
        judge: Judge<'_>,
        audit: &Event,
    ) -> Result<(), StoreError>;
}
