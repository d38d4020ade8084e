//! Images: built in memory, written as a layout directory or pushed to a registry.

use crate::{DockerRegistry, Tarball};
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const BUSYBOX: &str = "/bin/busybox";

/// The sha256 digest of bytes, with its algorithm.
pub fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in ring::digest::digest(&ring::digest::SHA256, bytes).as_ref() {
        write!(text, "{byte:02x}").expect("a string takes all");
    }
    text
}

/// How a layer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// As gzip.
    Gzip,
    /// As zstd.
    Zstd,
}

/// A layer: its bytes as they are transported, and the digest of its tar stream.
#[derive(Clone, Debug)]
pub struct Layer {
    blob: Arc<[u8]>,
    diff_id: String,
    media_type: &'static str,
}

impl Layer {
    /// A layer of a tar stream.
    pub fn new(tar: &[u8], compression: Compression) -> Layer {
        let (blob, media_type) = match compression {
            Compression::None => (tar.to_vec(), "application/vnd.oci.image.layer.v1.tar"),
            Compression::Gzip => (gzip(tar), "application/vnd.oci.image.layer.v1.tar+gzip"),
            Compression::Zstd => (zstd(tar), "application/vnd.oci.image.layer.v1.tar+zstd"),
        };
        Layer {
            blob: blob.into(),
            diff_id: digest(tar),
            media_type,
        }
    }

    /// A layer of any bytes that claims to be of any stream; its type says gzip.
    pub fn forged(blob: Vec<u8>, diff_id: &str) -> Layer {
        Layer {
            blob: blob.into(),
            diff_id: diff_id.to_owned(),
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
        }
    }

    /// The bytes as they are transported.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The digest of the bytes as they are transported.
    pub fn digest(&self) -> String {
        digest(&self.blob)
    }

    /// The digest of the tar stream.
    pub fn diff_id(&self) -> &str {
        &self.diff_id
    }
}

impl From<Tarball> for Layer {
    fn from(tarball: Tarball) -> Layer {
        Layer::new(&tarball.finish(), Compression::Gzip)
    }
}

/// Builds an image, by default for this machine's platform.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    layers: Vec<Layer>,
    config: serde_json::Map<String, Value>,
    architecture: String,
    os: String,
}

impl ImageBuilder {
    /// An image without layers.
    pub fn empty() -> ImageBuilder {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        ImageBuilder {
            layers: Vec::new(),
            config: serde_json::Map::new(),
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
        }
    }

    /// An image with busybox and all its applets in `/bin`, whose command is `/bin/sh`.
    ///
    /// # Panics
    /// `/bin/busybox` is missing.
    pub fn busybox() -> ImageBuilder {
        static LAYER: OnceLock<Layer> = OnceLock::new();
        ImageBuilder::empty()
            .layer(LAYER.get_or_init(busybox_layer).clone())
            .env(["PATH=/bin"])
            .cmd(["/bin/sh"])
    }

    /// Puts a layer on top.
    pub fn layer(mut self, layer: impl Into<Layer>) -> ImageBuilder {
        self.layers.push(layer.into());
        self
    }

