//! Connections to the daemon's socket: one for each request.
//!
//! A daemon is not trusted with this process's memory or time. Each request has a connection of its own, through which
//! only so many bytes come as its answer may have; dropping what came of it closes the connection, which is how a
//! request is given up. A connection to a unix socket costs some tens of microseconds, and none is ever found dead
//! because the daemon was restarted since.

use super::failure::DaemonError;
use bollard::{BollardRequest, ClientVersion, Docker};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;

/// An answer that is read as a whole has at most so many bytes. The longest are lists of containers, each with a
/// specification of up to 64 KiB.
const MAX_ANSWER_BYTES: u64 = 128 << 20;
/// An answer to a command has at most so many bytes.
const MAX_COMMAND_BYTES: u64 = 1 << 20;
/// What the daemon says of an error is read up to here, in bytes.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// A line of a stream of JSON has at most so many bytes. An event carries the labels of its container.
const MAX_LINE_BYTES: usize = 1 << 20;
/// How long the daemon may take for what it only has to look up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(60);
/// bollard's own bound of a request, in seconds: callers have deadlines of their own.
const NO_TIMEOUT_S: u64 = 365 * 24 * 3600;
/// How long the daemon's queue of connections may be full.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Speaks with one daemon, in one version of its interface.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: Arc<PathBuf>,
    version: (usize, usize),
    typed: Docker,
}

impl Client {
    pub(super) fn new(socket: PathBuf, version: (usize, usize)) -> Result<Client, DaemonError> {
        let socket = Arc::new(socket);
        let at = socket.clone();
        let transport = move |mut request: BollardRequest| {
            let at = at.clone();
            // bollard leaves the version out of its paths.
            let target = request.uri().path_and_query().map(|target| target.as_str());
            let target = format!("/v{}.{}{}", version.0, version.1, target.unwrap_or("/"));
            Box::pin(async move {
                *request.uri_mut() = target.parse()?;
                match exchange(&at, request, Some(MAX_COMMAND_BYTES)).await {
                    Ok((response, driver)) => {
                        // It ends with the body of the response.
                        driver.release();
                        Ok(response)
                    }
                    Err(error) => Err(bollard::errors::Error::IOError {
                        err: io::Error::other(error),
                    }),
                }
            })
        };
        let client_version = ClientVersion {
            major_version: version.0,
            minor_version: version.1,
        };
        let typed = Docker::connect_with_custom_transport(
            transport,
            Some("http://localhost"),
            NO_TIMEOUT_S,
            &client_version,
        )?;
        Ok(Client {
            socket,
            version,
            typed,
        })
    }

    /// Where the daemon listens.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// bollard's calls, for what is answered with success or an error and no more.
    pub(super) fn typed(&self) -> &Docker {
        &self.typed
    }

    /// Asks for a document.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, DaemonError> {
        let ask = async {
            let call = Call::new(Method::GET, path).query(query);
            let mut answer = self.send(call, Some(MAX_ANSWER_BYTES)).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = answer.piece().await? {
                bytes.extend_from_slice(&piece);
            }
            serde_json::from_slice(&bytes)
                .map_err(|error| DaemonError::nonsense(format_args!("{path}: {error}")))
        };
        tokio::time::timeout(LOOKUP_TIMEOUT, ask)
            .await
            .unwrap_or(Err(DaemonError::Slow(LOOKUP_TIMEOUT)))
    }

    /// Makes a request and gives its answer as it flows. With `most_bytes` it breaks off after so many.
    pub(super) async fn send(&self, call: Call<'_>, most_bytes: Option<u64>) -> Result<Answer, DaemonError> {
        let (major, minor) = self.version;
        let mut target = format!("/v{major}.{minor}{}", escaped_path(call.path));
        for (number, (name, value)) in call.query.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            let _ = write!(target, "{mark}{name}={}", escaped(value));
        }
        let mut request = Request::builder()
            .method(call.method)
            .uri(target)
            .header(CONTENT_TYPE, call.content_type);
        if call.upgrades {
            request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let request = request.body(call.body).map_err(DaemonError::nonsense)?;
        let (response, driver) = exchange(&self.socket, request, most_bytes).await?;
        let answer = Answer {
            response,
            driver,
            line: Vec::new(),
        };
        match answer.response.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED => Ok(answer),
            status => Err(answer.refusal(status).await),
        }
    }
}

/// A request.
pub(super) struct Call<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: Vec<(HeaderName, String)>,
    content_type: &'static str,
    body: Payload,
    upgrades: bool,
}

/// What a request brings along.
pub(super) type Payload = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

fn payload(bytes: impl Into<Bytes>) -> Payload {
    let body = http_body_util::Full::new(bytes.into());
    body.map_err(|never| match never {}).boxed_unsync()
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, path: &'a str) -> Call<'a> {
        Call {
            method,
            path,
            query: &[],
            headers: Vec::new(),
            content_type: "application/json",
            body: payload(Bytes::new()),
            upgrades: false,
        }
    }

    pub(super) fn query(self, query: &'a [(&'a str, &'a str)]) -> Call<'a> {
        Call { query, ..self }
    }

    pub(super) fn header(mut self, name: HeaderName, value: String) -> Call<'a> {
        self.headers.push((name, value));
        self
    }

    /// A header, unless it is there.
    pub(super) fn or_header(self, name: HeaderName, value: impl FnOnce() -> String) -> Call<'a> {
        match self.headers.iter().any(|(known, _)| *known == name) {
            true => self,
            false => self.header(name, value()),
        }
    }

    /// A document.
    pub(super) fn json(self, document: &impl Serialize) -> Call<'a> {
        let body = payload(serde_json::to_vec(document).unwrap_or_default());
        Call { body, ..self }
    }

    /// Bytes as they come.
    pub(super) fn body(self, content_type: &'static str, body: Payload) -> Call<'a> {
        Call {
            content_type,
            body,
            ..self
        }
    }

    /// The connection becomes a pipe in both directions.
    pub(super) fn upgrading(self) -> Call<'a> {
        Call {
            upgrades: true,
            ..self
        }
    }
}

