//! The catalog: which references there are, which containers use which image, and what nobody needs any more.

use super::digest::Digest;
use super::directories::{Directories, SCHEMA, blob_name, layer_name, read_record, write_record};
use super::disk::{self, FileLock};
use super::error::StoreError;
use super::leases::{self, Kept};
use super::limits::Limits;
use super::manifest::{Configuration, Document, Manifest};
use super::trash::Trash;
use crate::Image;
use selur_protocol::ContainerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

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

    /// All that belongs to the image: its documents, and its layers unpacked and as they came.
    pub(super) fn kept(&self) -> Kept {
        let mut kept = self.kept_unpacked();
        let layers = self.manifest.layers.iter();
        kept.blobs.extend(layers.map(|layer| blob_name(&layer.digest)));
        kept
    }

    /// What a container needs of it: no layers as they came, which only a push wants.
    pub(super) fn kept_unpacked(&self) -> Kept {
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

    /// The file that the reference is.
    pub(super) fn path(&self, directories: &Directories) -> PathBuf {
        directories.reference(&self.reference)
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
            kept: documents.kept_unpacked(),
        },
    )
}

/// Records that a container uses no image any more. If it was the last use of an image without a reference, what
/// nobody needs without it goes to the trash, to be dropped when the lock is released.
pub(super) fn unpin(
    directories: &Directories,
    lock: &FileLock,
    container: ContainerId,
) -> Result<Option<Trash>, StoreError> {
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

/// Removes a reference and all that nobody needs without it. The trash is to be dropped when the lock is released.
pub(super) fn delete(
    directories: &Directories,
    lock: &FileLock,
    reference: &str,
) -> Result<Trash, StoreError> {
    let found = Reference::find(directories, reference)?.ok_or_else(|| unknown(reference))?;
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

/// Gives an image another name. If the name was another image's, what nobody needs without it goes to the trash, to be
/// dropped when the lock is released.
pub(super) fn tag(
    directories: &Directories,
    lock: &FileLock,
    reference: &str,
    name: &str,
) -> Result<Option<Trash>, StoreError> {
    let found = Reference::find(directories, reference)?.ok_or_else(|| unknown(reference))?;
    let before = Reference::find(directories, name)?;
    let renamed = Reference {
        schema: SCHEMA,
        reference: name.to_owned(),
        ..found
    };
    renamed.write(directories)?;
    match before {
        Some(before) if before.digest != renamed.digest => collect(directories, lock).map(Some),
        _ => Ok(None),
    }
}

/// What somebody needs: file names in `blobs` and in `layers`. The caller holds the store's lock.
#[derive(Default)]
pub(super) struct Needed {
    blobs: BTreeSet<String>,
    layers: BTreeSet<String>,
}

impl Needed {
    fn add(&mut self, kept: Kept) {
        self.blobs.extend(kept.blobs);
        self.layers.extend(kept.layers);
    }

    /// What containers and living processes use.
    pub(super) fn in_use(directories: &Directories) -> Result<Needed, StoreError> {
        let mut needed = Needed::default();
        for kept in leases::living(directories)? {
            needed.add(kept);
        }
        for (_, used) in uses(directories)? {
            needed.add(used.kept);
        }
        Ok(needed)
    }

    /// That, and all that these references stand for.
    pub(super) fn with_references(
        mut self,
        directories: &Directories,
        references: &[Reference],
    ) -> Result<Needed, StoreError> {
        for reference in references {
            // One whose documents are damaged is pulled anew before it is used.
            if let Some(documents) = Documents::read(directories, &reference.digest)? {
                self.add(documents.kept());
            }
        }
        Ok(self)
    }

    /// Whether somebody uses the image of this manifest.
    pub(super) fn has_image(&self, digest: &Digest) -> bool {
        self.blobs.contains(&blob_name(digest))
    }

    /// Everything in the store that is not among it.
    pub(super) fn unneeded(&self, directories: &Directories) -> Result<Vec<PathBuf>, StoreError> {
        let mut unneeded = Vec::new();
        let kinds = [
            (directories.blobs(), &self.blobs),
            (directories.layers(), &self.layers),
        ];
        for (directory, needed) in kinds {
            for path in disk::list_directory(&directory)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                // A layer is a directory and the record beside it.
                if !needed.contains(name.trim_end_matches(".json")) {
                    unneeded.push(path);
                }
            }
        }
        Ok(unneeded)
    }
}

/// Removes everything that no reference, no container and no living lease needs. The trash is to be dropped when the
/// lock is released.
pub(super) fn collect(directories: &Directories, lock: &FileLock) -> Result<Trash, StoreError> {
    let references = Reference::all(directories)?;
    let needed = Needed::in_use(directories)?.with_references(directories, &references)?;
    Trash::take(directories, lock, needed.unneeded(directories)?)
}

/// Removes a blob unless somebody needs it.
pub(super) fn discard_blob(directories: &Directories, digest: &Digest) -> Result<(), StoreError> {
    let _lock = directories.lock()?;
    let references = Reference::all(directories)?;
    let needed = Needed::in_use(directories)?.with_references(directories, &references)?;
    if needed.blobs.contains(&blob_name(digest)) {
        return Ok(());
    }
    disk::remove_file(&directories.blob(digest))
}

fn unknown(reference: &str) -> StoreError {
    StoreError::NotFound(format!(
        "no image {reference} is in the store: `selur images` lists them"
    ))
}
