//! SQLite: the default store, in one folder. All SQL of the engine is in this folder and in `migrations/`.
//!
//! Write-ahead log, `synchronous = FULL`: a transaction that returned survives a power cut. One connection
//! writes, one reads; other processes are waited for. Every transaction is named and measured
//! (tracing target `ward::store`).

mod audit;
mod columns;
mod consent;
mod documents;
mod epochs;
mod issuers;
mod jobs;
mod keys;
mod leases;
mod log;
mod members;
mod messages;
mod overrides;
mod party;
mod people;
mod registrations;
mod release;
mod setups;
mod shares;
mod studies;
mod unsealed;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use self::messages::MessageSnapshot;
use super::error::StoreError;
use crate::identity::{Identity, SealKey};
use crate::vault::KeyProvider;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES_MAX: u32 = 5;
/// Between two attempts to open a database that others open at the same time.
const OPEN_PAUSE: Duration = Duration::from_millis(5);

struct Schema {
    /// For people.
    name: &'static str,
    /// `PRAGMA application_id`: tells one kind of database from another.
    application_id: i64,
    /// In order; the number of the last one applied is `PRAGMA user_version`.
    migrations: &'static [&'static str],
}

const ENGINE: Schema = Schema {
    name: "ward's engine",
    application_id: 0x5741_5245,
    migrations: &[
        include_str!("../migrations/engine/0001.sql"),
        include_str!("../migrations/engine/0002.sql"),
        include_str!("../migrations/engine/0003.sql"),
        include_str!("../migrations/engine/0004.sql"),
        include_str!("../migrations/engine/0005.sql"),
        include_str!("../migrations/engine/0006.sql"),
        include_str!("../migrations/engine/0007.sql"),
        include_str!("../migrations/engine/0008.sql"),
    ],
};

const PARTY: Schema = Schema {
    name: "a ward party",
    application_id: 0x5741_5250,
    migrations: &[
        include_str!("../migrations/party/0001.sql"),
        include_str!("../migrations/party/0002.sql"),
        include_str!("../migrations/party/0003.sql"),
        include_str!("../migrations/party/0004.sql"),
        include_str!("../migrations/party/0005.sql"),
        include_str!("../migrations/party/0006.sql"),
        include_str!("../migrations/party/0007.sql"),
        include_str!("../migrations/party/0008.sql"),
        include_str!("../migrations/party/0009.sql"),
        include_str!("../migrations/party/0010.sql"),
        include_str!("../migrations/party/0011.sql"),
    ],
};

struct Database {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

/// The engine's store in a file `engine.db`.
pub struct SqliteStore {
    database: Database,
    signer: Arc<Identity>,
}

/// A party's store in a file `party.db`.
pub struct SqlitePartyStore {
    database: Database,
    signer: Arc<Identity>,
    seal: SealKey,
    provider: Arc<dyn KeyProvider>,
}

impl SqliteStore {
    /// Opens the store in a folder, creating both when absent. The signer seals the audit chain.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::WrongDatabase`], [`StoreError::Database`], [`StoreError::File`].
    pub fn open(folder: &Path, signer: Arc<Identity>) -> Result<Self, StoreError> {
        Ok(Self { database: Database::open(&folder.join("engine.db"), &ENGINE)?, signer })
    }
}

impl SqlitePartyStore {
    /// Opens the store in a folder, creating both when absent. The signer seals the audit chain, the key what
    /// is secret, and the provider wraps the keys of patients' records. What an older version kept of patients in the
    /// clear is sealed.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::WrongDatabase`], [`StoreError::Database`], [`StoreError::File`],
    /// [`StoreError::Vault`].
    pub fn open(
        folder: &Path,
        signer: Arc<Identity>,
        (seal, provider): (SealKey, Arc<dyn KeyProvider>),
    ) -> Result<Self, StoreError> {
        let database = Database::open(&folder.join("party.db"), &PARTY)?;
        let store = Self { database, signer, seal, provider };
        store.seal_the_unsealed()?;
        Ok(store)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        let retry = matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked));
        Self::Database { operation: "", reason: error.to_string(), retry }
    }
}

