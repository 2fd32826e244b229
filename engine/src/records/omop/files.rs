//! OMOP tables as files in a folder: `person.csv`, `person.csv.gz` or `PERSON.CSV`; fields separated by commas or tabs.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::records::csv::{Row, Rows, open};
use crate::records::{Item, Pass, Reader, Reason, RecordsError, path::RowItem};

/// A folder with a file a table.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: PathBuf,
}

impl Folder {
    /// That folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The file of a table.
    ///
    /// # Errors
    /// [`RecordsError::Unreadable`]; [`RecordsError::KindAbsent`]; [`RecordsError::Malformed`] for several.
    pub fn file(&self, table: &str) -> Result<PathBuf, RecordsError> {
        let shown = || self.folder.display().to_string();
        let unreadable = |error: std::io::Error| RecordsError::Unreadable {
            path: shown(),
            reason: error.kind().to_string(),
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_ascii_lowercase();
            if name.strip_prefix(table).is_some_and(|rest| matches!(rest, ".csv" | ".csv.gz")) {
                found.push(path);
            }
        }
        match (found.pop(), found.is_empty()) {
            (Some(path), true) => Ok(path),
            (Some(_), false) => Err(RecordsError::Malformed {
                path: shown(),
                format: "folder of one file a table",
                reason: "a table has several files",
            }),
            (None, _) => Err(RecordsError::KindAbsent { path: shown(), kind: table.to_owned() }),
        }
    }
}

impl Reader for Folder {
    fn visit(
        &mut self,
        kind: &str,
        names: &BTreeSet<String>,
        pass: &mut Pass<'_>,
    ) -> Result<(), RecordsError> {
        let path = self.file(kind)?;
        let unreadable = |error: std::io::Error| RecordsError::Unreadable {
            path: path.display().to_string(),
            reason: error.kind().to_string(),
        };
        let delimiter = delimiter(&path).map_err(unreadable)?;
        let mut rows = Rows::new(open(&path).map_err(unreadable)?, delimiter);
        let mut fields = Vec::new();
        if rows.next(&mut fields).map_err(unreadable)? != Row::Read {
            let reason = "it has no heading";
            return Err(RecordsError::Malformed { path: path.display().to_string(), format: "CSV", reason });
        }
        let columns: HashMap<String, usize> = fields
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let name = name.as_deref().unwrap_or("").trim_start_matches('\u{feff}');
                (name.trim().to_ascii_lowercase(), at)
            })
            .collect();
        if let Some(absent) = names.iter().find(|name| !columns.contains_key(*name)) {
            return Err(RecordsError::ColumnAbsent { kind: kind.to_owned(), column: absent.clone() });
        }
        let width = fields.len();
        loop {
            match rows.next(&mut fields).map_err(unreadable)? {
                Row::End => return Ok(()),
                Row::Read if fields.len() == width => {
                    pass.item(Item::Row(RowItem { columns: &columns, fields: &fields }))?;
                }
                Row::Read => pass.rejects.count(Reason::Malformed),
                Row::Unusable => pass.rejects.count(Reason::TooLarge),
            }
        }
    }
}

/// A tab where the heading has more tabs than commas.
fn delimiter(path: &Path) -> std::io::Result<u8> {
    let mut heading = Vec::new();
    crate::records::csv::bounded_line(&mut open(path)?, &mut heading, 1 << 16)?;
    let count = |of: u8| heading.iter().filter(|b| **b == of).count();
    Ok(if count(b'\t') > count(b',') { b'\t' } else { b',' })
}
