//! The store: the engine's state and the party's, each in one folder.
//!
//! [`Store`] is the engine's: members, publications, key epochs, jobs with their leases and fences, the outbox,
//! the audit chain and the log. [`PartyStore`] is a hospital's: pinned keys, values drawn once, ceremonies, tasks
//! consents, and its own audit chain. The traits are synchronous, every method one transaction; an async caller goes
//! through [`blocking`]. Time is always an argument (unix milliseconds).
//!
//! Two rules hold the house up. A job's state, its event, its audit event and its outbox row change together or
//! not at all, and only for the holder of the newest fence ([`Jobs::transition`]). And what a party draws once
//! (a key share, a decryption share) is stored before it is sent and never drawn again ([`PartyStore::put_once`]).

mod blobs;
mod consent;
mod documents;
mod error;
mod issuers;
mod job;
mod keys;
mod messages;
mod overrides;
mod partial;
mod party;
mod people;
mod records;
mod registration;
mod release;
mod setup;
mod shares;
mod snapshot;
mod sqlite;
mod studies;
mod trail;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use blobs::{BlobId, BlobReader, BlobWriter, Blobs};
pub use consent::{CONSENT_CLASS, CONSENTS_MAX, ConsentChange, ConsentRoot, ConsentRow, Consents, Recorded};
pub use documents::{DocumentRow, Documents, Facts};
pub use error::StoreError;
pub use issuers::{IssuerPublications, IssuerRecord};
pub use job::{
    Conclusion, Job, JobEvent, JobEventRow, JobFilter, JobId, JobKind, JobState, JobSummary, Lease, Leased,
    Message, Moved, NewJob, Part, PutPart, Submitted, Transition,
};
pub use keys::{Erased, KEYS_MAX, KeyRow, Keyed, RecordKeys};
pub use messages::{ITEMS_MAX, Kept, MESSAGE_CLASS, MESSAGE_DIGEST, Messages, NewItem, NewMessage};
pub use overrides::{Notice, Override, Overrides};
pub use partial::{PartialKey, PartialWriter, Scratch, digest_of};
pub use party::{
    Accepted, Approval, Ceremony, CeremonyState, NewTask, Once, OnceKey, PartyStore, Pinned, Task, TaskState,
};
pub use people::{AccountRecord, LoginRecord, People, PersonRecord, RevocationRecord, Rotation};
pub use records::{Epoch, EpochState, MemberRecord, OutboxRow, PublicationRecord, TokenRecord};
pub use registration::{Anchor, AnchorKind, NewRegistration, Registration};
pub use release::{Charge, Charged, CohortScope, FLOOR_ROW, Judge, ReleaseStore, VersionRows};
pub use setup::{NewSetupRow, SetupRow, Setups};
pub use shares::{GrantRow, SealedItem, ShareRow, Shares};
pub use snapshot::{Batch, DatabaseError, DatabaseSettings, Password, Snapshot};
pub use sqlite::{MessageSnapshot, SqlitePartyStore, SqliteStore};
pub use studies::{OwnStudies, OwnStudy, Studies, StudyRecord, StudyWord};
pub use trail::AuditLog;

use crate::audit::{AuditError, Event, Sealed};
use crate::identity::{Claim, Digest};

/// Most rows that a listing returns at once.
pub const PAGE_ROWS_MAX: u32 = 500;

/// Tokens, members and what they publish.
pub trait Members {
    /// Keeps the hash of a token.
    ///
    /// # Errors
    /// [`StoreError`].
    fn add_token(&self, token: &TokenRecord, audit: &Event) -> Result<(), StoreError>;

    /// Uses a token up and enrols its member, in one transaction. A name that is enrolled and not revoked is a
    /// conflict; a revoked one enrols again under its new key.
    ///
    /// # Errors
    /// [`StoreError::Token`] when no such token is open at that time; [`StoreError::Conflict`].
    fn enrol(&self, claim: &Claim, member: &MemberRecord, audit: &Event) -> Result<(), StoreError>;

    /// Stores a newer certificate for the same key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when no member of that name and key is enrolled and not revoked.
    fn renew_certificate(
        &self,
        name: &str,
        key: &[u8; 32],
        der: &[u8],
        audit: &Event,
    ) -> Result<(), StoreError>;

    /// The member of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn member(&self, name: &str) -> Result<Option<MemberRecord>, StoreError>;

    /// All members, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn members(&self) -> Result<Vec<MemberRecord>, StoreError>;

    /// Revokes a member from that time on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not enrolled, or revoked already.
    fn revoke(&self, name: &str, at_ms: u64, audit: &Event) -> Result<(), StoreError>;

    /// Stores what a hospital publishes; returns its version, counted from 1, which grows when the text changes.
    ///
    /// # Errors
    /// [`StoreError`].
    fn publish(&self, hospital: &str, json: &str, at_ms: u64, audit: &Event) -> Result<u64, StoreError>;

