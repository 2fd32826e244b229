//! HL7 v2 messages in the party's database.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

use super::columns::Uint;
use super::{BUSY_TIMEOUT, SqlitePartyStore, audit};
use crate::audit::Event;
use crate::identity::{Digest, SealContext, SealKey};
use crate::records::hl7::{Change, Fields};
use crate::store::error::StoreError;
use crate::store::messages::{ITEMS_MAX, Kept, Messages, NewItem, NewMessage};

fn row_of(kind: &str, key: &Digest) -> String {
    format!("{kind}\n{key}")
}

fn context(row: &str) -> SealContext<'_> {
    SealContext { table: "hl7_items", row, column: "fields" }
}

fn opened(seal: &SealKey, row: &str, sealed: &[u8]) -> Result<Fields, StoreError> {
    let plain = seal.open(context(row), sealed)?;
    serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt {
        what: "item of a message",
        reason: "it does not parse".to_owned(),
    })
}

impl SqlitePartyStore {
    fn keep_item(
        &self,
        t: &Transaction<'_>,
        item: &NewItem,
        (sent_us, message): (i64, i64),
    ) -> Result<(), StoreError> {
        let known: Option<(i64, Option<Vec<u8>>)> = t
            .prepare_cached("SELECT sent_us, fields FROM hl7_items WHERE kind = ? AND key = ?")?
            .query_row(params![item.kind, item.key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if known.as_ref().is_some_and(|(before, _)| *before > sent_us) {
            return Ok(());
        }
        let row = row_of(item.kind, &item.key);
        let mut fields = match known.and_then(|(_, sealed)| sealed) {
            Some(sealed) if item.change == Change::Update => opened(&self.seal, &row, &sealed)?,
            _ => Fields::new(),
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
                Some(self.seal.seal(context(&row), &plain)?)
            }
        };
        t.prepare_cached(
            "INSERT INTO hl7_items (kind, key, patient, sent_us, message, fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (kind, key) DO UPDATE SET patient = ?3, sent_us = ?4, message = ?5, fields = ?6",
        )?
        .execute(params![item.kind, item.key, item.patient, sent_us, message, sealed])?;
        Ok(())
    }
}

impl Messages for SqlitePartyStore {
    fn keep_message(&self, message: &NewMessage, event: &Event) -> Result<Kept, StoreError> {
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
            for item in &message.items {
                self.keep_item(t, item, (message.sent_us, number))?;
            }
            audit::append(t, event, &self.signer)?;
            Ok(Kept::New)
        })
    }
}

/// What messages said, at one moment: a reader of its own on the party's database, beside the node.
pub struct MessageSnapshot {
    connection: Connection,
    seal: SealKey,
}

impl MessageSnapshot {
    /// Opens the database in a node's folder, and fixes the moment.
    ///
    /// # Errors
    /// [`StoreError::Database`] where there is none, or none of this version.
    pub fn open(folder: &Path, seal: SealKey) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(folder.join("party.db"), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.execute_batch("BEGIN")?;
        // The moment is that of the first read.
        connection.query_row("SELECT count(*) FROM hl7_messages", [], |row| row.get::<_, i64>(0))?;
        Ok(Self { connection, seal })
    }

    /// The items of a kind whose key is after this one, with their keys, at most [`ITEMS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Corrupt`].
    pub fn items(&self, kind: &str, after: &Digest) -> Result<Vec<(Digest, Fields)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key, fields FROM hl7_items WHERE kind = ? AND key > ? AND fields IS NOT NULL ORDER BY key LIMIT ?",
        )?;
        let rows = statement.query_map(params![kind, after, ITEMS_MAX], |row| {
            Ok((row.get::<_, Digest>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        let item = |row: rusqlite::Result<(Digest, Vec<u8>)>| {
            let (key, sealed) = row?;
            let fields = opened(&self.seal, &row_of(kind, &key), &sealed)?;
            Ok((key, fields))
        };
        rows.map(item).collect()
    }
}
