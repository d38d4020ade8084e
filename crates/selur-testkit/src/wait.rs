//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Waits until a condition holds, asking every few milliseconds.
///
/// # Panics
/// It does not hold by the deadline; `what` says what was waited for.
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < deadline,
            "waited {deadline:?} in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