    /// The latest publication of every hospital that is not revoked, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn publications(&self) -> Result<Vec<PublicationRecord>, StoreError>;
}

/// Epochs of the collective key.
pub trait Epochs {
    /// Adds an epoch.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id exists.
    fn add_epoch(&self, epoch: &Epoch, audit: &Event) -> Result<(), StoreError>;

    /// Moves an epoch from one state to the next and stores what its ceremony made. Making one active retires
    /// the one that was.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not in the state `from`.
    fn update_epoch(&self, from: EpochState, epoch: &Epoch, audit: &Event) -> Result<(), StoreError>;

    /// The epoch of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn epoch(&self, id: &str) -> Result<Option<Epoch>, StoreError>;

    /// The active epoch.
    ///
    /// # Errors
    /// [`StoreError`].
    fn active_epoch(&self) -> Result<Option<Epoch>, StoreError>;
}

/// Jobs, leases and fences.
pub trait Jobs {
    /// Queues a job; the same request again returns the job it made.
    ///
    /// # Errors
    /// [`StoreError`].
    fn submit(&self, job: &NewJob, audit: &Event, message: &Message) -> Result<Submitted, StoreError>;

    /// The job of that id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobSummary>, StoreError>;

    /// The newest job that is done with a result under that key (the same query on the same data for the same
    /// researcher): its result is given again, so that noise is not averaged away.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_result(&self, result_key: &Digest) -> Result<Option<JobSummary>, StoreError>;

    /// Leases the oldest open job that nobody holds at `now_ms` and that may run by then, and raises its fence:
    /// whoever held it before can write no more.
    ///
    /// # Errors
    /// [`StoreError`].
    fn lease(&self, worker: &str, now_ms: u64, ttl_ms: u64) -> Result<Option<Leased>, StoreError>;

    /// Extends a lease.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`] when it was lost.
    fn renew(&self, lease: &Lease, until_ms: u64) -> Result<(), StoreError>;

    /// Gives a lease back; nobody gets the job before `not_before_ms`.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`] when it was lost.
    fn release(&self, lease: &Lease, not_before_ms: u64) -> Result<(), StoreError>;

    /// Ends every lease, for an engine that has just taken the folder for itself: the workers of the one before are
    /// gone, and could write no more if they were not.
    ///
    /// # Errors
    /// [`StoreError`].
    fn end_leases(&self) -> Result<(), StoreError>;

    /// Moves a job: state, event, audit event, outbox row, and for a finished one its conclusion and the leaf of
    /// its commitment, in one transaction. A terminal state gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`] for a lost lease, [`StoreError::IllegalMove`] for a move the states do not
    /// allow or a job that is elsewhere, [`StoreError::Invalid`] for a conclusion, commitment or registration out of
    /// place, [`StoreError::Conflict`] when a patient was counted meanwhile.
    fn transition(&self, transition: &Transition<'_>) -> Result<Moved, StoreError>;

    /// Cancels a job that is not finished, whoever holds it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::IllegalMove`] when it is finished.
    fn cancel(
        &self,
        id: &JobId,
        event: &JobEvent,
        audit: &Event,
        message: &Message,
    ) -> Result<(), StoreError>;

    /// Notes progress without a change of state; returns the number of the event.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`], also when the job is finished.
    fn progress(&self, lease: &Lease, event: &JobEvent) -> Result<u64, StoreError>;

    /// Events of a job after a number, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn events(&self, id: &JobId, after_seq: u64, limit: u32) -> Result<Vec<JobEventRow>, StoreError>;

    /// Keeps what a party sent for a step. The same digest again is the same part.
    ///
    /// # Errors
    /// [`StoreError::StaleFence`]; [`StoreError::Conflict`] when another digest is kept for (job, party, step).
    fn put_part(&self, lease: &Lease, part: &Part) -> Result<PutPart, StoreError>;

    /// Parts of a job, by step and party.
    ///
    /// # Errors
    /// [`StoreError`].
    fn parts(&self, id: &JobId) -> Result<Vec<Part>, StoreError>;

    /// Keeps the receipt of a job that is done; a later one (with more cosignatures) replaces it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the job is not done.
    fn put_receipt(&self, id: &JobId, json: &str) -> Result<(), StoreError>;

    /// The receipt of a job.
    ///
    /// # Errors
    /// [`StoreError`].
    fn receipt(&self, id: &JobId) -> Result<Option<String>, StoreError>;
}

/// The tree of the embedded ledger.
pub trait Log {
    /// Appends an entry; one that is in the log keeps its index.
    ///
    /// # Errors
    /// [`StoreError`].
    fn log_append(&self, entry: &Digest) -> Result<u64, StoreError>;

    /// Number of entries.
    ///
    /// # Errors
    /// [`StoreError`].
    fn log_size(&self) -> Result<u64, StoreError>;

    /// Roots of complete subtrees of a level, indices `first..end`; fewer when the tree has not grown so far.
    ///
    /// # Errors
    /// [`StoreError`].
    fn log_nodes(&self, level: u8, first: u64, end: u64) -> Result<Vec<Digest>, StoreError>;

