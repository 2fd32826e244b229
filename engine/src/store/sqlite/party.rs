//! The party's store.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use zeroize::Zeroizing;

use super::columns::Uint;
use super::{SqlitePartyStore, audit};
use crate::audit::Event;
use crate::identity::{Digest, PublicKey, SealContext};
use crate::ledger::Checkpoint;
use crate::store::PAGE_ROWS_MAX;
use crate::store::error::StoreError;
use crate::store::party::{
    Accepted, Approval, Ceremony, CeremonyState, NewTask, Once, OnceKey, PartyStore, Pinned, Task, TaskState,
};

const TASK: &str = "SELECT job, request_digest, owner, query, approval, at_ms, state FROM tasks";

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    let task = NewTask {
        job: row.get(0)?,
        request_digest: row.get(1)?,
        owner: row.get(2)?,
        query: row.get(3)?,
        approval: row.get(4)?,
        at_ms: row.get::<_, Uint>(5)?.0,
    };
    Ok(Task { task, state: row.get(6)? })
}

fn conflict<T>(what: &'static str, id: &str, reason: &'static str) -> Result<T, StoreError> {
    Err(StoreError::Conflict { what, id: id.to_owned(), reason })
}

fn checkpoint(transaction: &Transaction<'_>) -> Result<Option<Checkpoint>, StoreError> {
    let text: Option<String> =
        transaction.query_row("SELECT text FROM checkpoint WHERE id = 1", [], |row| row.get(0)).optional()?;
    let parsed = text.map(|text| Checkpoint::parse(&text)).transpose();
    parsed.map_err(|e| StoreError::Corrupt { what: "checkpoint", reason: e.to_string() })
}

fn pinned(transaction: &Transaction<'_>, name: &str) -> Result<Option<PublicKey>, StoreError> {
    Ok(transaction.query_row("SELECT key FROM pins WHERE name = ?", [name], |row| row.get(0)).optional()?)
}

