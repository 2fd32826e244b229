//! Units by UCUM codes (The Unified Code for Units of Measure, 2.1), those that laboratory values and vital signs use,
//! and exact conversion between them.
//!
//! A code is a quotient or product of prefixed atoms with exponents: `mg/dL`, `10*3/uL`, `kg/m2`, `mm[Hg]`, `mol/L`,
//! `ug/(24.h)` without its parentheses. Annotations in braces are ignored. Amount and mass convert with a molar mass.

/// Longest code read.
const BYTES_MAX: usize = 64;
/// Fractional digits of a converted value.
const PLACES: i32 = 15;

/// Dimensions: length, mass, time, amount, temperature, arbitrary units.
type Dimension = [i8; 6];

/// A unit: `num / den * 10^ten` of the base units, of a dimension, plus an offset in kelvin for temperatures.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    num: i128,
    den: i128,
    ten: i32,
    dimension: Dimension,
    /// Zero point in hundredths of a kelvin.
    zero_centikelvin: i128,
}

struct Atom {
    code: &'static str,
    num: i128,
    den: i128,
    ten: i32,
    dimension: Dimension,
    is_metric: bool,
}

const fn atom(code: &'static str, (num, den, ten): (i128, i128, i32), dimension: Dimension) -> Atom {
    Atom { code, num, den, ten, dimension, is_metric: false }
}

const fn metric(code: &'static str, (num, den, ten): (i128, i128, i32), dimension: Dimension) -> Atom {
    Atom { code, num, den, ten, dimension, is_metric: true }
}

const ONE: (i128, i128, i32) = (1, 1, 0);
const NONE: Dimension = [0; 6];
const TIME: Dimension = [0, 0, 1, 0, 0, 0];

/// In the base units metre, gram, second, mole, kelvin.
const ATOMS: [Atom; 38] = [
    metric("m", ONE, [1, 0, 0, 0, 0, 0]),
    metric("g", ONE, [0, 1, 0, 0, 0, 0]),
    metric("s", ONE, TIME),
    metric("mol", ONE, [0, 0, 0, 1, 0, 0]),
    metric("K", ONE, [0, 0, 0, 0, 1, 0]),
    metric("eq", ONE, [0, 0, 0, 1, 0, 0]),
    metric("osm", ONE, [0, 0, 0, 1, 0, 0]),
    metric("L", (1, 1, -3), [3, 0, 0, 0, 0, 0]),
    metric("l", (1, 1, -3), [3, 0, 0, 0, 0, 0]),
    metric("Pa", (1, 1, 3), [-1, 1, -2, 0, 0, 0]),
    metric("bar", (1, 1, 8), [-1, 1, -2, 0, 0, 0]),
    metric("m[Hg]", (133_322_387_415, 1, -3), [-1, 1, -2, 0, 0, 0]),
    metric("m[H2O]", (980_665, 1, 1), [-1, 1, -2, 0, 0, 0]),
    metric("N", (1, 1, 3), [1, 1, -2, 0, 0, 0]),
    metric("J", (1, 1, 3), [2, 1, -2, 0, 0, 0]),
    metric("W", (1, 1, 3), [2, 1, -3, 0, 0, 0]),
    metric("cal", (4184, 1, 0), [2, 1, -2, 0, 0, 0]),
    metric("Hz", ONE, [0, 0, -1, 0, 0, 0]),
    metric("kat", ONE, [0, 0, -1, 1, 0, 0]),
    metric("U", (1, 60, -6), [0, 0, -1, 1, 0, 0]),
    metric("[iU]", ONE, [0, 0, 0, 0, 0, 1]),
    metric("[IU]", ONE, [0, 0, 0, 0, 0, 1]),
    atom("min", (60, 1, 0), TIME),
    atom("h", (3600, 1, 0), TIME),
    atom("d", (86_400, 1, 0), TIME),
    atom("wk", (604_800, 1, 0), TIME),
    atom("mo", (2_629_800, 1, 0), TIME),
    atom("a", (31_557_600, 1, 0), TIME),
    atom("%", (1, 1, -2), NONE),
    atom("[ppth]", (1, 1, -3), NONE),
    atom("[ppm]", (1, 1, -6), NONE),
    atom("[pH]", ONE, [0, 0, 0, 0, 0, 2]),
    atom("[in_i]", (254, 1, -4), [1, 0, 0, 0, 0, 0]),
    atom("[ft_i]", (3048, 1, -4), [1, 0, 0, 0, 0, 0]),
    atom("[lb_av]", (45_359_237, 1, -5), [0, 1, 0, 0, 0, 0]),
    atom("[oz_av]", (28_349_523_125, 1, -9), [0, 1, 0, 0, 0, 0]),
    atom("Cel", ONE, [0, 0, 0, 0, 1, 0]),
    atom("[degF]", (5, 9, 0), [0, 0, 0, 0, 1, 0]),
];

