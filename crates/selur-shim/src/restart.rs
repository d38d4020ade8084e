//! When a process that ended by itself is started again, and how soon.

use serde::{Deserialize, Serialize};
use std::time::Duration;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A process that ran this long is taken to have started well: the delay begins anew.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// The rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartRule {
    /// Never.
    Never,
    /// If the exit code is not 0.
    OnFailure {
        /// At most so often in a row; none is without end.
        most: Option<u32>,
    },
}

/// Counts restarts in a row.
///
/// Source: Docker's restart manager: 100 ms, doubled each time up to a minute, reset after a run of 10 s.
#[derive(Debug)]
pub(crate) struct Restarts {
    rule: RestartRule,
    in_a_row: u32,
    delay: Duration,
}

impl Restarts {
    pub(crate) fn new(rule: RestartRule) -> Restarts {
        Restarts {
            rule,
            in_a_row: 0,
            delay: FIRST_DELAY,
        }
    }

    /// How long to wait before the process is started again; none if it is not.
    pub(crate) fn after(&mut self, exit_code: Option<i32>, ran: Duration) -> Option<Duration> {
        if ran >= GOOD_RUN {
            self.in_a_row = 0;
            self.delay = FIRST_DELAY;
        }
        let RestartRule::OnFailure { most } = self.rule else {
            return None;
        };
        if exit_code.is_none_or(|code| code == 0) || most.is_some_and(|most| self.in_a_row >= most) {
            return None;
        }
        let delay = self.delay;
        self.in_a_row += 1;
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[test]
    fn delays_double_up_to_a_minute() {
        let mut restarts = Restarts::new(RestartRule::OnFailure { most: None });
        let delays: Vec<_> = (0..12).filter_map(|_| restarts.after(Some(1), SHORT)).collect();
        assert_eq!(delays[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(delays[9..], [51_200, 60_000, 60_000].map(Duration::from_millis));
    }

    #[test]
    fn a_good_run_begins_anew() {
        let mut restarts = Restarts::new(RestartRule::OnFailure { most: Some(1) });
        assert_eq!(restarts.after(Some(1), SHORT), Some(FIRST_DELAY));
        assert_eq!(restarts.after(Some(1), SHORT), None);
        assert_eq!(restarts.after(Some(1), GOOD_RUN), Some(FIRST_DELAY));
    }

    #[test]
    fn success_an_unknown_end_and_no_rule_start_nothing() {
        let mut always = Restarts::new(RestartRule::OnFailure { most: None });
        assert_eq!(always.after(Some(0), SHORT), None);
        assert_eq!(always.after(None, SHORT), None);
        assert_eq!(Restarts::new(RestartRule::Never).after(Some(1), SHORT), None);
    }
}
