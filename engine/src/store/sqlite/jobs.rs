//! Jobs: submission, reading, moves, events, parts, receipts. Leases are next door.

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::columns::Uint;
use super::{SqliteStore, audit, leases, log, registrations};
use crate::audit::Event;
use crate::identity::Digest;
use crate::store::error::StoreError;
use crate::store::job::{
    Conclusion, Job, JobEvent, JobEventRow, JobFilter, JobId, JobState, JobSummary, Lease, Leased, Message,
    Moved, NewJob, Part, PutPart, Submitted, Transition,
};
use crate::store::{Jobs, PAGE_ROWS_MAX};

const SUMMARY: &str = "SELECT id, kind, state, owner, request_digest, result_key, created_ms, deadline_ms, \
                       attempt, lease_fence, conclusion, leaf_index, request, plan, context FROM jobs";

fn summary(row: &Row<'_>) -> Result<JobSummary, StoreError> {
    let conclusion: Option<String> = row.get(10)?;
    let conclusion = conclusion.map(|json| serde_json::from_str::<Conclusion>(&json)).transpose();
    Ok(JobSummary {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        owner: row.get(3)?,
        request_digest: row.get(4)?,
        result_key: row.get(5)?,
        created_ms: row.get::<_, Uint>(6)?.0,
        deadline_ms: row.get::<_, Uint>(7)?.0,
        attempt: row.get(8)?,
        fence: row.get::<_, Uint>(9)?.0,
        conclusion: conclusion
            .map_err(|e| StoreError::Corrupt { what: "conclusion", reason: e.to_string() })?,
        leaf_index: row.get::<_, Option<Uint>>(11)?.map(|index| index.0),
    })
}

/// The job of that id, within a transaction.
pub(super) fn job(transaction: &Transaction<'_>, id: &JobId) -> Result<Option<Job>, StoreError> {
    let mut statement = transaction.prepare_cached(&format!("{SUMMARY} WHERE id = ?"))?;
    let found = statement
        .query_row([id], |row| {
            let (request, plan, context) = (row.get(12)?, row.get(13)?, row.get::<_, String>(14)?);
            Ok((summary(row), request, plan, context))
        })
        .optional()?;
    let Some((summary, request, plan, context)) = found else { return Ok(None) };
    let context = serde_json::from_str(&context)
        .map_err(|e| StoreError::Corrupt { what: "circumstances of a job", reason: e.to_string() })?;
    Ok(Some(Job { summary: summary?, request, plan, context }))
}

fn one(transaction: &Transaction<'_>, tail: &str, key: &Digest) -> Result<Option<JobSummary>, StoreError> {
    let mut statement = transaction.prepare_cached(&format!("{SUMMARY} {tail}"))?;
    statement.query_row([key], |row| Ok(summary(row))).optional()?.transpose()
}

