//! FHIR R4 bulk exports: one resource a line (NDJSON), plain or gzip, one or several files a resource type.
//!
//! The files of a type are named by it: `Patient.ndjson`, `Patient.ndjson.gz`, `Observation.000.ndjson`,
//! `Condition-2.ndjson.gz`. A line that is no resource is counted and passed over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::csv::{bounded_line, open};
use super::{Item, Pass, Reader, Reason, RecordsError};

/// Largest line, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// A folder of a bulk export.
#[derive(Clone, Debug)]
pub struct Export {
    folder: PathBuf,
}

impl Export {
    /// In that folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The files of a resource type, in the order of their names.
    ///
    /// # Errors
    /// [`RecordsError::Unreadable`], [`RecordsError::KindAbsent`].
    pub fn files(&self, kind: &str) -> Result<Vec<PathBuf>, RecordsError> {
        let shown = || self.folder.display().to_string();
        let unreadable = |error: std::io::Error| RecordsError::Unreadable {
            path: shown(),
            reason: error.kind().to_string(),
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let rest = name.strip_prefix(kind).unwrap_or("");
            let is_export = rest.ends_with(".ndjson") || rest.ends_with(".ndjson.gz");
            if rest.starts_with(['.', '-', '_']) && is_export {
                files.push(path);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(RecordsError::KindAbsent { path: shown(), kind: kind.to_owned() });
        }
        Ok(files)
    }
}

impl Reader for Export {
    fn visit(&mut self, kind: &str, _: &BTreeSet<String>, pass: &mut Pass<'_>) -> Result<(), RecordsError> {
        for path in self.files(kind)? {
            file(&path, kind, pass)?;
        }
        Ok(())
    }
}

fn file(path: &Path, kind: &str, pass: &mut Pass<'_>) -> Result<(), RecordsError> {
    let unreadable = |error: std::io::Error| RecordsError::Unreadable {
        path: path.display().to_string(),
        reason: error.kind().to_string(),
    };
    let mut reader = open(path).map_err(unreadable)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if bounded_line(&mut reader, &mut line, LINE_BYTES_MAX).map_err(unreadable)? == 0 {
            return Ok(());
        }
        if line.len() > LINE_BYTES_MAX {
            pass.rejects.count(Reason::TooLarge);
            continue;
        }
        let content = line.trim_ascii();
        if content.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Json>(content) {
            Ok(json @ Json::Object(_)) if json["resourceType"] == kind => pass.item(Item::Json(&json))?,
            Ok(Json::Object(_)) => pass.rejects.count(Reason::OtherType),
            _ => pass.rejects.count(Reason::Malformed),
        }
    }
}
