//! The log files: what a container wrote, in records.
//!
//! A container's log is a run of files named by eight digits that only grow. A record is `stream u8` (1 stdout,
//! 2 stderr), `time u64` (nanoseconds since the Unix epoch), `length u32`, then the bytes: at most one line with its
//! line feed. Numbers are little-endian. A file is complete when the next one exists.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that has grown to this many bytes is followed by another.
pub const MAX_FILE_BYTES: u64 = 10 << 20;
/// So many files are kept.
pub const MAX_FILES: u64 = 3;
/// The length of a record's header, in bytes.
pub const HEADER_BYTES: usize = 13;
/// The longest run of bytes in a record.
pub const MAX_RECORD_BYTES: usize = 16 << 10;

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1 for standard output, 2 for standard error.
    pub stream: u8,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// How many bytes follow.
    pub bytes: u32,
}

impl Header {
    /// The header as it is written.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[0] = self.stream;
        header[1..9].copy_from_slice(&self.time_ns.to_le_bytes());
        header[9..].copy_from_slice(&self.bytes.to_le_bytes());
        header
    }

    /// Reads what [`Header::encode`] wrote; nothing if it is no header.
    pub fn decode(header: &[u8; HEADER_BYTES]) -> Option<Header> {
        let (stream, rest) = header.split_first()?;
        let (time_ns, bytes) = rest.split_first_chunk()?;
        let header = Header {
            stream: *stream,
            time_ns: u64::from_le_bytes(*time_ns),
            bytes: u32::from_le_bytes(bytes.try_into().ok()?),
        };
        (matches!(header.stream, 1 | 2) && header.bytes as usize <= MAX_RECORD_BYTES).then_some(header)
    }
}

/// The path of a log file.
pub fn file_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}"))
}

/// The numbers of the log files that exist, in order.
///
/// # Errors
/// The directory cannot be read; one that does not exist has no files.
pub fn file_numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Appends to a container's log.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: PathBuf,
    file: Option<File>,
    number: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Writer {
    /// Goes on where an earlier writer ended. A record that one left half written is cut off.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Writer> {
        fs::create_dir_all(&directory)?;
        let number = file_numbers(&directory)?.last().copied().unwrap_or(1);
        let path = file_path(&directory, number);
        let bytes = whole_bytes(&path)?;
        let file = File::options().create(true).append(true).open(&path)?;
        file.set_len(bytes)?;
        Ok(Writer {
            directory,
            file: Some(file),
            number,
            bytes,
            buffer: Vec::new(),
        })
    }

    /// Writes a piece of output, line by line. What a full disk does not take is lost: the container must not stand
    /// still for it.
    pub(crate) fn write(&mut self, stream: u8, time_ns: u64, output: &[u8]) {
        self.buffer.clear();
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            for piece in line.chunks(MAX_RECORD_BYTES) {
                let bytes = u32::try_from(piece.len()).unwrap_or(u32::MAX);
                let header = Header {
                    stream,
                    time_ns,
                    bytes,
                };
                self.buffer.extend_from_slice(&header.encode());
                self.buffer.extend_from_slice(piece);
            }
        }
        if self.bytes >= MAX_FILE_BYTES {
            self.rotate();
        }
        let Some(file) = &mut self.file else {
            return;
        };
        match file.write_all(&self.buffer) {
            Ok(()) => self.bytes += self.buffer.len() as u64,
            Err(_) => self.cut_off_half(),
        }
    }

    /// After a write that failed in the middle: half a record may stand at the end of the file. The whole ones before it
    /// stay, for a reader may have read them already.
    fn cut_off_half(&mut self) {
        let Some(file) = &self.file else { return };
        let bytes = file.metadata().map_or(self.bytes, |found| found.len());
        let written = usize::try_from(bytes.saturating_sub(self.bytes)).unwrap_or(0);
        let written = self.buffer.get(..written).unwrap_or_default();
        self.bytes += whole_records(written) as u64;
        let _ = file.set_len(self.bytes);
    }

    fn rotate(&mut self) {
        let next = file_path(&self.directory, self.number + 1);
        let Ok(file) = File::options().create(true).append(true).open(next) else {
            return;
        };
        self.file = Some(file);
        self.number += 1;
        self.bytes = 0;
        if let Some(oldest) = self.number.checked_sub(MAX_FILES) {
            let _ = fs::remove_file(file_path(&self.directory, oldest));
        }
    }
}

/// How many bytes of a file are whole records.
fn whole_bytes(path: &Path) -> io::Result<u64> {
    match fs::read(path) {
        Ok(content) => Ok(whole_records(&content) as u64),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// How many of these bytes are whole records.
fn whole_records(content: &[u8]) -> usize {
    let mut rest = content;
    while let Some((header, after)) = rest.split_first_chunk()
        && let Some(header) = Header::decode(header)
        && let Some(next) = after.get(header.bytes as usize..)
    {
        rest = next;
    }
    content.len() - rest.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header {
            stream: 2,
            time_ns: u64::MAX,
            bytes: 77,
        };
        assert_eq!(Header::decode(&header.encode()), Some(header));
        assert_eq!(Header::decode(&[0; HEADER_BYTES]), None);
    }

    #[test]
    fn only_the_last_files_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(directory.path().to_owned()).unwrap();
        let chunk = vec![b'x'; MAX_RECORD_BYTES];
        let chunks = (MAX_FILES + 2) * MAX_FILE_BYTES / MAX_RECORD_BYTES as u64;
        for _ in 0..chunks {
            writer.write(1, 0, &chunk);
        }
        let numbers = file_numbers(directory.path()).unwrap();
        assert_eq!(numbers, [3, 4, 5]);
        for number in numbers {
            let bytes = fs::metadata(file_path(directory.path(), number)).unwrap().len();
            assert!(bytes <= MAX_FILE_BYTES + (MAX_RECORD_BYTES + HEADER_BYTES) as u64);
        }
    }

    #[test]
    fn of_a_write_that_failed_in_the_middle_the_whole_records_stay() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(directory.path().to_owned()).unwrap();
        writer.write(1, 5, b"one\n");
        let before = writer.bytes;
        writer.write(1, 5, b"two\nthree\n");
        // As if the disk had been full within the last record.
        let file = writer.file.as_ref().unwrap();
        file.set_len(writer.bytes - 2).unwrap();
        writer.bytes = before;
        writer.cut_off_half();
        assert_eq!(writer.bytes, before + HEADER_BYTES as u64 + 4);
        let length = fs::metadata(file_path(directory.path(), 1)).unwrap().len();
        assert_eq!(length, writer.bytes);
    }

    #[test]
    fn a_half_written_record_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(directory.path().to_owned()).unwrap();
        writer.write(1, 5, b"one\ntwo\n");
        let path = file_path(directory.path(), 1);
        let whole = fs::metadata(&path).unwrap().len();
        assert_eq!(whole, 2 * (HEADER_BYTES as u64 + 4));
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&[1, 0, 0]).unwrap();
        drop(Writer::open(directory.path().to_owned()).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), whole);
    }
}
