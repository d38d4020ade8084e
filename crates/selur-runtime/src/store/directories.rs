//! Where everything of the store is, and the small JSON files in it.

use super::digest::Digest;
use super::disk::{self, FileLock, Workspace};
use super::error::{During, StoreError};
use crate::hands::Hands;
use crate::{EventKind, events};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version of every file that the store writes. A reader refuses newer ones.
pub(super) const SCHEMA: u32 = 1;

/// The store's directory and what is where in it; see the store's own documentation.
#[derive(Clone, Debug)]
pub(super) struct Directories {
    root: PathBuf,
    hands: Arc<dyn Hands>,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    schema: u32,
}

impl Directories {
    /// Makes what does not exist, and removes what dead processes left.
    pub(super) fn open(root: PathBuf, hands: Arc<dyn Hands>) -> Result<Directories, StoreError> {
        use std::os::unix::fs::DirBuilderExt;
        let directories = Directories { root, hands };
        for name in ["", "blobs", "layers", "refs", "uses", "leases", "locks", "ingest"] {
            let path = directories.root.join(name);
            // Nobody else may come in: layers hold setuid files, and device nodes.
            let made = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path);
            made.during(|| format!("making {}", path.display()))?;
        }
        let marker = directories.root.join("store.json");
        let _lock = directories.lock()?;
        if read_record::<Marker>(&marker)?.is_none() {
            write_record(&marker, &Marker { schema: SCHEMA })?;
        }
        // What writes there holds the lock, or is of an older selur and died.
        for directory in [directories.references(), directories.uses(), directories.blobs()] {
            for path in disk::list_temporary(&directory)? {
                disk::remove_file(&path)?;
            }
        }
        Workspace::sweep(&directories.ingest(), &*directories.hands)?;
        super::leases::sweep(&directories)?;
        for path in disk::list_directory(&directories.root.join("locks"))? {
            if let Some(abandoned) = FileLock::attempt(&path)? {
                abandoned.release(&path)?;
            }
        }
        Ok(directories)
    }

    /// Who touches the files of layers.
    pub(super) fn hands(&self) -> &Arc<dyn Hands> {
        &self.hands
    }

    /// The store's lock, for sections that last milliseconds. Blocks.
    pub(super) fn lock(&self) -> Result<FileLock, StoreError> {
        FileLock::wait(&self.root.join("lock"))
    }

    /// Says what happened to an image to all who read the state root's events.
    pub(super) fn tell(&self, kind: EventKind, reference: &str) {
        events::tell(self.root.parent().unwrap_or(&self.root), kind, reference);
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(super) fn references(&self) -> PathBuf {
        self.root.join("refs")
    }

    pub(super) fn uses(&self) -> PathBuf {
        self.root.join("uses")
    }

    pub(super) fn leases(&self) -> PathBuf {
        self.root.join("leases")
    }

    pub(super) fn ingest(&self) -> PathBuf {
        self.root.join("ingest")
    }

    /// Where a manifest, a configuration or a layer as it came is.
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(blob_name(digest))
    }

    pub(super) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(layer_name(diff_id))
    }

    pub(super) fn layer_record(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(format!("{}.json", layer_name(diff_id)))
    }

    pub(super) fn layer_lock(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("locks").join(layer_name(diff_id))
    }

    /// Locked by who fetches a configuration.
    pub(super) fn blob_lock(&self, digest: &Digest) -> PathBuf {
        self.root
            .join("locks")
            .join(format!("blob-{}", layer_name(digest)))
    }

    /// Whether a blob is there whole: it is put there when it is complete, so that its size tells.
    pub(super) fn has_blob(&self, digest: &Digest, size_bytes: u64) -> bool {
        std::fs::metadata(self.blob(digest)).is_ok_and(|found| found.is_file() && found.len() == size_bytes)
    }

    /// References have characters that file names cannot have, and are longer.
    pub(super) fn reference(&self, reference: &str) -> PathBuf {
        self.references()
            .join(format!("{}.json", Digest::of(reference.as_bytes()).hex()))
    }

    /// A document of the store, if it is there and undamaged.
    pub(super) fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.blob(digest);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(digest.matches(&bytes).then_some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).during(|| format!("reading {}", path.display())),
        }
    }
}

/// `sha256-…`: the digest without the colon, which some tools do not like in names.
pub(super) fn blob_name(digest: &Digest) -> String {
    digest.as_str().replace(':', "-")
}

/// The first 32 hex digits, 128 bits: so many that no two layers come to have the same. The layer's record has
/// the whole diff_id, which is compared.
pub(super) fn layer_name(diff_id: &Digest) -> &str {
    diff_id.hex().get(..32).unwrap_or_default()
}

/// Reads a JSON file, if it is there.
///
/// # Errors
/// It is malformed, or of a newer schema.
pub(super) fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.during(|| format!("reading {}", path.display()))?,
    };
    let damaged = |error: serde_json::Error| StoreError::Io {
        what: format!("reading {}, which is damaged: remove it", path.display()),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    };
    let marker: Marker = serde_json::from_slice(&bytes).map_err(damaged)?;
    if marker.schema > SCHEMA {
        return Err(StoreError::Unsupported(format!(
            "{} is of schema {}, and this selur knows {SCHEMA}: use a newer selur, or another state root",
            path.display(),
            marker.schema
        )));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Writes a JSON file so that it is there whole or not at all.
pub(super) fn write_record<T: Serialize>(path: &Path, record: &T) -> Result<(), StoreError> {
    disk::write_atomically(path, &to_json(path, record)?)
}

/// Writes a JSON file that the caller puts on disk.
pub(super) fn write_unsynced_record<T: Serialize>(path: &Path, record: &T) -> Result<(), StoreError> {
    disk::write_unsynced(path, &to_json(path, record)?)
}

fn to_json<T: Serialize>(path: &Path, record: &T) -> Result<Vec<u8>, StoreError> {
    let bytes = serde_json::to_vec(record).map_err(std::io::Error::other);
    bytes.during(|| format!("writing {}", path.display()))
}
