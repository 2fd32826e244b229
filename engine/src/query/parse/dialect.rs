//! The SQL dialect: plain identifiers, double-quoted identifiers, single-quoted texts; no extensions.

use sqlparser::dialect::Dialect;

/// Ward's dialect.
#[derive(Debug)]
pub(super) struct WardDialect;

impl Dialect for WardDialect {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_ascii_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_ascii_alphanumeric() || ch == '_'
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '"'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('"')
    }
}
