//! Records of patients from a CSV file (RFC 4180), one row a patient.
//!
//! Errors name rows and columns, never a value: what stands in a record is the patient's.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Largest file read, in bytes.
pub const RECORDS_BYTES_MAX: usize = 64 << 20;
/// Most columns of a file.
pub const COLUMNS_MAX: usize = 1024;

/// One patient's row, by column; wiped on drop.
pub struct Record {
    row: usize,
    values: BTreeMap<String, Zeroizing<String>>,
}

/// Why records cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// Too large, or not UTF-8.
    #[error("the records are no text of at most {RECORDS_BYTES_MAX} bytes")]
    Text,
    /// The first line does not name the columns.
    #[error("the first line does not name 1 to {COLUMNS_MAX} distinct columns")]
    Header,
    /// A row of another length than the first.
    #[error("row {row} has {found} fields, and there are {expected} columns")]
    Fields {
        /// Row, the header being row 1.
        row: usize,
        /// Fields found.
        found: usize,
        /// Columns.
        expected: usize,
    },
    /// Quotation marks that do not match.
    #[error("row {row} has a quoted field that does not end, or goes on behind its end")]
    Quotes {
        /// Row, the header being row 1.
        row: usize,
    },
    /// The column is not there.
    #[error("there is no column `{column}`")]
    Column {
        /// The column.
        column: String,
    },
    /// No row, or several, for a patient.
    #[error("{count} rows have this patient's number in column `{column}`")]
    Patient {
        /// The column of the patients' numbers.
        column: String,
        /// How many.
        count: usize,
    },
}

impl Record {
    /// A record from names and values; `row` is for messages.
    #[must_use]
    pub fn new(row: usize, values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        Self { row, values }
    }

    /// Its row in the file, the header being row 1.
    #[must_use]
    pub fn row(&self) -> usize {
        self.row
    }

    /// The value in a column, without white space around it.
    ///
    /// # Errors
    /// [`RecordsError::Column`].
    pub fn value(&self, column: &str) -> Result<&str, RecordsError> {
        let value = self.values.get(column).map(|value| value.trim());
        value.ok_or_else(|| RecordsError::Column { column: column.to_owned() })
    }
}

/// The record of one patient.
///
/// # Errors
/// [`RecordsError`]; [`RecordsError::Patient`] unless exactly one row is the patient's.
pub fn find(bytes: &[u8], delimiter: char, column: &str, patient: &str) -> Result<Record, RecordsError> {
    let mut found = Vec::new();
    for record in read(bytes, delimiter)? {
        if record.value(column)? == patient {
            found.push(record);
        }
    }
    match found.pop() {
        Some(record) if found.is_empty() => Ok(record),
        last => Err(RecordsError::Patient {
            column: column.to_owned(),
            count: found.len() + usize::from(last.is_some()),
        }),
    }
}

/// All records.
///
/// # Errors
/// [`RecordsError`].
pub fn read(bytes: &[u8], delimiter: char) -> Result<Vec<Record>, RecordsError> {
    if bytes.len() > RECORDS_BYTES_MAX {
        return Err(RecordsError::Text);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| RecordsError::Text)?;
    let mut rows = Rows { rest: text.trim_start_matches('\u{feff}'), delimiter, row: 0 };
    let header = rows.next().transpose()?.ok_or(RecordsError::Header)?;
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let distinct: std::collections::BTreeSet<&String> = columns.iter().collect();
    let usable = (1..=COLUMNS_MAX).contains(&columns.len()) && distinct.len() == columns.len();
    if !usable || columns.iter().any(String::is_empty) {
        return Err(RecordsError::Header);
    }
    let mut records = Vec::new();
    while let Some(fields) = rows.next().transpose()? {
        if fields.len() == 1 && fields[0].trim().is_empty() {
            continue;
        }
        if fields.len() != columns.len() {
            return Err(RecordsError::Fields { row: rows.row, found: fields.len(), expected: columns.len() });
        }
        records.push(Record { row: rows.row, values: columns.iter().cloned().zip(fields).collect() });
    }
    Ok(records)
}

