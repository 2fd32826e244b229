//! Dates and times as records write them: ISO 8601 as FHIR has it (whole or partial), SQL's with a space, HL7's digits.
//!
//! What is not said is its beginning: `1987` is the first of January 1987. A time without an offset is taken as UTC.

/// Days of the epoch, microseconds of the day and the calendar date of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Year, month, day, as written.
    pub date: (i32, u8, u8),
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub micros: i64,
}

const DAY_MICROS: i64 = 86_400_000_000;

impl Moment {
    /// Reads a date or a time; `None` for anything else, among it days that no calendar has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_compact = text.len() >= 8 && text.bytes().take(8).all(|b| b.is_ascii_digit());
        if is_compact { Self::compact(text) } else { Self::iso(text) }
    }

    fn iso(text: &str) -> Option<Self> {
        let (day, time) = match text.find(['T', ' ']) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let mut parts = day.split('-');
        let year = digits(parts.next()?, 4)?;
        let month = parts.next().map_or(Some(1), |m| digits(m, 2))?;
        let dom = parts.next().map_or(Some(1), |d| digits(d, 2))?;
        if parts.next().is_some() || (time.is_some() && day.len() != 10) {
            return None;
        }
        let clock = time.map_or(Some(0), clock)?;
        Self::of(year as i32, month, dom, clock)
    }

    /// `YYYYMMDD[HH[MM[SS[.f]]]][+ZZZZ]`.
    fn compact(text: &str) -> Option<Self> {
        let (year, month, dom) = (digits(&text[..4], 4)?, digits(&text[4..6], 2)?, digits(&text[6..8], 2)?);
        let rest = text.get(8..)?;
        let (time, offset) = match rest.find(['+', '-']) {
            Some(at) => (&rest[..at], offset_of(&rest[at..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
        let part = |at: usize| match whole.get(at..at + 2) {
            Some(two) => digits(two, 2),
            None if whole.len() <= at => Some(0),
            None => None,
        };
        let clock = time_of(part(0)?, part(2)?, part(4)?, fraction)?;
        if whole.len() > 6 {
            return None;
        }
        Self::of(year as i32, month, dom, clock - offset)
    }

    fn of(year: i32, month: u32, day: u32, clock: i64) -> Option<Self> {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=length).contains(&day) {
            return None;
        }
        let date = (year, month as u8, day as u8);
        Some(Self { date, micros: days_of(date) * DAY_MICROS + clock })
    }

    /// Whole years from this date to another; negative when the other is earlier.
    #[must_use]
    pub fn years_to(&self, other: &Self) -> i32 {
        let is_before_birthday = (other.date.1, other.date.2) < (self.date.1, self.date.2);
        other.date.0 - self.date.0 - i32::from(is_before_birthday)
    }

    /// Calendar days from this date to another.
    #[must_use]
    pub fn days_to(&self, other: &Self) -> i64 {
        days_of(other.date) - days_of(self.date)
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, chrono-compatible low-level date algorithms).
fn days_of((year, month, day): (i32, u8, u8)) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let shifted = (i64::from(month) + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Microseconds of the day, UTC, of `hh:mm[:ss[.f]][Z|+hh:mm]`.
fn clock(text: &str) -> Option<i64> {
    let (time, offset) = match text.find(['Z', '+', '-']) {
        Some(at) if &text[at..] == "Z" => (&text[..at], 0),
        Some(at) => (&text[..at], offset_of(&text[at..])?),
        None => (text, 0),
    };
    let mut parts = time.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (second, fraction) = match parts.next() {
        Some(second) => second.split_once('.').unwrap_or((second, "")),
        None => ("00", ""),
    };
    if parts.next().is_some() {
        return None;
    }
    Some(time_of(hour, minute, digits(second, 2)?, fraction)? - offset)
}

fn time_of(hour: u32, minute: u32, second: u32, fraction: &str) -> Option<i64> {
    // 60 is a leap second.
    if hour > 24 || minute > 59 || second > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some((i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000 + micros)
}

/// `+02:00`, `-0530`, `+00`.
fn offset_of(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let rest = text.get(1..)?.replace(':', "");
    let hours = digits(rest.get(..2)?, 2)?;
    let minutes = if rest.len() == 2 { 0 } else { digits(rest.get(2..)?, 2)? };
    (hours <= 14 && minutes <= 59)
        .then(|| sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60) * 1_000_000)
}

fn digits(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> i64 {
        Moment::parse(text).unwrap_or_else(|| panic!("{text}")).micros
    }

    #[test]
    fn one_instant_has_one_number_however_it_is_written() {
        let exact = 1_772_359_205_250_000;
        for text in [
            "2026-03-01T10:00:05.25Z",
            "2026-03-01T12:00:05.250+02:00",
            "2026-03-01 10:00:05.25",
            "20260301100005.25",
            "20260301120005.25+0200",
            " 2026-03-01T04:30:05.25-05:30 ",
        ] {
            assert_eq!(micros(text), exact, "{text}");
        }
        assert_eq!(micros("1970-01-01"), 0);
        assert_eq!(micros("1969-12"), -31 * DAY_MICROS);
        assert_eq!(micros("2000"), 10_957 * DAY_MICROS);
    }

    #[test]
    fn what_no_calendar_has_is_no_date() {
        for text in [
            "",
            "x",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "26-01-01",
            "2026-01-01T",
            "2026-01-01T25:00",
            "2026-01T10:00",
            "2026-1-1",
            "20260230",
            "2026013",
            "2026-01-01T10:00+99:00",
            "é026-01-01",
            "20260101é",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
        assert!(Moment::parse("2024-02-29").is_some());
    }

    #[test]
    fn a_year_is_full_on_the_birthday() {
        let years = |from, to| Moment::parse(from).unwrap().years_to(&Moment::parse(to).unwrap());
        assert_eq!(years("1980-03-05", "2026-03-04"), 45);
        assert_eq!(years("1980-03-05", "2026-03-05T00:00:00Z"), 46);
        assert_eq!(years("2026-03-05", "2026-03-04"), -1);
        let days = |from, to| Moment::parse(from).unwrap().days_to(&Moment::parse(to).unwrap());
        assert_eq!(days("2024-02-28", "2024-03-01T23:59:00Z"), 2);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,40}") {
            let _ = Moment::parse(&text);
        }

        #[test]
        fn days_follow_the_calendar(day in -200_000i64..200_000) {
            // By walking: the date of the next day is one day later.
            let date = |d: i64| {
                let (mut y, mut rest) = (1970 + d.div_euclid(366) as i32 - 2, 0);
                while days_of((y + 1, 1, 1)) <= d { y += 1; }
                let mut m = 1u8;
                while m < 12 && days_of((y, m + 1, 1)) <= d { m += 1; }
                rest += d - days_of((y, m, 1));
                (y, m, rest as u8 + 1)
            };
            let (y, m, d) = date(day);
            let text = format!("{y:04}-{m:02}-{d:02}");
            prop_assert_eq!(Moment::parse(&text).map(|moment| moment.micros), Some(day * DAY_MICROS));
        }
    }
}
