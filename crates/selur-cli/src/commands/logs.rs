//! `logs`: what a container wrote.

use crate::cli::{Global, Logs};
use crate::failure::Failure;
use crate::session::Session;
use crate::session_io::pass_on;
use jiff::Timestamp;
use selur_core::{LogEntry, LogOptions, OutputStream};
use std::ops::ControlFlow;

/// Prints what a container wrote.
///
/// # Errors
/// The container does not exist, its log cannot be read, or the output is closed.
pub(crate) fn logs(logs: &Logs, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let options = LogOptions {
        follow: logs.follow,
        tail_lines: logs.tail.and_then(|tail| tail.0),
        since_ns: logs.since.map(|since| since.0),
        stdout: !logs.stderr,
        stderr: !logs.stdout,
    };
    let mut stamps = Stamps::default();
    let result = session.logs(&logs.container, options, |entry| {
        let LogEntry { stream, time_ns, .. } = entry;
        let bytes = match logs.timestamps && !session.is_json() {
            true => stamps.stamped(entry),
            false => entry.bytes,
        };
        pass_on(stream, Some(time_ns), &bytes, global.format)?;
        Ok(ControlFlow::Continue(()))
    });
    result.map_err(|failure| session.explain(failure))?;
    Ok(0)
}

/// Puts the time before lines. A line may come in several entries, and has one time.
#[derive(Default)]
struct Stamps {
    /// Whether a line has begun, on standard output and on standard error.
    has_begun: [bool; 2],
}

impl Stamps {
    fn stamped(&mut self, entry: LogEntry) -> Vec<u8> {
        let has_begun = match entry.stream {
            OutputStream::Stdout => &mut self.has_begun[0],
            OutputStream::Stderr => &mut self.has_begun[1],
        };
        let was_begun = std::mem::replace(has_begun, !entry.bytes.ends_with(b"\n"));
        match was_begun {
            true => entry.bytes,
            false => [format!("{} ", time(entry.time_ns)).as_bytes(), &entry.bytes].concat(),
        }
    }
}

/// A moment in UTC to the nanosecond, always as wide.
pub(super) fn time(time_ns: u64) -> String {
    match Timestamp::from_nanosecond(time_ns.into()) {
        Ok(time) => format!("{time:.9}"),
        Err(_) => time_ns.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_one_time() {
        let mut stamps = Stamps::default();
        let mut stamped = |stream, time_ns, text: &str| {
            let bytes = text.as_bytes().to_vec();
            let entry = LogEntry {
                stream,
                time_ns,
                bytes,
            };
            String::from_utf8(stamps.stamped(entry)).unwrap()
        };
        let (out, err) = (OutputStream::Stdout, OutputStream::Stderr);
        let second = 1_000_000_000;
        assert_eq!(stamped(out, 0, "one\n"), "1970-01-01T00:00:00.000000000Z one\n");
        assert_eq!(
            stamped(out, second, "half"),
            "1970-01-01T00:00:01.000000000Z half"
        );
        assert_eq!(
            stamped(err, second + 1, "bad\n"),
            "1970-01-01T00:00:01.000000001Z bad\n"
        );
        assert_eq!(stamped(out, 2 * second, " done\n"), " done\n");
        assert_eq!(
            stamped(out, 2 * second, "\n"),
            "1970-01-01T00:00:02.000000000Z \n"
        );
    }
}
