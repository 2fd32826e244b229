//! Ceremonies of the proof system.

use rusqlite::{Transaction, params};

use super::columns::Uint;
use super::{SqliteStore, audit, jobs, leases};
use crate::store::Setups;
use crate::store::error::StoreError;
use crate::store::job::{JobId, Lease};
use crate::store::setup::{NewSetupRow, SetupRow};

fn count(transaction: &Transaction<'_>, job: &JobId) -> Result<u64, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT count(*) FROM setup_steps WHERE job = ?")?;
    Ok(statement.query_row([job], |row| row.get::<_, Uint>(0))?.0)
}

impl Setups for SqliteStore {
    fn add_setup_row(&self, new: &NewSetupRow<'_>) -> Result<(), StoreError> {
        let conflict = |reason| StoreError::Conflict { what: "ceremony", id: new.job.to_string(), reason };
        self.database.write("add_setup_row", |t| {
            let found = jobs::job(t, new.job)?
                .ok_or_else(|| StoreError::NotFound { what: "job", id: new.job.to_string() })?;
            if found.summary.state.is_terminal() {
                return Err(conflict("it has ended"));
            }
            if let Some(lease) = new.lease {
                leases::hold(t, lease)?;
            }
            if count(t, new.job)? != new.after as u64 {
                return Err(conflict("it went on meanwhile"));
            }
            t.prepare_cached("INSERT INTO setup_steps (job, seq, at_ms, step) VALUES (?, ?, ?, ?)")?
                .execute(params![new.job, Uint(new.after as u64), Uint(new.row.at_ms), new.row.step])?;
            t.prepare_cached("UPDATE jobs SET not_before_ms = 0 WHERE id = ?")?.execute([new.job])?;
            jobs::add_event(t, new.job, found.summary.state, new.event)?;
            audit::append(t, new.audit, &self.signer)?;
            Ok(())
        })
    }

    fn setup_rows(&self, job: &JobId) -> Result<Vec<SetupRow>, StoreError> {
        self.database.read("setup_rows", |t| {
            let mut statement =
                t.prepare_cached("SELECT at_ms, step FROM setup_steps WHERE job = ? ORDER BY seq")?;
            let row =
                |row: &rusqlite::Row<'_>| Ok(SetupRow { at_ms: row.get::<_, Uint>(0)?.0, step: row.get(1)? });
            Ok(statement.query_map([job], row)?.collect::<Result<_, _>>()?)
        })
    }

    fn rest_setup(&self, lease: &Lease, seen: usize, not_before_ms: u64) -> Result<(), StoreError> {
        self.database.write("rest_setup", |t| {
            let until = if count(t, &lease.job)? == seen as u64 { not_before_ms } else { 0 };
            leases::release(t, lease, until)
        })
    }
}
