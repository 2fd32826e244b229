//! Numbers for people. `--json` carries the full precision; here a reader gets what the number supports.

/// How numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Thousands are separated by commas.
    pub grouped: bool,
}

/// Significant digits of a real number in a table.
const SIGNIFICANT: usize = 6;

impl Numbers {
    /// A count: `3668`, or `3,668`.
    #[must_use]
    pub fn count(self, n: u64) -> String {
        self.group(&n.to_string())
    }

    /// A fixed-point number: the integer in `value` times `10^-digits`, every digit kept. A text that is not
    /// an integer is returned as it is, cleaned.
    #[must_use]
    pub fn exact(self, value: &str, digits: u8) -> String {
        let (sign, figures) = match value.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", value),
        };
        if figures.is_empty() || !figures.bytes().all(|b| b.is_ascii_digit()) {
            return super::text::clean(value);
        }
        let digits = usize::from(digits);
        let padded = format!("{figures:0>width$}", width = digits + 1);
        let (whole, fraction) = padded.split_at(padded.len() - digits);
        let whole = whole.trim_start_matches('0');
        let whole = self.group(if whole.is_empty() { "0" } else { whole });
        if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// A real number with six significant digits: plain between 1e-4 and 1e15, else with an exponent.
    #[must_use]
    pub fn real(self, x: f64) -> String {
        self.significant(x, SIGNIFICANT)
    }

    /// A real number with `figures` significant digits, trailing zeros of the fraction dropped; whole digits
    /// are never rounded away.
    #[must_use]
    pub fn significant(self, x: f64, figures: usize) -> String {
        if x.is_nan() {
            return "undefined".to_owned();
        }
        if x.is_infinite() {
            return if x > 0.0 { "infinite".to_owned() } else { "-infinite".to_owned() };
        }
        let size = x.abs();
        if size != 0.0 && !(1e-4..1e15).contains(&size) {
            return format!("{x:.*e}", figures.saturating_sub(1));
        }
        let whole_digits = if size < 1.0 { 0 } else { size.log10().floor() as usize + 1 };
        // Leading zeros of a fraction are no significant digits.
        let leading = if size == 0.0 || size >= 1.0 { 0 } else { (-size.log10().floor()) as usize - 1 };
        let decimals = figures.saturating_sub(whole_digits) + leading;
        self.trimmed(x, decimals)
    }

    /// Rounded to `decimals` places, trailing zeros dropped.
    fn trimmed(self, x: f64, decimals: usize) -> String {
        let text = format!("{x:.decimals$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        let (sign, text) = match text.strip_prefix('-') {
            Some(rest) if rest.bytes().any(|b| (b'1'..=b'9').contains(&b)) => ("-", rest),
            Some(rest) => ("", rest),
            None => ("", text),
        };
        match text.split_once('.') {
            Some((whole, fraction)) => format!("{sign}{}.{fraction}", self.group(whole)),
            None => format!("{sign}{}", self.group(text)),
        }
    }

    fn group(self, figures: &str) -> String {
        if !self.grouped {
            return figures.to_owned();
        }
        let mut out = String::with_capacity(figures.len() + figures.len() / 3);
        for (i, c) in figures.chars().enumerate() {
            if i > 0 && (figures.len() - i).is_multiple_of(3) {
                out.push(',');
            }
            out.push(c);
        }
        out
    }
}

/// A fixed number of decimals: `0.812`; the words of [`Numbers::real`] where there is no number.
#[must_use]
pub fn fixed(x: f64, decimals: usize) -> String {
    if x.is_finite() {
        let text = format!("{x:.decimals$}");
        // A rounded negative zero is a zero.
        match text.strip_prefix('-') {
            Some(rest) if !rest.bytes().any(|b| (b'1'..=b'9').contains(&b)) => rest.to_owned(),
            _ => text,
        }
    } else {
        Numbers::default().real(x)
    }
}

/// A p-value: four decimals, or `< 0.0001`.
#[must_use]
pub fn p_value(p: f64) -> String {
    if p.is_finite() && p < 0.0001 { "< 0.0001".to_owned() } else { fixed(p, 4) }
}

