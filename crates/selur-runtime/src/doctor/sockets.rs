//! Sockets of the Docker Engine API: which there are, and who answers.

use super::facts;
use super::finding::{Finding, Subject};
use super::trial::LIMIT;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::Deserialize;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SUBJECT: Subject = Subject::Docker;
const REQUEST: &[u8] = b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n";
/// That of Docker 20.10 and of Podman 3.
const OLDEST_API: facts::Version = (1, 41, 0);
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Nothing but this is tried.
const START: &str =
    "start one: `systemctl start docker`, or `systemctl start podman.socket`, or name it by DOCKER_HOST";

/// Looks for sockets and asks each who is there.
pub(super) fn findings() -> Vec<Finding> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let (named, runtime) = (variable("DOCKER_HOST"), variable("XDG_RUNTIME_DIR"));
    let places = match places(named, runtime) {
        Ok(places) => places,
        Err(finding) => return vec![*finding],
    };
    let existing: Vec<&PathBuf> = places
        .iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    if existing.is_empty() {
        let places: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        let found = Finding::ok(SUBJECT, "socket", format!("none of {}", places.join(", ")));
        return vec![found.missing(format!("install Docker or Podman, and {START}"))];
    }
    // The same daemon under two names is one.
    let mut seen = Vec::new();
    let mut findings: Vec<Finding> = existing
        .into_iter()
        .filter(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            let is_new = !seen.contains(&real);
            seen.push(real);
            is_new
        })
        .map(|path| judge(path, ask(path, LIMIT)))
        .collect();
    // The first is the one that is used.
    for finding in findings.iter_mut().skip(1) {
        if let Some(remedy) = finding.remedy.take() {
            *finding = finding.clone().warning(remedy);
        }
    }
    findings
}

/// Where sockets are, in the order in which they are tried.
fn places(named: Option<OsString>, runtime: Option<OsString>) -> Result<Vec<PathBuf>, Box<Finding>> {
    if let Some(named) = named {
        return match named.to_str().and_then(|text| text.strip_prefix("unix://")) {
            Some(path) => Ok(vec![path.into()]),
            None => {
                let found = Finding::ok(SUBJECT, "socket", format!("DOCKER_HOST is {}", named.display()));
                Err(Box::new(found.missing(
                    "name a socket of this machine: `DOCKER_HOST=unix:///var/run/docker.sock`",
                )))
            }
        };
    }
    let own = runtime.map(PathBuf::from).filter(|runtime| runtime.is_absolute());
    let mut places = vec![PathBuf::from("/var/run/docker.sock")];
    places.extend(own.map(|runtime| runtime.join("podman/podman.sock")));
    places.push("/run/podman/podman.sock".into());
    Ok(places)
}

/// What a daemon says of itself.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "PascalCase")]
struct Answer {
    version: String,
    api_version: String,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: String,
    components: Vec<Component>,
}

#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "PascalCase")]
struct Component {
    name: String,
}

fn judge(path: &Path, answer: io::Result<Vec<u8>>) -> Finding {
    let at = path.display();
    let found = |text: String| Finding::ok(SUBJECT, "socket", text);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let whose = fs::metadata(path).map_or(String::new(), |found| {
                let mode = found.permissions().mode() & 0o7777;
                format!(", owner {}, group {}, mode {mode:03o}", found.uid(), found.gid())
            });
            return found(format!("{at}: {error}{whose}")).missing(
                "join the socket's group: `usermod --append --groups docker USER`, then log in again",
            );
        }
        Err(error) => return found(format!("{at}: {error}")).missing(START),
    };
    match parse(&answer) {
        Ok(Answer {
            version,
            api_version,
            min_api_version,
            components,
        }) => {
            let name = components
                .first()
                .map_or("Docker", |component| component.name.as_str());
            let finding = found(format!(
                "{name} {version}, API {api_version} ({min_api_version} at least), at {at}"
            ));
            match facts::version(&api_version) {
                Some(version) if version >= OLDEST_API => finding,
                _ => finding.missing("update it to Docker 20.10 or Podman 4, which speak API 1.41"),
            }
        }
        Err(why) => found(format!("{at}: {why}")).missing(format!("that is no Docker Engine: {START}")),
    }
}

fn parse(answer: &[u8]) -> Result<Answer, String> {
    if answer.is_empty() {
        return Err("it says nothing".into());
    }
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or("its answer has no end of HTTP's head")?;
    let status = head.lines().next().unwrap_or_default();
    let mut words = status.split(' ');
    if !words.next().unwrap_or_default().starts_with("HTTP/1.") || words.next() != Some("200") {
        let status: String = status.chars().take(80).collect();
        return Err(format!("it answers {status:?}"));
    }
    let answer: Answer =
        serde_json::from_str(body).map_err(|error| format!("its answer is no version: {error}"))?;
    if answer.api_version.is_empty() {
        return Err("its answer names no API version".into());
    }
    Ok(answer)
}

