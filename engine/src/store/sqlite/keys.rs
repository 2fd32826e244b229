//! Data keys in the party's database.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::columns::Uint;
use super::messages::forget_patient;
use super::{SqlitePartyStore, audit, lock};
use crate::audit::Event;
use crate::clock::now_ms;
use crate::consent::Pseudonym;
use crate::identity::Digest;
use crate::store::error::StoreError;
use crate::store::keys::{Erased, KEYS_MAX, KeyRow, Keyed, RecordKeys};
use crate::vault::{DataKey, KeyName, Wrapped};

/// A wrapped key with its number.
type Row = (u64, Wrapped);

fn row_of(transaction: &Transaction<'_>, name: &KeyName) -> Result<Option<Row>, StoreError> {
    let found = transaction
        .prepare_cached("SELECT number, version, wrapped FROM data_keys WHERE pseudonym = ? AND class = ?")?
        .query_row(params![Digest(name.patient().0), name.class()], |row| {
            Ok((row.get::<_, Uint>(0)?.0, Wrapped { version: row.get(1)?, bytes: row.get(2)? }))
        });
    Ok(found.optional()?)
}

fn minimum(transaction: &Transaction<'_>) -> Result<u32, StoreError> {
    let found = transaction.query_row("SELECT version FROM kek_minimum WHERE id = 1", [], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(1))
}

fn last_erasure(transaction: &Transaction<'_>, patient: Digest) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT at_ms FROM erasures WHERE pseudonym = ? ORDER BY change DESC LIMIT 1";
    Ok(transaction.query_row(sql, [patient], |row| Ok(row.get::<_, Uint>(0)?.0)).optional()?)
}

/// Counts an erasure among the changes of the consents, so that whoever has read them reads them again.
fn next_change(transaction: &Transaction<'_>) -> Result<Uint, StoreError> {
    transaction.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'consent_changes', 0
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'consent_changes')",
        [],
    )?;
    Ok(transaction.query_row(
        "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'consent_changes' RETURNING seq",
        [],
        |row| row.get(0),
    )?)
}

impl SqlitePartyStore {
    /// Keeps keys that were made, unless somebody else was faster; returns what is kept.
    fn keep_keys(&self, made: &[(&KeyName, Wrapped)]) -> Result<Vec<Row>, StoreError> {
        self.database.write("add_data_keys", |t| {
            let least = minimum(t)?;
            let mut kept = Vec::with_capacity(made.len());
            for (name, wrapped) in made {
                if wrapped.version < least {
                    let reason = "the key-encryption key was rotated meanwhile".to_owned();
                    return Err(StoreError::Database { operation: "add_data_keys", reason, retry: true });
                }
                t.prepare_cached(
                    "INSERT INTO data_keys (pseudonym, class, version, wrapped, at_ms) VALUES (?, ?, ?, ?, ?)
                     ON CONFLICT (pseudonym, class) DO NOTHING",
                )?
                .execute(params![
                    Digest(name.patient().0),
                    name.class(),
                    wrapped.version,
                    wrapped.bytes,
                    Uint(now_ms())
                ])?;
                let row = row_of(t, name)?;
                kept.push(row.ok_or(StoreError::NotFound { what: "data key", id: name.class().to_owned() })?);
            }
            Ok(kept)
        })
    }

    /// Makes the keys of these names.
    fn make_keys(&self, names: &[&KeyName]) -> Result<Vec<Keyed>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let made = names.iter().map(|_| DataKey::generate()).collect::<Result<Vec<_>, _>>()?;
        let named: Vec<_> = names.iter().copied().zip(&made).collect();
        let wrapped = self.provider.wrap(&named)?;
        let offered: Vec<_> = names.iter().copied().zip(wrapped).collect();
        let kept = self.keep_keys(&offered)?;
        let mut keyed = Vec::with_capacity(names.len());
        for (((name, offered), key), (number, kept)) in offered.iter().zip(made).zip(kept) {
            let key = match kept == *offered {
                true => key,
                // Another process made it first: that one counts.
                false => self.provider.unwrap(&[(*name, &kept)])?.pop().ok_or_else(no_key)?,
            };
            keyed.push(Keyed { number, key });
        }
        Ok(keyed)
    }

    /// Opens wrapped keys; in their order.
    pub(super) fn unwrap_keys(&self, wrapped: &[(KeyName, Wrapped)]) -> Result<Vec<DataKey>, StoreError> {
        if wrapped.is_empty() {
            return Ok(Vec::new());
        }
        let named: Vec<_> = wrapped.iter().map(|(name, wrapped)| (name, wrapped)).collect();
        let opened = self.provider.unwrap(&named)?;
        if opened.len() == wrapped.len() { Ok(opened) } else { Err(no_key()) }
    }
}

