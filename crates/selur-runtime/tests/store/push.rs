//! Pushes: to Debian's docker-registry, and to scripted ones that refuse, break off or point elsewhere.

use crate::support::{TestStore, resolve};
use selur_protocol::Status;
use selur_runtime::store::{Limits, StoreOptions};
use selur_runtime::{Images, PullPolicy, PullProgress, Pushed, RuntimeError};
use selur_testkit::{
    Authentication, BuiltImage, Compression, Contents, DockerRegistry, ImageBuilder, Layer, PASSWORD, Reply,
    Request, ScriptedRegistry, Tarball, USERNAME, digest,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "issued-token";

fn image() -> ImageBuilder {
    let layer = |name: &str| Tarball::new().file(name, 0o644, name.repeat(50_000)).finish();
    ImageBuilder::empty()
        .layer(Layer::new(&layer("gzip"), Compression::Gzip))
        .layer(Layer::new(&layer("zstd"), Compression::Zstd))
        .layer(Layer::new(&layer("plain"), Compression::None))
        .layer(Layer::new(&layer("gzip"), Compression::Gzip))
        .cmd(["/bin/true"])
}

async fn push(store: &TestStore, reference: &str) -> Result<Pushed, RuntimeError> {
    let abort = CancellationToken::new();
    store.store.push(reference, &|_| {}, abort).await
}

/// A store with the image under this reference, loaded from a layout.
async fn store_with(image: &ImageBuilder, reference: &str, options: StoreOptions) -> (TestStore, BuiltImage) {
    let store = TestStore::with(options);
    let layout = TempDir::new().unwrap();
    let built = image.write_layout(layout.path());
    store.store.load(layout.path(), Some(reference)).await.unwrap();
    (store, built)
}

fn without_credentials() -> StoreOptions {
    StoreOptions {
        docker_config: None,
        ..StoreOptions::default()
    }
}

fn with_credentials(registry: &str) -> (StoreOptions, TempDir) {
    use base64::Engine;
    let config = TempDir::new().unwrap();
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let json = format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#);
    std::fs::write(config.path().join("config.json"), json).unwrap();
    let options = StoreOptions {
        docker_config: Some(config.path().to_owned()),
        ..StoreOptions::default()
    };
    (options, config)
}

#[tokio::test]
async fn what_was_loaded_is_pushed_deleted_and_pulled_with_the_same_digest() {
    let registry = DockerRegistry::start();
    let reference = format!("{}/team/app:v1", registry.address());
    let (store, built) = store_with(&image(), &reference, without_credentials()).await;
    let events = Mutex::new(Vec::new());
    let sink = |event| events.lock().unwrap().push(event);
    let pushed = store
        .store
        .push(&reference, &sink, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        (pushed.reference.as_str(), &pushed.digest),
        (reference.as_str(), &built.digest())
    );

    let events = events.into_inner().unwrap();
    assert!(
        matches!(&events[0], PullProgress::Resolved { digest, layers } if *digest == built.digest() && layers.len() == 4)
    );
    for layer in &built.layers {
        let (layer, bytes) = (layer.digest(), layer.blob().len() as u64);
        assert!(events.contains(&PullProgress::Transferred {
            layer: layer.clone(),
            bytes
        }));
        let done = |event: &&PullProgress| **event == PullProgress::LayerDone { layer: layer.clone() };
        assert_eq!(events.iter().filter(done).count(), 1);
    }
    store.store.delete(&reference).await.unwrap();
    store.assert_empty();
    let content = store.resolve(&reference).await.unwrap();
    assert_eq!(content.manifest_digest, built.digest());
    assert_eq!(content.layers.len(), 3);
    drop(content);
    store.assert_clean();
}

#[tokio::test]
async fn what_was_pulled_is_pushed_to_another_registry_byte_for_byte() {
    let (from, to) = (DockerRegistry::start(), DockerRegistry::start());
    let built = image().build();
    let pulled = from.push(&built, "app:v1");
    let store = TestStore::new();
    store.resolve(&pulled).await.unwrap();
    let target = format!("{}/mirror/app:v1", to.address());
    store.store.tag(&pulled, &target).await.unwrap();
    assert_eq!(push(&store, &target).await.unwrap().digest, built.digest());
    let other = TestStore::new();
    assert_eq!(
        other.resolve(&target).await.unwrap().manifest_digest,
        built.digest()
    );
}

#[tokio::test]
async fn what_the_registry_has_is_not_sent_and_neighbours_are_mounted() {
    let registry = DockerRegistry::start();
    let built = image().build();
    let pulled = registry.push(&built, "one/app:v1");
    let store = TestStore::new();
    store.resolve(&pulled).await.unwrap();
    let sent = || {
        let all = registry.accesses().into_iter();
        all.filter(|(method, path, _)| method == "PUT" && path.contains("/blobs/uploads/"))
            .count()
    };
    let before = sent();
    push(&store, &pulled).await.unwrap();
    let target = format!("{}/two/app:v1", registry.address());
    store.store.tag(&pulled, &target).await.unwrap();
    push(&store, &target).await.unwrap();
    // The access log is written after the answer: a request of our own comes after all of them.
    let other = TestStore::new();
    assert_eq!(
        other.resolve(&target).await.unwrap().manifest_digest,
        built.digest()
    );
    assert_eq!(sent(), before, "{:?}", registry.accesses());
    let mounted =
        |path: &str| path.contains("/v2/two/app/blobs/uploads/?") && path.contains("from=one%2Fapp");
    assert!(
        registry
            .accesses()
            .iter()
            .any(|(_, path, status)| mounted(path) && *status == 201)
    );
}

#[tokio::test]
async fn registry_with_a_password_takes_what_its_owner_pushes() {
    let registry = DockerRegistry::start_with(Authentication::Basic);
    let reference = format!("{}/private:v1", registry.address());
    let (options, _config) = with_credentials(&registry.address().to_string());
    let (store, built) = store_with(&image(), &reference, options).await;
    assert_eq!(push(&store, &reference).await.unwrap().digest, built.digest());

    let (anonymous, _) = store_with(&image(), &reference, without_credentials()).await;
    let error = push(&anonymous, &reference).await.unwrap_err();
    assert_eq!(error.status(), Status::PermissionDenied);
    assert!(error.chain().contains("docker login"), "{}", error.chain());
}

/// As much of a registry as a push needs: it has nothing, and takes everything.
fn taking(request: &Request) -> Option<Reply> {
    let reply = match (request.method.as_str(), request.path.as_str()) {
        ("HEAD", _) => Reply::status(404),
        ("POST", path) if path.contains("/uploads/") => {
            Reply::status(202).header("location", "/upload/1?state=x")
        }
        ("PUT", _) => Reply::status(201),
        _ => return None,
    };
    Some(reply)
}

#[tokio::test]
async fn token_is_asked_for_with_the_scope_to_push() {
    let registry = ScriptedRegistry::start(Contents::new(), |request| {
        let address = request.header("host").unwrap_or_default();
        if request.path.starts_with("/token") {
            let may = request.path.contains("repository%3Aapp%3Apull%2Cpush");
            let answer = Reply::status(if may { 200 } else { 403 });
            return Some(answer.body(format!(r#"{{"token":"{TOKEN}"}}"#)));
        }
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            let challenge =
                format!(r#"Bearer realm="http://{address}/token",service="s",scope="repository:app:pull""#);
            return Some(Reply::status(401).header("www-authenticate", &challenge));
        }
        taking(request)
    });
    let reference = format!("{}/app:v1", registry.address());
    let (store, built) = store_with(&image(), &reference, without_credentials()).await;
    assert_eq!(push(&store, &reference).await.unwrap().digest, built.digest());
    let requests = registry.requests();
    let puts: Vec<&Request> = requests
        .iter()
        .filter(|request| request.method == "PUT")
        .collect();
    let manifest = puts.last().unwrap();
    assert_eq!(
        (
            manifest.path.as_str(),
            &manifest.body,
            manifest.header("content-type")
        ),
        ("/v2/app/manifests/v1", &built.manifest, Some(built.media_type()))
    );
    let bodies: Vec<String> = puts.iter().map(|put| digest(&put.body)).collect();
    for blob in built.blobs() {
        let count = bodies.iter().filter(|sent| **sent == digest(blob)).count();
        assert_eq!(count, 1, "each blob is sent once");
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let cases: [(&str, u16, &str, Status, &str); 7] = [
        ("POST", 401, "", Status::PermissionDenied, "docker login"),
        ("POST", 403, "", Status::PermissionDenied, "docker login"),
        ("POST", 404, "", Status::ImageNotFound, "create it there"),
        ("POST", 405, "", Status::Unsupported, "mirror"),
        ("PUT", 413, "", Status::ResourceExhausted, "as large as this"),
        ("PUT", 503, "", Status::NetworkError, "try again later"),
        (
            "PUT",
            400,
            r#"{"errors":[{"code":"DIGEST_INVALID","message":"no\u001b[2J"}]}"#,
            Status::NetworkError,
            r#"it says "DIGEST_INVALID: no\u{1b}[2J""#,
        ),
    ];
    for (method, status, body, expected, words) in cases {
        let registry = ScriptedRegistry::start(Contents::new(), move |request| {
            let is_meant = request.method == method;
            if is_meant {
                Some(Reply::status(status).body(body))
            } else {
                taking(request)
            }
        });
        let reference = format!("{}/app:v1", registry.address());
        let (store, _) = store_with(&image(), &reference, without_credentials()).await;
        let error = push(&store, &reference).await.unwrap_err();
        assert_eq!(error.status(), expected, "{method} {status}: {}", error.chain());
        assert!(
            error.chain().contains(words),
            "{method} {status}: {}",
            error.chain()
        );
        let is_manifest = |request: &Request| request.path.contains("/manifests/");
        assert!(
            !registry.requests().iter().any(is_manifest),
            "half an image is not named"
        );
        store.assert_clean();
    }
}

#[tokio::test]
async fn bytes_and_credentials_go_to_no_other_host_by_plain_http() {
    let other = ScriptedRegistry::start(Contents::new(), taking);
    let elsewhere = format!("http://{}/upload/1", other.address());
    for location in [
        elsewhere.as_str(),
        "ftp://127.0.0.1/x",
        "http://user:secret@192.0.2.1/x",
        "//:",
    ] {
        let location = location.to_owned();
        let registry =
            ScriptedRegistry::start(Contents::new(), move |request| match request.method.as_str() {
                "POST" => Some(Reply::status(202).header("location", &location)),
                _ => taking(request),
            });
        let reference = format!("{}/app:v1", registry.address());
        let (options, _config) = with_credentials(&registry.address().to_string());
        let (store, _) = store_with(&image(), &reference, options).await;
        let error = push(&store, &reference).await.unwrap_err();
        assert_eq!(error.status(), Status::NetworkError);
        assert!(
            error.chain().contains("neither its own nor https"),
            "{}",
            error.chain()
        );
    }
    assert_eq!(other.requests(), []);
}

#[tokio::test]
async fn connection_that_breaks_or_stalls_midway_is_a_network_error() {
    for is_stalled in [false, true] {
        let registry = ScriptedRegistry::start(Contents::new(), move |request| {
            let broken = Reply::status(201).claims(100);
            match request.method.as_str() {
                "PUT" if is_stalled => Some(broken.stalls()),
                // Nothing is answered, and the connection is closed.
                "PUT" => Some(Reply::hangs_up()),
                _ => taking(request),
            }
        });
        let reference = format!("{}/app:v1", registry.address());
        let limits = Limits {
            silence_timeout: Duration::from_millis(300),
            commit_timeout: Duration::from_millis(300),
            ..Limits::default()
        };
        let options = StoreOptions {
            limits,
            docker_config: None,
        };
        let (store, _) = store_with(&image(), &reference, options).await;
        let pushed = push(&store, &reference).await;
        if is_stalled {
            // Its status has come: what it would say besides is of no interest.
            assert!(pushed.is_ok());
        } else {
            let error = pushed.unwrap_err();
            assert_eq!(error.status(), Status::NetworkError);
            assert!(error.chain().contains("broke off"), "{}", error.chain());
        }
        store.assert_clean();
    }
}

#[tokio::test]
async fn silent_registry_is_given_up_and_a_cancelled_push_ends() {
    let reached = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&reached);
    let registry = ScriptedRegistry::start(Contents::new(), move |request| match request.method.as_str() {
        "PUT" => {
            tell.notify_one();
            Some(Reply::silence())
        }
        _ => taking(request),
    });
    let reference = format!("{}/app:v1", registry.address());
    let limits = Limits {
        silence_timeout: Duration::from_secs(30),
        commit_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let options = |limits| StoreOptions {
        limits,
        docker_config: None,
    };
    let (store, _) = store_with(&image(), &reference, options(limits)).await;
    let error = push(&store, &reference).await.unwrap_err();
    assert_eq!(error.status(), Status::NetworkError);
    assert!(error.chain().contains("fell silent"), "{}", error.chain());
    // The first push got there: only the second is meant below.
    reached.notified().await;

    let (store, _) = store_with(&image(), &reference, options(Limits::default())).await;
    let abort = CancellationToken::new();
    let (opened, token) = (store.store.clone(), abort.clone());
    let pushing = tokio::spawn(async move { opened.push(&reference, &|_| {}, token).await });
    reached.notified().await;
    abort.cancel();
    assert_eq!(pushing.await.unwrap().unwrap_err().status(), Status::Cancelled);
    store.assert_clean();
}

#[tokio::test]
async fn blob_that_is_missing_or_damaged_is_not_sent_and_the_next_pull_mends_it() {
    let source = DockerRegistry::start();
    let built = image().build();
    let pulled = source.push(&built, "app:v1");
    let store = TestStore::new();
    let target = DockerRegistry::start();
    let elsewhere = format!("{}/app:v1", target.address());
    let blob = store
        .path("blobs")
        .join(built.layers[1].digest().replace(':', "-"));
    type Harm = fn(&std::path::Path);
    let harms: [Harm; 2] = [
        // As a store of an earlier selur is.
        |path| std::fs::remove_file(path).unwrap(),
        |path| {
            let length = std::fs::metadata(path).unwrap().len() as usize;
            std::fs::write(path, vec![b'x'; length]).unwrap();
        },
    ];
    for harm in harms {
        store.resolve(&pulled).await.unwrap();
        store.store.tag(&pulled, &elsewhere).await.unwrap();
        harm(&blob);
        let error = push(&store, &elsewhere).await.unwrap_err();
        assert_eq!(error.status(), Status::ImageNotFound, "{}", error.chain());
        assert!(error.chain().contains("selur pull"), "{}", error.chain());
        store
            .store
            .pull(&pulled, &|_| {}, CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(std::fs::read(&blob).unwrap(), built.layers[1].blob());
    }
    push(&store, &elsewhere).await.unwrap();
    // What the registry has need not be here.
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(push(&store, &elsewhere).await.unwrap().digest, built.digest());
}

#[tokio::test]
async fn only_what_the_store_has_can_be_pushed_and_tagged() {
    let store = TestStore::new();
    for error in [
        push(&store, "127.0.0.1:1/none:v1").await.unwrap_err(),
        store.store.tag("none:v1", "other:v1").await.unwrap_err(),
    ] {
        assert_eq!(error.status(), Status::ImageNotFound);
        assert!(error.chain().contains("selur images"), "{}", error.chain());
    }
    let (store, built) = store_with(&image(), "app:v1", without_credentials()).await;
    for name in [format!("app@{}", built.digest()), "NOT A NAME".to_owned()] {
        let error = store.store.tag("app:v1", &name).await.unwrap_err();
        assert_eq!(error.status(), Status::InvalidRequest);
    }
}

#[tokio::test]
async fn tag_gives_another_name_and_takes_one_that_was_given() {
    let (store, built) = store_with(&image(), "app:v1", without_credentials()).await;
    let layout = TempDir::new().unwrap();
    ImageBuilder::empty()
        .files([("f", &b"1"[..])])
        .write_layout(layout.path());
    store.store.load(layout.path(), Some("other:v1")).await.unwrap();
    for _ in 0..2 {
        store.store.tag("app:v1", "other:v1").await.unwrap();
    }
    let listed = store.store.list().await.unwrap();
    let names: Vec<&str> = listed.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(names, ["docker.io/library/app:v1", "docker.io/library/other:v1"]);
    assert!(listed.iter().all(|image| image.digest == built.digest()));
    assert_eq!(store.list("layers").len(), 6, "the other image's layer is gone");
    store.store.delete("app:v1").await.unwrap();
    let content = resolve(&store.store, "other:v1", PullPolicy::Never)
        .await
        .unwrap();
    assert_eq!(content.layers.len(), 3);
}
