//! SQL text to Ward's syntax tree. `sqlparser` reads the text under a dialect of ours that knows little; what it
//! reads is then taken apart field by field, and every field that Ward has no meaning for is refused where it stands.

mod condition;
mod dialect;
mod privacy;
mod select;
mod statistic;

use sqlparser::ast::{self as sql, Ident, Spanned, Statement};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, Tokenizer};

use self::dialect::WardDialect;
use super::ast::{PrivacyClause, Query};
use super::error::{Place, QueryError};

/// Longest query text, in bytes.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;

/// Most tokens of a query text, white space aside.
pub const TOKENS_MAX: usize = 8192;

/// Deepest nesting of conditions.
pub const DEPTH_MAX: usize = 24;

/// Most entries of one list: SELECT items, conditions of one AND or OR, values of an IN, edges of a histogram.
pub const LIST_MAX: usize = 1024;

/// Nesting the SQL reader follows, redundant parentheses included.
const READER_DEPTH_MAX: usize = 160;

pub(crate) use self::privacy::scaled;

type Result<T> = std::result::Result<T, QueryError>;

/// Parses one query.
///
/// # Errors
/// [`QueryError`] with the place in the text: for what is not SQL, for SQL that Ward does not have, for unknown
/// statistics and wrong arguments, and for a text over [`TEXT_BYTES_MAX`], [`DEPTH_MAX`] or [`LIST_MAX`].
pub fn parse(sql: &str) -> Result<Query> {
    let (statements, clauses) = read(sql)?;
    let mut statements = statements.into_iter();
    let statement = match (statements.next(), statements.next()) {
        (Some(one), None) => one,
        (None, _) => return Err(QueryError::Syntax { message: "the query is empty".into(), place: None }),
        (Some(_), Some(second)) => {
            return Err(unsupported("a second statement", "send one query at a time", second.span()));
        }
    };
    match statement {
        Statement::Query(query) => {
            let Clauses { privacy, is_rounded, is_proved } = clauses;
            Ok(Query { privacy, is_rounded, is_proved, ..select::query(*query)? })
        }
        other => Err(unsupported("this statement", "Ward answers SELECT queries only", other.span())),
    }
}

/// Where a name first stands in a query text, to point at what the planner refused.
#[must_use]
pub fn locate(sql: &str, name: &str) -> Option<Place> {
    if sql.len() > TEXT_BYTES_MAX {
        return None;
    }
    let tokens = Tokenizer::new(&WardDialect, sql).tokenize_with_location().ok()?;
    let is_name = |token: &Token| match token {
        Token::Word(word) => word.value.eq_ignore_ascii_case(name),
        Token::SingleQuotedString(text) | Token::Number(text, _) => text == name,
        _ => false,
    };
    tokens.iter().find(|t| is_name(&t.token)).and_then(|t| place(t.span))
}

/// What stands after the statement.
struct Clauses {
    privacy: Option<PrivacyClause>,
    is_rounded: bool,
    is_proved: bool,
}

fn read(sql: &str) -> Result<(Vec<Statement>, Clauses)> {
    limit("the query text, in bytes", sql.len(), TEXT_BYTES_MAX, "shorten the query")?;
    let mut tokens = Tokenizer::new(&WardDialect, sql)
        .tokenize_with_location()
        .map_err(|e| QueryError::Syntax { message: sentence(&e.message), place: point(e.location) })?;
    tokens.retain(|t| !matches!(t.token, Token::Whitespace(_)));
    limit("the query text, in tokens", tokens.len(), TOKENS_MAX, "shorten the query")?;
    let is_proved = privacy::take_word(&mut tokens, "proofs");
    let is_rounded = privacy::take_word(&mut tokens, "rounding");
    let privacy = privacy::take(&mut tokens)?;
    let mut parser =
        Parser::new(&WardDialect).with_recursion_limit(READER_DEPTH_MAX).with_tokens_with_locations(tokens);
    let statements = parser.parse_statements().map_err(|error| match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => syntax(&message),
        ParserError::RecursionLimitExceeded => too_deep(READER_DEPTH_MAX + 1, READER_DEPTH_MAX),
    })?;
    Ok((statements, Clauses { privacy, is_rounded, is_proved }))
}

/// A syntax error from the reader's message, which ends in its location.
fn syntax(message: &str) -> QueryError {
    let (text, place) = match message.rsplit_once(" at Line: ") {
        Some((text, location)) => (text, read_location(location)),
        None => (message, None),
    };
    QueryError::Syntax { message: sentence(text), place }
}

fn read_location(text: &str) -> Option<Place> {
    let (line, column) = text.split_once(", Column: ")?;
    point(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

fn point(location: Location) -> Option<Place> {
    place(Span { start: location, end: location })
}

/// The place of a span; `None` for the empty span of what the reader made up.
fn place(span: Span) -> Option<Place> {
    let number = |n: u64| u32::try_from(n).ok();
    (span.start.line > 0).then_some(())?;
    Some(Place {
        line: number(span.start.line)?,
        column: number(span.start.column)?,
        end_line: number(span.end.line)?,
        end_column: number(span.end.column)?,
    })
}

fn unsupported(construct: &str, hint: &str, span: Span) -> QueryError {
    QueryError::Unsupported { construct: construct.into(), hint: hint.into(), place: place(span) }
}

fn too_deep(count: usize, limit: usize) -> QueryError {
    let (count, limit) = (count as u64, limit as u64);
    QueryError::Limit { what: "nesting".into(), count, limit, hint: "write the condition flatter".into() }
}

fn limit(what: &str, count: usize, limit: usize, hint: &str) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    let (count, limit) = (count as u64, limit as u64);
    Err(QueryError::Limit { what: what.into(), count, limit, hint: hint.into() })
}

/// A catalogue name: letters, digits and underscores, in lower case; at most 63 of them.
fn name(ident: &Ident) -> Result<String> {
    let text = ident.value.to_ascii_lowercase();
    let fits = text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty();
    if fits { Ok(text) } else { Err(unsupported("this name", NAME_HINT, ident.span)) }
}

const NAME_HINT: &str = "names are at most 63 letters, digits and underscores, not starting with a digit";

/// The column an expression names.
fn column(expr: &sql::Expr) -> Result<String> {
    match expr {
        sql::Expr::Identifier(ident) => name(ident),
        sql::Expr::CompoundIdentifier(parts) => {
            let span = parts.first().map_or_else(Span::empty, |p| p.span);
            Err(unsupported("a qualified name", "there is one table: write the column's name alone", span))
        }
        other => Err(unsupported("an expression", "write the name of a column here", other.span())),
    }
}
