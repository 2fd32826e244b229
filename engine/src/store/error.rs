//! Why the store refuses.

use super::job::{JobId, JobState};
use crate::identity::IdentityError;
use crate::vault::VaultError;

/// Why a store operation did not happen. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database failed.
    #[error("database failed during {operation}: {reason}")]
    Database {
        /// The operation.
        operation: &'static str,
        /// What the database says.
        reason: String,
        /// True when trying again may help (it was busy).
        retry: bool,
    },
    /// Written by newer software.
    #[error("database has schema version {found}, this software knows up to {known}")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// Another kind of database.
    #[error("{path:?} is not a database of {expected}")]
    WrongDatabase {
        /// The file.
        path: String,
        /// What was expected (`ward's engine`, `a ward party`).
        expected: &'static str,
    },
    /// The lease was lost: another worker holds the job, or it was cancelled.
    #[error("fence {fence} of job {job} is stale, {current} is newer")]
    StaleFence {
        /// The job.
        job: JobId,
        /// The fence presented.
        fence: u64,
        /// The newest fence.
        current: u64,
    },
    /// Not a move the states allow, or the job is elsewhere.
    #[error("job {job} is {actual} and cannot move from {from} to {to}")]
    IllegalMove {
        /// The job.
        job: JobId,
        /// Where the caller believed it to be.
        from: JobState,
        /// Where it was to go.
        to: JobState,
        /// Where it is.
        actual: JobState,
    },
    /// There is no such thing.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// Kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Something else is there.
    #[error("{what} {id:?} is there already and differs: {reason}")]
    Conflict {
        /// Kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
        /// How it differs.
        reason: &'static str,
    },
    /// The cell of a value drawn once is bound to something else.
    #[error("a {kind} was drawn for {key:?} under another binding; it is never drawn twice")]
    DrawnOnce {
        /// Kind of value.
        kind: String,
        /// The cell.
        key: String,
    },
    /// The privacy budget of a table has no room for an answer.
    #[error("the privacy budget of {dataset} is spent")]
    BudgetSpent {
        /// The table.
        dataset: String,
        /// The study whose share of it is spent; empty where the table's is.
        study: String,
        /// What is left, in 10^-9 of rho.
        left_rho_nano: u64,
        /// What the answer costs.
        asked_rho_nano: u64,
    },
    /// A cohort differs from one that was answered by fewer patients than the floor.
    #[error("a cohort is too close to one that was answered")]
    CohortTooClose,
    /// As many cohorts are kept as may be.
    #[error("{kept_max} cohorts of this table were answered to this researcher; no more are compared")]
    CohortsFull {
        /// The limit.
        kept_max: u32,
    },
    /// A request was seen before under another job.
    #[error("request of job {job:?} was seen before as job {seen:?}: replay refused")]
    Replay {
        /// The job it came with.
        job: String,
        /// The job it belongs to.
        seen: String,
    },
    /// No open token.
    #[error("the enrolment token of {name:?} is unknown, used or expired")]
    Token {
        /// The name asked for.
        name: String,
    },
    /// The caller's arguments do not fit together.
    #[error("store call refused: {reason}")]
    Invalid {
        /// Which rule refuses them.
        reason: &'static str,
    },
    /// What is stored cannot be read.
    #[error("stored {what} is corrupt: {reason}")]
    Corrupt {
        /// Kind of thing.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A blob is larger than allowed.
    #[error("blob is larger than {bytes_max} bytes")]
    BlobTooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// A file failed.
    #[error("file {path:?}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// A sealed value or a key is refused.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key of a patient's record, or what is sealed under it, is refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The runtime shut down.
    #[error("the operation was interrupted by a shutdown")]
    Interrupted,
}

impl StoreError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Database { .. } => "store.database",
            Self::Newer { .. } => "store.newer",
            Self::WrongDatabase { .. } => "store.wrong_database",
            Self::StaleFence { .. } => "job.stale_fence",
            Self::IllegalMove { .. } => "job.illegal_move",
            Self::NotFound { .. } => "store.not_found",
            Self::Conflict { .. } => "store.conflict",
            Self::DrawnOnce { .. } => "party.drawn_once",
            Self::BudgetSpent { .. } => "budget.spent",
            Self::CohortTooClose => "release.differencing",
            Self::CohortsFull { .. } => "release.cohorts",
            Self::Replay { .. } => "party.replay",
            Self::Token { .. } => "enrol.token",
            Self::Invalid { .. } => "store.invalid",
            Self::Corrupt { .. } => "store.corrupt",
            Self::BlobTooLarge { .. } => "store.blob_too_large",
            Self::File { .. } => "store.file",
            Self::Identity(_) => "store.identity",
            Self::Vault(error) => error.code(),
            Self::Interrupted => "store.interrupted",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Newer { .. } => Some("run the version of ward that wrote it, or a newer one"),
            Self::WrongDatabase { .. } => Some("check the data folder in the configuration"),
            Self::Token { .. } => Some("ask the operator for a new token"),
            Self::Database { retry: true, .. } => Some("another process holds the database; try again"),
            Self::Corrupt { .. } => Some("stop, keep the folder as it is, and restore a backup elsewhere"),
            Self::Vault(error) => Some(error.hint()),
            _ => None,
        }
    }
}
