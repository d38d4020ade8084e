//! Ways in for the fuzzers (`fuzz/src/images.rs`): what an image says of itself, read as a pull and a load read it. No part
//! of the interface, and nothing here may decide anything.

use super::Store;
use super::error::StoreError;
use super::layout::{Layout, read_all};
use super::limits::Limits;
use super::manifest::{Configuration, Document, Manifest};
use super::platform::Platform;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// What documents say.
#[derive(Debug)]
pub enum Documents {
    /// An index: the digests that it names, and the one for this platform.
    Index {
        /// Of each entry.
        digests: Vec<String>,
        /// One of them.
        chosen: Option<String>,
    },
    /// A manifest: the digests and sizes of its layers, and what came of its configuration.
    Manifest {
        /// Bottom first.
        layers: Vec<(String, u64)>,
        /// Of all layers.
        size_bytes: u64,
        /// How many diff_ids it has; the words of its refusal.
        configuration: Result<usize, String>,
    },
}

/// Reads a manifest or an index, and the configuration that belongs to a manifest.
///
/// # Errors
/// The words of the refusal.
pub fn documents(document: &[u8], configuration: &[u8]) -> Result<Documents, String> {
    let limits = Limits::default();
    match Document::parse(document, &limits).map_err(words)? {
        Document::Index(entries) => Ok(Documents::Index {
            digests: entries.iter().map(|entry| entry.digest.to_string()).collect(),
            chosen: Platform::here()
                .choose(&entries)
                .map(|entry| entry.digest.to_string()),
        }),
        Document::Manifest(manifest) => Ok(Documents::Manifest {
            layers: manifest
                .layers
                .iter()
                .map(|layer| (layer.digest.to_string(), layer.size))
                .collect(),
            size_bytes: manifest.size_bytes(),
            configuration: count(configuration, &manifest),
        }),
    }
}

fn count(configuration: &[u8], manifest: &Manifest) -> Result<usize, String> {
    let configuration = Configuration::parse(configuration, manifest).map_err(words)?;
    Ok(configuration.diff_ids().len())
}

/// Opens an archive or a layout directory and reads every image in it down to its configuration, but for digests. Gives
/// the names.
///
/// # Errors
/// The words of the refusal.
pub fn layout(store: &Store, path: &Path) -> Result<Vec<String>, String> {
    let limits = &store.options.limits;
    let stop = CancellationToken::new();
    let layout = Layout::open(path, &store.directories, limits, &stop).map_err(words)?;
    let mut names = Vec::new();
    for (name, descriptor) in layout.choose(None, limits).map_err(words)? {
        let manifest = layout.open_blob(&descriptor.digest).map_err(words)?;
        let manifest = read_all(manifest, "a manifest", limits.max_manifest_bytes).map_err(words)?;
        if let Document::Manifest(manifest) = Document::parse(&manifest, limits).map_err(words)? {
            let configuration = layout.open_blob(&manifest.config.digest).map_err(words)?;
            let configuration =
                read_all(configuration, "a configuration", limits.max_config_bytes).map_err(words)?;
            count(&configuration, &manifest)?;
        }
        names.push(name);
    }
    Ok(names)
}

fn words(error: StoreError) -> String {
    error.to_string()
}
