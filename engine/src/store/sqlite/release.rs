//! The party's release rules in SQLite.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::columns::Uint;
use super::{SqlitePartyStore, audit};
use crate::audit::Event;
use crate::encoding::separated;
use crate::identity::{Digest, Identity, SealContext, Signature};
use crate::store::error::StoreError;
use crate::store::release::{Charge, Charged, CohortScope, FLOOR_ROW, Judge, ReleaseStore, VersionRows};

/// What was spent of a table: in all, or in a study.
fn spent(
    transaction: &Transaction<'_>,
    (dataset, study): (&str, Option<&str>),
    since_ms: u64,
) -> Result<u64, StoreError> {
    let total: i64 = transaction
        .prepare_cached(
            "SELECT coalesce(sum(rho_nano), 0) FROM privacy_charges \
             WHERE dataset = ?1 AND at_ms >= ?2 AND (?3 IS NULL OR study = ?3)",
        )?
        .query_row(params![dataset, Uint(since_ms), study], |row| row.get(0))?;
    Ok(u64::try_from(total).unwrap_or(u64::MAX))
}

fn is_charged(transaction: &Transaction<'_>, answer: &Digest) -> Result<bool, StoreError> {
    let found: Option<i64> = transaction
        .prepare_cached("SELECT seq FROM privacy_charges WHERE answer = ?")?
        .query_row([answer], |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}

/// Context of the node's signature over the highest floor it has heard of.
const FLOOR: &str = "ward/v1/floor";

/// The stored floor. One that was changed does not hold against its signature; for one that is gone, or unsigned, the
/// signed trail says how high it was.
fn floor(transaction: &Transaction<'_>, signer: &Identity) -> Result<u32, StoreError> {
    let found: Option<(u32, Option<[u8; 64]>)> = transaction
        .query_row("SELECT floor, signature FROM consortium_floor WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match found {
        Some((floor, Some(signature))) => {
            let verified = signer.public().verify(FLOOR, &[&floor.to_be_bytes()], &Signature(signature));
            let reason = format!("its signature is not over {floor}");
            verified.map(|()| floor).map_err(|_| StoreError::Corrupt { what: FLOOR_ROW, reason })
        }
        Some((floor, None)) => Ok(floor.max(floor_of_trail(transaction)?)),
        None => floor_of_trail(transaction),
    }
}

/// The highest floor that the trail says was raised to.
fn floor_of_trail(transaction: &Transaction<'_>) -> Result<u32, StoreError> {
    let highest: Option<u32> = transaction.query_row(
        "SELECT max(CAST(event ->> '$.whole.event.detail' AS INTEGER)) FROM audit
         WHERE event ->> '$.whole.event.action' = 'floor.raise'",
        [],
        |row| row.get(0),
    )?;
    Ok(highest.unwrap_or(1).max(1))
}

/// The row of a cohort, as it is bound into what is sealed there.
fn cohort_row(scope: CohortScope<'_>, digest: &Digest) -> String {
    format!("{}\n{}\n{}\n{digest}", scope.dataset, scope.version, scope.who)
}

/// The row of a version, as it is bound into what is sealed there.
fn version_row(dataset: &str, version: &str) -> String {
    format!("{dataset}\n{version}")
}

impl ReleaseStore for SqlitePartyStore {
    fn consortium_floor(&self) -> Result<u32, StoreError> {
        // Of two floors that were both signed once, the trail knows the higher.
        self.database.read("consortium_floor", |t| Ok(floor(t, &self.signer)?.max(floor_of_trail(t)?)))
    }

    fn raise_floor(&self, new: u32, event: &Event) -> Result<bool, StoreError> {
        self.database.write("raise_floor", |t| {
            if new <= floor(t, &self.signer)? {
                return Ok(false);
            }
            t.execute(
                "INSERT INTO consortium_floor (id, floor, signature) VALUES (1, ?1, ?2)
                 ON CONFLICT (id) DO UPDATE SET floor = ?1, signature = ?2",
                params![new, self.signer.sign(FLOOR, &[&new.to_be_bytes()]).0],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(true)
        })
    }

    fn charge(
        &self,
        charge: &Charge,
        limits_rho_nano: (u64, Option<u64>),
        since_ms: u64,
        event: &Event,
    ) -> Result<Charged, StoreError> {
        self.database.write("charge", |t| {
            if is_charged(t, &charge.answer)? {
                return Ok(Charged::Before);
            }
            let (of_table, of_study) = limits_rho_nano;
            let study = charge.study.as_str();
            for (within, limit) in [(None, Some(of_table)), (Some(study), of_study)] {
                let Some(limit) = limit else { continue };
                let spent_nano = spent(t, (&charge.dataset, within), since_ms)?;
                if spent_nano.saturating_add(charge.rho_nano) > limit {
                    return Err(StoreError::BudgetSpent {
                        dataset: charge.dataset.clone(),
                        study: within.unwrap_or_default().to_owned(),
                        left_rho_nano: limit.saturating_sub(spent_nano),
                        asked_rho_nano: charge.rho_nano,
                    });
                }
            }
            t.execute(
                "INSERT INTO privacy_charges (answer, dataset, study, job, rho_nano, epsilon_nano, delta_atto, at_ms) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    charge.answer,
                    charge.dataset,
                    charge.study,
                    charge.job,
                    Uint(charge.rho_nano),
                    Uint(charge.epsilon_nano),
                    Uint(charge.delta_atto),
                    Uint(charge.at_ms)
                ],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(Charged::New)
        })
    }

    fn spent(&self, dataset: &str, since_ms: u64) -> Result<u64, StoreError> {
        self.database.read("spent", |t| spent(t, (dataset, None), since_ms))
    }

    fn spent_by(&self, study: &str, dataset: &str, since_ms: u64) -> Result<u64, StoreError> {
        self.database.read("spent_by", |t| spent(t, (dataset, Some(study)), since_ms))
    }

    fn is_charged(&self, answer: &Digest) -> Result<bool, StoreError> {
        self.database.read("is_charged", |t| is_charged(t, answer))
    }

    fn charges(&self, dataset: &str, limit: u32) -> Result<Vec<Charge>, StoreError> {
        self.database.read("charges", |t| {
            let mut statement = t.prepare_cached(
                "SELECT answer, dataset, study, job, rho_nano, epsilon_nano, delta_atto, at_ms FROM privacy_charges \
                 WHERE dataset = ? ORDER BY seq DESC LIMIT ?",
            )?;
            let rows = statement.query_map(params![dataset, limit], |row| {
                Ok(Charge {
                    answer: row.get(0)?,
                    dataset: row.get(1)?,
                    study: row.get(2)?,
                    job: row.get(3)?,
                    rho_nano: row.get::<_, Uint>(4)?.0,
                    epsilon_nano: row.get::<_, Uint>(5)?.0,
                    delta_atto: row.get::<_, Uint>(6)?.0,
                    at_ms: row.get::<_, Uint>(7)?.0,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn cohort_versions(&self, dataset: &str, who: &str) -> Result<Vec<String>, StoreError> {
        self.database.read("cohort_versions", |t| {
            let mut statement = t.prepare_cached(
                "SELECT version FROM cohorts WHERE dataset = ? AND who = ? GROUP BY version ORDER BY max(seq) DESC",
            )?;
            let versions = statement.query_map([dataset, who], |row| row.get(0))?;
            Ok(versions.collect::<Result<_, _>>()?)
        })
    }

    fn version_rows(&self, dataset: &str, version: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed: Option<Vec<u8>> = self.database.read("version_rows", |t| {
            let mut statement =
                t.prepare_cached("SELECT rows FROM version_rows WHERE dataset = ? AND version = ?")?;
            Ok(statement.query_row([dataset, version], |row| row.get(0)).optional()?)
        })?;
        let row = version_row(dataset, version);
        let context = SealContext { table: "version_rows", row: &row, column: "rows" };
        sealed.map(|sealed| Ok(self.seal.open(context, &sealed)?.to_vec())).transpose()
    }

    fn admit_cohorts(
        &self,
        scope: CohortScope<'_>,
        (new, of_version): (&[Vec<u8>], VersionRows<'_>),
        kept_max: u32,
        judge: Judge<'_>,
        event: &Event,
    ) -> Result<(), StoreError> {
        let sealed = self.seal_cohorts(scope, new)?;
        let row = version_row(scope.dataset, of_version.version);
        let context = SealContext { table: "version_rows", row: &row, column: "rows" };
        let rows = self.seal.seal(context, of_version.rows)?;
        self.database.write("admit_cohorts", |t| {
            let known = self.judge_kept(t, scope, judge)?;
            let fresh: Vec<_> = sealed.iter().filter(|(digest, _)| !known.contains(digest)).collect();
            if fresh.is_empty() {
                return Ok(());
            }
            if fresh.len().saturating_add(known.len()) > kept_max as usize {
                return Err(StoreError::CohortsFull { kept_max });
            }
            for (digest, cohort) in fresh {
                t.prepare_cached(
                    "INSERT INTO cohorts (dataset, version, who, digest, rows) VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    scope.dataset,
                    scope.version,
                    scope.who,
                    digest,
                    cohort
                ])?;
            }
            t.prepare_cached(
                "INSERT INTO version_rows (dataset, version, rows) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![scope.dataset, of_version.version, rows])?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }
}

impl SqlitePartyStore {
    fn seal_cohorts(
        &self,
        scope: CohortScope<'_>,
        new: &[Vec<u8>],
    ) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
        let seal = |rows: &Vec<u8>| {
            let digest = separated("cohort/1", &[rows]);
            let row = cohort_row(scope, &digest);
            let context = SealContext { table: "cohorts", row: &row, column: "rows" };
            Ok((digest, self.seal.seal(context, rows)?))
        };
        new.iter().map(seal).collect()
    }

    /// Judges every cohort that was shown to the researcher; returns those of the same version.
    fn judge_kept(
        &self,
        transaction: &Transaction<'_>,
        scope: CohortScope<'_>,
        judge: Judge<'_>,
    ) -> Result<Vec<Digest>, StoreError> {
        let mut known = Vec::new();
        let mut statement = transaction.prepare_cached(
            "SELECT version, digest, rows FROM cohorts WHERE dataset = ? AND who = ? ORDER BY seq",
        )?;
        let mut rows = statement.query([scope.dataset, scope.who])?;
        while let Some(found) = rows.next()? {
            let (version, digest, cohort): (String, Digest, Vec<u8>) =
                (found.get(0)?, found.get(1)?, found.get(2)?);
            let row = cohort_row(CohortScope { version: &version, ..scope }, &digest);
            let context = SealContext { table: "cohorts", row: &row, column: "rows" };
            judge(&version, &self.seal.open(context, &cohort)?)?;
            if version == scope.version {
                known.push(digest);
            }
        }
        Ok(known)
    }
}
