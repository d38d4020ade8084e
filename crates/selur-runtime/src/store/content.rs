//! What the store hands to a container: the image's configuration and its unpacked layers.

use super::leases::Lease;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An image that is complete on disk.
///
/// While this value lives, no deletion in any process removes what it names. Before dropping it, a caller that goes on
/// using the layers calls [`super::Store::pin`].
#[derive(Debug)]
pub struct ImageContent {
    /// The reference in full: `docker.io/library/nginx:latest`. Empty if the image was opened by its digest.
    pub reference: String,
    /// The digest of the manifest for this platform: `sha256:` and 64 hex digits.
    pub manifest_digest: String,
    /// How the image wants to be run.
    pub config: ImageConfig,
    /// The layers as directories in overlayfs form, bottom first, none twice: what an overlay takes as `lowerdir`, in
    /// reverse. Empty for an image without layers. All of them are directly in one directory and their names
    /// are 32 digits long, so that relative names fit the mount options of older kernels (one page).
    pub layers: Vec<PathBuf>,
    pub(super) _lease: Lease,
}

/// How an image wants to be run. What is absent in the image is empty here.
///
/// Source: OCI image specification 1.1, "Image Configuration", `config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `user`, `user:group`, names or numbers.
    #[serde(deserialize_with = "null_is_default")]
    pub user: String,
    /// `KEY=VALUE`.
    #[serde(deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// The beginning of the command line.
    #[serde(deserialize_with = "null_is_default")]
    pub entrypoint: Vec<String>,
    /// The rest of the command line, or all of it without an entrypoint.
    #[serde(deserialize_with = "null_is_default")]
    pub cmd: Vec<String>,
    /// An absolute path in the container; empty is `/`.
    #[serde(deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// Names and values.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// What stop sends first: a name such as `SIGTERM` or a number.
    #[serde(deserialize_with = "null_is_default")]
    pub stop_signal: String,
    /// `port/protocol`; the values are empty objects.
    #[serde(deserialize_with = "null_is_default")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// Paths that hold data of their own; the values are empty objects.
    #[serde(deserialize_with = "null_is_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
}

/// Docker writes `null` where it means nothing.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
