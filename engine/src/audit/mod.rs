//! Audit: who did what to which data, why, and how it ended; hash-chained and signed.
//!
//! Every submission, decision, local read, share sent and release is an [`Event`]. The store seals it onto the
//! chain ([`seal`]) inside the transaction that does the thing, so that there is no act without its event.
//! [`verify_chain`] checks a chain offline, from a store file or from exported JSON lines. The chain shows that
//! nothing was changed, removed or put in between; that the end was not cut off shows against a head that somebody else
//! has seen: heads go into the transparency log ([`crate::ledger::AuditCheckpoint`]).
//!
//! A link hashes an event's action, outcome and time, and a salted digest of the rest. So retention can take the rest
//! away ([`Sealed::redacted`]) and the chain still verifies.
//!
//! [`Filter`] searches, [`fhir`] exports, [`report`] answers a patient's request for access and a regulator's questions.

mod chain;
mod event;
mod export;
pub mod fhir;
pub mod report;
mod search;

#[cfg(test)]
mod tests;

pub use chain::{Entry, Sealed, Verified, genesis, seal, verify_chain};
pub use event::{Context, Event, Outcome, SALT_BYTES, Salt, Stub};
pub use export::{LINE_BYTES_MAX, read_lines, verify_lines, write_lines};
pub use search::Filter;

use crate::identity::Digest;

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
    /// The chain is shorter than it was.
    #[error("the chain was cut short: it has {found} events, the log has its head at {logged}")]
    Truncated {
        /// Events found.
        found: u64,
        /// Events there were when the head was logged.
        logged: u64,
    },
    /// The chain is another than the one whose head was logged.
    #[error("the chain was written anew: event {seq} is not the one whose hash the log has")]
    Rewritten {
        /// The event.
        seq: u64,
    },
    /// It cannot be written.
    #[error("audit export failed: {reason}")]
    Write {
        /// Why.
        reason: String,
    },
}
