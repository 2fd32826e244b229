//! What the rules ask of a file: paths it names, functions, modules, which lines are tests.

use crate::source::Source;

/// A path as named (`std::fs::read`), groups of `use` written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Offset of its first word.
    pub at: usize,
    /// Segments joined by `::`.
    pub path: String,
}

impl Named {
    /// True when the path is `prefix` or lies under it.
    pub fn is_under(&self, prefix: &str) -> bool {
        self.path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// A function with a body.
pub struct Function<'a> {
    /// Name.
    pub name: &'a str,
    /// Offset of `fn`.
    pub at: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

/// A declaration of a module in a file of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Module {
    /// Name.
    pub name: String,
    /// The path attribute.
    pub path: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(usize, &'a str),
    Mark(usize, char),
    /// `::`
    Separator,
}

impl<'a> Source<'a> {
    fn tokens(&self) -> Vec<Token<'_>> {
        let bytes = self.code.as_bytes();
        let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        let (mut tokens, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            if is_word(bytes[at]) {
                let end = bytes[at..].iter().position(|&b| !is_word(b)).map_or(bytes.len(), |n| at + n);
                tokens.push(Token::Word(at, &self.code[at..end]));
                at = end;
            } else if bytes[at..].starts_with(b"::") {
                tokens.push(Token::Separator);
                at += 2;
            } else {
                if !bytes[at].is_ascii_whitespace() {
                    tokens.push(Token::Mark(at, char::from(bytes[at])));
                }
                at += 1;
            }
        }
        tokens
    }

    /// Every word of the code with its offset.
    pub fn words(&self) -> Vec<(usize, String)> {
        let word = |token| match token {
            Token::Word(at, word) => Some((at, word.to_owned())),
            _ => None,
        };
        self.tokens().into_iter().filter_map(word).collect()
    }

    /// Every path the code names.
    pub fn named(&self) -> Vec<Named> {
        let tokens = self.tokens();
        let (mut named, mut at) = (Vec::new(), 0);
        while at < tokens.len() {
            match tokens[at] {
                Token::Word(_, "use") => at = use_tree(&tokens, at + 1, "", &mut named),
                Token::Word(offset, first) => {
                    let mut path = first.to_owned();
                    at += 1;
                    while let [Token::Separator, Token::Word(_, next), ..] = tokens[at..] {
                        path = format!("{path}::{next}");
                        at += 2;
                    }
                    named.push(Named { at: offset, path });
                }
                _ => at += 1,
            }
        }
        named
    }

    /// Functions that have a body.
    pub fn functions(&self) -> Vec<Function<'_>> {
        let tokens = self.tokens();
        let mut functions = Vec::new();
        for (index, pair) in tokens.windows(2).enumerate() {
            let [Token::Word(at, "fn"), Token::Word(_, name)] = *pair else { continue };
            let Some(open) = body(&tokens[index..]) else { continue };
            let end = closing(&self.code, open);
            functions.push(Function { name, at, lines: self.line(end) - self.line(at) + 1 });
        }
        functions
    }

    /// Modules declared to lie in files of their own.
    pub fn modules(&self) -> Vec<Module> {
        let tokens = self.tokens();
        let mut modules = Vec::new();
        for (index, triple) in tokens.windows(3).enumerate() {
            let [Token::Word(at, "mod"), Token::Word(_, name), Token::Mark(_, ';')] = *triple else {
                continue;
            };
            modules.push(Module { name: name.to_owned(), path: self.path_attribute(&tokens[..index], at) });
        }
        modules
    }

