//! Virtual time: a counter of seconds that never looks at a real clock.

/// 2026-01-01T00:00:00Z in seconds since the Unix epoch.
const BEGIN_S: u64 = 1_767_225_600;

/// A moment of virtual time, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u64);

/// Counts one second for each thing that happens.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ticks: u64,
}

impl Clock {
    /// The moment of the last thing that happened.
    pub(super) fn now(&self) -> Moment {
        Moment(BEGIN_S + self.ticks)
    }

    /// The moment of the next thing.
    pub(super) fn tick(&mut self) -> Moment {
        self.ticks += 1;
        self.now()
    }
}

impl Moment {
    pub(super) fn as_nanoseconds(self) -> u64 {
        self.0.saturating_mul(1_000_000_000)
    }

    /// RFC 3339 in UTC.
    ///
    /// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    pub(super) fn to_rfc3339(self) -> String {
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_begins_with_2026_and_each_tick_is_a_second() {
        let mut clock = Clock::default();
        assert_eq!(clock.now().to_rfc3339(), "2026-01-01T00:00:00Z");
        assert_eq!(clock.tick().to_rfc3339(), "2026-01-01T00:00:01Z");
    }

    #[test]
    fn dates_cross_months_and_leap_days() {
        let cases = [
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(Moment(seconds).to_rfc3339(), text);
        }
    }
}
