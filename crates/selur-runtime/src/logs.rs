//! What containers wrote, as a stream.

use crate::RuntimeError;
use futures_util::stream::BoxStream;

/// Which of a container's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is read of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Whether to go on as the container writes, until it has ended for good.
    pub follow: bool,
    /// Only the last so many lines of what is there; none is all.
    pub tail_lines: Option<usize>,
}

/// A piece of output: at most one line, with its line feed if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it was written.
    pub stream: OutputStream,
    /// When the shim read it, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The bytes as they were written.
    pub bytes: Vec<u8>,
}

/// Log entries in the order they were written.
pub type LogStream = BoxStream<'static, Result<LogEntry, RuntimeError>>;
