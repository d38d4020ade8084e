//! Archives of images: tars of layouts, what `docker save` writes, and hostile ones.

use crate::support::{TestStore, read, resolve};
use selur_protocol::Status;
use selur_runtime::store::{Limits, StoreOptions};
use selur_runtime::{Images, PullPolicy};
use selur_testkit::{BuiltImage, ImageBuilder, Layer, Tarball, digest, gzip, layout_tar, zstd};
use serde_json::json;
use std::path::PathBuf;
use tempfile::TempDir;

/// A file of its own.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("images.tar");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn tar_of(text: &str) -> Vec<u8> {
    Tarball::new().file("text", 0o644, text).finish()
}

/// An image and the plain tar streams of its layers.
fn image(texts: &[&str]) -> (BuiltImage, Vec<Vec<u8>>) {
    let tars: Vec<Vec<u8>> = texts.iter().map(|text| tar_of(text)).collect();
    let builder = tars.iter().fold(ImageBuilder::empty(), |builder, tar| {
        builder.layer(Layer::new(tar, selur_testkit::Compression::Gzip))
    });
    (builder.build(), tars)
}

/// An image, its layers as the archive has them, and its names.
type Saved<'a> = (&'a BuiltImage, &'a [Vec<u8>], &'a [&'a str]);

/// As `docker save` wrote it.
fn docker_archive(images: &[Saved<'_>]) -> Vec<u8> {
    let mut tarball = Tarball::new().file("repositories", 0o644, "{}");
    let mut entries = Vec::new();
    for (image, layers, names) in images {
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        let (next, entry) = image.save_docker(tarball, &layers, names);
        tarball = next;
        entries.push(entry);
    }
    tarball
        .file("manifest.json", 0o644, json!(entries).to_string())
        .finish()
}

#[tokio::test]
async fn tar_of_a_layout_is_loaded_plain_and_compressed() {
    let layout = TempDir::new().unwrap();
    let built = ImageBuilder::empty()
        .files([("text", &b"from a tar"[..])])
        .write_layout(layout.path());
    let tar = layout_tar(layout.path());
    for (name, bytes) in [("plain", tar.clone()), ("gzip", gzip(&tar)), ("zstd", zstd(&tar))] {
        let (_directory, path) = file(&bytes);
        let store = TestStore::new();
        let loaded = store.store.load(&path, Some("app:v1")).await.unwrap();
        assert_eq!(loaded[0].digest, built.digest(), "{name}");
        let content = resolve(&store.store, "app:v1", PullPolicy::Never).await.unwrap();
        assert_eq!(read(&content.layers[0], "text"), "from a tar");
        drop(content);
        store.assert_clean();
    }
}

#[tokio::test]
async fn names_come_from_annotations_where_none_is_given() {
    let layout = TempDir::new().unwrap();
    let (ours, other) = (
        ImageBuilder::empty().files([("text", &b"ours"[..])]),
        ImageBuilder::empty(),
    );
    let ours = ours.write_layout(layout.path());
    let other = other.platform("linux", "s390x").write_layout(layout.path());
    let entry = |image: &BuiltImage, platform: &str, annotations: serde_json::Value| {
        json!({"mediaType": image.media_type(), "digest": image.digest(), "size": image.manifest.len(),
            "platform": {"os": "linux", "architecture": platform}, "annotations": annotations})
    };
    let here = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    let write = |entries: serde_json::Value| {
        let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
        std::fs::write(layout.path().join("index.json"), index).unwrap();
    };
    let full =
        json!({"io.containerd.image.name": "reg.test/app:v1", "org.opencontainers.image.ref.name": "v1"});
    write(json!([
        entry(&other, "s390x", full.clone()),
        entry(&ours, here, full),
        entry(
            &ours,
            here,
            json!({"org.opencontainers.image.ref.name": "app:v2"})
        ),
        entry(&other, "unknown", json!({})),
    ]));
    let store = TestStore::new();
    let loaded = store.store.load(layout.path(), None).await.unwrap();
    let names: Vec<&str> = loaded.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(names, ["docker.io/library/app:v2", "reg.test/app:v1"]);
    assert!(loaded.iter().all(|image| image.digest == ours.digest()));

    let cases = [
        (json!({}), Status::InvalidRequest, "without a name"),
        // One word may be a tag or a repository.
        (
            json!({"org.opencontainers.image.ref.name": "v1"}),
            Status::InvalidRequest,
            "without a name",
        ),
        (
            json!({"org.opencontainers.image.ref.name": "a:b:c"}),
            Status::InvalidRequest,
            "no image reference",
        ),
    ];
    for (annotations, status, words) in cases {
        write(json!([entry(&ours, here, annotations)]));
        let error = store.store.load(layout.path(), None).await.unwrap_err();
        assert_eq!(error.status(), status, "{}", error.chain());
        assert!(error.chain().contains(words), "{}", error.chain());
    }
}

#[tokio::test]
async fn what_docker_save_wrote_is_loaded_under_its_names() {
    let (one, one_tars) = image(&["below", "above"]);
    let (two, two_tars) = image(&["below", "two"]);
    let compressed: Vec<Vec<u8>> = vec![gzip(&two_tars[0]), zstd(&two_tars[1])];
    let bytes = docker_archive(&[
        (&one, &one_tars, &["app:v1", "reg.test/app:latest"]),
        (&two, &compressed, &["two:v1"]),
    ]);
    let (_directory, path) = file(&bytes);
    let store = TestStore::new();
    let loaded = store.store.load(&path, None).await.unwrap();
    let names: Vec<&str> = loaded.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(
        names,
        [
            "docker.io/library/app:v1",
            "docker.io/library/two:v1",
            "reg.test/app:latest"
        ]
    );
    assert_eq!(loaded[0].digest, loaded[2].digest);
    let content = resolve(&store.store, "app:v1", PullPolicy::Never).await.unwrap();
    assert_eq!(read(&content.layers[1], "text"), "above");
    let content = resolve(&store.store, "two:v1", PullPolicy::Never).await.unwrap();
    assert_eq!(read(&content.layers[1], "text"), "two");
    drop(content);

    let again = TestStore::new();
    let one_of_two = again.store.load(&path, Some("two:v1")).await.unwrap();
    assert_eq!(
        one_of_two[0].digest, loaded[1].digest,
        "the digest follows from the content"
    );
    let error = again.store.load(&path, Some("third:v9")).await.unwrap_err();
    assert_eq!(error.status(), Status::ImageNotFound, "{}", error.chain());
    assert_eq!(again.list("refs").len(), 1);
}

#[tokio::test]
async fn links_of_docker_save_lead_within_the_archive_only() {
    let (built, tars) = image(&["same", "same"]);
    let config = format!("{}.json", digest(&built.config).trim_start_matches("sha256:"));
    let archive = |link: &str| {
        let entry =
            json!([{"Config": config, "RepoTags": ["app:v1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]);
        Tarball::new()
            .file(&config, 0o644, &built.config)
            .file("one/layer.tar", 0o644, &tars[0])
            .symlink("two/layer.tar", link)
            .file("manifest.json", 0o644, entry.to_string())
            .finish()
    };
    let store = TestStore::new();
    let (_directory, path) = file(&archive("../one/layer.tar"));
    store.store.load(&path, None).await.unwrap();
    store.store.delete("app:v1").await.unwrap();

    let victim = TempDir::new().unwrap();
    let secret = victim.path().join("layer.tar");
    std::fs::write(&secret, &tars[0]).unwrap();
    let outside = [
        secret.to_str().unwrap().to_owned(),
        format!("../../../../../..{}", secret.display()),
        "../two/layer.tar".to_owned(),
        "layer.tar".to_owned(),
    ];
    for link in outside {
        let (_directory, path) = file(&archive(&link));
        let error = store.store.load(&path, None).await.unwrap_err();
        assert_eq!(
            error.status(),
            Status::InvalidRequest,
            "{link}: {}",
            error.chain()
        );
        store.assert_empty();
    }
}

#[tokio::test]
async fn broken_and_hostile_archives_are_refused_and_leave_nothing() {
    let (built, tars) = image(&["text"]);
    let good = docker_archive(&[(&built, &tars, &["app:v1"])]);
    let manifest = |text: &str| Tarball::new().file("manifest.json", 0o644, text).finish();
    let named = |config: &str, layer: &str| {
        let entry = json!([{"Config": config, "RepoTags": ["app:v1"], "Layers": [layer]}]).to_string();
        let config = format!("{}.json", digest(&built.config).trim_start_matches("sha256:"));
        Tarball::new()
            .file(&config, 0o644, &built.config)
            .file("forged.tar", 0o644, tar_of("forged"))
            .file("manifest.json", 0o644, entry)
            .finish()
    };
    let config = format!("{}.json", digest(&built.config).trim_start_matches("sha256:"));
    // What no archive may reach.
    let (_elsewhere, path) = file(&built.config);
    let secret = path.display().to_string();
    let many = (0..101).fold(Tarball::new(), |tarball, number| {
        tarball.file(&format!("file-{number}"), 0o644, "")
    });
    let cases: Vec<(&str, Vec<u8>, Status, &str)> = vec![
        (
            "no tar",
            b"no tar at all".repeat(100),
            Status::InvalidRequest,
            "no archive of images",
        ),
        ("empty", Vec::new(), Status::InvalidRequest, "neither"),
        (
            "of other things",
            tar_of("text"),
            Status::InvalidRequest,
            "neither oci-layout nor manifest.json",
        ),
        (
            "cut off",
            good[..good.len() / 2].to_vec(),
            Status::InvalidRequest,
            "",
        ),
        (
            "cut off gzip",
            gzip(&good)[..200].to_vec(),
            Status::InvalidRequest,
            "decompressed",
        ),
        (
            "malformed manifest",
            manifest("[{]"),
            Status::InvalidRequest,
            "malformed",
        ),
        (
            "unknown file",
            named(&format!("../../../..{secret}"), "forged.tar"),
            Status::InvalidRequest,
            "lacks",
        ),
        (
            "absolute file",
            named(&secret, "forged.tar"),
            Status::InvalidRequest,
            "lacks",
        ),
        (
            "unknown layer",
            named(&config, "/dev/zero"),
            Status::InvalidRequest,
            "lacks",
        ),
        (
            "forged layer",
            named(&config, "forged.tar"),
            Status::InvalidRequest,
            "does not have this digest",
        ),
        (
            "no images",
            manifest("[]"),
            Status::InvalidRequest,
            "without a name",
        ),
        (
            "many images",
            manifest(&format!("[{}]", vec![r#"{"Config":"x"}"#; 1001].join(","))),
            Status::ResourceExhausted,
            "1001 images",
        ),
        (
            "many names",
            manifest(&json!([{"Config": "x", "RepoTags": vec!["app:v1"; 1001]}]).to_string()),
            Status::ResourceExhausted,
            "1001 images",
        ),
        (
            "many entries",
            many.finish(),
            Status::ResourceExhausted,
            "100 entries",
        ),
        (
            "bomb",
            gzip(&vec![0; 3 << 20]),
            Status::ResourceExhausted,
            "when it is decompressed",
        ),
    ];
    let limits = Limits {
        max_archive_bytes: 2 << 20,
        max_archive_entries: 100,
        ..Limits::default()
    };
    let store = TestStore::with(StoreOptions {
        docker_config: None,
        limits,
    });
    for (name, bytes, status, words) in cases {
        let (_directory, path) = file(&bytes);
        let error = store.store.load(&path, None).await.unwrap_err();
        assert_eq!(error.status(), status, "{name}: {}", error.chain());
        assert!(error.chain().contains(words), "{name}: {}", error.chain());
        store.assert_empty();
    }
    let (_directory, path) = file(&good);
    store.store.load(&path, None).await.unwrap();
}

#[tokio::test]
async fn files_that_many_images_name_are_read_once() {
    // 500 images, each with the same configuration of 8 MB and the same two layers: read for each, they are gigabytes.
    let (built, tars) = image(&["one", "two"]);
    let mut config: serde_json::Value = serde_json::from_slice(&built.config).unwrap();
    config["history"] = json!([{ "comment": "x".repeat(7 << 20) }]);
    let mut tarball = Tarball::new().file("config.json", 0o644, config.to_string());
    for (number, tar) in tars.iter().enumerate() {
        tarball = tarball.file(&format!("{number}.tar"), 0o644, gzip(tar));
    }
    let entries: Vec<_> = (0..500)
        .map(|number| {
            let name = format!("app:v{number}");
            json!({"Config": "config.json", "RepoTags": [name], "Layers": ["0.tar", "1.tar"]})
        })
        .collect();
    let bytes = tarball
        .file("manifest.json", 0o644, json!(entries).to_string())
        .finish();
    let (_directory, path) = file(&bytes);
    let store = TestStore::new();
    let begin = std::time::Instant::now();
    store.store.load(&path, Some("app:v7")).await.unwrap();
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn what_is_no_file_and_no_directory_is_refused() {
    let directory = TempDir::new().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let store = TestStore::new();
    for path in [fifo, directory.path().join("absent"), PathBuf::from("/dev/zero")] {
        let error = store.store.load(&path, Some("app:v1")).await.unwrap_err();
        assert_eq!(error.status(), Status::InvalidRequest, "{}", error.chain());
        assert!(
            error.chain().contains(path.to_str().unwrap()),
            "{}",
            error.chain()
        );
    }
    store.assert_empty();
}
