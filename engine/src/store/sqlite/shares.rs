//! Shares and grants in the party's database.

use rusqlite::{Row, Transaction, params};

use super::columns::Uint;
use super::messages::row_of;
use super::{SqlitePartyStore, audit};
use crate::audit::Event;
use crate::consent::Pseudonym;
use crate::identity::Digest;
use crate::store::error::StoreError;
use crate::store::keys::{Keyed, RecordKeys as _};
use crate::store::shares::{GrantRow, SealedItem, ShareRow, Shares};
use crate::vault::{DataKey, KeyName};

const SHARE: &str = "SELECT s.id, k.pseudonym, k.class, k.number, s.what, s.purpose, s.recipient, s.house, s.policy, \
                     s.at_ms FROM shares s JOIN data_keys k ON k.number = s.data_key";

fn share(row: &Row<'_>) -> rusqlite::Result<ShareRow> {
    Ok(ShareRow {
        id: row.get(0)?,
        patient: Pseudonym(row.get::<_, Digest>(1)?.0),
        class: row.get(2)?,
        key: row.get::<_, Uint>(3)?.0,
        what: row.get(4)?,
        purpose: row.get(5)?,
        recipient: row.get(6)?,
        house: row.get(7)?,
        policy: row.get(8)?,
        at_ms: row.get::<_, Uint>(9)?.0,
    })
}

/// Refuses a decision over what is not so any more.
fn still(
    transaction: &Transaction<'_>,
    sql: &str,
    house: Option<Digest>,
    seen: u64,
) -> Result<(), StoreError> {
    let now: u64 = match house {
        Some(house) => transaction.query_row(sql, [house], |row| row.get::<_, Uint>(0))?.0,
        None => transaction.query_row(sql, [], |row| row.get::<_, Uint>(0))?.0,
    };
    match now == seen {
        true => Ok(()),
        false => {
            let reason = "consents, shares or grants changed meanwhile".to_owned();
            Err(StoreError::Database { operation: "share", reason, retry: true })
        }
    }
}

const CHANGE: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'consent_changes'";

impl SqlitePartyStore {
    fn append_all(&self, transaction: &Transaction<'_>, events: &[Event]) -> Result<(), StoreError> {
        events.iter().try_for_each(|event| audit::append(transaction, event, &self.signer).map(drop))
    }
}

impl Shares for SqlitePartyStore {
    fn add_share(
        &self,
        new: &ShareRow,
        (change, grants): (u64, u64),
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.database.write("add_share", |t| {
            still(t, CHANGE, None, change)?;
            if let Some(house) = new.house {
                still(t, "SELECT count(*) FROM share_grants WHERE house = ?", Some(house), grants)?;
            }
            let added = t.execute(
                "INSERT INTO shares (id, data_key, what, purpose, recipient, house, policy, at_ms)
                 SELECT ?, number, ?, ?, ?, ?, ?, ? FROM data_keys WHERE number = ?",
                params![
                    new.id,
                    new.what,
                    new.purpose,
                    new.recipient,
                    new.house,
                    new.policy,
                    Uint(new.at_ms),
                    Uint(new.key)
                ],
            )?;
            if added == 0 {
                let reason = "the patient was erased meanwhile";
                return Err(StoreError::Conflict { what: "share", id: new.id.clone(), reason });
            }
            self.append_all(t, events)
        })
    }

    fn shares(
        &self,
        patient: Option<&Pseudonym>,
        house: Option<&Digest>,
    ) -> Result<Vec<ShareRow>, StoreError> {
        let patient = patient.map(|patient| Digest(patient.0));
        self.database.read("shares", |t| {
            let mut statement = t.prepare_cached(&format!(
                "{SHARE} WHERE (?1 IS NULL OR k.pseudonym = ?1) AND (?2 IS NULL OR s.house = ?2) ORDER BY s.at_ms, s.id"
            ))?;
            Ok(statement.query_map(params![patient, house], share)?.collect::<Result<_, _>>()?)
        })
    }

    fn add_grant(
        &self,
        grant: &GrantRow,
        (change, shares): (u64, u64),
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.database.write("add_grant", |t| {
            still(t, CHANGE, None, change)?;
            still(t, "SELECT count(*) FROM shares WHERE house = ?", Some(grant.house), shares)?;
            t.execute(
                "INSERT INTO share_grants (house, recipient_id, recipient, purpose, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (house, recipient_id) DO UPDATE SET recipient = ?3, purpose = ?4, at_ms = ?5",
                params![grant.house, grant.recipient_id, grant.recipient, grant.purpose, Uint(grant.at_ms)],
            )?;
            self.append_all(t, events)
        })
    }

    fn grants(&self, house: &Digest) -> Result<Vec<GrantRow>, StoreError> {
        self.database.read("share_grants", |t| {
            let sql =
                "SELECT house, recipient_id, recipient, purpose, at_ms FROM share_grants WHERE house = ?
                       ORDER BY at_ms, recipient_id";
            let mut statement = t.prepare_cached(sql)?;
            let found = statement.query_map([house], |row| {
                Ok(GrantRow {
                    house: row.get(0)?,
                    recipient_id: row.get(1)?,
                    recipient: row.get(2)?,
                    purpose: row.get(3)?,
                    at_ms: row.get::<_, Uint>(4)?.0,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    fn sealed_items(
        &self,
        patient: &Pseudonym,
        class: &str,
        limit: u32,
    ) -> Result<Option<(u64, DataKey, Vec<SealedItem>)>, StoreError> {
        let Some(Keyed { number, key }) = self.known_key(&KeyName::new(*patient, class)?)? else {
            return Ok(None);
        };
        let items = self.database.read("sealed_items", |t| {
            let sql = "SELECT kind, key, fields FROM hl7_items WHERE data_key = ? AND fields IS NOT NULL
                       ORDER BY kind, key LIMIT ?";
            let mut statement = t.prepare_cached(sql)?;
            let found = statement.query_map(params![Uint(number), limit], |row| {
                let (kind, key): (String, Digest) = (row.get(0)?, row.get(1)?);
                Ok(SealedItem { row: row_of(&kind, &key), sealed: row.get(2)? })
            })?;
            Ok(found.collect::<Result<Vec<_>, _>>()?)
        })?;
        Ok(Some((number, key, items)))
    }
}
