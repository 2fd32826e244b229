//! The canonical text of criteria, and its hash.
//!
//! Canonical: names and values as the schema writes them, numbers without idle zeros and in the schema's unit, codes
//! sorted and without those that another covers, `not` only in `not in`, `not between` and `not within`, an AND of ORs
//! with parentheses around each OR, every clause and group once, in the order in which they were written.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::schema::Kind;
use super::{Clause, CodeRange, Criteria, Test, Value};

const ID_DOMAIN: &[u8] = b"ward-criteria/1\0";

/// The identity of a canonical text: SHA-256 over `ward-criteria/1`, a zero byte, the 32 bytes of the schema's id, and
/// the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextId(pub [u8; 32]);

impl Criteria {
    /// The identity of the canonical text.
    #[must_use]
    pub fn text_id(&self) -> TextId {
        let hash = Sha256::new().chain_update(ID_DOMAIN).chain_update(self.schema.id().0);
        TextId(hash.chain_update(self.to_string().as_bytes()).finalize().into())
    }

    /// A clause in canonical form.
    #[must_use]
    pub fn clause_text(&self, clause: &Clause) -> String {
        let attribute = self.attribute_of(clause);
        let writer = Writer::of(&attribute.kind);
        format!("{} {}", attribute.name, writer.test(&clause.test))
    }

    /// The clauses of a group, joined by `or`.
    #[must_use]
    pub fn group_text(&self, clauses: &[Clause]) -> String {
        let texts: Vec<String> = clauses.iter().map(|clause| self.clause_text(clause)).collect();
        texts.join(" or ")
    }
}

impl fmt::Display for Criteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            let text = self.group_text(group);
            f.write_str(if index > 0 { " and " } else { "" })?;
            match group.len() > 1 && self.groups.len() > 1 {
                true => write!(f, "({text})")?,
                false => f.write_str(&text)?,
            }
        }
        Ok(())
    }
}

/// How the values of one attribute are written.
struct Writer {
    unit: String,
    dot_after: Option<usize>,
}

impl Writer {
    fn of(kind: &Kind) -> Self {
        let unit = match kind {
            Kind::Number(number) if !number.is_dimensionless() => format!(" [{}]", number.unit),
            _ => String::new(),
        };
        let dot_after = if let Kind::Codes { dot_after, .. } = kind { *dot_after } else { None };
        Self { unit, dot_after }
    }

    fn test(&self, test: &Test) -> String {
        let unit = &self.unit;
        match test {
            Test::AtLeast(v) => format!(">= {v}{unit}"),
            Test::AtMost(v) => format!("<= {v}{unit}"),
            Test::Above(v) => format!("> {v}{unit}"),
            Test::Below(v) => format!("< {v}{unit}"),
            Test::Equal(v) => format!("= {v}{unit}"),
            Test::NotEqual(v) => format!("!= {v}{unit}"),
            Test::Between(a, b) => format!("between {a} and {b}{unit}"),
            Test::NotBetween(a, b) => format!("not between {a} and {b}{unit}"),
            Test::In(values) => format!("in ({})", list(values)),
            Test::NotIn(values) => format!("not in ({})", list(values)),
            Test::WithinDays(days) => format!("within {days} days"),
            Test::NotWithinDays(days) => format!("not within {days} days"),
            Test::AnyCode(ranges) => format!("in ({})", self.codes(ranges)),
            Test::NoCode(ranges) => format!("not in ({})", self.codes(ranges)),
        }
    }

    fn codes(&self, ranges: &[CodeRange]) -> String {
        let texts: Vec<String> = ranges.iter().map(|range| range.text(self.dot_after)).collect();
        texts.join(", ")
    }
}

fn list(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Choice { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Display for TextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextId({self})")
    }
}
