//! Consents in the party's database.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension as _, Params, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::columns::Uint;
use super::{SqlitePartyStore, audit};
use crate::audit::Event;
use crate::consent::{Artefact, Provenance, Pseudonym, Rule, Status, Validity};
use crate::encoding::canonical_json;
use crate::identity::{Digest, SealContext, Signature};
use crate::store::PAGE_ROWS_MAX;
use crate::store::consent::{
    CONSENT_CLASS, CONSENTS_MAX, ConsentChange, ConsentRoot, ConsentRow, Consents, Recorded,
};
use crate::store::error::StoreError;
use crate::store::keys::{Keyed, RecordKeys as _};
use crate::vault::{DataKey, KeyName, VaultError, Wrapped};

const CONSENT: &str = "SELECT c.number, c.id, c.pseudonym, c.from_ms, c.until_ms, c.status, c.version, c.changed_ms, \
                       c.signature, c.sealed, k.version, k.wrapped FROM consents c \
                       JOIN data_keys k ON k.number = c.data_key";

/// What of an artefact is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub rule: Rule,
    pub provenance: Provenance,
}

/// Where the content of an artefact is sealed.
pub(super) fn content_place(id: &str) -> SealContext<'_> {
    SealContext { table: "consents", row: id, column: "sealed" }
}

/// The row of a status, as it is bound into what is sealed there.
pub(super) fn change_row(id: &str, version: u32) -> String {
    format!("{id}/{version}")
}

/// Where the reason of a status is sealed.
pub(super) fn reason_place(row: &str) -> SealContext<'_> {
    SealContext { table: "consent_changes", row, column: "sealed" }
}

/// A row before it is opened.
struct Raw {
    number: u64,
    id: String,
    pseudonym: Pseudonym,
    validity: Validity,
    status: String,
    version: u32,
    changed_ms: u64,
    signature: [u8; 64],
    sealed: Vec<u8>,
    wrapped: Wrapped,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let moment = |at: usize| row.get::<_, Option<Uint>>(at).map(|moment| moment.map(|moment| moment.0));
    Ok(Raw {
        number: row.get::<_, Uint>(0)?.0,
        id: row.get(1)?,
        pseudonym: Pseudonym(row.get::<_, Digest>(2)?.0),
        validity: Validity { from_ms: moment(3)?, until_ms: moment(4)? },
        status: row.get(5)?,
        version: row.get(6)?,
        changed_ms: row.get::<_, Uint>(7)?.0,
        signature: row.get(8)?,
        sealed: row.get(9)?,
        wrapped: Wrapped { version: row.get(10)?, bytes: row.get(11)? },
    })
}

pub(super) fn corrupt(id: &str, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: "consent", reason: format!("{id}: {reason}") }
}

fn status(id: &str, name: &str) -> Result<Status, StoreError> {
    Status::from_name(name).ok_or_else(|| corrupt(id, "unknown status"))
}

impl Raw {
    fn open(self, key: &DataKey) -> Result<ConsentRow, StoreError> {
        let content = key.open(content_place(&self.id), &self.sealed)?;
        let Content { rule, provenance } =
            serde_json::from_slice(&content).map_err(|_| corrupt(&self.id, "its content is malformed"))?;
        let artefact = Artefact {
            status: status(&self.id, &self.status)?,
            pseudonym: self.pseudonym,
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
) -> Result<Vec<Raw>, StoreError> {
    let mut statement = transaction.prepare_cached(&format!("{CONSENT} {condition}"))?;
    Ok(statement.query_map(parameters, raw)?.collect::<Result<_, _>>()?)
}

/// A status before its reason is opened.
struct RawChange {
    change: u64,
    version: u32,
    status: String,
    at_ms: u64,
    sealed: Option<Vec<u8>>,
    signature: [u8; 64],
}

fn change(row: &Row<'_>) -> rusqlite::Result<RawChange> {
    Ok(RawChange {
        change: row.get::<_, Uint>(0)?.0,
        version: row.get(1)?,
        status: row.get(2)?,
        at_ms: row.get::<_, Uint>(3)?.0,
        sealed: row.get(4)?,
        signature: row.get(5)?,
    })
}

impl RawChange {
    fn open(self, id: &str, key: &DataKey) -> Result<ConsentChange, StoreError> {
        let row = change_row(id, self.version);
        let reason = match &self.sealed {
            None => String::new(),
            Some(sealed) => String::from_utf8_lossy(&key.open(reason_place(&row), sealed)?).into_owned(),
        };
        Ok(ConsentChange {
            change: self.change,
            version: self.version,
            status: status(id, &self.status)?,
            at_ms: self.at_ms,
            reason,
            signature: Signature(self.signature),
        })
    }
}

/// An artefact ready to be written: what is sealed of it, and under which key.
struct Prepared<'a> {
    recorded: &'a Recorded,
    key: u64,
    source: String,
    sealed: Vec<u8>,
    reason: Option<Vec<u8>>,
}

/// Inserts, moves on, or passes over; true when something changed.
fn record(transaction: &Transaction<'_>, prepared: &Prepared<'_>) -> Result<bool, StoreError> {
    let Recorded { artefact, signature, .. } = prepared.recorded;
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
        None if artefact.version == 1 => insert(transaction, prepared)?,
        _ => {
            let reason = "it changed meanwhile";
            return Err(StoreError::Conflict { what: "consent", id: artefact.id.clone(), reason });
        }
    };
    transaction
        .prepare_cached(
            "INSERT INTO consent_changes (number, version, status, at_ms, reason, sealed, signature)
             VALUES (?, ?, ?, ?, '', ?, ?)",
        )?
        .execute(params![
            number,
            artefact.version,
            artefact.status.as_str(),
            Uint(artefact.changed_ms),
            prepared.reason,
            signature.0
        ])?;
    Ok(true)
}

