//! Finds the daemon's socket, and asks the daemon who it is.

use super::failure::invalid;
use crate::RuntimeError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use selur_protocol::Status;
use serde::Deserialize;
use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The oldest version of the interface that is spoken: that of Docker 20.10 and of podman 3.
const OLDEST: (usize, usize) = (1, 41);
/// The newest: the one that bollard's types are of.
const NEWEST: (usize, usize) = (1, 53);
/// How long the daemon may take to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer to that, in bytes.
const MAX_GREETING_BYTES: usize = 64 << 10;
/// In HTTP 1.0 the answer ends with the connection.
const REQUEST: &[u8] = b"GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n";

/// Who answers at a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Daemon {
    /// `Docker`, `Podman` or what it calls itself.
    pub(crate) name: String,
    /// Its own version.
    pub(crate) version: String,
    /// The version of the interface that is spoken with it.
    pub(crate) api: (usize, usize),
    pub(crate) is_podman: bool,
}

/// Where the daemon listens: the option, `$DOCKER_HOST`, or the first of the usual places that exists.
pub(super) fn find(option: Option<PathBuf>) -> Result<PathBuf, RuntimeError> {
    let places = match candidates(option)? {
        Candidates::Named(path) => return Ok(path),
        Candidates::Usual(places) => places,
    };
    let found = places.iter().find(|place| place.exists());
    found.cloned().ok_or_else(|| {
        let tried: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        RuntimeError::new(
            Status::Unsupported,
            format!(
                "no Docker or Podman daemon listens here ({} do not exist): start one with `systemctl start docker` or \
                 `systemctl start podman.socket`, or name its socket by the option (`selur --socket`) or DOCKER_HOST",
                tried.join(", ")
            ),
        )
    })
}

/// Where a daemon may listen.
#[derive(Debug)]
pub(crate) enum Candidates {
    /// There and nowhere else.
    Named(PathBuf),
    /// At the first of these that exists.
    Usual(Vec<PathBuf>),
}

/// Where to look, by the option, else by `$DOCKER_HOST`.
pub(crate) fn candidates(option: Option<PathBuf>) -> Result<Candidates, RuntimeError> {
    if let Some(path) = option {
        return Ok(Candidates::Named(path));
    }
    let Some(host) = env::var_os("DOCKER_HOST").filter(|host| !host.is_empty()) else {
        return Ok(Candidates::Usual(places(
            env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
        )));
    };
    named(&host.to_string_lossy()).map(Candidates::Named)
}

fn named(host: &str) -> Result<PathBuf, RuntimeError> {
    match host.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(path.into()),
        _ => Err(invalid(format!(
            "DOCKER_HOST is {host:?}, and only sockets of this machine are spoken to: write \
             unix:///run/docker.sock, for example, or unset it"
        ))),
    }
}

fn places(runtime_directory: Option<PathBuf>) -> Vec<PathBuf> {
    let own = runtime_directory.filter(|directory| directory.is_absolute());
    let own = own.map(|directory| directory.join("podman/podman.sock"));
    let first = ["/var/run/docker.sock"].map(PathBuf::from);
    let last = ["/run/podman/podman.sock"].map(PathBuf::from);
    first.into_iter().chain(own).chain(last).collect()
}

/// Asks a daemon who it is. Blocks, and needs no runtime of tokio's.
pub(super) fn greet(socket: &Path) -> Result<Daemon, RuntimeError> {
    let place = socket.display();
    let answer = ask(socket, GREETING_TIMEOUT).map_err(|error| {
        let (status, hint) = match error.kind() {
            io::ErrorKind::PermissionDenied => (
                Status::PermissionDenied,
                "you may not use it: join its group (`usermod -aG docker USER`), or be root",
            ),
            io::ErrorKind::NotFound => (
                Status::Unsupported,
                "it does not exist: start the daemon, or name another by the option (`selur --socket`) or DOCKER_HOST",
            ),
            io::ErrorKind::ConnectionRefused => {
                (Status::Unsupported, "nobody listens there: start the daemon")
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                (Status::Unsupported, "the daemon does not answer: restart it")
            }
            _ => (Status::Unsupported, "see whether the daemon runs"),
        };
        RuntimeError::with_source(status, format!("cannot use the socket {place}: {hint}"), error)
    })?;
    read(&answer).map_err(|words| {
        RuntimeError::new(
            Status::Unsupported,
            format!("what answers at {place} {words}: name the socket of a Docker or Podman daemon"),
        )
    })
}

