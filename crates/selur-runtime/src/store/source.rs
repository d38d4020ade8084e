//! Where an image comes from: a registry, or a layout in files. Everything that leaves here is bounded and verified.

use super::digest::Digest;
use super::disk::{Workspace, random_name};
use super::error::{During, StoreError};
use super::layout::{Layout, read_all};
use super::limits::Limits;
use super::manifest::Descriptor;
use super::registry::{Item, Registry};
use selur_protocol::{DEFAULT_TAG, ImageReference};
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Chunks that may wait for the disk.
const CHUNKS_IN_FLIGHT: usize = 16;
const COPY_BYTES: usize = 128 << 10;

pub(super) enum Source {
    Registry(Box<Registry>),
    /// And the manifest or index of the one image that is wanted.
    Layout(Layout, Descriptor),
}

/// A document's bytes and their digest.
pub(super) struct Found {
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
}

impl Source {
    /// The manifest or index that a reference stands for.
    pub(super) async fn start(
        &self,
        reference: &ImageReference<'_>,
        limits: &Limits,
    ) -> Result<Found, StoreError> {
        let digest = reference.digest().and_then(Digest::parse);
        let registry = match (self, &digest) {
            (Source::Layout(_, entry), None) => return self.manifest(&entry.digest, limits).await,
            (Source::Layout(_, entry), Some(digest)) if *digest != entry.digest => {
                return Err(StoreError::Invalid(format!(
                    "what is loaded as {reference} has another digest, {}: name it by a tag",
                    entry.digest
                )));
            }
            (_, Some(digest)) => return self.manifest(digest, limits).await,
            (Source::Registry(registry), None) => registry,
        };
        let tag = reference.tag();
        let response = registry.open(Item::Manifest(tag.unwrap_or(DEFAULT_TAG))).await?;
        let promised = response
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok());
        let promised = promised.and_then(Digest::parse);
        let bytes = registry.read(response, limits.max_manifest_bytes).await?;
        if let Some(promised) = promised.filter(|promised| !promised.matches(&bytes)) {
            return Err(mismatch(&promised));
        }
        Ok(Found {
            digest: Digest::of(&bytes),
            bytes,
        })
    }

    /// The manifest or index of a digest.
    pub(super) async fn manifest(&self, digest: &Digest, limits: &Limits) -> Result<Found, StoreError> {
        let bytes = match self {
            Source::Registry(registry) => {
                let response = registry.open(Item::Manifest(digest.as_str())).await?;
                registry.read(response, limits.max_manifest_bytes).await?
            }
            Source::Layout(layout, _) => read_blob(layout, digest, limits.max_manifest_bytes).await?,
        };
        verified(digest.clone(), bytes)
    }

    /// A small blob whole, of exactly the size that its descriptor says.
    pub(super) async fn small_blob(&self, descriptor: &Descriptor) -> Result<Found, StoreError> {
        let bytes = match self {
            Source::Registry(registry) => {
                let response = registry.open(Item::Blob(&descriptor.digest)).await?;
                registry.read(response, descriptor.size).await?
            }
            Source::Layout(layout, _) => read_blob(layout, &descriptor.digest, descriptor.size).await?,
        };
        verified(descriptor.digest.clone(), bytes)
    }

    /// Brings a blob into a file of the workspace. `progress` learns how many bytes are there.
    pub(super) async fn download(
        &self,
        descriptor: &Descriptor,
        workspace: &Arc<Workspace>,
        stop: &CancellationToken,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<PathBuf, StoreError> {
        let path = workspace.path().join(random_name()?);
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let write = {
            let (path, descriptor, workspace) = (path.clone(), descriptor.clone(), Arc::clone(workspace));
            spawn_blocking(move || {
                let result = write_verified(&path, &descriptor, receiver);
                drop(workspace);
                result
            })
        };
        let send = async {
            match self {
                Source::Registry(registry) => send_blob(registry, descriptor, sender, progress).await,
                Source::Layout(layout, _) => send_file(layout, descriptor, sender, progress).await,
            }
        };
        let sent = tokio::select! {
            () = stop.cancelled() => Err(StoreError::Cancelled),
            sent = send => sent,
        };
        // The writer ends when nothing more can be sent; only then is the workspace free.
        let written = joined(write.await);
        sent.and(written)?;
        Ok(path)
    }
}

