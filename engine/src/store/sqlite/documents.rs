//! Documents in the party's database.

use rusqlite::{Params, Row, params};

use super::columns::Uint;
use super::{SqlitePartyStore, audit};
use crate::audit::Event;
use crate::consent::Pseudonym;
use crate::identity::Digest;
use crate::store::PAGE_ROWS_MAX;
use crate::store::documents::{DocumentRow, Documents};
use crate::store::error::StoreError;
use crate::vault::{DataKey, KeyName, VaultError, Wrapped};

const DOCUMENT: &str = "SELECT d.id, k.pseudonym, k.class, k.number, d.facts, d.digest, d.blinded, d.at_ms, \
                        k.version, k.wrapped FROM documents d JOIN data_keys k ON k.number = d.data_key";

fn document(row: &Row<'_>) -> rusqlite::Result<(DocumentRow, Wrapped)> {
    let found = DocumentRow {
        id: row.get(0)?,
        patient: Pseudonym(row.get::<_, Digest>(1)?.0),
        class: row.get(2)?,
        key: row.get::<_, Uint>(3)?.0,
        facts: row.get(4)?,
        digest: row.get(5)?,
        blinded: row.get(6)?,
        at_ms: row.get::<_, Uint>(7)?.0,
    };
    Ok((found, Wrapped { version: row.get(8)?, bytes: row.get(9)? }))
}

impl SqlitePartyStore {
    fn found_documents(
        &self,
        condition: &str,
        parameters: impl Params,
    ) -> Result<Vec<(DocumentRow, DataKey)>, StoreError> {
        let found: Vec<(DocumentRow, Wrapped)> = self.database.read("documents", |t| {
            let mut statement = t.prepare_cached(&format!("{DOCUMENT} {condition}"))?;
            Ok(statement.query_map(parameters, document)?.collect::<Result<_, _>>()?)
        })?;
        let name = |(row, wrapped): &(DocumentRow, Wrapped)| {
            Ok((KeyName::new(row.patient, &row.class)?, wrapped.clone()))
        };
        let keys = self.unwrap_keys(&found.iter().map(name).collect::<Result<Vec<_>, VaultError>>()?)?;
        Ok(found.into_iter().zip(keys).map(|((row, _), key)| (row, key)).collect())
    }
}

impl Documents for SqlitePartyStore {
    fn add_document(&self, new: &DocumentRow, event: &Event) -> Result<(), StoreError> {
        self.database.write("add_document", |t| {
            let added = t.execute(
                "INSERT INTO documents (id, data_key, facts, digest, blinded, at_ms)
                 SELECT ?, number, ?, ?, ?, ? FROM data_keys WHERE number = ?",
                params![new.id, new.facts, new.digest, new.blinded, Uint(new.at_ms), Uint(new.key)],
            )?;
            if added == 0 {
                let reason = "the patient was erased meanwhile";
                return Err(StoreError::Conflict { what: "document", id: new.id.clone(), reason });
            }
            audit::append(t, event, &self.signer)?;
            Ok(())
        })
    }

    fn document(&self, id: &str) -> Result<Option<(DocumentRow, DataKey)>, StoreError> {
        Ok(self.found_documents("WHERE d.id = ?", [id])?.pop())
    }

    fn documents(
        &self,
        patient: Option<&Pseudonym>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(DocumentRow, DataKey)>, StoreError> {
        let condition = "WHERE (?1 IS NULL OR k.pseudonym = ?1)
             AND d.number > coalesce((SELECT number FROM documents WHERE id = ?2), 0)
             ORDER BY d.number LIMIT ?3";
        let patient = patient.map(|patient| Digest(patient.0));
        self.found_documents(condition, params![patient, after, limit.min(PAGE_ROWS_MAX)])
    }
}
