use proptest::prelude::*;

use super::*;
use crate::identity::Identity;

const SALT: Salt = Salt([7; SALT_BYTES]);

fn event(action: &str, at_ms: u64) -> Event {
    Event {
        actor: "north".into(),
        role: "hospital".into(),
        action: action.into(),
        subject: "job:1".into(),
        outcome: Outcome::Success,
        detail: "a public fact".into(),
        at_ms,
        context: Context::default(),
    }
}

fn chain(signer: &Identity, count: u64) -> Vec<Sealed> {
    let mut events: Vec<Sealed> = Vec::new();
    for at_ms in 0..count {
        let prev = events.last().map(|sealed| (sealed.seq, sealed.hash));
        events.push(seal(prev, event("share.send", at_ms), SALT, signer));
    }
    events
}

fn verify(events: &[Sealed], signer: &Identity) -> Result<Verified, AuditError> {
    verify_chain(events.iter().cloned().map(Ok), &signer.public())
}

fn signer() -> Identity {
    Identity::from_seed(&[1; 32])
}

#[test]
fn first_event_has_the_known_hash() {
    // Computed apart, by a script that follows the description: a change of the canonical bytes would make every old chain unverifiable.
    let sealed = seal(None, event("share.send", 0), SALT, &signer());
    let expected = "4058942bdf22d404adf9e4126e50a9a91b7deccda54d8d49ff710a0b007ec068";
    assert_eq!(sealed.hash.to_string(), expected);
}

#[test]
fn whole_chain_verifies_to_its_head() {
    let events = chain(&signer(), 5);
    let verified = verify(&events, &signer()).unwrap();
    assert_eq!(verified, Verified { count: 5, head: events[4].hash });
    let empty = verify(&[], &signer()).unwrap();
    assert_eq!(empty, Verified { count: 0, head: genesis(&signer().public()) });
}

#[test]
fn removed_swapped_or_repeated_events_are_noticed() {
    let events = chain(&signer(), 4);
    for at in 0..3 {
        let mut removed = events.clone();
        removed.remove(at);
        let expected = at as u64 + 1;
        assert!(
            matches!(verify(&removed, &signer()), Err(AuditError::Gap { expected: e, .. }) if e == expected)
        );
    }
    let mut swapped = events.clone();
    swapped.swap(1, 2);
    assert!(matches!(verify(&swapped, &signer()), Err(AuditError::Gap { expected: 2, found: 3 })));
    let mut repeated = events.clone();
    repeated.insert(2, events[1].clone());
    assert!(matches!(verify(&repeated, &signer()), Err(AuditError::Gap { expected: 3, found: 2 })));
}

#[test]
fn chain_cut_short_shows_against_a_remembered_head() {
    let events = chain(&signer(), 4);
    let whole = verify(&events, &signer()).unwrap();
    assert_ne!(verify(&events[..3], &signer()).unwrap(), whole);
}

#[test]
fn event_rewritten_with_its_hash_breaks_the_next_or_the_signature() {
    let mut events = chain(&signer(), 3);
    let other = Identity::from_seed(&[2; 32]);
    let prev = Some((events[0].seq, events[0].hash));
    events[1] = seal(prev, event("share.withhold", 1), SALT, &other);
    assert!(matches!(verify(&events, &signer()), Err(AuditError::Signature { seq: 2 })));
    events[1] = seal(prev, event("share.withhold", 1), SALT, &signer());
    assert!(matches!(verify(&events, &signer()), Err(AuditError::Broken { seq: 3, .. })));
}

#[test]
fn chain_of_another_key_is_refused() {
    let other = Identity::from_seed(&[2; 32]);
    assert!(matches!(verify(&chain(&other, 2), &signer()), Err(AuditError::Broken { seq: 1, .. })));
}

fn of(sealed: &mut Sealed) -> &mut Event {
    match &mut sealed.entry {
        Entry::Whole { event, .. } => event,
        Entry::Redacted(_) => panic!("it is whole"),
    }
}

#[test]
fn every_changed_field_is_noticed() {
    let events = chain(&signer(), 3);
    let changes: [fn(&mut Sealed); 20] = [
        |s| s.seq += 1,
        |s| of(s).actor.push('x'),
        |s| of(s).role.push('x'),
        |s| of(s).action.push('x'),
        |s| of(s).subject.push('x'),
        |s| of(s).outcome = Outcome::Refused,
        |s| of(s).detail.clear(),
        |s| of(s).at_ms += 1,
        |s| of(s).context.organisation.push('x'),
        |s| of(s).context.patient.push('x'),
        |s| of(s).context.cohort.push('x'),
        |s| of(s).context.data_class.push('x'),
        |s| of(s).context.study.push('x'),
        |s| of(s).context.recipient.push('x'),
        |s| of(s).context.source.push('x'),
        |s| of(s).context.trace.push('x'),
        |s| of(s).context.purpose.push("DUO:1".into()),
        |s| s.prev_hash.0[0] ^= 1,
        |s| s.hash.0[31] ^= 1,
        |s| s.signature.0[40] ^= 1,
    ];
    for (number, change) in changes.iter().enumerate() {
        for at in 0..events.len() {
            let mut changed = events.clone();
            change(&mut changed[at]);
            assert!(verify(&changed, &signer()).is_err(), "change {number} of event {at}");
        }
    }
}

#[test]
fn text_moved_between_fields_is_noticed() {
    let mut events = chain(&signer(), 1);
    of(&mut events[0]).role = "hospitals".into();
    of(&mut events[0]).action = "hare.send".into();
    assert!(matches!(verify(&events, &signer()), Err(AuditError::Changed { seq: 1 })));
}

