//! Programs: what a query needs of multi-party computation, from shared inputs to outputs that may be opened.
//!
//! - [`floor`]: which cells of a table are large enough to be released.
//! - [`quantile`]: medians and other quantiles, from a histogram or from rows.
//! - [`distinct`]: how many different identifiers.
//! - [`top`]: the most frequent codes.
//! - [`regression`]: linear, logistic and Cox regression from sums that hospitals compute.
//! - [`statistics`]: test statistics that reveal only themselves.

pub mod distinct;
pub mod floor;
pub mod quantile;
pub mod regression;
pub mod statistics;
pub mod top;

#[cfg(test)]
mod tests;

use super::error::MpcError;

/// Why a program gave no answer. What it says is all that becomes known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The computation itself failed.
    #[error(transparent)]
    Mpc(#[from] MpcError),
    /// A count that the floor rules is below it; which one, and by how much, nobody knows.
    #[error("fewer than {floor} in a group that the release rule protects")]
    Suppressed {
        /// The floor.
        floor: u64,
    },
    /// The covariates are linearly dependent, or so nearly that the answer would have no accuracy.
    #[error("the covariates are linearly dependent, or nearly so")]
    Singular,
    /// More people have an event at the same time than was announced; at which time, nobody knows.
    #[error("more than {ties_max} events at the same time of the grid")]
    TooManyTies {
        /// What was announced.
        ties_max: usize,
    },
    /// Newton's method did not settle.
    #[error("no convergence after {iterations} iterations")]
    NotConverged {
        /// Iterations that were made.
        iterations: usize,
    },
}

/// Result of a program.
pub type Result<T> = std::result::Result<T, ProgramError>;
