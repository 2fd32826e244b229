//! Keys of patients' records: what is sealed under them, how they are wrapped anew, and how a patient is erased.

use std::path::Path;

use rusqlite::Connection;

use super::party::{consent, recorded};
use super::*;
use crate::consent::Pseudonym;
use crate::store::keys::Erased;
use crate::vault::{KeyName, KeyProvider as _};

pub(super) fn provider(folder: &Path) -> FileProvider {
    FileProvider::new(folder, Lock::Seal(SealKey::from_bytes(Zeroizing::new([1; 32]))))
}

fn name(patient: u8, class: &str) -> KeyName {
    KeyName::new(Pseudonym([patient; 32]), class).unwrap()
}

/// The files of a folder that hold these bytes.
pub(super) fn holding(folder: &Path, needle: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let holds = |path: &PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    };
    files.filter(holds).map(|path| path.display().to_string()).collect()
}

fn wrapped(folder: &Path, patient: u8) -> Vec<u8> {
    let connection = Connection::open(folder.join("party.db")).unwrap();
    let sql = "SELECT wrapped FROM data_keys WHERE pseudonym = ?";
    connection.query_row(sql, [[patient; 32]], |row| row.get(0)).unwrap()
}

#[test]
fn consents_are_in_no_file_in_the_clear() {
    let world = SqliteWorld::new();
    let store = world.party();
    let batch = [recorded(consent(1, None)), recorded(consent(2, None))];
    store.record_consents(&batch, &event("consent.import")).unwrap();
    for text in ["document 1", "HRESCH", "DUO:0000006", "asked"] {
        assert_eq!(holding(&world.path(), text.as_bytes()), Vec::<String>::new(), "{text}");
    }
    let found = store.consents_from("document 1").unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].artefact, batch[0].artefact);
    assert_eq!(store.consent_history(&found[0].artefact.id).unwrap()[0].reason, "asked");
    // Moved to another patient's row, a content does not open.
    let connection = Connection::open(world.path().join("party.db")).unwrap();
    connection
        .execute("UPDATE consents SET sealed = (SELECT sealed FROM consents WHERE number = 1)", [])
        .unwrap();
    assert!(store.consents_of(&Pseudonym([1; 32])).is_ok());
    assert_eq!(store.consents_of(&Pseudonym([2; 32])).unwrap_err().code(), "vault.value");
}

#[test]
fn an_erased_patient_is_in_no_file_and_others_stay() {
    let world = SqliteWorld::new();
    let store = world.party();
    let batch = [recorded(consent(1, None)), recorded(consent(2, None))];
    store.record_consents(&batch, &event("consent.import")).unwrap();
    let labs = store.data_keys(&[name(1, "labs"), name(2, "labs")]).unwrap();
    let (gone, change) = (Pseudonym([1; 32]), store.last_consent_change().unwrap());
    let keys = wrapped(&world.path(), 1);
    assert!(!holding(&world.path(), &keys).is_empty(), "the test looks in the right place");
    let signature = [7_u8; 64];
    assert!(!holding(&world.path(), &signature).is_empty());

    let Erased::Now { classes, consents, documents, is_log_empty, .. } =
        store.erase(&gone, &event("patient.erase")).unwrap()
    else {
        panic!("it was not erased before")
    };
    assert_eq!(
        (classes, consents, is_log_empty),
        (vec!["labs".to_owned(), "ward/consent".to_owned()], 1, true)
    );
    assert!(documents.is_empty());
    assert!(holding(&world.path(), &keys).is_empty(), "the wrapped key is in no file");
    assert_eq!(audited(&*store), 2);
    assert!(store.consents_of(&gone).unwrap().is_empty());
    assert!(store.known_key(&name(1, "labs")).unwrap().is_none());
    assert_eq!(store.consents(0, 10).unwrap().len(), 1);
    assert_eq!(store.consents_of(&Pseudonym([2; 32])).unwrap()[0].artefact, batch[1].artefact);
    assert!(store.known_key(&name(2, "labs")).unwrap().unwrap().key.ct_eq(&labs[1].key));
    // Who reads changes learns of it.
    assert_eq!(store.last_consent_change().unwrap(), change + 1);
    assert_eq!(store.erased_after(change).unwrap(), vec![(change + 1, gone)]);

    assert_eq!(
        store.erase(&gone, &event("patient.erase")).unwrap(),
        Erased::Before { at_ms: 1, is_log_empty: true }
    );
    let unknown = store.erase(&Pseudonym([3; 32]), &event("patient.erase")).unwrap_err();
    assert_eq!(unknown.code(), "store.not_found");
    assert_eq!(audited(&*store), 2);

    // Imported again, the patient has new keys and a history that nobody may delete.
    let again = store.data_keys(&[name(1, "labs")]).unwrap();
    assert!(!again[0].key.ct_eq(&labs[0].key) && again[0].number > labs[1].number);
    store.record_consents(&batch[..1], &event("consent.import")).unwrap();
    assert_eq!(store.consents_of(&gone).unwrap().len(), 1);
    let connection = Connection::open(world.path().join("party.db")).unwrap();
    assert!(connection.execute("DELETE FROM consent_changes", []).is_err());
    assert!(connection.execute("UPDATE consent_changes SET sealed = NULL", []).is_err());
}

