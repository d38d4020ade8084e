//! The client of one repository of one registry: reads documents and blobs, authenticates, follows redirects. What is
//! sent to it is `upload`'s.
//!
//! It speaks http with loopback hosts and https with all others. Credentials go to the registry itself and to the
//! token server that it names, never to where it redirects, and never over plain http beyond loopback.
//!
//! Source: OCI distribution specification 1.1, "Pull".

use super::challenge::Challenge;
use super::credentials::{self, Credential};
use super::digest::Digest;
use super::error::{StoreError, quoted};
use super::http::{Clients, Purpose, is_loopback, is_safe};
use super::limits::Limits;
use super::manifest::ACCEPTED;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use selur_protocol::ImageReference;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Where Docker's own images are served. Source: distribution/reference, `docker.io`.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
const MAX_REDIRECTS: u32 = 8;
const MAX_TOKEN_ANSWER_BYTES: u64 = 1 << 20;

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
    clients: Clients,
    // None: nothing is pushed. Else the repositories from which the registry may take blobs.
    push_from: Option<BTreeSet<String>>,
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
            repository: repository(reference),
            docker_config,
            limits: limits.clone(),
            authorization: Mutex::new(None),
            clients: Clients::default(),
            push_from: None,
        })
    }

    /// Asks for leave to write, and to read these other repositories.
    pub(super) fn wants_to_push(&mut self, from: BTreeSet<String>) {
        self.push_from = Some(from);
    }

    pub(super) fn domain(&self) -> &str {
        &self.domain
    }

    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// An address in the repository.
    pub(super) fn address(&self, path: &str) -> Result<Url, StoreError> {
        let url = self.base.join(&format!("v2/{}/{path}", self.repository));
        url.map_err(|error| StoreError::Invalid(format!("no address for {path}: {error}")))
    }

    /// Whether an address is the registry's own, so that credentials may go there.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Where an upload may go: to the registry itself, or by https.
    pub(super) fn upload_target(&self, mut url: Url) -> Option<Url> {
        url.set_fragment(None);
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.ok()?;
        // Behind a proxy that does TLS for it, a registry may not know that it is spoken to by https.
        if url.scheme() == "http" && self.base.scheme() == "https" && url.host() == self.base.host() {
            url.set_scheme("https").ok()?;
            url.set_port(self.base.port()).ok()?;
        }
        (self.is_own(&url) || url.scheme() == "https").then_some(url)
    }

    /// A request, with credentials if it goes to the registry itself.
    pub(super) async fn request(
        &self,
        method: Method,
        url: &Url,
        purpose: Purpose,
    ) -> Result<RequestBuilder, StoreError> {
        let client = self
            .clients
            .client(url, purpose, &self.domain, &self.limits)
            .await?;
        let request = client.request(method, url.clone());
        Ok(match self.authorization().filter(|_| self.is_own(url)) {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        })
    }

    /// Asks whether the repository has a blob; the status says.
    pub(super) async fn ask_for_blob(&self, digest: &Digest) -> Result<Response, StoreError> {
        let url = self.address(&format!("blobs/{digest}"))?;
        let response = self.follow(Method::HEAD, &url, "*/*").await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url()) {
            return Ok(response);
        }
        self.authenticate(&response).await?;
        self.follow(Method::HEAD, &url, "*/*").await
    }

    /// Asks for an item. Its bytes are neither bounded nor verified yet.
    pub(super) async fn open(&self, item: Item<'_>) -> Result<Response, StoreError> {
        let (path, accept) = match item {
            Item::Manifest(reference) => (format!("manifests/{reference}"), ACCEPTED),
            Item::Blob(digest) => (format!("blobs/{digest}"), "*/*"),
        };
        let start = self.address(&path)?;
        let mut has_authenticated = false;
        loop {
            let response = self.follow(Method::GET, &start, accept).await?;
            match response.status() {
                status if status.is_success() => return Ok(response),
                // The challenge of another host, to which we were redirected, is not ours to answer.
                StatusCode::UNAUTHORIZED if !has_authenticated && self.is_own(response.url()) => {
                    has_authenticated = true;
                    self.authenticate(&response).await?;
                }
                _ => return Err(self.refusal(item, &response)),
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

    /// The words for a registry that takes no more bytes, or never says that it has them.
    pub(super) fn silent(&self) -> StoreError {
        StoreError::Network(format!(
            "the registry {} fell silent while it was sent to: check the network, and try again",
            self.domain
        ))
    }

    /// Sends a request and follows redirects; what comes at the end is returned whatever its status.
    async fn follow(
        &self,
        method: Method,
        start: &Url,
        accept: &'static str,
    ) -> Result<Response, StoreError> {
        let mut url = start.clone();
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(method.clone(), &url, Purpose::Ask).await?;
            let sent = request.header(ACCEPT, accept).send().await;
            let response = sent.map_err(|error| self.broken(&error))?;
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
    pub(super) async fn authenticate(&self, response: &Response) -> Result<(), StoreError> {
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
                    .token_for_all(&realm, service.as_deref(), scope, credential)
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

    /// A token for everything that is wanted. A push can do without the repositories beside its own.
    async fn token_for_all(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<String>,
        credential: Option<Credential>,
    ) -> Result<String, StoreError> {
        let own = |actions: &str| format!("repository:{}:{actions}", self.repository);
        let Some(from) = &self.push_from else {
            let scope = scope.unwrap_or_else(|| own("pull"));
            return self.token(realm, service, &[scope], &credential).await;
        };
        let mut scopes = vec![own("pull,push")];
        scopes.extend(from.iter().map(|other| format!("repository:{other}:pull")));
        match self.token(realm, service, &scopes, &credential).await {
            Err(StoreError::Refused(_)) if scopes.len() > 1 => {
                self.token(realm, service, &scopes[..1], &credential).await
            }
            other => other,
        }
    }

    /// Asks the token server that a registry names.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
        credential: &Option<Credential>,
    ) -> Result<String, StoreError> {
        let bad_realm = || {
            StoreError::Network(format!(
                "the registry {} names the token server {}, which is neither https nor on loopback",
                self.domain,
                quoted(realm.as_bytes())
            ))
        };
        let mut url = Url::parse(realm).ok().filter(is_safe).ok_or_else(bad_realm)?;
        let joined_scopes = scopes.join(" ");
        let mut fields: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let client = self
            .clients
            .client(&url, Purpose::Ask, &self.domain, &self.limits)
            .await?;
        let request = match credential {
            Some(Credential::IdentityToken(token)) => {
                fields.extend([
                    ("scope", joined_scopes.as_str()),
                    ("grant_type", "refresh_token"),
                    ("client_id", "selur"),
                    ("refresh_token", token),
                ]);
                let mut form = Url::parse("form:?").map_err(|_| bad_realm())?;
                form.query_pairs_mut().extend_pairs(fields);
                client
                    .post(url.clone())
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form.query().unwrap_or_default().to_owned())
            }
            other => {
                fields.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
                url.query_pairs_mut().extend_pairs(fields);
                let request = client.get(url.clone());
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
            return Err(self.unauthorized_with(credential.is_some()));
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

    fn refusal(&self, item: Item<'_>, response: &Response) -> StoreError {
        match (response.status(), item) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => self.unauthorized(),
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

    /// The words for a registry that does not let us.
    pub(super) fn unauthorized(&self) -> StoreError {
        self.unauthorized_with(self.authorization().is_some())
    }

    fn unauthorized_with(&self, had_credentials: bool) -> StoreError {
        let (domain, repository) = (&self.domain, &self.repository);
        let deed = if self.push_from.is_some() {
            "write to"
        } else {
            "read"
        };
        StoreError::Refused(if had_credentials {
            format!(
                "the registry {domain} refuses these credentials for {repository}, or the repository does not exist: \
                 check its name, or run `docker login {domain}` with an account that may {deed} it"
            )
        } else {
            format!(
                "the registry {domain} wants credentials for {repository}, or the repository does not exist: check \
                 its name, or run `docker login {domain}` (any tool that writes docker's config.json will do)"
            )
        })
    }

    /// The words for a registry that answers what it should not.
    pub(super) fn unavailable(&self, response: &Response) -> StoreError {
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
}

#[derive(Default, Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// A reference's repository, as registries name it.
pub(super) fn repository(reference: &ImageReference<'_>) -> String {
    let namespace = if reference.is_official() { "library/" } else { "" };
    format!("{namespace}{}", reference.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(reference: &str, location: &str) -> Option<String> {
        let reference = ImageReference::parse(reference).unwrap();
        let registry = Registry::new(&reference, None, &Limits::default()).unwrap();
        let begun = registry.address("blobs/uploads/").unwrap();
        let target = registry.upload_target(begun.join(location).unwrap());
        target.map(String::from)
    }

    #[test]
    fn uploads_go_to_the_registry_itself_or_by_https() {
        let remote = "registry.test/app:v1";
        let local = "127.0.0.1:5000/app:v1";
        let cases = [
            (
                remote,
                "/upload/1?a=b",
                Some("https://registry.test/upload/1?a=b"),
            ),
            (remote, "https://blobs.test/1", Some("https://blobs.test/1")),
            (
                remote,
                "https://user:secret@blobs.test/1#x",
                Some("https://blobs.test/1"),
            ),
            // It does not know that a proxy does TLS for it.
            (
                remote,
                "http://registry.test/upload/1",
                Some("https://registry.test/upload/1"),
            ),
            (remote, "http://blobs.test/1", None),
            (remote, "http://127.0.0.1:8080/admin", None),
            (remote, "file:///etc/hosts", None),
            (local, "/upload/1", Some("http://127.0.0.1:5000/upload/1")),
            (local, "http://127.0.0.1:5001/upload/1", None),
            (local, "http://localhost:5000/upload/1", None),
        ];
        for (reference, location, expected) in cases {
            assert_eq!(target(reference, location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn credentials_go_to_the_registrys_own_origin_only() {
        let reference = ImageReference::parse("registry.test/app:v1").unwrap();
        let registry = Registry::new(&reference, None, &Limits::default()).unwrap();
        let is_own = |url: &str| registry.is_own(&Url::parse(url).unwrap());
        assert!(is_own("https://registry.test/x") && is_own("https://registry.test:443/"));
        for other in [
            "http://registry.test/",
            "https://registry.test:444/",
            "https://sub.registry.test/",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }

    // Cargo.lock has idna_adapter 1.0.0, which knows no Unicode: docs/decisions/ascii-registries.md.
    #[test]
    fn a_domain_in_punycode_is_asked_as_it_is_and_one_that_is_not_ascii_never() {
        let reference = ImageReference::parse("xn--bcher-kva.test/app:v1").unwrap();
        let registry = Registry::new(&reference, None, &Limits::default()).unwrap();
        assert_eq!(registry.base.as_str(), "https://xn--bcher-kva.test/");
        assert!(ImageReference::parse("bücher.test/app:v1").is_err());
        assert!(Url::parse("https://bücher.test/").is_err());
    }
}
