//! The audit chain, as both stores keep it.

use super::StoreError;
use crate::audit::{Event, Filter, Sealed};
use crate::identity::Digest;

/// An audit chain, of the engine or of a party.
pub trait AuditLog {
    /// Appends an event on its own, for acts that change nothing in the store (a refusal, a read).
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit(&self, event: &Event) -> Result<u64, StoreError>;

    /// Events after a number, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_events(&self, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError>;

    /// Events after a number that the filter lets through, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_search(&self, filter: &Filter, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError>;

    /// Takes away the payload of at most [`super::PAGE_ROWS_MAX`] events older than `before_ms`, and appends `event`, with the
    /// number of them, in the same transaction. Returns how many; zero when none is left.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_redact(&self, before_ms: u64, event: &Event) -> Result<u64, StoreError>;

    /// Number and hash of the last event; none for an empty chain.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_tip(&self) -> Result<Option<(u64, Digest)>, StoreError>;

    /// Keeps a logged head of a chain: whose, the number of its last event, and the checkpoint as JSON. A head that is
    /// kept stays.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keep_audit_head(&self, owner: &str, count: u64, checkpoint: &str) -> Result<(), StoreError>;

    /// The newest logged head of a chain: the number of its last event, and the checkpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_head(&self, owner: &str) -> Result<Option<(u64, String)>, StoreError>;
}
