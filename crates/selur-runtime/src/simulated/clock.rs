//! Virtual time: a counter of seconds that never looks at a real clock.

use jiff::Timestamp;

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
    pub(super) fn to_rfc3339(self) -> String {
        let second = i64::try_from(self.0).unwrap_or(i64::MAX);
        Timestamp::from_second(second)
            .unwrap_or(Timestamp::MAX)
            .to_string()
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
}
