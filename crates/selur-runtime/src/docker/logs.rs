//! What containers wrote, as the daemon keeps it.
//!
//! The daemon writes the moment before each line. Podman 4 writes it in whole seconds. Its answer ends with the process that
//! it follows, also where a policy starts the container again; and podman may miss that end, and never answer any more. So
//! who follows looks at the container's life, too, and reads on from the [`Place`] that was come to.

use super::documents::moment;
use super::failure::{About, DaemonError};
use super::frames::{Frames, Part};
use super::lifecycle::{LOOK, PATIENT, wait_with};
use super::site::{Look, Site};
use super::transport::{Answer, Call};
use super::watch;
use crate::{LogEntry, LogOptions, LogStream, MAX_PIECE_BYTES, OutputStream, RuntimeError};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use hyper::Method;
use hyper::body::Bytes;
use selur_protocol::{ContainerId, State, Status};
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
    let mut reader = Reader {
        site: site.clone(),
        id,
        path: format!("/containers/{}/logs", look.facts.daemon_id),
        is_raw: look.facts.spec.terminal,
        answer: None,
        lines: Lines::new(look.facts.spec.terminal),
        begin_ns: begin_ns(&options, site.daemon.is_podman),
        place: Place::default(),
        passed: Place::default(),
        followed: None,
        ready: VecDeque::new(),
        chosen: VecDeque::new(),
        options,
    };
    let LogOptions {
        follow, tail_lines, ..
    } = reader.options;
    if !(reader.options.stdout || reader.options.stderr) || tail_lines == Some(0) && !follow {
        return Ok(reader.into_stream());
    }
    let mut tail = tail_lines;
    if let Some(most) = tail.take_if(|lines| reader.counts_itself(*lines)) {
        reader.ask(false, None).await.map_err(failed)?;
        reader.choose_last(most).await?;
        if !follow {
            return Ok(reader.into_stream());
        }
        reader.begin_here();
    }
    match follow {
        true => {
            watch::ensure(site);
            reader.follow(&look, tail).await
        }
        false => reader.ask(false, tail).await,
    }
    .map_err(failed)?;
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

/// How far a log was read: the newest moment, and how many entries are of it. A log that is read again from that moment
/// on has passed it when it has come further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    time_ns: u64,
    entries: u64,
}

impl Place {
    fn pass(&mut self, time_ns: u64) {
        if time_ns > self.time_ns {
            *self = Place { time_ns, entries: 0 };
        }
        self.entries += u64::from(time_ns == self.time_ns);
    }
}

struct Reader {
    site: Arc<Site>,
    id: ContainerId,
    path: String,
    is_raw: bool,
    answer: Option<Answer>,
    lines: Lines,
    options: LogOptions,
    begin_ns: u64,
    /// How far this answer has come.
    place: Place,
    /// How far the answers before it had come.
    passed: Place,
    /// The life that is followed; nothing when what the daemon has now is all.
    followed: Option<Followed>,
    /// What was read of this answer.
    ready: VecDeque<LogEntry>,
    /// What comes before that, and is wanted.
    chosen: VecDeque<LogEntry>,
}

/// One run of the container's process.
struct Followed {
    generation: u32,
    /// Resolves when it is over. What the daemon has of its log by then is all of it.
    end: BoxFuture<'static, ()>,
}

impl Followed {
    fn new(site: &Arc<Site>, id: ContainerId, look: &Look) -> Followed {
        let generation = look.to_run();
        let site = site.clone();
        let is_over =
            move |look: &Look| look.facts.state == State::Stopped || look.report.generation > generation;
        // Where it cannot be looked at, whoever reads on hears why.
        let end = async move { drop(wait_with(&site, id, PATIENT, is_over).await) };
        let end = Box::pin(end);
        Followed { generation, end }
    }
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

    /// Whether the last lines are picked out here. Where one output is wanted, the daemon would count lines of the other,
    /// too; and a place in a log whose beginning was left out is exact only by moments that are.
    fn counts_itself(&self, lines: usize) -> bool {
        let is_whole = self.options.stdout && self.options.stderr;
        !is_whole || self.options.follow && (self.site.daemon.is_podman || lines == 0)
    }

