//! OMOP tables in a PostgreSQL database, all of one moment.

use std::collections::{BTreeSet, HashMap};

use crate::records::path::RowItem;
use crate::records::{Item, Pass, Reader, RecordsError};
use crate::store::{DatabaseError, DatabaseSettings, Snapshot};

/// A read-only transaction on the database.
pub struct Database(Snapshot);

impl Database {
    /// Connects, and fixes the moment.
    ///
    /// # Errors
    /// [`RecordsError::Database`].
    pub fn open(settings: &DatabaseSettings) -> Result<Self, RecordsError> {
        Snapshot::open(settings).map(Self).map_err(failed)
    }
}

fn failed(error: DatabaseError) -> RecordsError {
    RecordsError::Database { step: error.step, reason: error.reason }
}

impl Reader for Database {
    fn visit(
        &mut self,
        kind: &str,
        names: &BTreeSet<String>,
        pass: &mut Pass<'_>,
    ) -> Result<(), RecordsError> {
        let columns: Vec<&str> = names.iter().map(String::as_str).collect();
        let positions: HashMap<String, usize> =
            names.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        for batch in self.0.rows(kind, &columns).map_err(failed)? {
            for fields in batch.map_err(failed)? {
                pass.item(Item::Row(RowItem { columns: &positions, fields: &fields }))?;
            }
        }
        Ok(())
    }
}
