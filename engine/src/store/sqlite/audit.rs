//! The audit chain, in the engine's and in the party's database.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::columns::Uint;
use super::{SqlitePartyStore, SqliteStore};
use crate::audit::{Event, Filter, Salt, Sealed, seal};
use crate::identity::{Digest, Identity, Signature, random};
use crate::store::error::StoreError;
use crate::store::{AuditLog, PAGE_ROWS_MAX};

/// Seals an event onto the chain, within the caller's transaction.
pub(super) fn append(
    transaction: &Transaction<'_>,
    event: &Event,
    signer: &Identity,
) -> Result<u64, StoreError> {
    let last = tip(transaction)?;
    let salt = Salt(random()?);
    let sealed = seal(last, event.clone(), salt, signer);
    let json = json_of(&sealed)?;
    transaction
        .prepare_cached("INSERT INTO audit (seq, event, prev_hash, hash, signature) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![Uint(sealed.seq), json, sealed.prev_hash, sealed.hash, sealed.signature.0])?;
    Ok(sealed.seq)
}

fn tip(transaction: &Transaction<'_>) -> Result<Option<(u64, Digest)>, StoreError> {
    let mut statement =
        transaction.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    let last = statement.query_row([], |row| Ok((row.get::<_, Uint>(0)?.0, row.get::<_, Digest>(1)?)));
    Ok(last.optional()?)
}

fn keep_head(
    transaction: &Transaction<'_>,
    owner: &str,
    count: u64,
    checkpoint: &str,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO audit_heads (owner, count, checkpoint) VALUES (?, ?, ?)
             ON CONFLICT (owner, count) DO NOTHING",
        )?
        .execute(params![owner, Uint(count), checkpoint])?;
    Ok(())
}

fn newest_head(transaction: &Transaction<'_>, owner: &str) -> Result<Option<(u64, String)>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT count, checkpoint FROM audit_heads WHERE owner = ? ORDER BY count DESC LIMIT 1",
    )?;
    let found = statement.query_row([owner], |row| Ok((row.get::<_, Uint>(0)?.0, row.get(1)?)));
    Ok(found.optional()?)
}

fn json_of(sealed: &Sealed) -> Result<String, StoreError> {
    serde_json::to_string(&sealed.entry)
        .map_err(|e| StoreError::Corrupt { what: "audit event", reason: e.to_string() })
}

fn sealed_of(row: &rusqlite::Row<'_>) -> Result<(u64, String, Digest, Digest, [u8; 64]), rusqlite::Error> {
    Ok((row.get::<_, Uint>(0)?.0, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn read(
    (seq, json, prev_hash, hash, signature): (u64, String, Digest, Digest, [u8; 64]),
) -> Result<Sealed, StoreError> {
    let entry = serde_json::from_str(&json)
        .map_err(|e| StoreError::Corrupt { what: "audit event", reason: format!("{seq}: {e}") })?;
    Ok(Sealed { seq, entry, prev_hash, hash, signature: Signature(signature) })
}

fn page(transaction: &Transaction<'_>, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT seq, event, prev_hash, hash, signature FROM audit WHERE seq > ? ORDER BY seq LIMIT ?",
    )?;
    let rows = statement.query_map(params![Uint(after_seq), limit.min(PAGE_ROWS_MAX)], sealed_of)?;
    rows.map(|row| read(row?)).collect()
}

/// Narrowed by the indexed fields in SQL, by the filter in whole afterwards.
fn search(
    transaction: &Transaction<'_>,
    filter: &Filter,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<Sealed>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT seq, event, prev_hash, hash, signature FROM audit
         WHERE seq > ?1
           AND (?2 IS NULL OR event ->> '$.whole.event.actor' = ?2)
           AND (?3 IS NULL OR event ->> '$.whole.event.context.patient' = ?3)
           AND coalesce(event ->> '$.whole.event.at_ms', event ->> '$.redacted.at_ms') BETWEEN ?4 AND ?5
         ORDER BY seq",
    )?;
    let until = filter.until_ms.unwrap_or(i64::MAX as u64);
    let bound = params![Uint(after_seq), filter.actor, filter.patient, Uint(filter.since_ms), Uint(until)];
    let mut found = Vec::new();
    for row in statement.query_map(bound, sealed_of)? {
        let sealed = read(row?)?;
        if filter.matches(&sealed) {
            found.push(sealed);
        }
        if found.len() >= limit.min(PAGE_ROWS_MAX) as usize {
            break;
        }
    }
    Ok(found)
}

/// Takes the payload of events older than `before_ms` away, but for those of redactions.
fn redact(transaction: &Transaction<'_>, before_ms: u64, limit: u32) -> Result<u64, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT seq, event, prev_hash, hash, signature FROM audit
         WHERE event ->> '$.whole.event.at_ms' < ? AND event ->> '$.whole.event.action' <> 'audit.redact'
         ORDER BY seq LIMIT ?",
    )?;
    let rows = statement.query_map(params![Uint(before_ms), limit], sealed_of)?;
    let old: Vec<Sealed> = rows.map(|row| read(row?)).collect::<Result<_, StoreError>>()?;
    let mut update = transaction.prepare_cached("UPDATE audit SET event = ? WHERE seq = ?")?;
    for sealed in &old {
        update.execute(params![json_of(&sealed.redacted())?, Uint(sealed.seq)])?;
    }
    Ok(old.len() as u64)
}

