//! From tokens to a tree of clauses, by recursive descent:
//!
//! ```text
//! criteria := all { "or" all }
//! all      := part { "and" part }
//! part     := "not" part | "(" criteria ")" | clause
//! clause   := name op value [unit]
//!           | name ["not"] "between" value [unit] "and" value [unit]
//!           | name ["not"] "in" "(" value { "," value } ")"
//!           | name ["not"] "within" value "days"
//! ```

use std::ops::Range;

use super::error::At;
use super::lex::{Op, Spanned, Token};
use super::schema::RESERVED;

/// Deepest nesting of parentheses and `not`.
const DEPTH_MAX: usize = 32;
/// Most clauses and values of a text, before it is known whether they fit a circuit.
const PARTS_MAX: usize = 512;

/// A word and its bytes.
#[derive(Clone, Debug)]
pub(super) struct Word<'a> {
    pub text: &'a str,
    pub span: Range<usize>,
}

/// What was written, names and values not yet looked up.
#[derive(Clone, Debug)]
pub(super) enum Tree<C> {
    Clause(C),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// A clause as written.
#[derive(Clone, Debug)]
pub(super) struct RawClause<'a> {
    pub name: Word<'a>,
    pub negated: bool,
    pub test: RawTest<'a>,
    pub span: Range<usize>,
}

/// A value with its unit, as written.
#[derive(Clone, Debug)]
pub(super) struct Quantity<'a> {
    pub value: Word<'a>,
    pub unit: Option<Word<'a>>,
}

