//! The party's store.

use super::*;
use crate::consent::{Artefact, Provenance, Pseudonym, Purpose, Rule, Scope, Status, Validity};
use crate::identity::Signature;
use crate::ledger::{Checkpoint, TreeHead};

macro_rules! party_suite {
    ($module:ident, $world:expr) => {
        mod $module {
            use super::*;
            party_suite!(@tests $world;
                value_is_drawn_once_and_replayed
                value_under_another_binding_is_refused
                of_many_callers_one_stores_and_all_get_the_same
                pinned_key_is_never_replaced_by_itself
                ceremony_secret_is_drawn_once_and_erased_when_abandoned
                replayed_request_is_refused
                task_is_decided_once_and_finished_once
                checkpoint_moves_forward_from_the_one_checked
                party_state_is_there_after_opening_again
                consent_moves_on_with_its_history_and_is_recorded_once
                consent_that_skips_a_version_is_refused_with_its_batch
            );
        }
    };
    (@tests $world:expr; $($name:ident)+) => {
        $(#[test]
        fn $name() {
            super::$name(&$world);
        })+
    };
}

party_suite!(sqlite, SqliteWorld::new());

pub(super) fn recorded(artefact: Artefact) -> Recorded {
    Recorded { artefact, signature: Signature([7; 64]), reason: "asked".to_owned() }
}

pub(super) fn consent(patient: u8, until_ms: Option<u64>) -> Artefact {
    let scope = Scope { purposes: [Purpose::HEALTH_RESEARCH].into(), ..Scope::default() };
    let provenance = Provenance {
        source: format!("document {patient}"),
        digest: digest(1),
        by: "h1".to_owned(),
        stated_ms: 5,
    };
    let rule = Rule { scope, ..Rule::default() };
    let validity = Validity { from_ms: None, until_ms };
    Artefact::new(Pseudonym([patient; 32]), (rule, validity), Status::Granted, provenance).unwrap()
}

fn consent_moves_on_with_its_history_and_is_recorded_once(world: &dyn World) {
    let store = world.party();
    let (first, second) = (consent(1, Some(100)), consent(2, None));
    let batch = [recorded(first.clone()), recorded(second.clone())];
    assert_eq!(store.record_consents(&batch, &event("consent.import")).unwrap(), 2);
    assert_eq!(store.record_consents(&batch, &event("consent.import")).unwrap(), 0, "known already");
    assert_eq!(audited(&*store), 2);
    assert_eq!(store.consents_over(99, 10).unwrap(), []);
    assert_eq!(store.consents_over(100, 10).unwrap().len(), 1);
    let revoked = first.become_status(Status::Revoked, 50).unwrap();
    assert_eq!(store.record_consents(&[recorded(revoked.clone())], &event("consent.revoke")).unwrap(), 1);
    assert_eq!(store.consent(&first.id).unwrap().unwrap().artefact, revoked);
    assert_eq!(store.consents_over(100, 10).unwrap(), [], "what is revoked does not expire");
    let history = store.consent_history(&first.id).unwrap();
    let statuses: Vec<_> = history.iter().map(|change| (change.version, change.status)).collect();
    assert_eq!(statuses, [(1, Status::Granted), (2, Status::Revoked)]);
    assert_eq!(store.last_consent_change().unwrap(), 3);
    let changed = store.consents_changed(2, 10).unwrap();
    assert_eq!(changed.iter().map(|(change, row)| (*change, row.number)).collect::<Vec<_>>(), [(3, 1)]);
    assert_eq!(store.consents_of(&second.pseudonym).unwrap().len(), 1);
    assert_eq!(store.consents_from("document 2").unwrap()[0].artefact, second);
    assert_eq!(store.consents(1, 10).unwrap().len(), 1);
}

