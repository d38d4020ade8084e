//! `logs`, and how output of a container is passed on: byte for byte, or as JSON lines.

use crate::cli::{Format, Global, Logs};
use crate::failure::Failure;
use crate::output;
use crate::session::Session;
use selur_core::{LogEntry, LogOptions, OutputStream};
use serde_json::json;
use std::io::{self, Write};
use std::ops::ControlFlow;

/// Prints what a container wrote.
///
/// # Errors
/// The container does not exist, its log cannot be read, or the output is closed.
pub(crate) fn logs(logs: &Logs, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let options = LogOptions {
        follow: logs.follow,
        tail_lines: logs.tail,
        ..LogOptions::default()
    };
    let result = session.logs(&logs.container, options, |entry| {
        pass_on(&entry, global.format)?;
        Ok(ControlFlow::Continue(()))
    });
    result.map_err(|failure| session.explain(failure))?;
    Ok(0)
}

/// Writes one entry to the output that the container wrote it to.
///
/// # Errors
/// That output is closed.
pub(crate) fn pass_on(entry: &LogEntry, format: Format) -> io::Result<()> {
    if format == Format::Json {
        return output::json(&document(entry));
    }
    match entry.stream {
        OutputStream::Stdout => write(io::stdout().lock(), &entry.bytes),
        OutputStream::Stderr => write(io::stderr().lock(), &entry.bytes),
    }
}

/// `text` if the bytes are UTF-8, else `bytes` as numbers.
fn document(entry: &LogEntry) -> serde_json::Value {
    let stream = match entry.stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    };
    match std::str::from_utf8(&entry.bytes) {
        Ok(text) => json!({ "event": "output", "stream": stream, "time_ns": entry.time_ns, "text": text }),
        Err(_) => {
            json!({ "event": "output", "stream": stream, "time_ns": entry.time_ns, "bytes": entry.bytes })
        }
    }
}

fn write(mut output: impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes)?;
    output.flush()
}
