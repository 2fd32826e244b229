//! Attestations that were registered, and anchors on chains.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::columns::Uint;
use super::{SqliteStore, audit, log};
use crate::identity::{Digest, Identity};
use crate::store::error::StoreError;
use crate::store::job::JobId;
use crate::store::registration::{Anchor, NewRegistration, Registration};
use crate::store::{Anchors, PAGE_ROWS_MAX, Registrations};

const REGISTRATION: &str = "SELECT study, nullifier, attestation, job, leaf_index, at_ms FROM registrations";
const ANCHOR: &str = "SELECT chain_id, contract, kind, digest, size, block, tx, at_ms FROM anchors";

fn registration(row: &Row<'_>) -> rusqlite::Result<Registration> {
    Ok(Registration {
        study: row.get(0)?,
        nullifier: row.get(1)?,
        attestation: row.get(2)?,
        job: row.get(3)?,
        leaf_index: row.get::<_, Uint>(4)?.0,
        at_ms: row.get::<_, Uint>(5)?.0,
    })
}

fn anchor(row: &Row<'_>) -> rusqlite::Result<Anchor> {
    Ok(Anchor {
        chain_id: row.get::<_, Uint>(0)?.0,
        contract: row.get(1)?,
        kind: row.get(2)?,
        digest: row.get(3)?,
        size: row.get::<_, Uint>(4)?.0,
        block: row.get::<_, Uint>(5)?.0,
        transaction: row.get(6)?,
        at_ms: row.get::<_, Uint>(7)?.0,
    })
}

/// Registers within the caller's transaction: row, leaf, audit event, message.
pub(super) fn register(
    transaction: &Transaction<'_>,
    job: &JobId,
    new: &NewRegistration,
    signer: &Identity,
) -> Result<(), StoreError> {
    let leaf = log::append(transaction, &new.attestation)?;
    let added = transaction
        .prepare_cached(
            "INSERT INTO registrations (study, nullifier, attestation, job, leaf_index, at_ms)
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            new.study,
            new.nullifier,
            new.attestation,
            job,
            Uint(leaf),
            Uint(new.audit.at_ms)
        ])?;
    if added == 0 {
        let reason = "the patient was counted meanwhile";
        return Err(StoreError::Conflict { what: "registration", id: new.nullifier.to_string(), reason });
    }
    audit::append(transaction, &new.audit, signer)?;
    new.message.iter().try_for_each(|message| log::send(transaction, message))
}

impl Registrations for SqliteStore {
    fn registration(&self, study: &str, nullifier: &Digest) -> Result<Option<Registration>, StoreError> {
        self.database.read("registration", |t| {
            let mut statement =
                t.prepare_cached(&format!("{REGISTRATION} WHERE study = ? AND nullifier = ?"))?;
            Ok(statement.query_row(params![study, nullifier], registration).optional()?)
        })
    }

    fn registered(&self, attestation: &Digest) -> Result<Option<Registration>, StoreError> {
        self.database.read("registered", |t| {
            let mut statement = t.prepare_cached(&format!("{REGISTRATION} WHERE attestation = ?"))?;
            Ok(statement.query_row([attestation], registration).optional()?)
        })
    }

    fn registrations(&self) -> Result<u64, StoreError> {
        self.database.read("registrations", |t| {
            Ok(t.query_row("SELECT count(*) FROM registrations", [], |row| row.get::<_, Uint>(0))?.0)
        })
    }
}

impl Anchors for SqliteStore {
    fn put_anchor(&self, anchor: &Anchor) -> Result<(), StoreError> {
        self.database.write("put_anchor", |t| {
            t.prepare_cached(
                "INSERT INTO anchors (chain_id, contract, kind, digest, size, block, tx, at_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (chain_id, contract, kind, digest)
                 DO UPDATE SET block = excluded.block, tx = coalesce(excluded.tx, tx)",
            )?
            .execute(params![
                Uint(anchor.chain_id),
                anchor.contract,
                anchor.kind,
                anchor.digest,
                Uint(anchor.size),
                Uint(anchor.block),
                anchor.transaction,
                Uint(anchor.at_ms)
            ])?;
            Ok(())
        })
    }

    fn anchors_of(&self, digest: &Digest, leaf_index: u64) -> Result<Vec<Anchor>, StoreError> {
        self.database.read("anchors_of", |t| {
            let mut statement = t.prepare_cached(&format!(
                "{ANCHOR} WHERE kind <> 'checkpoint' AND digest = ?1
                 OR kind = 'checkpoint' AND size = (
                    SELECT min(other.size) FROM anchors AS other
                    WHERE other.kind = 'checkpoint' AND other.size > ?2
                    AND other.chain_id = anchors.chain_id AND other.contract = anchors.contract)
                 ORDER BY chain_id, contract, kind LIMIT ?3"
            ))?;
            let rows = statement.query_map(params![digest, Uint(leaf_index), PAGE_ROWS_MAX], anchor)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn latest_anchors(&self, limit: u32) -> Result<Vec<Anchor>, StoreError> {
        self.database.read("latest_anchors", |t| {
            let mut statement =
                t.prepare_cached(&format!("{ANCHOR} ORDER BY at_ms DESC, rowid DESC LIMIT ?"))?;
            let rows = statement.query_map([limit.min(PAGE_ROWS_MAX)], anchor)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
