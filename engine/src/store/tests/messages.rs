//! What messages said, under keys of their patients: sealed, updated, gone with them; and what older versions kept.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use zeroize::Zeroizing;

use super::keys::{holding, provider};
use super::*;
use crate::consent::Pseudonym;
use crate::identity::SealKey;
use crate::records::hl7::{Change, Fields};
use crate::store::keys::{Erased, Keyed};
use crate::store::messages::{MESSAGE_CLASS, MESSAGE_DIGEST};
use crate::vault::KeyName;

fn fields(value: &str) -> Fields {
    [("value".to_owned(), Some(value.to_owned()))].into()
}

/// A message about patients, each with an item: its number, fields and class.
fn message(store: &dyn PartyStore, id: &str, of: &[(u8, &str, &str)]) -> NewMessage {
    let name = |patient: u8, class: &str| KeyName::new(Pseudonym([patient; 32]), class).unwrap();
    let mut names: Vec<KeyName> = of.iter().map(|(patient, ..)| name(*patient, MESSAGE_CLASS)).collect();
    let patients = names.len();
    let mut items = Vec::new();
    for (patient, value, class) in of {
        let wanted = name(*patient, class);
        let data_key = names.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            names.push(wanted);
            names.len() - 1
        });
        items.push(NewItem {
            kind: "observation",
            key: digest((*patient).into()),
            patient: Digest([*patient; 32]),
            data_key,
            change: Change::Update,
            fields: fields(value),
        });
    }
    let keys = store.data_keys(&names).unwrap();
    let blind = |before: Digest, key: &Keyed| key.key.blind(MESSAGE_DIGEST, &before.0);
    let digest = keys.iter().take(patients).fold(Digest::of(id.as_bytes()), blind);
    let (sender, kind) = ("HIS@GENERAL".to_owned(), "ORU^R01".to_owned());
    let (control_id, sent_us) = (id.to_owned(), 5);
    NewMessage { sender, control_id, digest, kind, sent_us, at_ms: 7, keys, patients, items }
}

fn keep(store: &dyn PartyStore, id: &str, of: &[(u8, &str, &str)]) -> Result<Kept, StoreError> {
    let message = message(store, id, of);
    let events: Vec<Event> = of.iter().map(|_| event("records.message")).collect();
    store.keep_message(&message, &events)
}

fn kept(folder: &Path) -> Vec<Fields> {
    let snapshot = MessageSnapshot::open(folder, Arc::new(provider(folder))).unwrap();
    let items = snapshot.items("observation", &Digest([0; 32])).unwrap();
    items.into_iter().map(|(_, fields)| fields).collect()
}

#[test]
fn what_messages_say_is_sealed_for_its_patient_and_gone_with_them() {
    let world = SqliteWorld::new();
    let store = world.party();
    assert_eq!(keep(&*store, "control-1", &[(1, "4.1 secret", "labs")]).unwrap(), Kept::New);
    assert_eq!(keep(&*store, "control-1", &[(1, "4.1 secret", "labs")]).unwrap(), Kept::Before);
    assert_eq!(keep(&*store, "control-2", &[(2, "5.2 secret", MESSAGE_CLASS)]).unwrap(), Kept::New);
    assert_eq!(audited(&*store), 2);
    assert!(holding(&world.path(), b"4.1 secret").is_empty());
    assert!(holding(&world.path(), &Digest::of(b"control-1").0).is_empty(), "no plain digest");
    let classes: Vec<_> =
        store.keys_of(&Pseudonym([1; 32])).unwrap().into_iter().map(|key| key.class).collect();
    assert_eq!(classes, ["labs", MESSAGE_CLASS]);
    // Another class from now on: what is known is carried over.
    let mut other = message(&*store, "control-3", &[(1, "unused", MESSAGE_CLASS)]);
    other.items[0].fields = [("unit".to_owned(), Some("mmol/L".to_owned()))].into();
    store.keep_message(&other, &[event("records.message")]).unwrap();
    let mut items = kept(&world.path());
    items.sort_by_key(Fields::len);
    assert_eq!(items[1].len(), 2);

    let known = message(&*store, "control-1", &[(1, "x", "labs")]).digest;
    assert!(!holding(&world.path(), &known.0).is_empty(), "the test looks in the right place");
    let erased = store.erase(&Pseudonym([1; 32]), &event("patient.erase")).unwrap();
    assert!(matches!(erased, Erased::Now { messages: 1, is_log_empty: true, .. }), "{erased:?}");
    for gone in [&known.0[..], b"control-1", b"control-3", &digest(1).0] {
        assert!(holding(&world.path(), gone).is_empty(), "{gone:?}");
    }
    assert_eq!(kept(&world.path()), [fields("5.2 secret")]);
    // The same message, under new keys, is a message of its own; keys from before write nothing.
    assert_eq!(keep(&*store, "control-1", &[(1, "4.1 secret", "labs")]).unwrap(), Kept::New);
    let late = message(&*store, "control-4", &[(1, "late", "labs")]);
    store.erase(&Pseudonym([1; 32]), &event("patient.erase")).unwrap();
    assert!(matches!(
        store.keep_message(&late, &[event("records.message")]),
        Err(StoreError::Database { retry: false, .. })
    ));
}

