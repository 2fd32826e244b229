//! Studies, at the engine and at a hospital.

use rusqlite::{OptionalExtension as _, Row, params};

use super::columns::Uint;
use super::{SqlitePartyStore, SqliteStore, audit};
use crate::audit::Event;
use crate::store::PAGE_ROWS_MAX;
use crate::store::error::StoreError;
use crate::store::studies::{OwnStudies, OwnStudy, Studies, StudyRecord, StudyWord};

const STUDY: &str = "SELECT id, digest, json, drafter, at_ms, closed_ms FROM studies";
const OWN: &str = "SELECT id, digest, json, verdict, decision, at_ms FROM studies";

fn study(row: &Row<'_>) -> rusqlite::Result<StudyRecord> {
    Ok(StudyRecord {
        id: row.get(0)?,
        digest: row.get(1)?,
        json: row.get(2)?,
        drafter: row.get(3)?,
        at_ms: row.get::<_, Uint>(4)?.0,
        closed_ms: row.get::<_, Option<Uint>>(5)?.map(|at| at.0),
    })
}

fn own(row: &Row<'_>) -> rusqlite::Result<OwnStudy> {
    Ok(OwnStudy {
        id: row.get(0)?,
        digest: row.get(1)?,
        json: row.get(2)?,
        verdict: row.get(3)?,
        decision: row.get(4)?,
        at_ms: row.get::<_, Uint>(5)?.0,
    })
}

impl Studies for SqliteStore {
    fn add_study(&self, new: &StudyRecord, event: &Event) -> Result<(), StoreError> {
        self.database.write("add_study", |t| {
            let added = t.execute(
                "INSERT INTO studies (id, digest, json, drafter, at_ms) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (id) DO NOTHING",
                params![new.id, new.digest, new.json, new.drafter, Uint(new.at_ms)],
            )?;
            if added == 0 {
                let reason = "the id is taken";
                return Err(StoreError::Conflict { what: "study", id: new.id.clone(), reason });
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn study(&self, id: &str) -> Result<Option<StudyRecord>, StoreError> {
        self.database
            .read("study", |t| Ok(t.query_row(&format!("{STUDY} WHERE id = ?"), [id], study).optional()?))
    }

    fn studies(&self, limit: u32) -> Result<Vec<StudyRecord>, StoreError> {
        self.database.read("studies", |t| {
            let mut statement = t.prepare_cached(&format!("{STUDY} ORDER BY at_ms DESC, id LIMIT ?"))?;
            Ok(statement.query_map([limit.min(PAGE_ROWS_MAX)], study)?.collect::<Result<_, _>>()?)
        })
    }

    fn close_study(&self, id: &str, at_ms: u64, event: &Event) -> Result<(), StoreError> {
        self.database.write("close_study", |t| {
            let changed = t.execute(
                "UPDATE studies SET closed_ms = ? WHERE id = ? AND closed_ms IS NULL",
                params![Uint(at_ms), id],
            )?;
            if changed == 0 {
                let reason = "it is closed already, or absent";
                return Err(StoreError::Conflict { what: "study", id: id.to_owned(), reason });
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn put_study_word(&self, word: &StudyWord, event: &Event) -> Result<(), StoreError> {
        self.database.write("put_study_word", |t| {
            t.execute(
                "INSERT INTO study_words (study, hospital, admin, json, at_ms) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (study, hospital, admin) DO UPDATE SET json = excluded.json, at_ms = excluded.at_ms
                 WHERE excluded.at_ms >= study_words.at_ms",
                params![word.study, word.hospital, word.admin, word.json, Uint(word.at_ms)],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn study_words(&self, study: &str) -> Result<Vec<StudyWord>, StoreError> {
        self.database.read("study_words", |t| {
            let mut statement = t.prepare_cached(
                "SELECT study, hospital, admin, json, at_ms FROM study_words WHERE study = ?
                 ORDER BY hospital, admin",
            )?;
            let rows = statement.query_map([study], |row| {
                Ok(StudyWord {
                    study: row.get(0)?,
                    hospital: row.get(1)?,
                    admin: row.get(2)?,
                    json: row.get(3)?,
                    at_ms: row.get::<_, Uint>(4)?.0,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

impl OwnStudies for SqlitePartyStore {
    fn put_own_study(&self, study: &OwnStudy, event: &Event) -> Result<(), StoreError> {
        self.database.write("put_own_study", |t| {
            t.execute(
                "INSERT INTO studies (id, digest, json, verdict, decision, at_ms) VALUES (?, ?, ?, ?, ?, ?)
                 ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, json = excluded.json,
                    verdict = excluded.verdict, decision = excluded.decision, at_ms = excluded.at_ms",
                params![study.id, study.digest, study.json, study.verdict, study.decision, Uint(study.at_ms)],
            )?;
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn own_study(&self, id: &str) -> Result<Option<OwnStudy>, StoreError> {
        self.database
            .read("own_study", |t| Ok(t.query_row(&format!("{OWN} WHERE id = ?"), [id], own).optional()?))
    }

    fn own_studies(&self) -> Result<Vec<OwnStudy>, StoreError> {
        self.database.read("own_studies", |t| {
            let mut statement = t.prepare_cached(&format!("{OWN} ORDER BY id"))?;
            Ok(statement.query_map([], own)?.collect::<Result<_, _>>()?)
        })
    }
}
