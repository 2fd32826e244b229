//! Codes of a hierarchical code system (ICD-10, ATC), written into 64 bits so that everything under a code is one
//! interval.
//!
//! Ten characters of six bits, the first in the highest bits: the end is 0, `0` to `9` are 1 to 10, `A` to `Z` are 11 to
//! 36. Dots are not written. So `E11` comes first, everything that begins with `E11` follows it, and no code is 0.

use std::fmt;

/// Most characters of a code, dots aside.
pub const CODE_CHARS_MAX: usize = 10;
const BITS: u32 = 6;

/// A code, without dots, in upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u64);

/// A text that is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a code of 1 to {CODE_CHARS_MAX} letters and digits (dots may stand between them)")]
pub struct NotACode;

/// Codes that one interval holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeRange {
    /// First value.
    low: u64,
    /// Last value.
    high: u64,
}

impl Code {
    /// Reads a code; dots between its characters are dropped, small letters become capitals.
    ///
    /// # Errors
    /// [`NotACode`].
    pub fn parse(text: &str) -> Result<Self, NotACode> {
        if text.is_empty() || text.starts_with('.') || text.ends_with('.') || text.contains("..") {
            return Err(NotACode);
        }
        let (mut value, mut count) = (0u64, 0);
        for byte in text.bytes().filter(|byte| *byte != b'.') {
            let digit = match byte.to_ascii_uppercase() {
                b @ b'0'..=b'9' => b - b'0' + 1,
                b @ b'A'..=b'Z' => b - b'A' + 11,
                _ => return Err(NotACode),
            };
            count += 1;
            if count > CODE_CHARS_MAX {
                return Err(NotACode);
            }
            value = value << BITS | u64::from(digit);
        }
        Ok(Self(value << (BITS * (CODE_CHARS_MAX - count) as u32)))
    }

    /// The value that stands in a slot.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }

    /// The code of a slot's value; `None` when it stands for none.
    #[must_use]
    pub fn from_value(value: u64) -> Option<Self> {
        let chars = Self(value).chars();
        (value != 0 && Self::parse(&chars).is_ok_and(|code| code.0 == value)).then_some(Self(value))
    }

    /// The code's letters and digits, with a dot after so many of them.
    #[must_use]
    pub fn text(self, dot_after: Option<usize>) -> String {
        let mut chars = self.chars();
        if let Some(at) = dot_after.filter(|at| chars.len() > *at && *at > 0) {
            chars.insert(at, '.');
        }
        chars
    }

    fn chars(self) -> String {
        let digit = |i: u32| (self.0 >> (BITS * i)) & 0x3f;
        let written = (0..CODE_CHARS_MAX as u32).rev().map(digit).take_while(|digit| *digit != 0);
        let char_of = |digit: u64| match digit as u8 {
            d @ 1..=10 => char::from(b'0' + d - 1),
            d @ 11..=36 => char::from(b'A' + d - 11),
            _ => '?',
        };
        written.map(char_of).collect()
    }

    /// The last value under this code.
    fn last_under(self) -> u64 {
        let free = self.0.trailing_zeros() / BITS * BITS;
        self.0 | ((1u64 << free) - 1)
    }

    fn len(self) -> usize {
        CODE_CHARS_MAX - (self.0.trailing_zeros() / BITS) as usize
    }
}

impl CodeRange {
    /// One code alone.
    #[must_use]
    pub fn exactly(code: Code) -> Self {
        Self { low: code.0, high: code.0 }
    }

    /// A code and everything under it.
    #[must_use]
    pub fn under(code: Code) -> Self {
        Self { low: code.0, high: code.last_under() }
    }

    /// From a code to everything under another; `None` when the second comes before the first.
    #[must_use]
    pub fn span(first: Code, last: Code) -> Option<Self> {
        (first.0 <= last.0).then(|| Self { low: first.0, high: last.last_under() })
    }

    /// The interval of slot values, both ends in it.
    #[must_use]
    pub fn interval(self) -> (u64, u64) {
        (self.low, self.high)
    }

    /// Whether a code is in it.
    #[must_use]
    pub fn contains(self, code: Code) -> bool {
        (self.low..=self.high).contains(&code.0)
    }

    /// Whether every code of the other is in this one.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// How it is written: `E11.9`, `E11.*`, `E11.9*`, `E10-E14`.
    #[must_use]
    pub fn text(self, dot_after: Option<usize>) -> String {
        let first = Code(self.low);
        if self.low == self.high {
            return first.text(dot_after);
        }
        if first.last_under() == self.high {
            let dot = if dot_after == Some(first.len()) { "." } else { "" };
            return format!("{}{dot}*", first.text(dot_after));
        }
        // The high end is everything under a code: its characters are those before the ones.
        let free = (!self.high).trailing_zeros() / BITS * BITS;
        let last = Code(self.high >> free << free);
        format!("{}-{}", first.text(dot_after), last.text(dot_after))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chars())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Code {
        Code::parse(text).unwrap()
    }

    #[test]
    fn a_code_has_its_published_value() {
        // E = 15, 1 = 2: three characters in the highest 18 of 60 bits.
        assert_eq!(code("E11").value(), (15 << 12 | 2 << 6 | 2) << 42);
        assert_eq!(code("e11.65"), code("E1165"));
        assert_eq!(code("E11.65").text(Some(3)), "E11.65");
        assert_eq!(code("A10BA02").text(None), "A10BA02");
    }

    #[test]
    fn a_hierarchy_is_one_interval() {
        let diabetes = CodeRange::under(code("E11"));
        for inside in ["E11", "E11.0", "E11.9", "E11.65", "E11.ZZZZZZZ"] {
            assert!(diabetes.contains(code(inside)), "{inside}");
        }
        for outside in ["E10.9", "E12", "E1", "E", "F11"] {
            assert!(!diabetes.contains(code(outside)), "{outside}");
        }
        let block = CodeRange::span(code("E10"), code("E14")).unwrap();
        assert!(block.contains(code("E14.9")) && block.contains(code("E10")) && !block.contains(code("E15")));
        assert_eq!(CodeRange::span(code("E14"), code("E10")), None);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", ".", "E11.", ".E11", "E..1", "E11-", "Ü11", "E 1", "ABCDEFGHIJK"] {
            assert_eq!(Code::parse(text), Err(NotACode), "{text}");
        }
        assert_eq!(Code::from_value(0), None);
        assert_eq!(Code::from_value(1), None);
        assert_eq!(Code::from_value(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn order_of_values_is_order_of_texts(a in "[A-Z0-9]{1,10}", b in "[A-Z0-9]{1,10}") {
            prop_assert_eq!(code(&a).cmp(&code(&b)), a.cmp(&b));
            prop_assert_eq!(code(&a).to_string(), a.clone());
            prop_assert_eq!(Code::from_value(code(&a).value()), Some(code(&a)));
            prop_assert_eq!(CodeRange::under(code(&a)).contains(code(&b)), b.starts_with(&a));
        }

        #[test]
        fn any_value_is_a_code_or_refused(value: u64) {
            if let Some(code) = Code::from_value(value) {
                prop_assert_eq!(Code::parse(&code.to_string()).unwrap().value(), value);
            }
        }
    }
}
