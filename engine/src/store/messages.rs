//! HL7 v2 messages as a hospital's node keeps them: that one came, with the hash of its bytes, and what it says as items
//! that later messages change. Patients and keys are keyed hashes, fields are sealed.

use super::error::StoreError;
use crate::audit::Event;
use crate::identity::Digest;
use crate::records::hl7::{Change, Fields};

/// Most items that [`super::MessageSnapshot`] returns at once.
pub const ITEMS_MAX: u32 = 2_000;

/// A message to keep.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Who sent it.
    pub sender: String,
    /// Its control id: one message of a sender.
    pub control_id: String,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Type and event (`ADT^A01`).
    pub kind: String,
    /// When it was sent (microseconds since 1970): an item is not changed by a message older than its last change.
    pub sent_us: i64,
    /// When it came (unix milliseconds).
    pub at_ms: u64,
    /// What it says.
    pub items: Vec<NewItem>,
}

/// An item of a message.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// `patient`, `visit` or `observation`.
    pub kind: &'static str,
    /// Keyed hash of its key.
    pub key: Digest,
    /// Pseudonym of the patient.
    pub patient: Digest,
    /// What happens to it.
    pub change: Change,
    /// Its fields.
    pub fields: Fields,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept now.
    New,
    /// The same bytes were kept before: nothing changes.
    Before,
}

/// Messages.
pub trait Messages {
    /// Keeps a message, what it says, and its audit event in one transaction: durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when other bytes came under its control id.
    fn keep_message(&self, message: &NewMessage, audit: &Event) -> Result<Kept, StoreError>;
}
