//! Times of the wall clock.

use jiff::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This moment.
    pub fn now() -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment so many nanoseconds after the Unix epoch.
    pub fn from_nanoseconds(nanoseconds: u64) -> Moment {
        Moment(nanoseconds)
    }

    /// Nanoseconds since the Unix epoch.
    pub fn as_nanoseconds(self) -> u64 {
        self.0
    }

    /// RFC 3339 in UTC, with nanoseconds.
    pub fn to_rfc3339(self) -> String {
        // u64 nanoseconds end in the year 2554, within what a timestamp can be.
        let timestamp = Timestamp::from_nanosecond(self.0.into()).unwrap_or_default();
        format!("{timestamp:.9}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_their_nanoseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
            (4_107_542_400_500_000_000, "2100-03-01T00:00:00.500000000Z"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(Moment::from_nanoseconds(nanoseconds).to_rfc3339(), text);
        }
    }
}
