//! FHIR's dates and times as unix milliseconds.
//!
//! A date of any precision is a span: `2026-03` is from the first moment of March to the first of April. Without a zone
//! it is UTC.

const DAY_MS: i64 = 86_400_000;

/// First moment of a date of FHIR, and the first after it (unix milliseconds); none for a text that is no date, or before
/// 1970.
#[must_use]
pub fn span(text: &str) -> Option<(u64, u64)> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut numbers = date.split('-');
    let year = digits(numbers.next()?, 4)?;
    let month = numbers.next().map(|text| digits(text, 2)).map_or(Some(None), |found| found.map(Some))?;
    let day = numbers.next().map(|text| digits(text, 2)).map_or(Some(None), |found| found.map(Some))?;
    let known = (1900..=9999).contains(&year)
        && month.is_none_or(|month| (1..=12).contains(&month))
        && day.is_none_or(|day| day >= 1 && day <= month_days(year, month.unwrap_or(1)));
    if numbers.next().is_some() || !known {
        return None;
    }
    let (start, end) = match (month, day) {
        (None, _) => (days(year, 1, 1), days(year + 1, 1, 1)),
        (Some(month), None) => {
            let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            (days(year, month, 1), days(next.0, next.1, 1))
        }
        (Some(month), Some(day)) => (days(year, month, day), days(year, month, day) + 1),
    };
    let (start, end) = match time {
        None => (start * DAY_MS, end * DAY_MS),
        Some(time) => {
            day?;
            let (from, length) = clock(time)?;
            (start * DAY_MS + from, start * DAY_MS + from + length)
        }
    };
    Some((u64::try_from(start).ok()?, u64::try_from(end).ok()?))
}

/// Milliseconds into the day, with the zone taken off, and how long the written moment lasts.
fn clock(text: &str) -> Option<(i64, i64)> {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (time, zone) = text.split_at(at);
    let minutes = match zone {
        "" | "Z" => 0,
        zone => {
            let (sign, rest) = zone.split_at(1);
            let (hours, minutes) = rest.split_once(':')?;
            let minutes = digits(hours, 2)? * 60 + digits(minutes, 2)?;
            if sign == "-" { -minutes } else { minutes }
        }
    };
    let (time, fraction) = time.split_once('.').map_or((time, None), |(time, rest)| (time, Some(rest)));
    let mut numbers = time.split(':');
    let (hour, minute) = (digits(numbers.next()?, 2)?, digits(numbers.next()?, 2)?);
    let second = numbers.next().map_or(Some(None), |text| digits(text, 2).map(Some))?;
    if numbers.next().is_some() || hour > 23 || minute > 59 || second.unwrap_or(0) > 60 {
        return None;
    }
    let (thousandths, length) = match (second, fraction) {
        (None, _) => (0, 60_000),
        (Some(_), None) => (0, 1000),
        (Some(_), Some(fraction)) => {
            let head: String = fraction.chars().chain("000".chars()).take(3).collect();
            (digits(&head, 3)?, 1)
        }
    };
    let seconds = (hour * 60 + minute - minutes) * 60 + second.unwrap_or(0);
    Some((seconds * 1000 + thousandths, length))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01: Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A moment with milliseconds.
pub(super) fn instant(unix_ms: u64) -> String {
    let seconds = crate::clock::utc(unix_ms);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z').replace(' ', "T"), unix_ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_of_every_precision_are_spans() {
        for (text, start, end) in [
            ("1970", 0, 31_536_000_000),
            ("2000-02", 949_363_200_000, 951_868_800_000),
            ("2026-11-22", 1_795_305_600_000, 1_795_392_000_000),
            ("2026-11-22T03:04:05Z", 1_795_316_645_000, 1_795_316_646_000),
            ("2026-11-22T04:04:05.250+01:00", 1_795_316_645_250, 1_795_316_645_251),
            ("2026-11-21T22:04-05:00", 1_795_316_640_000, 1_795_316_700_000),
        ] {
            assert_eq!(span(text), Some((start, end)), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_dates_are_refused() {
        for text in
            ["", "26", "2026-13", "2026-02-29", "2026-1-1", "2026-01-01T25:00", "2026-01T10:00", "1969", "x"]
        {
            assert_eq!(span(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_reads_as_it_was_written(ms in 0u64..4_000_000_000_000) {
            prop_assert_eq!(span(&instant(ms)), Some((ms, ms + 1)));
        }
    }
}
