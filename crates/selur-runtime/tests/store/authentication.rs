//! Credentials: where they come from, where they go, and where they never go.

use crate::hostile_registries::{SECRET, image, pull, store};
use selur_protocol::Status;
use selur_testkit::{BuiltImage, Contents, Reply, Request, ScriptedRegistry};

const ISSUED_TOKEN: &str = "issued-token";

fn login(registry: &ScriptedRegistry, entry: &str) -> String {
    format!(r#"{{"auths": {{"{}": {{{entry}}}}}}}"#, registry.address())
}

fn basic() -> String {
    use base64::Engine;
    format!(
        r#""auth": "{}""#,
        base64::engine::general_purpose::STANDARD.encode(format!("user:{SECRET}"))
    )
}

/// Answers token requests at `/token`, and wants the token everywhere else.
fn bearer(request: &Request, address: &str) -> Option<Reply> {
    if request.path.starts_with("/token") {
        let granted = match request.method.as_str() {
            "POST" => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                body.contains("grant_type=refresh_token") && body.contains("refresh_token=refresh%2Fme")
            }
            _ => request
                .header("authorization")
                .is_none_or(|value| value.starts_with("Basic dXNlcjpodW50ZXIy")),
        };
        let answer = Reply::status(if granted { 200 } else { 401 });
        return Some(answer.body(format!(r#"{{"token":"{ISSUED_TOKEN}"}}"#)));
    }
    let expected = format!("Bearer {ISSUED_TOKEN}");
    (request.header("authorization") != Some(&expected)).then(|| {
        let challenge = format!(
            r#"Bearer realm="http://{address}/token",service="the registry",scope="repository:app:pull""#
        );
        Reply::status(401).header("www-authenticate", &challenge)
    })
}

fn bearer_registry() -> (ScriptedRegistry, BuiltImage) {
    let image = image();
    let contents = Contents::new().image("app", "v1", &image);
    let registry = ScriptedRegistry::start(contents, |request| {
        bearer(request, request.header("host").unwrap_or_default())
    });
    (registry, image)
}

#[tokio::test]
async fn bearer_tokens_are_fetched_with_and_without_credentials() {
    let cases: [(&str, Option<&str>); 4] = [
        ("anonymous", None),
        ("password", Some("password")),
        (
            "identity token",
            Some(r#""auth": "dXNlcjo=", "identitytoken": "refresh/me""#),
        ),
        ("registry token", Some(r#""registrytoken": "issued-token""#)),
    ];
    for (name, entry) in cases {
        let (registry, image) = bearer_registry();
        let entry = entry.map(|entry| {
            if entry == "password" {
                basic()
            } else {
                entry.to_owned()
            }
        });
        let (store, _config) = store(entry.map(|entry| login(&registry, &entry)).as_deref());
        assert_eq!(pull(&store, &registry).await.unwrap(), image.digest(), "{name}");
        let requests = registry.requests();
        let tokens: Vec<&Request> = requests
            .iter()
            .filter(|request| request.path.starts_with("/token"))
            .collect();
        assert_eq!(
            tokens.len(),
            usize::from(name != "registry token"),
            "{name}: a token serves all requests"
        );
        for token in tokens {
            let fields = format!("{} {}", token.path, String::from_utf8_lossy(&token.body));
            assert!(fields.contains("service=the+registry"), "{name}: {fields}");
            assert!(
                fields.contains("scope=repository%3Aapp%3Apull"),
                "{name}: {fields}"
            );
        }
        for request in requests.iter().filter(|request| request.path.starts_with("/v2/")) {
            let authorization = request.header("authorization").unwrap_or_default();
            assert!(
                !authorization.starts_with("Basic"),
                "{name}: the password went to the registry"
            );
        }
    }
}

#[tokio::test]
async fn token_servers_that_misbehave_get_clear_errors() {
    type Answer = fn() -> Reply;
    let cases: [(&str, &str, Answer, Status, &str); 8] = [
        (
            "refusal",
            "http://HOST/token",
            || Reply::status(401),
            Status::PermissionDenied,
            "refuses these credentials",
        ),
        (
            "no token",
            "http://HOST/token",
            || Reply::status(200).body("{}"),
            Status::NetworkError,
            "gave no token",
        ),
        (
            "no JSON",
            "http://HOST/token",
            || Reply::status(200).body("hunter2"),
            Status::NetworkError,
            "gave no token",
        ),
        (
            "endless",
            "http://HOST/token",
            || Reply::status(200).endless(),
            Status::ResourceExhausted,
            "sends more than",
        ),
        (
            "500",
            "http://HOST/token",
            || Reply::status(500),
            Status::NetworkError,
            "answers 500",
        ),
        (
            "redirect",
            "http://HOST/token",
            || Reply::redirect("http://127.0.0.1:1/"),
            Status::NetworkError,
            "answers 307",
        ),
        (
            "plain http elsewhere",
            "http://192.0.2.1/token",
            || Reply::status(500),
            Status::NetworkError,
            "neither https nor on loopback",
        ),
        (
            "no address",
            "token",
            || Reply::status(500),
            Status::NetworkError,
            "neither https nor on loopback",
        ),
    ];
    for (name, realm, answer, status, words) in cases {
        let registry = ScriptedRegistry::start(Contents::new(), move |request| {
            if request.path.starts_with("/token") {
                return Some(answer());
            }
            let realm = realm.replace("HOST", request.header("host").unwrap_or_default());
            Some(Reply::status(401).header("www-authenticate", &format!("Bearer realm=\"{realm}\"")))
        });
        let (store, _config) = store(Some(&login(&registry, &basic())));
        let error = pull(&store, &registry).await.unwrap_err();
        let message = error.chain();
        assert_eq!(error.status(), status, "{name}: {message}");
        assert!(message.contains(words), "{name}: {message}");
        assert!(!message.contains(SECRET), "{name}: {message}");
        store.assert_empty();
    }
}

#[tokio::test]
async fn credentials_stay_with_the_registry_when_it_redirects() {
    let image = image();
    let elsewhere = ScriptedRegistry::serving(Contents::new().image("app", "v1", &image));
    let target = elsewhere.address().to_string();
    let contents = Contents::new().image("app", "v1", &image);
    let registry = ScriptedRegistry::start(contents, move |request| {
        let host = request.header("host").unwrap_or_default();
        bearer(request, host).or_else(|| {
            let to = format!("http://sneaky:{SECRET}@{target}{}", request.path);
            (request.path.starts_with("/v2/") && request.is_blob()).then(|| Reply::redirect(&to))
        })
    });
    let (store, _config) = store(Some(&login(&registry, &basic())));
    assert_eq!(pull(&store, &registry).await.unwrap(), image.digest());
    let redirected = elsewhere.requests();
    assert_eq!(redirected.len(), 2, "the configuration and the layer");
    for request in redirected {
        assert_eq!(request.header("authorization"), None, "{}", request.path);
    }
}

#[tokio::test]
async fn challenge_of_another_host_is_not_answered() {
    let image = image();
    let elsewhere = ScriptedRegistry::start(Contents::new(), |_| {
        Some(Reply::status(401).header("www-authenticate", "Basic realm=\"give me\""))
    });
    let target = elsewhere.address().to_string();
    let contents = Contents::new().image("app", "v1", &image);
    let registry = ScriptedRegistry::start(contents, move |request| {
        request
            .is_blob()
            .then(|| Reply::redirect(&format!("http://{target}{}", request.path)))
    });
    let (store, _config) = store(Some(&login(&registry, &basic())));
    let error = pull(&store, &registry).await.unwrap_err();
    assert_eq!(error.status(), Status::PermissionDenied);
    assert!(
        elsewhere
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert!(
        registry
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none()),
        "nobody asked"
    );
    store.assert_empty();
}

#[tokio::test]
async fn challenge_of_the_registry_itself_is_answered_after_a_redirect() {
    let image = image();
    let contents = Contents::new().image("app", "v1", &image).manifest(
        "moved",
        "v1",
        image.media_type(),
        &image.manifest,
    );
    let registry = ScriptedRegistry::start(contents, |request| {
        if request.path == "/v2/app/manifests/v1" {
            return Some(Reply::redirect("../../moved/manifests/v1"));
        }
        let is_known = request.header("authorization") == Some("Basic dXNlcjpodW50ZXIy");
        (!is_known).then(|| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""))
    });
    let (store, _config) = store(Some(&login(&registry, &basic())));
    assert_eq!(pull(&store, &registry).await.unwrap(), image.digest());
}

#[tokio::test]
async fn config_json_that_cannot_be_used_says_so_without_its_secrets() {
    let auth = |text: &str| {
        use base64::Engine;
        format!(
            r#""auth": "{}""#,
            base64::engine::general_purpose::STANDARD.encode(text)
        )
    };
    let no_colon = auth(SECRET);
    let cases: [(&str, &str, Status, &str); 6] = [
        (
            "malformed",
            r#"{"auths": {"x": {"auth": "hunter2"}"#,
            Status::InvalidRequest,
            "malformed; repair it",
        ),
        (
            "wrong type",
            r#"{"auths": "hunter2"}"#,
            Status::InvalidRequest,
            "malformed; repair it",
        ),
        (
            "no base64",
            r#"{"auths": {"ADDRESS": {"auth": "hunter2!"}}}"#,
            Status::InvalidRequest,
            "not base64",
        ),
        ("no colon", "NO COLON", Status::InvalidRequest, "without a colon"),
        (
            "no such helper",
            r#"{"credHelpers": {"ADDRESS": "selur-test-none"}}"#,
            Status::PermissionDenied,
            "not installed",
        ),
        (
            "helper that is a path",
            r#"{"credsStore": "../hunter"}"#,
            Status::InvalidRequest,
            "is not a name",
        ),
    ];
    for (name, text, status, words) in cases {
        let (registry, _) = basic_registry();
        let text = text.replace("ADDRESS", &registry.address().to_string());
        let text = if text == "NO COLON" {
            login(&registry, &no_colon)
        } else {
            text
        };
        let (store, _config) = store(Some(&text));
        let error = pull(&store, &registry).await.unwrap_err();
        let message = error.chain();
        assert_eq!(error.status(), status, "{name}: {message}");
        assert!(
            message.contains(words) && !message.contains(SECRET),
            "{name}: {message}"
        );
    }
}

fn basic_registry() -> (ScriptedRegistry, BuiltImage) {
    let image = image();
    let contents = Contents::new().image("app", "v1", &image);
    let registry = ScriptedRegistry::start(contents, |request| {
        let is_known = request.header("authorization") == Some("Basic dXNlcjpodW50ZXIy");
        (!is_known).then(|| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""))
    });
    (registry, image)
}
