//! Pulls from Debian's docker-registry.

use crate::support::{TestStore, read, resolve};
use selur_protocol::Status;
use selur_runtime::store::StoreOptions;
use selur_runtime::{Images, PullPolicy, PullProgress};
use selur_testkit::{Authentication, DockerRegistry, ImageBuilder, ImageIndex, PASSWORD, Tarball, USERNAME};
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn image_is_pulled_by_tag_and_by_digest() {
    let registry = DockerRegistry::start();
    let builder = ImageBuilder::busybox()
        .cmd(["/bin/sh", "-c", "true"])
        .env(["PATH=/bin", "A=b"])
        .user("nobody")
        .working_directory("/tmp")
        .stop_signal("SIGINT")
        .label("key", "value");
    let image = builder.build();
    let tagged = builder.push(&registry, "team/app:v1");
    let by_digest = format!("{}/team/app@{}", registry.address(), image.digest());

    let store = TestStore::new();
    for reference in [&tagged, &by_digest] {
        let content = store.resolve(reference).await.unwrap();
        assert_eq!(content.manifest_digest, image.digest());
        assert_eq!(&content.reference, reference);
        assert_eq!(content.layers.len(), 1);
        assert!(read(&content.layers[0], "etc/passwd").starts_with("root:"));
        let config = &content.config;
        assert_eq!(
            (config.user.as_str(), config.working_dir.as_str()),
            ("nobody", "/tmp")
        );
        assert_eq!(
            (config.stop_signal.as_str(), config.labels["key"].as_str()),
            ("SIGINT", "value")
        );
        assert_eq!(
            (config.env.len(), config.cmd.len(), config.entrypoint.len()),
            (2, 3, 0)
        );
    }
    let listed = store.store.list().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|listed| listed.digest == image.digest() && listed.size_bytes > 100_000)
    );
    assert_eq!(store.list("layers").len(), 2, "one layer, and its record");
    store.assert_clean();
}