    /// Puts a layer of files on top: paths with their contents, of mode 0755.
    pub fn files<'a>(self, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> ImageBuilder {
        let tarball = files
            .into_iter()
            .fold(Tarball::new(), |tarball, (path, contents)| {
                tarball.file(path, 0o755, contents)
            });
        self.layer(tarball)
    }

    /// The command.
    pub fn cmd<S: Into<String>>(self, words: impl IntoIterator<Item = S>) -> ImageBuilder {
        self.config("Cmd", strings(words))
    }

    /// The entrypoint.
    pub fn entrypoint<S: Into<String>>(self, words: impl IntoIterator<Item = S>) -> ImageBuilder {
        self.config("Entrypoint", strings(words))
    }

    /// The environment, `KEY=VALUE`.
    pub fn env<S: Into<String>>(self, entries: impl IntoIterator<Item = S>) -> ImageBuilder {
        self.config("Env", strings(entries))
    }

    /// The user.
    pub fn user(self, user: &str) -> ImageBuilder {
        self.config("User", json!(user))
    }

    /// The working directory.
    pub fn working_directory(self, path: &str) -> ImageBuilder {
        self.config("WorkingDir", json!(path))
    }

    /// The stop signal.
    pub fn stop_signal(self, signal: &str) -> ImageBuilder {
        self.config("StopSignal", json!(signal))
    }

    /// One label.
    pub fn label(mut self, key: &str, value: &str) -> ImageBuilder {
        let labels = self.config.entry("Labels").or_insert_with(|| json!({}));
        labels[key] = json!(value);
        self
    }

    /// Any field of the configuration's `config`.
    pub fn config(mut self, key: &str, value: Value) -> ImageBuilder {
        self.config.insert(key.to_owned(), value);
        self
    }

    /// Another platform than this machine's.
    pub fn platform(mut self, os: &str, architecture: &str) -> ImageBuilder {
        (self.os, self.architecture) = (os.to_owned(), architecture.to_owned());
        self
    }

    /// The finished image.
    pub fn build(&self) -> BuiltImage {
        let config = json!({
            "created": "2024-01-01T00:00:00Z",
            "os": self.os,
            "architecture": self.architecture,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": self.layers.iter().map(Layer::diff_id).collect::<Vec<_>>()},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, &config),
            "layers": self.layers.iter().map(|layer| descriptor(layer.media_type, &layer.blob)).collect::<Vec<_>>(),
        });
        BuiltImage {
            manifest: manifest.to_string().into_bytes(),
            config,
            layers: self.layers.clone(),
            os: self.os.clone(),
            architecture: self.architecture.clone(),
        }
    }

    /// Writes an OCI image layout directory, which must not exist or be empty, and gives the image back.
    pub fn write_layout(&self, directory: impl AsRef<Path>) -> BuiltImage {
        let image = self.build();
        image.write_layout(directory.as_ref());
        image
    }

    /// Pushes the image as `name:tag` and gives the whole reference back.
    pub fn push(&self, registry: &DockerRegistry, name_and_tag: &str) -> String {
        registry.push(&self.build(), name_and_tag)
    }
}

/// An image with all its bytes.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// The layers, bottom first.
    pub layers: Vec<Layer>,
    os: String,
    architecture: String,
}

impl BuiltImage {
    /// The manifest's digest.
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// The bytes of the configuration and of each layer.
    pub fn blobs(&self) -> Vec<&[u8]> {
        let layers = self.layers.iter().map(Layer::blob);
        std::iter::once(self.config.as_slice()).chain(layers).collect()
    }

    /// The manifest's media type.
    pub fn media_type(&self) -> &'static str {
        MANIFEST_TYPE
    }

    /// Adds the image to an archive in the older form of `docker save`: the layers' tar streams as they are given, the
    /// configuration, and what `manifest.json` is to say of them. The archive's maker writes that file.
    pub fn save_docker(&self, tarball: Tarball, layers: &[&[u8]], names: &[&str]) -> (Tarball, Value) {
        let mut tarball = tarball;
        let mut paths = Vec::new();
        for (layer, bytes) in self.layers.iter().zip(layers) {
            let path = format!("{}/layer.tar", layer.diff_id.trim_start_matches("sha256:"));
            tarball = tarball.file(&path, 0o644, bytes);
            paths.push(path);
        }
        let config = format!("{}.json", digest(&self.config).trim_start_matches("sha256:"));
        let tarball = tarball.file(&config, 0o644, &self.config);
        (
            tarball,
            json!({"Config": config, "RepoTags": names, "Layers": paths}),
        )
    }

    fn descriptor(&self) -> Value {
        let mut descriptor = descriptor(MANIFEST_TYPE, &self.manifest);
        descriptor["platform"] = json!({"os": self.os, "architecture": self.architecture});
        descriptor
    }

    fn write_layout(&self, directory: &Path) {
        let write = |path: &str, bytes: &[u8]| {
            std::fs::write(directory.join(path), bytes)
                .unwrap_or_else(|error| panic!("cannot write {path} of a layout: {error}"));
        };
        let blobs = directory.join("blobs/sha256");
        std::fs::create_dir_all(&blobs)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", blobs.display()));
        for blob in self.blobs().into_iter().chain([self.manifest.as_slice()]) {
            write(&format!("blobs/{}", digest(blob).replace(':', "/")), blob);
        }
        write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        write("index.json", &ImageIndex::new([self.clone()]).bytes);
    }
}

