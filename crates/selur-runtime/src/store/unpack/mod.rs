//! Unpacks a layer into a directory, in the form that overlayfs takes.
//!
//! A layer is hostile until proven otherwise. Paths are resolved by the kernel within the layer's own directory
//! (`openat2` with `RESOLVE_IN_ROOT`), so no symbolic link, `..` or absolute path leads out of it; nothing is ever
//! unpacked over another layer. What the caps do not allow ends the unpacking with an error; the caller removes the
//! directory.

pub(super) mod archive;
pub(super) mod decompress;
mod metadata;
mod tree;

use super::digest::{Digest, Hasher};
use super::error::{During, StoreError};
use super::limits::Limits;
use archive::Archive;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use tokio_util::sync::CancellationToken;
use tree::Tree;

const BUFFER_BYTES: usize = 128 << 10;

/// What a layer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Bytes of the tar stream.
    pub(super) bytes: u64,
    /// Whether the layer hides everything below it.
    pub(super) is_opaque: bool,
}

/// Unpacks a blob into an empty directory. The caller puts it on disk. Blocks.
///
/// # Errors
/// The blob is malformed, hostile, over a cap or not of this diff_id; `stop` was triggered; the disk fails. The
/// directory then holds a part of the layer.
pub(super) fn unpack(
    blob: &Path,
    directory: &Path,
    diff_id: &Digest,
    limits: &Limits,
    stop: &CancellationToken,
) -> Result<Unpacked, StoreError> {
    let file = File::open(blob).during(|| format!("reading {}", blob.display()))?;
    let stream = decompress::decompressed(BufReader::with_capacity(BUFFER_BYTES, file))
        .map_err(archive::read_error)?;
    let mut archive = Archive::new(Measured {
        stream,
        hasher: diff_id.hasher(),
        bytes: 0,
        max_bytes: limits.max_layer_bytes,
        stop: stop.clone(),
    });
    let mut tree = Tree::open(directory, limits.max_layer_entries)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Some(entry) = archive.next_entry()? {
        tree.apply(&entry, |file| copy(&mut archive, file, &mut buffer))?;
    }
    let measured = archive.finish()?;
    if measured.hasher.finish() != *diff_id {
        return Err(StoreError::Content(format!(
            "the layer, decompressed, does not have the diff_id {diff_id} of the image's configuration: build the image \
             again"
        )));
    }
    let is_opaque = tree.finish()?;
    Ok(Unpacked {
        bytes: measured.bytes,
        is_opaque,
    })
}

fn copy(archive: &mut Archive<impl Read>, file: &mut File, buffer: &mut [u8]) -> Result<(), StoreError> {
    loop {
        match archive.read(buffer)? {
            0 => return Ok(()),
            count => io::Write::write_all(file, &buffer[..count]).during(|| "unpacking a file".to_owned())?,
        }
    }
}

/// Hashes and counts what passes through, and ends it at the cap or when asked to stop.
struct Measured {
    stream: Box<dyn Read>,
    hasher: Hasher,
    bytes: u64,
    max_bytes: u64,
    stop: CancellationToken,
}

impl Read for Measured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other(StoreError::Cancelled));
        }
        let count = self.stream.read(buffer)?;
        self.bytes += count as u64;
        if self.bytes > self.max_bytes {
            return Err(io::Error::other(StoreError::TooLarge(format!(
                "the layer has more than {} bytes when it is decompressed, which is the cap",
                self.max_bytes
            ))));
        }
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
