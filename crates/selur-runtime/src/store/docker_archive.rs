//! What `docker save` wrote before it wrote OCI layouts, and what many tools still write: `manifest.json`, and layers
//! that are mostly not compressed. An image of it gets a manifest here, whose digest follows from its content alone.
//!
//! Source: moby, "Docker Image Specification v1.2", "Combined Image JSON + Filesystem Changeset Format".

use super::content::null_is_default;
use super::digest::Digest;
use super::error::{During, StoreError, quoted};
use super::layout::{Candidate, read_all, too_many};
use super::limits::Limits;
use super::manifest::Descriptor;
use super::packed::Packed;
use super::section::Section;
use super::unpack::decompress::Packing;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Read;

/// The file that marks such an archive.
pub(super) const MARKER: &str = "manifest.json";
const BUFFER_BYTES: usize = 128 << 10;
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default, deserialize_with = "null_is_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    layers: Vec<String>,
}

/// Blobs by their digests.
pub(super) type Blobs = BTreeMap<Digest, Section>;

/// The images of an archive, and the blobs that they consist of. Blocks: compressed layers are hashed.
pub(super) fn read(archive: &Packed, limits: &Limits) -> Result<(Vec<Candidate>, Blobs), StoreError> {
    let bytes = read_all(archive.open_file(MARKER)?.0, MARKER, limits.max_manifest_bytes)?;
    let images: Vec<Saved> = serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Content(format!("{MARKER} is malformed: {error}")))?;
    let names = images.iter().map(|image| image.repo_tags.len().max(1)).sum();
    too_many(names, MARKER, limits)?;
    let mut blobs = Blobs::new();
    let mut known = Known::default();
    let mut candidates = Vec::new();
    for image in images {
        let manifest = describe(archive, &image, limits, &mut blobs, &mut known)?;
        let descriptor = Descriptor {
            media_type: MANIFEST_TYPE.to_owned(),
            digest: Digest::of(&manifest),
            size: manifest.len() as u64,
            platform: None,
            annotations: BTreeMap::new(),
        };
        blobs.insert(descriptor.digest.clone(), Section::of_bytes(manifest));
        candidates.push(Candidate {
            names: image.repo_tags,
            tag: None,
            descriptor,
        });
    }
    Ok((candidates, blobs))
}

/// What was read of the archive already, by where it lies: images share files, and an archive that names one file a
/// thousand times has it read once.
#[derive(Default)]
struct Known {
    configurations: BTreeMap<Option<u64>, (Digest, Vec<Digest>)>,
    /// The digests of compressed layers.
    layers: BTreeMap<Option<u64>, Digest>,
}

impl Known {
    /// A configuration's digest, and the diff_ids in it.
    fn configuration(
        &mut self,
        name: &str,
        section: &Section,
        limits: &Limits,
    ) -> Result<&(Digest, Vec<Digest>), StoreError> {
        match self.configurations.entry(section.place()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let config = read_all(section.clone(), name, limits.max_config_bytes)?;
                let diff_ids = diff_ids(&config)?;
                Ok(place.insert((Digest::of(&config), diff_ids)))
            }
        }
    }

    /// The digest of a compressed layer.
    fn layer(&mut self, name: &str, section: Section) -> Result<Digest, StoreError> {
        match self.layers.entry(section.place()) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => Ok(place.insert(hash(name, section)?).clone()),
        }
    }
}

/// Makes the manifest of an image.
fn describe(
    archive: &Packed,
    image: &Saved,
    limits: &Limits,
    blobs: &mut Blobs,
    known: &mut Known,
) -> Result<Vec<u8>, StoreError> {
    let (section, config_bytes) = archive.open_file(&image.config)?;
    let (config_digest, diff_ids) = known.configuration(&image.config, &section, limits)?.clone();
    if diff_ids.len() != image.layers.len() || image.layers.len() > limits.max_layers {
        return Err(StoreError::Content(format!(
            "{MARKER} names {} layers and the image's configuration {} diff_ids; they must be as many, and at most {}",
            image.layers.len(),
            diff_ids.len(),
            limits.max_layers
        )));
    }
    blobs.insert(config_digest.clone(), section);
    let mut layers = Vec::new();
    for (name, diff_id) in image.layers.iter().zip(diff_ids) {
        let (section, size) = archive.open_file(name)?;
        let packing = beginning(section.clone(), name)?;
        let (digest, suffix) = match packing {
            // Such a layer is its own tar stream. That it is this one is verified when it is taken.
            Packing::Plain => (diff_id, ""),
            Packing::Gzip => (known.layer(name, section.clone())?, "+gzip"),
            Packing::Zstd => (known.layer(name, section.clone())?, "+zstd"),
        };
        layers.push(json!({
            "mediaType": format!("{LAYER_TYPE}{suffix}"), "digest": digest.as_str(), "size": size,
        }));
        blobs.insert(digest, section);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": config_digest.as_str(), "size": config_bytes},
        "layers": layers,
    });
    Ok(manifest.to_string().into_bytes())
}

fn diff_ids(config: &[u8]) -> Result<Vec<Digest>, StoreError> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        #[serde(default, deserialize_with = "null_is_default")]
        diff_ids: Vec<Digest>,
    }
    let config: Config = serde_json::from_slice(config)
        .map_err(|error| StoreError::Content(format!("the image's configuration is malformed: {error}")))?;
    Ok(config.rootfs.diff_ids)
}

fn beginning(section: Section, name: &str) -> Result<Packing, StoreError> {
    let mut bytes = Vec::new();
    let read = section.take(4).read_to_end(&mut bytes);
    read.during(|| format!("reading {}", quoted(name.as_bytes())))?;
    Ok(Packing::of(&bytes))
}

fn hash(name: &str, mut section: Section) -> Result<Digest, StoreError> {
    let mut hasher = Digest::sha256();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = section.read(&mut buffer);
        match read.during(|| format!("reading {}", quoted(name.as_bytes())))? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finish())
}
