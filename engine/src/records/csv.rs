//! Rows of a CSV file (RFC 4180), one at a time, from any stream of bytes.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

/// Largest row, in bytes.
pub const ROW_BYTES_MAX: usize = 1 << 20;
/// Most fields of a row.
pub const FIELDS_MAX: usize = 4096;

/// Reads rows into buffers that are used again.
pub struct Rows<R> {
    reader: R,
    delimiter: u8,
    line: Vec<u8>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// It is in the buffer.
    Read,
    /// It is no text, or too large: the buffer is empty.
    Unusable,
    /// There is none left.
    End,
}

/// Opens a file; gzip by the name's ending `.gz`.
///
/// # Errors
/// As the system says.
pub fn open(path: &Path) -> std::io::Result<Box<dyn BufRead + Send>> {
    let file = BufReader::with_capacity(1 << 16, std::fs::File::open(path)?);
    if path.extension().is_some_and(|e| e == "gz") {
        return Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file))));
    }
    Ok(Box::new(file))
}

/// Reads up to and with the next line feed, at most `bytes_max` bytes of it into `line`; what is longer is read over.
/// Returns the bytes consumed; 0 at the end.
///
/// # Errors
/// As the system says.
pub fn bounded_line<R: BufRead + ?Sized>(
    reader: &mut R,
    line: &mut Vec<u8>,
    bytes_max: usize,
) -> std::io::Result<usize> {
    let room = bytes_max.saturating_sub(line.len()) as u64;
    let mut read = (&mut *reader).take(room).read_until(b'\n', line)?;
    if read as u64 == room && line.last() != Some(&b'\n') {
        // The rest of an overlong line.
        loop {
            let piece = reader.fill_buf()?;
            if piece.is_empty() {
                break;
            }
            let end = piece.iter().position(|b| *b == b'\n').map(|at| at + 1);
            let length = end.unwrap_or(piece.len());
            reader.consume(length);
            read += length;
            if end.is_some() {
                break;
            }
        }
        line.resize(bytes_max + 1, 0);
    }
    Ok(read)
}

impl<R: BufRead> Rows<R> {
    /// Rows of a stream, the heading among them.
    pub fn new(reader: R, delimiter: u8) -> Self {
        Self { reader, delimiter, line: Vec::new() }
    }

    /// The stream behind the rows.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The next row's fields; blank lines are passed over where `fields` is to have more than one.
    ///
    /// # Errors
    /// As the system says.
    pub fn next(&mut self, fields: &mut Vec<Option<String>>) -> std::io::Result<Row> {
        loop {
            self.line.clear();
            // A row goes on while a quote is open.
            let mut is_open = false;
            loop {
                let from = self.line.len();
                let read = bounded_line(&mut self.reader, &mut self.line, ROW_BYTES_MAX)?;
                if self.line.len() > ROW_BYTES_MAX {
                    fields.clear();
                    return Ok(Row::Unusable);
                }
                is_open ^= self.line[from..].iter().filter(|b| **b == b'"').count() % 2 == 1;
                if read == 0 || !is_open {
                    break;
                }
            }
            if self.line.is_empty() {
                fields.clear();
                return Ok(Row::End);
            }
            let content = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            let content = content.strip_suffix(b"\r").unwrap_or(content);
            if content.is_empty() && fields.len() != 1 {
                continue;
            }
            return Ok(match std::str::from_utf8(content) {
                Ok(text) if split(text, self.delimiter, fields) => Row::Read,
                _ => {
                    fields.clear();
                    Row::Unusable
                }
            });
        }
    }
}

/// Splits a row; a field that is empty and not quoted is no value. `false` for an open quote or too many fields.
fn split(text: &str, delimiter: u8, fields: &mut Vec<Option<String>>) -> bool {
    let mut count = 0;
    let mut rest = text;
    loop {
        if count == FIELDS_MAX {
            return false;
        }
        if fields.len() == count {
            fields.push(None);
        }
        let mut buffer = fields[count].take().unwrap_or_default();
        buffer.clear();
        let was_quoted = rest.starts_with('"');
        let end = field(rest, delimiter, &mut buffer);
        fields[count] = (was_quoted || !buffer.is_empty()).then_some(buffer);
        count += 1;
        match end {
            None => return false,
            Some(end) if end == rest.len() => {
                fields.truncate(count);
                return true;
            }
            Some(end) => rest = &rest[end + 1..],
        }
    }
}

/// Reads a field into `buffer`; where it ends. Marks inside quotes are doubled.
fn field(text: &str, delimiter: u8, buffer: &mut String) -> Option<usize> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|b| b == delimiter).unwrap_or(text.len());
        buffer.push_str(&text[..end]);
        return Some(end);
    };
    let mut from = 0;
    loop {
        let mark = from + quoted[from..].find('"')?;
        buffer.push_str(&quoted[from..mark]);
        let after = &quoted[mark + 1..];
        if after.starts_with('"') {
            buffer.push('"');
            from = mark + 2;
        } else {
            let end = after.bytes().position(|b| b == delimiter).unwrap_or(after.len());
            buffer.push_str(&after[..end]);
            return Some(1 + mark + 1 + end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str) -> Vec<Vec<Option<String>>> {
        let mut reader = Rows::new(text.as_bytes(), b',');
        let (mut rows, mut fields) = (Vec::new(), Vec::new());
        while reader.next(&mut fields).unwrap() == Row::Read {
            rows.push(fields.clone());
        }
        rows
    }

    #[test]
    fn quoted_fields_keep_delimiters_line_breaks_and_marks() {
        let found = rows("a,b\r\n\"x, y\",\"said \"\"no\"\"\nand left\"\n,\"\"\n\n1,2");
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(
            found,
            [
                vec![text("a"), text("b")],
                vec![text("x, y"), text("said \"no\"\nand left")],
                vec![None, text("")],
                vec![text("1"), text("2")]
            ]
        );
    }

    #[test]
    fn an_overlong_row_is_passed_over_and_the_next_one_read() {
        let text = format!("a\n{}\nb\n", "x".repeat(ROW_BYTES_MAX + 10));
        let mut reader = Rows::new(text.as_bytes(), b',');
        let mut fields = Vec::new();
        let states: Vec<Row> = (0..4).map(|_| reader.next(&mut fields).unwrap()).collect();
        assert_eq!(states, [Row::Read, Row::Unusable, Row::Read, Row::End]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(table in prop::collection::vec(prop::collection::vec("[a-z,\"\n é]{0,6}", 2..5), 1..6)) {
            let quoted = |f: &String| format!("\"{}\"", f.replace('"', "\"\""));
            let text: String = table.iter().map(|r| r.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n").collect();
            let expected: Vec<Vec<Option<String>>> =
                table.iter().map(|r| r.iter().cloned().map(Some).collect()).collect();
            prop_assert_eq!(rows(&text), expected);
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(prop::sample::select(b"a,\"\n\r\xff".to_vec()), 0..60)) {
            let mut reader = Rows::new(&bytes[..], b',');
            let mut fields = Vec::new();
            while reader.next(&mut fields).unwrap() != Row::End {}
        }
    }
}
