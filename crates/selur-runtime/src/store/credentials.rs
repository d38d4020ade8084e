//! Credentials for registries, from the docker config.json that everybody has: `auths`, `credHelpers`, `credsStore`.
//!
//! They are looked up when a registry asks, not before, and never appear in an error or in `Debug`.

use super::error::StoreError;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use selur_shim::without_signal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// How long a credential helper may take: it may ask a person.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HELPER_ANSWER_BYTES: u64 = 64 << 10;
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// The key of Docker's own registry. Source: docker/cli, `registry.IndexServer`.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What proves to a registry who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    Password {
        username: String,
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
    /// A bearer token as it is.
    RegistryToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// Where `config.json` is: `$DOCKER_CONFIG`, else `~/.docker`.
pub(crate) fn default_directory() -> Option<PathBuf> {
    let directory = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    directory("DOCKER_CONFIG").or_else(|| directory("HOME").map(|home| home.join(".docker")))
}

/// The credential for a registry, if there is one.
///
/// `domain` is the one of the image reference, such as `docker.io` or `127.0.0.1:5000`.
pub(crate) async fn find(directory: Option<&Path>, domain: &str) -> Result<Option<Credential>, StoreError> {
    let Some(path) = directory.map(|directory| directory.join("config.json")) else {
        return Ok(None);
    };
    let Some(config) = read(&path).await? else {
        return Ok(None);
    };
    if let Some(helper) = config
        .cred_helpers
        .iter()
        .find_map(|(key, helper)| is_key_of(key, domain).then_some(helper))
    {
        return ask_helper(helper, domain).await;
    }
    if let Some((_, entry)) = config
        .auths
        .iter()
        .find(|(key, entry)| is_key_of(key, domain) && !entry.is_empty())
    {
        return entry.credential().map_err(|words| {
            StoreError::Invalid(format!(
                "{}: the entry for {domain} {words}: run `docker login {domain}` again",
                path.display()
            ))
        });
    }
    match config.creds_store.as_deref() {
        Some(helper) if !helper.is_empty() => ask_helper(helper, domain).await,
        _ => Ok(None),
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Entry {
    fn is_empty(&self) -> bool {
        [
            &self.auth,
            &self.username,
            &self.identitytoken,
            &self.registrytoken,
        ]
        .iter()
        .all(|field| field.is_empty())
    }

    fn credential(&self) -> Result<Option<Credential>, &'static str> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(Credential::RegistryToken(self.registrytoken.clone())));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(Credential::IdentityToken(self.identitytoken.clone())));
        }
        if self.auth.is_empty() {
            return Ok(Some(Credential::Password {
                username: self.username.clone(),
                password: self.password.clone(),
            }));
        }
        let engine = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let bytes = engine
            .decode(self.auth.trim())
            .map_err(|_| "has an `auth` that is not base64")?;
        let text = String::from_utf8(bytes).map_err(|_| "has an `auth` that is not UTF-8")?;
        let (username, password) = text.split_once(':').ok_or("has an `auth` without a colon")?;
        Ok(Some(Credential::Password {
            username: username.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        }))
    }
}

async fn read(path: &Path) -> Result<Option<Config>, StoreError> {
    let unreadable =
        |words: String| StoreError::Invalid(format!("cannot read {}: {words}; repair it", path.display()));
    let mut bytes = Vec::new();
    match tokio::fs::File::open(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
        Ok(file) => file
            .take(MAX_CONFIG_BYTES)
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| unreadable(error.to_string()))?,
    };
    // serde's words may repeat a value, and a value may be a secret: only the place is told.
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| {
        unreadable(format!(
            "line {} column {} is malformed",
            error.line(),
            error.column()
        ))
    })
}

/// Keys are hosts, or old-style URLs.
fn is_key_of(key: &str, domain: &str) -> bool {
    let without_scheme = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = without_scheme.split('/').next().unwrap_or_default();
    let is_hub = |host: &str| matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    host == domain || (is_hub(host) && is_hub(domain))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Runs `docker-credential-NAME get`.
///
/// Source: docker/docker-credential-helpers, "Development".
async fn ask_helper(helper: &str, domain: &str) -> Result<Option<Credential>, StoreError> {
    let failed = |words: &str| {
        StoreError::Refused(format!(
            "the credential helper docker-credential-{helper} {words}: check `credHelpers` and `credsStore` in \
             docker's config.json"
        ))
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !helper.bytes().all(is_name) {
        return Err(StoreError::Invalid(format!(
            "the credential helper {} in docker's config.json is not a name",
            super::error::quoted(helper.as_bytes())
        )));
    }
    let key = if domain == "docker.io" {
        DOCKER_HUB_KEY
    } else {
        domain
    };
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed("is not installed"),
            _ => failed("cannot be run"),
        })?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let talk = async {
        if let Some(stdin) = stdin {
            // A pipe takes so little at once. A helper that does not read its input says so by what it answers; and the host of
            // this library may not ignore SIGPIPE.
            let mut stdin = std::fs::File::from(stdin.into_owned_fd()?);
            let _ = without_signal(|| stdin.write_all(key.as_bytes()));
        }
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout
                .take(MAX_HELPER_ANSWER_BYTES)
                .read_to_end(&mut answer)
                .await?;
        }
        // Where the host process reaps every child, the answer tells what the exit code would.
        let _ = child.wait().await;
        Ok::<Vec<u8>, std::io::Error>(answer)
    };
    let answer = match tokio::time::timeout(HELPER_TIMEOUT, talk).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => return Err(failed("broke off")),
        Err(_) => return Err(failed("did not answer within 60 s")),
    };
    match serde_json::from_slice::<HelperAnswer>(&answer) {
        Ok(answer) if answer.username == "<token>" => Ok(Some(Credential::IdentityToken(answer.secret))),
        Ok(answer) => Ok(Some(Credential::Password {
            username: answer.username,
            password: answer.secret,
        })),
        Err(_) if String::from_utf8_lossy(&answer).contains("credentials not found") => Ok(None),
        Err(_) => Err(failed("gave no answer that can be read")),
    }
}