#[tokio::test]
async fn index_is_resolved_for_this_platform() {
    let registry = DockerRegistry::start();
    let ours = ImageBuilder::empty().files([("ours", &b"1"[..])]).build();
    let other = ImageBuilder::empty()
        .files([("other", &b"2"[..])])
        .platform("linux", "s390x")
        .build();
    let index = ImageIndex::new([other.clone(), ours.clone()]);
    let reference = registry.push_index(&index, "multi:v1");
    let by_digest = format!("{}/multi@{}", registry.address(), index.digest());

    let store = TestStore::new();
    for reference in [&reference, &by_digest] {
        let content = store.resolve(reference).await.unwrap();
        assert_eq!(content.manifest_digest, ours.digest());
        assert_eq!(read(&content.layers[0], "ours"), "1");
    }

    let reference = registry.push_index(&ImageIndex::new([other.clone()]), "multi:foreign");
    let plain = registry.push(&other, "multi:plain");
    for reference in [reference, plain] {
        let error = store.resolve(&reference).await.unwrap_err();
        assert_eq!(error.status(), Status::ImageNotFound);
        let message = error.chain();
        assert!(
            message.contains("linux/s390x") && message.contains("this machine is linux/"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn missing_image_is_image_not_found_and_an_absent_registry_a_network_error() {
    let registry = DockerRegistry::start();
    let address = registry.address();
    let store = TestStore::new();
    for reference in [
        format!("{address}/none:v1"),
        format!("{address}/none@sha256:{}", "0".repeat(64)),
    ] {
        let error = store.resolve(&reference).await.unwrap_err();
        assert_eq!(error.status(), Status::ImageNotFound, "{}", error.chain());
        assert!(error.chain().contains("check the name"), "{}", error.chain());
    }
    drop(registry);
    let error = store.resolve(&format!("{address}/none:v1")).await.unwrap_err();
    assert_eq!(error.status(), Status::NetworkError);
    assert!(error.chain().contains("cannot be reached"), "{}", error.chain());
    store.assert_empty();
}

#[tokio::test]
async fn basic_credentials_come_from_the_docker_config() {
    let registry = DockerRegistry::start_with(Authentication::Basic);
    let reference = ImageBuilder::empty()
        .files([("f", &b"1"[..])])
        .push(&registry, "private:v1");
    let config = tempfile::TempDir::new().unwrap();
    let write = |password: &str| {
        use base64::Engine;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USERNAME}:{password}"));
        let json = format!(
            r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#,
            registry.address()
        );
        std::fs::write(config.path().join("config.json"), json).unwrap();
    };
    let options = StoreOptions {
        docker_config: Some(config.path().to_owned()),
        ..StoreOptions::default()
    };
    let store = TestStore::with(options);

    let error = store.resolve(&reference).await.unwrap_err();
    assert_eq!(error.status(), Status::PermissionDenied);
    assert!(error.chain().contains("docker login"), "{}", error.chain());

    write("wrong password");
    let error = store.resolve(&reference).await.unwrap_err();
    assert_eq!(error.status(), Status::PermissionDenied);
    assert!(
        error.chain().contains("refuses these credentials"),
        "{}",
        error.chain()
    );
    assert!(!error.chain().contains("wrong password"));
    store.assert_empty();

    write(PASSWORD);
    assert_eq!(store.resolve(&reference).await.unwrap().layers.len(), 1);
}

#[tokio::test]
async fn pull_policy_decides_whether_the_registry_is_asked() {
    let registry = DockerRegistry::start();
    let build = |text: &'static str| ImageBuilder::empty().files([("text", text.as_bytes())]);
    let reference = build("old").push(&registry, "app:v1");
    let store = TestStore::new();
    let error = resolve(&store.store, &reference, PullPolicy::Never)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::ImageNotFound);
    assert!(error.chain().contains("selur pull"), "{}", error.chain());

    let text = async |policy| {
        let content = resolve(&store.store, &reference, policy).await.unwrap();
        read(&content.layers[0], "text")
    };
    assert_eq!(text(PullPolicy::Missing).await, "old");
    build("new").push(&registry, "app:v1");
    assert_eq!(text(PullPolicy::Never).await, "old");
    assert_eq!(text(PullPolicy::Missing).await, "old");
    assert_eq!(text(PullPolicy::Always).await, "new");
    assert_eq!(text(PullPolicy::Missing).await, "new");
    assert_eq!(
        store.list("layers").len(),
        2,
        "what the tag stood for before is gone"
    );
}

#[tokio::test]
async fn progress_tells_digests_bytes_and_ends() {
    let registry = DockerRegistry::start();
    let builder = ImageBuilder::busybox().layer(Tarball::new().file("top", 0o644, "1"));
    let (image, reference) = (builder.build(), builder.push(&registry, "app:v1"));
    let store = TestStore::new();
    let events = Mutex::new(Vec::new());
    let pull = async || {
        let sink = |event| events.lock().unwrap().push(event);
        store
            .store
            .pull(&reference, &sink, CancellationToken::new())
            .await
            .unwrap();
        std::mem::take(&mut *events.lock().unwrap())
    };
    let sizes: Vec<(String, u64)> = image
        .layers
        .iter()
        .map(|layer| (layer.digest(), layer.blob().len() as u64))
        .collect();
    let events_of_first = pull().await;
    let resolved = PullProgress::Resolved {
        digest: image.digest(),
        layers: sizes.clone(),
    };
    assert_eq!(events_of_first[0], resolved);
    for (layer, bytes) in sizes {
        assert!(events_of_first.contains(&PullProgress::Transferred {
            layer: layer.clone(),
            bytes
        }));
        assert!(events_of_first.contains(&PullProgress::LayerDone { layer }));
    }
    let events_of_second = pull().await;
    assert!(
        !events_of_second
            .iter()
            .any(|event| matches!(event, PullProgress::Transferred { .. }))
    );
    assert_eq!(events_of_second.len(), 3);
}
