//! A place in the run of a container's log files.

use super::failure;
use crate::{LogEntry, LogOptions, OutputStream, RuntimeError};
use selur_protocol::Status;
use selur_shim::log::{HEADER_BYTES, Header, MAX_RECORD_BYTES, file_numbers, file_path};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// So much is read at once, in bytes; more than the longest record.
const CHUNK_BYTES: usize = 4 * MAX_RECORD_BYTES;

/// Which entries are given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    since_ns: u64,
    stdout: bool,
    stderr: bool,
}

/// A reader of the files, one after the other.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    wanted: Wanted,
    current: Option<Current>,
    /// What was read and not given yet.
    entries: VecDeque<LogEntry>,
    chunk: Box<[u8]>,
}

#[derive(Debug)]
struct Current {
    number: u64,
    file: File,
    /// Where the next record begins.
    offset: u64,
}

impl Wanted {
    pub(super) const ALL: Wanted = Wanted {
        since_ns: 0,
        stdout: true,
        stderr: true,
    };

    pub(super) fn of(options: &LogOptions) -> Wanted {
        Wanted {
            since_ns: options.since_ns.unwrap_or(0),
            stdout: options.stdout,
            stderr: options.stderr,
        }
    }

    fn has(&self, header: Header) -> bool {
        let stream = match header.stream {
            1 => self.stdout,
            _ => self.stderr,
        };
        stream && header.time_ns >= self.since_ns
    }
}

impl Files {
    /// At the beginning.
    pub(super) fn new(directory: PathBuf, wanted: Wanted) -> Files {
        Files {
            directory,
            wanted,
            current: None,
            entries: VecDeque::new(),
            chunk: vec![0; CHUNK_BYTES].into_boxed_slice(),
        }
    }

    /// Whether nothing is left of what was read.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn next_entry(&mut self) -> Option<LogEntry> {
        self.entries.pop_front()
    }

    /// Reads on until there are some entries, or there is no more to read in any file.
    ///
    /// # Errors
    /// `resource_exhausted`: a file was removed before it was read.
    pub(super) fn read(&mut self) -> Result<(), RuntimeError> {
        while self.entries.is_empty() {
            if self.read_newest()? {
                continue;
            }
            let numbers = file_numbers(&self.directory).map_err(read_failed)?;
            let next = match &self.current {
                None => numbers.first().copied(),
                Some(current) => numbers.into_iter().find(|number| *number > current.number),
            };
            let Some(next) = next else {
                return Ok(());
            };
            // A file that is followed by another is complete, so that what is read of it now is its end.
            if self.read_newest()? {
                continue;
            }
            if let Some(current) = &self.current
                && next > current.number + 1
            {
                return Err(RuntimeError::new(
                    Status::ResourceExhausted,
                    "the log's reader was too slow: what the container wrote meanwhile is no longer kept: read faster, or begin again",
                ));
            }
            self.open(next)?;
        }
        Ok(())
    }

    /// Reads on in the file that was opened last. False if there is no more in it.
    pub(super) fn read_newest(&mut self) -> Result<bool, RuntimeError> {
        let Some(current) = &mut self.current else {
            return Ok(false);
        };
        current
            .read(&mut self.chunk, self.wanted, &mut self.entries)
            .map_err(read_failed)
    }

    fn open(&mut self, number: u64) -> Result<(), RuntimeError> {
        match File::open(file_path(&self.directory, number)) {
            Ok(file) => {
                self.current = Some(Current {
                    number,
                    file,
                    offset: 0,
                });
                Ok(())
            }
            // Removed meanwhile: there are later ones.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(read_failed(error)),
        }
    }

    /// Leaves nothing of what is there to be given.
    pub(super) fn skip_to_end(&mut self) -> Result<(), RuntimeError> {
        let last = file_numbers(&self.directory)
            .map_err(read_failed)?
            .last()
            .copied();
        if let Some(last) = last {
            self.open(last)?;
        }
        let wanted = std::mem::replace(
            &mut self.wanted,
            Wanted {
                stdout: false,
                stderr: false,
                ..Wanted::ALL
            },
        );
        let read = self.read();
        self.wanted = wanted;
        read
    }

    /// Leaves only the last lines of what is there to be given.
    pub(super) fn skip_to_tail(&mut self, lines: usize) -> Result<(), RuntimeError> {
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
    /// Reads whole records, and keeps those that are wanted. False if there are none yet.
    fn read(
        &mut self,
        chunk: &mut [u8],
        wanted: Wanted,
        entries: &mut VecDeque<LogEntry>,
    ) -> io::Result<bool> {
        let bytes = self.file.read_at(chunk, self.offset)?;
        let mut rest = chunk.get(..bytes).unwrap_or_default();
        let before = self.offset;
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
            if wanted.has(header) {
                entries.push_back(LogEntry {
                    stream: match header.stream {
                        1 => OutputStream::Stdout,
                        _ => OutputStream::Stderr,
                    },
                    time_ns: header.time_ns,
                    bytes: record.to_vec(),
                });
            }
            self.offset += (HEADER_BYTES + record.len()) as u64;
            rest = next;
        }
        Ok(self.offset > before)
    }
}