fn redact_audited(
    transaction: &Transaction<'_>,
    before_ms: u64,
    event: &Event,
    signer: &Identity,
) -> Result<u64, StoreError> {
    let count = redact(transaction, before_ms, PAGE_ROWS_MAX)?;
    if count > 0 {
        let event = event.clone().saying(format!("{count} events before {before_ms}"));
        append(transaction, &event, signer)?;
    }
    Ok(count)
}

impl AuditLog for SqliteStore {
    fn audit(&self, event: &Event) -> Result<u64, StoreError> {
        self.database.write("audit", |t| append(t, event, &self.signer))
    }

    fn audit_events(&self, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
        self.database.read("audit_events", |t| page(t, after_seq, limit))
    }

    fn audit_search(&self, filter: &Filter, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
        self.database.read("audit_search", |t| search(t, filter, after_seq, limit))
    }

    fn audit_redact(&self, before_ms: u64, event: &Event) -> Result<u64, StoreError> {
        self.database.write("audit_redact", |t| redact_audited(t, before_ms, event, &self.signer))
    }

    fn audit_tip(&self) -> Result<Option<(u64, Digest)>, StoreError> {
        self.database.read("audit_tip", tip)
    }

    fn keep_audit_head(&self, owner: &str, count: u64, checkpoint: &str) -> Result<(), StoreError> {
        self.database.write("keep_audit_head", |t| keep_head(t, owner, count, checkpoint))
    }

    fn audit_head(&self, owner: &str) -> Result<Option<(u64, String)>, StoreError> {
        self.database.read("audit_head", |t| newest_head(t, owner))
    }
}

impl AuditLog for SqlitePartyStore {
    fn audit(&self, event: &Event) -> Result<u64, StoreError> {
        self.database.write("audit", |t| append(t, event, &self.signer))
    }

    fn audit_events(&self, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
        self.database.read("audit_events", |t| page(t, after_seq, limit))
    }

    fn audit_search(&self, filter: &Filter, after_seq: u64, limit: u32) -> Result<Vec<Sealed>, StoreError> {
        self.database.read("audit_search", |t| search(t, filter, after_seq, limit))
    }

    fn audit_redact(&self, before_ms: u64, event: &Event) -> Result<u64, StoreError> {
        self.database.write("audit_redact", |t| redact_audited(t, before_ms, event, &self.signer))
    }

    fn audit_tip(&self) -> Result<Option<(u64, Digest)>, StoreError> {
        self.database.read("audit_tip", tip)
    }

    fn keep_audit_head(&self, owner: &str, count: u64, checkpoint: &str) -> Result<(), StoreError> {
        self.database.write("keep_audit_head", |t| keep_head(t, owner, count, checkpoint))
    }

    fn audit_head(&self, owner: &str) -> Result<Option<(u64, String)>, StoreError> {
        self.database.read("audit_head", |t| newest_head(t, owner))
    }
}
