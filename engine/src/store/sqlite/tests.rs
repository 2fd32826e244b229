//! What is SQLite's own: kinds and versions of databases, append-only tables, sealing on disk.

use super::*;
use crate::audit::{Context, Event, Filter};
use crate::store::tests::{SqliteWorld, World as _, audited, digest, event, open_party, signer};
use crate::store::{AuditLog as _, FLOOR_ROW, Log as _, Once, OnceKey, PartyStore as _};

fn raw(world: &SqliteWorld, file: &str) -> Connection {
    Connection::open(world.path().join(file)).unwrap()
}

#[test]
fn newer_database_is_refused_with_its_version() {
    let world = SqliteWorld::new();
    drop(world.engine());
    raw(&world, "engine.db").pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteStore::open(&world.path(), signer()).err().unwrap();
    let newest = ENGINE.migrations.len() as u32;
    assert!(matches!(refused, StoreError::Newer { found: 99, known } if known == newest), "{refused}");
    assert!(refused.hint().is_some());
}

#[test]
fn database_of_another_kind_is_refused() {
    let world = SqliteWorld::new();
    drop(world.party());
    std::fs::copy(world.path().join("party.db"), world.path().join("engine.db")).unwrap();
    let refused = SqliteStore::open(&world.path(), signer()).err().unwrap();
    assert!(matches!(refused, StoreError::WrongDatabase { .. }), "{refused}");
    let other = SqliteWorld::new();
    std::fs::write(other.path().join("engine.db"), b"this is a text and no database at all").unwrap();
    let refused = SqliteStore::open(&other.path(), signer()).err().unwrap();
    assert!(matches!(refused, StoreError::WrongDatabase { .. }), "{refused}");
    let foreign = SqliteWorld::new();
    raw(&foreign, "engine.db").execute_batch("CREATE TABLE t (x)").unwrap();
    let refused = SqliteStore::open(&foreign.path(), signer()).err().unwrap();
    assert!(matches!(refused, StoreError::WrongDatabase { .. }), "{refused}");
}

#[test]
fn a_new_database_is_opened_by_many_at_once() {
    for _ in 0..8 {
        let world = SqliteWorld::new();
        let opened = || SqliteStore::open(&world.path(), signer()).map(drop);
        let all: Vec<_> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..8).map(|_| scope.spawn(opened)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }
}

