//! How much room files take on the disk, as the file system counts it.

use crate::error::{During, TreeError};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The unit of `st_blocks`. Source: stat(3type).
const BLOCK_BYTES: u64 = 512;

/// The room that files and trees take in bytes, each hard link counted once. What vanishes meanwhile counts nothing.
///
/// # Errors
/// The file system's.
pub fn usage(paths: &[PathBuf]) -> Result<u64, TreeError> {
    let mut usage = Usage::default();
    for path in paths {
        usage
            .add(path)
            .during(|| format!("measuring {}", path.display()))?;
    }
    Ok(usage.bytes)
}

#[derive(Default)]
struct Usage {
    bytes: u64,
    // Files with more than one name.
    seen: HashSet<(u64, u64)>,
}

impl Usage {
    fn add(&mut self, path: &PathBuf) -> rustix::io::Result<()> {
        let found = match rustix::fs::lstat(path) {
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            other => other?,
        };
        self.count(&found);
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            return Ok(());
        }
        match rustix::fs::open(path, directory_flags(), Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            other => self.add_tree(other?),
        }
    }

    /// Goes down by name and up by `..`, so that neither the stack, nor the number of open files, nor the length of a
    /// path bounds the depth. Nobody moves directories in a layer.
    fn add_tree(&mut self, top: OwnedFd) -> rustix::io::Result<()> {
        let mut here = top;
        let mut pending = vec![self.add_entries(&here)?];
        while let Some(directories) = pending.last_mut() {
            match directories.pop() {
                Some(name) => match rustix::fs::openat(&here, &name, directory_flags(), Mode::empty()) {
                    Err(rustix::io::Errno::NOENT) => {}
                    other => {
                        here = other?;
                        pending.push(self.add_entries(&here)?);
                    }
                },
                None => {
                    pending.pop();
                    if !pending.is_empty() {
                        here = rustix::fs::openat(&here, c"..", directory_flags(), Mode::empty())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts what is in a directory, and gives the directories among it.
    fn add_entries(&mut self, directory: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
        let mut directories = Vec::new();
        for entry in rustix::fs::Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(rustix::io::Errno::NOENT) => continue,
                other => other?,
            };
            self.count(&found);
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                directories.push(name.to_owned());
            }
        }
        Ok(directories)
    }

    fn count(&mut self, found: &Stat) {
        let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if is_directory || found.st_nlink < 2 || self.seen.insert((found.st_dev, found.st_ino)) {
            let blocks = u64::try_from(found.st_blocks).unwrap_or_default();
            self.bytes = self.bytes.saturating_add(blocks.saturating_mul(BLOCK_BYTES));
        }
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}