    /// Asks for what follows the place that was come to.
    async fn ask(&mut self, follows: bool, tail: Option<usize>) -> Result<(), DaemonError> {
        let text = |wanted: bool| if wanted { "true" } else { "false" };
        let tail = tail.map_or("all".to_owned(), |lines| lines.to_string());
        let since_ns = self.options.since_ns.unwrap_or(0).max(self.passed.time_ns);
        let since = (since_ns / NS_A_SECOND).to_string();
        let mut query = vec![
            ("follow", text(follows)),
            ("stdout", text(self.options.stdout)),
            ("stderr", text(self.options.stderr)),
            ("timestamps", "true"),
            ("tail", tail.as_str()),
        ];
        if since_ns > 0 {
            query.push(("since", since.as_str()));
        }
        let call = Call::new(Method::GET, &self.path).query(&query);
        self.lines = Lines::new(self.is_raw);
        self.answer = Some(self.site.client.send(call, None).await?);
        Ok(())
    }

    async fn follow(&mut self, look: &Look, tail: Option<usize>) -> Result<(), DaemonError> {
        self.ask(true, tail).await?;
        self.followed = Some(Followed::new(&self.site, self.id, look));
        Ok(())
    }

    /// Has the next answer begin at the place that was come to.
    fn begin_here(&mut self) {
        self.passed = self.passed.max(std::mem::take(&mut self.place));
    }

    async fn next(&mut self) -> Result<Option<LogEntry>, RuntimeError> {
        loop {
            if let Some(entry) = self.chosen.pop_front() {
                return Ok(Some(entry));
            }
            if let Some(entry) = self.ready.pop_front() {
                self.place.pass(entry.time_ns);
                if self.place > self.passed && self.is_wanted(&entry) {
                    return Ok(Some(entry));
                }
                continue;
            }
            let Some(answer) = &mut self.answer else {
                return Ok(None);
            };
            let piece = match &mut self.followed {
                None => answer.piece().await,
                Some(followed) => tokio::select! {
                    biased;
                    piece = answer.piece() => piece,
                    () = &mut followed.end => Ok(None),
                },
            };
            match piece.map_err(failed)? {
                Some(piece) => self.lines.read(piece, &mut self.ready).map_err(failed)?,
                None => {
                    self.answer = None;
                    let has_more = match self.followed.take() {
                        Some(followed) => self.read_on(followed.generation).await?,
                        None => false,
                    };
                    // What is read again has it whole.
                    if !has_more {
                        let rest = self.lines.rest();
                        self.chosen.extend(rest.filter(|rest| self.is_wanted(rest)));
                    }
                }
            }
        }
    }

    /// After the end of what was followed: the next run of the process, or what is left of the last. False if the
    /// container is gone.
    async fn read_on(&mut self, generation: u32) -> Result<bool, RuntimeError> {
        self.begin_here();
        let Some(mut look) = self.site.look(self.id).await? else {
            return Ok(false);
        };
        if look.facts.is_alive() && look.report.generation == generation {
            // The daemon has noticed the end of the output, and not yet that of the process.
            tokio::time::sleep(LOOK.0).await;
        }
        let has_begun = |look: &Look| !matches!(look.facts.state, State::Created | State::Restarting);
        if !has_begun(&look) {
            look = match wait_with(&self.site, self.id, PATIENT, has_begun).await {
                Ok(look) => look,
                Err(error) if error.status() == Status::ContainerNotFound => return Ok(false),
                Err(error) => return Err(error),
            };
        }
        let asked = match look.facts.state {
            State::Stopped => self.ask(false, None).await,
            _ => self.follow(&look, None).await,
        };
        match asked {
            Ok(()) => Ok(true),
            Err(_) if self.site.look(self.id).await?.is_none() => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn is_wanted(&self, entry: &LogEntry) -> bool {
        let is_wanted = match entry.stream {
            OutputStream::Stdout => self.options.stdout,
            OutputStream::Stderr => self.options.stderr,
        };
        is_wanted && entry.time_ns >= self.begin_ns
    }

    /// Reads the answer to its end, and chooses its last lines.
    async fn choose_last(&mut self, most: usize) -> Result<(), RuntimeError> {
        let mut last = VecDeque::new();
        while let Some(entry) = self.next().await? {
            last.push_back(entry);
            if last.len() > most {
                last.pop_front();
            }
        }
        self.chosen = last;
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
    fn what_was_read_is_passed_over_when_it_is_read_again() {
        let read = |place: &mut Place, moments: &[u64], passed: Place| {
            let mut new = Vec::new();
            for (number, moment) in moments.iter().enumerate() {
                place.pass(*moment);
                if *place > passed {
                    new.push(number);
                }
            }
            new
        };
        let mut first = Place::default();
        assert_eq!(read(&mut first, &[1, 2, 2], Place::default()), [0, 1, 2]);
        // Of the same second there is another one now, and it is asked for from that second on.
        assert_eq!(read(&mut Place::default(), &[2, 2, 2, 3], first), [2, 3]);
        assert_eq!(read(&mut Place::default(), &[2, 2], first), [0; 0]);
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