#[test]
fn transactions_are_synced_and_foreign_keys_hold() {
    let world = SqliteWorld::new();
    let store = SqliteStore::open(&world.path(), signer()).unwrap();
    let writer = lock(&store.database.writer);
    let pragma = |name: &str| writer.pragma_query_value(None, name, |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!((pragma("synchronous"), pragma("foreign_keys")), (2, 1));
    let mode: String = writer.pragma_query_value(None, "journal_mode", |r| r.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let orphan = "INSERT INTO receipts (job, json) VALUES ('nobody', '{}')";
    assert!(writer.execute(orphan, []).is_err());
}

#[test]
fn audit_log_and_once_tables_are_append_only() {
    let world = SqliteWorld::new();
    let (engine, party) = (world.engine(), world.party());
    engine.audit(&event("a")).unwrap();
    engine.log_append(&digest(1)).unwrap();
    let binding = digest(1);
    party.put_once(OnceKey { kind: "k", key: "c", binding: &binding }, b"v", &event("a")).unwrap();
    let cases = [
        ("engine.db", "DELETE FROM audit"),
        ("engine.db", "UPDATE audit SET event = '{}'"),
        ("engine.db", "DELETE FROM log_entries"),
        ("engine.db", "UPDATE log_nodes SET idx = 5"),
        ("party.db", "DELETE FROM once"),
        ("party.db", "UPDATE once SET value = x'00'"),
        ("party.db", "DELETE FROM audit"),
    ];
    for (file, sql) in cases {
        let refused = raw(&world, file).execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("append-only") || refused.contains("drawn once"), "{sql}: {refused}");
    }
}

#[test]
fn audit_changed_behind_the_store_is_noticed() {
    let world = SqliteWorld::new();
    let store = world.engine();
    for _ in 0..5 {
        store.audit(&event("a")).unwrap();
    }
    assert_eq!(audited(&*store), 5);
    let change = "DROP TRIGGER audit_is_append_only_1;
                  UPDATE audit SET event = replace(event, 'test', 'mallory') WHERE seq = 3;";
    raw(&world, "engine.db").execute_batch(change).unwrap();
    let refused = crate::audit::verify_chain(crate::store::audit_chain(&*store), &signer().public());
    assert!(matches!(refused, Err(crate::audit::AuditError::Changed { seq: 3 })));
}

#[test]
fn secrets_are_sealed_on_disk_and_open_with_the_key_alone() {
    let world = SqliteWorld::new();
    let party = world.party();
    let secret = b"a share that must not be found on the disk";
    let binding = digest(1);
    let cell = OnceKey { kind: "k", key: "c", binding: &binding };
    assert!(matches!(party.put_once(cell, secret, &event("a")).unwrap(), Once::Stored));
    for file in ["party.db", "party.db-wal"] {
        let bytes = std::fs::read(world.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{file}");
    }
    drop(party);
    assert!(matches!(open_party(&world.path(), 2).once(cell), Err(StoreError::Identity(_))));
    // A sealed value copied into another cell does not open there.
    let copy = "INSERT INTO once (kind, key, binding, value)
                SELECT kind, 'other', binding, value FROM once WHERE key = 'c'";
    raw(&world, "party.db").execute(copy, []).unwrap();
    let moved = open_party(&world.path(), 1).once(OnceKey { key: "other", ..cell });
    assert!(matches!(moved, Err(StoreError::Identity(_))));
    assert_eq!(&**open_party(&world.path(), 1).once(cell).unwrap().unwrap(), secret);
}

#[test]
fn a_floor_lowered_behind_the_store_is_refused_and_one_that_is_gone_is_known_from_the_trail() {
    let world = SqliteWorld::new();
    let raise = |floor: u32| {
        let event = Event { action: "floor.raise".into(), detail: floor.to_string(), ..event("a") };
        assert!(world.party().raise_floor(floor, &event).unwrap());
    };
    raise(5);
    raise(9);
    assert_eq!(world.party().consortium_floor().unwrap(), 9);
    let party = raw(&world, "party.db");
    party.execute("UPDATE consortium_floor SET floor = 2", []).unwrap();
    let refused = world.party().consortium_floor();
    assert!(matches!(&refused, Err(StoreError::Corrupt { what: FLOOR_ROW, .. })), "{refused:?}");
    // Without its signature, or without its row, the trail counts.
    party.execute("UPDATE consortium_floor SET signature = NULL", []).unwrap();
    assert_eq!(world.party().consortium_floor().unwrap(), 9);
    party.execute("DELETE FROM consortium_floor", []).unwrap();
    assert_eq!(world.party().consortium_floor().unwrap(), 9);
    raise(11);
    assert_eq!(world.party().consortium_floor().unwrap(), 11);
}

#[test]
fn refused_transaction_leaves_no_trace() {
    let world = SqliteWorld::new();
    let store = SqliteStore::open(&world.path(), signer()).unwrap();
    let failed: Result<(), StoreError> = store.database.write("test", |t| {
        audit::append(t, &event("a"), &signer())?;
        log::append(t, &digest(1))?;
        Err(StoreError::Invalid { reason: "late" })
    });
    assert!(matches!(failed, Err(StoreError::Invalid { reason: "late" })));
    assert_eq!((audited(&store), store.log_size().unwrap()), (0, 0));
}

#[test]
fn panic_in_a_transaction_rolls_it_back_and_the_store_goes_on() {
    let world = SqliteWorld::new();
    let store = SqliteStore::open(&world.path(), signer()).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.database.write("test", |t| -> Result<(), StoreError> {
            audit::append(t, &event("a"), &signer())?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    store.audit(&event("b")).unwrap();
    assert_eq!(audited(&store), 1);
}

#[test]
fn numbers_beyond_the_database_are_refused() {
    let world = SqliteWorld::new();
    let store = world.engine();
    assert!(matches!(store.put_checkpoint(u64::MAX, "x"), Err(StoreError::Database { retry: false, .. })));
}

#[test]
fn retention_takes_payloads_away_and_leaves_a_chain_that_verifies() {
    let world = SqliteWorld::new();
    let store = world.party();
    let old = |action: &str| Event { actor: "somebody".into(), at_ms: 5, ..event(action) };
    store.audit(&old("consent.grant")).unwrap();
    store.audit(&old("job.accept")).unwrap();
    store.audit(&Event { at_ms: 50, ..event("job.accept") }).unwrap();
    assert_eq!(store.audit_redact(10, &event("audit.redact")).unwrap(), 2);
    assert_eq!(store.audit_redact(10, &event("audit.redact")).unwrap(), 0, "the redaction's own event stays");
    assert_eq!(audited(&*store), 4);
    let left = raw(&world, "party.db")
        .query_row("SELECT count(*) FROM audit WHERE event LIKE '%somebody%'", [], |row| row.get::<_, u32>(0))
        .unwrap();
    assert_eq!(left, 0);
    let back = raw(&world, "party.db").execute("UPDATE audit SET event = '{\"whole\":{}}' WHERE seq = 1", []);
    assert!(back.is_err(), "what was redacted stays redacted");
}

#[test]
fn search_reads_by_actor_patient_and_time() {
    let world = SqliteWorld::new();
    let store = world.engine();
    for number in 0..20u64 {
        let patient = format!("p{}", number % 4);
        let about = Context { patient, ..Context::default() };
        store.audit(&Event { at_ms: number, ..event("record.read") }.within(about)).unwrap();
    }
    let of = |filter: &Filter| {
        let found = store.audit_search(filter, 0, 100).unwrap();
        found.iter().map(|sealed| sealed.seq).collect::<Vec<_>>()
    };
    let patient = Some("p1".to_owned());
    assert_eq!(of(&Filter { patient: patient.clone(), ..Filter::default() }), [2, 6, 10, 14, 18]);
    assert_eq!(of(&Filter { patient, since_ms: 5, until_ms: Some(13), ..Filter::default() }), [6, 10, 14]);
    assert!(of(&Filter { actor: Some("nobody".into()), ..Filter::default() }).is_empty());
}
