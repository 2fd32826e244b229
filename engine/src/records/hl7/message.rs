//! One message: its header, its encoding, its segments, and what a receiver checks before it looks at the content.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hl7_parser::Message as Parsed;
use hl7_parser::message::{Segment, Separators};

use super::answer::Refusal;
use super::segments;
use super::{Fields, Row};
use crate::encoding::Digest;
use crate::records::date::Moment;

/// Longest header field that is kept, in bytes; HL7 allows 20 to 227 of them.
const HEADER_BYTES_MAX: usize = 227;
/// Most segments of a message.
const SEGMENTS_MAX: usize = 10_000;

/// What a receiver takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Assigning authority of the patient's identifier (PID-3.4); none for the first identifier there is.
    pub authority: Option<String>,
    /// Processing id (MSH-11): `P` for production.
    pub processing: String,
}

/// What the header says: enough to answer, whatever the rest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// MSH-3.
    pub application: String,
    /// MSH-4.
    pub facility: String,
    /// MSH-5.
    pub receiving_application: String,
    /// MSH-6.
    pub receiving_facility: String,
    /// MSH-7.
    pub sent_at: String,
    /// MSH-9.1: `ADT`.
    pub kind: String,
    /// MSH-9.2: `A01`.
    pub event: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-11.
    pub processing: String,
    /// MSH-12.
    pub version: String,
    /// MSH-18: the character set.
    charset: String,
}

/// A message that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its header.
    pub header: Header,
    /// SHA-256 of its bytes, as they came between the marks of a frame.
    pub digest: Digest,
    /// When it was sent (microseconds since 1970), by MSH-7.
    pub sent_us: i64,
    /// What it says.
    pub rows: Vec<Row>,
}

/// A message that is refused, with what of its header could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct Refused {
    /// The header; empty where there is none.
    pub header: Header,
    /// Why.
    pub refusal: Refusal,
}

impl Message {
    /// Reads a message; no bytes make it panic.
    ///
    /// # Errors
    /// [`Refused`], to be answered.
    pub fn read(bytes: &[u8], expected: &Expected) -> Result<Self, Box<Refused>> {
        let header = Header::read(bytes).unwrap_or_default();
        let refused = |refusal| Box::new(Refused { header: header.clone(), refusal });
        header.check(expected).map_err(refused)?;
        let sent = Moment::parse(&header.sent_at).ok_or(Refusal::Missing("MSH-7")).map_err(refused)?;
        let text = header.decode(bytes).map_err(refused)?;
        let read = || -> Result<Vec<Row>, Refusal> {
            let parsed = Parsed::parse_with_lenient_newlines(&text, true)
                .map_err(|_| Refusal::Sequence("a segment is malformed"))?;
            // The parser stops where it does not understand, and says nothing.
            let rest = text.get(parsed.raw_value().len()..).unwrap_or("");
            if !rest.trim().is_empty() || parsed.segments.len() > SEGMENTS_MAX {
                return Err(Refusal::Sequence("a segment is malformed"));
            }
            segments::rows(&header, &parsed, expected)
        };
        // What stands between this node and its hospital's interfaces is not taken down by one message.
        let rows = catch_unwind(AssertUnwindSafe(read))
            .unwrap_or(Err(Refusal::Sequence("a segment is malformed")))
            .map_err(refused)?;
        Ok(Self { header, digest: Digest::of(bytes), sent_us: sent.micros, rows })
    }
}

