//! Text that comes from elsewhere, made safe for a terminal, and measured in columns.

/// The text on one line, without anything a terminal would obey: control characters, escape sequences and
/// bidirectional overrides become visible escapes (`\u{1b}`), line breaks and tabs become spaces.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_dangerous(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Control characters, line and paragraph separators, and the characters that reorder what is shown.
pub(crate) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Columns the text takes in a terminal: 0 for combining marks, 2 for East Asian wide characters and emoji.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text cut to `columns`, with an ellipsis (`...` in ASCII) where something was cut.
#[must_use]
pub fn fit(text: &str, columns: usize, unicode: bool) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let ellipsis = if unicode { "\u{2026}" } else { "..." };
    let keep = columns.saturating_sub(width(ellipsis));
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += char_width(c);
        if used > keep {
            break;
        }
        out.push(c);
    }
    if columns >= width(ellipsis) {
        out.push_str(ellipsis);
    }
    out
}

/// Filled with spaces on the right to `columns`.
#[must_use]
pub fn pad_right(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Filled with spaces on the left to `columns`.
#[must_use]
pub fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Broken at spaces into lines of at most `columns` (a longer word stands alone on its line), each after
/// `indent`.
#[must_use]
pub fn wrap(text: &str, columns: usize, indent: &str) -> String {
    let room = columns.saturating_sub(width(indent)).max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|l| format!("{indent}{l}\n")).collect()
}

/// `one`, `one and two`, `one, two and three`.
#[must_use]
pub fn join(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| clean(n)).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// `1 row`, `2 rows`.
#[must_use]
pub fn plural(n: u64, noun: &str, numbers: super::number::Numbers) -> String {
    format!("{} {noun}{}", numbers.count(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_escape_sequence_in_a_name_is_shown_and_not_obeyed() {
        assert_eq!(clean("St\u{1b}[2J Mary\u{202e}\nx"), "St\\u{1b}[2J Mary\\u{202e} x");
    }

    #[test]
    fn lists_read_as_english() {
        let names = |n: &[&str]| n.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(join(&names(&[])), "");
        assert_eq!(join(&names(&["A"])), "A");
        assert_eq!(join(&names(&["A", "B", "C"])), "A, B and C");
    }

    #[test]
    fn wide_characters_count_twice_and_accents_not_at_all() {
        assert_eq!(width("東京"), 4);
        assert_eq!(width("Ge\u{0301}rard"), 6);
    }

    proptest! {
        #[test]
        fn cleaned_text_holds_nothing_a_terminal_obeys(s in "\\PC*|.*") {
            let cleaned = clean(&s);
            prop_assert!(!cleaned.chars().any(is_dangerous));
            prop_assert_eq!(clean(&cleaned), cleaned);
        }

        #[test]
        fn fitted_text_fits(s in "\\PC{0,60}", columns in 0usize..50, unicode: bool) {
            prop_assert!(width(&fit(&s, columns, unicode)) <= columns);
        }

        #[test]
        fn wrapping_keeps_every_word(s in "[a-z ]{0,200}", columns in 1usize..60) {
            let wrapped = wrap(&s, columns, "  ");
            prop_assert_eq!(
                wrapped.split_whitespace().collect::<Vec<_>>(),
                s.split_whitespace().collect::<Vec<_>>()
            );
        }
    }
}
