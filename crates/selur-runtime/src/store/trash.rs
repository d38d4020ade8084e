//! What is removed from the store: out of sight under the lock, and gone from the disk afterwards.

use super::directories::Directories;
use super::disk::{self, FileLock, Workspace};
use super::error::{During, StoreError};
use crate::hands::Hands;
use std::path::PathBuf;
use std::sync::Arc;

/// Content that nothing in the store names any more. Dropping it frees its room, which for large layers takes a while:
/// the store's lock is released first.
#[derive(Debug)]
pub(super) struct Trash {
    workspace: Option<Workspace>,
    // What was removed in its place, because the disk had no room for a workspace.
    removed_bytes: u64,
}

impl Trash {
    /// Takes files and directories out of the store. The caller holds the store's lock.
    pub(super) fn take(
        directories: &Directories,
        _lock: &FileLock,
        paths: Vec<PathBuf>,
    ) -> Result<Trash, StoreError> {
        let workspace = match Workspace::create(&directories.ingest(), directories.hands()) {
            Ok(workspace) => workspace,
            Err(error) if error.is_full_disk() => return Trash::remove_in_place(directories.hands(), paths),
            Err(error) => return Err(error),
        };
        for path in paths {
            let target = workspace.path().join(disk::random_name()?);
            match std::fs::rename(&path, target) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.during(|| format!("removing {}", path.display()))?,
            }
        }
        Ok(Trash {
            workspace: Some(workspace),
            removed_bytes: 0,
        })
    }

    /// On a disk without room for one more directory. A layer's record goes before the layer: without its record a layer
    /// counts as absent, should this process die here.
    fn remove_in_place(hands: &Arc<dyn Hands>, mut paths: Vec<PathBuf>) -> Result<Trash, StoreError> {
        let removed_bytes = hands.measure(&paths)?;
        paths.sort_by_key(|path| path.is_dir());
        for path in &paths {
            if path.is_dir() {
                hands.remove(path)?;
            } else {
                disk::remove_file(path)?;
            }
        }
        Ok(Trash {
            workspace: None,
            removed_bytes,
        })
    }

    /// Frees the room, and tells how much it is.
    pub(super) fn empty(self) -> Result<u64, StoreError> {
        let Some(workspace) = &self.workspace else {
            return Ok(self.removed_bytes);
        };
        Ok(workspace
            .hands()
            .measure(&disk::list_directory(workspace.path())?)?)
    }
}