impl Header {
    /// The header of a message; none where it does not begin with one.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"MSH")?;
        let marks = rest.get(..5)?;
        let is_mark = |b: &u8| b.is_ascii_punctuation() && *b != b'"';
        let distinct = marks.iter().enumerate().all(|(at, b)| is_mark(b) && !marks[..at].contains(b));
        if !distinct {
            return None;
        }
        let (field, component) = (*marks.first()?, *marks.get(1)?);
        let end = rest.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(rest.len());
        let fields: Vec<&[u8]> = rest.get(1..end)?.split(|b| *b == field).collect();
        // MSH-1 is the first mark: field n stands at n - 2.
        let text = |number: usize, part: usize| {
            let part = fields.get(number - 2).and_then(|f| f.split(|b| *b == component).nth(part));
            let text = String::from_utf8_lossy(part.unwrap_or_default());
            if text.len() > HEADER_BYTES_MAX { String::new() } else { text.trim().to_owned() }
        };
        Some(Self {
            application: text(3, 0),
            facility: text(4, 0),
            receiving_application: text(5, 0),
            receiving_facility: text(6, 0),
            sent_at: text(7, 0),
            kind: text(9, 0),
            event: text(9, 1),
            control_id: text(10, 0),
            processing: text(11, 0),
            version: text(12, 0),
            charset: text(18, 0),
        })
    }

    /// Who sent it, for keys and for people.
    #[must_use]
    pub fn sender(&self) -> String {
        format!("{}@{}", self.application, self.facility)
    }

    fn check(&self, expected: &Expected) -> Result<(), Refusal> {
        if self.version.is_empty() && self.kind.is_empty() && self.control_id.is_empty() {
            return Err(Refusal::Sequence("no MSH"));
        }
        if self.control_id.is_empty() {
            return Err(Refusal::Missing("MSH-10"));
        }
        if self.processing != expected.processing {
            return Err(Refusal::Processing);
        }
        if !self.version.starts_with("2.") {
            return Err(Refusal::Version);
        }
        match self.kind.as_str() {
            "ADT" if segments::is_known(&self.event) => Ok(()),
            "ORU" if self.event == "R01" => Ok(()),
            "ADT" | "ORU" => Err(Refusal::Event),
            _ => Err(Refusal::MessageType),
        }
    }

    /// The message as a text, without the fifth character of MSH-2 that version 2.7 allows.
    fn decode(&self, bytes: &[u8]) -> Result<String, Refusal> {
        let mut text = match self.charset.as_str() {
            "8859/1" => bytes.iter().map(|b| char::from(*b)).collect(),
            "" | "ASCII" | "UNICODE UTF-8" => String::from_utf8(bytes.to_vec())
                .map_err(|_| Refusal::Value("MSH-18, and it is not UTF-8"))?,
            _ if bytes.is_ascii() => {
                String::from_utf8(bytes.to_vec()).map_err(|_| Refusal::Value("MSH-18"))?
            }
            _ => return Err(Refusal::Value("MSH-18")),
        };
        if text.get(8..9) == Some("#") && text.get(9..10) == text.get(3..4) {
            text.remove(8);
        }
        Ok(text)
    }
}

/// Reads the fields of a segment.
pub(super) struct Reading<'m> {
    segment: &'m Segment<'m>,
    separators: Separators,
}

impl<'m> Reading<'m> {
    pub(super) fn new(segment: &'m Segment<'m>, separators: Separators) -> Self {
        Self { segment, separators }
    }

    /// The number of repetitions of a field.
    pub(super) fn repeats(&self, field: usize) -> usize {
        self.segment.field(field).map_or(0, |f| f.repeats().count())
    }

    /// The component of the first repetition of a field: none where it is empty, none within where it is `""`.
    pub(super) fn get(&self, field: usize, component: usize) -> Option<Option<String>> {
        self.at(field, 1, component)
    }

    /// The same of any repetition, from 1.
    pub(super) fn at(&self, field: usize, repeat: usize, component: usize) -> Option<Option<String>> {
        let repeat = self.segment.field(field)?.repeat(repeat)?;
        let component = repeat.component(component)?;
        let raw = component.subcomponent(1).map_or(component.raw_value(), |part| part.value);
        match raw.trim() {
            "" => None,
            "\"\"" => Some(None),
            text => Some(Some(unescaped(text, &self.separators))),
        }
    }

    /// A value that is there.
    pub(super) fn text(&self, field: usize, component: usize) -> Option<String> {
        self.get(field, component).flatten()
    }

    /// Puts a component into a field, where the message says anything of it.
    pub(super) fn put(&self, fields: &mut Fields, name: &str, (field, component): (usize, usize)) {
        if let Some(value) = self.get(field, component) {
            fields.insert(name.to_owned(), value.filter(|text| text.len() <= segments::FIELD_BYTES_MAX));
        }
    }
}

/// A text without its escapes: the delimiters, and bytes written in hexadecimal that are ASCII. Other escapes (of
/// formatting and of other character sets) are left out.
fn unescaped(text: &str, separators: &Separators) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(separators.escape) {
        out.push_str(before);
        let Some((code, after)) = after.split_once(separators.escape) else {
            // An escape that does not end is a character.
            out.push(separators.escape);
            rest = after;
            continue;
        };
        match code {
            "F" => out.push(separators.field),
            "S" => out.push(separators.component),
            "T" => out.push(separators.subcomponent),
            "R" => out.push(separators.repetition),
            "E" => out.push(separators.escape),
            ".br" => out.push('\n'),
            code => {
                let bytes = code.strip_prefix('X').and_then(|hex| hex::decode(hex).ok()).unwrap_or_default();
                out.extend(bytes.into_iter().filter(u8::is_ascii).map(char::from));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
