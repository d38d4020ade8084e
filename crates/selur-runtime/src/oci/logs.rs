//! Reads a container's log files, and goes on as its shim writes them.

use super::watch::{Following, Watcher};
use super::{Site, block, failure};
use crate::{LogEntry, LogOptions, LogStream, OutputStream, RuntimeError};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, State};
use selur_shim::log::{HEADER_BYTES, Header, MAX_RECORD_BYTES, file_numbers, file_path};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// So much is read at once, in bytes; more than the longest record.
const CHUNK_BYTES: usize = 4 * MAX_RECORD_BYTES;

pub(super) fn stream(
    site: &Arc<Site>,
    watcher: &Watcher,
    id: ContainerId,
    options: LogOptions,
) -> Result<LogStream, RuntimeError> {
    if site.life(id)?.is_none() {
        return Err(failure::not_found(id));
    }
    let directory = site.root.home(id).logs();
    // Before the first look, so that nothing is missed between the two.
    let following = match options.follow {
        true => Some(watcher.follow(id, &directory).map_err(read_failed)?),
        false => None,
    };
    let mut files = Files {
        directory,
        current: None,
        entries: VecDeque::new(),
    };
    if let Some(lines) = options.tail_lines {
        files.skip_to_tail(lines).map_err(read_failed)?;
    }
    let follower = Follower {
        site: site.clone(),
        id,
        following,
        files: Some(files),
    };
    let entries = stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        match follower.next().await {
            Ok(Some(entry)) => Some((Ok(entry), Some(follower))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(entries.boxed())
}

/// A reader and what wakes it.
struct Follower {
    site: Arc<Site>,
    id: ContainerId,
    following: Option<Following>,
    /// Away while it is read from elsewhere.
    files: Option<Files>,
}

/// A position in the run of log files.
struct Files {
    directory: PathBuf,
    current: Option<Current>,
    /// What was read and not given yet.
    entries: VecDeque<LogEntry>,
}

struct Current {
    number: u64,
    file: File,
    /// Where the next record begins.
    offset: u64,
}

impl Follower {
    async fn next(&mut self) -> Result<Option<LogEntry>, RuntimeError> {
        loop {
            if let Some(entry) = self.files.as_mut().and_then(|files| files.entries.pop_front()) {
                return Ok(Some(entry));
            }
            if let Some(following) = &mut self.following {
                following.mark();
            }
            let Some(mut files) = self.files.take() else {
                return Ok(None);
            };
            let id = self.id;
            let follows = self.following.is_some();
            let (files, has_ended) = block(&self.site, move |site| {
                // Before it is read: what was written before the end was recorded is found then.
                let life = if follows { site.life(id)? } else { None };
                let has_ended = life.is_none_or(|life| life.state == State::Stopped);
                files.read().map_err(read_failed)?;
                Ok((files, has_ended))
            })
            .await?;
            let found = !files.entries.is_empty();
            self.files = Some(files);
            if found {
                continue;
            }
            let Some(following) = &mut self.following else {
                return Ok(None);
            };
            if has_ended || !following.changed().await {
                return Ok(None);
            }
        }
    }
}

impl Files {
    /// Reads some records, if there are any.
    fn read(&mut self) -> io::Result<()> {
        while self.entries.is_empty() {
            let Some(current) = &mut self.current else {
                let Some(first) = file_numbers(&self.directory)?.first().copied() else {
                    return Ok(());
                };
                self.open(first)?;
                continue;
            };
            // In this order: a file that is followed by another when it is read to its end is complete.
            let next = file_numbers(&self.directory)?
                .into_iter()
                .find(|number| *number > current.number);
            if current.read(&mut self.entries)? {
                continue;
            }
            match next {
                Some(next) => self.open(next)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn open(&mut self, number: u64) -> io::Result<()> {
        match File::open(file_path(&self.directory, number)) {
            Ok(file) => {
                self.current = Some(Current {
                    number,
                    file,
                    offset: 0,
                });
                Ok(())
            }
            // Rotated away meanwhile: there are later ones.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Leaves only the last lines of what is there to be given.
    fn skip_to_tail(&mut self, lines: usize) -> io::Result<()> {
        let mut tail: VecDeque<LogEntry> = VecDeque::new();
        let ends_line = |entry: &LogEntry| entry.bytes.ends_with(b"\n");
        let mut ends = 0;
        loop {
            self.read()?;
            if self.entries.is_empty() {
                break;
            }
            for entry in self.entries.drain(..) {
                ends += usize::from(ends_line(&entry));
                tail.push_back(entry);
            }
            let open_line = usize::from(tail.back().is_some_and(|entry| !ends_line(entry)));
            while ends + open_line > lines
                && let Some(entry) = tail.pop_front()
            {
                ends -= usize::from(ends_line(&entry));
                if ends == 0 && tail.is_empty() {
                    break;
                }
            }
        }
        self.entries = tail;
        Ok(())
    }
}

impl Current {
    /// Reads whole records into `entries`. False if there are none yet.
    fn read(&mut self, entries: &mut VecDeque<LogEntry>) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let bytes = self.file.read_at(&mut chunk, self.offset)?;
        let mut rest = chunk.get(..bytes).unwrap_or_default();
        let before = entries.len();
        while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let Some(header) = Header::decode(header) else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the log file is damaged",
                ));
            };
            let Some((record, next)) = after.split_at_checked(header.bytes as usize) else {
                break;
            };
            entries.push_back(LogEntry {
                stream: match header.stream {
                    1 => OutputStream::Stdout,
                    _ => OutputStream::Stderr,
                },
                time_ns: header.time_ns,
                bytes: record.to_vec(),
            });
            self.offset += (HEADER_BYTES + record.len()) as u64;
            rest = next;
        }
        Ok(entries.len() > before)
    }
}

fn read_failed(error: io::Error) -> RuntimeError {
    failure::io("cannot read the container's log", error)
}
