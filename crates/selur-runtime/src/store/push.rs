//! A push from its beginning to its end: layers, then the configuration, then the manifest, each as it came here.

use super::catalog::{Documents, Reference};
use super::digest::Digest;
use super::directories::Directories;
use super::error::StoreError;
use super::layers::steps;
use super::leases::Lease;
use super::limits::Limits;
use super::manifest::Descriptor;
use super::registry::Registry;
use super::source::joined;
use super::upload::{Blob, Upload};
use crate::{ProgressSink, PullProgress, Pushed};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use selur_protocol::{DEFAULT_TAG, ImageReference};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Layers that are sent at a time.
const LAYERS_AT_A_TIME: usize = 3;
/// Other repositories that a registry is asked to take blobs from: each makes the token's scope longer.
const MAX_NEIGHBOURS: usize = 4;

/// What a push works with.
pub(super) struct Push<'a> {
    pub(super) directories: &'a Directories,
    pub(super) limits: &'a Limits,
    pub(super) docker_config: Option<PathBuf>,
    pub(super) progress: ProgressSink<'a>,
}

/// The image, held fast.
struct Plan {
    documents: Documents,
    manifest_bytes: Vec<u8>,
    /// For blobs that other images of the same registry have: the repository of one.
    neighbours: BTreeMap<Digest, String>,
    _lease: Lease,
}

impl Push<'_> {
    /// Sends the image of a reference.
    pub(super) async fn run(
        &self,
        reference: &ImageReference<'_>,
        abort: CancellationToken,
    ) -> Result<Pushed, StoreError> {
        // Triggered when the caller aborts, when one blob fails, and when the caller drops this future.
        let stop = abort.child_token();
        let _stop_on_drop = stop.clone().drop_guard();
        tokio::select! {
            () = stop.cancelled() => Err(StoreError::Cancelled),
            pushed = self.send(reference) => pushed,
        }
    }

    async fn send(&self, reference: &ImageReference<'_>) -> Result<Pushed, StoreError> {
        let name = reference.to_string();
        let directories = self.directories.clone();
        let plan = joined(spawn_blocking(move || prepare(&directories, &name)).await)?;
        let (manifest, digest) = (&plan.documents.manifest, &plan.documents.digest);
        let target = match (reference.tag(), reference.digest()) {
            (Some(tag), _) => tag,
            (None, None) => DEFAULT_TAG,
            (None, Some(named)) if named == digest.as_str() => named,
            (None, Some(_)) => {
                return Err(StoreError::Invalid(format!(
                    "{reference} names a list of images, of which only the one for this machine is here: give it a tag \
                     (`selur tag`) and push that"
                )));
            }
        };
        let mut registry = Registry::new(reference, self.docker_config.clone(), self.limits)?;
        registry.wants_to_push(plan.neighbours.values().cloned().collect());
        let upload = Upload {
            registry: &registry,
            limits: self.limits,
        };
        (self.progress)(PullProgress::Resolved {
            digest: digest.to_string(),
            layers: manifest
                .layers
                .iter()
                .map(|layer| (layer.digest.to_string(), layer.size))
                .collect(),
        });
        let sends: Vec<BoxFuture<'_, _>> = distinct(&manifest.layers)
            .into_iter()
            .map(|layer| self.send_layer(&upload, &plan, layer).boxed())
            .collect();
        let mut sends = futures_util::stream::iter(sends).buffer_unordered(LAYERS_AT_A_TIME);
        while let Some(sent) = sends.next().await {
            // The others end when they are dropped.
            sent?;
        }
        upload.blob(&self.blob(&plan, &manifest.config), &|_| {}).await?;
        upload
            .manifest(target, manifest.media_type(), digest, plan.manifest_bytes.clone())
            .await?;
        Ok(Pushed {
            reference: reference.to_string(),
            digest: digest.to_string(),
        })
    }

    async fn send_layer(
        &self,
        upload: &Upload<'_>,
        plan: &Plan,
        layer: &Descriptor,
    ) -> Result<(), StoreError> {
        let report = steps(self.progress, layer);
        upload.blob(&self.blob(plan, layer), &report).await?;
        (self.progress)(PullProgress::LayerDone {
            layer: layer.digest.to_string(),
        });
        Ok(())
    }

    fn blob(&self, plan: &Plan, descriptor: &Descriptor) -> Blob {
        Blob {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            path: self.directories.blob(&descriptor.digest),
            neighbour: plan.neighbours.get(&descriptor.digest).cloned(),
        }
    }
}

/// Finds the image, and takes a lease on it. Blocks.
fn prepare(directories: &Directories, name: &str) -> Result<Plan, StoreError> {
    let lock = directories.lock()?;
    let references = Reference::all(directories)?;
    let found = references.iter().find(|known| known.reference == name);
    let found = found.ok_or_else(|| {
        StoreError::NotFound(format!(
            "no image {name} is in the store: `selur images` lists them, and `selur tag` gives one another name"
        ))
    })?;
    let damaged = || {
        StoreError::NotFound(format!(
            "the store lacks a part of {name}: `selur pull` or `selur load` brings it back"
        ))
    };
    let documents = Documents::read(directories, &found.digest)?.ok_or_else(damaged)?;
    let manifest_bytes = directories.read_blob(&found.digest)?.ok_or_else(damaged)?;
    let lease = Lease::take(directories, &lock, &documents.kept())?;
    let neighbours = neighbours(directories, name, &documents, &references)?;
    Ok(Plan {
        documents,
        manifest_bytes,
        neighbours,
        _lease: lease,
    })
}

/// Which repositories of the same registry have a blob, as far as the store's images tell.
fn neighbours(
    directories: &Directories,
    name: &str,
    documents: &Documents,
    references: &[Reference],
) -> Result<BTreeMap<Digest, String>, StoreError> {
    let mut wanted: Vec<&Digest> = documents
        .manifest
        .layers
        .iter()
        .map(|layer| &layer.digest)
        .collect();
    wanted.push(&documents.manifest.config.digest);
    let mut found = BTreeMap::new();
    let mut repositories = Vec::new();
    let Ok(own) = ImageReference::parse(name) else {
        return Ok(found);
    };
    for other in references {
        let Ok(reference) = ImageReference::parse(&other.reference) else {
            continue;
        };
        let repository = super::registry::repository(&reference);
        let is_neighbour =
            reference.domain() == own.domain() && repository != super::registry::repository(&own);
        let is_new = !repositories.contains(&repository);
        if !is_neighbour || (is_new && repositories.len() == MAX_NEIGHBOURS) {
            continue;
        }
        let Some(theirs) = Documents::read(directories, &other.digest)? else {
            continue;
        };
        let has = |digest: &Digest| {
            let mut layers = theirs.manifest.layers.iter();
            theirs.manifest.config.digest == *digest || layers.any(|layer| layer.digest == *digest)
        };
        for digest in wanted.iter().filter(|digest| has(digest)) {
            found
                .entry((*digest).clone())
                .or_insert_with(|| repository.clone());
        }
        if is_new && found.values().any(|used| *used == repository) {
            repositories.push(repository);
        }
    }
    Ok(found)
}

/// An image may have a layer twice; it is sent once.
fn distinct(layers: &[Descriptor]) -> Vec<&Descriptor> {
    let mut distinct: Vec<&Descriptor> = Vec::new();
    for layer in layers {
        if !distinct.iter().any(|known| known.digest == layer.digest) {
            distinct.push(layer);
        }
    }
    distinct
}
