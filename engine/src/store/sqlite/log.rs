//! The log's tree, checkpoints, the outbox and small values.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::SqliteStore;
use super::columns::Uint;
use crate::identity::Digest;
use crate::ledger::LedgerError;
use crate::ledger::merkle::{self, Nodes};
use crate::store::error::StoreError;
use crate::store::job::Message;
use crate::store::records::OutboxRow;
use crate::store::{Log, Meta, Outbox, PAGE_ROWS_MAX};

struct TransactionNodes<'a>(&'a Transaction<'a>);

impl Nodes for TransactionNodes<'_> {
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        let read = || -> rusqlite::Result<Digest> {
            self.0
                .prepare_cached("SELECT hash FROM log_nodes WHERE level = ? AND idx = ?")?
                .query_row(params![level, Uint(index)], |row| row.get(0))
        };
        read().map_err(|e| LedgerError::Storage { reason: format!("node {index} of level {level}: {e}") })
    }
}

fn size(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let last: Option<Uint> =
        transaction.prepare_cached("SELECT max(idx) FROM log_entries")?.query_row([], |row| row.get(0))?;
    Ok(last.map_or(0, |last| last.0 + 1))
}

/// Appends an entry within the caller's transaction; one that is in the log keeps its index.
pub(super) fn append(transaction: &Transaction<'_>, entry: &Digest) -> Result<u64, StoreError> {
    let known = transaction
        .prepare_cached("SELECT idx FROM log_entries WHERE entry = ?")?
        .query_row([entry], |row| row.get::<_, Uint>(0))
        .optional()?;
    if let Some(index) = known {
        return Ok(index.0);
    }
    let index = size(transaction)?;
    let written = merkle::append(&TransactionNodes(transaction), index, merkle::leaf_hash(&entry.0))
        .map_err(|e| StoreError::Corrupt { what: "log", reason: e.to_string() })?;
    transaction
        .prepare_cached("INSERT INTO log_entries (idx, entry) VALUES (?, ?)")?
        .execute(params![Uint(index), entry])?;
    let mut insert =
        transaction.prepare_cached("INSERT INTO log_nodes (level, idx, hash) VALUES (?, ?, ?)")?;
    for (level, index, hash) in written {
        insert.execute(params![level, Uint(index), hash])?;
    }
    Ok(index)
}

impl Log for SqliteStore {
    fn log_append(&self, entry: &Digest) -> Result<u64, StoreError> {
        self.database.write("log_append", |t| append(t, entry))
    }

    fn log_size(&self) -> Result<u64, StoreError> {
        self.database.read("log_size", size)
    }

    fn log_nodes(&self, level: u8, first: u64, end: u64) -> Result<Vec<Digest>, StoreError> {
        self.database.read("log_nodes", |t| {
            let mut statement = t.prepare_cached(
                "SELECT hash FROM log_nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx LIMIT ?",
            )?;
            let rows = statement
                .query_map(params![level, Uint(first), Uint(end), PAGE_ROWS_MAX], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn log_entries(&self, first: u64, end: u64) -> Result<Vec<Digest>, StoreError> {
        self.database.read("log_entries", |t| {
            let mut statement = t.prepare_cached(
                "SELECT entry FROM log_entries WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?",
            )?;
            let rows =
                statement.query_map(params![Uint(first), Uint(end), PAGE_ROWS_MAX], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn put_checkpoint(&self, size: u64, note: &str) -> Result<(), StoreError> {
        self.database.write("put_checkpoint", |t| {
            t.execute(
                "INSERT INTO checkpoints (size, note) VALUES (?, ?)
                 ON CONFLICT (size) DO UPDATE SET note = excluded.note",
                params![Uint(size), note],
            )?;
            Ok(())
        })
    }

    fn latest_checkpoint(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.database.read("latest_checkpoint", |t| {
            Ok(t.query_row("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1", [], |row| {
                Ok((row.get::<_, Uint>(0)?.0, row.get(1)?))
            })
            .optional()?)
        })
    }
}

/// Puts a message into the outbox, within the caller's transaction.
pub(super) fn send(transaction: &Transaction<'_>, message: &Message) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT INTO outbox (topic, payload) VALUES (?, ?)")?
        .execute(params![message.topic, message.payload])?;
    Ok(())
}

impl Outbox for SqliteStore {
    fn outbox_pending(&self, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.database.read("outbox_pending", |t| {
            let mut statement = t.prepare_cached(
                "SELECT seq, topic, payload FROM outbox WHERE delivered_ms IS NULL ORDER BY seq LIMIT ?",
            )?;
            let rows = statement.query_map([limit.min(PAGE_ROWS_MAX)], |row| {
                Ok(OutboxRow { seq: row.get::<_, Uint>(0)?.0, topic: row.get(1)?, payload: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn outbox_pending_of(&self, topic: &str, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.database.read("outbox_pending_of", |t| {
            let mut statement = t.prepare_cached(
                "SELECT seq, topic, payload FROM outbox WHERE delivered_ms IS NULL AND topic = ?
                 ORDER BY seq LIMIT ?",
            )?;
            let rows = statement.query_map(params![topic, limit.min(PAGE_ROWS_MAX)], |row| {
                Ok(OutboxRow { seq: row.get::<_, Uint>(0)?.0, topic: row.get(1)?, payload: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn outbox_delivered(&self, seq: u64, at_ms: u64) -> Result<(), StoreError> {
        self.database.write("outbox_delivered", |t| {
            t.execute(
                "UPDATE outbox SET delivered_ms = ? WHERE seq = ? AND delivered_ms IS NULL",
                params![Uint(at_ms), Uint(seq)],
            )?;
            Ok(())
        })
    }
}

impl Meta for SqliteStore {
    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.read("meta", |t| {
            Ok(t.query_row("SELECT value FROM meta WHERE key = ?", [key], |row| row.get(0)).optional()?)
        })
    }

    fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.database.write("set_meta", |t| {
            t.execute(
                "INSERT INTO meta (key, value) VALUES (?, ?)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                params![key, value],
            )?;
            Ok(())
        })
    }
}
