//! Exact decimal numbers: what a cell of a file says, before it becomes a fixed-point integer.
//!
//! A float would round twice; here `36.85` with one digit is 36.9 (half away from zero) whether it came as text
//! from a CSV file or as a double from a Parquet file.

/// Digits of a number that are kept; the rest is cut off, which cannot change a rounding half away from zero
/// as long as the last place asked for lies before the cut.
const DIGITS_MAX: usize = 20;

/// Exponents of ten beyond which a number counts as huge, or as zero.
const MAGNITUDE_MAX: i64 = 40;

/// The most decimal places of a fixed-point column.
pub const PLACES_MAX: u8 = 9;

/// Place at which a unit conversion is added up (10^-18).
const SUM_PLACES: i32 = 18;

/// `mantissa * 10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decimal {
    mantissa: i128,
    exponent: i32,
}

/// The largest magnitude a fixed-point value takes when the number is too large for it: no bound reaches it.
pub const SATURATED: i64 = i64::MAX;

impl Decimal {
    /// One.
    pub const ONE: Self = Self { mantissa: 1, exponent: 0 };
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };

    /// Reads `[+-]digits[.digits][e[+-]digits]`; spaces around it are ignored. `None` for anything else,
    /// among it `NaN`, `inf`, hexadecimal and digit separators.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (digits, power) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], parse_power(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (mut mantissa, mut kept, mut cut) = (0i128, 0usize, 0i64);
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            if kept == DIGITS_MAX {
                cut += 1;
            } else {
                mantissa = mantissa * 10 + i128::from(byte - b'0');
                kept += usize::from(mantissa != 0);
            }
        }
        let exponent = power + cut - i64::try_from(fraction.len()).ok()?;
        Some(Self::normal(if negative { -mantissa } else { mantissa }, exponent, kept))
    }

    /// Brings a number with `kept` digits into the range where no operation overflows.
    fn normal(mantissa: i128, exponent: i64, kept: usize) -> Self {
        let magnitude = exponent.saturating_add(i64::try_from(kept).unwrap_or(i64::MAX));
        if mantissa == 0 || magnitude < -MAGNITUDE_MAX {
            return Self::ZERO;
        }
        if magnitude > MAGNITUDE_MAX {
            return Self { mantissa: mantissa.signum(), exponent: MAGNITUDE_MAX as i32 };
        }
        // In range: |exponent| <= MAGNITUDE_MAX + DIGITS_MAX.
        Self { mantissa, exponent: exponent as i32 }
    }

    /// The number that a finite double writes as (the shortest text that reads back as the same double).
    /// `None` for NaN and infinities.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.is_finite() { Self::parse(&format!("{value:e}")) } else { None }
    }

    /// As [`Self::from_f64`], for a single-precision float: 0.1f32 is 0.1.
    #[must_use]
    pub fn from_f32(value: f32) -> Option<Self> {
        if value.is_finite() { Self::parse(&format!("{value:e}")) } else { None }
    }

    /// `self * scale + offset`, cut at the 18th decimal place; too large numbers saturate.
    #[must_use]
    pub fn convert(self, scale: Self, offset: Self) -> Self {
        if scale == Self::ONE && offset == Self::ZERO {
            return self;
        }
        let scale = scale.shortened();
        let product = self
            .mantissa
            .checked_mul(scale.mantissa)
            .and_then(|mantissa| at_place(mantissa, self.exponent + scale.exponent, SUM_PLACES));
        let sum = match (product, at_place(offset.mantissa, offset.exponent, SUM_PLACES)) {
            (Some(product), Some(offset)) => product.checked_add(offset),
            _ => None,
        };
        match sum {
            Some(mantissa) => Self { mantissa, exponent: -SUM_PLACES },
            None => Self {
                mantissa: self.mantissa.signum() * scale.mantissa.signum(),
                exponent: MAGNITUDE_MAX as i32,
            },
        }
    }

    /// Cut to 18 digits, so that a product with 20 digits fits.
    fn shortened(mut self) -> Self {
        while self.mantissa.abs() >= 10i128.pow(18) {
            self.mantissa /= 10;
            self.exponent += 1;
        }
        self
    }

    /// `round(self * 10^places)`, half away from zero; numbers that do not fit become `±SATURATED`.
    #[must_use]
    pub fn to_fixed(self, places: u8) -> i64 {
        let shift = self.exponent + i32::from(places);
        let scaled = match 10i128.checked_pow(shift.unsigned_abs()) {
            Some(power) if shift >= 0 => self.mantissa.checked_mul(power),
            Some(power) => {
                let (quotient, rest) = (self.mantissa / power, self.mantissa % power);
                // rest < power <= 10^38, so that twice the rest may not fit: compare with the half instead.
                let up = rest.abs() >= power - rest.abs();
                Some(if up { quotient + self.mantissa.signum() } else { quotient })
            }
            None if shift < 0 => Some(0),
            None => None,
        };
        let limit = i128::from(SATURATED);
        match scaled {
            Some(value) => value.clamp(-limit, limit) as i64,
            None if self.mantissa < 0 => -SATURATED,
            None if self.mantissa > 0 => SATURATED,
            None => 0,
        }
    }

    /// True when the number has a non-zero digit after the `places`-th decimal place.
    #[must_use]
    pub fn is_finer_than(self, places: u8) -> bool {
        let shift = self.exponent + i32::from(places);
        shift < 0 && 10i128.checked_pow(shift.unsigned_abs()).is_none_or(|power| self.mantissa % power != 0)
    }

    /// True for zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }
}