#[test]
fn a_rotation_goes_on_where_it_was_interrupted_and_refuses_old_versions() {
    let world = SqliteWorld::new();
    let names: Vec<KeyName> = (0..20).map(|patient| name(patient, "labs")).collect();
    let keys = world.party().data_keys(&names).unwrap();
    let provider = provider(&world.path());
    assert_eq!(provider.rotate().unwrap(), 2);
    world.party().raise_kek_minimum(2, &event("keys.rotate")).unwrap();
    // The process died here. Old keys open, new ones are of the new version.
    let store = world.party();
    assert!(store.known_key(&names[0]).unwrap().unwrap().key.ct_eq(&keys[0].key));
    store.data_keys(&[name(1, "imaging")]).unwrap();
    assert_eq!(store.keys_by_version().unwrap(), [(1, 20), (2, 1)].into());
    assert_eq!(store.rewrap_keys().unwrap(), 20);
    assert_eq!(store.rewrap_keys().unwrap(), 0);
    provider.retire(2).unwrap();
    let opened = store.data_keys(&names).unwrap();
    assert!(
        opened
            .iter()
            .zip(&keys)
            .all(|(opened, key)| opened.key.ct_eq(&key.key) && opened.number == key.number)
    );
    assert!(store.raise_kek_minimum(1, &event("keys.rotate")).is_err());
}

#[test]
fn a_key_wrapped_before_a_rotation_is_not_kept_after_it() {
    let world = SqliteWorld::new();
    let store = world.party();
    store.raise_kek_minimum(2, &event("keys.rotate")).unwrap();
    let refused = store.data_keys(&[name(1, "labs")]).err().unwrap();
    assert!(matches!(refused, StoreError::Database { retry: true, .. }), "{refused:?}");
}

#[test]
fn of_many_callers_one_makes_the_key_and_all_get_it() {
    let world = SqliteWorld::new();
    let keys: Vec<_> = std::thread::scope(|scope| {
        let made: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| world.party().data_keys(&[name(1, "labs")]).unwrap().remove(0)))
            .collect();
        made.into_iter().map(|made| made.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|keyed| keyed.number == keys[0].number && keyed.key.ct_eq(&keys[0].key)));
}

#[test]
fn what_an_older_version_kept_in_the_clear_is_sealed_on_opening() {
    let world = SqliteWorld::new();
    let artefact = consent(4, Some(100));
    let connection = Connection::open(world.path().join("party.db")).unwrap();
    for migration in [
        include_str!("../migrations/party/0001.sql"),
        include_str!("../migrations/party/0002.sql"),
        include_str!("../migrations/party/0003.sql"),
        include_str!("../migrations/party/0004.sql"),
    ] {
        connection.execute_batch(migration).unwrap();
    }
    connection.execute_batch("PRAGMA application_id = 1463898704; PRAGMA user_version = 4").unwrap();
    connection
        .execute(
            "INSERT INTO consents (id, pseudonym, source, rule, from_ms, until_ms, provenance, status, version,
             changed_ms, signature) VALUES (?, ?, ?, ?, NULL, 100, ?, 'granted', 1, 5, ?)",
            rusqlite::params![
                artefact.id,
                [4_u8; 32],
                artefact.provenance.source,
                serde_json::to_string(&artefact.rule).unwrap(),
                serde_json::to_string(&artefact.provenance).unwrap(),
                [7_u8; 64]
            ],
        )
        .unwrap();
    connection
        .execute(
            "INSERT INTO consent_changes (number, version, status, at_ms, reason, signature)
             VALUES (1, 1, 'granted', 5, 'by telephone', ?)",
            [[7_u8; 64]],
        )
        .unwrap();
    drop(connection);
    for _ in 0..2 {
        let store = world.party();
        assert_eq!(store.consents_from("document 4").unwrap()[0].artefact, artefact);
        assert_eq!(store.consent_history(&artefact.id).unwrap()[0].reason, "by telephone");
        for text in ["document 4", "by telephone", "DUO:0000006"] {
            assert_eq!(holding(&world.path(), text.as_bytes()), Vec::<String>::new(), "{text}");
        }
    }
}