fn insert(transaction: &Transaction<'_>, prepared: &Prepared<'_>) -> Result<Uint, StoreError> {
    let Recorded { artefact, signature, .. } = prepared.recorded;
    // The key may have been erased since it was opened: then nothing is written under it.
    let is_there: bool = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM data_keys WHERE number = ?)")?
        .query_row([Uint(prepared.key)], |row| row.get(0))?;
    if !is_there {
        let reason = "the patient was erased meanwhile";
        return Err(StoreError::Conflict { what: "consent", id: artefact.id.clone(), reason });
    }
    transaction
        .prepare_cached(
            "INSERT INTO consents (id, pseudonym, source, rule, from_ms, until_ms, provenance, status, version,
             changed_ms, signature, data_key, sealed) VALUES (?, ?, ?, '', ?, ?, '', ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            artefact.id,
            Digest(artefact.pseudonym.0),
            prepared.source,
            artefact.validity.from_ms.map(Uint),
            artefact.validity.until_ms.map(Uint),
            artefact.status.as_str(),
            artefact.version,
            Uint(artefact.changed_ms),
            signature.0,
            Uint(prepared.key),
            prepared.sealed
        ])?;
    u64::try_from(transaction.last_insert_rowid()).map(Uint).map_err(|e| corrupt(&artefact.id, e))
}

impl SqlitePartyStore {
    /// The name by which artefacts of a document are found: it says nothing without the seal key.
    pub(super) fn source(&self, source: &str) -> String {
        self.seal.blind("consent-source/1", source).to_string()
    }

    /// Seals a batch, each artefact under its patient's key.
    fn prepare<'a>(&self, batch: &'a [Recorded]) -> Result<Vec<Prepared<'a>>, StoreError> {
        let patients: BTreeSet<Pseudonym> =
            batch.iter().map(|recorded| recorded.artefact.pseudonym).collect();
        let names = patients.iter().map(|who| KeyName::new(*who, CONSENT_CLASS));
        let keys = self.data_keys(&names.collect::<Result<Vec<_>, _>>()?)?;
        let keys: BTreeMap<_, _> = patients.into_iter().zip(keys).collect();
        let prepare = |recorded: &'a Recorded| {
            let artefact = &recorded.artefact;
            let Keyed { number, key } = keys
                .get(&artefact.pseudonym)
                .ok_or(StoreError::Invalid { reason: "an artefact without key" })?;
            let content = Content { rule: artefact.rule.clone(), provenance: artefact.provenance.clone() };
            let content = canonical_json(&content);
            let row = change_row(&artefact.id, artefact.version);
            let reason = Some(&recorded.reason).filter(|reason| !reason.is_empty());
            let reason = reason.map(|reason| key.seal(reason_place(&row), reason.as_bytes())).transpose()?;
            let sealed = key.seal(content_place(&artefact.id), &content)?;
            let source = self.source(&artefact.provenance.source);
            Ok(Prepared { recorded, key: *number, source, sealed, reason })
        };
        batch.iter().map(prepare).collect()
    }

    fn open_rows(&self, raws: Vec<Raw>) -> Result<Vec<ConsentRow>, StoreError> {
        let name = |raw: &Raw| Ok((KeyName::new(raw.pseudonym, CONSENT_CLASS)?, raw.wrapped.clone()));
        let keys = self.unwrap_keys(&raws.iter().map(name).collect::<Result<Vec<_>, VaultError>>()?)?;
        raws.into_iter().zip(&keys).map(|(raw, key)| raw.open(key)).collect()
    }

    /// The artefacts that a condition selects, opened.
    fn opened(
        &self,
        operation: &'static str,
        condition: &str,
        parameters: impl Params,
    ) -> Result<Vec<ConsentRow>, StoreError> {
        let raws = self.database.read(operation, |t| rows(t, condition, parameters))?;
        self.open_rows(raws)
    }
}

