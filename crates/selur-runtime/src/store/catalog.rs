//! The catalog: which references there are, which containers use which image, and what nobody needs any more.

use super::digest::Digest;
use super::directories::{Directories, SCHEMA, blob_name, layer_name, read_record, write_record};
use super::disk::{self, FileLock, Workspace};
use super::error::{During, StoreError};
use super::leases::{self, Kept};
use super::limits::Limits;
use super::manifest::{Configuration, Document, Manifest};
use crate::Image;
use selur_protocol::ContainerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One reference: a file in `refs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    schema: u32,
    pub(super) reference: String,
    pub(super) digest: Digest,
    size_bytes: u64,
    created_at: Option<String>,
}

/// One container's use of an image: a file in `uses`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Use {
    schema: u32,
    digest: Digest,
    // Kept here too: even if the manifest is damaged, a running container's layers stay.
    kept: Kept,
}

/// The documents of one image.
pub(super) struct Documents {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    pub(super) configuration: Configuration,
}

impl Documents {
    /// Reads those of an image of the store; none if one is missing or damaged.
    pub(super) fn read(directories: &Directories, digest: &Digest) -> Result<Option<Documents>, StoreError> {
        let limits = Limits::default();
        let Some(bytes) = directories.read_blob(digest)? else {
            return Ok(None);
        };
        let Ok(Document::Manifest(manifest)) = Document::parse(&bytes, &limits) else {
            return Ok(None);
        };
        let Some(bytes) = directories.read_blob(&manifest.config.digest)? else {
            return Ok(None);
        };
        let configuration = Configuration::parse(&bytes, &manifest).ok();
        Ok(configuration.map(|configuration| Documents {
            digest: digest.clone(),
            manifest,
            configuration,
        }))
    }

    /// All that the image needs.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            blobs: vec![blob_name(&self.digest), blob_name(&self.manifest.config.digest)],
            layers: self
                .configuration
                .diff_ids()
                .iter()
                .map(|diff_id| layer_name(diff_id).to_owned())
                .collect(),
        }
    }
}

impl Reference {
    pub(super) fn new(reference: &str, documents: &Documents) -> Reference {
        Reference {
            schema: SCHEMA,
            reference: reference.to_owned(),
            digest: documents.digest.clone(),
            size_bytes: documents.manifest.size_bytes(),
            created_at: documents.configuration.created.clone(),
        }
    }

    pub(super) fn find(directories: &Directories, reference: &str) -> Result<Option<Reference>, StoreError> {
        read_record(&directories.reference(reference))
    }

    pub(super) fn write(&self, directories: &Directories) -> Result<(), StoreError> {
        write_record(&directories.reference(&self.reference), self)
    }

    /// Every reference, in the order of their names.
    pub(super) fn all(directories: &Directories) -> Result<Vec<Reference>, StoreError> {
        let mut all: Vec<Reference> = Vec::new();
        for path in disk::list_directory(&directories.references())? {
            // One that is gone meanwhile was deleted by another process.
            all.extend(read_record::<Reference>(&path)?);
        }
        all.sort_by(|left, right| left.reference.cmp(&right.reference));
        Ok(all)
    }

    pub(super) fn into_image(self) -> Image {
        Image {
            reference: self.reference,
            digest: self.digest.to_string(),
            size_bytes: self.size_bytes,
            created_at: self.created_at,
        }
    }
}

/// Records that a container uses an image.
pub(super) fn pin(
    directories: &Directories,
    container: ContainerId,
    documents: &Documents,
) -> Result<(), StoreError> {
    let path = directories.uses().join(container.to_string());
    write_record(
        &path,
        &Use {
            schema: SCHEMA,
            digest: documents.digest.clone(),
            kept: documents.kept(),
        },
    )
}

/// Records that a container uses no image any more. If it was the last use of an image without a reference, what
/// nobody needs without it goes to a workspace, to be dropped when the lock is released.
pub(super) fn unpin(
    directories: &Directories,
    lock: &FileLock,
    container: ContainerId,
) -> Result<Option<Workspace>, StoreError> {
    let path = directories.uses().join(container.to_string());
    let Some(used) = read_record::<Use>(&path)? else {
        return Ok(None);
    };
    // Not synced: after a power failure the use may be back, and recovery removes it, for its container is gone.
    disk::remove_file(&path)?;
    if Reference::all(directories)?
        .iter()
        .any(|reference| reference.digest == used.digest)
    {
        return Ok(None);
    }
    collect(directories, lock).map(Some)
}

/// Every container that uses an image, with the manifest's digest.
pub(super) fn pins(directories: &Directories) -> Result<Vec<(ContainerId, Digest)>, StoreError> {
    Ok(uses(directories)?
        .into_iter()
        .map(|(container, found)| (container, found.digest))
        .collect())
}

fn uses(directories: &Directories) -> Result<Vec<(ContainerId, Use)>, StoreError> {
    let mut uses = Vec::new();
    for path in disk::list_directory(&directories.uses())? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let container = ContainerId::parse(&name);
        uses.extend(container.zip(read_record::<Use>(&path)?));
    }
    Ok(uses)
}

/// Removes a reference and all that nobody needs without it. What is removed goes to the workspace, to be dropped when
/// the lock is released.
pub(super) fn delete(
    directories: &Directories,
    lock: &FileLock,
    reference: &str,
) -> Result<Workspace, StoreError> {
    let found = Reference::find(directories, reference)?.ok_or_else(|| {
        StoreError::NotFound(format!(
            "no image {reference} is in the store: `selur images` lists them"
        ))
    })?;
    let has_other_name = Reference::all(directories)?
        .iter()
        .any(|other| other.digest == found.digest && other.reference != found.reference);
    let user = uses(directories)?
        .into_iter()
        .find(|(_, used)| used.digest == found.digest);
    if let Some((container, _)) = user.filter(|_| !has_other_name) {
        return Err(StoreError::InUse(format!(
            "container {container} is made from {reference}: delete it first (`selur rm {container}`)"
        )));
    }
    disk::remove_file(&directories.reference(reference))?;
    disk::sync_directory(&directories.references())?;
    collect(directories, lock)
}

/// Removes everything that no reference, no container and no living lease needs, into a workspace.
pub(super) fn collect(directories: &Directories, _lock: &FileLock) -> Result<Workspace, StoreError> {
    let mut needed: Vec<Kept> = leases::living(directories)?;
    needed.extend(uses(directories)?.into_iter().map(|(_, used)| used.kept));
    for reference in Reference::all(directories)? {
        // One whose documents are damaged is pulled anew before it is used.
        needed.extend(Documents::read(directories, &reference.digest)?.map(|documents| documents.kept()));
    }
    let blobs: BTreeSet<String> = needed
        .iter()
        .flat_map(|kept| kept.blobs.iter().cloned())
        .collect();
    let layers: BTreeSet<String> = needed
        .iter()
        .flat_map(|kept| kept.layers.iter().cloned())
        .collect();
    let trash = Workspace::create(&directories.ingest())?;
    for (directory, kept) in [(directories.blobs(), blobs), (directories.layers(), layers)] {
        for path in disk::list_directory(&directory)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // A layer is a directory and the record beside it.
            if !kept.contains(name.trim_end_matches(".json")) {
                std::fs::rename(&path, trash.path().join(&name))
                    .during(|| format!("removing {}", path.display()))?;
            }
        }
    }
    Ok(trash)
}
