//! Tables that are read into memory once: mapped records, and CSV files that are compressed. Every field is a text.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use polars::prelude::{Column as Series, DataFrame, IntoColumn, PlSmallStr, StringChunkedBuilder};

use super::LocalError;
use super::config::{Source, TableConfig};
use super::data::{malformed, unreadable};
use super::shape::Shape;
use crate::records::csv::{Row, Rows};
use crate::records::table::{Sink, columns};
use crate::records::{Reader, RecordsError, Rejects};

/// Rows read before the columns are first given room.
const ROWS_FIRST: usize = 1024;

/// The rows of a table, only the columns that are published or name the patient.
pub(super) fn read(
    table: &TableConfig,
    reader: Option<&mut dyn Reader>,
) -> Result<(DataFrame, Rejects), LocalError> {
    let (source, reader) = match (&table.source, reader) {
        (Source::Records(source), Some(reader)) => (source, reader),
        (Source::Records(_), None) => return Err(malformed(table, "it was not opened")),
        (Source::Csv(path) | Source::Parquet(path), _) => {
            return Ok((compressed(table, path)?, Rejects::default()));
        }
    };
    let failed = |error| match error {
        RecordsError::TooManyRows { rows_max } => {
            LocalError::TooManyRows { table: table.name.clone(), rows: rows_max.saturating_add(1), rows_max }
        }
        error => LocalError::Records { table: table.name.clone(), error },
    };
    let mapping = source.mapping().map_err(failed)?;
    let names = columns(source.table(&mapping).map_err(failed)?);
    let mut frame = Frame::new(table, &names);
    let rejects = source.read(&mapping, reader, &mut frame).map_err(failed)?;
    Ok((frame.finish(table)?, rejects))
}

/// A CSV file in gzip, held to the same shape as a plain one.
fn compressed(table: &TableConfig, path: &Path) -> Result<DataFrame, LocalError> {
    let file = std::fs::File::open(path).map_err(|e| unreadable(table, &e))?;
    let plain =
        Checked { inner: MultiGzDecoder::new(BufReader::new(file)), shape: Shape::new(table.delimiter) };
    let mut rows = Rows::new(BufReader::with_capacity(1 << 16, plain), table.delimiter);
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
            malformed(table, "it is no gzip file")
        }
        _ => unreadable(table, &error),
    };
    let mut fields = Vec::new();
    match rows.next(&mut fields).map_err(failed)? {
        Row::Read => {}
        Row::End => return Err(malformed(table, "it is empty")),
        Row::Unusable => return Err(malformed(table, "its heading cannot be read")),
    }
    let heading = |(at, name): (usize, &Option<String>)| {
        let name = name.as_deref().unwrap_or("");
        if at == 0 { name.trim_start_matches('\u{feff}').to_owned() } else { name.to_owned() }
    };
    let names: Vec<String> = fields.iter().enumerate().map(heading).collect();
    let mut frame = Frame::new(table, &names);
    loop {
        match rows.next(&mut fields).map_err(failed)? {
            Row::Read => frame.add(&fields),
            Row::Unusable => return Err(malformed(table, "a row is too large, or is no text")),
            Row::End => break,
        }
        if frame.rows > table.rows_max {
            let (table, rows, rows_max) = (table.name.clone(), frame.rows, table.rows_max);
            return Err(LocalError::TooManyRows { table, rows, rows_max });
        }
    }
    let mut rest = rows.into_inner();
    // The rows end with the stream; nothing is left for the shape to see.
    let left = rest.fill_buf().map_err(failed)?.len();
    let counted = rest.into_inner().shape.finish().map_err(|reason| malformed(table, reason))?;
    if left > 0 || counted != frame.rows {
        return Err(malformed(table, "its rows cannot be told apart"));
    }
    frame.finish(table)
}

/// Shows the shape every byte that is read.
struct Checked<R> {
    inner: R,
    shape: Shape,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.shape.update(&buffer[..read]);
        Ok(read)
    }
}

/// Columns that grow row by row.
struct Frame {
    /// Position in a row, and the column.
    columns: Vec<(usize, StringChunkedBuilder)>,
    rows: u64,
    rows_max: u64,
}

impl Frame {
    fn new(table: &TableConfig, names: &[String]) -> Self {
        let needed: BTreeSet<&str> =
            table.columns.iter().map(|c| c.source.as_str()).chain(table.patient.as_deref()).collect();
        let columns = names
            .iter()
            .enumerate()
            .filter(|(_, name)| needed.contains(name.as_str()))
            .map(|(at, name)| (at, StringChunkedBuilder::new(PlSmallStr::from_str(name), ROWS_FIRST)))
            .collect();
        Self { columns, rows: 0, rows_max: table.rows_max }
    }

    fn add(&mut self, fields: &[Option<String>]) {
        for (at, column) in &mut self.columns {
            column.append_option(fields.get(*at).and_then(Option::as_deref));
        }
        self.rows += 1;
    }

    fn finish(self, table: &TableConfig) -> Result<DataFrame, LocalError> {
        let columns: Vec<Series> = self.columns.into_iter().map(|(_, c)| c.finish().into_column()).collect();
        let height = usize::try_from(self.rows).unwrap_or(usize::MAX);
        DataFrame::new(height, columns).map_err(|_| malformed(table, "two columns have the same name"))
    }
}

impl Sink for Frame {
    fn row(&mut self, fields: &[Option<String>]) -> Result<(), RecordsError> {
        if self.rows >= self.rows_max {
            return Err(RecordsError::TooManyRows { rows_max: self.rows_max });
        }
        self.add(fields);
        Ok(())
    }
}
