//! Caps on what an image may make the store do.

use std::time::Duration;

/// How much the store takes from a registry or a layout before it refuses with `resource_exhausted`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest manifest or index. Source: OCI distribution specification 1.1, "Pushing Manifests": 4 MiB.
    pub max_manifest_bytes: u64,
    /// The longest image configuration.
    pub max_config_bytes: u64,
    /// The most layers. Each overlay takes at most 500; Docker builds at most 127.
    pub max_layers: usize,
    /// The most bytes that one layer may have as it is downloaded.
    pub max_blob_bytes: u64,
    /// The most bytes that one layer may have when it is decompressed.
    pub max_layer_bytes: u64,
    /// The most files, directories and links in one layer.
    pub max_layer_entries: u64,
    /// How long a registry may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a registry may stay silent within an answer.
    pub silence_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_manifest_bytes: 4 << 20,
            max_config_bytes: 8 << 20,
            max_layers: 127,
            max_blob_bytes: 64 << 30,
            max_layer_bytes: 128 << 30,
            max_layer_entries: 2_000_000,
            connect_timeout: Duration::from_secs(30),
            silence_timeout: Duration::from_secs(60),
        }
    }
}
