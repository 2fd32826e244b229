//! From text to a policy, by recursive descent:
//!
//! ```text
//! policy := all { "or" all }
//! all    := part { "and" part }
//! part   := attribute | "(" policy ")"
//! ```

use std::ops::Range;

use super::{
    ATTRIBUTE_BYTES_MAX, Attribute, DEPTH_MAX, LEAVES_MAX, Node, POLICY_BYTES_MAX, Policy, PolicyError,
};

fn fault(message: impl Into<String>, span: Range<usize>) -> PolicyError {
    PolicyError { message: message.into(), span, hint: None }
}

impl PolicyError {
    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '_' | '-' | '@' | '/')
}

fn is_operator(word: &str) -> bool {
    ["and", "or", "not"].iter().any(|operator| word.eq_ignore_ascii_case(operator))
}

/// Checks an attribute's name that stands at a place of a text.
pub(super) fn attribute(name: &str, at: usize) -> Result<Attribute, PolicyError> {
    let span = at..at + name.len();
    if name.len() > ATTRIBUTE_BYTES_MAX {
        let message = format!("an attribute of {} bytes, and {ATTRIBUTE_BYTES_MAX} are taken", name.len());
        return Err(fault(message, span));
    }
    if is_operator(name) {
        return Err(fault(format!("`{name}` is no attribute"), span)
            .hint("policies have `and`, `or` and parentheses"));
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(
            fault(format!("the attribute `{name}` has capitals"), span).hint("attributes are lower-case")
        );
    }
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || !name.chars().all(is_word) {
        return Err(fault(format!("`{}` is no attribute", name.escape_debug()), span)
            .hint("attributes are letters, digits and : . _ - @ /, as in role:oncologist"));
    }
    Ok(Attribute(name.to_owned()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    End,
}

impl Token<'_> {
    fn describe(self) -> String {
        match self {
            Self::Word(word) => format!("`{}`", word.chars().take(40).collect::<String>()),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Reads a policy.
pub(super) fn policy(text: &str) -> Result<Policy, PolicyError> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(fault(
            format!("a policy of {} bytes, and {POLICY_BYTES_MAX} are read", text.len()),
            0..0,
        ));
    }
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0, leaves: 0 };
    if parser.peek().0 == Token::End {
        return Err(fault("no policy", 0..0).hint("for instance: role:oncologist and hospital:north"));
    }
    let node = parser.any()?;
    match parser.peek() {
        (Token::End, _) => Ok(Policy(node)),
        (Token::Close, span) => Err(fault("`)` closes nothing", span)),
        (other, span) => {
            let message = format!("`and`, `or` or the end expected, and there is {}", other.describe());
            Err(fault(message, span).hint("join attributes by `and` or `or`"))
        }
    }
}

fn lex(text: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, PolicyError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let (token, bytes) = match c {
            _ if c.is_whitespace() => (None, c.len_utf8()),
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            _ if is_word(c) => {
                let bytes = text[at..].find(|c: char| !is_word(c)).unwrap_or(text.len() - at);
                (Some(Token::Word(&text[at..at + bytes])), bytes)
            }
            _ => {
                let error =
                    fault(format!("`{}` means nothing here", c.escape_debug()), at..at + c.len_utf8());
                return Err(error.hint(match c {
                    '&' => "write `and`",
                    '|' | ',' => "write `or`",
                    '=' => "write role:oncologist",
                    _ => "attributes are letters, digits and : . _ - @ /",
                }));
            }
        };
        tokens.extend(token.map(|token| (token, at..at + bytes)));
        at += bytes;
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<(Token<'a>, Range<usize>)>,
    at: usize,
    depth: usize,
    leaves: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> (Token<'a>, Range<usize>) {
        self.tokens.get(self.at).cloned().unwrap_or((Token::End, 0..0))
    }

    fn accept(&mut self, operator: &str) -> bool {
        let is = matches!(self.peek().0, Token::Word(word) if word.eq_ignore_ascii_case(operator));
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Result<Node, PolicyError> {
        let mut parts = vec![self.all()?];
        while self.accept("or") {
            parts.push(self.all()?);
        }
        Ok(Node::any(parts))
    }

    fn all(&mut self) -> Result<Node, PolicyError> {
        let mut parts = vec![self.part()?];
        while self.accept("and") {
            parts.push(self.part()?);
        }
        Ok(Node::all(parts))
    }

    fn part(&mut self) -> Result<Node, PolicyError> {
        let (token, span) = self.peek();
        match token {
            Token::Word(word) => {
                self.leaves += 1;
                if self.leaves > LEAVES_MAX {
                    return Err(fault(format!("more than {LEAVES_MAX} attributes"), span));
                }
                self.at += 1;
                attribute(word, span.start).map(Node::Leaf)
            }
            Token::Open => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(fault(format!("nested more than {DEPTH_MAX} deep"), span));
                }
                let inner = self.any()?;
                self.depth -= 1;
                match self.peek() {
                    (Token::Close, _) => {
                        self.at += 1;
                        Ok(inner)
                    }
                    (Token::End, _) => Err(fault("`(` is not closed", span)),
                    (other, there) => {
                        Err(fault(format!("`)` expected, and there is {}", other.describe()), there))
                    }
                }
            }
            other => Err(fault(format!("an attribute expected, and there is {}", other.describe()), span)),
        }
    }
}
