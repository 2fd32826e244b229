//! Consents in the party's database.

use rusqlite::{OptionalExtension as _, Params, Row, Transaction, params};

use super::columns::Uint;
use super::{SqlitePartyStore, audit};
use crate::audit::Event;
use crate::consent::{Artefact, Provenance, Pseudonym, Rule, Status, Validity};
use crate::identity::{Digest, Signature};
use crate::store::PAGE_ROWS_MAX;
use crate::store::consent::{CONSENTS_MAX, ConsentChange, ConsentRoot, ConsentRow, Consents, Recorded};
use crate::store::error::StoreError;

const CONSENT: &str = "SELECT c.number, c.id, c.pseudonym, c.rule, c.from_ms, c.until_ms, c.provenance, c.status, \
                       c.version, c.changed_ms, c.signature FROM consents c";

/// A row before its JSON is read.
struct Raw {
    number: u64,
    id: String,
    pseudonym: Digest,
    rule: String,
    validity: Validity,
    provenance: String,
    status: String,
    version: u32,
    changed_ms: u64,
    signature: [u8; 64],
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let moment = |at: usize| row.get::<_, Option<Uint>>(at).map(|moment| moment.map(|moment| moment.0));
    Ok(Raw {
        number: row.get::<_, Uint>(0)?.0,
        id: row.get(1)?,
        pseudonym: row.get(2)?,
        rule: row.get(3)?,
        validity: Validity { from_ms: moment(4)?, until_ms: moment(5)? },
        provenance: row.get(6)?,
        status: row.get(7)?,
        version: row.get(8)?,
        changed_ms: row.get::<_, Uint>(9)?.0,
        signature: row.get(10)?,
    })
}

fn corrupt(id: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: "consent", reason: format!("{id}: {reason}") }
}

fn status(id: &str, name: &str) -> Result<Status, StoreError> {
    Status::from_name(name).ok_or_else(|| corrupt(id, "unknown status"))
}

impl Raw {
    fn read(self) -> Result<ConsentRow, StoreError> {
        let rule: Rule = serde_json::from_str(&self.rule).map_err(|e| corrupt(&self.id, e))?;
        let provenance: Provenance =
            serde_json::from_str(&self.provenance).map_err(|e| corrupt(&self.id, e))?;
        let artefact = Artefact {
            status: status(&self.id, &self.status)?,
            pseudonym: Pseudonym(self.pseudonym.0),
            rule,
            validity: self.validity,
            provenance,
            version: self.version,
            changed_ms: self.changed_ms,
            id: self.id,
        };
        Ok(ConsentRow { number: self.number, artefact, signature: Signature(self.signature) })
    }
}

fn rows(
    transaction: &Transaction<'_>,
    condition: &str,
    parameters: impl Params,
) -> Result<Vec<ConsentRow>, StoreError> {
    let mut statement = transaction.prepare_cached(&format!("{CONSENT} {condition}"))?;
    let found: Vec<Raw> = statement.query_map(parameters, raw)?.collect::<Result<_, _>>()?;
    found.into_iter().map(Raw::read).collect()
}

/// Inserts, moves on, or passes over; true when something changed.
fn record(transaction: &Transaction<'_>, recorded: &Recorded) -> Result<bool, StoreError> {
    let Recorded { artefact, signature, reason } = recorded;
    let known: Option<(Uint, u32)> = transaction
        .prepare_cached("SELECT number, version FROM consents WHERE id = ?")?
        .query_row([&artefact.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let number = match known {
        Some((_, version)) if version >= artefact.version => return Ok(false),
        Some((number, version)) if version + 1 == artefact.version => {
            transaction
                .prepare_cached(
                    "UPDATE consents SET status = ?, version = ?, changed_ms = ?, signature = ? WHERE number = ?",
                )?
                .execute(params![
                    artefact.status.as_str(),
                    artefact.version,
                    Uint(artefact.changed_ms),
                    signature.0,
                    number
                ])?;
            number
        }
        None if artefact.version == 1 => insert(transaction, artefact, signature)?,
        _ => {
            let reason = "it changed meanwhile";
            return Err(StoreError::Conflict { what: "consent", id: artefact.id.clone(), reason });
        }
    };
    transaction
        .prepare_cached(
            "INSERT INTO consent_changes (number, version, status, at_ms, reason, signature)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            number,
            artefact.version,
            artefact.status.as_str(),
            Uint(artefact.changed_ms),
            reason,
            signature.0
        ])?;
    Ok(true)
}

fn insert(
    transaction: &Transaction<'_>,
    artefact: &Artefact,
    signature: &Signature,
) -> Result<Uint, StoreError> {
    let json = |e: serde_json::Error| corrupt(&artefact.id, e);
    let rule = serde_json::to_string(&artefact.rule).map_err(json)?;
    let provenance = serde_json::to_string(&artefact.provenance).map_err(json)?;
    transaction
        .prepare_cached(
            "INSERT INTO consents (id, pseudonym, source, rule, from_ms, until_ms, provenance, status, version,
             changed_ms, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            artefact.id,
            Digest(artefact.pseudonym.0),
            artefact.provenance.source,
            rule,
            artefact.validity.from_ms.map(Uint),
            artefact.validity.until_ms.map(Uint),
            provenance,
            artefact.status.as_str(),
            artefact.version,
            Uint(artefact.changed_ms),
            signature.0
        ])?;
    u64::try_from(transaction.last_insert_rowid()).map(Uint).map_err(|e| corrupt(&artefact.id, e))
}

