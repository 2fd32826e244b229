//! A Rust file with its comments and literals told apart from its code.

/// A Rust file. `code` has the length and the lines of `text`, with comments and the insides of literals
/// blanked, so that a word found in it is a word of the program.
pub struct Source<'a> {
    /// Path from the root.
    pub path: &'a str,
    /// As written.
    pub text: &'a str,
    /// Comments and literals blanked.
    pub code: String,
    /// String literals: offset of the opening quote, contents as written.
    pub strings: Vec<(usize, &'a str)>,
}

impl<'a> Source<'a> {
    /// Reads a file.
    pub fn read(path: &'a str, text: &'a str) -> Self {
        let mut lexer = Lexer { text, at: 0, code: String::with_capacity(text.len()), strings: Vec::new() };
        lexer.run();
        Self { path, text, code: lexer.code, strings: lexer.strings }
    }

    /// The line of an offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count()
    }

    /// True for a file that holds only tests, by its place or name.
    pub fn is_test_file(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "benches" | "tests.rs")) || self.path.ends_with("_tests.rs")
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    code: String,
    strings: Vec<(usize, &'a str)>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Copies `count` bytes as code.
    fn keep(&mut self, count: usize) {
        self.code.push_str(&self.text[self.at..self.at + count]);
        self.at += count;
    }

    /// Blanks `count` bytes, keeping line ends.
    fn blank(&mut self, count: usize) {
        let bytes = &self.text.as_bytes()[self.at..self.at + count];
        self.code.extend(bytes.iter().map(|&byte| if byte == b'\n' { '\n' } else { ' ' }));
        self.at += count;
    }

    fn run(&mut self) {
        while let Some(next) = self.rest().chars().next() {
            let rest = self.rest();
            if rest.starts_with("//") {
                self.blank(rest.find('\n').unwrap_or(rest.len()));
            } else if rest.starts_with("/*") {
                self.blank(block_comment(rest));
            } else if let Some(hashes) = raw_string(rest).filter(|_| !self.in_word()) {
                self.raw(hashes);
            } else if next == '"' {
                self.string();
            } else if let Some(length) = char_literal(rest) {
                self.blank(length);
            } else if next.is_ascii() {
                self.keep(1);
            } else {
                self.blank(next.len_utf8());
            }
        }
    }

    /// True when the byte before continues into this one as a word.
    fn in_word(&self) -> bool {
        self.code.as_bytes().last().is_some_and(|&byte| byte == b'_' || byte.is_ascii_alphanumeric())
    }

    fn string(&mut self) {
        let inner = &self.rest()[1..];
        let mut escaped = false;
        let length = inner
            .bytes()
            .position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            })
            .unwrap_or(inner.len());
        self.literal(1, length);
    }

    fn raw(&mut self, hashes: usize) {
        let open = self.rest().find('"').map_or(0, |quote| quote + 1);
        let close = format!("\"{}", "#".repeat(hashes));
        let inner = &self.rest()[open..];
        let length = inner.find(&close).unwrap_or(inner.len());
        self.literal(open, length);
        self.blank(hashes.min(self.rest().len()));
    }

    /// Takes an opening of `open` bytes, contents of `length` bytes and a closing quote.
    fn literal(&mut self, open: usize, length: usize) {
        let quote = self.at + open - 1;
        let start = self.at + open;
        self.strings.push((quote, &self.text[start..start + length]));
        self.blank(open - 1);
        self.keep(1);
        self.blank(length);
        self.keep(self.rest().len().min(1));
    }
}

/// Length of a block comment, nested ones included.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The number of hashes, when a raw string begins here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = ["br", "cr", "r"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = rest.bytes().take_while(|&byte| byte == b'#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character literal, when one begins here; a lifetime is none.
fn char_literal(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map(|end| end + 4);
    }
    let first = inner.chars().next()?.len_utf8();
    inner[first..].starts_with('\'').then_some(first + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_the_lines_stay() {
        let text = "let a = \"use std::fs;\"; // std::env\n/* a /* b */ */ let c = 'x';\nlet d: &'a str;\n";
        let source = Source::read("a.rs", text);
        assert_eq!(source.code.len(), text.len());
        assert_eq!(source.code.matches('\n').count(), 3);
        assert!(!source.code.contains("std") && !source.code.contains('x') && !source.code.contains('b'));
        assert!(source.code.contains("&'a str"));
        assert_eq!(source.strings, [(8, "use std::fs;")]);
    }

    #[test]
    fn raw_strings_end_at_their_hashes_and_escapes_do_not_end_a_string() {
        let source = Source::read("a.rs", r###"f(r#"a " b"#, "c \" d", br"e", '\'', '"', g);"###);
        let contents: Vec<&str> = source.strings.iter().map(|(_, text)| *text).collect();
        assert_eq!(contents, ["a \" b", "c \\\" d", "e"]);
        assert!(source.code.ends_with(", g);"));
    }

    #[test]
    fn a_character_beyond_ascii_keeps_the_offsets() {
        let source = Source::read("a.rs", "/* \u{e9} */ '\u{e9}' \"\u{e9}\" fn f() {}");
        assert_eq!(source.code.len(), source.text.len());
        assert_eq!(source.code.find("fn"), source.text.find("fn"));
    }
}
