//! Errors of multi-party computation. No variant carries a share or a value.

use super::channel::ChannelError;
use super::role::Role;

/// What ended a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MpcError {
    /// A message did not come or go.
    #[error("{error} in step {step}")]
    Channel {
        /// Path of the step.
        step: String,
        /// Why.
        error: ChannelError,
    },
    /// A check failed: somebody deviated from the protocol. Nothing may be released.
    #[error("the check of step {step} failed: {what}")]
    Check {
        /// Path of the step.
        step: String,
        /// The peer whose message failed the check, when it can be only one.
        peer: Option<Role>,
        /// The check.
        what: &'static str,
    },
    /// A message does not decode.
    #[error("P{} sent bytes that are no {what} in step {step}", .peer.index())]
    Decode {
        /// Path of the step.
        step: String,
        /// The sender.
        peer: Role,
        /// What was expected.
        what: &'static str,
    },
    /// A step was used twice: a fault of the program.
    #[error("step {0} was used twice")]
    StepReused(String),
    /// Vectors of different lengths were combined: a fault of the program or of its public parameters.
    #[error("{what} of lengths {left} and {right}")]
    Lengths {
        /// What was combined.
        what: &'static str,
        /// One length.
        left: usize,
        /// The other.
        right: usize,
    },
    /// A public parameter is out of its range.
    #[error("{what} is {found}, expected {expected}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The range.
        expected: &'static str,
    },
}

/// Result of a step.
pub type Result<T> = std::result::Result<T, MpcError>;
