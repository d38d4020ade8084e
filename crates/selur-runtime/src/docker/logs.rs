//! What containers wrote, as the daemon keeps it.
//!
//! The daemon writes the moment before each line. Podman 4 writes it in whole seconds.

use super::documents::moment;
use super::failure::{About, DaemonError};
use super::frames::{Frames, Part};
use super::site::Site;
use super::transport::{Answer, Call};
use crate::{LogEntry, LogOptions, LogStream, MAX_PIECE_BYTES, OutputStream, RuntimeError};
use futures_util::stream::{self, StreamExt};
use hyper::Method;
use hyper::body::Bytes;
use selur_protocol::ContainerId;
use std::collections::VecDeque;
use std::sync::Arc;

/// A moment is written in fewer bytes.
const MAX_MOMENT_BYTES: usize = 64;
const NS_A_SECOND: u64 = 1_000_000_000;

pub(super) async fn stream(
    site: &Arc<Site>,
    id: ContainerId,
    options: LogOptions,
) -> Result<LogStream, RuntimeError> {
    let look = site.expect(id).await?;
    let is_whole = options.stdout && options.stderr;
    let mut reader = Reader {
        answer: None,
        lines: Lines::new(look.facts.spec.terminal),
        options: options.clone(),
        begin_ns: begin_ns(&options, site.daemon.is_podman),
        ready: VecDeque::new(),
    };
    if !(options.stdout || options.stderr) || options.tail_lines == Some(0) && !options.follow {
        return Ok(reader.into_stream());
    }
    let path = format!("/containers/{}/logs", look.facts.daemon_id);
    // Where one output is wanted, the daemon would count lines of the other, too.
    let counts_itself = options.tail_lines.filter(|_| !is_whole && !options.follow);
    let tail = options.tail_lines.filter(|_| counts_itself.is_none());
    let text = |wanted: bool| if wanted { "true" } else { "false" };
    let tail = tail.map_or("all".to_owned(), |lines| lines.to_string());
    let since = options.since_ns.map(|since| (since / NS_A_SECOND).to_string());
    let mut query = vec![
        ("follow", text(options.follow)),
        ("stdout", text(options.stdout)),
        ("stderr", text(options.stderr)),
        ("timestamps", "true"),
        ("tail", tail.as_str()),
    ];
    if let Some(since) = &since {
        query.push(("since", since));
    }
    let call = Call::new(Method::GET, &path).query(&query);
    reader.answer = Some(site.client.send(call, None).await.map_err(failed)?);
    if let Some(most) = counts_itself {
        reader.keep_last(most).await?;
    }
    Ok(reader.into_stream())
}

/// The first moment that is wanted. What podman stamps with the second came somewhen in it.
fn begin_ns(options: &LogOptions, is_podman: bool) -> u64 {
    let since = options.since_ns.unwrap_or(0);
    match is_podman {
        true => since - since % NS_A_SECOND,
        false => since,
    }
}

fn failed(error: DaemonError) -> RuntimeError {
    error.into_runtime(About::Container, "cannot read the container's log")
}

struct Reader {
    answer: Option<Answer>,
    lines: Lines,
    options: LogOptions,
    begin_ns: u64,
    ready: VecDeque<LogEntry>,
}

impl Reader {
    fn into_stream(self) -> LogStream {
        let entries = stream::unfold(Some(self), |reader| async {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(entry)) => Some((Ok(entry), Some(reader))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        entries.boxed()
    }

    async fn next(&mut self) -> Result<Option<LogEntry>, RuntimeError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                if self.is_wanted(&entry) {
                    return Ok(Some(entry));
                }
                continue;
            }
            let Some(answer) = &mut self.answer else {
                return Ok(None);
            };
            match answer.piece().await.map_err(failed)? {
                Some(piece) => self.lines.read(piece, &mut self.ready).map_err(failed)?,
                None => {
                    self.answer = None;
                    self.ready.extend(self.lines.rest());
                }
            }
        }
    }

    fn is_wanted(&self, entry: &LogEntry) -> bool {
        let is_wanted = match entry.stream {
            OutputStream::Stdout => self.options.stdout,
            OutputStream::Stderr => self.options.stderr,
        };
        is_wanted && entry.time_ns >= self.begin_ns
    }

    async fn keep_last(&mut self, most: usize) -> Result<(), RuntimeError> {
        let mut last = VecDeque::new();
        while let Some(entry) = self.next().await? {
            last.push_back(entry);
            if last.len() > most {
                last.pop_front();
            }
        }
        self.ready = last;
        Ok(())
    }
}

