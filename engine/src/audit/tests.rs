use proptest::prelude::*;

use super::*;
use crate::identity::Identity;

fn event(action: &str, at_ms: u64) -> Event {
    Event {
        actor: "north".into(),
        role: "hospital".into(),
        action: action.into(),
        subject: "job:1".into(),
        outcome: Outcome::Success,
        detail: "a public fact".into(),
        at_ms,
    }
}

fn chain(signer: &Identity, count: u64) -> Vec<Sealed> {
    let mut events: Vec<Sealed> = Vec::new();
    for at_ms in 0..count {
        let prev = events.last().map(|sealed| (sealed.seq, sealed.hash));
        events.push(seal(prev, event("share.send", at_ms), signer));
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
    let sealed = seal(None, event("share.send", 0), &signer());
    let expected = "ec8eb50f5ef6c90d0c85b2ed62b99dc0707f8862f66a50e738f1aece878fe5e8";
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
    events[1] = seal(prev, event("share.withhold", 1), &other);
    assert!(matches!(verify(&events, &signer()), Err(AuditError::Signature { seq: 2 })));
    events[1] = seal(prev, event("share.withhold", 1), &signer());
    assert!(matches!(verify(&events, &signer()), Err(AuditError::Broken { seq: 3, .. })));
}

#[test]
fn chain_of_another_key_is_refused() {
    let other = Identity::from_seed(&[2; 32]);
    assert!(matches!(verify(&chain(&other, 2), &signer()), Err(AuditError::Broken { seq: 1, .. })));
}

#[test]
fn every_changed_field_is_noticed() {
    let events = chain(&signer(), 3);
    let changes: [fn(&mut Sealed); 11] = [
        |s| s.seq += 1,
        |s| s.event.actor.push('x'),
        |s| s.event.role.push('x'),
        |s| s.event.action.push('x'),
        |s| s.event.subject.push('x'),
        |s| s.event.outcome = Outcome::Refused,
        |s| s.event.detail.clear(),
        |s| s.event.at_ms += 1,
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
    events[0].event.role = "hospitals".into();
    events[0].event.action = "hare.send".into();
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
        let sealed = seal(None, event, &signer());
        let mut out = Vec::new();
        write_lines([Ok(sealed)], &mut out).unwrap();
        prop_assert_eq!(verify_lines(&out[..], &signer().public()).unwrap().count, 1);
    }
}