impl Consents for SqlitePartyStore {
    fn record_consents(&self, batch: &[Recorded], event: &Event) -> Result<u64, StoreError> {
        if batch.len() > CONSENTS_MAX as usize {
            return Err(StoreError::Invalid { reason: "too many consents for one transaction" });
        }
        let prepared = self.prepare(batch)?;
        self.database.write("record_consents", |t| {
            let mut changed = 0;
            for prepared in &prepared {
                changed += u64::from(record(t, prepared)?);
            }
            audit::append(t, event, &self.signer)?;
            Ok(changed)
        })
    }

    fn consent(&self, id: &str) -> Result<Option<ConsentRow>, StoreError> {
        Ok(self.opened("consent", "WHERE c.id = ?", [id])?.pop())
    }

    fn consents_of(&self, pseudonym: &Pseudonym) -> Result<Vec<ConsentRow>, StoreError> {
        let condition = "WHERE c.pseudonym = ? ORDER BY c.number";
        self.opened("consents_of", condition, [Digest(pseudonym.0)])
    }

    fn consents_from(&self, source: &str) -> Result<Vec<ConsentRow>, StoreError> {
        self.opened("consents_from", "WHERE c.source = ? ORDER BY c.number", [self.source(source)])
    }

    fn consents(&self, after: u64, limit: u32) -> Result<Vec<ConsentRow>, StoreError> {
        let condition = "WHERE c.number > ? ORDER BY c.number LIMIT ?";
        self.opened("consents", condition, params![Uint(after), limit.min(CONSENTS_MAX)])
    }

    fn consents_changed(&self, after: u64, limit: u32) -> Result<Vec<(u64, ConsentRow)>, StoreError> {
        let sql = format!(
            "{}, h.change FROM consent_changes h JOIN consents c ON c.number = h.number
             JOIN data_keys k ON k.number = c.data_key WHERE h.change > ? ORDER BY h.change LIMIT ?",
            CONSENT.split(" FROM ").next().unwrap_or_default()
        );
        let (changes, raws): (Vec<u64>, Vec<Raw>) = self.database.read("consents_changed", |t| {
            let mut statement = t.prepare_cached(&sql)?;
            let found = statement.query_map(params![Uint(after), limit.min(CONSENTS_MAX)], |row| {
                Ok((row.get::<_, Uint>(12)?.0, raw(row)?))
            })?;
            Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
        })?;
        Ok(changes.into_iter().zip(self.open_rows(raws)?).collect())
    }

    fn last_consent_change(&self) -> Result<u64, StoreError> {
        self.database.read("last_consent_change", |t| {
            // Not the last row's: an erasure counts, and leaves no row.
            let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'consent_changes'";
            Ok(t.query_row(sql, [], |row| row.get(0)).map(|Uint(change)| change)?)
        })
    }

    fn consents_over(&self, now_ms: u64, limit: u32) -> Result<Vec<ConsentRow>, StoreError> {
        let condition = "WHERE c.until_ms <= ? AND c.status IN ('requested', 'granted', 'denied')
                         ORDER BY c.number LIMIT ?";
        self.opened("consents_over", condition, params![Uint(now_ms), limit.min(CONSENTS_MAX)])
    }

    fn consent_history(&self, id: &str) -> Result<Vec<ConsentChange>, StoreError> {
        let (key, raws) = self.database.read("consent_history", |t| {
            let key = t
                .prepare_cached(
                    "SELECT c.pseudonym, k.version, k.wrapped FROM consents c
                     JOIN data_keys k ON k.number = c.data_key WHERE c.id = ?",
                )?
                .query_row([id], |row| {
                    let wrapped = Wrapped { version: row.get(1)?, bytes: row.get(2)? };
                    Ok((Pseudonym(row.get::<_, Digest>(0)?.0), wrapped))
                })
                .optional()?;
            let mut statement = t.prepare_cached(
                "SELECT h.change, h.version, h.status, h.at_ms, h.sealed, h.signature
                 FROM consent_changes h JOIN consents c ON c.number = h.number
                 WHERE c.id = ? ORDER BY h.version",
            )?;
            let found = statement.query_map([id], change)?.collect::<Result<Vec<_>, _>>()?;
            Ok((key, found))
        })?;
        let Some((who, wrapped)) = key else { return Ok(Vec::new()) };
        let keys = self.unwrap_keys(&[(KeyName::new(who, CONSENT_CLASS)?, wrapped)])?;
        let [key] = keys.as_slice() else { return Err(corrupt(id, "it has no key")) };
        raws.into_iter().map(|raw| raw.open(id, key)).collect()
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
