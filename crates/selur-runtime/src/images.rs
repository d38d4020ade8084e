//! Images as a runtime shows them: what can be pulled, loaded, listed and deleted.

use crate::RuntimeError;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// One image of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The reference in full: `docker.io/library/nginx:latest`.
    pub reference: String,
    /// The digest of the manifest for this platform.
    pub digest: String,
    /// The compressed size of its layers, in bytes.
    pub size_bytes: u64,
    /// When the image was built, as its configuration says: RFC 3339.
    pub created_at: Option<String>,
}

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullProgress {
    /// The manifest is known: its digest, and each layer's digest and size in bytes.
    Resolved {
        /// The digest of the manifest for this platform.
        digest: String,
        /// Digest and compressed size of each layer, bottom first.
        layers: Vec<(String, u64)>,
    },
    /// So many bytes of a layer are here.
    Downloaded {
        /// Which layer.
        layer: String,
        /// Bytes so far.
        bytes: u64,
    },
    /// A layer is complete: verified and unpacked, or there already.
    LayerDone {
        /// Which layer.
        layer: String,
    },
}

/// Receives the progress of a pull. It must return at once.
pub type ProgressSink<'a> = &'a (dyn Fn(PullProgress) + Send + Sync);

/// The images that a runtime has.
pub trait Images: Send + Sync {
    /// Fetches an image from its registry, whether the store has it or not; layers that are there are not fetched.
    ///
    /// # Errors
    /// - `invalid_request`: no image reference.
    /// - `image_not_found`: no such image, or none for this platform.
    /// - `permission_denied`: the registry refuses these credentials.
    /// - `network_error`: the registry is unreachable, breaks off, or sends what its digests deny.
    /// - `resource_exhausted`: the disk is full, or the image over the size cap.
    /// - `unsupported`: the image needs what is not built, such as encrypted layers.
    /// - `cancelled`: `abort` was triggered.
    fn pull<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Image, RuntimeError>>;

    /// Takes an image from an OCI image layout directory into the store, under this reference.
    ///
    /// # Errors
    /// As [`Images::pull`], without the network; `invalid_request` if there is no layout, or what it holds is broken.
    fn load<'a>(&'a self, layout: &'a Path, reference: &'a str)
    -> BoxFuture<'a, Result<Image, RuntimeError>>;

    /// Every image of the store, ordered by reference.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Image>, RuntimeError>>;

    /// Removes a reference, and what no other reference and no container uses.
    ///
    /// # Errors
    /// - `image_not_found`: the store lacks it.
    /// - `invalid_state`: a container is made from it; the message names one.
    fn delete<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>>;
}
