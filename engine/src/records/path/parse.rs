//! Reading an expression.

use super::{Comparison, Expr, Function, PathError};
use crate::records::date::Moment;

/// Longest expression, in bytes.
const BYTES_MAX: usize = 4096;
/// Deepest nesting of parentheses and calls.
const DEPTH_MAX: usize = 32;
/// Most tokens of an expression: it bounds the length of a chain as well.
const TOKENS_MAX: usize = 512;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Date(String),
    Sign(&'static str),
}

const SIGNS: [&str; 14] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ".", ",", "|", "$this"];

/// Reads an expression.
///
/// # Errors
/// [`PathError`] with the place.
pub fn parse(text: &str) -> Result<Expr, PathError> {
    if text.len() > BYTES_MAX {
        return Err(PathError { at: 1, reason: format!("the path is longer than {BYTES_MAX} bytes") });
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, end: text.chars().count() + 1 };
    let expr = parser.or()?;
    if parser.at < tokens.len() {
        return parser.fail("the path goes on where it should end");
    }
    Ok(expr)
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, PathError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let start = at;
        let fail = |reason: &str| Err(PathError { at: start + 1, reason: reason.to_owned() });
        if tokens.len() >= TOKENS_MAX {
            return fail("the path has too many parts");
        }
        let run = |from: usize, fits: fn(char) -> bool| {
            chars[from..].iter().take_while(|c| fits(**c)).collect::<String>()
        };
        let token = if c.is_whitespace() {
            at += 1;
            continue;
        } else if c == '\'' {
            let (content, end) = match text_literal(&chars, at + 1) {
                Some(found) => found,
                None => return fail("the text is not closed by '"),
            };
            at = end;
            Token::Text(content)
        } else if c == '@' {
            let date = run(at + 1, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '+' | '.'));
            if Moment::parse(&date).is_none() {
                return fail("no such date; write @2026-09-01");
            }
            at += 1 + date.len();
            Token::Date(date)
        } else if c.is_ascii_digit() || (c == '-' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) {
            let digits = run(at + 1, |c| c.is_ascii_digit() || c == '.');
            at += 1 + digits.len();
            if digits.ends_with('.') || digits.matches('.').count() > 1 {
                return fail("no number");
            }
            Token::Number(format!("{c}{digits}"))
        } else if c.is_ascii_alphabetic() || c == '_' {
            let name = run(at, |c| c.is_ascii_alphanumeric() || c == '_');
            at += name.len();
            Token::Name(name)
        } else {
            let rest: String = chars[at..].iter().take(5).collect();
            match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                None => return fail("unexpected character"),
                Some(sign) => {
                    at += sign.len();
                    Token::Sign(sign)
                }
            }
        };
        tokens.push((start + 1, token));
    }
    Ok(tokens)
}

