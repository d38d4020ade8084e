//! The documents of an image: index, manifest and configuration, parsed and checked.
//!
//! Source: OCI image specification 1.1, and Docker's image manifest version 2, schema 2, which differ in media types
//! only.

use super::content::{ImageConfig, null_is_default};
use super::digest::Digest;
use super::error::{StoreError, quoted};
use super::limits::Limits;
use super::platform::Platform;
use serde::Deserialize;

/// What a registry is asked for: every document that [`Document::parse`] understands.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

const OCI_MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

const CONFIG_TYPES: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

const LAYER_TYPES: [&str; 9] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// Points to content: its type, its digest and its size.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: Digest,
    /// In bytes.
    pub(super) size: u64,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) annotations: std::collections::BTreeMap<String, String>,
}

/// A manifest or an index.
pub(super) enum Document {
    Index(Vec<Descriptor>),
    Manifest(Manifest),
}

/// One image for one platform.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    media_type: Option<String>,
    pub(super) config: Descriptor,
    /// Bottom first.
    pub(super) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: Option<u32>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Document {
    /// Reads a document and checks everything but its digest.
    pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Document, StoreError> {
        let raw: RawDocument = serde_json::from_slice(bytes)
            .map_err(|error| StoreError::Content(format!("the manifest is malformed: {error}")))?;
        if raw.schema_version != Some(2) {
            return Err(StoreError::Unsupported(
                "the manifest is not of schema version 2, which every registry has had since 2017: \
                 build and push the image again"
                    .to_owned(),
            ));
        }
        // A document that is both could mean one image to us and another to whoever scanned it (CVE-2021-41190).
        match (raw.manifests, raw.config, raw.layers) {
            (Some(manifests), None, None) => Ok(Document::Index(manifests)),
            (None, Some(config), Some(layers)) => {
                let manifest = Manifest {
                    media_type: raw.media_type,
                    config,
                    layers,
                };
                manifest.check(limits)?;
                Ok(Document::Manifest(manifest))
            }
            _ => Err(StoreError::Content(format!(
                "the manifest of media type {} is neither an image's (config and layers) nor an index (manifests)",
                quoted(raw.media_type.unwrap_or_default().as_bytes())
            ))),
        }
    }
}

impl Manifest {
    /// The compressed size of all layers, in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        self.layers
            .iter()
            .map(|layer| layer.size)
            .fold(0, u64::saturating_add)
    }

    /// What a registry is told that it is. A document need not say it of itself.
    pub(super) fn media_type(&self) -> &'static str {
        match self.media_type.as_deref() {
            Some(OCI_MANIFEST_TYPE) => OCI_MANIFEST_TYPE,
            Some(DOCKER_MANIFEST_TYPE) => DOCKER_MANIFEST_TYPE,
            _ if self.config.media_type == CONFIG_TYPES[1] => DOCKER_MANIFEST_TYPE,
            _ => OCI_MANIFEST_TYPE,
        }
    }

    fn check(&self, limits: &Limits) -> Result<(), StoreError> {
        if !CONFIG_TYPES.contains(&self.config.media_type.as_str()) {
            return Err(StoreError::NotFound(format!(
                "this is no container image but an artifact with a configuration of type {}: name an image",
                quoted(self.config.media_type.as_bytes())
            )));
        }
        if self.config.size > limits.max_config_bytes {
            return Err(StoreError::TooLarge(format!(
                "the image's configuration has {} bytes; at most {} are taken",
                self.config.size, limits.max_config_bytes
            )));
        }
        if self.layers.len() > limits.max_layers {
            return Err(StoreError::TooLarge(format!(
                "the image has {} layers; at most {} can be mounted: squash it",
                self.layers.len(),
                limits.max_layers
            )));
        }
        for layer in &self.layers {
            if !LAYER_TYPES.contains(&layer.media_type.as_str()) {
                return Err(StoreError::Unsupported(format!(
                    "layer {} is of type {}; only tar, plain or compressed by gzip or zstd, can be unpacked",
                    layer.digest,
                    quoted(layer.media_type.as_bytes())
                )));
            }
            if layer.size > limits.max_blob_bytes {
                return Err(StoreError::TooLarge(format!(
                    "layer {} has {} bytes; at most {} are taken",
                    layer.digest, layer.size, limits.max_blob_bytes
                )));
            }
        }
        Ok(())
    }
}

