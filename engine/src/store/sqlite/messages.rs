//! HL7 v2 messages in the party's database.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

use super::columns::Uint;
use super::{BUSY_TIMEOUT, SqlitePartyStore, audit};
use crate::audit::Event;
use crate::consent::Pseudonym;
use crate::identity::{Digest, SealContext};
use crate::records::hl7::{Change, Fields};
use crate::store::error::StoreError;
use crate::store::keys::Keyed;
use crate::store::messages::{ITEMS_MAX, Kept, Messages, NewItem, NewMessage};
use crate::vault::{DataKey, KeyName, KeyProvider, Wrapped};

/// The row of an item, which its fields are sealed for.
pub(super) fn row_of(kind: &str, key: &Digest) -> String {
    format!("{kind}\n{key}")
}

/// The place of an item's fields.
pub(super) fn fields_place(row: &str) -> SealContext<'_> {
    SealContext { table: "hl7_items", row, column: "fields" }
}

fn parsed(plain: &[u8]) -> Result<Fields, StoreError> {
    serde_json::from_slice(plain).map_err(|_| StoreError::Corrupt {
        what: "item of a message",
        reason: "it does not parse".to_owned(),
    })
}

fn opened(key: &DataKey, row: &str, sealed: &[u8]) -> Result<Fields, StoreError> {
    parsed(&key.open(fields_place(row), sealed)?)
}

/// What is kept of an item.
struct Known {
    sent_us: i64,
    patient: Digest,
    data_key: Option<Uint>,
    fields: Option<Vec<u8>>,
}

impl SqlitePartyStore {
    fn known_item(transaction: &Transaction<'_>, item: &NewItem) -> Result<Option<Known>, StoreError> {
        let sql = "SELECT sent_us, patient, data_key, fields FROM hl7_items WHERE kind = ? AND key = ?";
        let found = transaction.prepare_cached(sql)?.query_row(params![item.kind, item.key], |row| {
            Ok(Known {
                sent_us: row.get(0)?,
                patient: row.get(1)?,
                data_key: row.get(2)?,
                fields: row.get(3)?,
            })
        });
        Ok(found.optional()?)
    }

    /// The fields that an update adds to: the same patient's, under whatever key.
    fn fields_before(
        &self,
        t: &Transaction<'_>,
        (item, row): (&NewItem, &str),
        (known, key): (Known, &Keyed),
    ) -> Result<Fields, StoreError> {
        let (Some(sealed), Some(number)) = (known.fields, known.data_key) else { return Ok(Fields::new()) };
        // What was said of another patient is not carried over.
        if item.change != Change::Update || known.patient != item.patient {
            return Ok(Fields::new());
        }
        if number.0 == key.number {
            return opened(&key.key, row, &sealed);
        }
        let sql = "SELECT class, version, wrapped FROM data_keys WHERE number = ?";
        let (class, wrapped) = t.prepare_cached(sql)?.query_row([number], |row| {
            Ok((row.get::<_, String>(0)?, Wrapped { version: row.get(1)?, bytes: row.get(2)? }))
        })?;
        let name = KeyName::new(Pseudonym(item.patient.0), &class)?;
        let before = self.unwrap_keys(&[(name, wrapped)])?;
        before.first().map_or_else(|| Ok(Fields::new()), |before| opened(before, row, &sealed))
    }

    fn keep_item(
        &self,
        t: &Transaction<'_>,
        (item, key): (&NewItem, &Keyed),
        (sent_us, message): (i64, i64),
    ) -> Result<(), StoreError> {
        let known = Self::known_item(t, item)?;
        if known.as_ref().is_some_and(|known| known.sent_us > sent_us) {
            return Ok(());
        }
        let row = row_of(item.kind, &item.key);
        let mut fields = match known {
            Some(known) => self.fields_before(t, (item, &row), (known, key))?,
            None => Fields::new(),
        };
        for (name, value) in &item.fields {
            match value {
                Some(_) => fields.insert(name.clone(), value.clone()),
                None => fields.remove(name),
            };
        }
        let sealed = match item.change {
            Change::Remove => None,
            Change::Update | Change::Replace => {
                let plain = serde_json::to_vec(&fields)
                    .map(Zeroizing::new)
                    .map_err(|e| StoreError::Corrupt { what: "item of a message", reason: e.to_string() })?;
                Some(key.key.seal(fields_place(&row), &plain)?)
            }
        };
        t.prepare_cached(
            "INSERT INTO hl7_items (kind, key, patient, sent_us, message, fields, data_key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (kind, key) DO UPDATE SET patient = ?3, sent_us = ?4, message = ?5, fields = ?6, data_key = ?7",
        )?
        .execute(params![item.kind, item.key, item.patient, sent_us, message, sealed, Uint(key.number)])?;
        Ok(())
    }
}

/// Refuses keys that were destroyed since they were opened.
fn are_there(transaction: &Transaction<'_>, keys: &[Keyed]) -> Result<(), StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT EXISTS (SELECT 1 FROM data_keys WHERE number = ?)")?;
    for key in keys {
        if !statement.query_row([Uint(key.number)], |row| row.get::<_, bool>(0))? {
            let reason = "the patient was erased meanwhile".to_owned();
            return Err(StoreError::Database { operation: "keep_message", reason, retry: false });
        }
    }
    Ok(())
}

/// Says that a message is of the patient of that key.
pub(super) fn add_message_key(
    transaction: &Transaction<'_>,
    message: i64,
    (position, key): (usize, &Keyed),
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT INTO hl7_message_keys (message, position, data_key) VALUES (?, ?, ?)")?
        .execute(params![message, Uint(position as u64), Uint(key.number)])?;
    Ok(())
}

