//! Words, operators, units and brackets of the language, with their places.

use std::ops::Range;

use super::error::At;

/// Longest criteria read, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 14;

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, a number, a date or a code: letters, digits and `_ . * -`.
    Word(&'a str),
    /// A comparison.
    Op(Op),
    /// A unit, without its brackets.
    Unit(&'a str),
    Open,
    Close,
    Comma,
    End,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
    NotEqual,
}

/// A token and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spanned<'a> {
    pub token: Token<'a>,
    pub span: Range<usize>,
}

/// Comparisons by spelling, longer ones first.
const OPS: [(&str, Op); 11] = [
    (">=", Op::AtLeast),
    ("<=", Op::AtMost),
    ("!=", Op::NotEqual),
    ("<>", Op::NotEqual),
    ("==", Op::Equal),
    ("\u{2265}", Op::AtLeast),
    ("\u{2264}", Op::AtMost),
    ("\u{2260}", Op::NotEqual),
    (">", Op::Above),
    ("<", Op::Below),
    ("=", Op::Equal),
];

/// Splits a text; the last token is [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Spanned<'_>>, At> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("criteria of {} bytes, and {TEXT_BYTES_MAX} are read", text.len());
        return Err(At::syntax(message, 0..0));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, bytes) = next(&text[at..]).map_err(|mut error| {
            error.span = at + error.span.start..at + error.span.end;
            error
        })?;
        tokens.push(Spanned { token, span: at..at + bytes });
        at += bytes;
    }
    tokens.push(Spanned { token: Token::End, span: text.len()..text.len() });
    Ok(tokens)
}

/// The token at the start of a text that is not empty, and its length in bytes; places in errors count from there.
fn next(rest: &str) -> Result<(Token<'_>, usize), At> {
    if let Some((spelling, op)) = OPS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
        return Ok((Token::Op(*op), spelling.len()));
    }
    let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    if word > 0 {
        return Ok((Token::Word(&rest[..word]), word));
    }
    match rest.as_bytes()[0] {
        b'(' => Ok((Token::Open, 1)),
        b')' => Ok((Token::Close, 1)),
        b',' => Ok((Token::Comma, 1)),
        b'[' => unit(rest).ok_or_else(|| {
            let bytes = rest.find('\n').unwrap_or(rest.len());
            At::syntax("a unit that is not closed", 0..bytes).hint("units stand in brackets: 6.5 [%]")
        }),
        _ => {
            let c = rest.chars().next().unwrap_or_default();
            let error = At::syntax(format!("`{}` means nothing here", c.escape_debug()), 0..c.len_utf8());
            let hint = match c {
                '%' => "units stand in brackets: 6.5 [%]",
                '&' => "write `and`",
                '|' => "write `or`",
                '!' => "write `not`, or `!=` for a comparison",
                '\'' | '"' | '`' => "values stand without quotation marks: smoker = yes",
                _ => "a clause reads `age >= 18`, `hba1c between 6.5 and 9 [%]` or `dx in (E11.*)`",
            };
            Err(error.hint(hint))
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '*' | '-')
}

/// A unit up to the bracket that closes it: `[mm[Hg]]` holds `mm[Hg]`.
fn unit(rest: &str) -> Option<(Token<'_>, usize)> {
    let mut depth = 0usize;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            b'\n' => return None,
            _ => {}
        }
        if depth == 0 {
            return Some((Token::Unit(rest[1..at].trim()), at + 1));
        }
    }
    None
}

impl Token<'_> {
    /// How a message names it.
    pub fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{}`", super::clip(word)),
            Self::Op(op) => format!("`{}`", op.text()),
            Self::Unit(unit) => format!("the unit [{}]", super::clip(unit)),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::Comma => "`,`".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }

    /// Whether it is this word of the language, in any case.
    pub fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

impl Op {
    pub fn text(self) -> &'static str {
        match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::Below => "<",
            Self::Equal => "=",
            Self::NotEqual => "!=",
        }
    }
}
