//! Overrides and notices of a hospital.

use rusqlite::{Row, Transaction, params};

use super::columns::Uint;
use super::{SqlitePartyStore, audit};
use crate::audit::Event;
use crate::store::PAGE_ROWS_MAX;
use crate::store::error::StoreError;
use crate::store::overrides::{Notice, Override, Overrides};

const NOTICE: &str = "SELECT seq, json, at_ms, attempts, delivered_ms FROM notices";

fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    Ok(Notice {
        seq: row.get::<_, Uint>(0)?.0,
        json: row.get(1)?,
        at_ms: row.get::<_, Uint>(2)?.0,
        attempts: row.get(3)?,
        delivered_ms: row.get::<_, Option<Uint>>(4)?.map(|at| at.0),
    })
}

fn add(transaction: &Transaction<'_>, json: &str, at_ms: u64) -> Result<(), StoreError> {
    transaction.execute("INSERT INTO notices (json, at_ms) VALUES (?, ?)", params![json, Uint(at_ms)])?;
    Ok(())
}

impl Overrides for SqlitePartyStore {
    fn open_override(&self, opened: &Override, notice: &str, event: &Event) -> Result<(), StoreError> {
        self.database.write("open_override", |t| {
            let added = t.execute(
                "INSERT INTO overrides (id, researcher, reason, opened_by, from_ms, until_ms)
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                params![
                    opened.id,
                    opened.researcher,
                    opened.reason,
                    opened.opened_by,
                    Uint(opened.from_ms),
                    Uint(opened.until_ms)
                ],
            )?;
            if added == 0 {
                let reason = "the id is taken";
                return Err(StoreError::Conflict { what: "override", id: opened.id.clone(), reason });
            }
            add(t, notice, opened.from_ms)?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn close_override(&self, id: &str, at_ms: u64, notice: &str, event: &Event) -> Result<(), StoreError> {
        self.database.write("close_override", |t| {
            let changed = t.execute(
                "UPDATE overrides SET closed_ms = ? WHERE id = ? AND closed_ms IS NULL AND until_ms > ?",
                params![Uint(at_ms), id, Uint(at_ms)],
            )?;
            if changed == 0 {
                return Err(StoreError::NotFound { what: "open override", id: id.to_owned() });
            }
            add(t, notice, at_ms)?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn overrides(&self, limit: u32) -> Result<Vec<Override>, StoreError> {
        self.database.read("overrides", |t| {
            let mut statement = t.prepare_cached(
                "SELECT id, researcher, reason, opened_by, from_ms, until_ms, closed_ms FROM overrides
                 ORDER BY from_ms DESC, id LIMIT ?",
            )?;
            let rows = statement.query_map([limit.min(PAGE_ROWS_MAX)], |row| {
                Ok(Override {
                    id: row.get(0)?,
                    researcher: row.get(1)?,
                    reason: row.get(2)?,
                    opened_by: row.get(3)?,
                    from_ms: row.get::<_, Uint>(4)?.0,
                    until_ms: row.get::<_, Uint>(5)?.0,
                    closed_ms: row.get::<_, Option<Uint>>(6)?.map(|at| at.0),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn add_notice(&self, notice: &str, event: &Event) -> Result<(), StoreError> {
        self.database.write("add_notice", |t| {
            add(t, notice, event.at_ms)?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn notices(&self, after_seq: u64, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.database.read("notices", |t| {
            let mut statement = t.prepare_cached(&format!("{NOTICE} WHERE seq > ? ORDER BY seq LIMIT ?"))?;
            let rows = statement.query_map(params![Uint(after_seq), limit.min(PAGE_ROWS_MAX)], notice)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn notices_due(&self, now_ms: u64, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.database.read("notices_due", |t| {
            let mut statement = t.prepare_cached(&format!(
                "{NOTICE} WHERE delivered_ms IS NULL AND not_before_ms <= ? ORDER BY seq LIMIT ?"
            ))?;
            let rows = statement.query_map(params![Uint(now_ms), limit.min(PAGE_ROWS_MAX)], notice)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn notice_tried(&self, seq: u64, at_ms: u64, again_ms: Option<u64>) -> Result<(), StoreError> {
        self.database.write("notice_tried", |t| {
            match again_ms {
                None => t.execute(
                    "UPDATE notices SET delivered_ms = ? WHERE seq = ?",
                    params![Uint(at_ms), Uint(seq)],
                )?,
                Some(again) => t.execute(
                    "UPDATE notices SET attempts = attempts + 1, not_before_ms = ? WHERE seq = ?",
                    params![Uint(again), Uint(seq)],
                )?,
            };
            Ok(())
        })
    }
}
