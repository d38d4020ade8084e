//! A pull from its beginning to its end: documents, then layers, then the reference.

use super::catalog::{self, Documents, Reference};
use super::content::ImageContent;
use super::digest::Digest;
use super::directories::Directories;
use super::disk::{self, WorkLock, Workspace};
use super::error::StoreError;
use super::layers::{self, Import};
use super::leases::Lease;
use super::limits::Limits;
use super::manifest::{Configuration, Descriptor, Document};
use super::platform::Platform;
use super::source::{Found, Source, joined};
use crate::{ProgressSink, PullProgress};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use selur_protocol::ImageReference;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Layers that are fetched at a time. Docker's default, too.
const LAYERS_AT_A_TIME: usize = 3;
/// Indexes that may point to indexes.
const MAX_INDEX_DEPTH: usize = 3;

/// What a pull works with.
pub(super) struct Pull<'a> {
    pub(super) directories: &'a Directories,
    pub(super) limits: &'a Limits,
    pub(super) source: Source,
    pub(super) progress: ProgressSink<'a>,
}

/// The documents and their bytes, which are written when all layers are there.
struct Plan {
    documents: Documents,
    manifest_bytes: Vec<u8>,
    config_bytes: Vec<u8>,
}

impl Pull<'_> {
    /// Brings the image into the store under the reference.
    pub(super) async fn run(
        &self,
        reference: &ImageReference<'_>,
        abort: CancellationToken,
    ) -> Result<(Reference, ImageContent), StoreError> {
        // Triggered when the caller aborts, when one layer fails, and when the caller drops this future.
        let stop = abort.child_token();
        let _stop_on_drop = stop.clone().drop_guard();
        // Before the lease, and so dropped after it: what nobody else needs goes with it.
        let brought = Brought::default();
        let plan = tokio::select! {
            () = stop.cancelled() => return Err(StoreError::Cancelled),
            plan = self.plan(reference, &brought, &stop) => plan?,
        };
        let layers = &plan.documents.manifest.layers;
        (self.progress)(PullProgress::Resolved {
            digest: plan.documents.digest.to_string(),
            layers: layers
                .iter()
                .map(|layer| (layer.digest.to_string(), layer.size))
                .collect(),
        });
        let (lease, workspace) = self.prepare(&plan).await?;
        let workspace = Arc::new(workspace);
        let fetched = self.fetch_layers(&plan, &workspace, &stop).await;
        let removed = spawn_blocking(move || {
            drop(workspace);
            Ok(())
        });
        joined(removed.await)?;
        let kept = match fetched {
            Ok(()) => self.keep(plan, reference, lease).await,
            Err(error) => {
                drop(lease);
                Err(error)
            }
        };
        match &kept {
            Ok(_) => brought.settle(),
            // After other failures, layers that are complete wait for the next attempt. What went wrong first is told.
            Err(error) if error.is_full_disk() => drop(self.make_room().await),
            Err(_) => {}
        }
        kept
    }

    /// Gives back what this pull took and nobody needs.
    async fn make_room(&self) -> Result<(), StoreError> {
        let directories = self.directories.clone();
        joined(
            spawn_blocking(move || {
                let lock = directories.lock()?;
                let trash = catalog::collect(&directories, &lock)?;
                drop(lock);
                drop(trash);
                Ok(())
            })
            .await,
        )
    }

    /// Finds the image for this platform and reads its documents.
    async fn plan(
        &self,
        reference: &ImageReference<'_>,
        brought: &Brought,
        stop: &CancellationToken,
    ) -> Result<Plan, StoreError> {
        let here = Platform::here();
        let mut found = self.source.start(reference, self.limits).await?;
        for _ in 0..=MAX_INDEX_DEPTH {
            match Document::parse(&found.bytes, self.limits)? {
                Document::Index(manifests) => {
                    let chosen = here.choose(&manifests).ok_or_else(|| {
                        let known: Vec<String> = manifests
                            .iter()
                            .filter_map(|manifest| manifest.platform.as_ref())
                            .filter(|platform| platform.os != "unknown")
                            .map(Platform::to_string)
                            .collect();
                        wrong_platform(reference, &known.join(", "), &here)
                    })?;
                    found = self.source.manifest(&chosen.digest, self.limits).await?;
                }
                Document::Manifest(manifest) => {
                    let config_bytes = self.configuration(&manifest.config, brought, stop).await?;
                    let configuration = Configuration::parse(&config_bytes, &manifest)?;
                    if !here.runs(&configuration.platform) {
                        return Err(wrong_platform(
                            reference,
                            &configuration.platform.to_string(),
                            &here,
                        ));
                    }
                    let documents = Documents {
                        digest: found.digest,
                        manifest,
                        configuration,
                    };
                    return Ok(Plan {
                        documents,
                        manifest_bytes: found.bytes,
                        config_bytes,
                    });
                }
            }
        }
        Err(StoreError::Content(format!(
            "the index of {reference} points to indexes without end"
        )))
    }

    /// The configuration's bytes: the store's, if it is there. However many processes want it, one fetches it.
    async fn configuration(
        &self,
        descriptor: &Descriptor,
        brought: &Brought,
        stop: &CancellationToken,
    ) -> Result<Vec<u8>, StoreError> {
        let digest = &descriptor.digest;
        brought.note(self.directories, digest);
        if let Some(bytes) = self.directories.read_blob(digest)? {
            return Ok(bytes);
        }
        let _lock = WorkLock::wait_until(self.directories.blob_lock(digest), stop).await?;
        if let Some(bytes) = self.directories.read_blob(digest)? {
            return Ok(bytes);
        }
        let Found { bytes, .. } = self.source.small_blob(descriptor).await?;
        let (directories, digest) = (self.directories.clone(), digest.clone());
        joined(
            spawn_blocking(move || {
                let _lock = directories.lock()?;
                // Verified whenever it is read.
                disk::write_unsynced(&directories.blob(&digest), &bytes)?;
                Ok(bytes)
            })
            .await,
        )
    }

    async fn prepare(&self, plan: &Plan) -> Result<(Lease, Workspace), StoreError> {
        let (directories, kept) = (self.directories.clone(), plan.documents.kept());
        joined(
            spawn_blocking(move || {
                let lock = directories.lock()?;
                let lease = Lease::take(&directories, &lock, &kept)?;
                Ok((
                    lease,
                    Workspace::create(&directories.ingest(), directories.hands())?,
                ))
            })
            .await,
        )
    }

    /// Brings in all layers; when one fails the others are stopped, and awaited.
    async fn fetch_layers(
        &self,
        plan: &Plan,
        workspace: &Arc<Workspace>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let import = Import {
            directories: self.directories,
            source: &self.source,
            workspace,
            limits: self.limits,
            progress: self.progress,
            stop,
        };
        let layers = plan
            .documents
            .manifest
            .layers
            .iter()
            .zip(plan.documents.configuration.diff_ids());
        let imports: Vec<BoxFuture<'_, _>> = layers
            .map(|(descriptor, diff_id)| import.layer(descriptor, diff_id).boxed())
            .collect();
        let mut imports = futures_util::stream::iter(imports).buffer_unordered(LAYERS_AT_A_TIME);
        let mut first_error = None;
        while let Some(result) = imports.next().await {
            if let Err(error) = result {
                stop.cancel();
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Writes the documents and, last, the reference.
    async fn keep(
        &self,
        plan: Plan,
        reference: &ImageReference<'_>,
        lease: Lease,
    ) -> Result<(Reference, ImageContent), StoreError> {
        let (directories, name) = (self.directories.clone(), reference.to_string());
        joined(
            spawn_blocking(move || {
                let documents = &plan.documents;
                let lock = directories.lock()?;
                // Verified against their digests whenever they are read.
                disk::write_unsynced(
                    &directories.blob(&documents.manifest.config.digest),
                    &plan.config_bytes,
                )?;
                disk::write_unsynced(&directories.blob(&documents.digest), &plan.manifest_bytes)?;
                let before = Reference::find(&directories, &name)?;
                let record = Reference::new(&name, documents);
                record.write(&directories)?;
                let trash = match before {
                    // The tag has moved: what it stood for may be of no use now.
                    Some(before) if before.digest != documents.digest => {
                        Some(catalog::collect(&directories, &lock)?)
                    }
                    _ => None,
                };
                drop(lock);
                drop(trash);
                let content = content(&directories, &name, plan.documents, lease)?;
                let content =
                    content.ok_or_else(|| StoreError::NotFound(format!("{name} was damaged on disk")))?;
                Ok((record, content))
            })
            .await,
        )
    }
}

/// The configuration that this pull put into the store for others to find, or found there. If the pull fails it goes,
/// unless an image, a container or another pull has it: then the last of the pulls that fail removes it.
#[derive(Default)]
struct Brought(Mutex<Option<(Directories, Digest)>>);

impl Brought {
    fn note(&self, directories: &Directories, digest: &Digest) {
        *self.noted() = Some((directories.clone(), digest.clone()));
    }

    /// An image has it.
    fn settle(&self) {
        *self.noted() = None;
    }

    fn noted(&self) -> MutexGuard<'_, Option<(Directories, Digest)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Brought {
    fn drop(&mut self) {
        if let Some((directories, digest)) = self.noted().take() {
            // What stays is removed by the next collection.
            let _ = catalog::discard_blob(&directories, &digest);
        }
    }
}

/// What the store hands out of an image; none if a layer is missing.
pub(super) fn content(
    directories: &Directories,
    reference: &str,
    documents: Documents,
    lease: Lease,
) -> Result<Option<ImageContent>, StoreError> {
    let layers = layers::stack(directories, documents.configuration.diff_ids())?;
    Ok(layers.map(|layers| ImageContent {
        reference: reference.to_owned(),
        manifest_digest: documents.digest.to_string(),
        config: documents.configuration.config,
        layers,
        _lease: lease,
    }))
}

fn wrong_platform(reference: &ImageReference<'_>, known: &str, here: &Platform) -> StoreError {
    StoreError::NotFound(format!(
        "{reference} is for {known}, and this machine is {here}: name an image that is built for {here}"
    ))
}
