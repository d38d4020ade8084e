//! Images as a runtime shows them: what can be pulled, loaded, listed and deleted.

use crate::RuntimeError;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// One image of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Image {
    /// The reference in full: `docker.io/library/nginx:latest`.
    pub reference: String,
    /// The digest of the manifest for this platform.
    pub digest: String,
    /// The compressed size of its layers, in bytes.
    pub size_bytes: u64,
    /// When the image was built, as its configuration says: RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: Option<String>,
}

/// How far a pull or a push is. A reader that is slow sees fewer of them, never an older one after a newer one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum PullProgress {
    /// The manifest is known: its digest, and each layer's digest and size in bytes.
    Resolved {
        /// The digest of the manifest for this platform.
        digest: String,
        /// Digest and compressed size of each layer, bottom first.
        layers: Vec<(String, u64)>,
    },
    /// So many bytes of a layer are transferred.
    Transferred {
        /// Which layer.
        layer: String,
        /// Bytes so far.
        bytes: u64,
    },
    /// A layer is complete: verified and unpacked, or there already; of a push: the registry has it.
    LayerDone {
        /// Which layer.
        layer: String,
    },
}

/// What a push ended with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Pushed {
    /// The reference in full.
    pub reference: String,
    /// The digest of the manifest that the registry has now.
    pub digest: String,
}

/// What is pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PruneOptions {
    /// Also images that have a name, if no container uses them.
    pub all: bool,
    /// Only to tell what would be removed.
    pub dry_run: bool,
}

/// What a prune removed, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Pruned {
    /// The references that lost their image.
    pub references: Vec<String>,
    /// How many unpacked layers.
    pub layers: u64,
    /// The room that is freed on the disk, in bytes.
    pub freed_bytes: u64,
}

/// Receives the progress of a pull or a push. It must return at once.
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

    /// Takes images into the store: from an OCI image layout directory, or an archive of one, or one that `docker save`
    /// wrote, plain or compressed; `/dev/stdin` is this process's input. With a reference there must be one image, which gets this name; else each has the name that it brings.
    ///
    /// # Errors
    /// As [`Images::pull`], without the network; `invalid_request` if there is no layout, an image has no name, or what is
    /// there is broken.
    fn load<'a>(
        &'a self,
        path: &'a Path,
        reference: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<Image>, RuntimeError>>;

    /// Sends an image of the store to the registry that its reference names.
    ///
    /// # Errors
    /// As [`Images::pull`]; `image_not_found` if the store lacks it.
    fn push<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Pushed, RuntimeError>> {
        let _ = (reference, progress, abort);
        crate::lacking("", "push of images")
    }

    /// Gives an image of the store another name; one that another image has is taken from that.
    ///
    /// # Errors
    /// `invalid_request`: no image reference. `image_not_found`: the store lacks it.
    fn tag<'a>(&'a self, reference: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        let _ = (reference, name);
        crate::lacking("", "tag of images")
    }

    /// Removes what nothing uses.
    ///
    /// # Errors
    /// The disk's.
    fn prune(&self, options: PruneOptions) -> BoxFuture<'_, Result<Pruned, RuntimeError>> {
        let _ = options;
        crate::lacking("", "prune of images")
    }

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