fn read_failed(error: io::Error) -> RuntimeError {
    failure::io("cannot read the container's log", error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::fs;

    fn write(directory: &std::path::Path, number: u64, records: &[(u8, u64, &str)]) {
        let mut content = Vec::new();
        for (stream, time_ns, text) in records {
            let header = Header {
                stream: *stream,
                time_ns: *time_ns,
                bytes: u32::try_from(text.len()).unwrap(),
            };
            content.extend(header.encode());
            content.extend(text.bytes());
        }
        fs::write(file_path(directory, number), content).unwrap();
    }

    fn texts(files: &mut Files) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            files.read().unwrap();
            if files.is_empty() {
                return texts;
            }
            while let Some(entry) = files.next_entry() {
                texts.push(String::from_utf8(entry.bytes).unwrap());
            }
        }
    }

    #[test]
    fn moment_stream_and_tail_choose_together() {
        let directory = tempfile::tempdir().unwrap();
        write(
            directory.path(),
            4,
            &[(1, 10, "a\n"), (2, 11, "b\n"), (1, 12, "c\n")],
        );
        write(
            directory.path(),
            5,
            &[(2, 13, "d\n"), (1, 14, "e\n"), (1, 15, "f")],
        );
        let options = |since_ns, stdout, stderr| LogOptions {
            since_ns,
            stdout,
            stderr,
            ..LogOptions::default()
        };
        let cases: [(LogOptions, Option<usize>, &[&str]); 5] = [
            (
                options(None, true, true),
                None,
                &["a\n", "b\n", "c\n", "d\n", "e\n", "f"],
            ),
            (options(None, false, true), None, &["b\n", "d\n"]),
            (options(Some(13), true, true), None, &["d\n", "e\n", "f"]),
            (options(None, true, false), Some(3), &["c\n", "e\n", "f"]),
            (options(Some(99), true, true), Some(3), &[]),
        ];
        for (options, tail, expected) in cases {
            let mut files = Files::new(directory.path().to_owned(), Wanted::of(&options));
            if let Some(lines) = tail {
                files.skip_to_tail(lines).unwrap();
            }
            assert_eq!(texts(&mut files), expected, "{options:?} {tail:?}");
        }
    }

    #[test]
    fn after_the_end_only_what_is_new_is_given() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 4, &[(1, 10, "a\n")]);
        write(directory.path(), 5, &[(1, 11, "b\n")]);
        let mut files = Files::new(directory.path().to_owned(), Wanted::ALL);
        files.skip_to_end().unwrap();
        write(directory.path(), 5, &[(1, 11, "b\n"), (1, 12, "c\n")]);
        write(directory.path(), 6, &[(1, 13, "d\n")]);
        assert_eq!(texts(&mut files), ["c\n", "d\n"]);
    }

    #[test]
    fn a_reader_that_a_removed_file_escaped_is_told() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), 4, &[(1, 10, "a\n")]);
        let mut files = Files::new(directory.path().to_owned(), Wanted::ALL);
        assert_eq!(texts(&mut files), ["a\n"]);
        write(directory.path(), 6, &[(1, 13, "d\n")]);
        let error = files.read().unwrap_err();
        assert_eq!(error.status(), Status::ResourceExhausted);
        // Who begins anew begins at what there is.
        let mut files = Files::new(directory.path().to_owned(), Wanted::ALL);
        fs::remove_file(file_path(directory.path(), 4)).unwrap();
        assert_eq!(texts(&mut files), ["d\n"]);
    }
}