/// An answer as it flows. Dropping it ends the request.
pub(super) struct Answer {
    response: Response<Incoming>,
    driver: Driver,
    /// What was read of the lines so far.
    line: Vec<u8>,
}

impl Answer {
    /// The next bytes; nothing is the end.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, DaemonError> {
        while let Some(frame) = self.response.frame().await {
            if let Ok(bytes) = frame?.into_data()
                && !bytes.is_empty()
            {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// The next line of a stream of JSON documents, one a line; nothing is the end.
    pub(super) async fn line(&mut self) -> Result<Option<Vec<u8>>, DaemonError> {
        loop {
            if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let rest = self.line.split_off(end + 1);
                let line = std::mem::replace(&mut self.line, rest);
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.line.len() > MAX_LINE_BYTES {
                return Err(DaemonError::nonsense("a line without an end"));
            }
            match self.piece().await? {
                Some(piece) => self.line.extend_from_slice(&piece),
                None if self.line.iter().all(u8::is_ascii_whitespace) => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.line))),
            }
        }
    }

    /// What the connection has become after an upgrade.
    pub(super) async fn into_pipe(self) -> Result<Pipe, DaemonError> {
        if self.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // Daemons older than the header answer 200 and hijack the connection all the same.
            return Err(DaemonError::nonsense("the connection was not made a pipe"));
        }
        let upgraded = hyper::upgrade::on(self.response).await?;
        // It ends with the upgraded connection.
        self.driver.release();
        Ok(TokioIo::new(upgraded))
    }

    async fn refusal(mut self, status: StatusCode) -> DaemonError {
        #[derive(serde::Deserialize)]
        struct Document {
            message: String,
        }
        let mut bytes = Vec::new();
        let read = async {
            while let Ok(Some(piece)) = self.piece().await {
                bytes.extend_from_slice(&piece);
                if bytes.len() > MAX_ERROR_BYTES {
                    bytes.truncate(MAX_ERROR_BYTES);
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LOOKUP_TIMEOUT, read).await;
        let document: Option<Document> = serde_json::from_slice(&bytes).ok();
        let message = document.map_or_else(
            || String::from_utf8_lossy(&bytes).trim().to_owned(),
            |document| document.message,
        );
        DaemonError::Refused {
            code: status.as_u16(),
            message,
        }
    }
}

/// A connection after an upgrade.
pub(super) type Pipe = TokioIo<hyper::upgrade::Upgraded>;

/// The task that moves a connection's bytes; dropping this ends it.
struct Driver(Option<AbortHandle>);

impl Driver {
    /// Lets the task end by itself.
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn exchange<B>(
    socket: &Path,
    mut request: Request<B>,
    most_bytes: Option<u64>,
) -> Result<(Response<Incoming>, Driver), DaemonError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = Bounded {
        stream: connect(socket).await?,
        left: most_bytes.unwrap_or(u64::MAX),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    let driver = Driver(Some(driver.abort_handle()));
    // Both daemons ask for one, and look at none.
    request
        .headers_mut()
        .insert(HOST, hyper::header::HeaderValue::from_static("localhost"));
    Ok((sender.send_request(request).await?, driver))
}

async fn connect(socket: &Path) -> Result<UnixStream, DaemonError> {
    let connect = async {
        loop {
            match UnixStream::connect(socket).await {
                // Its queue is full: nothing tells when it no longer is.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other => return other,
            }
        }
    };
    let connected = tokio::time::timeout(QUEUE_TIMEOUT, connect).await;
    let connected = connected.map_err(|_| DaemonError::Slow(QUEUE_TIMEOUT))?;
    connected.map_err(|error| DaemonError::Unreachable(error.into()))
}

/// A connection from which only so many bytes come.
struct Bounded {
    stream: UnixStream,
    left: u64,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let bytes = (buffer.filled().len() - before) as u64;
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other("the daemon's answer has no end"))),
        }
        polled
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Percent-encodes what a query may not contain.
fn escaped(text: &str) -> String {
    escape(text, |byte| matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// The same of a path, whose slashes and colons stay.
fn escaped_path(text: &str) -> String {
    escape(text, |byte| {
        matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@')
    })
}

fn escape(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || is_plain(byte) {
            escaped.push(byte.into());
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_may_not_contain_is_escaped() {
        assert_eq!(
            escaped(r#"{"label":["a=b c"]}"#),
            "%7B%22label%22%3A%5B%22a%3Db%20c%22%5D%7D"
        );
        assert_eq!(
            escaped_path("/images/a:1/b@sha256:0/json"),
            "/images/a:1/b@sha256:0/json"
        );
        assert_eq!(escaped_path("/a?b#c\r\n"), "/a%3Fb%23c%0D%0A");
    }
}
