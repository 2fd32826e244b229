//! The shape of a CSV file, checked from end to end: UTF-8, quotes closed, and as many fields in
//! every row as in the heading. A reader that takes only some columns does not see a row that has shifted.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use super::LocalError;
use super::config::TableConfig;
use super::data::{malformed, unreadable};

const NOT_TEXT: &str = "it is not UTF-8 text";
const RAGGED: &str = "a row has more or fewer fields than the heading";
const UNCLOSED: &str = "a quote is not closed";
const TWICE: &str = "two columns have the same heading";

/// Checks a CSV file from end to end; its number of rows.
pub(super) fn check(table: &TableConfig, path: &Path) -> Result<u64, LocalError> {
    let mut shape = Shape::new(table.delimiter);
    let mut file = std::fs::File::open(path).map_err(|error| unreadable(table, &error))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|error| unreadable(table, &error))? {
            0 => return shape.finish().map_err(|reason| malformed(table, reason)),
            read => shape.update(&buffer[..read]),
        }
    }
}

/// Follows the bytes of a file. Any quote opens or closes, wherever it stands, as the reader has it.
pub(super) struct Shape {
    delimiter: u8,
    quoted: bool,
    /// Fields and bytes of the row so far.
    fields: u64,
    bytes: u64,
    heading: Option<u64>,
    /// Names in the heading, and the one that is read.
    names: BTreeSet<Vec<u8>>,
    name: Vec<u8>,
    rows: u64,
    /// Blank lines since the last row.
    blank: u64,
    /// Bytes of a character that the next piece continues.
    rest: Vec<u8>,
    problem: Option<&'static str>,
}

impl Shape {
    /// Of a file with this field delimiter.
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            quoted: false,
            fields: 1,
            bytes: 0,
            heading: None,
            names: BTreeSet::new(),
            name: Vec::new(),
            rows: 0,
            blank: 0,
            rest: Vec::new(),
            problem: None,
        }
    }

    /// The next bytes.
    pub(super) fn update(&mut self, piece: &[u8]) {
        self.text(piece);
        for &byte in piece {
            match byte {
                b'\n' if !self.quoted => self.end_row(),
                b'\r' if !self.quoted => {}
                _ => {
                    self.bytes += 1;
                    // A doubled quote inside quotes closes and opens again.
                    self.quoted ^= byte == b'"';
                    let ends_field = byte == self.delimiter && !self.quoted;
                    self.fields += u64::from(ends_field);
                    match self.heading {
                        None if ends_field => self.end_name(),
                        None if byte != b'"' => self.name.push(byte),
                        _ => {}
                    }
                }
            }
        }
    }

    fn text(&mut self, piece: &[u8]) {
        let joined = [self.rest.as_slice(), piece].concat();
        self.rest.clear();
        if let Err(error) = std::str::from_utf8(&joined) {
            match error.error_len() {
                None => self.rest = joined[error.valid_up_to()..].to_vec(),
                Some(_) => self.problem = Some(NOT_TEXT),
            }
        }
    }

    /// Columns without a name may be several: none of them can be asked for.
    fn end_name(&mut self) {
        let name = std::mem::take(&mut self.name);
        if !name.is_empty() && !self.names.insert(name) {
            self.problem.get_or_insert(TWICE);
        }
    }

    fn end_row(&mut self) {
        let fields = std::mem::replace(&mut self.fields, 1);
        let is_blank = std::mem::take(&mut self.bytes) == 0;
        match self.heading {
            None => {
                self.end_name();
                self.heading = Some(fields);
            }
            // In a file of one column a blank line is a row whose value is missing.
            Some(heading) if is_blank && heading > 1 => self.blank += 1,
            Some(heading) => {
                if fields != heading || self.blank > 0 {
                    self.problem.get_or_insert(RAGGED);
                }
                self.rows += 1;
            }
        }
    }

    /// The number of rows below the heading; blank lines at the end are none.
    ///
    /// # Errors
    /// What is wrong, without content.
    pub(super) fn finish(mut self) -> Result<u64, &'static str> {
        if self.bytes > 0 {
            self.end_row();
        }
        if self.quoted {
            self.problem.get_or_insert(UNCLOSED);
        }
        if !self.rest.is_empty() {
            self.problem = Some(NOT_TEXT);
        }
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self.rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(bytes: &[u8], piece: usize) -> Result<u64, &'static str> {
        let mut shape = Shape::new(b',');
        bytes.chunks(piece.max(1)).for_each(|piece| shape.update(piece));
        shape.finish()
    }

    #[test]
    fn regular_files_have_their_rows() {
        for (text, rows) in [
            ("a,b\n1,2\n3,4\n", 2),
            ("a,b\r\n1,2\r\n3,4", 2),
            ("a,b\n\"1,\n5\",2\n", 1),
            ("a,b\n\"say \"\"so\"\", he\",2\n", 1),
            ("a,b\n1,2\n\n\n", 1),
            ("a\n1\n\n2\n", 3),
            ("a,b\n", 0),
            ("a,,\n1,,\n", 1),
            ("é,ß\nä,ö\n", 1),
        ] {
            for piece in [1, 3, 100] {
                assert_eq!(shape(text.as_bytes(), piece), Ok(rows), "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn shifted_open_and_foreign_files_are_refused() {
        for (bytes, problem) in [
            (&b"a,b\n1,2,3\n"[..], RAGGED),
            (b"a,b\n1\n", RAGGED),
            (b"a,b\n1,2\n\n3,4\n", RAGGED),
            (b"a,b\n\"1,2\n3,4\n", RAGGED),
            (b"a\n\"1\n", UNCLOSED),
            (b"a,b,\"a\"\n1,2,3\n", TWICE),
            (b"a\n\xe9\n", NOT_TEXT),
            (b"a\n\xc3", NOT_TEXT),
        ] {
            for piece in [1, 3, 100] {
                let found = shape(bytes, piece);
                assert!(found == Err(problem) || found == Err(UNCLOSED), "{bytes:?} by {piece}: {found:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in prop::collection::vec(prop::sample::select(b"a,\"\n\r\xc3\xa9".to_vec()), 0..40), piece in 1usize..8) {
            prop_assert_eq!(shape(&bytes, piece), shape(&bytes, 1000));
        }
    }
}