impl Consents for SqlitePartyStore {
    fn record_consents(&self, batch: &[Recorded], event: &Event) -> Result<u64, StoreError> {
        if batch.len() > CONSENTS_MAX as usize {
            return Err(StoreError::Invalid { reason: "too many consents for one transaction" });
        }
        self.database.write("record_consents", |t| {
            let mut changed = 0;
            for recorded in batch {
                changed += u64::from(record(t, recorded)?);
            }
            audit::append(t, event, &self.signer)?;
            Ok(changed)
        })
    }

    fn consent(&self, id: &str) -> Result<Option<ConsentRow>, StoreError> {
        self.database.read("consent", |t| Ok(rows(t, "WHERE c.id = ?", [id])?.pop()))
    }

    fn consents_of(&self, pseudonym: &Pseudonym) -> Result<Vec<ConsentRow>, StoreError> {
        let condition = "WHERE c.pseudonym = ? ORDER BY c.number";
        self.database.read("consents_of", |t| rows(t, condition, [Digest(pseudonym.0)]))
    }

    fn consents_from(&self, source: &str) -> Result<Vec<ConsentRow>, StoreError> {
        self.database.read("consents_from", |t| rows(t, "WHERE c.source = ? ORDER BY c.number", [source]))
    }

    fn consents(&self, after: u64, limit: u32) -> Result<Vec<ConsentRow>, StoreError> {
        let condition = "WHERE c.number > ? ORDER BY c.number LIMIT ?";
        self.database.read("consents", |t| rows(t, condition, params![Uint(after), limit.min(CONSENTS_MAX)]))
    }

    fn consents_changed(&self, after: u64, limit: u32) -> Result<Vec<(u64, ConsentRow)>, StoreError> {
        let sql = format!(
            "{}, h.change FROM consent_changes h JOIN consents c ON c.number = h.number
             WHERE h.change > ? ORDER BY h.change LIMIT ?",
            CONSENT.trim_end_matches(" FROM consents c")
        );
        self.database.read("consents_changed", |t| {
            let mut statement = t.prepare_cached(&sql)?;
            let found: Vec<(u64, Raw)> = statement
                .query_map(params![Uint(after), limit.min(CONSENTS_MAX)], |row| {
                    Ok((row.get::<_, Uint>(11)?.0, raw(row)?))
                })?
                .collect::<Result<_, _>>()?;
            found.into_iter().map(|(change, raw)| Ok((change, raw.read()?))).collect()
        })
    }

    fn last_consent_change(&self) -> Result<u64, StoreError> {
        self.database.read("last_consent_change", |t| {
            let last =
                t.query_row("SELECT coalesce(max(change), 0) FROM consent_changes", [], |row| row.get(0));
            Ok(last.map(|Uint(change)| change)?)
        })
    }

    fn consents_over(&self, now_ms: u64, limit: u32) -> Result<Vec<ConsentRow>, StoreError> {
        let condition = "WHERE c.until_ms <= ? AND c.status IN ('requested', 'granted', 'denied')
                         ORDER BY c.number LIMIT ?";
        self.database
            .read("consents_over", |t| rows(t, condition, params![Uint(now_ms), limit.min(CONSENTS_MAX)]))
    }

    fn consent_history(&self, id: &str) -> Result<Vec<ConsentChange>, StoreError> {
        self.database.read("consent_history", |t| {
            let mut statement = t.prepare_cached(
                "SELECT h.change, h.version, h.status, h.at_ms, h.reason, h.signature
                 FROM consent_changes h JOIN consents c ON c.number = h.number
                 WHERE c.id = ? ORDER BY h.version",
            )?;
            let mut found = statement.query([id])?;
            let mut history = Vec::new();
            while let Some(row) = found.next()? {
                history.push(ConsentChange {
                    change: row.get::<_, Uint>(0)?.0,
                    version: row.get(1)?,
                    status: status(id, &row.get::<_, String>(2)?)?,
                    at_ms: row.get::<_, Uint>(3)?.0,
                    reason: row.get(4)?,
                    signature: Signature(row.get(5)?),
                });
            }
            Ok(history)
        })
    }

    fn add_consent_root(&self, root: &ConsentRoot, event: &Event) -> Result<(), StoreError> {
        self.database.write("add_consent_root", |t| {
            let inserted = t.execute(
                "INSERT OR IGNORE INTO consent_roots (version, change, consents, root, at_ms, signature)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    Uint(root.version),
                    Uint(root.change),
                    Uint(root.consents),
                    root.root,
                    Uint(root.at_ms),
                    root.signature.0
                ],
            )?;
            if inserted == 0 {
                let (id, reason) = (root.version.to_string(), "another root has that version");
                return Err(StoreError::Conflict { what: "consent root", id, reason });
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn consent_roots(&self, limit: u32) -> Result<Vec<ConsentRoot>, StoreError> {
        self.database.read("consent_roots", |t| {
            let mut statement = t.prepare_cached(
                "SELECT version, change, consents, root, at_ms, signature FROM consent_roots
                 ORDER BY version DESC LIMIT ?",
            )?;
            let found = statement.query_map([limit.min(PAGE_ROWS_MAX)], |row| {
                Ok(ConsentRoot {
                    version: row.get::<_, Uint>(0)?.0,
                    change: row.get::<_, Uint>(1)?.0,
                    consents: row.get::<_, Uint>(2)?.0,
                    root: row.get(3)?,
                    at_ms: row.get::<_, Uint>(4)?.0,
                    signature: Signature(row.get(5)?),
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }
}
