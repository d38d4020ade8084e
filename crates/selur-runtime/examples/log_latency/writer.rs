//! What runs in the containers of `log_latency`: writes lines at a steady pace, each with its number and its moment.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().unwrap_or(0));
    let (lines, a_second): (u64, u64) = (arguments.next().unwrap_or(0), arguments.next().unwrap_or(1));
    let begin = Instant::now();
    for line in 0..lines {
        let due = begin + Duration::from_nanos(line * 1_000_000_000 / a_second.max(1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // One write a line, as of a program that is not buffered.
        let text = format!("{line} {}\n", now.as_nanos());
        if std::io::stdout().lock().write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}