fn consent_that_skips_a_version_is_refused_with_its_batch(world: &dyn World) {
    let store = world.party();
    let skipped = Artefact { version: 2, ..consent(1, None) };
    let batch = [recorded(consent(2, None)), recorded(skipped)];
    let refused = store.record_consents(&batch, &event("consent.import"));
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(store.consents(0, 10).unwrap(), []);
    let root = ConsentRoot {
        version: 1,
        change: 0,
        consents: 0,
        root: digest(1),
        at_ms: 1,
        signature: Signature([7; 64]),
    };
    store.add_consent_root(&root, &event("consent.root")).unwrap();
    assert!(matches!(
        store.add_consent_root(&root, &event("consent.root")),
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(store.consent_roots(5).unwrap(), [root]);
}

fn cell<'a>(key: &'a str, binding: &'a Digest) -> OnceKey<'a> {
    OnceKey { kind: "decryption-share", key, binding }
}

fn put(store: &dyn PartyStore, key: &str, binding: &Digest, value: &[u8]) -> Result<Once, StoreError> {
    store.put_once(cell(key, binding), value, &event("share.draw"))
}

fn value_is_drawn_once_and_replayed(world: &dyn World) {
    let store = world.party();
    let binding = digest(1);
    assert!(store.once(cell("c1", &binding)).unwrap().is_none());
    assert!(matches!(put(&*store, "c1", &binding, b"first").unwrap(), Once::Stored));
    for value in [&b"second"[..], b"first", b""] {
        match put(&*store, "c1", &binding, value).unwrap() {
            Once::Existing(there) => assert_eq!(&**there, b"first"),
            Once::Stored => panic!("drawn twice"),
        }
    }
    assert_eq!(&**store.once(cell("c1", &binding)).unwrap().unwrap(), b"first");
    assert!(matches!(put(&*store, "c2", &binding, b"other cell").unwrap(), Once::Stored));
    assert_eq!(audited(&*store), 2, "what is replayed was audited when it was drawn");
}

fn value_under_another_binding_is_refused(world: &dyn World) {
    let store = world.party();
    put(&*store, "c1", &digest(1), b"first").unwrap();
    let refused = put(&*store, "c1", &digest(2), b"first");
    assert!(matches!(refused, Err(StoreError::DrawnOnce { .. })));
    assert!(matches!(store.once(cell("c1", &digest(2))), Err(StoreError::DrawnOnce { .. })));
    let binding = digest(2);
    let other = OnceKey { kind: "noise", ..cell("c1", &binding) };
    assert!(matches!(store.put_once(other, b"n", &event("x")).unwrap(), Once::Stored));
}

fn of_many_callers_one_stores_and_all_get_the_same(world: &dyn World) {
    // Two openings of one database, as two processes have it.
    let stores = [world.party(), world.party()];
    let binding = digest(1);
    let outcomes: Vec<(u8, Once)> = std::thread::scope(|scope| {
        let draw = |number: u8| {
            let store = &stores[usize::from(number % 2)];
            let binding = &binding;
            scope.spawn(move || (number, put(&**store, "c1", binding, &[number]).unwrap()))
        };
        let threads: Vec<_> = (0..8).map(draw).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let stored: Vec<u8> =
        outcomes.iter().filter(|(_, o)| matches!(o, Once::Stored)).map(|(n, _)| *n).collect();
    assert_eq!(stored.len(), 1);
    for (_, outcome) in outcomes {
        if let Once::Existing(there) = outcome {
            assert_eq!(*there, stored);
        }
    }
}

fn pinned_key_is_never_replaced_by_itself(world: &dyn World) {
    let store = world.party();
    let (one, two) = (Identity::generate().unwrap().public(), Identity::generate().unwrap().public());
    let pin = |key| store.pin("alice", key, 1, &event("key.pin"));
    assert_eq!(store.pinned("alice").unwrap(), None);
    assert_eq!(pin(&one).unwrap(), Pinned::New);
    assert_eq!(pin(&one).unwrap(), Pinned::Known);
    assert!(matches!(pin(&two), Err(StoreError::Conflict { what: "pin", .. })));
    assert_eq!(store.pinned("alice").unwrap(), Some(one));
    store.unpin("alice", &event("key.unpin")).unwrap();
    assert!(matches!(store.unpin("alice", &event("key.unpin")), Err(StoreError::NotFound { .. })));
    assert_eq!(pin(&two).unwrap(), Pinned::New);
}

fn ceremony_secret_is_drawn_once_and_erased_when_abandoned(world: &dyn World) {
    use CeremonyState::{Abandoned, Committed, Complete, Opened};
    let store = world.party();
    let ceremony = |secret: &[u8]| Ceremony {
        id: "e1".into(),
        public: "{}".into(),
        secret: Zeroizing::new(secret.to_vec()),
        state: Committed,
        at_ms: 1,
    };
    store.add_ceremony(&ceremony(b"seed"), &event("ceremony.commit")).unwrap();
    let again = store.add_ceremony(&ceremony(b"another"), &event("ceremony.commit"));
    assert!(matches!(again, Err(StoreError::Conflict { what: "ceremony", .. })));
    let update = |from, to| store.update_ceremony(from, "e1", (to, "{\"a\":1}"), &event("ceremony.open"));
    update(Committed, Opened).unwrap();
    assert!(matches!(update(Committed, Opened), Err(StoreError::Conflict { .. })));
    let found = store.ceremony("e1").unwrap().unwrap();
    assert_eq!((&**found.secret, found.state, &*found.public), (&b"seed"[..], Opened, "{\"a\":1}"));
    update(Opened, Complete).unwrap();
    assert_eq!(&**store.ceremony("e1").unwrap().unwrap().secret, b"seed");
    update(Complete, Abandoned).unwrap();
    assert!(store.ceremony("e1").unwrap().unwrap().secret.is_empty());
    assert!(store.ceremony("e2").unwrap().is_none());
}

fn task(job: &str, request: u64, approval: Approval) -> NewTask {
    NewTask {
        job: job.into(),
        request_digest: digest(request),
        owner: "alice".into(),
        query: "SELECT COUNT(*) FROM t".into(),
        approval,
        at_ms: 9,
    }
}

fn replayed_request_is_refused(world: &dyn World) {
    let store = world.party();
    let accept = |task: &NewTask| store.accept_task(task, &event("task.accept"));
    let first = task("j1", 1, Approval::Automatic);
    assert_eq!(accept(&first).unwrap(), Accepted::New);
    let there = Task { task: first.clone(), state: TaskState::Open };
    assert_eq!(accept(&first).unwrap(), Accepted::Again(Box::new(there)), "sent again after a restart");
    match accept(&task("j2", 1, Approval::Automatic)) {
        Err(StoreError::Replay { job, seen }) => assert_eq!((&*job, &*seen), ("j2", "j1")),
        other => panic!("{other:?}"),
    }
    let changed = accept(&task("j1", 2, Approval::Automatic));
    assert!(matches!(changed, Err(StoreError::Conflict { what: "task", .. })));
    assert_eq!(audited(&*store), 1);
}

fn task_is_decided_once_and_finished_once(world: &dyn World) {
    let store = world.party();
    for (job, approval) in [("j1", Approval::Pending), ("j2", Approval::Automatic)] {
        let number = u64::from(job == "j1");
        store.accept_task(&task(job, number, approval), &event("task.accept")).unwrap();
    }
    let decide = |job: &str, decision| store.decide(job, decision, &event("task.decide"));
    assert!(matches!(decide("j1", Approval::Pending), Err(StoreError::Invalid { .. })));
    decide("j1", Approval::Denied).unwrap();
    assert!(matches!(decide("j1", Approval::Approved), Err(StoreError::Conflict { .. })));
    assert!(matches!(decide("j2", Approval::Approved), Err(StoreError::Conflict { .. })));
    let finish = |job: &str, state| store.finish_task(job, state, &event("task.finish"));
    assert!(matches!(finish("j1", TaskState::Open), Err(StoreError::Invalid { .. })));
    finish("j1", TaskState::Refused).unwrap();
    assert!(matches!(finish("j1", TaskState::Done), Err(StoreError::Conflict { .. })));
    let found = store.task("j1").unwrap().unwrap();
    assert_eq!((found.state, found.task.approval), (TaskState::Refused, Approval::Denied));
    let jobs: Vec<String> = store.tasks(10).unwrap().into_iter().map(|t| t.task.job).collect();
    assert_eq!(jobs, ["j2", "j1"], "newest first");
}

fn checkpoint_moves_forward_from_the_one_checked(world: &dyn World) {
    let store = world.party();
    let checkpoint =
        |size| Checkpoint { origin: "ward/c/log".into(), head: TreeHead { size, root: digest(size) } };
    let (one, two) = (checkpoint(1), checkpoint(2));
    let set =
        |last: Option<&Checkpoint>, new: &Checkpoint| store.set_checkpoint(last, new, &event("log.cosign"));
    assert_eq!(store.last_checkpoint().unwrap(), None);
    set(None, &one).unwrap();
    assert!(matches!(set(None, &two), Err(StoreError::Conflict { .. })));
    set(Some(&one), &two).unwrap();
    assert!(matches!(set(Some(&one), &checkpoint(3)), Err(StoreError::Conflict { .. })));
    assert!(matches!(set(Some(&two), &one), Err(StoreError::Invalid { .. })));
    assert_eq!(store.last_checkpoint().unwrap(), Some(two));
}

fn party_state_is_there_after_opening_again(world: &dyn World) {
    put(&*world.party(), "c1", &digest(1), b"share").unwrap();
    let store = world.party();
    match put(&*store, "c1", &digest(1), b"drawn anew").unwrap() {
        Once::Existing(there) => assert_eq!(&**there, b"share"),
        Once::Stored => panic!("drawn twice"),
    }
    assert_eq!(audited(&*store), 1);
}
