//! Unpacks a layer into a directory, in the form that overlayfs takes: what `selur_tree` does with a stream that is
//! decompressed, counted and hashed here.

pub(crate) mod decompress;

use super::digest::{Digest, Hasher};
use super::error::{During, StoreError, read_error};
use super::limits::Limits;
use crate::hands::Hands;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use tokio_util::sync::CancellationToken;

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
    hands: &dyn Hands,
    blob: &Path,
    directory: &Path,
    diff_id: &Digest,
    limits: &Limits,
    stop: &CancellationToken,
) -> Result<Unpacked, StoreError> {
    let file = File::open(blob).during(|| format!("reading {}", blob.display()))?;
    let stream =
        decompress::decompressed(BufReader::with_capacity(BUFFER_BYTES, file)).map_err(read_error)?;
    let mut measured = Measured {
        stream,
        hasher: diff_id.hasher(),
        bytes: 0,
        max_bytes: limits.max_layer_bytes,
        stop: stop.clone(),
    };
    let is_opaque = hands.unpack(directory, limits.max_layer_entries, &mut measured)?;
    if measured.hasher.finish() != *diff_id {
        return Err(StoreError::Content(format!(
            "the layer, decompressed, does not have the diff_id {diff_id} of the image's configuration: build the image \
             again"
        )));
    }
    Ok(Unpacked {
        bytes: measured.bytes,
        is_opaque,
    })
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
