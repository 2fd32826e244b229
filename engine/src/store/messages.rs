//! HL7 v2 messages as a hospital's node keeps them: that one came, with the hash of its bytes, and what it says as items
//! that later messages change. Patients and keys are keyed hashes; fields are sealed under data keys of their patient, and
//! the hash is keyed with one.

use super::error::StoreError;
use super::keys::Keyed;
use crate::audit::Event;
use crate::identity::Digest;
use crate::records::hl7::{Change, Fields};

/// Most items that [`super::MessageSnapshot`] returns at once.
pub const ITEMS_MAX: u32 = 2_000;

/// Class of data of what messages say, unless the hospital names another.
pub const MESSAGE_CLASS: &str = "ward/hl7";
/// Domain of a message's keyed digest.
pub const MESSAGE_DIGEST: &str = "hl7-message/1";

/// A message to keep.
pub struct NewMessage {
    /// Who sent it.
    pub sender: String,
    /// Its control id: one message of a sender.
    pub control_id: String,
    /// SHA-256 of its bytes, keyed with the keys of its patients one after the other ([`MESSAGE_DIGEST`]).
    pub digest: Digest,
    /// Type and event (`ADT^A01`).
    pub kind: String,
    /// When it was sent (microseconds since 1970): an item is not changed by a message older than its last change.
    pub sent_us: i64,
    /// When it came (unix milliseconds).
    pub at_ms: u64,
    /// Data keys of its patients, opened: first one of class [`MESSAGE_CLASS`] for each of them, which `digest` is keyed with.
    pub keys: Vec<Keyed>,
    /// How many patients it is about.
    pub patients: usize,
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
    /// Its data key, as a place in the message's `keys`.
    pub data_key: usize,
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
    /// Keeps a message, what it says, and its audit events (one a patient) in one transaction: durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when other bytes came under its control id; [`StoreError::Database`] when the patient was
    /// erased since the keys were opened.
    fn keep_message(&self, message: &NewMessage, audit: &[Event]) -> Result<Kept, StoreError>;
}