    /// Entries `first..end`; fewer when the tree has not grown so far.
    ///
    /// # Errors
    /// [`StoreError`].
    fn log_entries(&self, first: u64, end: u64) -> Result<Vec<Digest>, StoreError>;

    /// Keeps a signed checkpoint, replacing one of the same size (with fewer cosignatures).
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_checkpoint(&self, size: u64, note: &str) -> Result<(), StoreError>;

    /// The largest checkpoint kept: size and note.
    ///
    /// # Errors
    /// [`StoreError`].
    fn latest_checkpoint(&self) -> Result<Option<(u64, String)>, StoreError>;
}

/// Messages for other systems, written with the change they tell of and delivered at least once.
pub trait Outbox {
    /// The oldest messages not delivered yet.
    ///
    /// # Errors
    /// [`StoreError`].
    fn outbox_pending(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;

    /// The oldest messages of a topic that are not delivered yet.
    ///
    /// # Errors
    /// [`StoreError`].
    fn outbox_pending_of(&self, topic: &str, limit: u32) -> Result<Vec<OutboxRow>, StoreError>;

    /// Marks a message delivered.
    ///
    /// # Errors
    /// [`StoreError`].
    fn outbox_delivered(&self, seq: u64, at_ms: u64) -> Result<(), StoreError>;
}

/// Small values under a name.
pub trait Meta {
    /// The value of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sets the value of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;
}

/// Attestations that were registered: a patient counts once in a study. They are added by [`Jobs::transition`].
pub trait Registrations {
    /// Who was counted under a nullifier of a study.
    ///
    /// # Errors
    /// [`StoreError`].
    fn registration(&self, study: &str, nullifier: &Digest) -> Result<Option<Registration>, StoreError>;

    /// The registration of an attestation, by its digest.
    ///
    /// # Errors
    /// [`StoreError`].
    fn registered(&self, attestation: &Digest) -> Result<Option<Registration>, StoreError>;

    /// How many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    fn registrations(&self) -> Result<u64, StoreError>;
}

/// What chains have of the log.
pub trait Anchors {
    /// Keeps an anchor; the same content on the same contract again replaces block and transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_anchor(&self, anchor: &Anchor) -> Result<(), StoreError>;

    /// The anchors of these digests themselves, and of each contract the smallest checkpoint that covers the leaf.
    ///
    /// # Errors
    /// [`StoreError`].
    fn anchors_of(&self, digest: &Digest, leaf_index: u64) -> Result<Vec<Anchor>, StoreError>;

    /// The newest anchors, at most so many.
    ///
    /// # Errors
    /// [`StoreError`].
    fn latest_anchors(&self, limit: u32) -> Result<Vec<Anchor>, StoreError>;
}

/// The engine's store.
pub trait Store:
    Members
    + People
    + Epochs
    + Jobs
    + Log
    + Outbox
    + Registrations
    + IssuerPublications
    + Anchors
    + Setups
    + AuditLog
    + Meta
    + Studies
    + Send
    + Sync
{
}

impl<T> Store for T where
    T: Members
        + People
        + Epochs
        + Jobs
        + Log
        + Outbox
        + Registrations
        + IssuerPublications
        + Setups
        + Anchors
        + AuditLog
        + Meta
        + Studies
        + Send
        + Sync
{
}

/// Runs a store operation off the reactor.
///
/// # Errors
/// [`StoreError`] of the operation; [`StoreError::Interrupted`] when the runtime shuts down under it.
pub async fn blocking<S, T, F>(store: &Arc<S>, operation: F) -> Result<T, StoreError>
where
    S: ?Sized + Send + Sync + 'static,
    T: Send + 'static,
    F: FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
{
    let store = Arc::clone(store);
    let joined = tokio::task::spawn_blocking(move || operation(&store)).await;
    joined.unwrap_or_else(|_| Err(StoreError::Interrupted))
}

/// The whole audit chain, page by page, for [`crate::audit::verify_chain`] and export.
pub fn audit_chain<S: AuditLog + ?Sized>(store: &S) -> impl Iterator<Item = Result<Sealed, AuditError>> {
    let mut after_seq = 0;
    let mut page = Vec::new().into_iter();
    let mut ended = false;
    std::iter::from_fn(move || {
        if let Some(sealed) = page.next() {
            return Some(Ok(sealed));
        }
        if ended {
            return None;
        }
        match store.audit_events(after_seq, PAGE_ROWS_MAX) {
            Ok(events) => {
                after_seq = events.last().map_or(after_seq, |sealed| sealed.seq);
                ended = events.is_empty();
                page = events.into_iter();
                page.next().map(Ok)
            }
            Err(e) => {
                ended = true;
                Some(Err(AuditError::Unreadable { seq: after_seq + 1, reason: e.to_string() }))
            }
        }
    })
}
