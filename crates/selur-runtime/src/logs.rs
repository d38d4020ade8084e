//! What containers wrote, as a stream.

use crate::RuntimeError;
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of a container's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is read of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// Whether to go on as the container writes, until it has ended for good.
    pub follow: bool,
    /// Only the last so many lines of what is there and else wanted; none is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_lines: Option<usize>,
    /// Only what was written at this moment or later, in nanoseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ns: Option<u64>,
    /// Whether standard output is wanted.
    pub stdout: bool,
    /// Whether standard error is wanted.
    pub stderr: bool,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            follow: false,
            tail_lines: None,
            since_ns: None,
            stdout: true,
            stderr: true,
        }
    }
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