/// The content of a text that begins at `at`, and where it ends; `\'` and `\\` are escapes.
fn text_literal(chars: &[char], mut at: usize) -> Option<(String, usize)> {
    let mut content = String::new();
    loop {
        match chars.get(at)? {
            '\'' => return Some((content, at + 1)),
            '\\' => {
                content.push(*chars.get(at + 1)?);
                at += 2;
            }
            c => {
                content.push(*c);
                at += 1;
            }
        }
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    depth: usize,
    end: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, reason: &str) -> Result<T, PathError> {
        let at = self.tokens.get(self.at).map_or(self.end, |(at, _)| *at);
        Err(PathError { at, reason: reason.to_owned() })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(there);
        there
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Name(name)) if name == word);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, sign: &str) -> Result<(), PathError> {
        if self.takes(sign) { Ok(()) } else { self.fail(&format!("expected `{sign}`")) }
    }

    fn or(&mut self) -> Result<Expr, PathError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail("the path is nested too deeply");
        }
        let mut left = self.and()?;
        while self.takes_word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, PathError> {
        let mut left = self.compare()?;
        while self.takes_word("and") {
            left = Expr::And(Box::new(left), Box::new(self.compare()?));
        }
        Ok(left)
    }

    fn compare(&mut self) -> Result<Expr, PathError> {
        let left = Box::new(self.union()?);
        if self.takes_word("in") {
            return Ok(Expr::In(left, Box::new(self.union()?)));
        }
        for (sign, comparison) in [
            ("=", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<", Comparison::Below),
            ("<=", Comparison::AtMost),
            (">", Comparison::Above),
            (">=", Comparison::AtLeast),
        ] {
            if self.takes(sign) {
                return Ok(Expr::Compare(left, comparison, Box::new(self.union()?)));
            }
        }
        Ok(*left)
    }

    fn union(&mut self) -> Result<Expr, PathError> {
        let mut left = self.path()?;
        while self.takes("|") {
            left = Expr::Union(Box::new(left), Box::new(self.path()?));
        }
        Ok(left)
    }

    fn path(&mut self) -> Result<Expr, PathError> {
        let mut expr = self.start()?;
        loop {
            if self.takes(".") {
                let Some(Token::Name(name)) = self.peek().cloned() else {
                    return self.fail("expected a name after `.`");
                };
                self.at += 1;
                expr = self.step(expr, name)?;
            } else if self.takes("[") {
                let Some(Token::Number(number)) = self.peek().cloned() else {
                    return self.fail("expected a number after `[`");
                };
                let Ok(index) = number.parse() else { return self.fail("an index is a whole number from 0") };
                self.at += 1;
                self.expect("]")?;
                expr = Expr::Index(Box::new(expr), index);
            } else {
                return Ok(expr);
            }
        }
    }

    fn step(&mut self, of: Expr, name: String) -> Result<Expr, PathError> {
        if !self.takes("(") {
            return Ok(Expr::Child(Box::new(of), name));
        }
        let function = self.function(&name)?;
        self.expect(")")?;
        Ok(Expr::Call(Box::new(of), function))
    }

    fn start(&mut self) -> Result<Expr, PathError> {
        let Some(token) = self.peek().cloned() else { return self.fail("the path ends too early") };
        match token {
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.or()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("$this") => {
                self.at += 1;
                Ok(Expr::This)
            }
            Token::Sign(_) => self.fail("expected a name, a value or `(`"),
            Token::Text(text) => self.literal(Expr::Text(text)),
            Token::Number(number) => self.literal(Expr::Number(number)),
            Token::Date(date) => self.literal(Expr::Date(date)),
            Token::Name(name) if matches!(name.as_str(), "and" | "or" | "in") => {
                self.fail(&format!("`{name}` stands between two conditions"))
            }
            Token::Name(name) if matches!(name.as_str(), "true" | "false") => {
                self.literal(Expr::Bool(name == "true"))
            }
            Token::Name(name) => {
                self.at += 1;
                self.step(Expr::This, name)
            }
        }
    }

    fn literal(&mut self, expr: Expr) -> Result<Expr, PathError> {
        self.at += 1;
        Ok(expr)
    }

    fn function(&mut self, name: &str) -> Result<Function, PathError> {
        Ok(match name {
            "where" => Function::Where(Box::new(self.or()?)),
            "exists" if matches!(self.peek(), Some(Token::Sign(")"))) => Function::Exists(None),
            "exists" => Function::Exists(Some(Box::new(self.or()?))),
            "empty" => Function::Empty,
            "not" => Function::Not,
            "first" => Function::First,
            "last" => Function::Last,
            "count" => Function::Count,
            "min" => Function::Min,
            "max" => Function::Max,
            "year" => Function::Year,
            "date" => Function::Day,
            "getResourceKey" => Function::ResourceKey,
            "ofType" => Function::OfType(self.word()?),
            "getReferenceKey" if matches!(self.peek(), Some(Token::Sign(")"))) => {
                Function::ReferenceKey(None)
            }
            "getReferenceKey" => Function::ReferenceKey(Some(self.word()?)),
            "extension" => Function::Extension(self.text()?),
            "startsWith" => Function::StartsWith(self.text()?),
            "substring" => {
                let start = self.whole()?;
                self.expect(",")?;
                Function::Substring(start, self.whole()?)
            }
            "iif" => {
                let condition = Box::new(self.or()?);
                self.expect(",")?;
                let then = Box::new(self.or()?);
                let otherwise = if self.takes(",") { Some(Box::new(self.or()?)) } else { None };
                Function::If(condition, then, otherwise)
            }
            "ageAt" => {
                let (birth, at) = self.pair()?;
                Function::AgeAt(birth, at)
            }
            "daysBetween" => {
                let (from, to) = self.pair()?;
                Function::DaysBetween(from, to)
            }
            _ => return self.fail(&format!("no function `{name}`; docs/reference/mapping.md lists them")),
        })
    }

    fn pair(&mut self) -> Result<(Box<Expr>, Box<Expr>), PathError> {
        let first = Box::new(self.or()?);
        self.expect(",")?;
        Ok((first, Box::new(self.or()?)))
    }

    fn word(&mut self) -> Result<String, PathError> {
        let Some(Token::Name(name)) = self.peek().cloned() else {
            return self.fail("expected a type's name");
        };
        self.at += 1;
        Ok(name)
    }

    fn text(&mut self) -> Result<String, PathError> {
        let Some(Token::Text(text)) = self.peek().cloned() else { return self.fail("expected a 'text'") };
        self.at += 1;
        Ok(text)
    }

    fn whole(&mut self) -> Result<usize, PathError> {
        let Some(Token::Number(number)) = self.peek() else { return self.fail("expected a whole number") };
        let Ok(number) = number.parse() else { return self.fail("expected a whole number from 0") };
        self.at += 1;
        Ok(number)
    }
}
