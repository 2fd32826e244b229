//! Audit: who did what to which data, why, and how it ended; hash-chained and signed.
//!
//! Every submission, decision, local read, share sent and release is an [`Event`]. The store seals it onto the
//! chain ([`seal`]) inside the transaction that does the thing, so that there is no act without its event.
//! [`verify_chain`] checks a chain offline, from a store file or from exported JSON lines. The chain shows that
//! nothing was changed, removed or put in between; that the end was not cut off shows only against a head that
//! somebody else has seen ([`Verified::head`]).

mod chain;
mod export;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use chain::{Sealed, Verified, genesis, seal, verify_chain};
pub use export::{LINE_BYTES_MAX, verify_lines, write_lines};

use crate::identity::{Canonical, Digest};

/// How an audited act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// A rule refused it.
    Refused,
    /// It failed.
    Failure,
}

/// One audited act. Never holds a patient's data, a result or a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Who acted: a member's name, or the component (`engine`, `scheduler`).
    pub actor: String,
    /// In which role (`hospital`, `researcher`, `operator`, `engine`).
    pub role: String,
    /// What was done, as `thing.verb` (`job.submit`, `share.send`).
    pub action: String,
    /// To what, as `kind:id` (`job:01H...`, `ceremony:...`, `dataset:...`).
    pub subject: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Public facts for people; may be empty.
    pub detail: String,
    /// When (unix milliseconds), by the writer's clock.
    pub at_ms: u64,
}

impl Event {
    /// The canonical bytes: what is hashed.
    #[must_use]
    pub fn canonical(&self) -> Canonical {
        let outcome = match self.outcome {
            Outcome::Success => 0,
            Outcome::Refused => 1,
            Outcome::Failure => 2,
        };
        Canonical::new("audit-event/1")
            .text(&self.actor)
            .text(&self.role)
            .text(&self.action)
            .text(&self.subject)
            .number(outcome)
            .text(&self.detail)
            .number(self.at_ms)
    }
}

/// Why a chain is refused: at which event, and what does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The numbers are not consecutive.
    #[error("audit event {expected} is missing; {found} follows")]
    Gap {
        /// The number expected.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The event does not continue the one before.
    #[error("audit event {seq} does not continue the chain (head before it {expected}, it says {found})")]
    Broken {
        /// The event.
        seq: u64,
        /// The head before it.
        expected: Digest,
        /// What it says.
        found: Digest,
    },
    /// The hash is not that of the event.
    #[error("audit event {seq} was changed: its hash is not that of its content")]
    Changed {
        /// The event.
        seq: u64,
    },
    /// The signature does not hold.
    #[error("audit event {seq} is not signed by the key of this chain")]
    Signature {
        /// The event.
        seq: u64,
    },
    /// It cannot be read.
    #[error("audit event {seq} cannot be read: {reason}")]
    Unreadable {
        /// The event expected there.
        seq: u64,
        /// Why.
        reason: String,
    },
    /// It cannot be written.
    #[error("audit export failed: {reason}")]
    Write {
        /// Why.
        reason: String,
    },
}
