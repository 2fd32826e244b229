//! Epochs of the collective key.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::columns::Uint;
use super::{SqliteStore, audit};
use crate::audit::Event;
use crate::store::Epochs;
use crate::store::error::StoreError;
use crate::store::records::{Epoch, EpochState};

const EPOCH: &str =
    "SELECT id, params, participants, threshold, public_key, transcript, state, at_ms FROM epochs";

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: "epoch", reason: error.to_string() }
}

fn one(transaction: &Transaction<'_>, condition: &str, value: &str) -> Result<Option<Epoch>, StoreError> {
    let mut statement = transaction.prepare_cached(&format!("{EPOCH} WHERE {condition}"))?;
    let found = statement.query_row([value], |row| Ok(epoch(row))).optional()?;
    found.transpose()
}

fn epoch(row: &Row<'_>) -> Result<Epoch, StoreError> {
    let participants: String = row.get(2)?;
    Ok(Epoch {
        id: row.get(0)?,
        params: row.get(1)?,
        participants: serde_json::from_str(&participants).map_err(|e| corrupt(&e))?,
        threshold: row.get(3)?,
        public_key: row.get(4)?,
        transcript: row.get(5)?,
        state: row.get(6)?,
        at_ms: row.get::<_, Uint>(7)?.0,
    })
}

impl Epochs for SqliteStore {
    fn add_epoch(&self, epoch: &Epoch, event: &Event) -> Result<(), StoreError> {
        let participants = serde_json::to_string(&epoch.participants).map_err(|e| corrupt(&e))?;
        self.database.write("add_epoch", |t| {
            let added = t.execute(
                "INSERT INTO epochs (id, params, participants, threshold, public_key, transcript, state, at_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                params![
                    epoch.id,
                    epoch.params,
                    participants,
                    epoch.threshold,
                    epoch.public_key,
                    epoch.transcript,
                    epoch.state,
                    Uint(epoch.at_ms)
                ],
            )?;
            if added == 0 {
                let reason = "the id is taken";
                return Err(StoreError::Conflict { what: "epoch", id: epoch.id.clone(), reason });
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn update_epoch(&self, from: EpochState, epoch: &Epoch, event: &Event) -> Result<(), StoreError> {
        if !from.may_become(epoch.state) {
            return Err(StoreError::Invalid { reason: "an epoch may not go from that state to the other" });
        }
        self.database.write("update_epoch", |t| {
            if epoch.state == EpochState::Active {
                t.execute(
                    "UPDATE epochs SET state = 'retired', at_ms = ? WHERE state = 'active'",
                    [Uint(epoch.at_ms)],
                )?;
            }
            let changed = t.execute(
                "UPDATE epochs SET public_key = ?, transcript = ?, state = ?, at_ms = ?
                 WHERE id = ? AND state = ?",
                params![epoch.public_key, epoch.transcript, epoch.state, Uint(epoch.at_ms), epoch.id, from],
            )?;
            if changed == 0 {
                let reason = "it is absent or in another state";
                return Err(StoreError::Conflict { what: "epoch", id: epoch.id.clone(), reason });
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn epoch(&self, id: &str) -> Result<Option<Epoch>, StoreError> {
        self.database.read("epoch", |t| one(t, "id = ?", id))
    }

    fn active_epoch(&self) -> Result<Option<Epoch>, StoreError> {
        self.database.read("active_epoch", |t| one(t, "state = ?", "active"))
    }
}
