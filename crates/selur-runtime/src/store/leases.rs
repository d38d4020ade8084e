//! Leases: what keeps the store's content alive while a process works with it.
//!
//! A lease is a file that names content and is locked by the process that works with it. The kernel releases the lock
//! when the process ends, however it ends, so a lease never outlives its owner.

use super::directories::Directories;
use super::disk::{self, FileLock};
use super::error::{During, StoreError};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// What is kept: file names in `blobs` and `layers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) blobs: Vec<String>,
    pub(super) layers: Vec<String>,
}

/// Keeps what it names from being removed until it is dropped, or until its process ends.
#[derive(Debug)]
pub(super) struct Lease {
    path: PathBuf,
    // Held for its lock only.
    _file: File,
}

impl Lease {
    /// Takes a lease. The caller holds the store's lock, so that no collection is running.
    pub(super) fn take(
        directories: &Directories,
        _lock: &FileLock,
        kept: &Kept,
    ) -> Result<Lease, StoreError> {
        let path = directories.leases().join(disk::random_name()?);
        let what = || format!("writing {}", path.display());
        let bytes = serde_json::to_vec(kept)
            .map_err(std::io::Error::other)
            .during(what)?;
        let mut file = File::create_new(&path).during(what)?;
        disk::try_lock(&file, &path)?;
        // Not synced: after a crash the lease is void.
        let written = file.write_all(&bytes);
        let lease = Lease { path, _file: file };
        written.during(|| format!("writing {}", lease.path.display()))?;
        Ok(lease)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A file that stays is void as soon as its lock is free.
        let _ = disk::remove_file(&self.path);
    }
}

/// What all living leases keep. The caller holds the store's lock.
pub(super) fn living(directories: &Directories) -> Result<Vec<Kept>, StoreError> {
    let mut living = Vec::new();
    for path in disk::list_directory(&directories.leases())? {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if disk::try_lock(&file, &path)? {
            disk::remove_file(&path)?;
            continue;
        }
        let bytes = std::fs::read(&path).during(|| format!("reading {}", path.display()))?;
        let kept = serde_json::from_slice(&bytes).map_err(std::io::Error::other);
        living.push(kept.during(|| format!("reading {}", path.display()))?);
    }
    Ok(living)
}

/// Removes the leases of dead processes. The caller holds the store's lock.
pub(super) fn sweep(directories: &Directories) -> Result<(), StoreError> {
    living(directories).map(|_| ())
}
