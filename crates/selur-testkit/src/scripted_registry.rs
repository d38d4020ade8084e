//! A registry in this process that behaves as a script says: well, badly or hostilely. It keeps what it was asked.

use crate::{BuiltImage, ImageIndex, digest, http};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a registry has: answers by path.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    answers: BTreeMap<String, (String, Vec<u8>)>,
}

impl Contents {
    /// Nothing.
    pub fn new() -> Contents {
        Contents::default()
    }

    /// Adds an image under `name` and `tag`, and under its digest.
    pub fn image(mut self, name: &str, tag: &str, image: &BuiltImage) -> Contents {
        self.document(name, tag, image.media_type(), &image.manifest);
        for blob in image.blobs() {
            self = self.blob(name, &digest(blob), blob);
        }
        self
    }

    /// Adds an index and its images under `name` and `tag`, and under its digest.
    pub fn index(mut self, name: &str, tag: &str, index: &ImageIndex) -> Contents {
        for image in &index.images {
            self = self.image(name, &image.digest(), image);
        }
        self.document(name, tag, index.media_type(), &index.bytes);
        self
    }

    /// Adds any bytes as a blob of this digest, be it theirs or not.
    pub fn blob(mut self, name: &str, digest: &str, bytes: &[u8]) -> Contents {
        let answer = ("application/octet-stream".to_owned(), bytes.to_vec());
        self.answers.insert(format!("/v2/{name}/blobs/{digest}"), answer);
        self
    }

    /// Adds any bytes as the manifest of a tag or digest, be it theirs or not.
    pub fn manifest(mut self, name: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Contents {
        let answer = (media_type.to_owned(), bytes.to_vec());
        self.answers
            .insert(format!("/v2/{name}/manifests/{reference}"), answer);
        self
    }

    fn document(&mut self, name: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        for reference in [tag, &digest(bytes)] {
            *self = std::mem::take(self).manifest(name, reference, media_type, bytes);
        }
    }
}

/// What the registry was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`…
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value; the name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether this asks for a blob.
    pub fn is_blob(&self) -> bool {
        self.path.contains("/blobs/")
    }
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    claimed_bytes: Option<u64>,
    ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Silence,
    HangUp,
    Close,
    Endless,
    Stall,
}

impl Reply {
    /// An answer with a status and no body.
    pub fn status(status: u16) -> Reply {
        Reply {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            claimed_bytes: None,
            ending: Ending::Close,
        }
    }

    /// No answer: the connection stays open until the client goes away.
    pub fn silence() -> Reply {
        let mut reply = Reply::status(0);
        reply.ending = Ending::Silence;
        reply
    }

    /// No answer: the connection is closed.
    pub fn hangs_up() -> Reply {
        let mut reply = Reply::status(0);
        reply.ending = Ending::HangUp;
        reply
    }

    /// A redirect.
    pub fn redirect(to: &str) -> Reply {
        Reply::status(307).header("location", to)
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Reply {
        self.body = body.into();
        self
    }

    /// With a `content-length` that is not the body's.
    pub fn claims(mut self, bytes: u64) -> Reply {
        self.claimed_bytes = Some(bytes);
        self
    }

    /// Goes on with zeros after the body, in chunks without a length, until the client has had enough.
    pub fn endless(mut self) -> Reply {
        self.ending = Ending::Endless;
        self
    }

    /// Says nothing more after the body, and waits until the client goes away.
    pub fn stalls(mut self) -> Reply {
        self.ending = Ending::Stall;
        self
    }
}

type Script = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// A registry on a free port of loopback, within this process. Stopped on drop.
pub struct ScriptedRegistry {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    contents: Contents,
    script: Box<Script>,
    requests: Mutex<Vec<Request>>,
    is_stopping: AtomicBool,
}

impl ScriptedRegistry {
    /// Starts a registry that serves its contents, except where the script answers otherwise.
    pub fn start(
        contents: Contents,
        script: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> ScriptedRegistry {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State {
            contents,
            script: Box::new(script),
            requests: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || serve(&listener, &serving));
        ScriptedRegistry { address, state }
    }

    /// Starts a registry that serves its contents.
    pub fn serving(contents: Contents) -> ScriptedRegistry {
        ScriptedRegistry::start(contents, |_| None)
    }

    /// Host and port: what an image reference begins with.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that was asked, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How often each path was asked for.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.requests() {
            *counts.entry(request.path).or_default() += 1;
        }
        counts
    }
}

impl Drop for ScriptedRegistry {
    fn drop(&mut self) {
        self.state.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; if that fails it is gone already.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(stream) = stream {
            let state = Arc::clone(state);
            // A client that goes away in the middle is what tests are about.
            std::thread::spawn(move || drop(converse(stream, &state)));
        }
    }
}

/// Answers one request; each has a connection of its own.
fn converse(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let Some(request) = read_request(&mut BufReader::new(stream.try_clone()?))? else {
        return Ok(());
    };
    state
        .requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    let reply = (state.script)(&request).unwrap_or_else(|| serve_contents(&request, &state.contents));
    match reply.ending {
        Ending::HangUp => return Ok(()),
        Ending::Silence => return stream.read(&mut [0]).map(|_| ()),
        _ => {}
    }
    let mut head = format!("HTTP/1.1 {} scripted\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if reply.ending == Ending::Endless && reply.claimed_bytes.is_none() {
        head.push_str("\r\n");
    } else {
        let length = reply.claimed_bytes.unwrap_or(reply.body.len() as u64);
        head.push_str(&format!("content-length: {length}\r\n\r\n"));
    }
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&reply.body)?;
    }
    match reply.ending {
        Ending::Close => Ok(()),
        Ending::Endless => loop {
            stream.write_all(&[0; 16 << 10])?;
        },
        // Ends when the client closes its side.
        Ending::Stall | Ending::Silence | Ending::HangUp => stream.read(&mut [0]).map(|_| ()),
    }
}

fn serve_contents(request: &Request, contents: &Contents) -> Reply {
    // Daemons ask first whether this is a registry at all.
    if request.path == "/v2/" {
        return Reply::status(200).body("{}");
    }
    match contents.answers.get(&request.path) {
        Some((media_type, bytes)) => Reply::status(200)
            .header("content-type", media_type)
            .body(bytes.clone()),
        None => Reply::status(404),
    }
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut lines = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        lines.push_str(&line);
    }
    let headers = http::headers(&lines);
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok());
    let mut body = Vec::new();
    reader.take(length.unwrap_or(0)).read_to_end(&mut body)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    Ok(Some(Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        headers,
        body,
    }))
}
