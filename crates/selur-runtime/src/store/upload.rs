//! Sending to a registry: blobs, unless it has them, and a manifest.
//!
//! Blobs go to the registry itself, or where it points to by https, and there without credentials. A registry that
//! points elsewhere is refused.
//!
//! Source: OCI distribution specification 1.1, "Push".

use super::digest::Digest;
use super::error::{During, StoreError, quoted};
use super::http::Purpose;
use super::limits::Limits;
use super::registry::Registry;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that may wait for the network.
const CHUNKS_IN_FLIGHT: usize = 8;
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// A blob of the store.
pub(super) struct Blob {
    pub(super) digest: Digest,
    /// In bytes.
    pub(super) size: u64,
    pub(super) path: PathBuf,
    /// Another repository of the registry that has it.
    pub(super) neighbour: Option<String>,
}

/// Sends to one repository.
pub(super) struct Upload<'a> {
    pub(super) registry: &'a Registry,
    pub(super) limits: &'a Limits,
}

impl Upload<'_> {
    /// Brings a blob into the repository: nothing is sent that is there, or that a neighbour can give.
    pub(super) async fn blob(
        &self,
        blob: &Blob,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), StoreError> {
        if self.has(blob).await? {
            return Ok(());
        }
        let begun = match &blob.neighbour {
            Some(neighbour) => match self.mount(blob, neighbour).await? {
                Mounted::Done => return Ok(()),
                Mounted::Begun(response) => response,
                Mounted::Refused => self.begin().await?,
            },
            None => self.begin().await?,
        };
        let mut target = self.target(&begun)?;
        target
            .query_pairs_mut()
            .append_pair("digest", blob.digest.as_str());
        let response = self.put_blob(blob, &target, progress).await?;
        match response.status() {
            StatusCode::CREATED | StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
            _ => Err(self.refusal(response).await),
        }
    }

    /// Puts the manifest there, under a tag or its digest. Everything that it names is there already.
    pub(super) async fn manifest(
        &self,
        target: &str,
        media_type: &str,
        digest: &Digest,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let url = self.registry.address(&format!("manifests/{target}"))?;
        let response = self
            .send(&Method::PUT, &url, |request| {
                request.header(CONTENT_TYPE, media_type).body(bytes.clone())
            })
            .await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let kept = response.headers().get("docker-content-digest");
        let kept = kept.and_then(|value| value.to_str().ok()).and_then(Digest::parse);
        match kept {
            Some(kept) if kept != *digest => Err(StoreError::Network(format!(
                "the registry {} keeps the manifest as {kept}, and it is {digest}: do not trust what is there",
                self.registry.domain()
            ))),
            _ => Ok(()),
        }
    }

    async fn has(&self, blob: &Blob) -> Result<bool, StoreError> {
        let response = self.registry.ask_for_blob(&blob.digest).await?;
        match response.status() {
            StatusCode::OK => {
                let length = response.headers().get(CONTENT_LENGTH);
                let length: Option<u64> = length.and_then(|value| value.to_str().ok()?.parse().ok());
                Ok(length.is_none_or(|length| length == blob.size))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                Err(self.refusal(response).await)
            }
            status if status.is_server_error() => Err(self.refusal(response).await),
            // What it says will be said again, with words, when an upload begins.
            _ => Ok(false),
        }
    }

    async fn mount(&self, blob: &Blob, neighbour: &str) -> Result<Mounted, StoreError> {
        let mut url = self.registry.address("blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", blob.digest.as_str())
            .append_pair("from", neighbour);
        let response = self.send(&Method::POST, &url, |request| request).await?;
        Ok(match response.status() {
            StatusCode::CREATED => Mounted::Done,
            StatusCode::ACCEPTED => Mounted::Begun(response),
            _ => Mounted::Refused,
        })
    }

    async fn begin(&self) -> Result<Response, StoreError> {
        let url = self.registry.address("blobs/uploads/")?;
        let response = self.send(&Method::POST, &url, |request| request).await?;
        match response.status() {
            StatusCode::ACCEPTED => Ok(response),
            _ => Err(self.refusal(response).await),
        }
    }

    /// Where the registry wants the bytes.
    fn target(&self, begun: &Response) -> Result<Url, StoreError> {
        let location = begun.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| begun.url().join(location).ok());
        target
            .and_then(|target| self.registry.upload_target(target))
            .ok_or_else(|| {
                StoreError::Network(format!(
                    "the registry {} wants the image sent to an address that is neither its own nor https: push to \
                     another registry, or ask who runs it",
                    self.registry.domain()
                ))
            })
    }

    /// Sends a blob whole. If the registry wants credentials again, because a token has expired, it is sent again.
    async fn put_blob(
        &self,
        blob: &Blob,
        target: &Url,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Response, StoreError> {
        let mut has_authenticated = false;
        loop {
            let response = self.put_once(blob, target, progress).await?;
            if response.status() != StatusCode::UNAUTHORIZED
                || has_authenticated
                || !self.registry.is_own(target)
            {
                return Ok(response);
            }
            has_authenticated = true;
            self.registry.authenticate(&response).await?;
        }
    }

    async fn put_once(
        &self,
        blob: &Blob,
        target: &Url,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Response, StoreError> {
        let (sent, mut watched) = watch::channel(0u64);
        let (chunks, reading) = read_verified(blob)?;
        let body = SentBody {
            chunks,
            left: blob.size,
            size: blob.size,
            sent,
        };
        let request = self
            .registry
            .request(Method::PUT, target, Purpose::Upload)
            .await?;
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(reqwest::Body::wrap(body));
        let mut sending = std::pin::pin!(request.send());
        let (mut bytes, mut is_sent) = (0, false);
        let answer = loop {
            let patience = if bytes < blob.size {
                self.limits.silence_timeout
            } else {
                self.limits.commit_timeout
            };
            tokio::select! {
                answer = &mut sending => break answer,
                changed = watched.changed(), if !is_sent => match changed {
                    Ok(()) => {
                        bytes = *watched.borrow_and_update();
                        progress(bytes);
                    }
                    Err(_) => is_sent = true,
                },
                () = tokio::time::sleep(patience) => return Err(self.registry.silent()),
            }
        };
        match answer {
            Ok(response) => {
                progress(*watched.borrow());
                Ok(response)
            }
            Err(error) => Err(match reading.await {
                Ok(Err(ours)) => ours,
                _ => self.registry.broken(&error),
            }),
        }
    }

    /// Sends a request without a blob, and again if credentials are wanted.
    async fn send(
        &self,
        method: &Method,
        url: &Url,
        complete: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Response, StoreError> {
        let mut has_authenticated = false;
        loop {
            let request = self.registry.request(method.clone(), url, Purpose::Ask).await?;
            let sent = complete(request).send().await;
            let response = sent.map_err(|error| self.registry.broken(&error))?;
            if response.status() != StatusCode::UNAUTHORIZED || has_authenticated {
                return Ok(response);
            }
            has_authenticated = true;
            self.registry.authenticate(&response).await?;
        }
    }

    /// Why the registry takes nothing, in its own words where it has some.
    async fn refusal(&self, response: Response) -> StoreError {
        let (domain, repository) = (self.registry.domain(), self.registry.repository());
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.registry.unauthorized(),
            StatusCode::NOT_FOUND => StoreError::NotFound(format!(
                "the registry {domain} has no repository {repository} to push to: create it there, or check the name"
            )),
            StatusCode::METHOD_NOT_ALLOWED => StoreError::Unsupported(format!(
                "the registry {domain} takes no images: it may be a mirror, so push to the one that it mirrors"
            )),
            StatusCode::PAYLOAD_TOO_LARGE => StoreError::TooLarge(format!(
                "the registry {domain} takes no blob as large as this: ask who runs it to allow more"
            )),
            _ => {
                let error = self.registry.unavailable(&response);
                let body = self.registry.read(response, MAX_ERROR_BYTES).await;
                let reasons: Reasons = body
                    .ok()
                    .and_then(|body| serde_json::from_slice(&body).ok())
                    .unwrap_or_default();
                match (error, reasons.errors.first()) {
                    (StoreError::Network(words), Some(Reason { code, message })) => {
                        let said = quoted(format!("{code}: {message}").as_bytes());
                        StoreError::Network(format!("{words}; it says {said}"))
                    }
                    (error, _) => error,
                }
            }
        }
    }
}

enum Mounted {
    Done,
    Begun(Response),
    Refused,
}

/// Source: OCI distribution specification 1.1, "Error Codes".
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reasons {
    errors: Vec<Reason>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reason {
    code: String,
    message: String,
}

type Chunks = mpsc::Receiver<std::io::Result<Vec<u8>>>;
type Reading = tokio::task::JoinHandle<Result<(), StoreError>>;

/// Reads a blob away from the reactor. The last bytes come only if the whole has the digest that it should have.
fn read_verified(blob: &Blob) -> Result<(Chunks, Reading), StoreError> {
    let file = match File::open(&blob.path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(lacking(&blob.digest)),
        other => other.during(|| format!("reading {}", blob.path.display()))?,
    };
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let (digest, size, path) = (blob.digest.clone(), blob.size, blob.path.clone());
    let reading = spawn_blocking(move || {
        let result = read_chunks(file, &digest, size, &path, &sender);
        if result.is_err() {
            // Ends the request. If it has ended, nobody listens.
            let _ = sender.blocking_send(Err(std::io::Error::other("the blob cannot be read")));
        }
        result
    });
    Ok((receiver, reading))
}

fn read_chunks(
    mut file: File,
    digest: &Digest,
    size: u64,
    path: &Path,
    sender: &mpsc::Sender<std::io::Result<Vec<u8>>>,
) -> Result<(), StoreError> {
    let mut hasher = digest.hasher();
    let mut bytes = 0u64;
    let mut held: Option<Vec<u8>> = None;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        read.during(|| format!("reading {}", path.display()))?;
        bytes += chunk.len() as u64;
        hasher.update(&chunk);
        if chunk.is_empty() {
            break;
        }
        if let Some(before) = held.replace(chunk)
            && sender.blocking_send(Ok(before)).is_err()
        {
            return Ok(());
        }
    }
    if bytes != size || hasher.finish() != *digest {
        // Of no use to anybody; the next pull fetches it anew.
        super::disk::remove_file(path)?;
        return Err(lacking(digest));
    }
    if let Some(last) = held {
        // Who does not listen any more says why.
        let _ = sender.blocking_send(Ok(last));
    }
    Ok(())
}

fn lacking(digest: &Digest) -> StoreError {
    StoreError::NotFound(format!(
        "the store lacks {digest} as it came, or it was damaged on disk: `selur pull` or `selur load` brings the image \
         back whole, and then it can be pushed"
    ))
}

/// A request's body of a known length.
struct SentBody {
    chunks: Chunks,
    left: u64,
    size: u64,
    sent: watch::Sender<u64>,
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let chunk = match ready!(self.chunks.poll_recv(context)) {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        self.left = self.left.saturating_sub(chunk.len() as u64);
        let sent = self.size - self.left;
        self.sent.send_replace(sent);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(chunk)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