/// `round(value * 10^places)` of a finite double as its shortest text says it, without writing that text in
/// the common case. `None` for NaN and infinities.
#[must_use]
pub fn fixed_of_f64(value: f64, places: u8) -> Option<i64> {
    let scaled = value * 10f64.powi(i32::from(places));
    // Below 2^30 the product is off by less than 2^-22: only near a half the text must decide.
    if scaled.abs() < f64::from(1u32 << 30) && (scaled.fract().abs() - 0.5).abs() > 1e-6 {
        return Some(scaled.round() as i64);
    }
    Decimal::from_f64(value).map(|decimal| decimal.to_fixed(places))
}

fn parse_power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // A power beyond a thousand is as good as a thousand: the number is huge, or zero.
    let size = digits
        .trim_start_matches('0')
        .parse::<i64>()
        .unwrap_or(if digits.bytes().all(|b| b == b'0') { 0 } else { i64::from(i32::MAX) });
    let size = size.min(i64::from(i32::MAX));
    Some(if text.starts_with('-') { -size } else { size })
}

/// `mantissa * 10^exponent` in units of 10^-places, cut towards zero; `None` when it does not fit.
fn at_place(mantissa: i128, exponent: i32, places: i32) -> Option<i128> {
    let shift = exponent + places;
    match 10i128.checked_pow(shift.unsigned_abs()) {
        Some(power) if shift >= 0 => mantissa.checked_mul(power),
        Some(power) => Some(mantissa / power),
        None if shift < 0 || mantissa == 0 => Some(0),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fixed(text: &str, places: u8) -> i64 {
        Decimal::parse(text).unwrap().to_fixed(places)
    }

    #[test]
    fn decimals_round_half_away_from_zero() {
        for (text, places, value) in [
            ("36.85", 1, 369),
            ("-36.85", 1, -369),
            ("1.005", 2, 101),
            ("1.00499999999999999999999999", 2, 100),
            ("1.00500000000000000000000001", 2, 101),
            ("0.5", 0, 1),
            ("-0.5", 0, -1),
            ("0.49999", 0, 0),
            ("57", 0, 57),
            ("+57.0", 0, 57),
            (" 22.690939482158665 ", 4, 226_909),
            ("1e3", 2, 100_000),
            ("1.5E-2", 3, 15),
            (".5", 1, 5),
            ("5.", 1, 50),
            ("1e-400", 9, 0),
            ("000000000000000000000000000012", 0, 12),
        ] {
            assert_eq!(fixed(text, places), value, "{text} with {places} places");
        }
    }

    #[test]
    fn decimals_beyond_the_range_saturate() {
        assert_eq!(fixed("1e400", 0), SATURATED);
        assert_eq!(fixed("-1e400", 0), -SATURATED);
        assert_eq!(fixed("9223372036854775808", 0), SATURATED);
        assert_eq!(fixed("1e99999999999999999999", 2), SATURATED);
        assert_eq!(fixed("0e99999999999999999999", 2), 0);
    }

    #[test]
    fn decimals_refuse_what_is_no_number() {
        for text in [
            "", " ", ".", "-", "+", "e5", "1e", "1e+", "1e1.5", "NaN", "inf", "-inf", "0x10", "1_000", "1,5",
            "--1", "1 2", "٣",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn unit_conversion_is_exact() {
        // mmol/l of glucose to mg/dl; degrees Fahrenheit to Celsius.
        let mg = Decimal::parse("5.5").unwrap().convert(Decimal::parse("18.018").unwrap(), Decimal::ZERO);
        assert_eq!(mg.to_fixed(4), 990_990);
        let scale = Decimal::parse("0.5555555555555556").unwrap();
        let celsius =
            Decimal::parse("98.6").unwrap().convert(scale, Decimal::parse("-17.77777777777778").unwrap());
        assert_eq!(celsius.to_fixed(1), 370);
        let huge = Decimal::parse("-1e300").unwrap().convert(Decimal::parse("2").unwrap(), Decimal::ONE);
        assert_eq!(huge.to_fixed(0), -SATURATED);
    }

    proptest! {
        #[test]
        fn a_double_rounds_as_its_text(value in prop::num::f64::NORMAL | prop::num::f64::ZERO, places in 0u8..=9) {
            let text = value.to_string();
            prop_assert_eq!(fixed_of_f64(value, places), Some(fixed(&text, places)));
        }

        #[test]
        fn a_cent_rounds_as_its_text(cents in -10_000_000i64..10_000_000, places in 0u8..=3) {
            let value = cents as f64 / 1000.0;
            prop_assert_eq!(fixed_of_f64(value, places), Some(fixed(&value.to_string(), places)));
            prop_assert_eq!(fixed_of_f64(value, 3), Some(cents));
        }

        #[test]
        fn an_integer_is_itself(value in -SATURATED..=SATURATED) {
            prop_assert_eq!(fixed(&value.to_string(), 0), value);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            if let Some(decimal) = Decimal::parse(&text) {
                let _ = decimal.convert(decimal, decimal).to_fixed(9);
            }
        }
    }
}
