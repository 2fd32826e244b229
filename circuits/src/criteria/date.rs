//! Days of the Gregorian calendar, counted from 1900-01-01.

use std::fmt;
use std::str::FromStr;

/// A day, as the number of days since 1900-01-01; from that day to 2199-12-31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(u32);

/// Days from 1900-01-01 to 1970-01-01.
const UNIX_EPOCH_DAYS: u32 = 25_567;
const MS_PER_DAY: u64 = 86_400_000;
const YEAR_FIRST: u32 = 1900;
const YEAR_LAST: u32 = 2199;

impl Date {
    /// 1900-01-01.
    pub const FIRST: Self = Self(0);
    /// 2199-12-31.
    pub const LAST: Self = Self(109_572);

    /// The day of a year, month and day of month; `None` when the calendar has no such day, or it lies outside
    /// the years 1900 to 2199.
    #[must_use]
    pub fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        let known = (YEAR_FIRST..=YEAR_LAST).contains(&year) && (1..=12).contains(&month);
        if !known || day < 1 || day > month_days(year, month) {
            return None;
        }
        let months: u32 = (1..month).map(|m| month_days(year, m)).sum();
        Some(Self(days_before_year(year) + months + day - 1))
    }

    /// The day by its number; `None` after 2199-12-31.
    #[must_use]
    pub fn from_days(days: u64) -> Option<Self> {
        u32::try_from(days).ok().map(Self).filter(|date| *date <= Self::LAST)
    }

    /// The day (UTC) of a time in milliseconds since 1970; `None` after 2199-12-31.
    #[must_use]
    pub fn from_unix_ms(unix_ms: u64) -> Option<Self> {
        Self::from_days((unix_ms / MS_PER_DAY).checked_add(u64::from(UNIX_EPOCH_DAYS))?)
    }

    /// Milliseconds from 1970 to the start of this day (UTC); `None` before 1970.
    #[must_use]
    pub fn unix_ms(self) -> Option<u64> {
        self.0.checked_sub(UNIX_EPOCH_DAYS).map(|days| u64::from(days) * MS_PER_DAY)
    }

    /// Days since 1900-01-01.
    #[must_use]
    pub fn days(self) -> u64 {
        u64::from(self.0)
    }

    /// The day so many days later; `None` after 2199-12-31.
    #[must_use]
    pub fn plus_days(self, days: u64) -> Option<Self> {
        Self::from_days(self.days().checked_add(days)?)
    }

    /// The day so many days earlier; `None` before 1900-01-01.
    #[must_use]
    pub fn minus_days(self, days: u64) -> Option<Self> {
        Self::from_days(self.days().checked_sub(days)?)
    }

    /// Year, month and day of month.
    #[must_use]
    pub fn civil(self) -> (u32, u32, u32) {
        // A lower bound of the year first: no year has more than 366 days.
        let mut year = YEAR_FIRST + self.0 / 366;
        while days_before_year(year + 1) <= self.0 {
            year += 1;
        }
        let mut rest = self.0 - days_before_year(year);
        let mut month = 1;
        while rest >= month_days(year, month) {
            rest -= month_days(year, month);
            month += 1;
        }
        (year, month, rest + 1)
    }

    /// Completed years from a birth to this day; `None` for a birth after it. Who was born on 29 February completes a
    /// year on 1 March where there is no 29 February.
    #[must_use]
    pub fn age_of(self, birth: Self) -> Option<u32> {
        if birth > self {
            return None;
        }
        let ((y, m, d), (by, bm, bd)) = (self.civil(), birth.civil());
        Some(y - by - u32::from((m, d) < (bm, bd)))
    }

    /// The last birth of somebody who has completed so many years on this day; `None` before 1900.
    #[must_use]
    pub fn last_birth_of_age(self, years: u32) -> Option<Self> {
        let (y, m, d) = self.civil();
        let year = y.checked_sub(years)?;
        // 29 February of a year without one: whoever was born by the 28th has completed the year.
        Self::new(year, m, d).or_else(|| Self::new(year, m, d - 1))
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_days(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1900-01-01 to 1 January of a year from 1900 on.
fn days_before_year(year: u32) -> u32 {
    let leaps = |y: u32| y / 4 - y / 100 + y / 400;
    (year - YEAR_FIRST) * 365 + leaps(year - 1) - leaps(YEAR_FIRST - 1)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A text that is no day from 1900-01-01 to 2199-12-31 as YYYY-MM-DD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day from 1900-01-01 to 2199-12-31 written as YYYY-MM-DD")]
pub struct NotADate;

impl FromStr for Date {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| match i {
                4 | 7 => *b == b'-',
                _ => b.is_ascii_digit(),
            });
        if !shaped {
            return Err(NotADate);
        }
        let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().map_err(|_| NotADate);
        Self::new(number(0..4)?, number(5..7)?, number(8..10)?).ok_or(NotADate)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn known_days_have_their_numbers() {
        assert_eq!(date("1900-01-01"), Date::FIRST);
        assert_eq!(date("1900-03-01").days(), 59, "1900 was no leap year");
        assert_eq!(date("1970-01-01").days(), 25_567);
        assert_eq!(date("2000-03-01").days(), 36_584);
        assert_eq!(date("2199-12-31"), Date::LAST);
        assert_eq!(Date::from_unix_ms(1_795_316_645_000).unwrap(), date("2026-11-22"));
        assert_eq!(date("2026-11-22").unix_ms().unwrap(), 1_795_305_600_000);
    }

    #[test]
    fn days_that_the_calendar_lacks_are_refused() {
        for text in [
            "1899-12-31",
            "2200-01-01",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-04-31",
            "2024-4-1",
            "24-04-01",
            "2024-04-010",
            "2024/04/01",
            "+024-04-01",
            "",
            "２０２４-04-01",
        ] {
            assert_eq!(text.parse::<Date>(), Err(NotADate), "{text}");
        }
    }

    #[test]
    fn ages_change_on_the_birthday() {
        let birth = date("1999-11-22");
        assert_eq!(date("2026-11-21").age_of(birth), Some(26));
        assert_eq!(date("2026-11-22").age_of(birth), Some(27));
        assert_eq!(date("2018-02-28").age_of(date("2000-02-29")), Some(17));
        assert_eq!(date("2018-03-01").age_of(date("2000-02-29")), Some(18));
        assert_eq!(date("2020-02-29").age_of(date("2000-02-29")), Some(20));
        assert_eq!(birth.age_of(date("1999-11-23")), None);
    }

    proptest! {
        #[test]
        fn text_and_number_round_trip(days in 0u64..=109_572) {
            let date = Date::from_days(days).unwrap();
            prop_assert_eq!(date.to_string().parse::<Date>().unwrap(), date);
            let (y, m, d) = date.civil();
            prop_assert_eq!(Date::new(y, m, d).unwrap().days(), days);
        }

        #[test]
        fn the_last_birth_of_an_age_is_the_last(at in 0u64..=109_572, years in 0u32..130) {
            let at = Date::from_days(at).unwrap();
            match at.last_birth_of_age(years) {
                Some(birth) => {
                    prop_assert!(at.age_of(birth).unwrap() >= years);
                    let next = birth.plus_days(1).unwrap();
                    prop_assert!(at.age_of(next).is_none_or(|age| age < years));
                }
                None => prop_assert!(at.civil().0 - 1900 < years),
            }
        }
    }
}