fn during(operation: &'static str) -> impl Fn(StoreError) -> StoreError {
    move |error| match error {
        StoreError::Database { operation: "", reason, retry } => {
            StoreError::Database { operation, reason, retry }
        }
        other => other,
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic inside a transaction rolled it back when it was dropped: the connection is sound.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn private_folder(path: &Path) -> Result<PathBuf, StoreError> {
    let folder = path.parent().unwrap_or_else(|| Path::new(".")).to_owned();
    if !folder.is_dir() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&folder)
            .map_err(|e| StoreError::File { path: folder.display().to_string(), reason: e.to_string() })?;
    }
    Ok(folder)
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "secure_delete", true)
}

impl Database {
    fn open(path: &Path, schema: &Schema) -> Result<Self, StoreError> {
        private_folder(path)?;
        let opened = || -> Result<Self, StoreError> {
            let mut writer = connect(path)?;
            check_kind(&writer, path, schema)?;
            let mode: String = writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
            if mode != "wal" {
                let reason = format!("journal mode is {mode}: the folder cannot hold a write-ahead log");
                return Err(StoreError::File { path: path.display().to_string(), reason });
            }
            configure(&writer)?;
            migrate(&mut writer, schema)?;
            let reader = connect(path)?;
            configure(&reader)?;
            reader.pragma_update(None, "query_only", true)?;
            Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader) })
        };
        // SQLite does not wait, whatever the limit, where two connections turn a new file to its write-ahead log at once.
        let started = Instant::now();
        loop {
            match opened() {
                Err(StoreError::Database { retry: true, .. }) if started.elapsed() < BUSY_TIMEOUT => {
                    std::thread::sleep(OPEN_PAUSE);
                }
                outcome => break outcome.map_err(during("open")),
            }
        }
    }

    /// One transaction that writes. It is begun as a writer, so that what it reads cannot change under it; when
    /// the database is busy it runs again from the start.
    fn write<T>(
        &self,
        name: &'static str,
        operation: impl Fn(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let mut connection = lock(&self.writer);
        let mut retries = 0;
        let outcome = loop {
            let once = |connection: &mut Connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let value = operation(&transaction)?;
                transaction.commit()?;
                Ok(value)
            };
            match once(&mut connection) {
                Err(StoreError::Database { retry: true, .. }) if retries < RETRIES_MAX => retries += 1,
                outcome => break outcome,
            }
        };
        measure(name, started, retries, outcome.is_ok());
        outcome.map_err(during(name))
    }

    /// One transaction that reads: a snapshot.
    fn read<T>(
        &self,
        name: &'static str,
        operation: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let mut connection = lock(&self.reader);
        let outcome = connection
            .transaction()
            .map_err(StoreError::from)
            .and_then(|transaction| operation(&transaction));
        measure(name, started, 0, outcome.is_ok());
        outcome.map_err(during(name))
    }
}

fn measure(transaction: &'static str, started: Instant, retries: u32, committed: bool) {
    let elapsed_us = started.elapsed().as_micros() as u64;
    tracing::debug!(target: "ward::store", transaction, elapsed_us, retries, committed);
}

fn check_kind(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), StoreError> {
    let wrong = || StoreError::WrongDatabase { path: path.display().to_string(), expected: schema.name };
    // One snapshot: another process may be making the tables.
    let connection = connection.unchecked_transaction()?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application_id = pragma("application_id").map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => wrong(),
        _ => error.into(),
    })?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application_id == schema.application_id || (application_id == 0 && tables == 0) {
        Ok(())
    } else {
        Err(wrong())
    }
}

fn migrate(connection: &mut Connection, schema: &Schema) -> Result<(), StoreError> {
    let known = schema.migrations.len() as u32;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for migration in &schema.migrations[found as usize..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
