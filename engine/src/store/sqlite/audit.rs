//! The audit chain, in the engine's and in the party's database.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::columns::Uint;
use super::{SqlitePartyStore, SqliteStore};
use crate::audit::{Event, Sealed, seal};
use crate::identity::{Digest, Identity, Signature};
use crate::store::error::StoreError;
use crate::store::{AuditLog, PAGE_ROWS_MAX};

/// Seals an event onto the chain, within the caller's transaction.
pub(super) fn append(
    transaction: &Transaction<'_>,
    event: &Event,
    signer: &Identity,
) -> Result<u64, StoreError> {
    let last = transaction
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, Uint>(0)?.0, row.get::<_, Digest>(1)?)))
        .optional()?;
    let sealed = seal(last, event.clone(), signer);
    let json = serde_json::to_string(&sealed.event)
        .map_err(|e| StoreError::Corrupt { what: "audit event", reason: e.to_string() })?;
    transaction
        .prepare_cached("INSERT INTO audit (seq, event, prev_hash, hash, signature) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![Uint(sealed.seq), json, sealed.prev_hash, sealed.hash, sealed.signature.0])?;
    Ok(sealed.seq)
}

fn page(transaction: &Transaction<'_>, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT seq, event, prev_hash, hash, signature FROM audit WHERE seq > ? ORDER BY seq LIMIT ?",
    )?;
    let rows = statement.query_map(params![Uint(after_seq), limit.min(PAGE_ROWS_MAX)], |row| {
        let json: String = row.get(1)?;
        Ok((row.get::<_, Uint>(0)?.0, json, row.get(2)?, row.get(3)?, row.get::<_, [u8; 64]>(4)?))
    })?;
    rows.map(|row| {
        let (seq, json, prev_hash, hash, signature) = row?;
        let event = serde_json::from_str(&json)
            .map_err(|e| StoreError::Corrupt { what: "audit event", reason: format!("{seq}: {e}") })?;
        Ok(Sealed { seq, event, prev_hash, hash, signature: Signature(signature) })
    })
    .collect()
}

impl AuditLog for SqliteStore {
    fn audit(&self, event: &Event) -> Result<u64, StoreError> {
        self.database.write("audit", |t| append(t, event, &self.signer))
    }

    fn audit_events(&self, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
        self.database.read("audit_events", |t| page(t, after_seq, limit))
    }
}

impl AuditLog for SqlitePartyStore {
    fn audit(&self, event: &Event) -> Result<u64, StoreError> {
        self.database.write("audit", |t| append(t, event, &self.signer))
    }

    fn audit_events(&self, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
        self.database.read("audit_events", |t| page(t, after_seq, limit))
    }
}
