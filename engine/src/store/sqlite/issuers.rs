//! What issuers of credentials published.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::columns::Uint;
use super::{SqliteStore, audit, log};
use crate::audit::Event;
use crate::store::PAGE_ROWS_MAX;
use crate::store::error::StoreError;
use crate::store::issuers::{IssuerPublications, IssuerRecord};

const LATEST: &str =
    "SELECT issuer, max(sequence), organisation, publisher, identity, leaf, leaf_index, word, body,
     at_ms FROM issuer_publications";

fn record(row: &Row<'_>) -> rusqlite::Result<IssuerRecord> {
    Ok(IssuerRecord {
        issuer: row.get(0)?,
        sequence: row.get::<_, Uint>(1)?.0,
        organisation: row.get(2)?,
        publisher: row.get(3)?,
        identity: row.get(4)?,
        leaf: row.get(5)?,
        leaf_index: row.get::<_, Uint>(6)?.0,
        word: row.get(7)?,
        body: row.get(8)?,
        at_ms: row.get::<_, Uint>(9)?.0,
    })
}

/// SQLite takes the other columns of a group from the row with its `max`.
fn latest(transaction: &Transaction<'_>, issuer: &str) -> Result<Option<IssuerRecord>, StoreError> {
    let mut statement = transaction.prepare_cached(&format!("{LATEST} WHERE issuer = ? GROUP BY issuer"))?;
    Ok(statement.query_row([issuer], record).optional()?)
}

fn count(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let count = "SELECT count(DISTINCT issuer) FROM issuer_publications";
    Ok(transaction.query_row(count, [], |row| row.get::<_, Uint>(0))?.0)
}

impl IssuerPublications for SqliteStore {
    fn publish_issuer(&self, new: &IssuerRecord, event: &Event) -> Result<u64, StoreError> {
        self.database.write("publish_issuer", |t| {
            let conflict =
                |reason| StoreError::Conflict { what: "publication", id: new.issuer.clone(), reason };
            let old = latest(t, &new.issuer)?;
            if old.is_none() && count(t)? >= u64::from(PAGE_ROWS_MAX) {
                return Err(conflict("too many issuers publish here"));
            }
            if let Some(old) = old {
                if (&old.organisation, &old.identity) != (&new.organisation, &new.identity) {
                    return Err(conflict("the name is another issuer's"));
                }
                if old.sequence >= new.sequence {
                    return Err(conflict("a later one is there"));
                }
            }
            let leaf = log::append(t, &new.leaf)?;
            t.prepare_cached(
                "INSERT INTO issuer_publications
                 (issuer, sequence, organisation, publisher, identity, leaf, leaf_index, word, body, at_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                new.issuer,
                Uint(new.sequence),
                new.organisation,
                new.publisher,
                new.identity,
                new.leaf,
                Uint(leaf),
                new.word,
                new.body,
                Uint(new.at_ms)
            ])?;
            audit::append(t, event, &self.signer)?;
            Ok(leaf)
        })
    }

    fn issuer_publication(&self, issuer: &str) -> Result<Option<IssuerRecord>, StoreError> {
        self.database.read("issuer_publication", |t| latest(t, issuer))
    }

    fn issuer_publications(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        self.database.read("issuer_publications", |t| {
            let mut statement =
                t.prepare_cached(&format!("{LATEST} GROUP BY issuer ORDER BY issuer LIMIT ?"))?;
            Ok(statement.query_map([PAGE_ROWS_MAX], record)?.collect::<Result<_, _>>()?)
        })
    }
}