impl SqlitePartyStore {
    /// The value of a cell, opened; refused when the cell is bound to something else.
    fn drawn(
        &self,
        transaction: &Transaction<'_>,
        cell: OnceKey<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let found: Option<(Digest, Vec<u8>)> = transaction
            .prepare_cached("SELECT binding, value FROM once WHERE kind = ? AND key = ?")?
            .query_row([cell.kind, cell.key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((binding, sealed)) = found else { return Ok(None) };
        if binding != *cell.binding {
            return Err(StoreError::DrawnOnce { kind: cell.kind.to_owned(), key: cell.key.to_owned() });
        }
        let row = once_row(cell);
        Ok(Some(self.seal.open(SealContext { table: "once", row: &row, column: "value" }, &sealed)?))
    }

    fn update_task(
        &self,
        name: &'static str,
        job: &str,
        event: &Event,
        update: (&str, &dyn rusqlite::ToSql),
    ) -> Result<(), StoreError> {
        let (sql, value) = update;
        self.database.write(name, |t| {
            if t.execute(sql, params![value, job])? == 0 {
                return conflict("task", job, "it is absent or in another state");
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }
}

/// The row of a cell, as it is bound into what is sealed there.
fn once_row(cell: OnceKey<'_>) -> String {
    format!("{}\n{}\n{}", cell.kind, cell.key, cell.binding)
}

fn ceremony_context(id: &str) -> SealContext<'_> {
    SealContext { table: "ceremonies", row: id, column: "secret" }
}

impl PartyStore for SqlitePartyStore {
    fn pin(&self, name: &str, key: &PublicKey, at_ms: u64, event: &Event) -> Result<Pinned, StoreError> {
        self.database.write("pin", |t| {
            match pinned(t, name)? {
                Some(there) if there == *key => return Ok(Pinned::Known),
                Some(_) => return conflict("pin", name, "another key is pinned"),
                None => {}
            }
            t.execute(
                "INSERT INTO pins (name, key, at_ms) VALUES (?, ?, ?)",
                params![name, key, Uint(at_ms)],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(Pinned::New)
        })
    }

    fn pinned(&self, name: &str) -> Result<Option<PublicKey>, StoreError> {
        self.database.read("pinned", |t| pinned(t, name))
    }

    fn unpin(&self, name: &str, event: &Event) -> Result<(), StoreError> {
        self.database.write("unpin", |t| {
            if t.execute("DELETE FROM pins WHERE name = ?", [name])? == 0 {
                return Err(StoreError::NotFound { what: "pin", id: name.to_owned() });
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn put_once(&self, cell: OnceKey<'_>, value: &[u8], event: &Event) -> Result<Once, StoreError> {
        let row = once_row(cell);
        let sealed = self.seal.seal(SealContext { table: "once", row: &row, column: "value" }, value)?;
        self.database.write("put_once", |t| {
            if let Some(existing) = self.drawn(t, cell)? {
                return Ok(Once::Existing(existing));
            }
            t.prepare_cached("INSERT INTO once (kind, key, binding, value) VALUES (?, ?, ?, ?)")?
                .execute(params![cell.kind, cell.key, cell.binding, sealed])?;
            audit::append(t, event, &self.signer)?;
            Ok(Once::Stored)
        })
    }

    fn once(&self, cell: OnceKey<'_>) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.database.read("once", |t| self.drawn(t, cell))
    }

    fn recall(&self, kind: &str, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.database.read("recall", |t| {
            let binding: Option<Digest> = t
                .prepare_cached("SELECT binding FROM once WHERE kind = ? AND key = ?")?
                .query_row(params![kind, key], |row| row.get(0))
                .optional()?;
            let Some(binding) = binding else { return Ok(None) };
            self.drawn(t, OnceKey { kind, key, binding: &binding })
        })
    }

    fn add_ceremony(&self, ceremony: &Ceremony, event: &Event) -> Result<(), StoreError> {
        let sealed = self.seal.seal(ceremony_context(&ceremony.id), &ceremony.secret)?;
        self.database.write("add_ceremony", |t| {
            let added = t.execute(
                "INSERT INTO ceremonies (id, public, secret, state, at_ms) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (id) DO NOTHING",
                params![ceremony.id, ceremony.public, sealed, ceremony.state, Uint(ceremony.at_ms)],
            )?;
            if added == 0 {
                return conflict("ceremony", &ceremony.id, "its secret is drawn once");
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn update_ceremony(
        &self,
        from: CeremonyState,
        id: &str,
        (to, public): (CeremonyState, &str),
        event: &Event,
    ) -> Result<(), StoreError> {
        let empty = self.seal.seal(ceremony_context(id), &[])?;
        self.database.write("update_ceremony", |t| {
            let erased = (to == CeremonyState::Abandoned).then_some(&empty);
            let changed = t.execute(
                "UPDATE ceremonies SET state = ?, public = ?, at_ms = ?, secret = coalesce(?, secret)
                 WHERE id = ? AND state = ?",
                params![to, public, Uint(event.at_ms), erased, id, from],
            )?;
            if changed == 0 {
                return conflict("ceremony", id, "it is absent or in another state");
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn ceremony(&self, id: &str) -> Result<Option<Ceremony>, StoreError> {
        self.database.read("ceremony", |t| {
            let found = t
                .query_row("SELECT public, secret, state, at_ms FROM ceremonies WHERE id = ?", [id], |row| {
                    Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?, row.get::<_, Uint>(3)?.0))
                })
                .optional()?;
            let Some((public, sealed, state, at_ms)) = found else { return Ok(None) };
            let secret = self.seal.open(ceremony_context(id), &sealed)?;
            Ok(Some(Ceremony { id: id.to_owned(), public, secret, state, at_ms }))
        })
    }

    fn accept_task(&self, new: &NewTask, event: &Event) -> Result<Accepted, StoreError> {
        self.database.write("accept_task", |t| {
            let seen: Option<String> = t
                .query_row("SELECT job FROM tasks WHERE request_digest = ?", [&new.request_digest], |row| {
                    row.get(0)
                })
                .optional()?;
            if let Some(seen) = seen.filter(|seen| *seen != new.job) {
                return Err(StoreError::Replay { job: new.job.clone(), seen });
            }
            let there = t.query_row(&format!("{TASK} WHERE job = ?"), [&new.job], task).optional()?;
            match there {
                Some(there) if there.task.request_digest == new.request_digest => {
                    return Ok(Accepted::Again(Box::new(there)));
                }
                Some(_) => return conflict("task", &new.job, "the job came with another request"),
                None => {}
            }
            t.execute(
                "INSERT INTO tasks (job, request_digest, owner, query, approval, state, at_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![
                    new.job,
                    new.request_digest,
                    new.owner,
                    new.query,
                    new.approval,
                    TaskState::Open,
                    Uint(new.at_ms)
                ],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(Accepted::New)
        })
    }

    fn finish_task(&self, job: &str, state: TaskState, event: &Event) -> Result<(), StoreError> {
        if state == TaskState::Open {
            return Err(StoreError::Invalid { reason: "a task does not finish as open" });
        }
        let update = "UPDATE tasks SET state = ? WHERE job = ? AND state = 'open'";
        self.update_task("finish_task", job, event, (update, &state))
    }

    fn decide(&self, job: &str, decision: Approval, event: &Event) -> Result<(), StoreError> {
        if !matches!(decision, Approval::Approved | Approval::Denied) {
            return Err(StoreError::Invalid { reason: "a decision is approved or denied" });
        }
        let update =
            "UPDATE tasks SET approval = ? WHERE job = ? AND approval = 'pending' AND state = 'open'";
        self.update_task("decide", job, event, (update, &decision))
    }

    fn task(&self, job: &str) -> Result<Option<Task>, StoreError> {
        self.database
            .read("task", |t| Ok(t.query_row(&format!("{TASK} WHERE job = ?"), [job], task).optional()?))
    }

    fn tasks(&self, limit: u32) -> Result<Vec<Task>, StoreError> {
        self.database.read("tasks", |t| {
            let mut statement = t.prepare_cached(&format!("{TASK} ORDER BY seq DESC LIMIT ?"))?;
            Ok(statement.query_map([limit.min(PAGE_ROWS_MAX)], task)?.collect::<Result<_, _>>()?)
        })
    }

    fn last_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.database.read("last_checkpoint", checkpoint)
    }

    fn set_checkpoint(
        &self,
        last: Option<&Checkpoint>,
        new: &Checkpoint,
        event: &Event,
    ) -> Result<(), StoreError> {
        if last.is_some_and(|last| new.head.size < last.head.size) {
            return Err(StoreError::Invalid { reason: "a checkpoint smaller than the last one" });
        }
        self.database.write("set_checkpoint", |t| {
            if checkpoint(t)?.as_ref() != last {
                return conflict("checkpoint", &new.origin, "another was seen meanwhile");
            }
            t.execute(
                "INSERT INTO checkpoint (id, text) VALUES (1, ?)
                 ON CONFLICT (id) DO UPDATE SET text = excluded.text",
                [new.to_text()],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }
}
