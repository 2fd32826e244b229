//! Exact decimals of a query's text: literals and edges never pass through a float.

/// Digits a literal may have, sign and point aside.
pub(crate) const DIGITS_MAX: usize = 30;

/// A decimal number `mantissa * 10^-digits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    mantissa: i128,
    digits: u32,
}

/// A number in a column's fixed point: rounded down, and whether that was exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// `floor(x * 10^digits)`.
    pub floor: i128,
    /// True when nothing was cut off.
    pub exact: bool,
}

impl Decimal {
    /// Reads `[+-]digits[.digits]`; `None` for anything else, or more than [`DIGITS_MAX`] digits. Trailing zeros
    /// of the fraction carry no meaning and are dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len() + fraction.len() > DIGITS_MAX {
            return None;
        }
        let magnitude =
            whole.bytes().chain(fraction.bytes()).fold(0i128, |sum, b| sum * 10 + i128::from(b - b'0'));
        Some(Self {
            mantissa: if negative { -magnitude } else { magnitude },
            digits: u32::try_from(fraction.len()).ok()?,
        })
    }

    /// The shortest text of the number: no sign of zero, no leading or trailing zeros.
    pub fn canonical(self) -> String {
        let text = format!("{:0width$}", self.mantissa.unsigned_abs(), width = self.digits as usize + 1);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        match text.len() - self.digits as usize {
            point if point < text.len() => format!("{sign}{}.{}", &text[..point], &text[point..]),
            _ => format!("{sign}{text}"),
        }
    }

    /// The number in a fixed point of `digits` places; saturated far outside every column's range.
    pub fn to_fixed(self, digits: u8) -> Fixed {
        let digits = u32::from(digits);
        if digits >= self.digits {
            let saturated = if self.mantissa < 0 { i128::MIN } else { i128::MAX };
            let floor = 10i128
                .checked_pow(digits - self.digits)
                .and_then(|power| self.mantissa.checked_mul(power))
                .unwrap_or(saturated);
            return Fixed { floor, exact: true };
        }
        let power = 10i128.pow(self.digits - digits);
        Fixed { floor: self.mantissa.div_euclid(power), exact: self.mantissa.rem_euclid(power) == 0 }
    }

    /// The edges of `bins` equal bins over [low, high], or `None` when one of them is no decimal of at most 12
    /// further places, or the range is empty.
    pub fn edges(low: Self, high: Self, bins: u32) -> Option<Vec<Self>> {
        let digits = low.digits.max(high.digits);
        let scale = |d: Self| d.mantissa.checked_mul(10i128.checked_pow(digits - d.digits)?);
        let (low, high) = (scale(low)?, scale(high)?);
        let width = high.checked_sub(low).filter(|w| *w > 0)?;
        for more in 0..=12u32 {
            let power = 10i128.pow(more);
            let scaled = width.checked_mul(power)?;
            if scaled % i128::from(bins) == 0 {
                let (step, start) = (scaled / i128::from(bins), low.checked_mul(power)?);
                let edge = |i: u32| {
                    let mantissa = start.checked_add(step.checked_mul(i128::from(i))?)?;
                    Self::parse(&Self { mantissa, digits: digits + more }.canonical())
                };
                return (0..=bins).map(edge).collect();
            }
        }
        None
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Both sides have at most DIGITS_MAX digits: whole parts first, then fractions padded to one length.
        let parts = |d: &Self| {
            let power = 10i128.pow(d.digits);
            let fraction = d.mantissa.rem_euclid(power) * 10i128.pow(DIGITS_MAX as u32 - d.digits);
            (d.mantissa.div_euclid(power), fraction)
        };
        parts(self).cmp(&parts(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).expect(text)
    }

    #[test]
    fn canonical_text_is_the_shortest() {
        for (text, canonical) in
            [("040", "40"), ("1.50", "1.5"), (".5", "0.5"), ("-0.0", "0"), ("+7.", "7"), ("-.05", "-0.05")]
        {
            assert_eq!(decimal(text).canonical(), canonical);
        }
    }

    #[test]
    fn fixed_point_rounds_down_and_says_so() {
        assert_eq!(decimal("1.25").to_fixed(1), Fixed { floor: 12, exact: false });
        assert_eq!(decimal("-1.25").to_fixed(1), Fixed { floor: -13, exact: false });
        assert_eq!(decimal("-1.2").to_fixed(3), Fixed { floor: -1200, exact: true });
    }

    #[test]
    fn edges_are_exact_or_refused() {
        let texts = |e: Vec<Decimal>| e.into_iter().map(Decimal::canonical).collect::<Vec<_>>();
        let edges = Decimal::edges(decimal("0"), decimal("1"), 4).expect("quarters");
        assert_eq!(texts(edges), ["0", "0.25", "0.5", "0.75", "1"]);
        assert!(Decimal::edges(decimal("0"), decimal("1"), 3).is_none());
        assert!(Decimal::edges(decimal("1"), decimal("1"), 3).is_none());
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-", ".", "1e3", "0x1", "1_0", "1.2.3", "NaN", "1234567890123456789012345678901"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn order_and_fixed_point_agree(a in -10_000_000i64..10_000_000, b in -10_000_000i64..10_000_000) {
            let show = |v: i64| decimal(&format!("{}{}.{:04}", if v < 0 { "-" } else { "" },
                v.abs() / 10_000, v.abs() % 10_000));
            prop_assert_eq!(show(a).cmp(&show(b)), a.cmp(&b));
            prop_assert_eq!(show(a).to_fixed(4), Fixed { floor: i128::from(a), exact: true });
            prop_assert_eq!(decimal(&show(a).canonical()), show(a));
        }
    }
}
