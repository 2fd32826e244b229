//! Decimal numbers, exactly.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Most digits of a number, before and after the point together.
pub const DIGITS_MAX: usize = 18;

/// A decimal number, `mantissa / 10^scale`, without trailing zeros after the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i64,
    scale: u8,
}

/// A text that is no decimal number of at most 18 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number of at most {DIGITS_MAX} digits")]
pub struct NotADecimal;

impl Decimal {
    /// `mantissa / 10^scale`; `None` beyond 18 digits.
    #[must_use]
    pub fn new(mantissa: i64, scale: u8) -> Option<Self> {
        let (mut mantissa, mut scale) = (mantissa, scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        let fits = mantissa.unsigned_abs() < 10u64.pow(DIGITS_MAX as u32) && usize::from(scale) <= DIGITS_MAX;
        fits.then_some(Self { mantissa, scale })
    }

    /// Digits after the point.
    #[must_use]
    pub fn digits(self) -> u8 {
        self.scale
    }

    /// `self * 10^digits`; `None` when that is no whole number or has more than 18 digits.
    #[must_use]
    pub fn scaled(self, digits: u8) -> Option<i64> {
        let up = digits.checked_sub(self.scale)?;
        let scaled = self.mantissa.checked_mul(10i64.checked_pow(u32::from(up))?)?;
        (scaled.unsigned_abs() < 10u64.pow(DIGITS_MAX as u32)).then_some(scaled)
    }

    /// The product, exactly; `None` beyond 18 digits.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        let mut product = i128::from(self.mantissa) * i128::from(other.mantissa);
        let mut scale = self.scale.checked_add(other.scale)?;
        while scale > 0 && product % 10 == 0 {
            product /= 10;
            scale -= 1;
        }
        Self::new(i64::try_from(product).ok()?, scale)
    }

    /// Rounded to so many digits after the point, halves away from zero.
    #[must_use]
    pub fn rounded(self, digits: u8) -> Self {
        let Some(down) = self.scale.checked_sub(digits).filter(|down| *down > 0) else { return self };
        let unit = 10i64.pow(u32::from(down));
        let (quotient, rest) = (self.mantissa / unit, self.mantissa % unit);
        let up = i64::from(rest.unsigned_abs() * 2 >= unit.unsigned_abs()) * rest.signum();
        // Fewer digits than before: it fits.
        Self::new(quotient + up, digits).unwrap_or(self)
    }
}

impl FromStr for Decimal {
    type Err = NotADecimal;

    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(NotADecimal);
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len() + fraction.len() > DIGITS_MAX {
            return Err(NotADecimal);
        }
        let mantissa = format!("0{whole}{fraction}").parse::<i64>().map_err(|_| NotADecimal)?;
        let scale = u8::try_from(fraction.len()).map_err(|_| NotADecimal)?;
        Self::new(if negative { -mantissa } else { mantissa }, scale).ok_or(NotADecimal)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0width$}", self.mantissa.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let point = if scale > 0 { "." } else { "" };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let common = self.scale.max(other.scale);
        let wide = |d: &Self| i128::from(d.mantissa) * 10i128.pow(u32::from(common - d.scale));
        wide(self).cmp(&wide(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_are_read_and_written_without_idle_zeros() {
        for (text, canonical) in
            [("6.50", "6.5"), ("007", "7"), ("0.0", "0"), ("-0", "0"), ("-1.20", "-1.2"), ("0.001", "0.001")]
        {
            assert_eq!(decimal(text).to_string(), canonical);
        }
        for text in ["", "-", "1.", ".5", "1e3", "1,5", "+1", "1234567890123456789", "0.1234567890123456789"]
        {
            assert_eq!(text.parse::<Decimal>(), Err(NotADecimal), "{text}");
        }
    }

    #[test]
    fn scaling_never_drops_a_digit() {
        assert_eq!(decimal("6.5").scaled(2), Some(650));
        assert_eq!(decimal("6.505").scaled(2), None);
        assert_eq!(decimal("120").times(decimal("0.1")), Some(decimal("12")));
        assert_eq!(decimal("999999999999999999").times(decimal("10")), None);
    }

    #[test]
    fn rounding_takes_halves_away_from_zero() {
        for (text, digits, rounded) in
            [("6.455", 2, "6.46"), ("6.454", 2, "6.45"), ("-0.5", 0, "-1"), ("9.99", 1, "10"), ("3", 2, "3")]
        {
            assert_eq!(decimal(text).rounded(digits), decimal(rounded));
        }
    }

    proptest! {
        #[test]
        fn text_round_trips_and_order_is_that_of_the_numbers(
            a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, s in 0u8..6, t in 0u8..6,
        ) {
            let (x, y) = (Decimal::new(a, s).unwrap(), Decimal::new(b, t).unwrap());
            prop_assert_eq!(x.to_string().parse::<Decimal>().unwrap(), x);
            let exact = (a * 10i64.pow(6 - u32::from(s))).cmp(&(b * 10i64.pow(6 - u32::from(t))));
            prop_assert_eq!(x.cmp(&y), exact);
        }
    }
}