async fn send_blob(
    registry: &Registry,
    descriptor: &Descriptor,
    sender: mpsc::Sender<Vec<u8>>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), StoreError> {
    let mut response = registry.open(Item::Blob(&descriptor.digest)).await?;
    if let Some(length) = response
        .content_length()
        .filter(|length| *length != descriptor.size)
    {
        return Err(wrong_size(descriptor, &format!("{length} bytes")));
    }
    let mut received = 0u64;
    while let Some(chunk) = response.chunk().await.map_err(|error| registry.broken(&error))? {
        received += chunk.len() as u64;
        if received > descriptor.size {
            return Err(wrong_size(descriptor, "more"));
        }
        if sender.send(chunk.to_vec()).await.is_err() {
            // The writer has failed and says why.
            return Ok(());
        }
        progress(received);
    }
    Ok(())
}

async fn send_file(
    layout: &Layout,
    descriptor: &Descriptor,
    sender: mpsc::Sender<Vec<u8>>,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), StoreError> {
    let (layout, digest) = (layout.clone(), descriptor.digest.clone());
    let mut section = joined(spawn_blocking(move || layout.open_blob(&digest)).await)?;
    let mut received = 0u64;
    loop {
        let what = format!("reading {} of the layout", descriptor.digest);
        let read = spawn_blocking(move || {
            let mut chunk = Vec::with_capacity(COPY_BYTES);
            let read = section.by_ref().take(COPY_BYTES as u64).read_to_end(&mut chunk);
            read.during(|| what)?;
            Ok((section, chunk))
        });
        let (rest, chunk) = joined(read.await)?;
        section = rest;
        if chunk.is_empty() {
            return Ok(());
        }
        received += chunk.len() as u64;
        if received > descriptor.size {
            return Err(wrong_size(descriptor, "more"));
        }
        if sender.send(chunk).await.is_err() {
            return Ok(());
        }
        progress(received);
    }
}

fn write_verified(
    path: &std::path::Path,
    descriptor: &Descriptor,
    mut chunks: mpsc::Receiver<Vec<u8>>,
) -> Result<(), StoreError> {
    let what = || format!("writing {}", path.display());
    let mut file = File::create_new(path).during(what)?;
    let mut hasher = descriptor.digest.hasher();
    let mut written = 0u64;
    while let Some(chunk) = chunks.blocking_recv() {
        hasher.update(&chunk);
        file.write_all(&chunk).during(what)?;
        written += chunk.len() as u64;
    }
    if written != descriptor.size {
        return Err(wrong_size(descriptor, &format!("{written} bytes")));
    }
    if hasher.finish() != descriptor.digest {
        return Err(mismatch(&descriptor.digest));
    }
    Ok(())
}

async fn read_blob(layout: &Layout, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
    let (layout, digest) = (layout.clone(), digest.clone());
    let read = spawn_blocking(move || read_all(layout.open_blob(&digest)?, digest.as_str(), max_bytes));
    joined(read.await)
}

fn verified(digest: Digest, bytes: Vec<u8>) -> Result<Found, StoreError> {
    if digest.matches(&bytes) {
        Ok(Found { digest, bytes })
    } else {
        Err(mismatch(&digest))
    }
}

fn mismatch(digest: &Digest) -> StoreError {
    StoreError::Content(format!(
        "what came for {digest} does not have this digest: it was damaged or forged on its way; try again, and if it \
         stays so do not trust this source"
    ))
}

fn wrong_size(descriptor: &Descriptor, actual: &str) -> StoreError {
    StoreError::Content(format!(
        "{} should have {} bytes and comes with {actual}: try again, and if it stays so push the image again",
        descriptor.digest, descriptor.size
    ))
}

/// The result of blocking work; a panic in it becomes an error.
pub(super) fn joined<T>(
    result: Result<Result<T, StoreError>, tokio::task::JoinError>,
) -> Result<T, StoreError> {
    match result {
        Ok(result) => result,
        Err(error) => Err(std::io::Error::other(error)).during(|| "working on the image store".to_owned()),
    }
}
