//! Where a mapped table comes from: what the party's configuration names, read into a sink.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::mapping::{Mapping, TableMap};
use super::standard::Standard;
use super::table::{Sink, build};
use super::{Reader, RecordsError, Rejects, fhir, hl7, omop};
use crate::store::{DatabaseSettings, Password};
use crate::vault::ProviderConfig;

/// A mapped table's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsSource {
    /// Where the records are.
    pub origin: Origin,
    /// The mapping file.
    pub mapping: PathBuf,
    /// The table of the mapping file.
    pub table: String,
}

/// Where records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A folder of a FHIR bulk export.
    Fhir(PathBuf),
    /// A folder of OMOP tables.
    OmopFiles(PathBuf),
    /// OMOP tables in a database.
    Postgres {
        /// Where it is.
        settings: DatabaseSettings,
        /// How long what was read is good for.
        refresh: Duration,
    },
    /// What messages left at the node.
    Messages {
        /// The node's folder.
        folder: PathBuf,
        /// What opens what is sealed there.
        seal: Password,
        /// Where the key-encryption keys of its patients' records are.
        kek: Box<ProviderConfig>,
        /// How long what was read is good for.
        refresh: Duration,
    },
}

/// What tells that a file is another one: its path, size and time.
pub type FileStamp = (PathBuf, u64, SystemTime);

impl RecordsSource {
    /// What it is, for people.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self.origin {
            Origin::Fhir(_) => "FHIR",
            Origin::OmopFiles(_) | Origin::Postgres { .. } => "OMOP",
            Origin::Messages { .. } => "HL7 v2",
        }
    }

    /// Reads the mapping file, and finds the table in it.
    ///
    /// # Errors
    /// [`RecordsError`] of the file; [`RecordsError::Mapping`] for a table it does not have, or a standard that is not
    /// the origin's.
    pub fn mapping(&self) -> Result<Mapping, RecordsError> {
        let mapping = Mapping::load(&self.mapping)?;
        let refuse = |message: String| RecordsError::Mapping {
            path: self.mapping.display().to_string(),
            section: format!("table `{}`", self.table),
            message,
        };
        let fits = match self.origin {
            Origin::Fhir(_) => mapping.standard == Standard::FhirR4,
            Origin::OmopFiles(_) | Origin::Postgres { .. } => {
                matches!(mapping.standard, Standard::Omop53 | Standard::Omop54)
            }
            Origin::Messages { .. } => mapping.standard == Standard::Hl7V2,
        };
        if !fits {
            return Err(refuse(format!(
                "it maps {}, and the source is {}",
                mapping.standard.as_str(),
                self.format()
            )));
        }
        if !mapping.tables.contains_key(&self.table) {
            let known: Vec<&str> = mapping.tables.keys().map(String::as_str).collect();
            return Err(refuse(format!("there is no such table; there are {}", known.join(", "))));
        }
        Ok(mapping)
    }

    /// The mapped table of a mapping that [`Self::mapping`] gave.
    ///
    /// # Errors
    /// [`RecordsError::Mapping`].
    pub fn table<'a>(&self, mapping: &'a Mapping) -> Result<&'a TableMap, RecordsError> {
        mapping.tables.get(&self.table).ok_or_else(|| RecordsError::Mapping {
            path: self.mapping.display().to_string(),
            section: format!("table `{}`", self.table),
            message: "there is no such table".to_owned(),
        })
    }

    /// Opens the records. A database is opened at one moment, for all tables that are read with it.
    ///
    /// # Errors
    /// [`RecordsError::Database`].
    pub fn open(&self) -> Result<Box<dyn Reader>, RecordsError> {
        Ok(match &self.origin {
            Origin::Fhir(folder) => Box::new(fhir::Export::new(folder)),
            Origin::OmopFiles(folder) => Box::new(omop::files::Folder::new(folder)),
            Origin::Postgres { settings, .. } => Box::new(omop::postgres::Database::open(settings)?),
            Origin::Messages { folder, seal, kek, .. } => {
                Box::new(hl7::reader::Kept::open(folder, seal, kek)?)
            }
        })
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// [`RecordsError`].
    pub fn read(
        &self,
        mapping: &Mapping,
        reader: &mut dyn Reader,
        sink: &mut dyn Sink,
    ) -> Result<Rejects, RecordsError> {
        build(mapping, self.table(mapping)?, reader, sink)
    }

    /// How long what was read is good for, where no file tells that it changed.
    #[must_use]
    pub fn refresh(&self) -> Option<Duration> {
        match &self.origin {
            Origin::Postgres { refresh, .. } | Origin::Messages { refresh, .. } => Some(*refresh),
            Origin::Fhir(_) | Origin::OmopFiles(_) => None,
        }
    }

    /// Of every file that it is read from, the mapping's included.
    ///
    /// # Errors
    /// [`RecordsError::Unreadable`].
    pub fn stamps(&self) -> Result<Vec<FileStamp>, RecordsError> {
        let mut stamps = vec![stamp(&self.mapping)?];
        let folder = match &self.origin {
            Origin::Fhir(folder) | Origin::OmopFiles(folder) => folder,
            Origin::Postgres { .. } | Origin::Messages { .. } => return Ok(stamps),
        };
        let unreadable = |error: std::io::Error| RecordsError::Unreadable {
            path: folder.display().to_string(),
            reason: error.kind().to_string(),
        };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_file() {
                stamps.push(stamp(&path)?);
            }
        }
        stamps.sort();
        Ok(stamps)
    }
}

/// Of one file.
///
/// # Errors
/// [`RecordsError::Unreadable`].
pub fn stamp(path: &Path) -> Result<FileStamp, RecordsError> {
    let read = || {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        Ok((path.to_owned(), metadata.len(), metadata.modified()?))
    };
    read().map_err(|error: std::io::Error| RecordsError::Unreadable {
        path: path.display().to_string(),
        reason: error.kind().to_string(),
    })
}
