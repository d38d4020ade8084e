//! The client of one repository of one registry: reads documents and blobs, authenticates, follows redirects.
//!
//! It speaks http with loopback hosts and https with all others. Credentials go to the registry itself and to the
//! token server that it names, never to where it redirects, and never over plain http beyond loopback.
//!
//! Source: OCI distribution specification 1.1, "Pull".

use super::challenge::Challenge;
use super::credentials::{self, Credential};
use super::digest::Digest;
use super::error::{StoreError, quoted};
use super::limits::Limits;
use super::manifest::ACCEPTED;
use super::source::joined;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use rustls_platform_verifier::BuilderVerifierExt;
use selur_protocol::ImageReference;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::task::spawn_blocking;

/// Where Docker's own images are served. Source: distribution/reference, `docker.io`.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
const MAX_REDIRECTS: u32 = 8;
const MAX_TOKEN_ANSWER_BYTES: u64 = 1 << 20;
const USER_AGENT: &str = concat!("selur/", env!("CARGO_PKG_VERSION"));

/// What is read from a registry.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    /// A manifest or an index, by tag or digest.
    Manifest(&'a str),
    /// A blob.
    Blob(&'a Digest),
}

/// One repository.
pub(super) struct Registry {
    base: Url,
    domain: String,
    repository: String,
    docker_config: Option<PathBuf>,
    limits: Limits,
    authorization: Mutex<Option<HeaderValue>>,
    // Made when first needed: reading the system's certificate authorities takes milliseconds, and loopback needs none.
    https: OnceLock<Client>,
    http: OnceLock<Client>,
}

impl Registry {
    pub(super) fn new(
        reference: &ImageReference<'_>,
        docker_config: Option<PathBuf>,
        limits: &Limits,
    ) -> Result<Registry, StoreError> {
        let domain = reference.domain();
        let host = if domain == selur_protocol::DEFAULT_DOMAIN {
            DOCKER_HUB_HOST
        } else {
            domain
        };
        let namespace = if reference.is_official() { "library/" } else { "" };
        let address = |scheme: &str| Url::parse(&format!("{scheme}://{host}/"));
        let base = address("http").and_then(|url| {
            if is_loopback(&url) {
                Ok(url)
            } else {
                address("https")
            }
        });
        let base =
            base.map_err(|error| StoreError::Invalid(format!("{domain} is no registry's address: {error}")))?;
        Ok(Registry {
            base,
            domain: domain.to_owned(),
            repository: format!("{namespace}{}", reference.path()),
            docker_config,
            limits: limits.clone(),
            authorization: Mutex::new(None),
            https: OnceLock::new(),
            http: OnceLock::new(),
        })
    }

    /// Asks for an item. Its bytes are neither bounded nor verified yet.
    pub(super) async fn open(&self, item: Item<'_>) -> Result<Response, StoreError> {
        let (path, accept) = match item {
            Item::Manifest(reference) => (format!("manifests/{reference}"), ACCEPTED),
            Item::Blob(digest) => (format!("blobs/{digest}"), "*/*"),
        };
        let start = self.base.join(&format!("v2/{}/{path}", self.repository));
        let start = start.map_err(|error| StoreError::Invalid(format!("no address for {path}: {error}")))?;
        let mut has_authenticated = false;
        loop {
            let response = self.follow(&start, accept).await?;
            match response.status() {
                status if status.is_success() => return Ok(response),
                // The challenge of another host, to which we were redirected, is not ours to answer.
                StatusCode::UNAUTHORIZED
                    if !has_authenticated && response.url().origin() == self.base.origin() =>
                {
                    has_authenticated = true;
                    self.authenticate(&response).await?;
                }
                _ => return Err(self.refusal(item, &response, has_authenticated)),
            }
        }
    }

    /// Reads an answer whole, if it is not longer than allowed.
    pub(super) async fn read(&self, mut response: Response, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if (bytes.len() + chunk.len()) as u64 > max_bytes {
                return Err(StoreError::TooLarge(format!(
                    "{} sends more than the {max_bytes} bytes that are allowed here",
                    self.domain
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The words for a connection that failed.
    pub(super) fn broken(&self, error: &reqwest::Error) -> StoreError {
        let what = if error.is_connect() {
            "cannot be reached"
        } else if error.is_timeout() {
            "fell silent"
        } else {
            "broke off"
        };
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        // The causes below reqwest's own words have no URL, which could hold a signature.
        StoreError::Network(format!(
            "the registry {} {what} ({cause}): check its name and the network, and try again",
            self.domain
        ))
    }

    /// Sends a request and follows redirects; what comes at the end is returned whatever its status.
    async fn follow(&self, start: &Url, accept: &'static str) -> Result<Response, StoreError> {
        let mut url = start.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client(&url).await?.get(url.clone()).header(ACCEPT, accept);
            if url.origin() == self.base.origin()
                && let Some(authorization) = self.authorization()
            {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = request.send().await.map_err(|error| self.broken(&error))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            url = self.redirected(&response)?;
        }
        Err(StoreError::Network(format!(
            "the registry {} redirects without end",
            self.domain
        )))
    }

    fn redirected(&self, response: &Response) -> Result<Url, StoreError> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| response.url().join(location).ok());
        match target {
            Some(mut url) if is_safe(&url) => {
                // Credentials in an address would be sent as basic authentication.
                let cleared = url.set_username("").and_then(|()| url.set_password(None));
                cleared.map(|()| url).map_err(|()| self.bad_redirect())
            }
            _ => Err(self.bad_redirect()),
        }
    }

    fn bad_redirect(&self) -> StoreError {
        StoreError::Network(format!(
            "the registry {} redirects to no address that may be followed: it must be https, or http on loopback",
            self.domain
        ))
    }

    /// Gets what the challenge asks for and keeps it for the requests that follow.
    async fn authenticate(&self, response: &Response) -> Result<(), StoreError> {
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = Challenge::choose(headers.filter_map(|value| value.to_str().ok()));
        let credential = credentials::find(self.docker_config.as_deref(), &self.domain).await?;
        let authorization = match (challenge, credential) {
            (Some(Challenge::Basic), Some(Credential::Password { username, password })) => {
                basic(&username, &password)
            }
            (Some(Challenge::Bearer { .. }), Some(Credential::RegistryToken(token))) => {
                format!("Bearer {token}")
            }
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                credential,
            ) => {
                let token = self
                    .token(&realm, service.as_deref(), scope.as_deref(), credential)
                    .await?;
                format!("Bearer {token}")
            }
            _ => return Ok(()),
        };
        let mut value = HeaderValue::from_str(&authorization)
            .map_err(|_| StoreError::Refused(format!("the credentials for {} are no header", self.domain)))?;
        value.set_sensitive(true);
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    /// Asks the token server that a registry names.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
        credential: Option<Credential>,
    ) -> Result<String, StoreError> {
        let bad_realm = || {
            StoreError::Network(format!(
                "the registry {} names the token server {}, which is neither https nor on loopback",
                self.domain,
                quoted(realm.as_bytes())
            ))
        };
        let mut url = Url::parse(realm).ok().filter(is_safe).ok_or_else(bad_realm)?;
        let default_scope = format!("repository:{}:pull", self.repository);
        let mut fields = vec![("scope", scope.unwrap_or(&default_scope))];
        fields.extend(service.map(|service| ("service", service)));
        let request = match &credential {
            Some(Credential::IdentityToken(token)) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "selur"),
                    ("refresh_token", token),
                ]);
                let mut form = Url::parse("form:?").map_err(|_| bad_realm())?;
                form.query_pairs_mut().extend_pairs(fields);
                self.client(&url)
                    .await?
                    .post(url.clone())
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form.query().unwrap_or_default().to_owned())
            }
            other => {
                url.query_pairs_mut().extend_pairs(fields);
                let request = self.client(&url).await?.get(url.clone());
                match other {
                    Some(Credential::Password { username, password }) => {
                        request.header(AUTHORIZATION, basic(username, password))
                    }
                    _ => request,
                }
            }
        };
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let status = response.status();
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Err(self.unauthorized(credential.is_some()));
        }
        if !status.is_success() {
            return Err(self.unavailable(&response));
        }
        let body = self.read(response, MAX_TOKEN_ANSWER_BYTES).await?;
        let answer: TokenAnswer = serde_json::from_slice(&body).unwrap_or_default();
        answer
            .token
            .or(answer.access_token)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| {
                StoreError::Network(format!(
                    "the token server of {} gave no token that can be read",
                    self.domain
                ))
            })
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn refusal(&self, item: Item<'_>, response: &Response, has_authenticated: bool) -> StoreError {
        match (response.status(), item) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                self.unauthorized(has_authenticated && self.authorization().is_some())
            }
            (StatusCode::NOT_FOUND, Item::Manifest(reference)) => StoreError::NotFound(format!(
                "the registry {} has no image {}:{reference}: check the name and the tag",
                self.domain, self.repository
            )),
            (StatusCode::NOT_FOUND, Item::Blob(digest)) => StoreError::Network(format!(
                "the registry {} lacks {digest}, a part of its own image: push the image again",
                self.domain
            )),
            _ => self.unavailable(response),
        }
    }

    fn unauthorized(&self, had_credentials: bool) -> StoreError {
        let (domain, repository) = (&self.domain, &self.repository);
        StoreError::Refused(if had_credentials {
            format!(
                "the registry {domain} refuses these credentials for {repository}, or the repository does not exist: \
                 check its name, or run `docker login {domain}` with an account that may read it"
            )
        } else {
            format!(
                "the registry {domain} wants credentials for {repository}, or the repository does not exist: check \
                 its name, or run `docker login {domain}` (any tool that writes docker's config.json will do)"
            )
        })
    }

    fn unavailable(&self, response: &Response) -> StoreError {
        let status = response.status();
        let domain = &self.domain;
        if status == StatusCode::TOO_MANY_REQUESTS {
            let wait = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok());
            let wait = wait.and_then(|text| text.parse::<u32>().ok());
            let when = wait.map_or_else(|| "later".to_owned(), |seconds| format!("in {seconds} s"));
            return StoreError::Network(format!(
                "the registry {domain} has had too many requests from here: try again {when}, or log in for a higher \
                 limit"
            ));
        }
        StoreError::Network(format!(
            "the registry {domain} answers {status}: try again later, or ask who runs it"
        ))
    }

    async fn client(&self, url: &Url) -> Result<&Client, StoreError> {
        let is_https = url.scheme() == "https";
        let slot = if is_https { &self.https } else { &self.http };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let (domain, limits) = (self.domain.clone(), self.limits.clone());
        let client = joined(spawn_blocking(move || make_client(is_https, &domain, &limits)).await)?;
        Ok(slot.get_or_init(|| client))
    }
}

/// Sets up HTTP and TLS. Blocks: it reads the system's certificate authorities.
fn make_client(is_https: bool, domain: &str, limits: &Limits) -> Result<Client, StoreError> {
    let failed = |error: &dyn std::fmt::Display| {
        StoreError::Network(format!(
            "cannot set up TLS for {domain}: {error}: install ca-certificates"
        ))
    };
    // Named here, not installed for the whole process, which belongs to our host.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let tls = if is_https {
        tls.with_platform_verifier().map_err(|error| failed(&error))?
    } else {
        tls.with_root_certificates(rustls::RootCertStore::empty())
    };
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(USER_AGENT)
        .connect_timeout(limits.connect_timeout)
        .read_timeout(limits.silence_timeout)
        .tls_backend_preconfigured(tls.with_no_client_auth());
    if !is_https {
        // Plain http stays on this machine.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| failed(&error))
}

#[derive(Default, Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// Whether an address may be spoken to: https, or plain http that does not leave the machine.
fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}