/// Writes a layout directory's files into a tar archive, as `tar -C LAYOUT -c .` does.
pub fn layout_tar(directory: impl AsRef<Path>) -> Vec<u8> {
    fn add(tarball: Tarball, directory: &Path, prefix: &str) -> Tarball {
        let mut paths: Vec<_> = std::fs::read_dir(directory)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", directory.display()))
            .map(|entry| entry.expect("a directory can be read to its end").path())
            .collect();
        paths.sort();
        paths.iter().fold(tarball, |tarball, path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{prefix}/{name}");
            if path.is_dir() {
                return add(tarball.directory(&name, 0o755), path, &name);
            }
            let contents =
                std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
            tarball.file(&name, 0o644, contents)
        })
    }
    add(Tarball::new(), directory.as_ref(), ".").finish()
}

/// An index of images for several platforms.
#[derive(Clone, Debug)]
pub struct ImageIndex {
    /// The index's bytes.
    pub bytes: Vec<u8>,
    /// The images.
    pub images: Vec<BuiltImage>,
}

impl ImageIndex {
    /// An index of these images.
    pub fn new(images: impl IntoIterator<Item = BuiltImage>) -> ImageIndex {
        let images: Vec<BuiltImage> = images.into_iter().collect();
        let manifests: Vec<Value> = images.iter().map(BuiltImage::descriptor).collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests});
        ImageIndex {
            bytes: index.to_string().into_bytes(),
            images,
        }
    }

    /// The index's digest.
    pub fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// The index's media type.
    pub fn media_type(&self) -> &'static str {
        INDEX_TYPE
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn strings<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Value {
    Value::Array(words.into_iter().map(|word| Value::String(word.into())).collect())
}

/// Packs bytes as gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Packs bytes as zstd.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn busybox_layer() -> Layer {
    let program = std::fs::read(BUSYBOX).unwrap_or_else(|error| {
        panic!("cannot read {BUSYBOX}: {error}; install Debian's package busybox-static (apt-get install busybox-static)")
    });
    let listed = std::process::Command::new(BUSYBOX).arg("--list").output();
    let applets = listed
        .unwrap_or_else(|error| panic!("cannot run {BUSYBOX}: {error}"))
        .stdout;
    let applets = String::from_utf8(applets).expect("busybox lists its applets in ASCII");
    let directories = [
        ("bin", 0o755),
        ("dev", 0o755),
        ("etc", 0o755),
        ("proc", 0o555),
        ("root", 0o700),
        ("sys", 0o555),
        ("tmp", 0o1777),
    ];
    let tarball = directories.iter().fold(Tarball::new(), |tarball, (path, mode)| {
        tarball.directory(path, *mode)
    });
    let tarball = tarball
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        )
        .file("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
        .file("bin/busybox", 0o755, program);
    let applets = applets
        .lines()
        .filter(|applet| !applet.is_empty() && *applet != "busybox");
    applets
        .fold(tarball, |tarball, applet| {
            tarball.symlink(&format!("bin/{applet}"), "busybox")
        })
        .into()
}
