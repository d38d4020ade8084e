//! Layers as they are kept: unpacked once, named by their diff_id, shared by all images and containers.

use super::digest::Digest;
use super::directories::{Directories, SCHEMA, read_record, write_unsynced_record};
use super::disk::{self, WorkLock, Workspace};
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
        if !self.is_here(descriptor, diff_id)? {
            let _lock = WorkLock::wait_until(self.directories.layer_lock(diff_id), self.stop).await?;
            if !self.is_here(descriptor, diff_id)? {
                self.fetch(descriptor, diff_id).await?;
            }
        }
        (self.progress)(PullProgress::LayerDone {
            layer: descriptor.digest.to_string(),
        });
        Ok(())
    }

    /// Whether the layer is there unpacked, and as it came.
    fn is_here(&self, descriptor: &Descriptor, diff_id: &Digest) -> Result<bool, StoreError> {
        let has_blob = self.directories.has_blob(&descriptor.digest, descriptor.size);
        Ok(has_blob && find(self.directories, diff_id)?.is_some())
    }

    async fn fetch(&self, descriptor: &Descriptor, diff_id: &Digest) -> Result<(), StoreError> {
        let report = steps(self.progress, descriptor);
        let blob = self
            .source
            .download(descriptor, self.workspace, self.stop, &report)
            .await?;
        let directories = self.directories.clone();
        let (workspace, limits) = (Arc::clone(self.workspace), self.limits.clone());
        let (descriptor, diff_id, stop) = (descriptor.clone(), diff_id.clone(), self.stop.clone());
        // Awaited to its end, also when stopped: it looks at `stop` itself, and the workspace is its own until then.
        let unpacked = spawn_blocking(move || {
            let unpacked = Layer {
                directories: &directories,
                blob: &blob,
                descriptor: &descriptor,
                diff_id: &diff_id,
            };
            let result = unpacked.unpack_and_keep(&workspace, &limits, &stop);
            drop(workspace);
            result.map_err(|error| describe(error, &descriptor))
        });
        joined(unpacked.await)
    }
}

/// Reports the bytes of a layer as they move, in steps that a reader can follow.
pub(super) fn steps<'a>(
    progress: ProgressSink<'a>,
    descriptor: &'a Descriptor,
) -> impl Fn(u64) + Send + Sync + 'a {
    let reported = AtomicU64::new(0);
    move |bytes| {
        let last = reported.load(Ordering::Relaxed);
        if bytes >= last + PROGRESS_STEP_BYTES || bytes == descriptor.size {
            reported.store(bytes, Ordering::Relaxed);
            progress(PullProgress::Transferred {
                layer: descriptor.digest.to_string(),
                bytes,
            });
        }
    }
}

/// A layer that was fetched and verified.
struct Layer<'a> {
    directories: &'a Directories,
    blob: &'a Path,
    descriptor: &'a Descriptor,
    diff_id: &'a Digest,
}

impl Layer<'_> {
    /// Unpacks the blob in the workspace, unless that was done before, and moves what is finished to its place.
    fn unpack_and_keep(
        &self,
        workspace: &Workspace,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let Layer {
            directories, diff_id, ..
        } = self;
        let mut moves = vec![(self.blob.to_owned(), directories.blob(&self.descriptor.digest))];
        if find(directories, diff_id)?.is_none() {
            let directory = workspace.path().join(disk::random_name()?);
            std::fs::create_dir(&directory).during(|| format!("making {}", directory.display()))?;
            let unpacked = unpack::unpack(
                &**directories.hands(),
                self.blob,
                &directory,
                diff_id,
                limits,
                stop,
            )?;
            let record = LayerRecord {
                schema: SCHEMA,
                diff_id: (*diff_id).clone(),
                size_bytes: unpacked.bytes,
                is_opaque: unpacked.is_opaque,
            };
            let record_file = workspace.path().join(disk::random_name()?);
            write_unsynced_record(&record_file, &record)?;
            // What a removal on a full disk left when it was broken off.
            let remains = (
                directories.layer(diff_id),
                workspace.path().join(disk::random_name()?),
            );
            if remains.0.exists() && find(directories, diff_id)?.is_none() {
                moves.push(remains);
            }
            // The directory comes last: where it is, the layer is complete.
            moves.push((record_file, directories.layer_record(diff_id)));
            moves.push((directory, directories.layer(diff_id)));
        }
        disk::sync_file_system(workspace.path())?;
        for (from, to) in moves {
            std::fs::rename(&from, &to).during(|| format!("making {}", to.display()))?;
        }
        disk::sync_directory(&directories.blobs())?;
        disk::sync_directory(&directories.layers())
    }
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