fn exported(count: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let written = write_lines(chain(&signer(), count).into_iter().map(Ok), &mut out).unwrap();
    assert_eq!(written, count);
    out
}

#[test]
fn exported_lines_verify_offline() {
    let verified = verify_lines(&exported(20)[..], &signer().public()).unwrap();
    assert_eq!(verified.count, 20);
}

#[test]
fn export_cut_in_a_line_or_with_unknown_fields_is_refused() {
    let out = exported(2);
    let cut = verify_lines(&out[..out.len() - 1], &signer().public());
    assert!(matches!(cut, Err(AuditError::Unreadable { seq: 2, .. })));
    let text = String::from_utf8(out).unwrap().replacen("{\"seq\":1", "{\"note\":1,\"seq\":1", 1);
    let unknown = verify_lines(text.as_bytes(), &signer().public());
    assert!(matches!(unknown, Err(AuditError::Unreadable { seq: 1, .. })));
}

#[test]
fn line_without_end_is_not_read_without_end() {
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let refused = verify_lines(endless, &signer().public());
    assert!(matches!(refused, Err(AuditError::Unreadable { seq: 1, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn changed_byte_of_an_export_never_verifies_as_something_else(
        at in any::<prop::sample::Index>(),
        byte in 0x20..0x7fu8,
    ) {
        let mut out = exported(3);
        let whole = verify_lines(&out[..], &signer().public()).unwrap();
        let at = at.index(out.len());
        prop_assume!(out[at] != byte && out[at] != b'\n');
        out[at] = byte;
        // White space between tokens is all that may change.
        if let Ok(verified) = verify_lines(&out[..], &signer().public()) {
            prop_assert_eq!(byte, b' ');
            prop_assert_eq!(verified, whole);
        }
    }

    #[test]
    fn random_lines_are_refused(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        prop_assert!(verify_lines(&bytes[..], &signer().public()).is_err());
    }

    #[test]
    fn any_text_in_an_event_survives_export(detail in ".{0,60}", actor in ".{0,20}") {
        let event = Event { detail, actor, ..event("a.b", 7) };
        let sealed = seal(None, event, SALT, &signer());
        let mut out = Vec::new();
        write_lines([Ok(sealed)], &mut out).unwrap();
        prop_assert_eq!(verify_lines(&out[..], &signer().public()).unwrap().count, 1);
    }
}

#[test]
fn redacted_events_verify_and_say_nothing_of_who_and_whom() {
    let mut events = chain(&signer(), 4);
    let whole = verify(&events, &signer()).unwrap();
    events[1] = events[1].redacted();
    events[3] = events[3].redacted();
    assert_eq!(verify(&events, &signer()).unwrap(), whole);
    assert!(!serde_json::to_string(&events[1]).unwrap().contains("north"));
    assert_eq!(events[1].redacted(), events[1]);
}

#[test]
fn redacted_event_cannot_be_changed() {
    let changes: [fn(&mut Stub); 4] = [
        |stub| stub.action.push('x'),
        |stub| stub.outcome = Outcome::Failure,
        |stub| stub.at_ms += 1,
        |stub| stub.payload.0[0] ^= 1,
    ];
    for change in changes {
        let mut events = chain(&signer(), 2);
        events[0] = events[0].redacted();
        let Entry::Redacted(stub) = &mut events[0].entry else { panic!("it is redacted") };
        change(stub);
        assert!(matches!(verify(&events, &signer()), Err(AuditError::Changed { seq: 1 })));
    }
}

#[test]
fn same_event_has_another_payload_digest_under_another_salt() {
    let event = event("a.b", 1);
    assert_ne!(event.payload(&Salt([1; SALT_BYTES])), event.payload(&Salt([2; SALT_BYTES])));
}

#[test]
fn search_finds_by_each_field_and_by_the_thing_of_an_action() {
    let about = Context {
        patient: "p1".into(),
        purpose: vec!["DUO:0000042".into()],
        study: "s".into(),
        recipient: "curie".into(),
        ..Context::default()
    };
    let sealed = seal(None, event("consent.revoke", 10).within(about), SALT, &signer());
    let text = |value: &str| Some(value.to_owned());
    let found = [
        Filter { actor: text("north"), ..Filter::default() },
        Filter { patient: text("p1"), since_ms: 10, until_ms: Some(10), ..Filter::default() },
        Filter { purpose: text("DUO:0000042"), ..Filter::default() },
        Filter { study: text("s"), subject: text("job:1"), ..Filter::default() },
        Filter { action: text("consent"), outcome: Some(Outcome::Success), ..Filter::default() },
        Filter { action: text("consent.revoke"), ..Filter::default() },
        Filter { recipient: text("curie"), ..Filter::default() },
    ];
    assert!(found.iter().all(|filter| filter.matches(&sealed)));
    let missed = [
        Filter { actor: text("south"), ..Filter::default() },
        Filter { recipient: text("north"), ..Filter::default() },
        Filter { patient: text("p2"), ..Filter::default() },
        Filter { purpose: text("DUO:0000004"), ..Filter::default() },
        Filter { since_ms: 11, ..Filter::default() },
        Filter { until_ms: Some(9), ..Filter::default() },
        Filter { action: text("con"), ..Filter::default() },
        Filter { outcome: Some(Outcome::Refused), ..Filter::default() },
        Filter { is_urgent: true, ..Filter::default() },
    ];
    assert!(missed.iter().all(|filter| !filter.matches(&sealed)));
    assert!(!found[0].matches(&sealed.redacted()));
    assert!(found[4].matches(&sealed.redacted()));
}
