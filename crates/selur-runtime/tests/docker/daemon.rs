//! A daemon that answers as a script says.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

const VERSION: &str = r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#;

/// What the daemon does with a request.
pub(crate) enum Answer {
    /// A status and a body.
    Says(u16, String),
    /// The same body again and again.
    Endless(&'static str),
    /// These bytes, which may be no HTTP, and the end.
    Raw(&'static [u8]),
    /// Nothing, until the client gives up.
    Silence,
}

/// A success.
pub(crate) fn ok(body: impl Into<String>) -> Answer {
    Answer::Says(200, body.into())
}

type Script = dyn Fn(&str, &str) -> Answer + Send + Sync;

/// It listens until the test's process ends; its socket goes with it.
pub(crate) struct Daemon {
    directory: TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Answers by method and target, without the version; and says which version it is unless the script does.
    pub(crate) fn start(script: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Daemon {
        let directory = TempDir::with_prefix("selur-daemon-").expect("a temporary directory can be made");
        let daemon = Daemon {
            directory,
            requests: Arc::default(),
        };
        let listener = UnixListener::bind(daemon.socket()).expect("a socket can be made");
        let (script, requests): (Arc<Script>, _) = (Arc::new(script), daemon.requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, requests) = (script.clone(), requests.clone());
                std::thread::spawn(move || serve(stream, &*script, &requests));
            }
        });
        daemon
    }

    pub(crate) fn socket(&self) -> PathBuf {
        Path::join(self.directory.path(), "docker.sock")
    }

    /// What was asked so far: `POST /containers/x/kill?signal=9`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn serve(mut stream: UnixStream, script: &Script, requests: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 || line == "\r\n" {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().ok()?;
        }
        is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
    }
    if is_chunked {
        pass_chunks(&mut reader)?;
    } else {
        std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let target = target.strip_prefix("/v1.41").unwrap_or(target);
    requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(format!("{method} {target}"));
    let answer = match script(method, target) {
        Answer::Says(404, _) if target == "/version" => ok(VERSION),
        answer => answer,
    };
    match answer {
        Answer::Says(status, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} scripted\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all((head + &body).as_bytes()).ok()?;
        }
        Answer::Endless(body) => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                .ok()?;
            let many = body.repeat((64 << 10) / body.len());
            while stream.write_all(many.as_bytes()).is_ok() {}
        }
        Answer::Raw(bytes) => stream.write_all(bytes).ok()?,
        Answer::Silence => {
            let _ = stream.read(&mut [0]);
        }
    }
    Some(())
}

/// Reads a body to its end: who closes before that refuses what is still being sent.
///
/// Source: RFC 9112, section 7.1.
fn pass_chunks(reader: &mut impl BufRead) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = u64::from_str_radix(line.trim(), 16).ok()?;
        // The line's end behind it, too.
        std::io::copy(&mut reader.take(length + 2), &mut std::io::sink()).ok()?;
        if length == 0 {
            return Some(());
        }
    }
}
