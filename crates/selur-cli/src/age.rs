//! How long ago a moment was, in words: for the tables.

use std::time::{Duration, SystemTime};

/// `3 minutes ago` for an RFC 3339 time in UTC; the text itself if it is none.
pub(crate) fn since(time: &str) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    match unix_seconds(time) {
        Some(seconds) => words(now.as_secs().saturating_sub(seconds)),
        None => time.to_owned(),
    }
}

fn words(seconds: u64) -> String {
    let units = [
        (31_536_000, "year"),
        (2_592_000, "month"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    let (number, unit) = units
        .into_iter()
        .find(|(length, _)| seconds >= *length)
        .map_or((seconds, "second"), |(length, unit)| (seconds / length, unit));
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

/// Seconds since the Unix epoch; nothing before it.
///
/// Source: RFC 3339, section 5.6, with the offset `Z` alone.
fn unix_seconds(time: &str) -> Option<u64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil; years begin in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_seconds() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2026-11-20T11:42:01.5Z", Some(1_795_174_921)),
            ("2026-11-20T11:42:01+00:00", None),
            ("2026-13-20T11:42:01Z", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(unix_seconds(text), seconds, "{text}");
        }
    }

    #[test]
    fn ages_are_told_in_the_largest_unit() {
        let cases = [
            (0, "0 seconds ago"),
            (1, "1 second ago"),
            (119, "1 minute ago"),
            (7_200, "2 hours ago"),
        ];
        for (seconds, text) in cases {
            assert_eq!(words(seconds), text);
        }
        assert_eq!(since("not a time"), "not a time");
    }
}