/// `p = 0.0123`, `p < 0.0001`.
#[must_use]
pub fn p_equation(p: f64) -> String {
    let text = p_value(p);
    if text.starts_with('<') { format!("p {text}") } else { format!("p = {text}") }
}

/// A share as a percentage with one decimal: `12.5%`; `-` when the whole is empty.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1}%", part as f64 * 100.0 / whole as f64) }
}

/// Bytes with a binary unit: `512 B`, `1.5 KiB`, `20.0 MiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut size = n as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// A duration for people: `85 ms`, `1.2 s`, `3 min 05 s`, `2 h 04 min`.
#[must_use]
pub fn duration_ms(ms: u64) -> String {
    let seconds = ms / 1000;
    match ms {
        0..=999 => format!("{ms} ms"),
        1000..=59_949 => format!("{:.1} s", ms as f64 / 1000.0),
        _ if seconds < 3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// The unit in words where its letter alone would puzzle (`d` is `days`).
#[must_use]
pub fn unit_word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "wk" => "weeks",
        "mo" => "months",
        "a" | "y" | "yr" => "years",
        "h" => "hours",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Numbers = Numbers { grouped: false };
    const GROUPED: Numbers = Numbers { grouped: true };

    #[test]
    fn counts_group_by_three() {
        assert_eq!(GROUPED.count(0), "0");
        assert_eq!(GROUPED.count(999), "999");
        assert_eq!(GROUPED.count(1000), "1,000");
        assert_eq!(GROUPED.count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(PLAIN.count(1000), "1000");
    }

    #[test]
    fn fixed_point_keeps_every_digit() {
        assert_eq!(PLAIN.exact("-5", 2), "-0.05");
        assert_eq!(PLAIN.exact("12345", 0), "12345");
        assert_eq!(GROUPED.exact("123456789", 2), "1,234,567.89");
        assert_eq!(PLAIN.exact("100", 2), "1.00");
        assert_eq!(PLAIN.exact("not a number", 2), "not a number");
        assert_eq!(PLAIN.exact("-", 2), "-");
    }

    #[test]
    fn reals_carry_six_digits_and_words_where_there_is_no_number() {
        assert_eq!(PLAIN.real(62.345_678_9), "62.3457");
        assert_eq!(PLAIN.real(0.000_123_456_78), "0.000123457");
        assert_eq!(PLAIN.real(0.000_012_345_678), "1.23457e-5");
        assert_eq!(GROUPED.real(1_234_567.8), "1,234,568");
        assert_eq!(PLAIN.real(-0.0), "0");
        assert_eq!(PLAIN.real(2.5), "2.5");
        assert_eq!(PLAIN.real(f64::NAN), "undefined");
        assert_eq!(PLAIN.real(f64::NEG_INFINITY), "-infinite");
    }

    #[test]
    fn p_values_never_show_as_zero() {
        assert_eq!(p_value(0.0), "< 0.0001");
        assert_eq!(p_value(0.012_34), "0.0123");
        assert_eq!(p_equation(1e-9), "p < 0.0001");
        assert_eq!(p_equation(1.0), "p = 1.0000");
        assert_eq!(p_value(f64::NAN), "undefined");
    }

    #[test]
    fn sizes_and_durations_read_well_at_their_edges() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(duration_ms(999), "999 ms");
        assert_eq!(duration_ms(59_949), "59.9 s");
        assert_eq!(duration_ms(60_000), "1 min 00 s");
        assert_eq!(duration_ms(3_600_000), "1 h 00 min");
    }

    proptest! {
        #[test]
        fn exact_text_means_the_same_integer(v: i64, digits in 0u8..12) {
            let text = GROUPED.exact(&v.to_string(), digits).replace([',', '.'], "");
            prop_assert_eq!(text.parse::<i128>().unwrap(), i128::from(v));
        }

        #[test]
        fn real_text_is_within_half_a_unit_of_the_sixth_digit(x in proptest::num::f64::NORMAL) {
            let read: f64 = PLAIN.real(x).parse().unwrap();
            prop_assert!((read - x).abs() <= x.abs() * 5.000_001e-6, "{} {}", read, x);
        }
    }
}
