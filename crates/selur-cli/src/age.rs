//! How long ago a moment was, in words: for the tables.

use jiff::Timestamp;

/// `3 minutes ago` for an RFC 3339 time; the text itself if it is none.
pub(crate) fn since(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(moment) => words(Timestamp::now().duration_since(moment).as_secs().unsigned_abs()),
        Err(_) => time.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(since("2000-02-29T12:00:00.5Z").ends_with(" years ago"));
    }
}