const PREFIXES: [(&str, i32); 14] = [
    ("da", 1),
    ("d", -1),
    ("c", -2),
    ("m", -3),
    ("u", -6),
    ("n", -9),
    ("p", -12),
    ("f", -15),
    ("h", 2),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("a", -18),
];

impl Unit {
    /// Reads a UCUM code; `None` for what is none, or not among those known.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        if code.len() > BYTES_MAX || !code.is_ascii() {
            return None;
        }
        let bare = without_annotations(code)?;
        let mut unit = Self { num: 1, den: 1, ten: 0, dimension: NONE, zero_centikelvin: 0 };
        let (mut rest, mut sign) = (bare.as_str(), 1);
        if let Some(after) = rest.strip_prefix('/') {
            (rest, sign) = (after, -1);
        }
        loop {
            let end = rest.find(['/', '.']).unwrap_or(rest.len());
            let is_whole = end == bare.len();
            if !(end == 0 && rest.is_empty() && (bare.is_empty() || code.contains('{'))) {
                unit.multiply(&rest[..end], sign, is_whole)?;
            }
            match rest.as_bytes().get(end) {
                None => return Some(unit),
                Some(mark) => {
                    sign = if *mark == b'/' { -1 } else { 1 };
                    rest = &rest[end + 1..];
                }
            }
        }
    }

    /// `text` times an atom to a power; zero points apply only where the atom is all there is.
    fn multiply(&mut self, text: &str, sign: i8, is_whole: bool) -> Option<()> {
        if let Some(power) = text.strip_prefix("10*").or_else(|| text.strip_prefix("10^")) {
            let power: i32 = power.parse().ok().filter(|p: &i32| p.abs() <= 24)?;
            self.ten += power * i32::from(sign);
            return Some(());
        }
        if let Ok(number) = text.parse::<u32>() {
            return self.factor((i128::from(number), 1, 0), sign).filter(|()| number > 0);
        }
        let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (name, power) = text.split_at(text.len() - digits);
        let (name, negative) = match name.strip_suffix(['-', '+']) {
            Some(bare) => (bare, name.ends_with('-')),
            None => (name, false),
        };
        let power: i8 =
            if power.is_empty() { 1 } else { power.parse().ok().filter(|p| (1..=6).contains(p))? };
        let power = sign * if negative { -power } else { power };
        let (atom, ten) = find(name)?;
        for _ in 0..power.unsigned_abs() {
            self.factor((atom.num, atom.den, atom.ten + ten), power.signum())?;
        }
        for (own, of_atom) in self.dimension.iter_mut().zip(atom.dimension) {
            *own = own.checked_add(of_atom.checked_mul(power)?)?;
        }
        if is_whole && power == 1 {
            self.zero_centikelvin = match atom.code {
                "Cel" => 27_315,
                // 0 degF = 459.67 / 1.8 K; kept as the offset in its own degrees.
                "[degF]" => 45_967,
                _ => 0,
            };
        }
        Some(())
    }

    fn factor(&mut self, (num, den, ten): (i128, i128, i32), sign: i8) -> Option<()> {
        let (num, den, ten) = if sign < 0 { (den, num, -ten) } else { (num, den, ten) };
        self.num = self.num.checked_mul(num)?;
        self.den = self.den.checked_mul(den)?;
        self.ten += ten;
        let shared = gcd(self.num, self.den);
        (self.num, self.den) = (self.num / shared, self.den / shared);
        Some(())
    }

    /// The value `text` in another unit; unchanged where the two are the same size. `molar_mass_g_mol` is the
    /// substance's, for amounts and masses.
    #[must_use]
    pub fn convert(&self, to: &Self, text: &str, molar_mass_g_mol: Option<&str>) -> Option<String> {
        let (mantissa, exponent) = number(text)?;
        let mut ratio = self.clone();
        ratio.factor((to.num, to.den, to.ten), -1)?;
        for (own, other) in ratio.dimension.iter_mut().zip(to.dimension) {
            *own = own.checked_sub(other)?;
        }
        match ratio.dimension {
            NONE => {}
            [0, mass, 0, amount, 0, 0] if mass == -amount && mass.abs() == 1 => {
                let (mass_mantissa, mass_exponent) = number(molar_mass_g_mol?)?;
                if mass_mantissa <= 0 {
                    return None;
                }
                ratio.factor((mass_mantissa, 1, mass_exponent), amount)?;
            }
            _ => return None,
        }
        let zero = (self.zero_centikelvin, to.zero_centikelvin);
        if zero.0 == zero.1 && (ratio.num, ratio.den, ratio.ten) == (1, 1, 0) {
            return Some(text.trim().to_owned());
        }
        ratio.apply(mantissa, exponent, zero)
    }

    /// `((mantissa * 10^exponent + zero.0 / 100) * self) - zero.1 / 100`, in 15 places, half away from zero.
    fn apply(&self, mantissa: i128, exponent: i32, zero: (i128, i128)) -> Option<String> {
        let at = exponent.min(-2);
        let shifted = mantissa.checked_mul(10i128.checked_pow((exponent - at).unsigned_abs())?)?;
        let above = zero.0.checked_mul(10i128.checked_pow((-2 - at).unsigned_abs())?)?;
        let mut num = shifted.checked_add(above)?.checked_mul(self.num)?;
        let mut den = self.den;
        let shift = at.checked_add(self.ten)?.checked_add(PLACES)?;
        let power = 10i128.checked_pow(shift.unsigned_abs())?;
        if shift >= 0 {
            num = num.checked_mul(power)?
        } else {
            den = den.checked_mul(power)?
        }
        let (quotient, rest) = (num / den, num % den);
        let up = i128::from(rest.abs() >= den - rest.abs()) * num.signum();
        let value = (quotient + up).checked_sub(zero.1.checked_mul(10i128.pow(PLACES as u32 - 2))?)?;
        Some(plain(value))
    }
}