struct Rows<'a> {
    rest: &'a str,
    delimiter: char,
    row: usize,
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<Zeroizing<String>>, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.row += 1;
        let mut fields = Vec::new();
        loop {
            let (field, ends_row) = match self.field() {
                Ok(field) => field,
                Err(error) => {
                    self.rest = "";
                    return Some(Err(error));
                }
            };
            if fields.len() <= COLUMNS_MAX {
                fields.push(field);
            }
            if ends_row {
                return Some(Ok(fields));
            }
        }
    }
}

impl Rows<'_> {
    /// The next field, and whether it is its row's last.
    fn field(&mut self) -> Result<(Zeroizing<String>, bool), RecordsError> {
        let quoted = self.rest.strip_prefix('"');
        let field = match quoted {
            Some(rest) => self.quoted(rest)?,
            None => {
                let end = self.rest.find([self.delimiter, '\n']).unwrap_or(self.rest.len());
                let (field, rest) = self.rest.split_at(end);
                self.rest = rest;
                Zeroizing::new(field.trim_end_matches('\r').to_owned())
            }
        };
        let after = self.rest.strip_prefix('\r').unwrap_or(self.rest);
        if let Some(rest) = after.strip_prefix('\n') {
            self.rest = rest;
            return Ok((field, true));
        }
        if let Some(rest) = self.rest.strip_prefix(self.delimiter) {
            self.rest = rest;
            return Ok((field, false));
        }
        if after.is_empty() { Ok((field, true)) } else { Err(RecordsError::Quotes { row: self.row }) }
    }

    /// A quoted field; `rest` begins behind the opening mark.
    fn quoted<'a>(&mut self, rest: &'a str) -> Result<Zeroizing<String>, RecordsError>
    where
        Self: 'a,
    {
        let mut field = Zeroizing::new(String::new());
        let mut from = 0;
        loop {
            let mark = rest[from..].find('"').ok_or(RecordsError::Quotes { row: self.row })? + from;
            field.push_str(&rest[from..mark]);
            if !rest[mark + 1..].starts_with('"') {
                let consumed = self.rest.len() - rest.len() + mark + 1;
                self.rest = &self.rest[consumed..];
                return Ok(field);
            }
            field.push('"');
            from = mark + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_keep_delimiters_line_breaks_and_marks() {
        let text = "\u{feff}id,name,note\r\n1,\"Doe, J\",\"said \"\"no\"\"\nand left\"\r\n2,,x\n\n";
        let records = read(text.as_bytes(), ',').unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[0].value("name").unwrap(), "Doe, J");
        assert_eq!(records[0].value("note").unwrap(), "said \"no\"\nand left");
        assert_eq!(records[1].value("name").unwrap(), "");
        assert_eq!(records[1].row(), 3);
    }

    #[test]
    fn a_patient_has_exactly_one_row() {
        let text = "id;x\n7;a\n8;b\n8;c";
        assert_eq!(find(text.as_bytes(), ';', "id", "7").unwrap().value("x").unwrap(), "a");
        let error = |patient| find(text.as_bytes(), ';', "id", patient).err().unwrap();
        assert_eq!(error("8"), RecordsError::Patient { column: "id".into(), count: 2 });
        assert_eq!(error("9"), RecordsError::Patient { column: "id".into(), count: 0 });
    }

    #[test]
    fn malformed_files_are_refused() {
        for (text, error) in [
            ("", RecordsError::Header),
            ("a,a\n1,2", RecordsError::Header),
            ("a,\n1,2", RecordsError::Header),
            ("a,b\n1", RecordsError::Fields { row: 2, found: 1, expected: 2 }),
            ("a,b\n1,\"2", RecordsError::Quotes { row: 2 }),
            ("a,b\n1,\"2\"3", RecordsError::Quotes { row: 2 }),
        ] {
            assert_eq!(read(text.as_bytes(), ',').err(), Some(error), "{text}");
        }
        assert_eq!(read(&[0xff], ',').err(), Some(RecordsError::Text));
        let record = read(b"a\n1", ',').unwrap().remove(0);
        assert_eq!(record.value("b"), Err(RecordsError::Column { column: "b".into() }));
    }
}
