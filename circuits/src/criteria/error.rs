//! What can be wrong with criteria: where, and what to do about it.

use std::fmt;
use std::ops::Range;

/// Longest line shown whole, in characters.
const LINE_CHARS_MAX: usize = 160;

/// Why a text is no criteria that a credential can be held against.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not the language.
    #[error("{message}")]
    Syntax {
        /// What was expected, and what stands there.
        message: String,
    },
    /// The schema has no such attribute.
    #[error("no attribute `{name}`")]
    Attribute {
        /// As written.
        name: String,
    },
    /// A test that the attribute does not take.
    #[error("`{attribute}` {takes}, not {found}")]
    Test {
        /// The attribute.
        attribute: String,
        /// What it takes.
        takes: String,
        /// What stands there.
        found: String,
    },
    /// A unit that is missing, or not the attribute's.
    #[error("{message}")]
    Unit {
        /// What is wrong.
        message: String,
    },
    /// A value that the attribute cannot have.
    #[error("`{literal}` is no value of `{attribute}`: {reason}")]
    Value {
        /// The attribute.
        attribute: String,
        /// As written.
        literal: String,
        /// Why.
        reason: String,
    },
    /// A clause that nobody, or everybody, meets.
    #[error("{message}")]
    Empty {
        /// What is wrong.
        message: String,
    },
    /// Criteria that do not fit the circuit.
    #[error("{what}: {count}, and {limit} fit")]
    Limit {
        /// What is counted.
        what: String,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
}

impl Fault {
    /// Stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "criteria.syntax",
            Self::Attribute { .. } => "criteria.attribute",
            Self::Test { .. } => "criteria.test",
            Self::Unit { .. } => "criteria.unit",
            Self::Value { .. } => "criteria.value",
            Self::Empty { .. } => "criteria.empty",
            Self::Limit { .. } => "criteria.limit",
        }
    }
}

/// A fault, before its place in the text is worked out: bytes of the text, and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub fault: Fault,
    pub span: Range<usize>,
    pub hint: Option<String>,
}

impl At {
    pub fn new(fault: Fault, span: Range<usize>) -> Self {
        Self { fault, span, hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn syntax(message: impl Into<String>, span: Range<usize>) -> Self {
        Self::new(Fault::Syntax { message: message.into() }, span)
    }

    pub fn within(self, text: &str) -> CriteriaError {
        CriteriaError::new(self, text)
    }
}

/// Why criteria are refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriteriaError {
    fault: Box<Fault>,
    hint: Option<Box<str>>,
    span: Range<usize>,
    line: usize,
    column: usize,
    source: Box<str>,
    marked: usize,
}

impl CriteriaError {
    fn new(at: At, text: &str) -> Self {
        let start = floor_char(text, at.span.start);
        let end = floor_char(text, at.span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let source = text[line_start..].lines().next().unwrap_or_default().to_owned();
        let line_end = line_start + source.len();
        let marked = text[start..end.min(line_end).max(start)].chars().count().max(1);
        Self {
            fault: Box::new(at.fault),
            hint: at.hint.map(String::into_boxed_str),
            span: start..end,
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            source: source.into_boxed_str(),
            marked,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }

    /// What to do about it, when there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The bytes of the text it is about.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Line and column, both from 1; columns count characters.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// The line of the text with carets under the fault:
    ///
    /// ```text
    ///   | age >= 18 and hba1 >= 6.5 [%]
    ///   |               ^^^^
    /// ```
    #[must_use]
    pub fn picture(&self) -> String {
        // Long lines are cut to what surrounds the fault; whatever a terminal would obey is replaced.
        let skip = (self.column - 1).saturating_sub(LINE_CHARS_MAX / 2);
        let shown: String = self.source.chars().skip(skip).take(LINE_CHARS_MAX).map(visible).collect();
        let indent = " ".repeat(self.column - 1 - skip);
        let carets = "^".repeat(self.marked.min(LINE_CHARS_MAX));
        format!("  | {shown}\n  | {indent}{carets}\n")
    }
}

fn visible(c: char) -> char {
    let obeyed = c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if obeyed { ' ' } else { c }
}

fn floor_char(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

impl fmt::Display for CriteriaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.fault, self.line, self.column)
    }
}

impl std::error::Error for CriteriaError {}