/// `value * 10^-15` without idle zeros.
fn plain(value: i128) -> String {
    let unit = 10u128.pow(PLACES as u32);
    let (whole, fraction) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    let sign = if value < 0 { "-" } else { "" };
    let fraction = format!("{fraction:015}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// `[-]digits[.digits][e[-]digits]` as mantissa and power of ten; at most 18 digits.
fn number(text: &str) -> Option<(i128, i32)> {
    let text = text.trim();
    let (digits, power) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok().filter(|p| p.abs() <= 30)?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let joined = format!("{whole}{fraction}");
    let bare = joined.strip_prefix('-').unwrap_or(&joined);
    if bare.is_empty() || bare.len() > 18 || !bare.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((joined.parse().ok()?, power - i32::try_from(fraction.len()).ok()?))
}

fn without_annotations(code: &str) -> Option<String> {
    let mut bare = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once('{') {
        bare.push_str(before);
        rest = after.split_once('}')?.1;
    }
    bare.push_str(rest);
    (!bare.contains('}')).then_some(bare)
}

fn find(name: &str) -> Option<(&'static Atom, i32)> {
    if let Some(atom) = ATOMS.iter().find(|atom| atom.code == name) {
        return Some((atom, 0));
    }
    PREFIXES.iter().find_map(|(prefix, ten)| {
        let rest = name.strip_prefix(prefix)?;
        let atom = ATOMS.iter().find(|atom| atom.is_metric && atom.code == rest)?;
        Some((atom, *ten))
    })
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs().max(1), b.abs().max(1));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn convert(value: &str, from: &str, to: &str, molar: Option<&str>) -> Option<String> {
        Unit::parse(from)?.convert(&Unit::parse(to)?, value, molar)
    }

    #[test]
    fn values_convert_as_the_laboratory_does() {
        for (value, from, to, molar, found) in [
            ("5.5", "mmol/L", "mg/dL", Some("180.156"), "99.0858"),
            ("100", "mg/dL", "mmol/L", Some("180.156"), "5.550744909966918"),
            ("1.0", "mg/dL", "umol/L", Some("113.12"), "88.401697312588402"),
            ("7.5", "g/dL", "g/L", None, "75"),
            ("4.5", "10*3/uL", "10*9/L", None, "4.5"),
            ("4574", "/uL", "10*9/L", None, "4.574"),
            ("98.6", "[degF]", "Cel", None, "37"),
            ("37", "Cel", "K", None, "310.15"),
            ("120", "mm[Hg]", "kPa", None, "15.9986864898"),
            ("70", "kg", "[lb_av]", None, "154.323583529414278"),
            ("1.8", "m", "cm", None, "180"),
            ("60", "/min", "Hz", None, "1"),
            ("60", "{beats}/min", "/min", None, "60"),
            ("0.065", "1", "%", None, "6.5"),
            ("100", "U/L", "ukat/L", None, "1.666666666666667"),
            ("3", "mL/min/{1.73_m2}", "mL/min", None, "3"),
            ("31.20", "kg/m2", "kg/m2", None, "31.20"),
            ("-2", "d", "h", None, "-48"),
            ("1.5e2", "ng/mL", "ug/L", None, "1.5e2"),
            ("24", "mg/(24.h)", "mg", None, ""),
        ] {
            let answer = convert(value, from, to, molar);
            let expected = (!found.is_empty()).then(|| found.to_owned());
            // The pound's own places go beyond the fifteenth.
            let same = match (&answer, &expected) {
                (Some(a), Some(b)) => (a.parse::<f64>().unwrap() - b.parse::<f64>().unwrap()).abs() < 1e-12,
                (a, b) => a == b,
            };
            assert!(same, "{value} {from} in {to}: {answer:?}");
        }
    }

    #[test]
    fn other_dimensions_and_unknown_codes_do_not_convert() {
        for (from, to, molar) in [
            ("mg/dL", "mmol/L", None),
            ("kg", "m", None),
            ("[iU]/L", "U/L", None),
            ("mg/dL", "mmol/L", Some("0")),
            ("g", "mol2", Some("18")),
        ] {
            assert_eq!(convert("1", from, to, molar), None, "{from} to {to}");
        }
        for code in ["furlong", "mg/", "{x", "x}", "mg//dL", "m99", "é", "10*99", "0"] {
            assert_eq!(Unit::parse(code), None, "{code}");
        }
        for value in ["", "x", "1e99", "12345678901234567890", "--1", "NaN"] {
            assert_eq!(convert(value, "mg/dL", "g/L", None), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_value(cents in -1_000_000_000i64..1_000_000_000) {
            let value = format!("{}.{:02}", cents / 100, (cents % 100).abs());
            let there = convert(&value, "mg/dL", "g/L", None).unwrap();
            let back = convert(&there, "g/L", "mg/dL", None).unwrap();
            prop_assert_eq!(back.parse::<f64>().unwrap(), value.parse::<f64>().unwrap());
        }

        #[test]
        fn no_code_and_no_value_breaks_it(from in "[a-zA-Z0-9/.*{}\\[\\]%-]{0,12}", value in "[0-9.eE-]{0,24}") {
            if let Some(unit) = Unit::parse(&from) {
                let _ = unit.convert(&Unit::parse("mg/dL").unwrap(), &value, Some("180.156"));
                let _ = unit.convert(&unit, &value, None);
            }
        }
    }
}
