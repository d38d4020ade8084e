//! Tar archives of images, plain or compressed. They are indexed, never extracted: no path of an archive touches the
//! file system, and what its links point to is looked up in the index.

use super::directories::Directories;
use super::disk::{Workspace, random_name};
use super::error::{During, StoreError, quoted, read_error};
use super::limits::Limits;
use super::section::Section;
use super::unpack::decompress::{Packing, decompressed};
use selur_tree::{Archive, Kind};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const BUFFER_BYTES: usize = 128 << 10;
/// Names of layouts and of `docker save` have at most 140 bytes. Longer ones are nobody's.
const MAX_NAME_BYTES: usize = 512;

/// An archive and where everything in it is.
#[derive(Debug)]
pub(super) struct Packed {
    path: PathBuf,
    file: Arc<File>,
    entries: BTreeMap<String, Entry>,
    // Where the archive was decompressed to.
    _workspace: Option<Workspace>,
}

#[derive(Debug)]
enum Entry {
    File { at: u64, size: u64 },
    Link { target: String },
}

impl Packed {
    /// Indexes an archive. A compressed one is decompressed below `ingest` first, for as long as it is used. Blocks.
    pub(super) fn open(
        path: &Path,
        file: File,
        directories: &Directories,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Result<Packed, StoreError> {
        let what = || format!("reading {}", path.display());
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
        if Packing::of(reader.fill_buf().during(what)?) != Packing::Plain {
            return Packed::spool(path, reader, directories, limits, stop);
        }
        reader.rewind().during(what)?;
        Packed::index(path, reader, None, limits)
    }

    /// The same for this process's input, which can be read once only. Blocks.
    pub(super) fn receive(
        path: &Path,
        directories: &Directories,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Result<Packed, StoreError> {
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        let input = File::from(input.during(|| format!("reading {}", path.display()))?);
        let reader = BufReader::with_capacity(BUFFER_BYTES, input);
        Packed::spool(path, reader, directories, limits, stop)
    }

    fn spool(
        path: &Path,
        reader: BufReader<File>,
        directories: &Directories,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Result<Packed, StoreError> {
        let workspace = {
            let _lock = directories.lock()?;
            Workspace::create(&directories.ingest(), directories.hands())?
        };
        let mut plain = decompress(path, reader, &workspace, limits, stop)?;
        plain.rewind().during(|| format!("reading {}", path.display()))?;
        let reader = BufReader::with_capacity(BUFFER_BYTES, plain);
        Packed::index(path, reader, Some(workspace), limits)
    }

    fn index(
        path: &Path,
        reader: BufReader<File>,
        workspace: Option<Workspace>,
        limits: &Limits,
    ) -> Result<Packed, StoreError> {
        let mut archive = Archive::new(reader);
        let entries = index(&mut archive, limits).map_err(|error| blame(path, error))?;
        Ok(Packed {
            path: path.to_owned(),
            file: Arc::new(archive.into_reader().into_inner()),
            entries,
            _workspace: workspace,
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A file of the archive and its size in bytes; of a link, what it points to.
    pub(super) fn open_file(&self, name: &str) -> Result<(Section, u64), StoreError> {
        let entry = match self.entries.get(name) {
            Some(Entry::Link { target }) => self.entries.get(target),
            other => other,
        };
        match entry {
            Some(Entry::File { at, size }) => Ok((
                Section::File {
                    file: Arc::clone(&self.file),
                    at: *at,
                    end: at.saturating_add(*size),
                },
                *size,
            )),
            Some(Entry::Link { .. }) => Err(StoreError::Content(format!(
                "{}: {} is a link that leads to no file of the archive",
                self.path.display(),
                quoted(name.as_bytes())
            ))),
            None => Err(StoreError::Content(format!(
                "the archive {} lacks {}",
                self.path.display(),
                quoted(name.as_bytes())
            ))),
        }
    }
}

fn decompress(
    path: &Path,
    reader: BufReader<File>,
    workspace: &Workspace,
    limits: &Limits,
    stop: &CancellationToken,
) -> Result<File, StoreError> {
    let target = workspace.path().join(random_name()?);
    let what = || format!("decompressing {} to {}", path.display(), target.display());
    let mut plain = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&target)
        .during(what)?;
    let mut stream = decompressed(reader).map_err(read_error)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut written = 0u64;
    loop {
        let count = stream
            .read(&mut buffer)
            .map_err(|error| blame(path, read_error(error)))?;
        if count == 0 {
            return Ok(plain);
        }
        if stop.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        written += count as u64;
        if written > limits.max_archive_bytes {
            return Err(StoreError::TooLarge(format!(
                "the archive {} has more than {} bytes when it is decompressed, which is the cap",
                path.display(),
                limits.max_archive_bytes
            )));
        }
        plain.write_all(&buffer[..count]).during(what)?;
    }
}

fn index(
    archive: &mut Archive<BufReader<File>>,
    limits: &Limits,
) -> Result<BTreeMap<String, Entry>, StoreError> {
    let mut entries = BTreeMap::new();
    let mut count = 0u64;
    while let Some(found) = archive.next_entry()? {
        count += 1;
        if count > limits.max_archive_entries {
            return Err(StoreError::TooLarge(format!(
                "it has more than {} entries, which is the cap",
                limits.max_archive_entries
            )));
        }
        let (at, size) = archive.pass_over()?;
        let Some(name) = resolved("", &found.path) else {
            continue;
        };
        let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
        let entry = match found.kind {
            Kind::File => Some(Entry::File { at, size }),
            Kind::Symlink => resolved(directory, &found.link).map(|target| Entry::Link { target }),
            Kind::HardLink => resolved("", &found.link).map(|target| Entry::Link { target }),
            _ => None,
        };
        // As tar has it, the last of a name counts.
        if let Some(entry) = entry {
            entries.insert(name, entry);
        }
    }
    Ok(entries)
}

/// A path of the archive without `.` and `..`; none if it is no name in the archive.
fn resolved(directory: &str, path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    if path.starts_with('/') || path.len() > MAX_NAME_BYTES {
        return None;
    }
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            other => parts.push(other),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Says which archive it was.
fn blame(path: &Path, error: StoreError) -> StoreError {
    let name = |words: String| format!("{} is no archive of images: {words}", path.display());
    match error {
        StoreError::Content(words) => StoreError::Content(name(words)),
        StoreError::TooLarge(words) => StoreError::TooLarge(name(words)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_archive() {
        let cases: [(&str, &str, Option<&str>); 9] = [
            ("", "./blobs//sha256/a", Some("blobs/sha256/a")),
            ("one", "../two/layer.tar", Some("two/layer.tar")),
            ("one", "layer.tar", Some("one/layer.tar")),
            ("one", "../../two", None),
            ("", "../etc/passwd", None),
            ("", "/etc/passwd", None),
            ("", ".", None),
            ("", "", None),
            ("a/b", "..", Some("a")),
        ];
        for (directory, path, expected) in cases {
            assert_eq!(
                resolved(directory, path.as_bytes()).as_deref(),
                expected,
                "{path}"
            );
        }
        assert_eq!(resolved("", &[b'a'; MAX_NAME_BYTES + 1]), None);
        assert_eq!(resolved("", b"\xff"), None);
    }
}