/// An image's configuration document.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Configuration {
    #[serde(flatten)]
    pub(super) platform: Platform,
    #[serde(default)]
    pub(super) created: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) config: ImageConfig,
    rootfs: RootFs,
}

#[derive(Clone, Debug, Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "null_is_default")]
    diff_ids: Vec<Digest>,
}

impl Configuration {
    /// Reads the configuration that belongs to a manifest, and checks everything but its digest and platform.
    pub(super) fn parse(bytes: &[u8], manifest: &Manifest) -> Result<Configuration, StoreError> {
        let configuration: Configuration = serde_json::from_slice(bytes).map_err(|error| {
            StoreError::Content(format!("the image's configuration is malformed: {error}"))
        })?;
        let (layers, diff_ids) = (manifest.layers.len(), configuration.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(StoreError::Content(format!(
                "the image has {layers} layers and {diff_ids} diff_ids, which must be as many: build it again"
            )));
        }
        Ok(configuration)
    }

    /// The digest of each layer when it is decompressed, bottom first.
    pub(super) fn diff_ids(&self) -> &[Digest] {
        &self.rootfs.diff_ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        match Document::parse(json.as_bytes(), &Limits::default()) {
            Ok(_) => format!("{json} was taken"),
            Err(error) => error.to_string(),
        }
    }

    fn descriptor(media_type: &str, size: u64) -> String {
        let hex = "a".repeat(64);
        format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{hex}","size":{size}}}"#)
    }

    fn manifest(config: &str, layers: &[String]) -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
            layers.join(",")
        )
    }

    #[test]
    fn documents_that_are_no_images_are_refused_with_the_reason() {
        let config = descriptor(CONFIG_TYPES[0], 2);
        let layer = descriptor(LAYER_TYPES[1], 2);
        let many: Vec<String> = (0..128).map(|_| layer.clone()).collect();
        let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#);
        let cases = [
            ("".to_owned(), "malformed"),
            ("[]".to_owned(), "malformed"),
            (r#"{"schemaVersion":1}"#.to_owned(), "schema version 2"),
            (r#"{"schemaVersion":2}"#.to_owned(), "neither"),
            (both, "neither"),
            (manifest(&descriptor("application/vnd.helm", 2), &[]), "artifact"),
            (
                manifest(&descriptor(CONFIG_TYPES[0], 9 << 20), &[]),
                "configuration has",
            ),
            (
                manifest(&config, &[descriptor("application/x-encrypted", 2)]),
                "only tar",
            ),
            (
                manifest(&config, &[descriptor(LAYER_TYPES[0], u64::MAX)]),
                "at most",
            ),
            (manifest(&config, &many), "squash"),
            (
                manifest(r#"{"digest":"sha256:../../etc","size":1}"#, &[]),
                "no digest",
            ),
            (
                manifest(
                    &descriptor(CONFIG_TYPES[0], 2).replace("\"size\":2", "\"size\":-2"),
                    &[],
                ),
                "malformed",
            ),
        ];
        for (json, words) in cases {
            let message = refusal(&json);
            assert!(message.contains(words), "{json}: {message}");
        }
        assert!(Document::parse(manifest(&config, &[layer]).as_bytes(), &Limits::default()).is_ok());
    }

    #[test]
    fn nulls_in_a_configuration_mean_nothing() {
        let Ok(Document::Manifest(manifest)) = Document::parse(
            manifest(&descriptor(CONFIG_TYPES[1], 2), &[]).as_bytes(),
            &Limits::default(),
        ) else {
            panic!("the manifest is refused");
        };
        let json = r#"{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Entrypoint":null,"Env":null,
            "Labels":null,"ExposedPorts":null,"Unknown":1},"rootfs":{"type":"layers","diff_ids":null}}"#;
        let configuration = Configuration::parse(json.as_bytes(), &manifest).unwrap();
        assert_eq!(configuration.config.cmd, ["sh"]);
        assert!(configuration.config.entrypoint.is_empty());
        let wrong = r#"{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":[]}}"#;
        assert!(Configuration::parse(wrong.as_bytes(), &manifest).is_ok());
    }
}
