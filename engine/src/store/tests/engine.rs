//! The engine's store.

use super::*;
use crate::identity::{CertificateAuthority, Role, Token};
use crate::ledger::{self, EmbeddedLedger, Ledger as _, LedgerError, Tile, TileKind, merkle};
use JobState::{Cancelled, Committing, Done, Failed, Queued, Refused, Running, Waiting};

macro_rules! engine_suite {
    ($module:ident, $world:expr) => {
        mod $module {
            use super::*;
            engine_suite!(@tests $world;
                same_request_is_the_same_job
                lease_goes_to_one_worker_and_raises_the_fence
                expired_lease_is_taken_and_its_holder_is_refused
                ended_leases_are_taken_at_once_and_their_holders_refused
                released_job_waits_for_its_time
                renewed_lease_is_not_taken
                job_runs_to_done_with_event_audit_outbox_and_leaf
                illegal_moves_change_nothing
                arguments_that_do_not_fit_are_refused
                cancelled_job_refuses_its_worker
                registrations_come_with_the_jobs_end_or_not_at_all
                anchors_are_found_by_digest_and_by_the_smallest_checkpoint_that_covers
                finished_job_is_not_cancelled
                parts_are_kept_once
                jobs_are_listed_newest_first_by_page_and_owner
                result_is_found_by_its_key
                receipt_belongs_to_a_job_that_is_done
                progress_is_numbered_and_paged
                token_enrols_once
                token_of_another_secret_name_role_or_time_is_refused
                enrolled_name_and_key_are_not_taken
                revoked_member_enrols_again_under_a_new_key
                publication_grows_a_version_when_it_changes
                one_epoch_is_active
                ledger_grows_and_proves
                checkpoint_of_the_same_size_is_replaced
                meta_is_set_and_replaced
                everything_is_there_after_opening_again
                audit_refuses_nothing_and_verifies
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

engine_suite!(sqlite, SqliteWorld::new());

fn submit(store: &dyn Store, number: u64) -> NewJob {
    let job = new_job(number);
    let submitted = store.submit(&job, &event("job.submit"), &message("job")).unwrap();
    assert!(matches!(submitted, Submitted::New));
    job
}

fn leased(store: &dyn Store, now_ms: u64) -> Lease {
    store.lease("w1", now_ms, 100).unwrap().unwrap().lease
}

fn state(store: &dyn Store, id: &JobId) -> JobState {
    store.job(id).unwrap().unwrap().summary.state
}

/// A job moved to a state by a worker that holds it.
fn at(store: &dyn Store, number: u64, target: JobState) -> Lease {
    submit(store, number);
    let lease = leased(store, 0);
    let path = [Queued, Waiting, Running, Committing, Done];
    for pair in path.windows(2).take_while(|pair| pair[0] != target) {
        go(store, &lease, pair[0], pair[1]).unwrap();
    }
    lease
}

fn same_request_is_the_same_job(world: &dyn World) {
    let store = world.engine();
    let job = submit(&*store, 1);
    let again = NewJob { id: JobId::new(9_999, [9; 10]), ..job.clone() };
    match store.submit(&again, &event("job.submit"), &message("job")).unwrap() {
        Submitted::Existing(there) => assert_eq!(there.id, job.id),
        Submitted::New => panic!("queued twice"),
    }
    assert_eq!(store.jobs(&JobFilter::default()).unwrap().len(), 1);
    assert_eq!(audited(&*store), 1);
    let taken = NewJob { id: job.id.clone(), ..new_job(2) };
    let refused = store.submit(&taken, &event("job.submit"), &message("job"));
    assert!(matches!(refused, Err(StoreError::Conflict { what: "job", .. })));
}

fn lease_goes_to_one_worker_and_raises_the_fence(world: &dyn World) {
    let store = world.engine();
    let (one, two) = (submit(&*store, 1), submit(&*store, 2));
    let first = store.lease("w1", 10, 100).unwrap().unwrap();
    assert_eq!((&first.lease.job, first.lease.fence), (&one.id, 1), "the oldest first");
    assert_eq!(first.job.request, one.request);
    let second = store.lease("w2", 10, 100).unwrap().unwrap();
    assert_eq!(second.lease.job, two.id);
    assert!(store.lease("w3", 10, 100).unwrap().is_none());
}

fn expired_lease_is_taken_and_its_holder_is_refused(world: &dyn World) {
    let store = world.engine();
    submit(&*store, 1);
    let old = leased(&*store, 10);
    assert!(store.lease("w2", 109, 100).unwrap().is_none());
    let new = store.lease("w2", 110, 100).unwrap().unwrap().lease;
    assert_eq!(new.fence, old.fence + 1);
    let part = Part {
        job: old.job.clone(),
        party: "north".into(),
        step: "contribution".into(),
        attempt: 1,
        digest: digest(1),
        blob: digest(1),
        header: vec![],
    };
    let refusals = [
        go(&*store, &old, Queued, Waiting).map(|_| ()),
        store.renew(&old, 1_000),
        store.release(&old, 0),
        store.progress(&old, &step("x")).map(|_| ()),
        store.put_part(&old, &part).map(|_| ()),
    ];
    for refused in refusals {
        assert!(matches!(refused, Err(StoreError::StaleFence { fence: 1, current: 2, .. })));
    }
    go(&*store, &new, Queued, Waiting).unwrap();
}

fn ended_leases_are_taken_at_once_and_their_holders_refused(world: &dyn World) {
    let store = world.engine();
    submit(&*store, 1);
    submit(&*store, 2);
    let old = [leased(&*store, 10), leased(&*store, 10)];
    store.end_leases().unwrap();
    for lease in &old {
        assert!(matches!(store.renew(lease, 1_000), Err(StoreError::StaleFence { .. })));
        assert!(matches!(go(&*store, lease, Queued, Waiting), Err(StoreError::StaleFence { .. })));
    }
    let new = leased(&*store, 11);
    assert_eq!(new.job, old[0].job);
    assert!(new.fence > old[0].fence);
    go(&*store, &new, Queued, Waiting).unwrap();
}

fn released_job_waits_for_its_time(world: &dyn World) {
    let store = world.engine();
    submit(&*store, 1);
    let lease = leased(&*store, 10);
    store.release(&lease, 500).unwrap();
    assert!(matches!(store.release(&lease, 500), Err(StoreError::StaleFence { .. })));
    assert!(store.lease("w2", 499, 100).unwrap().is_none());
    let next = store.lease("w2", 500, 100).unwrap().unwrap().lease;
    assert!(next.fence > lease.fence);
}

fn renewed_lease_is_not_taken(world: &dyn World) {
    let store = world.engine();
    submit(&*store, 1);
    let lease = leased(&*store, 10);
    store.renew(&lease, 1_000).unwrap();
    store.renew(&lease, 50).unwrap();
    assert!(store.lease("w2", 999, 100).unwrap().is_none(), "a lease is not shortened");
    assert!(store.lease("w2", 1_000, 100).unwrap().is_some());
}

fn job_runs_to_done_with_event_audit_outbox_and_leaf(world: &dyn World) {
    let store = world.engine();
    let job = submit(&*store, 1);
    let lease = leased(&*store, 0);
    assert_eq!(go(&*store, &lease, Queued, Waiting).unwrap().attempt, 1);
    go(&*store, &lease, Waiting, Running).unwrap();
    assert_eq!(go(&*store, &lease, Running, Waiting).unwrap().attempt, 2, "a new attempt");
    go(&*store, &lease, Waiting, Running).unwrap();
    go(&*store, &lease, Running, Committing).unwrap();
    let moved = go(&*store, &lease, Committing, Done).unwrap();
    assert_eq!(moved, Moved { event_seq: 7, attempt: 2, leaf_index: Some(0) });
    let found = store.job(&job.id).unwrap().unwrap().summary;
    assert_eq!((found.state, found.leaf_index, found.conclusion), (Done, Some(0), Some(done())));
    let states: Vec<JobState> = store.events(&job.id, 0, 100).unwrap().iter().map(|row| row.state).collect();
    assert_eq!(states, [Queued, Waiting, Running, Waiting, Running, Committing, Done]);
    assert_eq!(audited(&*store), 7);
    assert_eq!(store.outbox_pending(100).unwrap().len(), 7);
    assert_eq!(store.log_size().unwrap(), 1);
    assert!(store.lease("w2", u64::MAX >> 2, 1).unwrap().is_none(), "nothing is left to do");
    store.outbox_delivered(1, 5).unwrap();
    assert_eq!(store.outbox_pending(1).unwrap()[0].seq, 2);
}

fn illegal_moves_change_nothing(world: &dyn World) {
    let store = world.engine();
    for (number, from) in [Queued, Waiting, Running, Committing].into_iter().enumerate() {
        let lease = at(&*store, number as u64, from);
        for to in JobState::ALL.iter().copied().filter(|to| *to != Cancelled && !from.may_become(*to)) {
            let refused = go(&*store, &lease, from, to);
            assert!(matches!(refused, Err(StoreError::IllegalMove { .. })), "{from} to {to}");
        }
        // Where the caller believes it to be is checked too.
        let elsewhere = if from == Queued { Waiting } else { Queued };
        let refused = go(&*store, &lease, elsewhere, Failed);
        assert!(matches!(refused, Err(StoreError::IllegalMove { actual, .. }) if actual == from));
        assert_eq!(state(&*store, &lease.job), from);
        go(&*store, &lease, from, Refused).unwrap();
    }
    let moves = 1 + 2 + 3 + 4 + 4;
    assert_eq!(store.outbox_pending(100).unwrap().len() as u64, moves);
    assert_eq!(audited(&*store), moves);
    assert_eq!(store.log_size().unwrap(), 0);
}

fn registration_of(number: u64, study: &str, patient: u64) -> NewRegistration {
    NewRegistration {
        study: study.to_owned(),
        nullifier: digest(5_000_000 + patient),
        attestation: digest(6_000_000 + number),
        audit: event("attestation.register"),
        message: Some(message("evm")),
    }
}

fn registrations_come_with_the_jobs_end_or_not_at_all(world: &dyn World) {
    let store = world.engine();
    let end = |number, from, to, registrations: &[NewRegistration]| {
        let lease = at(&*store, number, from);
        let (conclusion, leaf) = (done(), digest(3_000_000 + number));
        store.transition(&Transition {
            lease: &lease,
            from,
            to,
            event: &step("end"),
            audit: &event("job.done"),
            message: &message("job"),
            conclusion: to.is_terminal().then_some(&conclusion),
            commitment: (to == Done).then_some(&leaf),
            registrations,
        })
    };
    let first = [registration_of(1, "a", 1), registration_of(2, "a", 2)];
    let moved = end(1, Committing, Done, &first).unwrap();
    // The record's leaf, then those of the attestations.
    assert_eq!(moved.leaf_index, Some(0));
    let found = store.registration("a", &first[1].nullifier).unwrap().unwrap();
    assert_eq!((found.leaf_index, found.attestation), (2, first[1].attestation));
    assert_eq!(store.registered(&first[1].attestation).unwrap(), Some(found));
    let (leaves, audited_before) = (store.log_size().unwrap(), audited(&*store));
    // A patient counted meanwhile: nothing of it happens, the other patient and the leaves included.
    let clash = [registration_of(3, "a", 3), registration_of(4, "a", 2)];
    assert!(matches!(
        end(2, Committing, Done, &clash),
        Err(StoreError::Conflict { what: "registration", .. })
    ));
    assert_eq!(store.log_size().unwrap(), leaves);
    assert_eq!((store.registrations().unwrap(), store.registered(&clash[0].attestation).unwrap()), (2, None));
    assert!(audited(&*store) > audited_before, "the second job's own moves");
    // In another study the patient counts anew.
    end(3, Committing, Done, &[registration_of(5, "b", 2)]).unwrap();
    assert_eq!((store.registrations().unwrap(), store.outbox_pending_of("evm", 9).unwrap().len()), (3, 3));
    let early = end(4, Running, Committing, &[registration_of(6, "b", 9)]);
    assert!(matches!(early, Err(StoreError::Invalid { .. })));
    drop(store);
    assert_eq!(world.engine().registrations().unwrap(), 3);
}

fn anchors_are_found_by_digest_and_by_the_smallest_checkpoint_that_covers(world: &dyn World) {
    let store = world.engine();
    let anchor = |kind, number, size, block| Anchor {
        chain_id: 1,
        contract: "0x11".into(),
        kind,
        digest: digest(number),
        size,
        block,
        transaction: None,
        at_ms: block,
    };
    let commitment = anchor(AnchorKind::Commitment, 7, 0, 10);
    let checkpoints = [3, 9, 20].map(|size| anchor(AnchorKind::Checkpoint, 100 + size, size, 20 + size));
    for anchor in checkpoints.iter().chain([&commitment, &commitment]) {
        store.put_anchor(anchor).unwrap();
    }
    let other = Anchor { chain_id: 2, size: 50, ..checkpoints[2].clone() };
    store.put_anchor(&other).unwrap();
    let found = store.anchors_of(&digest(7), 5).unwrap();
    assert_eq!(found, [checkpoints[1].clone(), commitment.clone(), other.clone()]);
    assert_eq!(store.anchors_of(&digest(8), 30).unwrap(), std::slice::from_ref(&other));
    assert_eq!(store.latest_anchors(1).unwrap(), [other]);
    // Found deeper, or sent after all: the newer facts.
    let sent = Anchor { block: 11, transaction: Some(digest(1)), ..commitment.clone() };
    store.put_anchor(&sent).unwrap();
    store.put_anchor(&Anchor { block: 12, ..commitment }).unwrap();
    let kept = store.anchors_of(&digest(7), 99).unwrap();
    assert_eq!((kept[0].block, kept[0].transaction), (12, Some(digest(1))));
}

fn arguments_that_do_not_fit_are_refused(world: &dyn World) {
    let store = world.engine();
    let lease = at(&*store, 1, Committing);
    let (event_, audit_, message_, conclusion, leaf) =
        (step("x"), event("x"), message("x"), done(), digest(1));
    let base = Transition {
        lease: &lease,
        from: Committing,
        to: Done,
        event: &event_,
        audit: &audit_,
        message: &message_,
        conclusion: Some(&conclusion),
        commitment: Some(&leaf),
        registrations: &[],
    };
    let bad = [
        Transition { conclusion: None, ..base.clone() },
        Transition { to: Failed, ..base.clone() },
        Transition { from: Waiting, to: Running, commitment: None, ..base.clone() },
        Transition { to: Cancelled, commitment: None, ..base.clone() },
    ];
    for transition in &bad {
        assert!(matches!(store.transition(transition), Err(StoreError::Invalid { .. })));
    }
    let other = Part {
        job: JobId::new(1, [0; 10]),
        party: "north".into(),
        step: "s".into(),
        attempt: 1,
        digest: leaf,
        blob: leaf,
        header: vec![],
    };
    assert!(matches!(store.put_part(&lease, &other), Err(StoreError::Invalid { .. })));
    store.transition(&base).unwrap();
}

fn cancelled_job_refuses_its_worker(world: &dyn World) {
    let store = world.engine();
    let lease = at(&*store, 1, Running);
    store.cancel(&lease.job, &step("cancel"), &event("job.cancel"), &message("job")).unwrap();
    let refused = go(&*store, &lease, Running, Committing);
    assert!(matches!(refused, Err(StoreError::StaleFence { .. })));
    let found = store.job(&lease.job).unwrap().unwrap().summary;
    assert_eq!(found.state, Cancelled);
    assert_eq!(found.conclusion.unwrap().code, "job.cancelled");
    assert_eq!(audited(&*store), 4);
    assert_eq!(store.outbox_pending(9).unwrap().len(), 4);
}

fn finished_job_is_not_cancelled(world: &dyn World) {
    let store = world.engine();
    let lease = at(&*store, 1, Done);
    let cancel = |id: &JobId| store.cancel(id, &step("c"), &event("c"), &message("c"));
    assert!(matches!(cancel(&lease.job), Err(StoreError::IllegalMove { actual: Done, .. })));
    assert_eq!(state(&*store, &lease.job), Done);
    assert!(matches!(cancel(&JobId::new(0, [0; 10])), Err(StoreError::NotFound { .. })));
}

fn parts_are_kept_once(world: &dyn World) {
    let store = world.engine();
    let lease = at(&*store, 1, Running);
    let part = |party: &str, number| Part {
        job: lease.job.clone(),
        party: party.into(),
        step: "contribution".into(),
        attempt: 1,
        digest: digest(number),
        blob: digest(number + 100),
        header: vec![1, 2, 3],
    };
    assert_eq!(store.put_part(&lease, &part("south", 1)).unwrap(), PutPart::Stored);
    assert_eq!(store.put_part(&lease, &part("south", 1)).unwrap(), PutPart::Existing);
    assert_eq!(store.put_part(&lease, &part("north", 2)).unwrap(), PutPart::Stored);
    let refused = store.put_part(&lease, &part("south", 3));
    assert!(matches!(refused, Err(StoreError::Conflict { what: "part", .. })));
    assert_eq!(store.parts(&lease.job).unwrap(), [part("north", 2), part("south", 1)]);
}

fn jobs_are_listed_newest_first_by_page_and_owner(world: &dyn World) {
    let store = world.engine();
    let ids: Vec<JobId> = (0..7).map(|n| submit(&*store, n).id).collect();
    let list =
        |filter: &JobFilter| store.jobs(filter).unwrap().into_iter().map(|job| job.id).collect::<Vec<_>>();
    let first = list(&JobFilter { limit: 4, ..JobFilter::default() });
    assert_eq!(first, [&ids[6], &ids[5], &ids[4], &ids[3]].map(Clone::clone));
    let rest = list(&JobFilter { before: first.last().cloned(), ..JobFilter::default() });
    assert_eq!(rest, [&ids[2], &ids[1], &ids[0]].map(Clone::clone));
    let mine = list(&JobFilter { owner: Some("owner-1".into()), ..JobFilter::default() });
    assert_eq!(mine, [&ids[5], &ids[3], &ids[1]].map(Clone::clone));
    let running = list(&JobFilter { state: Some(Running), ..JobFilter::default() });
    assert!(running.is_empty());
}

fn result_is_found_by_its_key(world: &dyn World) {
    let store = world.engine();
    let key = new_job(1).result_key.unwrap();
    let lease = at(&*store, 1, Committing);
    assert!(store.find_result(&key).unwrap().is_none(), "not done yet");
    go(&*store, &lease, Committing, Done).unwrap();
    assert_eq!(store.find_result(&key).unwrap().unwrap().id, lease.job);
    assert!(store.find_result(&digest(5)).unwrap().is_none());
}

fn receipt_belongs_to_a_job_that_is_done(world: &dyn World) {
    let store = world.engine();
    let lease = at(&*store, 1, Committing);
    assert!(matches!(store.put_receipt(&lease.job, "{}"), Err(StoreError::Conflict { .. })));
    go(&*store, &lease, Committing, Done).unwrap();
    assert_eq!(store.receipt(&lease.job).unwrap(), None);
    store.put_receipt(&lease.job, "{}").unwrap();
    store.put_receipt(&lease.job, "{\"more\":1}").unwrap();
    assert_eq!(store.receipt(&lease.job).unwrap().unwrap(), "{\"more\":1}");
}

fn progress_is_numbered_and_paged(world: &dyn World) {
    let store = world.engine();
    let lease = at(&*store, 1, Running);
    for number in 4..10 {
        assert_eq!(store.progress(&lease, &step("aggregate")).unwrap(), number);
    }
    let page = store.events(&lease.job, 3, 2).unwrap();
    assert_eq!(page.iter().map(|row| row.seq).collect::<Vec<_>>(), [4, 5]);
    assert_eq!((page[0].state, &page[0].event), (Running, &step("aggregate")));
}

struct Enrolment {
    token: Token,
    member: MemberRecord,
    identity: Identity,
}

fn enrolment(name: &str) -> Enrolment {
    let ca = CertificateAuthority::create("c", 1_000).unwrap().certificate().clone();
    let identity = Identity::generate().unwrap();
    let member = MemberRecord {
        name: name.into(),
        role: Role::Hospital,
        key: identity.public(),
        certificate: vec![1],
        enrolled_ms: 50,
        revoked_ms: None,
        by_token: false,
    };
    let token = Token::create("https://e", Role::Hospital, name, 100, ca).unwrap();
    Enrolment { token, member, identity }
}

fn add_token(store: &dyn Store, token: &Token) {
    let record = TokenRecord {
        hash: token.hash(),
        role: token.role,
        name: token.name.clone(),
        created_ms: 1,
        expires_ms: token.expires_ms,
    };
    store.add_token(&record, &event("token.create")).unwrap();
}

fn enrol(store: &dyn Store, e: &Enrolment) -> Result<(), StoreError> {
    store.enrol(&e.token.claim(e.member.key), &e.member, &event("member.enrol"))
}

fn token_enrols_once(world: &dyn World) {
    let store = world.engine();
    let first = enrolment("north");
    // Two tokens are open under the name; the right one is used up.
    add_token(&*store, &enrolment("north").token);
    add_token(&*store, &first.token);
    enrol(&*store, &first).unwrap();
    assert_eq!(store.member("north").unwrap().unwrap(), first.member);
    store.revoke("north", 60, &event("member.revoke")).unwrap();
    let key = Identity::generate().unwrap().public();
    let again = Enrolment { member: MemberRecord { key, ..first.member }, ..first };
    assert!(matches!(enrol(&*store, &again), Err(StoreError::Token { .. })));
    assert_eq!(audited(&*store), 4);
}

fn token_of_another_secret_name_role_or_time_is_refused(world: &dyn World) {
    let store = world.engine();
    let good = enrolment("north");
    add_token(&*store, &good.token);
    assert!(matches!(enrol(&*store, &enrolment("north")), Err(StoreError::Token { .. })));
    assert!(matches!(enrol(&*store, &enrolment("south")), Err(StoreError::Token { .. })));
    let late = MemberRecord { enrolled_ms: 101, ..good.member.clone() };
    let claim = good.token.claim(good.identity.public());
    assert!(matches!(store.enrol(&claim, &late, &event("e")), Err(StoreError::Token { .. })));
    let role = MemberRecord { role: Role::Operator, ..good.member.clone() };
    assert!(matches!(store.enrol(&claim, &role, &event("e")), Err(StoreError::Invalid { .. })));
    assert!(store.members().unwrap().is_empty());
    enrol(&*store, &good).unwrap();
}

fn enrolled_name_and_key_are_not_taken(world: &dyn World) {
    let store = world.engine();
    let (first, second, third) = (enrolment("north"), enrolment("north"), enrolment("south"));
    [&first, &second, &third].iter().for_each(|e| add_token(&*store, &e.token));
    enrol(&*store, &first).unwrap();
    assert!(matches!(enrol(&*store, &second), Err(StoreError::Conflict { .. })));
    let stolen = Enrolment { member: MemberRecord { key: first.member.key, ..third.member }, ..third };
    assert!(matches!(enrol(&*store, &stolen), Err(StoreError::Conflict { .. })));
    assert_eq!(store.members().unwrap(), [first.member]);
}

fn revoked_member_enrols_again_under_a_new_key(world: &dyn World) {
    let store = world.engine();
    let (first, second) = (enrolment("north"), enrolment("north"));
    add_token(&*store, &first.token);
    add_token(&*store, &second.token);
    enrol(&*store, &first).unwrap();
    store.revoke("north", 60, &event("member.revoke")).unwrap();
    assert_eq!(store.member("north").unwrap().unwrap().revoked_ms, Some(60));
    let gone = store.revoke("north", 61, &event("member.revoke"));
    assert!(matches!(gone, Err(StoreError::NotFound { .. })));
    enrol(&*store, &second).unwrap();
    assert_eq!(store.member("north").unwrap().unwrap(), second.member);
    let key = first.member.key;
    let renewed = store.renew_certificate("north", key.as_bytes(), &[9], &event("r"));
    assert!(matches!(renewed, Err(StoreError::NotFound { .. })), "the old key renews nothing");
    store.renew_certificate("north", second.member.key.as_bytes(), &[9], &event("r")).unwrap();
    assert_eq!(store.member("north").unwrap().unwrap().certificate, [9]);
}

fn publication_grows_a_version_when_it_changes(world: &dyn World) {
    let store = world.engine();
    let publish = |name: &str, json: &str| store.publish(name, json, 7, &event("publish"));
    assert!(matches!(publish("north", "{}"), Err(StoreError::NotFound { .. })));
    for name in ["north", "south"] {
        let e = enrolment(name);
        add_token(&*store, &e.token);
        enrol(&*store, &e).unwrap();
    }
    assert_eq!(publish("south", "{}").unwrap(), 1);
    assert_eq!(publish("north", "{}").unwrap(), 1);
    assert_eq!(publish("north", "{}").unwrap(), 1);
    assert_eq!(publish("north", "{\"a\":1}").unwrap(), 2);
    let names =
        |list: Vec<PublicationRecord>| list.into_iter().map(|p| (p.hospital, p.version)).collect::<Vec<_>>();
    let both = [("north".to_owned(), 2), ("south".to_owned(), 1)];
    assert_eq!(names(store.publications().unwrap()), both);
    store.revoke("north", 9, &event("member.revoke")).unwrap();
    assert_eq!(names(store.publications().unwrap()), both[1..]);
}

fn one_epoch_is_active(world: &dyn World) {
    let store = world.engine();
    let epoch = |id: &str, state| Epoch {
        id: id.into(),
        params: "{}".into(),
        participants: vec!["north".into(), "south".into()],
        threshold: 2,
        public_key: (state == EpochState::Active).then(|| digest(1)),
        transcript: None,
        state,
        at_ms: 3,
    };
    for id in ["e1", "e2"] {
        store.add_epoch(&epoch(id, EpochState::Ceremony), &event("epoch.add")).unwrap();
    }
    let again = store.add_epoch(&epoch("e1", EpochState::Ceremony), &event("epoch.add"));
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    assert!(store.active_epoch().unwrap().is_none());
    let activate = |id| store.update_epoch(EpochState::Ceremony, &epoch(id, EpochState::Active), &event("x"));
    activate("e1").unwrap();
    assert_eq!(store.active_epoch().unwrap().unwrap(), epoch("e1", EpochState::Active));
    assert!(matches!(activate("e1"), Err(StoreError::Conflict { .. })));
    assert!(matches!(activate("e9"), Err(StoreError::Conflict { .. })));
    assert_eq!(store.active_epoch().unwrap().unwrap().id, "e1", "a refusal retires nobody");
    activate("e2").unwrap();
    assert_eq!(store.epoch("e1").unwrap().unwrap().state, EpochState::Retired);
    assert_eq!(store.active_epoch().unwrap().unwrap().id, "e2");
    let back = store.update_epoch(EpochState::Retired, &epoch("e1", EpochState::Active), &event("x"));
    assert!(matches!(back, Err(StoreError::Invalid { .. })));
}

fn ledger_grows_and_proves(world: &dyn World) {
    let log = EmbeddedLedger::new(world.engine(), signer(), "oncology");
    let head = || ledger::Checkpoint::parse(log.checkpoint().unwrap().text()).unwrap().head;
    assert_eq!((head().size, head().root), (0, merkle::empty_root()));
    let mut old = head();
    for number in 0..300 {
        assert_eq!(log.append(&digest(number)).unwrap(), number);
        if number % 37 == 0 {
            let new = head();
            let proof = log.consistency(old.size, new.size).unwrap();
            merkle::verify_consistency(&old, &new, &proof).unwrap();
            let leaf = merkle::leaf_hash(&digest(number / 2).0);
            let proof = log.inclusion(number / 2, new.size).unwrap();
            merkle::verify_inclusion(&leaf, number / 2, new.size, &proof, &new.root).unwrap();
            old = new;
        }
    }
    assert_eq!(log.append(&digest(5)).unwrap(), 5, "an entry is appended once");
    assert!(matches!(log.inclusion(0, 301), Err(LedgerError::Range { .. })));
    assert!(matches!(log.consistency(1, 301), Err(LedgerError::Range { .. })));
    let tile = |path: &str| log.tile(&Tile::parse(path).unwrap());
    let full = tile("tile/0/000").unwrap();
    assert_eq!((full.len(), &full[..32]), (8192, &merkle::leaf_hash(&digest(0).0).0[..]));
    assert_eq!(tile("tile/0/001.p/44").unwrap().len(), 44 * 32);
    let tree = tile("tile/1/000.p/1").unwrap();
    let proof = log.consistency(256, 300).unwrap();
    let whole = TreeHeadOf { size: 256, root: &tree };
    merkle::verify_consistency(&whole.head(), &head(), &proof).unwrap();
    let entries = log.tile(&Tile { kind: TileKind::Entries, index: 1, width: 2 }).unwrap();
    assert_eq!(entries, [&[0, 32], &digest(256).0[..], &[0, 32], &digest(257).0[..]].concat());
    for absent in ["tile/0/001.p/45", "tile/0/001", "tile/1/000.p/2", "tile/7/999"] {
        assert!(matches!(tile(absent), Err(LedgerError::Tile { .. })), "{absent}");
    }
}

struct TreeHeadOf<'a> {
    size: u64,
    root: &'a [u8],
}

impl TreeHeadOf<'_> {
    fn head(&self) -> ledger::TreeHead {
        ledger::TreeHead { size: self.size, root: Digest::from_slice(self.root).unwrap() }
    }
}

fn checkpoint_of_the_same_size_is_replaced(world: &dyn World) {
    let store = world.engine();
    assert_eq!(store.latest_checkpoint().unwrap(), None);
    store.put_checkpoint(3, "three").unwrap();
    store.put_checkpoint(2, "two").unwrap();
    store.put_checkpoint(3, "three, cosigned").unwrap();
    assert_eq!(store.latest_checkpoint().unwrap(), Some((3, "three, cosigned".to_owned())));
}

fn meta_is_set_and_replaced(world: &dyn World) {
    let store = world.engine();
    assert_eq!(store.meta("a").unwrap(), None);
    store.set_meta("a", b"1").unwrap();
    store.set_meta("a", b"2").unwrap();
    assert_eq!(store.meta("a").unwrap().unwrap(), b"2");
}

fn everything_is_there_after_opening_again(world: &dyn World) {
    let store = world.engine();
    let lease = at(&*store, 1, Running);
    let before = store.job(&lease.job).unwrap();
    let events = store.events(&lease.job, 0, 100).unwrap();
    drop(store);
    let store = world.engine();
    assert_eq!(store.job(&lease.job).unwrap(), before);
    assert_eq!(store.events(&lease.job, 0, 100).unwrap(), events);
    go(&*store, &lease, Running, Committing).unwrap();
    assert_eq!(audited(&*store), 4);
}

fn audit_refuses_nothing_and_verifies(world: &dyn World) {
    let store = world.engine();
    for number in 1..=1_200 {
        assert_eq!(store.audit(&event("catalogue.read")).unwrap(), number);
    }
    assert_eq!(audited(&*store), 1_200, "beyond one page");
    assert_eq!(store.audit_events(1_198, 10).unwrap().len(), 2);
}

#[test]
fn async_callers_get_values_and_errors() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let store = SqliteWorld::new().engine();
    let lease = Lease { job: JobId::new(0, [0; 10]), fence: 1 };
    runtime.block_on(async {
        assert_eq!(blocking(&store, |s| s.log_size()).await.unwrap(), 0);
        let refused = blocking(&store, move |s| s.renew(&lease, 1)).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })));
    });
}

#[test]
fn job_ids_sort_by_time_and_parse_strictly() {
    let ids: Vec<JobId> =
        [0, 1, 255, 1_800_000_000_000, (1 << 48) - 1].iter().map(|t| JobId::new(*t, [0xff; 10])).collect();
    assert!(ids.is_sorted());
    assert_eq!(JobId::new(0, [0; 10]).as_str(), "0".repeat(26));
    for id in &ids {
        assert_eq!(&JobId::parse(id.as_str()).unwrap(), id);
    }
    for bad in ["", "0", &"u".repeat(26), &"8".repeat(26), &"A".repeat(26), &"0".repeat(27)] {
        assert!(JobId::parse(bad).is_err(), "{bad}");
    }
}