    /// The value of a `#[path = "..."]` among the attributes right before `at`.
    fn path_attribute(&self, before: &[Token<'_>], at: usize) -> Option<String> {
        let ends = |token: &&Token<'_>| matches!(token, Token::Mark(_, ';' | '{' | '}'));
        let start = before.iter().rev().find(ends).map_or(0, |token| match token {
            Token::Mark(offset, _) => *offset,
            _ => 0,
        });
        let attribute = start + self.code[start..at].find("path =")?;
        let (_, value) = self.strings.iter().find(|(quote, _)| *quote > attribute && *quote < at)?;
        Some((*value).to_owned())
    }

    /// For each line, from index 1, whether it belongs to a test.
    pub fn test_lines(&self) -> Vec<bool> {
        let mut lines = vec![self.is_test_file(); self.text.lines().count() + 2];
        let alone = self.code.match_indices("#[cfg(test)]");
        for (at, _) in alone.chain(self.code.match_indices("#[cfg(all(test,")) {
            let end = item_end(&self.code, at);
            lines[self.line(at)..=self.line(end)].fill(true);
        }
        lines
    }
}

/// Reads the tree of a `use` after `prefix`, from token `at`; returns the token behind it.
fn use_tree(tokens: &[Token<'_>], mut at: usize, prefix: &str, named: &mut Vec<Named>) -> usize {
    let (mut path, mut start) = (prefix.to_owned(), None);
    while at < tokens.len() {
        match tokens[at] {
            Token::Word(_, "as") => at += 2,
            Token::Word(offset, word) => {
                start.get_or_insert(offset);
                path = if path.is_empty() { word.to_owned() } else { format!("{path}::{word}") };
                at += 1;
            }
            Token::Mark(offset, '*') => {
                start.get_or_insert(offset);
                at += 1;
            }
            Token::Separator => at += 1,
            Token::Mark(_, '{') => {
                at += 1;
                while at < tokens.len() && !matches!(tokens[at], Token::Mark(_, '}')) {
                    at = use_tree(tokens, at, &path, named);
                    if matches!(tokens.get(at), Some(Token::Mark(_, ','))) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Token::Mark(..) => break,
        }
    }
    if let Some(at) = start {
        let path = path.strip_suffix("::self").unwrap_or(&path).to_owned();
        named.push(Named { at, path });
    }
    at.max(1)
}

/// The offset of the brace that opens the body of the function whose tokens these are.
fn body(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0usize;
    for token in tokens {
        match *token {
            Token::Mark(_, '(' | '[') => depth += 1,
            Token::Mark(_, ')' | ']') => depth = depth.checked_sub(1)?,
            Token::Mark(at, '{') if depth == 0 => return Some(at),
            Token::Mark(_, ';') if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The offset of the brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The offset of the end of the item whose attribute stands at `at`.
fn item_end(code: &str, at: usize) -> usize {
    let mut depth = 0usize;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return offset,
            b'{' if depth == 0 => return closing(code, offset),
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        Source::read("a.rs", text).named().into_iter().map(|named| named.path).collect()
    }

    #[test]
    fn groups_of_use_are_written_out() {
        let text = "use std::{fs, io::{self, Read as R}, time::*};\npub use crate::a::b;";
        let expected = ["std::fs", "std::io", "std::io::Read", "std::time", "pub", "crate::a::b"];
        assert_eq!(named(text), expected);
    }

    #[test]
    fn paths_in_expressions_and_types_are_named() {
        let paths = named("let x: a::B = std::fs::read::<P>(c::d);");
        for path in ["a::B", "std::fs::read", "c::d"] {
            assert!(paths.iter().any(|p| p == path), "{paths:?}");
        }
    }

    #[test]
    fn a_prefix_is_of_whole_segments() {
        let under = |path: &str| Named { at: 0, path: path.to_owned() }.is_under("std::fs");
        assert!(under("std::fs") && under("std::fs::read") && !under("std::fsx"));
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace_and_declarations_are_not() {
        let source = Source::read("a.rs", "trait T { fn a(); }\nfn b(x: [u8; 2])\n{\n  \"}\";\n}\n");
        let functions = source.functions();
        assert_eq!(functions.len(), 1);
        assert_eq!((functions[0].name, functions[0].lines), ("b", 4));
    }

    #[test]
    fn modules_carry_their_path() {
        let source = Source::read("a.rs", "mod a;\n#[path = \"x/y.rs\"]\nmod b;\nmod c { }\n");
        let module = |name: &str, path: Option<&str>| Module {
            name: name.to_owned(),
            path: path.map(ToOwned::to_owned),
        };
        assert_eq!(source.modules(), [module("a", None), module("b", Some("x/y.rs"))]);
    }

    #[test]
    fn test_modules_are_test_lines_and_nothing_else_is() {
        let source =
            Source::read("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
        assert_eq!(source.test_lines()[1..7], [false, true, true, true, true, false]);
    }
}