/// Adds an event, within a transaction; returns its number.
pub(super) fn add_event(
    transaction: &Transaction<'_>,
    id: &JobId,
    state: JobState,
    event: &JobEvent,
) -> Result<u64, StoreError> {
    let seq = transaction
        .prepare_cached("SELECT coalesce(max(seq), 0) + 1 FROM job_events WHERE job = ?")?
        .query_row([id], |row| row.get::<_, Uint>(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO job_events (job, seq, at_ms, state, party, step, detail)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![id, seq, Uint(event.at_ms), state, event.party, event.step, event.detail])?;
    Ok(seq.0)
}

/// The arguments of a move fit together.
fn check(transition: &Transition<'_>) -> Result<(), StoreError> {
    let invalid = |reason| Err(StoreError::Invalid { reason });
    if transition.to == JobState::Cancelled {
        return invalid("a job is cancelled by its owner, not moved");
    }
    if transition.conclusion.is_some() != transition.to.is_terminal() {
        return invalid("a conclusion belongs to a terminal state, and to every one");
    }
    if transition.commitment.is_some() && transition.to != JobState::Done {
        return invalid("a commitment belongs to a job that is done");
    }
    if !transition.registrations.is_empty() && transition.to != JobState::Done {
        return invalid("registrations belong to a job that is done");
    }
    Ok(())
}

fn json(conclusion: Option<&Conclusion>) -> Result<Option<String>, StoreError> {
    let text = conclusion.map(serde_json::to_string).transpose();
    text.map_err(|e| StoreError::Corrupt { what: "conclusion", reason: e.to_string() })
}

fn move_job(
    transaction: &Transaction<'_>,
    transition: &Transition<'_>,
    signer: &crate::identity::Identity,
) -> Result<Moved, StoreError> {
    let Transition { lease, from, to, .. } = *transition;
    let actual = leases::hold(transaction, lease)?;
    if actual != from || !from.may_become(to) {
        return Err(StoreError::IllegalMove { job: lease.job.clone(), from, to, actual });
    }
    let leaf = transition.commitment.map(|entry| log::append(transaction, entry)).transpose()?;
    for registration in transition.registrations {
        registrations::register(transaction, &lease.job, registration, signer)?;
    }
    let begins = u32::from(to == JobState::Waiting);
    let attempt = transaction
        .prepare_cached(
            "UPDATE jobs SET state = ?, attempt = attempt + ?, conclusion = ?, leaf_index = ?
             WHERE id = ? RETURNING attempt",
        )?
        .query_row(params![to, begins, json(transition.conclusion)?, leaf.map(Uint), lease.job], |row| {
            row.get(0)
        })?;
    if to.is_terminal() {
        leases::end(transaction, &lease.job)?;
    }
    let event_seq = add_event(transaction, &lease.job, to, transition.event)?;
    audit::append(transaction, transition.audit, signer)?;
    log::send(transaction, transition.message)?;
    Ok(Moved { event_seq, attempt, leaf_index: leaf })
}

impl Jobs for SqliteStore {
    fn submit(&self, new: &NewJob, event: &Event, message: &Message) -> Result<Submitted, StoreError> {
        let context = serde_json::to_string(&new.context)
            .map_err(|e| StoreError::Corrupt { what: "circumstances of a job", reason: e.to_string() })?;
        self.database.write("submit", |t| {
            if let Some(there) = one(t, "WHERE request_digest = ?", &new.request_digest)? {
                return Ok(Submitted::Existing(Box::new(there)));
            }
            let added = t.execute(
                "INSERT INTO jobs (id, kind, state, owner, request, request_digest, plan, result_key,
                    created_ms, deadline_ms, context) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT (id) DO NOTHING",
                params![
                    new.id,
                    new.kind,
                    JobState::Queued,
                    new.owner,
                    new.request,
                    new.request_digest,
                    new.plan,
                    new.result_key,
                    Uint(new.created_ms),
                    Uint(new.deadline_ms),
                    context
                ],
            )?;
            if added == 0 {
                let reason = "the id is taken";
                return Err(StoreError::Conflict { what: "job", id: new.id.to_string(), reason });
            }
            let submitted =
                JobEvent { at_ms: new.created_ms, step: "submit".to_owned(), ..JobEvent::default() };
            add_event(t, &new.id, JobState::Queued, &submitted)?;
            audit::append(t, event, &self.signer)?;
            log::send(t, message)?;
            Ok(Submitted::New)
        })
    }

    fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.database.read("job", |t| job(t, id))
    }

    fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobSummary>, StoreError> {
        let limit = if filter.limit == 0 { PAGE_ROWS_MAX } else { filter.limit.min(PAGE_ROWS_MAX) };
        self.database.read("jobs", |t| {
            let mut statement = t.prepare_cached(&format!(
                "{SUMMARY} WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR state = ?2)
                 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4"
            ))?;
            let rows = statement
                .query_map(params![filter.owner, filter.state, filter.before, limit], |row| {
                    Ok(summary(row))
                })?;
            rows.map(|row| row?).collect()
        })
    }

    fn find_result(&self, result_key: &Digest) -> Result<Option<JobSummary>, StoreError> {
        let tail = "WHERE result_key = ? AND state = 'done' ORDER BY id DESC LIMIT 1";
        self.database.read("find_result", |t| one(t, tail, result_key))
    }

    fn lease(&self, worker: &str, now_ms: u64, ttl_ms: u64) -> Result<Option<Leased>, StoreError> {
        self.database.write("lease", |t| leases::take(t, worker, now_ms, ttl_ms))
    }

    fn renew(&self, lease: &Lease, until_ms: u64) -> Result<(), StoreError> {
        self.database.write("renew", |t| leases::renew(t, lease, until_ms))
    }

    fn release(&self, lease: &Lease, not_before_ms: u64) -> Result<(), StoreError> {
        self.database.write("release", |t| leases::release(t, lease, not_before_ms))
    }

    fn end_leases(&self) -> Result<(), StoreError> {
        self.database.write("end_leases", leases::end_all)
    }

    fn transition(&self, transition: &Transition<'_>) -> Result<Moved, StoreError> {
        check(transition)?;
        self.database.write("transition", |t| move_job(t, transition, &self.signer))
    }

    fn cancel(
        &self,
        id: &JobId,
        event: &JobEvent,
        audit_event: &Event,
        message: &Message,
    ) -> Result<(), StoreError> {
        let code = "job.cancelled".to_owned();
        let conclusion = Conclusion { code, message: event.detail.clone(), ..Conclusion::default() };
        self.database.write("cancel", |t| {
            let found =
                job(t, id)?.ok_or_else(|| StoreError::NotFound { what: "job", id: id.to_string() })?;
            let (actual, to) = (found.summary.state, JobState::Cancelled);
            if !actual.may_become(to) {
                return Err(StoreError::IllegalMove { job: id.clone(), from: actual, to, actual });
            }
            t.execute(
                "UPDATE jobs SET state = ?, conclusion = ? WHERE id = ?",
                params![to, json(Some(&conclusion))?, id],
            )?;
            leases::end(t, id)?;
            add_event(t, id, to, event)?;
            audit::append(t, audit_event, &self.signer)?;
            log::send(t, message)
        })
    }

    fn progress(&self, lease: &Lease, event: &JobEvent) -> Result<u64, StoreError> {
        self.database.write("progress", |t| {
            let state = leases::hold(t, lease)?;
            add_event(t, &lease.job, state, event)
        })
    }

    fn events(&self, id: &JobId, after_seq: u64, limit: u32) -> Result<Vec<JobEventRow>, StoreError> {
        self.database.read("events", |t| {
            let mut statement = t.prepare_cached(
                "SELECT seq, state, at_ms, party, step, detail FROM job_events
                 WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?",
            )?;
            let rows =
                statement.query_map(params![id, Uint(after_seq), limit.min(PAGE_ROWS_MAX)], |row| {
                    let event = JobEvent {
                        at_ms: row.get::<_, Uint>(2)?.0,
                        party: row.get(3)?,
                        step: row.get(4)?,
                        detail: row.get(5)?,
                    };
                    Ok(JobEventRow { seq: row.get::<_, Uint>(0)?.0, state: row.get(1)?, event })
                })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn put_part(&self, lease: &Lease, part: &Part) -> Result<PutPart, StoreError> {
        if part.job != lease.job {
            return Err(StoreError::Invalid { reason: "the part is of another job than the lease" });
        }
        self.database.write("put_part", |t| {
            leases::hold(t, lease)?;
            let there: Option<Digest> = t
                .prepare_cached("SELECT digest FROM job_parts WHERE job = ? AND step = ? AND party = ?")?
                .query_row(params![part.job, part.step, part.party], |row| row.get(0))
                .optional()?;
            match there {
                Some(digest) if digest == part.digest => return Ok(PutPart::Existing),
                Some(_) => {
                    let id = format!("{}/{}/{}", part.job, part.step, part.party);
                    let reason = "another part is kept for this step";
                    return Err(StoreError::Conflict { what: "part", id, reason });
                }
                None => {}
            }
            t.prepare_cached(
                "INSERT INTO job_parts (job, step, party, attempt, digest, blob, header)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                part.job,
                part.step,
                part.party,
                part.attempt,
                part.digest,
                part.blob,
                part.header
            ])?;
            Ok(PutPart::Stored)
        })
    }

    fn parts(&self, id: &JobId) -> Result<Vec<Part>, StoreError> {
        self.database.read("parts", |t| {
            let mut statement = t.prepare_cached(
                "SELECT job, party, step, attempt, digest, blob, header FROM job_parts
                 WHERE job = ? ORDER BY step, party",
            )?;
            let rows = statement.query_map([id], |row| {
                Ok(Part {
                    job: row.get(0)?,
                    party: row.get(1)?,
                    step: row.get(2)?,
                    attempt: row.get(3)?,
                    digest: row.get(4)?,
                    blob: row.get(5)?,
                    header: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn put_receipt(&self, id: &JobId, json: &str) -> Result<(), StoreError> {
        self.database.write("put_receipt", |t| {
            let done = job(t, id)?.is_some_and(|job| job.summary.state == JobState::Done);
            if !done {
                let reason = "only a job that is done has a receipt";
                return Err(StoreError::Conflict { what: "job", id: id.to_string(), reason });
            }
            t.execute(
                "INSERT INTO receipts (job, json) VALUES (?, ?)
                 ON CONFLICT (job) DO UPDATE SET json = excluded.json",
                params![id, json],
            )?;
            Ok(())
        })
    }

    fn receipt(&self, id: &JobId) -> Result<Option<String>, StoreError> {
        self.database.read("receipt", |t| {
            Ok(t.query_row("SELECT json FROM receipts WHERE job = ?", [id], |row| row.get(0)).optional()?)
        })
    }
}