/// Puts entries together: a moment, a space, and what was written.
struct Lines {
    frames: Frames,
    is_raw: bool,
    /// The moment of the line, as far as it has come.
    stamp: Option<Vec<u8>>,
    time_ns: u64,
    stream: OutputStream,
    bytes: Vec<u8>,
}

impl Lines {
    fn new(is_raw: bool) -> Lines {
        Lines {
            frames: Frames::new(is_raw),
            is_raw,
            stamp: Some(Vec::new()),
            time_ns: 0,
            stream: OutputStream::Stdout,
            bytes: Vec::new(),
        }
    }

    fn read(&mut self, mut piece: Bytes, ready: &mut VecDeque<LogEntry>) -> Result<(), DaemonError> {
        while let Some(part) = self.frames.next(&mut piece)? {
            self.take(part, ready)?;
        }
        Ok(())
    }

    fn take(&mut self, part: Part, ready: &mut VecDeque<LogEntry>) -> Result<(), DaemonError> {
        if part.begins {
            ready.extend(self.rest());
            self.stamp = Some(Vec::new());
            self.stream = part.stream;
        }
        for byte in part.bytes {
            if let Some(stamp) = &mut self.stamp {
                if byte != b' ' {
                    stamp.push(byte);
                    if stamp.len() > MAX_MOMENT_BYTES {
                        return Err(DaemonError::nonsense("a line of the log has no moment"));
                    }
                    continue;
                }
                let text = std::str::from_utf8(stamp).unwrap_or_default();
                self.time_ns =
                    moment(text).ok_or_else(|| DaemonError::nonsense("a line of the log has no moment"))?;
                self.stamp = None;
                continue;
            }
            self.bytes.push(byte);
            if byte == b'\n' {
                ready.extend(self.rest());
                // A terminal's lines follow each other without headers.
                self.stamp = self.is_raw.then(Vec::new);
            } else if self.bytes.len() >= MAX_PIECE_BYTES {
                ready.extend(self.rest());
            }
        }
        if part.ends {
            ready.extend(self.rest());
        }
        Ok(())
    }

    /// What has come of a line that has not ended.
    fn rest(&mut self) -> Option<LogEntry> {
        let bytes = std::mem::take(&mut self.bytes);
        (!bytes.is_empty()).then_some(LogEntry {
            stream: self.stream,
            time_ns: self.time_ns,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(is_raw: bool, chunk: usize, bytes: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(is_raw);
        let mut ready = VecDeque::new();
        for piece in bytes.chunks(chunk) {
            let read = lines.read(Bytes::copy_from_slice(piece), &mut ready);
            assert!(read.is_ok());
        }
        ready.extend(lines.rest());
        let text = |entry: LogEntry| (entry.time_ns, String::from_utf8_lossy(&entry.bytes).into_owned());
        ready.into_iter().map(text).collect()
    }

    #[test]
    fn lines_have_their_moments_wherever_they_are_cut() {
        let framed = |text: &str| {
            let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap_or(0)];
            bytes.extend(text.as_bytes());
            bytes
        };
        let bytes = [
            framed("1970-01-01T00:00:01Z one two\n"),
            framed("1970-01-01T00:00:02.000000003Z half"),
        ]
        .concat();
        let expected = [
            (1_000_000_000, "one two\n".to_owned()),
            (2_000_000_003, "half".to_owned()),
        ];
        for chunk in 1..bytes.len() {
            assert_eq!(entries(false, chunk, &bytes), expected, "{chunk}");
        }
        let raw = b"1970-01-01T00:00:01Z a\r\n1970-01-01T00:00:02Z b";
        let expected = [
            (1_000_000_000, "a\r\n".to_owned()),
            (2_000_000_000, "b".to_owned()),
        ];
        assert_eq!(entries(true, 3, raw), expected);
    }

    #[test]
    fn podmans_first_second_is_whole() {
        let options = LogOptions {
            since_ns: Some(3_500_000_000),
            ..LogOptions::default()
        };
        assert_eq!(begin_ns(&options, true), 3_000_000_000);
        assert_eq!(begin_ns(&options, false), 3_500_000_000);
    }

    #[test]
    fn a_line_without_a_moment_is_refused() {
        let mut lines = Lines::new(true);
        let read = lines.read(Bytes::from(vec![b'x'; 100]), &mut VecDeque::new());
        assert!(read.is_err());
    }
}
