//! The suite that every implementation of the store passes, the blobs' tests, and the simulation.

mod blobs;
mod engine;
mod keys;
mod messages;
mod party;
mod release;
mod simulation;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::audit::{Context, Outcome};
use crate::identity::{Identity, SealKey};
use crate::vault::{FileProvider, Lock};

/// Makes stores of one kind over the same data: opening again is what a restarted process sees.
pub(super) trait World {
    /// The engine's store over this world's data.
    fn engine(&self) -> Arc<dyn Store>;
    /// The party's store over this world's data.
    fn party(&self) -> Arc<dyn PartyStore>;
}

/// SQLite in a temporary folder.
pub(super) struct SqliteWorld {
    folder: tempfile::TempDir,
}

impl SqliteWorld {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl World for SqliteWorld {
    fn engine(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.folder.path(), signer()).unwrap())
    }

    fn party(&self) -> Arc<dyn PartyStore> {
        Arc::new(open_party(self.folder.path(), 1))
    }
}

pub(super) fn open_party(folder: &Path, key: u8) -> SqlitePartyStore {
    let seal = SealKey::from_bytes(Zeroizing::new([key; 32]));
    let lock = Lock::Seal(SealKey::from_bytes(Zeroizing::new([key; 32])));
    SqlitePartyStore::open(folder, signer(), (seal, Arc::new(FileProvider::new(folder, lock)))).unwrap()
}

pub(super) fn signer() -> Arc<Identity> {
    Arc::new(Identity::from_seed(&[42; 32]))
}

pub(super) fn event(action: &str) -> Event {
    Event {
        actor: "test".into(),
        role: "engine".into(),
        action: action.into(),
        subject: "job:1".into(),
        outcome: Outcome::Success,
        detail: String::new(),
        at_ms: 1,
        context: Context::default(),
    }
}

pub(super) fn message(topic: &str) -> Message {
    Message { topic: topic.into(), payload: "{}".into() }
}

pub(super) fn step(name: &str) -> JobEvent {
    JobEvent { at_ms: 5, party: Some("north".into()), step: name.into(), detail: "fact".into() }
}

pub(super) fn digest(number: u64) -> Digest {
    Digest::of(&number.to_be_bytes())
}

pub(super) fn new_job(number: u64) -> NewJob {
    NewJob {
        context: Context { trace: format!("{number:032x}"), ..Context::default() },
        id: JobId::new(1_000 + number, [number as u8; 10]),
        kind: JobKind::Aggregate,
        owner: format!("owner-{}", number % 2),
        request: number.to_be_bytes().to_vec(),
        request_digest: digest(number),
        plan: "{}".into(),
        result_key: Some(digest(1_000_000 + number % 3)),
        created_ms: 1_000 + number,
        deadline_ms: 1_000_000,
    }
}

pub(super) fn done() -> Conclusion {
    Conclusion { code: "ok".into(), message: "done".into(), rule: None, result: Some(digest(99)) }
}

/// Checks the audit chain of a store from its first event; returns the number of events.
pub(super) fn audited<S: AuditLog + ?Sized>(store: &S) -> u64 {
    crate::audit::verify_chain(audit_chain(store), &signer().public()).unwrap().count
}

/// Moves a job; what it says beside the states does not matter to most tests.
pub(super) fn go(
    store: &dyn Store,
    lease: &Lease,
    from: JobState,
    to: JobState,
) -> Result<Moved, StoreError> {
    let conclusion = done();
    let commitment = digest(7_000_000 + lease.fence).0;
    let commitment = Digest::of(&[&commitment[..], lease.job.as_str().as_bytes()].concat());
    store.transition(&Transition {
        lease,
        from,
        to,
        event: &step("move"),
        audit: &event("job.move"),
        message: &message("job"),
        conclusion: to.is_terminal().then_some(&conclusion),
        commitment: (to == JobState::Done).then_some(&commitment),
        registrations: &[],
    })
}
