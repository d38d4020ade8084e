//! Images from OCI image layout directories.

use crate::support::{TestStore, load, read, resolve};
use selur_protocol::Status;
use selur_runtime::{Images, PullPolicy};
use selur_testkit::{ImageBuilder, ImageIndex, Layer, Tarball, digest};
use std::path::Path;
use tempfile::TempDir;

#[tokio::test]
async fn layout_is_loaded_under_the_given_name() {
    let layout = TempDir::new().unwrap();
    let image = ImageBuilder::busybox()
        .layer(Tarball::new().file("top", 0o644, "1"))
        .write_layout(layout.path());
    let store = TestStore::new();
    let loaded = store
        .store
        .load(layout.path(), Some("app:v1"))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (loaded.reference.as_str(), &loaded.digest),
        ("docker.io/library/app:v1", &image.digest())
    );
    assert_eq!(loaded.created_at.as_deref(), Some("2024-01-01T00:00:00Z"));
    let content = resolve(&store.store, "app:v1", PullPolicy::Never).await.unwrap();
    assert_eq!(content.layers.len(), 2);
    assert_eq!(read(&content.layers[1], "top"), "1");
    assert_eq!(store.store.list().await.unwrap(), [loaded]);
}

#[tokio::test]
async fn of_several_images_the_named_one_is_loaded() {
    let layout = TempDir::new().unwrap();
    let build = |text: &'static str| ImageBuilder::empty().files([("text", text.as_bytes())]);
    let (one, two) = (
        build("one").write_layout(layout.path()),
        build("two").write_layout(layout.path()),
    );
    let entry = |image: &selur_testkit::BuiltImage, name: &str| {
        serde_json::json!({"mediaType": image.media_type(), "digest": image.digest(), "size": image.manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": name}})
    };
    let index =
        serde_json::json!({"schemaVersion": 2, "manifests": [entry(&one, "v1"), entry(&two, "host/app:v2")]});
    std::fs::write(layout.path().join("index.json"), index.to_string()).unwrap();
    let store = TestStore::new();
    for (reference, text) in [("app:v1", "one"), ("app:v2", "two")] {
        store.store.load(layout.path(), Some(reference)).await.unwrap();
        let content = resolve(&store.store, reference, PullPolicy::Never).await.unwrap();
        assert_eq!(read(&content.layers[0], "text"), text);
    }
    let error = store.store.load(layout.path(), Some("app:v3")).await.unwrap_err();
    assert_eq!(error.status(), Status::ImageNotFound);
    assert!(
        error.chain().contains("none is named \"v3\""),
        "{}",
        error.chain()
    );
}

#[tokio::test]
async fn broken_layouts_are_refused_and_leave_nothing() {
    type Harm = fn(&Path, &selur_testkit::BuiltImage);
    let cases: [(&str, Harm, Status, &str); 8] = [
        (
            "no layout",
            |d, _| std::fs::remove_file(d.join("oci-layout")).unwrap(),
            Status::InvalidRequest,
            "no OCI image layout",
        ),
        (
            "no index",
            |d, _| std::fs::remove_file(d.join("index.json")).unwrap(),
            Status::InvalidRequest,
            "lacks",
        ),
        (
            "malformed index",
            |d, _| std::fs::write(d.join("index.json"), "{").unwrap(),
            Status::InvalidRequest,
            "malformed",
        ),
        (
            "no manifest",
            |d, i| std::fs::remove_file(path_of(d, &i.digest())).unwrap(),
            Status::InvalidRequest,
            "lacks",
        ),
        (
            "forged manifest",
            |d, i| std::fs::write(path_of(d, &i.digest()), "{}").unwrap(),
            Status::InvalidRequest,
            "does not have this digest",
        ),
        (
            "forged configuration",
            |d, i| std::fs::write(path_of(d, &digest(&i.config)), vec![b' '; i.config.len()]).unwrap(),
            Status::InvalidRequest,
            "does not have this digest",
        ),
        (
            "longer layer",
            |d, i| std::fs::write(path_of(d, &i.layers[0].digest()), vec![0; 9999]).unwrap(),
            Status::InvalidRequest,
            "comes with more",
        ),
        (
            "layer that is a FIFO",
            |d, i| {
                let path = path_of(d, &i.layers[0].digest());
                std::fs::remove_file(&path).unwrap();
                rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
            },
            Status::InvalidRequest,
            "no regular file",
        ),
    ];
    let store = TestStore::new();
    for (name, harm, status, words) in cases {
        let layout = TempDir::new().unwrap();
        let image = ImageBuilder::empty()
            .files([("f", &b"1"[..])])
            .write_layout(layout.path());
        harm(layout.path(), &image);
        let error = store.store.load(layout.path(), Some("app:v1")).await.unwrap_err();
        assert_eq!(error.status(), status, "{name}: {}", error.chain());
        assert!(error.chain().contains(words), "{name}: {}", error.chain());
        store.assert_empty();
    }
}

#[tokio::test]
async fn image_for_another_platform_names_both() {
    let layout = TempDir::new().unwrap();
    ImageBuilder::empty()
        .platform("windows", "amd64")
        .write_layout(layout.path());
    let store = TestStore::new();
    let error = store.store.load(layout.path(), Some("app:v1")).await.unwrap_err();
    assert_eq!(error.status(), Status::ImageNotFound);
    let message = error.chain();
    assert!(
        message.contains("is for windows/amd64, and this machine is linux/"),
        "{message}"
    );
}

#[tokio::test]
async fn layers_and_diff_ids_must_be_as_many() {
    let layout = TempDir::new().unwrap();
    let image = ImageBuilder::empty()
        .files([("f", &b"1"[..])])
        .write_layout(layout.path());
    let config = String::from_utf8(image.config.clone())
        .unwrap()
        .replace(image.layers[0].diff_id(), "");
    let config = config.replace("[\"\"]", "[]");
    let manifest = String::from_utf8(image.manifest.clone()).unwrap();
    let manifest = manifest.replace(&digest(&image.config), &digest(config.as_bytes()));
    let manifest = manifest.replace(
        &format!("\"size\":{}", image.config.len()),
        &format!("\"size\":{}", config.len()),
    );
    std::fs::write(path_of(layout.path(), &digest(config.as_bytes())), config).unwrap();
    std::fs::write(path_of(layout.path(), &digest(manifest.as_bytes())), &manifest).unwrap();
    let index = ImageIndex::new([image.clone()]);
    let index = String::from_utf8(index.bytes)
        .unwrap()
        .replace(&image.digest(), &digest(manifest.as_bytes()));
    std::fs::write(layout.path().join("index.json"), index).unwrap();
    let store = TestStore::new();
    let error = store.store.load(layout.path(), Some("app:v1")).await.unwrap_err();
    assert!(
        error.chain().contains("1 layers and 0 diff_ids"),
        "{}",
        error.chain()
    );
    store.assert_empty();
}

#[tokio::test]
async fn deletion_removes_what_nothing_else_needs() {
    let store = TestStore::new();
    let shared = Layer::from(Tarball::new().file("shared", 0o644, "1"));
    let own = Layer::from(Tarball::new().file("own", 0o644, "2"));
    drop(load(&store, [shared.clone(), own]).await.unwrap());
    let layout = TempDir::new().unwrap();
    ImageBuilder::empty().layer(shared).write_layout(layout.path());
    store.store.load(layout.path(), Some("other:v1")).await.unwrap();
    assert_eq!(store.list("layers").len(), 4);

    store.store.delete("layers:test").await.unwrap();
    assert_eq!(store.list("layers").len(), 2);
    assert_eq!(
        resolve(&store.store, "other:v1", PullPolicy::Never)
            .await
            .unwrap()
            .layers
            .len(),
        1
    );
    let error = store.store.delete("layers:test").await.unwrap_err();
    assert_eq!(error.status(), Status::ImageNotFound);
    store.store.delete("other:v1").await.unwrap();
    store.assert_empty();
}

fn path_of(layout: &Path, digest: &str) -> std::path::PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}
