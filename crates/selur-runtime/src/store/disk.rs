//! Writing that a crash cannot halve, and locks between processes.

use super::error::{During, StoreError};
use crate::hands::Hands;
use ring::rand::SecureRandom;
use rustix::fs::FlockOperation;
use selur_shim::Turn;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What begins the name of a file that is being written; readers of directories pass over it.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-";

/// A name that no other process uses: 128 random bits in hex.
pub(super) fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0u8; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the system's random source failed"))
        .during(|| "choosing a temporary name".to_owned())?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Replaces a file by one that is complete and on disk, or leaves it as it was.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    replace(path, bytes, File::sync_all)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// The same, but after a power failure the file may be damaged or missing: for what is verified whenever it is read.
pub(super) fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    replace(path, bytes, |_| Ok(()))
}

fn replace(
    path: &Path,
    bytes: &[u8],
    sync: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<(), StoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary = directory.join(format!("{TEMPORARY_PREFIX}{}", random_name()?));
    let written = File::create_new(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            sync(&file)
        })
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    written.during(|| format!("writing {}", path.display()))
}

/// Puts everything on disk that was written to the file system of a directory: for thousands of files, far less work
/// than one by one.
pub(super) fn sync_file_system(directory: &Path) -> Result<(), StoreError> {
    let what = || format!("syncing {}", directory.display());
    rustix::fs::syncfs(File::open(directory).during(what)?).during(what)
}

/// Puts a directory's entries on disk.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .during(|| format!("syncing {}", path.display()))
}

/// Removes a file; that it does not exist is fine.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.during(|| format!("removing {}", path.display())),
    }
}

/// An exclusive lock on a file, among all processes; released on drop or when the process ends.
#[derive(Debug)]
pub(super) struct FileLock {
    // Held for its lock only.
    _turn: Turn,
}

impl FileLock {
    /// Waits for the lock. For sections that last milliseconds.
    pub(super) fn wait(path: &Path) -> Result<FileLock, StoreError> {
        let turn = Turn::wait(open_lock(path)?).during(|| format!("locking {}", path.display()))?;
        Ok(FileLock { _turn: turn })
    }

    /// The lock, if nobody holds it.
    pub(super) fn attempt(path: &Path) -> Result<Option<FileLock>, StoreError> {
        loop {
            let attempt = Turn::attempt(open_lock(path)?);
            let Some(turn) = attempt.during(|| format!("locking {}", path.display()))? else {
                return Ok(None);
            };
            // The one who held it before may have removed the file, and another made it anew.
            if is_same_file(turn.file(), path) {
                return Ok(Some(FileLock { _turn: turn }));
            }
        }
    }

    /// Releases the lock and removes its file. Those who wait make it anew.
    pub(super) fn release(self, path: &Path) -> Result<(), StoreError> {
        remove_file(path)
    }
}

/// A lock on a piece of work that one process does for all. When it is dropped its file goes away, and those who wait
/// make it anew; when its owner dies they take it over.
#[derive(Debug)]
pub(super) struct WorkLock {
    path: PathBuf,
    // Held until the file is gone.
    _lock: FileLock,
}

impl WorkLock {
    /// Waits for the lock for as long as it takes, and stops waiting when asked to.
    ///
    /// Linux has no lock between processes that can be awaited, so this asks again and again.
    pub(super) async fn wait_until(path: PathBuf, stop: &CancellationToken) -> Result<WorkLock, StoreError> {
        const ASK_AGAIN: Duration = Duration::from_millis(15);
        loop {
            if let Some(lock) = FileLock::attempt(&path)? {
                return Ok(WorkLock { path, _lock: lock });
            }
            tokio::select! {
                () = stop.cancelled() => return Err(StoreError::Cancelled),
                () = tokio::time::sleep(ASK_AGAIN) => {}
            }
        }
    }
}

impl Drop for WorkLock {
    fn drop(&mut self) {
        // A file that stays is removed when the store is opened again.
        let _ = remove_file(&self.path);
    }
}

fn open_lock(path: &Path) -> Result<File, StoreError> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .during(|| format!("opening the lock {}", path.display()))
}

/// Whether the lock is now held through this descriptor.
pub(super) fn try_lock(file: impl AsFd, path: &Path) -> Result<bool, StoreError> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error).during(|| format!("locking {}", path.display())),
    }
}

/// A directory for things that are not finished. It and all in it go away on drop; if the process dies, the next
/// process that opens the store removes it, because its lock is free then.
#[derive(Debug)]
pub(super) struct Workspace {
    path: PathBuf,
    hands: Arc<dyn Hands>,
    // Held for its lock only.
    _directory: File,
}

impl Workspace {
    /// Makes a new one. The caller holds the store's lock, so that no sweep sees it before it is locked.
    pub(super) fn create(parent: &Path, hands: &Arc<dyn Hands>) -> Result<Workspace, StoreError> {
        let path = parent.join(random_name()?);
        let what = || format!("making {}", path.display());
        std::fs::create_dir(&path).during(what)?;
        let directory = File::open(&path).during(what)?;
        try_lock(&directory, &path)?;
        Ok(Workspace {
            path,
            hands: Arc::clone(hands),
            _directory: directory,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn hands(&self) -> &dyn Hands {
        &*self.hands
    }

    /// Removes those whose owners are gone. The caller holds the store's lock.
    pub(super) fn sweep(parent: &Path, hands: &dyn Hands) -> Result<(), StoreError> {
        for path in Workspace::abandoned(parent)? {
            hands.remove(&path)?;
        }
        Ok(())
    }

    /// Those whose owners are gone: nobody takes them up again. The caller holds the store's lock.
    pub(super) fn abandoned(parent: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let mut abandoned = Vec::new();
        for path in list_directory(parent)? {
            let Ok(directory) = File::open(&path) else {
                continue;
            };
            if directory.metadata().is_ok_and(|found| found.is_dir()) && try_lock(&directory, &path)? {
                abandoned.push(path);
            }
        }
        Ok(abandoned)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next sweep.
        let _ = self.hands.remove(&self.path);
    }
}

/// The paths in a directory, without those that are being written.
pub(super) fn list_directory(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let what = || format!("reading {}", path.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).during(what)? {
        let entry = entry.during(what)?;
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(TEMPORARY_PREFIX.as_bytes())
        {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The paths in a directory that were being written.
pub(super) fn list_temporary(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let what = || format!("reading {}", path.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).during(what)? {
        let entry = entry.during(what)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Whether an open file is the one that is at a path now.
fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(left), Ok(right)) => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        _ => false,
    }
}
