//! What a hospital's node keeps.

use zeroize::Zeroizing;

use super::AuditLog;
use super::consent::Consents;
use super::documents::Documents;
use super::error::StoreError;
use super::job::text_enum;
use super::keys::RecordKeys;
use super::messages::Messages;
use super::overrides::Overrides;
use super::release::ReleaseStore;
use super::shares::Shares;
use super::studies::OwnStudies;
use crate::audit::Event;
use crate::identity::{Digest, PublicKey};
use crate::ledger::Checkpoint;

/// What became of pinning a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// First use: it is pinned now.
    New,
    /// It is the key pinned before.
    Known,
}

/// The cell of a value that is drawn once.
#[derive(Clone, Copy, Debug)]
pub struct OnceKey<'a> {
    /// Kind of value (`decryption-share`).
    pub kind: &'a str,
    /// The cell (epoch, ciphertext digest).
    pub key: &'a str,
    /// Everything the value was drawn for (active set, target key, job): a cell is bound to one.
    pub binding: &'a Digest,
}

/// What became of a value drawn once.
#[derive(Debug)]
pub enum Once {
    /// The value offered is stored: send it.
    Stored,
    /// A value was stored before under the same binding: send that one, and forget the one offered.
    Existing(Zeroizing<Vec<u8>>),
}

text_enum! {
    /// States of a ceremony at a party.
    CeremonyState {
        /// The party committed to its share.
        Committed = "committed",
        /// It opened its share.
        Opened = "opened",
        /// The key is made.
        Complete = "complete",
        /// It was given up; the secret is erased.
        Abandoned = "abandoned",
    }
}

/// A ceremony as a party keeps it.
pub struct Ceremony {
    /// Its id (the epoch).
    pub id: String,
    /// Public facts as JSON (parameters, participants, commitments).
    pub public: String,
    /// The secret (a seed), sealed at rest; empty once abandoned.
    pub secret: Zeroizing<Vec<u8>>,
    /// Where it is.
    pub state: CeremonyState,
    /// When it last changed (unix milliseconds).
    pub at_ms: u64,
}

text_enum! {
    /// States of a task at a party.
    TaskState {
        /// Accepted, not finished.
        Open = "open",
        /// Finished.
        Done = "done",
        /// A rule refused it.
        Refused = "refused",
        /// It failed.
        Failed = "failed",
    }
}

text_enum! {
    /// Approval by hand.
    Approval {
        /// None needed.
        Automatic = "automatic",
        /// A person must decide.
        Pending = "pending",
        /// A person approved.
        Approved = "approved",
        /// A person denied.
        Denied = "denied",
    }
}

/// A task that the engine sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// The job, as the engine names it.
    pub job: String,
    /// Of the researcher's signed request.
    pub request_digest: Digest,
    /// Name of the researcher.
    pub owner: String,
    /// Canonical text of the query, for the person who decides.
    pub query: String,
    /// Automatic or pending.
    pub approval: Approval,
    /// When it came (unix milliseconds).
    pub at_ms: u64,
}

/// A task as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What came.
    pub task: NewTask,
    /// Where it is.
    pub state: TaskState,
}

/// What became of a task offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is new.
    New,
    /// The same job with the same request was accepted before: the engine sent it again.
    Again(Box<Task>),
}

/// A hospital's store. Secret values are sealed before they reach the database.
pub trait PartyStore:
    AuditLog
    + Consents
    + Documents
    + Messages
    + OwnStudies
    + Overrides
    + RecordKeys
    + ReleaseStore
    + Shares
    + Send
    + Sync
{
    /// Pins a key under a name: trust on first use, or as configured.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another key is pinned under that name.
    fn pin(&self, name: &str, key: &PublicKey, at_ms: u64, audit: &Event) -> Result<Pinned, StoreError>;

    /// The key pinned under a name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn pinned(&self, name: &str) -> Result<Option<PublicKey>, StoreError>;

    /// Removes a pin, by a person's decision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn unpin(&self, name: &str, audit: &Event) -> Result<(), StoreError>;

    /// Stores a value drawn for a cell, unless one was stored before. When it returns, the value is on disk.
    ///
    /// # Errors
    /// [`StoreError::DrawnOnce`] when the cell is bound to something else: no value may be sent.
    ///
    /// # Security
    /// Two different decryption shares for one ciphertext leak the key. The cell is decided in one transaction;
    /// of two callers at once, one stores and the other gets what was stored.
    fn put_once(&self, cell: OnceKey<'_>, value: &[u8], audit: &Event) -> Result<Once, StoreError>;

    /// The value stored for a cell under that binding.
    ///
    /// # Errors
    /// [`StoreError::DrawnOnce`] when the cell is bound to something else.
    fn once(&self, cell: OnceKey<'_>) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// The value stored for a cell, whatever it is bound to: for a node that reads back its own state.
    ///
    /// # Errors
    /// [`StoreError`].
    fn recall(&self, kind: &str, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// Keeps a new ceremony with its secret.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id exists: a ceremony's secret is drawn once.
    fn add_ceremony(&self, ceremony: &Ceremony, audit: &Event) -> Result<(), StoreError>;

    /// Moves a ceremony on, with its public facts; the secret stays, or is erased when it is abandoned.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not in the state `from`.
    fn update_ceremony(
        &self,
        from: CeremonyState,
        id: &str,
        to: (CeremonyState, &str),
        audit: &Event,
    ) -> Result<(), StoreError>;

    /// The ceremony of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn ceremony(&self, id: &str) -> Result<Option<Ceremony>, StoreError>;

    /// Accepts a task.
    ///
    /// # Errors
    /// [`StoreError::Replay`] when the request belongs to another job; [`StoreError::Conflict`] when the job
    /// came with another request before.
    fn accept_task(&self, task: &NewTask, audit: &Event) -> Result<Accepted, StoreError>;

    /// Finishes a task.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not open.
    fn finish_task(&self, job: &str, state: TaskState, audit: &Event) -> Result<(), StoreError>;

    /// A person's decision on a pending task.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not pending, or `decision` is none.
    fn decide(&self, job: &str, decision: Approval, audit: &Event) -> Result<(), StoreError>;

    /// The task of a job.
    ///
    /// # Errors
    /// [`StoreError`].
    fn task(&self, job: &str) -> Result<Option<Task>, StoreError>;

    /// The newest tasks.
    ///
    /// # Errors
    /// [`StoreError`].
    fn tasks(&self, limit: u32) -> Result<Vec<Task>, StoreError>;

    /// The last checkpoint this witness signed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn last_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError>;

    /// Remembers a checkpoint before its cosignature is sent. `last` is the one the new one was checked against:
    /// when another took its place meanwhile, nothing is written.
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    fn set_checkpoint(
        &self,
        last: Option<&Checkpoint>,
        new: &Checkpoint,
        audit: &Event,
    ) -> Result<(), StoreError>;
}