/// Sends one request, and reads until the other side closes. Never waits past the limit, not even for a daemon that takes
/// no connection.
pub(crate) fn ask(path: &Path, limit: Duration) -> io::Result<Vec<u8>> {
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
    while answer.len() < MAX_GREETING_BYTES {
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

/// Who says so.
///
/// # Errors
/// What is wrong with the answer, as the rest of a sentence about who gave it.
pub(crate) fn read(answer: &[u8]) -> Result<Daemon, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Greeting {
        version: String,
        #[serde(default)]
        api_version: String,
        #[serde(default, rename = "MinAPIVersion")]
        oldest: String,
        #[serde(default)]
        components: Option<Vec<Component>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Component {
        name: String,
    }
    if answer.is_empty() {
        return Err("says nothing".into());
    }
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or("gives an answer with no end of HTTP's head")?;
    let (head, body) = answer.split_at(end + 4);
    let head = String::from_utf8_lossy(head);
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    if !words.next().is_some_and(|word| word.starts_with("HTTP/1.")) || words.next() != Some("200") {
        let line: String = line.chars().take(80).collect();
        return Err(format!("answers {line:?}"));
    }
    let greeting: Greeting =
        serde_json::from_slice(body).map_err(|error| format!("gives no version: {error}"))?;
    let newest = version(&greeting.api_version).ok_or("names no API version")?;
    let oldest = version(&greeting.oldest).unwrap_or(OLDEST);
    let api = newest.min(NEWEST);
    if api < OLDEST {
        return Err(format!(
            "is version {} and speaks API {}.{}, and {}.{} is needed: update it to Docker 20.10 or Podman 4",
            greeting.version, newest.0, newest.1, OLDEST.0, OLDEST.1
        ));
    }
    if api < oldest {
        return Err(format!(
            "is version {} and speaks no API older than {}.{}, which is newer than this selur: update selur",
            greeting.version, oldest.0, oldest.1
        ));
    }
    let components = greeting.components.unwrap_or_default();
    let is_podman = components
        .iter()
        .any(|component| component.name.starts_with("Podman"));
    let name = if is_podman { "Podman" } else { "Docker" };
    Ok(Daemon {
        name: name.to_owned(),
        version: greeting.version,
        api,
        is_podman,
    })
}

fn version(text: &str) -> Option<(usize, usize)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::thread;

    const SHORT: Duration = Duration::from_millis(200);
    const LONG: Duration = Duration::from_secs(3);

    fn answer(body: &str) -> Vec<u8> {
        format!("HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn the_newest_version_that_both_speak_is_spoken() {
        let docker = |newest: &str, oldest: &str| {
            read(&answer(&format!(
                r#"{{"Version":"x","ApiVersion":"{newest}","MinAPIVersion":"{oldest}"}}"#
            )))
        };
        assert_eq!(docker("1.41", "1.12").map(|daemon| daemon.api), Ok((1, 41)));
        assert_eq!(docker("1.99", "1.44").map(|daemon| daemon.api), Ok((1, 53)));
        assert!(docker("1.40", "1.12").is_err_and(|words| words.contains("1.41 is needed")));
        assert!(docker("2.0", "1.60").is_err_and(|words| words.contains("update selur")));
    }

    #[test]
    fn podman_says_who_it_is() {
        let body = r#"{"Version":"4.3.1","ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]}"#;
        let daemon = read(&answer(body));
        assert!(daemon.is_ok_and(|daemon| daemon.is_podman && daemon.name == "Podman"));
    }

    #[test]
    fn whatever_else_answers_is_refused() {
        for garbage in [
            &b""[..],
            b"\0\xff",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"SSH-2.0\r\n\r\n{}",
        ] {
            assert!(read(garbage).is_err());
        }
        assert!(read(b"HTTP/1.1 500 no\r\n\r\n{}").is_err());
    }

    #[test]
    fn the_users_own_podman_comes_before_the_systems() {
        let places = places(Some("/run/user/7".into()));
        let texts: Vec<_> = places.iter().filter_map(|place| place.to_str()).collect();
        let expected = [
            "/var/run/docker.sock",
            "/run/user/7/podman/podman.sock",
            "/run/podman/podman.sock",
        ];
        assert_eq!(texts, expected);
    }

    fn serve(peer: impl FnOnce(UnixStream) + Send + 'static) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || peer(listener.accept().unwrap().0));
        (directory, path)
    }

    #[test]
    fn a_daemon_is_asked_for_its_version() {
        let (_directory, path) = serve(|mut peer| {
            let mut request = [0; REQUEST.len()];
            peer.read_exact(&mut request).unwrap();
            assert_eq!(request, REQUEST);
            peer.write_all(&answer("{}")).unwrap();
        });
        assert_eq!(ask(&path, LONG).unwrap(), answer("{}"));
    }

    #[test]
    fn nobody_keeps_us_waiting() {
        // Silence; one byte at a time; bytes without end; no connection taken at all; nobody there.
        let (_kept, silent) =
            serve(|peer| drop(peer.try_clone().map(|peer| (peer, thread::park_timeout(LONG)))));
        assert_eq!(ask(&silent, SHORT).err().unwrap().kind(), io::ErrorKind::TimedOut);
        let (_kept, slow) = serve(|mut peer| {
            while peer.write_all(b"x").is_ok() {
                thread::park_timeout(Duration::from_millis(20));
            }
        });
        assert_eq!(ask(&slow, SHORT).err().unwrap().kind(), io::ErrorKind::TimedOut);
        let (_kept, endless) = serve(|mut peer| while peer.write_all(&[b'x'; 4096]).is_ok() {});
        assert!(ask(&endless, LONG).err().unwrap().to_string().contains("no end"));

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
    fn only_sockets_of_this_machine_are_named() {
        assert_eq!(named("unix:///a/b").unwrap(), PathBuf::from("/a/b"));
        for other in ["tcp://example.com:2375", "ssh://x", "nonsense", "unix://a"] {
            let error = named(other).unwrap_err();
            assert!(error.to_string().contains(other), "{error}");
        }
    }
}
