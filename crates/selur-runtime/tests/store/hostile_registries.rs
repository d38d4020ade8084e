//! Registries that lie, break off, never end or fish for credentials.

use crate::support::TestStore;
use selur_protocol::Status;
use selur_runtime::RuntimeError;
use selur_runtime::store::{Limits, StoreOptions};
use selur_testkit::{BuiltImage, Contents, ImageBuilder, Reply, Request, ScriptedRegistry, digest};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const SECRET: &str = "hunter2";

pub(crate) fn image() -> BuiltImage {
    let noise: Vec<u8> = (0..40_000u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    ImageBuilder::empty().files([("noise", noise.as_slice())]).build()
}

/// A store that gives up soon, with a config.json of this text.
pub(crate) fn store(config: Option<&str>) -> (TestStore, TempDir) {
    let directory = TempDir::new().unwrap();
    if let Some(text) = config {
        std::fs::write(directory.path().join("config.json"), text).unwrap();
    }
    let limits = Limits {
        silence_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let docker_config = Some(directory.path().to_owned());
    (
        TestStore::with(StoreOptions {
            limits,
            docker_config,
        }),
        directory,
    )
}

pub(crate) async fn pull(store: &TestStore, registry: &ScriptedRegistry) -> Result<String, RuntimeError> {
    let reference = format!("{}/app:v1", registry.address());
    Ok(store.resolve(&reference).await?.manifest_digest)
}

#[tokio::test]
async fn misbehaviour_is_a_clear_error_and_leaves_nothing() {
    type Script = fn(&Request, &BuiltImage) -> Option<Reply>;
    fn at(request: &Request, what: &str, reply: Reply) -> Option<Reply> {
        request.path.contains(what).then_some(reply)
    }
    fn layer(request: &Request, image: &BuiltImage, reply: impl FnOnce(&[u8]) -> Reply) -> Option<Reply> {
        let layer = &image.layers[0];
        request
            .path
            .ends_with(&layer.digest())
            .then(|| reply(layer.blob()))
    }
    fn forged(bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes[100] ^= 1;
        bytes
    }
    let network = Status::NetworkError;
    let cases: [(&str, Script, Status, &str); 28] = [
        (
            "500",
            |r, _| at(r, "/manifests/", Reply::status(500).body("Bearer hunter2")),
            network,
            "answers 500",
        ),
        (
            "503 for a layer",
            |r, i| layer(r, i, |_| Reply::status(503)),
            network,
            "answers 503",
        ),
        (
            "429",
            |r, _| at(r, "/manifests/", Reply::status(429).header("retry-after", "77")),
            network,
            "in 77 s",
        ),
        (
            "429 without a time",
            |r, _| at(r, "/manifests/", Reply::status(429)),
            network,
            "try again later",
        ),
        (
            "401 without a challenge",
            |r, _| at(r, "/v2/", Reply::status(401)),
            Status::PermissionDenied,
            "docker login",
        ),
        (
            "401 for ever",
            |r, _| {
                at(
                    r,
                    "/v2/",
                    Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
                )
            },
            Status::PermissionDenied,
            "docker login",
        ),
        (
            "403",
            |r, _| at(r, "/v2/", Reply::status(403)),
            Status::PermissionDenied,
            "wants credentials",
        ),
        (
            "404 for a layer",
            |r, i| layer(r, i, |_| Reply::status(404)),
            network,
            "a part of its own image",
        ),
        (
            "no HTTP",
            |r, _| {
                at(
                    r,
                    "/manifests/",
                    Reply::status(200).header("x\r\n\r\nx", "y").claims(9),
                )
            },
            network,
            "broke off",
        ),
        (
            "silence",
            |r, _| at(r, "/manifests/", Reply::status(200).claims(100).stalls()),
            network,
            "fell silent",
        ),
        (
            "silence within a layer",
            |r, i| {
                layer(r, i, |b| {
                    Reply::status(200).body(&b[..9]).claims(b.len() as u64).stalls()
                })
            },
            network,
            "fell silent",
        ),
        (
            "end within a manifest",
            |r, i| {
                at(
                    r,
                    "/manifests/",
                    Reply::status(200)
                        .body(&i.manifest[..9])
                        .claims(i.manifest.len() as u64),
                )
            },
            network,
            "broke off",
        ),
        (
            "end within a layer",
            |r, i| {
                layer(r, i, |b| {
                    Reply::status(200).body(&b[..b.len() / 2]).claims(b.len() as u64)
                })
            },
            network,
            "broke off",
        ),
        (
            "layer shorter than its descriptor",
            |r, i| layer(r, i, |b| Reply::status(200).body(&b[1..])),
            network,
            "should have",
        ),
        (
            "layer that claims to be longer",
            |r, i| layer(r, i, |b| Reply::status(200).body(b).claims(u64::MAX / 2)),
            network,
            "should have",
        ),
        (
            "endless layer",
            |r, i| layer(r, i, |b| Reply::status(200).body(b).endless()),
            network,
            "comes with more",
        ),
        (
            "endless manifest",
            |r, _| at(r, "/manifests/", Reply::status(200).endless()),
            Status::ResourceExhausted,
            "sends more than",
        ),
        (
            "endless configuration",
            |r, i| at(r, &digest(&i.config), Reply::status(200).endless()),
            Status::ResourceExhausted,
            "sends more than",
        ),
        (
            "forged layer",
            |r, i| layer(r, i, |b| Reply::status(200).body(forged(b))),
            network,
            "does not have this digest",
        ),
        (
            "forged configuration",
            |r, i| at(r, &digest(&i.config), Reply::status(200).body(forged(&i.config))),
            network,
            "does not have this digest",
        ),
        (
            "digest that is not the manifest's",
            |r, i| {
                at(
                    r,
                    "/manifests/",
                    Reply::status(200)
                        .body(i.manifest.clone())
                        .header("docker-content-digest", &digest(b"x")),
                )
            },
            network,
            "does not have this digest",
        ),
        (
            "malformed manifest",
            |r, _| at(r, "/manifests/", Reply::status(200).body("{")),
            network,
            "malformed",
        ),
        (
            "manifest of a web page",
            |r, _| at(r, "/manifests/", Reply::status(200).body("<html>")),
            network,
            "malformed",
        ),
        (
            "index of itself",
            |r, _| {
                let body = format!(
                    r#"{{"schemaVersion":2,"manifests":[{{"digest":"{}","size":1,"platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#,
                    digest(b"x")
                );
                at(r, "/manifests/v1", Reply::status(200).body(body)).or_else(|| {
                    at(
                        r,
                        "/manifests/",
                        Reply::status(200).body("x").header("docker-content-digest", "x"),
                    )
                })
            },
            network,
            "malformed",
        ),
        (
            "redirect in a circle",
            |r, _| at(r, "/manifests/", Reply::redirect("/v2/app/manifests/v1")),
            network,
            "redirects without end",
        ),
        (
            "redirect to a file",
            |r, _| at(r, "/manifests/", Reply::redirect("file:///etc/passwd")),
            network,
            "redirects to no address",
        ),
        (
            "redirect to plain http elsewhere",
            |r, _| at(r, "/manifests/", Reply::redirect("http://192.0.2.1/x")),
            network,
            "redirects to no address",
        ),
        (
            "redirect to nowhere",
            |r, _| at(r, "/manifests/", Reply::status(307)),
            network,
            "redirects to no address",
        ),
    ];
    for (name, script, status, words) in cases {
        let image = image();
        let contents = Contents::new().image("app", "v1", &image);
        let registry = ScriptedRegistry::start(contents, move |request| script(request, &image));
        let (store, _config) = store(None);
        let error = pull(&store, &registry).await.unwrap_err();
        let message = error.chain();
        assert_eq!(error.status(), status, "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
        assert!(!message.contains(SECRET), "{name}: {message}");
        store.assert_empty();
    }
}

#[tokio::test]
async fn manifest_by_digest_is_verified() {
    let image = image();
    let forged = ImageBuilder::empty().build();
    let wanted = image.digest();
    let contents = Contents::new().image("app", "v1", &forged);
    let contents = contents.manifest("app", &wanted, image.media_type(), &forged.manifest);
    let registry = ScriptedRegistry::serving(contents);
    let store = TestStore::new();
    let error = store
        .resolve(&format!("{}/app@{wanted}", registry.address()))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::NetworkError);
    assert!(
        error
            .chain()
            .contains(&format!("what came for {wanted} does not have this digest"))
    );
    store.assert_empty();
}

#[tokio::test]
async fn hosts_beyond_loopback_are_spoken_to_in_tls_only() {
    let store = TestStore::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The unspecified address leads here, and is not of loopback.
    let reference = format!("0.0.0.0:{port}/app:v1");
    let first_byte = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        byte[0]
    });
    let error = store.resolve(&reference).await.unwrap_err();
    assert_eq!(error.status(), Status::NetworkError, "{}", error.chain());
    const TLS_HANDSHAKE: u8 = 0x16;
    assert_eq!(first_byte.join().unwrap(), TLS_HANDSHAKE);
}