#[test]
fn of_a_message_about_two_patients_nothing_leads_to_the_erased_one() {
    let world = SqliteWorld::new();
    let store = world.party();
    keep(&*store, "control-1", &[(1, "one", MESSAGE_CLASS), (2, "two", MESSAGE_CLASS)]).unwrap();
    let known = message(&*store, "control-1", &[(1, "", MESSAGE_CLASS), (2, "", MESSAGE_CLASS)]).digest;
    assert!(!holding(&world.path(), &known.0).is_empty(), "the test looks in the right place");
    store.erase(&Pseudonym([1; 32]), &event("patient.erase")).unwrap();
    for gone in [&known.0[..], b"control-1"] {
        assert!(holding(&world.path(), gone).is_empty(), "{gone:?}");
    }
    assert_eq!(kept(&world.path()), [fields("two")]);
    store.erase(&Pseudonym([2; 32]), &event("patient.erase")).unwrap();
    assert_eq!(kept(&world.path()), []);
}

#[test]
fn an_item_that_becomes_another_patients_takes_nothing_along() {
    let world = SqliteWorld::new();
    let store = world.party();
    keep(&*store, "control-1", &[(1, "one", MESSAGE_CLASS)]).unwrap();
    let mut moved = message(&*store, "control-2", &[(2, "", MESSAGE_CLASS)]);
    moved.items[0].key = digest(1);
    moved.items[0].fields = [("unit".to_owned(), Some("mmol/L".to_owned()))].into();
    store.keep_message(&moved, &[event("records.message")]).unwrap();
    assert_eq!(kept(&world.path()), [Fields::from([("unit".to_owned(), Some("mmol/L".to_owned()))])]);
}

#[test]
fn what_an_older_version_kept_of_messages_is_put_under_keys_of_patients() {
    let world = SqliteWorld::new();
    drop(world.party());
    let connection = Connection::open(world.path().join("party.db")).unwrap();
    let row = format!("observation\n{}", digest(3));
    let place = crate::identity::SealContext { table: "hl7_items", row: &row, column: "fields" };
    let sealed = SealKey::from_bytes(Zeroizing::new([1; 32]))
        .seal(place, &serde_json::to_vec(&fields("3.3")).unwrap())
        .unwrap();
    let plain = [Digest::of(b"a message"), Digest::of(b"one that nothing is left of")];
    for (id, plain) in ["control-1", "control-2"].iter().zip(&plain) {
        let sql = "INSERT INTO hl7_messages (sender, control_id, digest, kind, at_ms) VALUES ('HIS', ?, ?, 'ORU^R01', 1)";
        connection.execute(sql, rusqlite::params![id, plain.0]).unwrap();
    }
    connection
        .execute(
            "INSERT INTO hl7_items (kind, key, patient, sent_us, message, fields) VALUES ('observation', ?, ?, 1, 1, ?)",
            rusqlite::params![digest(3).0, [3_u8; 32], sealed],
        )
        .unwrap();
    drop(connection);
    for _ in 0..2 {
        drop(world.party());
        assert_eq!(kept(&world.path()), [fields("3.3")]);
        for gone in [&plain[0].0[..], &plain[1].0, b"control-2", &sealed] {
            assert!(holding(&world.path(), gone).is_empty());
        }
    }
    // The message that is known is known again.
    let store = world.party();
    let keys = store.data_keys(&[KeyName::new(Pseudonym([3; 32]), MESSAGE_CLASS).unwrap()]).unwrap();
    assert!(!holding(&world.path(), &keys[0].key.blind(MESSAGE_DIGEST, &plain[0].0).0).is_empty());
}
