//! Layers as they are kept: unpacked once, named by their diff_id, shared by all images and containers.

use super::digest::Digest;
use super::directories::{Directories, SCHEMA, read_record, write_unsynced_record};
use super::disk::{self, FileLock, Workspace};
use super::error::{During, StoreError};
use super::limits::Limits;
use super::manifest::Descriptor;
use super::source::{Source, joined};
use super::unpack;
use crate::{ProgressSink, PullProgress};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// How many bytes come between two reports of progress.
const PROGRESS_STEP_BYTES: u64 = 256 << 10;

/// What is known of a layer: a file beside its directory, written before the directory appears.
#[derive(Debug, Serialize, Deserialize)]
struct LayerRecord {
    schema: u32,
    diff_id: Digest,
    size_bytes: u64,
    is_opaque: bool,
}

/// The directories of an image's layers, bottom first; none if one is missing.
///
/// A layer that stands in an image more than once is named once, at its highest place: overlayfs takes no directory
/// twice, and the upper one shows everything that the lower one has. Below a layer that hides all, nothing is named.
pub(super) fn stack(
    directories: &Directories,
    diff_ids: &[Digest],
) -> Result<Option<Vec<PathBuf>>, StoreError> {
    let mut from_the_top: Vec<PathBuf> = Vec::new();
    let mut is_hidden = false;
    for diff_id in diff_ids.iter().rev() {
        let Some(record) = find(directories, diff_id)? else {
            return Ok(None);
        };
        let path = directories.layer(diff_id);
        if !is_hidden && !from_the_top.contains(&path) {
            from_the_top.push(path);
        }
        is_hidden |= record.is_opaque;
    }
    from_the_top.reverse();
    Ok(Some(from_the_top))
}

/// A layer's record, if the layer is complete.
fn find(directories: &Directories, diff_id: &Digest) -> Result<Option<LayerRecord>, StoreError> {
    if !directories.layer(diff_id).is_dir() {
        return Ok(None);
    }
    match read_record::<LayerRecord>(&directories.layer_record(diff_id))? {
        Some(record) if record.diff_id != *diff_id => Err(StoreError::Unsupported(format!(
            "the layers {diff_id} and {} have the same first 128 bits and cannot be in one store",
            record.diff_id
        ))),
        other => Ok(other),
    }
}

/// What bringing layers in needs to know.
pub(super) struct Import<'a> {
    pub(super) directories: &'a Directories,
    pub(super) source: &'a Source,
    pub(super) workspace: &'a Arc<Workspace>,
    pub(super) limits: &'a Limits,
    pub(super) progress: ProgressSink<'a>,
    pub(super) stop: &'a CancellationToken,
}

impl Import<'_> {
    /// Brings one layer into the store, unless it is there. However many processes and tasks want it, one fetches it.
    pub(super) async fn layer(&self, descriptor: &Descriptor, diff_id: &Digest) -> Result<(), StoreError> {
        if find(self.directories, diff_id)?.is_none() {
            let lock_path = self.directories.layer_lock(diff_id);
            let lock = FileLock::wait_until(&lock_path, self.stop).await?;
            let result = match find(self.directories, diff_id)? {
                Some(_) => Ok(()),
                None => self.fetch(descriptor, diff_id).await,
            };
            lock.release(&lock_path)?;
            result?;
        }
        (self.progress)(PullProgress::LayerDone {
            layer: descriptor.digest.to_string(),
        });
        Ok(())
    }

    async fn fetch(&self, descriptor: &Descriptor, diff_id: &Digest) -> Result<(), StoreError> {
        let reported = AtomicU64::new(0);
        let report = |bytes: u64| {
            let last = reported.load(Ordering::Relaxed);
            if bytes >= last + PROGRESS_STEP_BYTES || bytes == descriptor.size {
                reported.store(bytes, Ordering::Relaxed);
                (self.progress)(PullProgress::Transferred {
                    layer: descriptor.digest.to_string(),
                    bytes,
                });
            }
        };
        let blob = self
            .source
            .download(descriptor, self.workspace, self.stop, &report)
            .await?;
        let directories = self.directories.clone();
        let (workspace, limits) = (Arc::clone(self.workspace), self.limits.clone());
        let (diff_id, stop) = (diff_id.clone(), self.stop.clone());
        // Awaited to its end, also when stopped: it looks at `stop` itself, and the workspace is its own until then.
        let unpacked = spawn_blocking(move || {
            let result = unpack_and_keep(&directories, &blob, &workspace, &diff_id, &limits, &stop);
            drop(workspace);
            result
        });
        joined(unpacked.await).map_err(|error| describe(error, descriptor))
    }
}

/// Unpacks a blob in the workspace and moves the finished layer to its place.
fn unpack_and_keep(
    directories: &Directories,
    blob: &Path,
    workspace: &Workspace,
    diff_id: &Digest,
    limits: &Limits,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let directory = workspace.path().join(disk::random_name()?);
    std::fs::create_dir(&directory).during(|| format!("making {}", directory.display()))?;
    let unpacked = unpack::unpack(blob, &directory, diff_id, limits, stop)?;
    disk::remove_file(blob)?;
    let record = LayerRecord {
        schema: SCHEMA,
        diff_id: diff_id.clone(),
        size_bytes: unpacked.bytes,
        is_opaque: unpacked.is_opaque,
    };
    let record_file = workspace.path().join(disk::random_name()?);
    write_unsynced_record(&record_file, &record)?;
    disk::sync_file_system(workspace.path())?;
    // The directory comes last: where it is, the layer is complete.
    for (from, to) in [
        (record_file, directories.layer_record(diff_id)),
        (directory, directories.layer(diff_id)),
    ] {
        std::fs::rename(&from, &to).during(|| format!("making {}", to.display()))?;
    }
    disk::sync_directory(&directories.layers())
}

/// Says which layer it was.
fn describe(error: StoreError, descriptor: &Descriptor) -> StoreError {
    let name = |words: String| format!("layer {}: {words}", descriptor.digest);
    match error {
        StoreError::Content(words) => StoreError::Content(name(words)),
        StoreError::TooLarge(words) => StoreError::TooLarge(name(words)),
        StoreError::Unsupported(words) => StoreError::Unsupported(name(words)),
        StoreError::Io { what, source } => StoreError::Io {
            what: name(what),
            source,
        },
        other => other,
    }
}
