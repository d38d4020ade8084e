//! A stretch of bytes of a layout: a file, a part of an archive, or what was made of one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that are read from their beginning to their end. Copies read on their own.
#[derive(Clone, Debug)]
pub(super) enum Section {
    /// From one place of a file to another. The end may lie behind the file's.
    File { file: Arc<File>, at: u64, end: u64 },
    /// In memory.
    Bytes { bytes: Arc<[u8]>, at: usize },
}

impl Section {
    /// A file, however long it is.
    pub(super) fn whole(file: File) -> Section {
        Section::File {
            file: Arc::new(file),
            at: 0,
            end: u64::MAX,
        }
    }

    pub(super) fn of_bytes(bytes: Vec<u8>) -> Section {
        Section::Bytes {
            bytes: bytes.into(),
            at: 0,
        }
    }
}

impl Section {
    /// Where it begins in its file; none if it is in memory.
    pub(super) fn place(&self) -> Option<u64> {
        match self {
            Section::File { at, .. } => Some(*at),
            Section::Bytes { .. } => None,
        }
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Section::File { file, at, end } => {
                let left = usize::try_from(end.saturating_sub(*at)).unwrap_or(usize::MAX);
                let wanted = left.min(buffer.len());
                let count = file.read_at(&mut buffer[..wanted], *at)?;
                *at += count as u64;
                Ok(count)
            }
            Section::Bytes { bytes, at } => {
                let count = (&bytes[*at..]).read(buffer)?;
                *at += count;
                Ok(count)
            }
        }
    }
}
