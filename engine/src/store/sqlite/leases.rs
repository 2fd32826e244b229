//! Leases: who may write to a job. A fence is raised whenever a lease is taken or ended, and never lowered; a
//! writer whose fence is not the newest is refused, however late it wakes up.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::columns::Uint;
use super::jobs::job;
use crate::store::error::StoreError;
use crate::store::job::{JobId, JobState, Lease, Leased};

pub(super) fn take(
    transaction: &Transaction<'_>,
    worker: &str,
    now_ms: u64,
    ttl_ms: u64,
) -> Result<Option<Leased>, StoreError> {
    let leasable = transaction
        .prepare_cached(
            "SELECT id FROM jobs WHERE state IN ('queued', 'waiting', 'running', 'committing')
             AND lease_until_ms <= ?1 AND not_before_ms <= ?1 ORDER BY id LIMIT 1",
        )?
        .query_row([Uint(now_ms)], |row| row.get::<_, JobId>(0))
        .optional()?;
    let Some(id) = leasable else { return Ok(None) };
    let until_ms = now_ms.saturating_add(ttl_ms).min(i64::MAX as u64);
    let fence = transaction
        .prepare_cached(
            "UPDATE jobs SET lease_owner = ?, lease_until_ms = ?, lease_fence = lease_fence + 1
             WHERE id = ? RETURNING lease_fence",
        )?
        .query_row(params![worker, Uint(until_ms), id], |row| row.get::<_, Uint>(0))?
        .0;
    let job =
        job(transaction, &id)?.ok_or_else(|| StoreError::NotFound { what: "job", id: id.to_string() })?;
    Ok(Some(Leased { lease: Lease { job: id, fence }, job }))
}

/// Checks that the lease is the newest and the job is open; returns its state.
pub(super) fn hold(transaction: &Transaction<'_>, lease: &Lease) -> Result<JobState, StoreError> {
    let found = transaction
        .prepare_cached("SELECT state, lease_fence, lease_owner IS NOT NULL FROM jobs WHERE id = ?")?
        .query_row([&lease.job], |row| Ok((row.get(0)?, row.get::<_, Uint>(1)?.0, row.get::<_, bool>(2)?)))
        .optional()?;
    let (state, current, held): (JobState, u64, bool) =
        found.ok_or_else(|| StoreError::NotFound { what: "job", id: lease.job.to_string() })?;
    if current != lease.fence || !held {
        return Err(StoreError::StaleFence { job: lease.job.clone(), fence: lease.fence, current });
    }
    Ok(state)
}

pub(super) fn renew(transaction: &Transaction<'_>, lease: &Lease, until_ms: u64) -> Result<(), StoreError> {
    hold(transaction, lease)?;
    transaction
        .prepare_cached("UPDATE jobs SET lease_until_ms = max(lease_until_ms, ?) WHERE id = ?")?
        .execute(params![Uint(until_ms), lease.job])?;
    Ok(())
}

pub(super) fn release(
    transaction: &Transaction<'_>,
    lease: &Lease,
    not_before_ms: u64,
) -> Result<(), StoreError> {
    hold(transaction, lease)?;
    end(transaction, &lease.job)?;
    transaction
        .prepare_cached("UPDATE jobs SET not_before_ms = ? WHERE id = ?")?
        .execute(params![Uint(not_before_ms), lease.job])?;
    Ok(())
}

/// Ends whatever lease there is; its holder can write no more.
pub(super) fn end(transaction: &Transaction<'_>, id: &JobId) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "UPDATE jobs SET lease_owner = NULL, lease_until_ms = 0, lease_fence = lease_fence + 1
             WHERE id = ?",
        )?
        .execute([id])?;
    Ok(())
}

/// Ends all leases.
pub(super) fn end_all(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE jobs SET lease_owner = NULL, lease_until_ms = 0, lease_fence = lease_fence + 1
         WHERE lease_owner IS NOT NULL",
        [],
    )?;
    Ok(())
}