/// Sends one request, and reads until the other side closes. Never waits past the limit, not even for a daemon that takes
/// no connection.
fn ask(path: &Path, limit: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + limit;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => {}
        // Its queue is full.
        Err(Errno::AGAIN) => return Err(late(limit)),
        Err(error) => return Err(error.into()),
    }
    let mut rest = REQUEST;
    while !rest.is_empty() {
        match rustix::io::write(&socket, rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::AGAIN) => await_ready(&socket, PollFlags::OUT, deadline, limit)?,
            Err(Errno::INTR) => {}
            // It may have answered before it was asked.
            Err(Errno::PIPE) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < MAX_ANSWER_BYTES {
        match rustix::io::read(&socket, &mut piece) {
            Ok(0) => return Ok(answer),
            Ok(length) => answer.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(Errno::AGAIN) => await_ready(&socket, PollFlags::IN, deadline, limit)?,
            Err(Errno::INTR) => {}
            // It closed without having read all that it was asked.
            Err(Errno::CONNRESET) if !answer.is_empty() => return Ok(answer),
            Err(error) => return Err(error.into()),
        }
        if Instant::now() > deadline {
            return Err(late(limit));
        }
    }
    Err(io::Error::other("its answer has no end"))
}

fn await_ready(socket: &OwnedFd, what: PollFlags, deadline: Instant, limit: Duration) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec {
        tv_sec: left.as_secs() as i64,
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(socket, what)], Some(&left)) {
        Ok(0) => Err(late(limit)),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn late(limit: Duration) -> io::Error {
    let message = format!("it did not answer within {} ms", limit.as_millis());
    io::Error::new(io::ErrorKind::TimedOut, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::doctor::Verdict::{self, Missing, Ok as Good};
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::thread;

    const SHORT: Duration = Duration::from_millis(200);

    fn answered(body: &str) -> Vec<u8> {
        format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn daemons_are_judged_by_what_they_say() {
        let docker = r#"{"Version":"24.0.7","ApiVersion":"1.43","MinAPIVersion":"1.12","Components":[{"Name":"Engine"}],"X":1}"#;
        let old = docker.replace("1.43", "1.40");
        let cases: [(Vec<u8>, Verdict, &str); 9] = [
            (answered(docker), Good, "Engine 24.0.7, API 1.43 (1.12 at least)"),
            (answered(&old), Missing, "API 1.40"),
            (answered("{}"), Missing, "no API version"),
            (answered("\"1.43\""), Missing, "no version"),
            (answered("not JSON"), Missing, "no version"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), Missing, "404"),
            (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Missing, "no end"),
            (b"\xff\xfe\x00\r\n\r\n".to_vec(), Missing, "it answers"),
            (Vec::new(), Missing, "nothing"),
        ];
        for (answer, verdict, words) in cases {
            let finding = judge(Path::new("/socket"), Ok(answer));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(words), "{finding:?}");
        }
        let denied = judge(Path::new("/"), Err(io::ErrorKind::PermissionDenied.into()));
        assert!(denied.remedy.is_some_and(|remedy| remedy.contains("usermod")));
    }

    fn serve(answer: impl FnOnce(UnixStream) + Send + 'static) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || answer(listener.accept().unwrap().0));
        (directory, path)
    }

    #[test]
    fn a_daemon_is_asked_for_its_version() {
        let (_directory, path) = serve(|mut peer| {
            let mut request = [0; REQUEST.len()];
            peer.read_exact(&mut request).unwrap();
            assert_eq!(request, REQUEST);
            peer.write_all(&answered("{}")).unwrap();
        });
        assert_eq!(ask(&path, LIMIT).unwrap(), answered("{}"));
    }

    #[test]
    fn nobody_keeps_us_waiting() {
        // Silence; one byte at a time; bytes without end; no connection taken at all; nobody there.
        let (_kept, silent) =
            serve(|peer| drop(peer.try_clone().map(|peer| (peer, thread::park_timeout(LIMIT)))));
        assert_eq!(ask(&silent, SHORT).err().unwrap().kind(), io::ErrorKind::TimedOut);
        let (_kept, slow) = serve(|mut peer| {
            while peer.write_all(b"x").is_ok() {
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        assert_eq!(ask(&slow, SHORT).err().unwrap().kind(), io::ErrorKind::TimedOut);
        let (_kept, endless) = serve(|mut peer| while peer.write_all(&[b'x'; 4096]).is_ok() {});
        assert!(ask(&endless, LIMIT).err().unwrap().to_string().contains("no end"));

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("full");
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let waiting: Vec<_> = (0..4).map(|_| ask(&path, SHORT)).collect();
        assert!(waiting.iter().all(Result::is_err));
        drop(listener);
        assert_eq!(
            ask(&path, SHORT).err().unwrap().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[test]
    fn sockets_are_looked_for_where_they_are() {
        let some = |text: &str| Some(OsString::from(text));
        assert_eq!(
            places(some("unix:///a/b"), None).unwrap(),
            [PathBuf::from("/a/b")]
        );
        assert_eq!(places(None, some("/run/user/7")).unwrap().len(), 3);
        for other in ["tcp://example.com:2375", "ssh://x", "nonsense"] {
            let finding = places(some(other), None).unwrap_err();
            assert!(finding.verdict == Missing && finding.found.contains(other));
        }
    }
}