/// A test as written.
#[derive(Clone, Debug)]
pub(super) enum RawTest<'a> {
    Compare(Op, Quantity<'a>),
    Between(Quantity<'a>, Quantity<'a>),
    In(Vec<Word<'a>>),
    WithinDays(Word<'a>),
}

pub(super) struct Parser<'a, 't> {
    tokens: &'t [Spanned<'a>],
    at: usize,
    depth: usize,
    parts: usize,
}

impl<'a, 't> Parser<'a, 't> {
    /// Over what [`super::lex::lex`] gave.
    pub fn new(tokens: &'t [Spanned<'a>]) -> Self {
        Self { tokens, at: 0, depth: 0, parts: 0 }
    }

    /// The whole text.
    pub fn criteria(mut self) -> Result<Tree<RawClause<'a>>, At> {
        if self.peek() == Token::End {
            return Err(
                At::syntax("no criteria", 0..0).hint("for instance: age between 18 and 75 and dx in (E11.*)")
            );
        }
        let tree = self.any()?;
        match self.peek() {
            Token::End => Ok(tree),
            Token::Close => Err(At::syntax("`)` closes nothing", self.span())),
            other => {
                let message = format!("`and`, `or` or the end expected, and there is {}", other.describe());
                let error = At::syntax(message, self.span());
                Err(match other {
                    Token::Unit(_) => error.hint("a unit stands behind a number"),
                    _ => error.hint("join clauses by `and` or `or`"),
                })
            }
        }
    }

    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.at).map_or(Token::End, |spanned| spanned.token)
    }

    fn span(&self) -> Range<usize> {
        let last = self.tokens.last().map_or(0..0, |spanned| spanned.span.clone());
        self.tokens.get(self.at).map_or(last, |spanned| spanned.span.clone())
    }

    fn accept(&mut self, keyword: &str) -> bool {
        let is = self.peek().is(keyword);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, token: Token<'static>, why: &str) -> Result<(), At> {
        if self.peek() != token {
            let message =
                format!("{} expected {why}, and there is {}", token.describe(), self.peek().describe());
            return Err(At::syntax(message, self.span()));
        }
        self.at += 1;
        Ok(())
    }

    fn count(&mut self) -> Result<(), At> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(At::syntax(format!("more than {PARTS_MAX} clauses and values"), self.span()));
        }
        Ok(())
    }

    fn any(&mut self) -> Result<Tree<RawClause<'a>>, At> {
        let mut parts = vec![self.all()?];
        while self.accept("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::Any(parts) })
    }

    fn all(&mut self) -> Result<Tree<RawClause<'a>>, At> {
        let mut parts = vec![self.part()?];
        while self.accept("and") {
            parts.push(self.part()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::All(parts) })
    }

    fn part(&mut self) -> Result<Tree<RawClause<'a>>, At> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(At::syntax(format!("nested more than {DEPTH_MAX} deep"), self.span()));
        }
        let opening = self.span();
        let part = if self.accept("not") {
            Tree::Not(Box::new(self.part()?))
        } else if self.peek() == Token::Open {
            self.at += 1;
            let inner = self.any()?;
            if self.peek() == Token::End {
                return Err(At::syntax("`(` is not closed", opening));
            }
            self.expect(Token::Close, "after the clauses in parentheses")?;
            inner
        } else {
            Tree::Clause(self.clause()?)
        };
        self.depth -= 1;
        Ok(part)
    }

    fn clause(&mut self) -> Result<RawClause<'a>, At> {
        self.count()?;
        let name = self.word("the name of an attribute")?;
        let negated = self.accept("not");
        let test = if self.accept("between") {
            let low = self.quantity("a number or a date")?;
            if !self.accept("and") {
                let message =
                    format!("`and` expected between the bounds, and there is {}", self.peek().describe());
                return Err(At::syntax(message, self.span()).hint("it is written `age between 18 and 75`"));
            }
            RawTest::Between(low, self.quantity("a number or a date")?)
        } else if self.accept("in") {
            RawTest::In(self.values()?)
        } else if self.accept("within") {
            let days = self.word("a number of days")?;
            if !self.accept("days") && !self.accept("day") {
                let message = format!("`days` expected, and there is {}", self.peek().describe());
                return Err(At::syntax(message, self.span()).hint("it is written `labs_date within 90 days`"));
            }
            RawTest::WithinDays(days)
        } else if let Token::Op(op) = self.peek() {
            if negated {
                let message = "`not` stands before a whole clause, or before `in`, `between` and `within`";
                return Err(At::syntax(message, self.span()));
            }
            self.at += 1;
            RawTest::Compare(op, self.quantity("a value")?)
        } else {
            let message = format!(
                "a test of `{}` expected, and there is {}",
                super::clip(name.text),
                self.peek().describe()
            );
            let known = ["between", "in", "not", "within", "and", "or"];
            let error = At::syntax(message, self.span());
            let slip = match self.peek() {
                Token::Word(word) => super::suggest::hint(word, known).filter(|hint| hint.starts_with("did")),
                _ => None,
            };
            return Err(error.hint(slip.unwrap_or_else(|| {
                "tests are >=, <=, >, <, =, !=, between ... and ..., in (...), not in (...), within ... days".to_owned()
            })));
        };
        let end = self.tokens[..self.at].last().map_or(name.span.end, |last| last.span.end);
        Ok(RawClause { span: name.span.start..end, name, negated, test })
    }

    fn values(&mut self) -> Result<Vec<Word<'a>>, At> {
        let opening = self.span();
        self.expect(Token::Open, "after `in`").map_err(|e| e.hint("it is written `dx in (E10.*, E11.*)`"))?;
        let mut values = Vec::new();
        loop {
            self.count()?;
            values.push(self.word("a value or a code")?);
            match self.peek() {
                Token::Comma => self.at += 1,
                Token::Close => break,
                Token::End => return Err(At::syntax("`(` is not closed", opening)),
                other => {
                    let message = format!("`,` or `)` expected, and there is {}", other.describe());
                    return Err(At::syntax(message, self.span()));
                }
            }
        }
        self.at += 1;
        Ok(values)
    }

    fn quantity(&mut self, what: &str) -> Result<Quantity<'a>, At> {
        let value = self.word(what)?;
        let unit = match self.peek() {
            Token::Unit(text) => {
                let span = self.span();
                self.at += 1;
                Some(Word { text, span })
            }
            _ => None,
        };
        Ok(Quantity { value, unit })
    }

    /// A word that is none of the language's own.
    fn word(&mut self, what: &str) -> Result<Word<'a>, At> {
        let span = self.span();
        let wrong =
            |found: String| At::syntax(format!("{what} expected, and there is {found}"), span.clone());
        let Token::Word(text) = self.peek() else { return Err(wrong(self.peek().describe())) };
        if RESERVED.iter().any(|reserved| text.eq_ignore_ascii_case(reserved)) {
            return Err(wrong(format!("`{text}`")));
        }
        self.at += 1;
        Ok(Word { text, span })
    }
}
