//! What can be wrong when a key is shared.

use super::policy::PolicyError;

/// Why something is not shared or does not open. No variant carries a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharingError {
    /// A policy that is none.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Bytes that are not what they should be.
    #[error("bytes of {what} do not decode: {reason}")]
    Encoding {
        /// What was read.
        what: &'static str,
        /// Why it is none.
        reason: &'static str,
    },
    /// More of something than is taken.
    #[error("{count} {what}, and {limit} are taken")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// The attributes of the key do not satisfy the policy.
    #[error("the key does not satisfy the policy: it lacks {}", missing.join(", "))]
    Lacks {
        /// The fewest attributes that would do.
        missing: Vec<String>,
    },
    /// The message, or the key, is of another authority.
    #[error("sealed under another authority than the key's")]
    Authority,
    /// Sealed or re-encrypted for somebody else.
    #[error("{what} is for another key")]
    Recipient {
        /// What is.
        what: &'static str,
    },
    /// A public key whose parts do not belong together, or whose holder did not prove to know the secret.
    #[error("a delegation key that its holder did not prove to hold")]
    Unproven,
    /// A grant that its delegator did not make.
    #[error("the grant does not lead from its delegator to its delegatee")]
    Grant,
    /// The message was changed, or the key is damaged.
    #[error("it does not open: it was changed, or the key is damaged")]
    Changed,
}

/// Result of sharing.
pub type Result<T> = core::result::Result<T, SharingError>;