/// Forgets what messages said of a patient, and that they came; returns how many items there were. A message that is about
/// others too stays without its digest and its control id.
pub(super) fn forget_patient(transaction: &Transaction<'_>, who: Digest) -> Result<u64, StoreError> {
    const THEIRS: &str = "number IN (SELECT m.message FROM hl7_message_keys m
                          JOIN data_keys k ON k.number = m.data_key WHERE k.pseudonym = ?)";
    let items = transaction.execute("DELETE FROM hl7_items WHERE patient = ?", [who])?;
    transaction.execute(
        &format!(
            "UPDATE hl7_messages SET control_id = 'erased ' || number, digest = zeroblob(32) WHERE {THEIRS}"
        ),
        [who],
    )?;
    transaction.execute(
        &format!(
            "DELETE FROM hl7_messages WHERE {THEIRS}
             AND NOT EXISTS (SELECT 1 FROM hl7_items i WHERE i.message = hl7_messages.number)"
        ),
        [who],
    )?;
    Ok(items as u64)
}

impl Messages for SqlitePartyStore {
    fn keep_message(&self, message: &NewMessage, events: &[Event]) -> Result<Kept, StoreError> {
        self.database.write("keep_message", |t| {
            let known: Option<Digest> = t
                .prepare_cached("SELECT digest FROM hl7_messages WHERE sender = ? AND control_id = ?")?
                .query_row([&message.sender, &message.control_id], |row| row.get(0))
                .optional()?;
            match known {
                Some(digest) if digest == message.digest => return Ok(Kept::Before),
                Some(_) => {
                    let (id, reason) = (message.control_id.clone(), "other bytes had this control id");
                    return Err(StoreError::Conflict { what: "message", id, reason });
                }
                None => {}
            }
            are_there(t, &message.keys)?;
            t.prepare_cached(
                "INSERT INTO hl7_messages (sender, control_id, digest, kind, at_ms) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![
                message.sender,
                message.control_id,
                message.digest,
                message.kind,
                Uint(message.at_ms)
            ])?;
            let number = t.last_insert_rowid();
            for (position, key) in message.keys.iter().take(message.patients).enumerate() {
                add_message_key(t, number, (position, key))?;
            }
            for item in &message.items {
                let key = message.keys.get(item.data_key);
                let key = key.ok_or(StoreError::Invalid { reason: "an item without key" })?;
                self.keep_item(t, (item, key), (message.sent_us, number))?;
            }
            for event in events {
                audit::append(t, event, &self.signer)?;
            }
            Ok(Kept::New)
        })
    }
}

/// What messages said, at one moment: a reader of its own on the party's database, beside the node.
pub struct MessageSnapshot {
    connection: Connection,
    provider: Arc<dyn KeyProvider>,
}

/// An item as it is kept, with its wrapped key.
struct Raw {
    key: Digest,
    sealed: Vec<u8>,
    number: u64,
    patient: Pseudonym,
    class: String,
    wrapped: Wrapped,
}

impl MessageSnapshot {
    /// Opens the database in a node's folder, and fixes the moment.
    ///
    /// # Errors
    /// [`StoreError::Database`] where there is none, or none of this version.
    pub fn open(folder: &Path, provider: Arc<dyn KeyProvider>) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(folder.join("party.db"), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.execute_batch("BEGIN")?;
        // The moment is that of the first read.
        connection.query_row("SELECT count(*) FROM hl7_messages", [], |row| row.get::<_, i64>(0))?;
        Ok(Self { connection, provider })
    }

    /// The items of a kind whose key is after this one, with their keys, at most [`ITEMS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Corrupt`]; [`StoreError::Vault`].
    pub fn items(&self, kind: &str, after: &Digest) -> Result<Vec<(Digest, Fields)>, StoreError> {
        let raws = self.raw_items(kind, after)?;
        let mut numbers = BTreeMap::new();
        let mut wrapped: Vec<(KeyName, &Wrapped)> = Vec::new();
        for raw in &raws {
            if let std::collections::btree_map::Entry::Vacant(free) = numbers.entry(raw.number) {
                free.insert(wrapped.len());
                wrapped.push((KeyName::new(raw.patient, &raw.class)?, &raw.wrapped));
            }
        }
        let named: Vec<_> = wrapped.iter().map(|(name, wrapped)| (name, *wrapped)).collect();
        let keys = if named.is_empty() { Vec::new() } else { self.provider.unwrap(&named)? };
        let item = |raw: &Raw| {
            let key = numbers.get(&raw.number).and_then(|at| keys.get(*at));
            let key = key.ok_or(StoreError::Invalid { reason: "the provider gave back too few keys" })?;
            Ok((raw.key, opened(key, &row_of(kind, &raw.key), &raw.sealed)?))
        };
        raws.iter().map(item).collect()
    }

    fn raw_items(&self, kind: &str, after: &Digest) -> Result<Vec<Raw>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT i.key, i.fields, k.number, k.pseudonym, k.class, k.version, k.wrapped
             FROM hl7_items i JOIN data_keys k ON k.number = i.data_key
             WHERE i.kind = ? AND i.key > ? AND i.fields IS NOT NULL ORDER BY i.key LIMIT ?",
        )?;
        let rows = statement.query_map(params![kind, after, ITEMS_MAX], |row| {
            Ok(Raw {
                key: row.get(0)?,
                sealed: row.get(1)?,
                number: row.get::<_, Uint>(2)?.0,
                patient: Pseudonym(row.get::<_, Digest>(3)?.0),
                class: row.get(4)?,
                wrapped: Wrapped { version: row.get(5)?, bytes: row.get(6)? },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