fn no_key() -> StoreError {
    StoreError::Corrupt { what: "data key", reason: "its provider gave none back".to_owned() }
}

impl RecordKeys for SqlitePartyStore {
    fn data_keys(&self, names: &[KeyName]) -> Result<Vec<Keyed>, StoreError> {
        if names.len() > KEYS_MAX {
            return Err(StoreError::Invalid { reason: "too many data keys for one call" });
        }
        let known = self
            .database
            .read("data_keys", |t| names.iter().map(|name| row_of(t, name)).collect::<Result<Vec<_>, _>>())?;
        let mut missing: Vec<&KeyName> =
            names.iter().zip(&known).filter(|(_, row)| row.is_none()).map(|(name, _)| name).collect();
        missing.sort_unstable();
        missing.dedup();
        let mut made: BTreeMap<&KeyName, Keyed> =
            missing.iter().copied().zip(self.make_keys(&missing)?).collect();
        let there: Vec<_> = names
            .iter()
            .zip(&known)
            .filter_map(|(name, row)| row.as_ref().map(|(_, wrapped)| (name.clone(), wrapped.clone())))
            .collect();
        let mut opened = self.unwrap_keys(&there)?.into_iter();
        let mut keyed = Vec::with_capacity(names.len());
        for (name, row) in names.iter().zip(known) {
            keyed.push(match row {
                Some((number, _)) => Keyed { number, key: opened.next().ok_or_else(no_key)? },
                None => made.remove(name).ok_or(StoreError::Invalid { reason: "a name came twice" })?,
            });
        }
        Ok(keyed)
    }

    fn known_key(&self, name: &KeyName) -> Result<Option<Keyed>, StoreError> {
        let Some((number, wrapped)) = self.database.read("known_key", |t| row_of(t, name))? else {
            return Ok(None);
        };
        let key = self.unwrap_keys(&[(name.clone(), wrapped)])?.pop().ok_or_else(no_key)?;
        Ok(Some(Keyed { number, key }))
    }

