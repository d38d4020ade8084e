//! Cancellation, by the token and by dropping the future.

use crate::hostile_registries::image;
use crate::support::{TestStore, resolve};
use selur_protocol::Status;
use selur_runtime::PullPolicy;
use selur_runtime::store::{Limits, StoreOptions};
use selur_testkit::{BuiltImage, Contents, Reply, Request, ScriptedRegistry, digest, wait_until};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn cancellation_in_the_middle_of_anything_leaves_nothing() {
    type Place = fn(&Request, &BuiltImage) -> bool;
    let places: [(&str, Place); 4] = [
        ("manifest", |request, _| request.path.contains("/manifests/")),
        ("token", |request, _| request.path.starts_with("/token")),
        ("configuration", |request, image| {
            request.path.ends_with(&digest(&image.config))
        }),
        ("layer", |request, image| {
            request.path.ends_with(&image.layers[0].digest())
        }),
    ];
    for (name, place) in places {
        for is_dropped in [false, true] {
            let image = image();
            let contents = Contents::new().image("app", "v1", &image);
            let is_reached = Arc::new(Mutex::new(false));
            let reached = Arc::clone(&is_reached);
            let registry = ScriptedRegistry::start(contents, move |request| {
                if !place(request, &image) {
                    let challenge = format!(
                        "Bearer realm=\"http://{}/token\"",
                        request.header("host").unwrap_or_default()
                    );
                    let wants_token = name == "token" && request.header("authorization").is_none();
                    return wants_token.then(|| Reply::status(401).header("www-authenticate", &challenge));
                }
                *reached.lock().unwrap() = true;
                let length = image.layers[0].blob().len() as u64;
                Some(Reply::status(200).body(vec![0x1f; 50]).claims(length).stalls())
            });
            let limits = Limits {
                silence_timeout: Duration::from_secs(60),
                ..Limits::default()
            };
            let store = TestStore::with(StoreOptions {
                docker_config: None,
                limits,
            });
            let abort = CancellationToken::new();
            let reference = format!("{}/app:v1", registry.address());
            let (opened, token) = (store.store.clone(), abort.clone());
            let pulling = tokio::spawn(async move {
                opened
                    .resolve(&reference, PullPolicy::Missing, &|_| {}, token)
                    .await
                    .map(|_| ())
            });
            let waiting = tokio::task::spawn_blocking(move || {
                wait_until("the registry is asked", Duration::from_secs(20), || {
                    *is_reached.lock().unwrap()
                });
            });
            waiting.await.unwrap();
            if is_dropped {
                pulling.abort();
                let _ = pulling.await;
                // Nobody waits for the threads that write: they end by themselves.
                let ingest = store.path("ingest");
                wait_until("the download is removed", Duration::from_secs(20), || {
                    is_empty(&ingest)
                });
                wait_until("the lock is released", Duration::from_secs(20), || {
                    is_empty(&store.path("leases"))
                });
            } else {
                abort.cancel();
                let error = pulling.await.unwrap().unwrap_err();
                assert_eq!(error.status(), Status::Cancelled, "{name}: {}", error.chain());
                store.assert_empty();
            }
        }
    }
}

#[tokio::test]
async fn cancellation_while_another_fetches_the_layer_ends_the_waiting() {
    let image = image();
    let (layer, length) = (image.layers[0].digest(), image.layers[0].blob().len() as u64);
    let contents = Contents::new().image("app", "v1", &image);
    let registry = ScriptedRegistry::start(contents, move |request| {
        let stalling = || Reply::status(200).body("x").claims(length).stalls();
        request.path.ends_with(&layer).then(stalling)
    });
    let limits = Limits {
        silence_timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    let store = TestStore::with(StoreOptions {
        docker_config: None,
        limits,
    });
    let reference = format!("{}/app:v1", registry.address());
    let tokens = [CancellationToken::new(), CancellationToken::new()];
    let pulls = tokens.clone().map(|token| {
        let (store, reference) = (store.store.clone(), reference.clone());
        tokio::spawn(async move {
            store
                .resolve(&reference, PullPolicy::Missing, &|_| {}, token)
                .await
                .map(|_| ())
        })
    });
    let leases = store.path("leases");
    let waiting = tokio::task::spawn_blocking(move || {
        let both = || std::fs::read_dir(&leases).is_ok_and(|entries| entries.count() == 2);
        wait_until("both have a lease", Duration::from_secs(20), both);
    });
    waiting.await.unwrap();
    for token in tokens.iter().rev() {
        token.cancel();
    }
    for pull in pulls {
        assert_eq!(pull.await.unwrap().unwrap_err().status(), Status::Cancelled);
    }
    store.assert_empty();
}

#[tokio::test]
async fn token_that_is_cancelled_before_the_pull_ends_it_at_once() {
    let store = TestStore::new();
    let abort = CancellationToken::new();
    abort.cancel();
    let pulled = store
        .store
        .resolve("127.0.0.1:1/app:v1", PullPolicy::Always, &|_| {}, abort)
        .await;
    assert_eq!(pulled.unwrap_err().status(), Status::Cancelled);
    let error = resolve(&store.store, "no image", PullPolicy::Always)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::InvalidRequest);
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