    fn keys_of(&self, patient: &Pseudonym) -> Result<Vec<KeyRow>, StoreError> {
        self.database.read("keys_of", |t| {
            let sql =
                "SELECT number, class, version, at_ms FROM data_keys WHERE pseudonym = ? ORDER BY class";
            let mut statement = t.prepare_cached(sql)?;
            let found = statement.query_map([Digest(patient.0)], |row| {
                Ok(KeyRow {
                    number: row.get::<_, Uint>(0)?.0,
                    class: row.get(1)?,
                    version: row.get(2)?,
                    at_ms: row.get::<_, Uint>(3)?.0,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    fn keys_by_version(&self) -> Result<BTreeMap<u32, u64>, StoreError> {
        self.database.read("keys_by_version", |t| {
            let mut statement =
                t.prepare_cached("SELECT version, count(*) FROM data_keys GROUP BY version")?;
            let found = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, Uint>(1)?.0)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    fn kek_minimum(&self) -> Result<u32, StoreError> {
        self.database.read("kek_minimum", minimum)
    }

    fn raise_kek_minimum(&self, version: u32, event: &Event) -> Result<(), StoreError> {
        self.database.write("raise_kek_minimum", |t| {
            if version < minimum(t)? {
                return Err(StoreError::Invalid { reason: "versions of the key-encryption key only rise" });
            }
            t.execute(
                "INSERT INTO kek_minimum (id, version) VALUES (1, ?)
                 ON CONFLICT (id) DO UPDATE SET version = excluded.version",
                [version],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn rewrap_keys(&self) -> Result<u64, StoreError> {
        let old: Vec<(u64, KeyName, Wrapped)> = self.database.read("keys_to_rewrap", |t| {
            let sql = "SELECT number, pseudonym, class, version, wrapped FROM data_keys
                       WHERE version < ? ORDER BY number LIMIT ?";
            let mut statement = t.prepare_cached(sql)?;
            let mut found = statement.query(params![minimum(t)?, Uint(KEYS_MAX as u64)])?;
            let mut old = Vec::new();
            while let Some(row) = found.next()? {
                let name = KeyName::new(Pseudonym(row.get::<_, Digest>(1)?.0), &row.get::<_, String>(2)?)?;
                let wrapped = Wrapped { version: row.get(3)?, bytes: row.get(4)? };
                old.push((row.get::<_, Uint>(0)?.0, name, wrapped));
            }
            Ok(old)
        })?;
        if old.is_empty() {
            return Ok(0);
        }
        let named: Vec<_> = old.iter().map(|(_, name, wrapped)| (name, wrapped)).collect();
        let new = self.provider.rewrap(&named)?;
        if new.len() != old.len() {
            return Err(no_key());
        }
        self.database.write("rewrap_keys", |t| {
            let mut changed = 0;
            for ((number, _, old), new) in old.iter().zip(&new) {
                // Erased, or wrapped by another process, meanwhile: then there is nothing to do.
                changed += t
                    .prepare_cached(
                        "UPDATE data_keys SET version = ?, wrapped = ? WHERE number = ? AND wrapped = ?",
                    )?
                    .execute(params![new.version, new.bytes, Uint(*number), old.bytes])?;
            }
            Ok(changed as u64)
        })
    }

    fn erase(&self, patient: &Pseudonym, event: &Event) -> Result<Erased, StoreError> {
        let who = Digest(patient.0);
        let erased = self.database.write("erase", |t| {
            let classes: Vec<String> = t
                .prepare_cached("SELECT class FROM data_keys WHERE pseudonym = ? ORDER BY class")?
                .query_map([who], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if classes.is_empty() {
                let before = last_erasure(t, who)?.map(|at_ms| Erased::Before { at_ms, is_log_empty: false });
                return before.ok_or(StoreError::NotFound { what: "record of patient", id: who.to_string() });
            }
            t.execute(
                "INSERT INTO erasures (change, pseudonym, keys, at_ms, is_open) VALUES (?, ?, ?, ?, 1)",
                params![next_change(t)?, who, Uint(classes.len() as u64), Uint(event.at_ms)],
            )?;
            t.execute(
                "DELETE FROM consent_changes WHERE number IN (SELECT number FROM consents WHERE pseudonym = ?)",
                [who],
            )?;
            let consents = t.execute("DELETE FROM consents WHERE pseudonym = ?", [who])? as u64;
            let messages = forget_patient(t, who)?;
            let documents = t
                .prepare_cached(
                    "SELECT d.id FROM documents d JOIN data_keys k ON k.number = d.data_key
                     WHERE k.pseudonym = ? ORDER BY d.number",
                )?
                .query_map([who], |row| row.get(0))?
                .collect::<Result<Vec<String>, _>>()?;
            // What else names a key goes with it (ON DELETE CASCADE).
            t.execute("DELETE FROM data_keys WHERE pseudonym = ?", [who])?;
            t.execute("UPDATE erasures SET is_open = 0 WHERE is_open = 1", [])?;
            audit::append(t, event, &self.signer)?;
            Ok(Erased::Now { classes, consents, documents, messages, is_log_empty: false })
        })?;
        let is_log_empty = self.empty_log()?;
        Ok(match erased {
            Erased::Now { classes, consents, documents, messages, .. } => {
                Erased::Now { classes, consents, documents, messages, is_log_empty }
            }
            Erased::Before { at_ms, .. } => Erased::Before { at_ms, is_log_empty },
        })
    }

    fn erased_after(&self, change: u64) -> Result<Vec<(u64, Pseudonym)>, StoreError> {
        self.database.read("erased_after", |t| {
            let mut statement =
                t.prepare_cached("SELECT change, pseudonym FROM erasures WHERE change > ? ORDER BY change")?;
            let found = statement.query_map([Uint(change)], |row| {
                Ok((row.get::<_, Uint>(0)?.0, Pseudonym(row.get::<_, Digest>(1)?.0)))
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }
}

impl SqlitePartyStore {
    /// Moves the write-ahead log into the database and empties it; false while somebody reads.
    pub(super) fn empty_log(&self) -> Result<bool, StoreError> {
        let connection = lock(&self.database.writer);
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }
}
