//! Finds the daemon's socket, and asks the daemon who it is.

use super::failure::invalid;
use crate::RuntimeError;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use selur_protocol::Status;
use serde::Deserialize;
use std::env;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The oldest version of the interface that is spoken: that of Docker 20.10 and of podman 3.
const OLDEST: (usize, usize) = (1, 41);
/// The newest: the one that bollard's types are of.
const NEWEST: (usize, usize) = (1, 53);
/// How long the daemon may take to say who it is.
const GREETING_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer to that, in bytes.
const MAX_GREETING_BYTES: u64 = 1 << 20;

/// Who answers at a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Daemon {
    /// `Docker`, `Podman` or what it calls itself.
    pub(super) name: String,
    /// Its own version.
    pub(super) version: String,
    /// The version of the interface that is spoken with it.
    pub(super) api: (usize, usize),
    pub(super) is_podman: bool,
}

/// Where the daemon listens: the option, `$DOCKER_HOST`, or the first of the usual places that exists.
pub(super) fn find(option: Option<PathBuf>) -> Result<PathBuf, RuntimeError> {
    if let Some(path) = option {
        return Ok(path);
    }
    if let Some(host) = env::var_os("DOCKER_HOST").filter(|host| !host.is_empty()) {
        let host = host.to_string_lossy();
        return match host.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(path.into()),
            _ => Err(invalid(format!(
                "DOCKER_HOST is {host:?}, and only sockets of this machine are spoken to: write \
                 unix:///run/docker.sock, for example, or unset it"
            ))),
        };
    }
    let places = places(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
    let found = places.iter().find(|place| place.exists());
    found.cloned().ok_or_else(|| {
        let tried: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        RuntimeError::new(
            Status::Unsupported,
            format!(
                "no Docker or Podman daemon listens here ({} do not exist): start one with `systemctl start docker` or \
                 `systemctl start podman.socket`, or name its socket with --socket or DOCKER_HOST",
                tried.join(", ")
            ),
        )
    })
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
    let answer = ask(socket).map_err(|error| {
        let (status, hint) = match error.kind() {
            io::ErrorKind::PermissionDenied => (
                Status::PermissionDenied,
                "you may not use it: join its group (`usermod -aG docker USER`), or be root",
            ),
            io::ErrorKind::NotFound => (
                Status::Unsupported,
                "it does not exist: name another with --socket",
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

fn ask(socket: &Path) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + GREETING_TIMEOUT;
    let mut stream = connect(socket)?;
    stream.set_write_timeout(Some(GREETING_TIMEOUT))?;
    // In HTTP 1.0 the answer ends with the connection.
    stream.write_all(b"GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => return Ok(answer),
            bytes => answer.extend_from_slice(buffer.get(..bytes).unwrap_or_default()),
        }
        if answer.len() as u64 > MAX_GREETING_BYTES {
            return Err(io::Error::other("its answer has no end"));
        }
    }
}

/// Connects, also where so many wait already that the daemon takes no more.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let stream = net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Source: unix(7): connecting waits as long as sending may.
    net::sockopt::set_socket_timeout(&stream, net::sockopt::Timeout::Send, Some(GREETING_TIMEOUT))?;
    net::connect(&stream, &address)?;
    Ok(UnixStream::from(stream))
}

fn read(answer: &[u8]) -> Result<Daemon, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Greeting {
        version: String,
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
    let none = || "is no such daemon".to_owned();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(none)?;
    let (head, body) = answer.split_at(end + 4);
    let head = std::str::from_utf8(head).map_err(|_| none())?;
    let mut words = head.split_ascii_whitespace();
    if !words.next().is_some_and(|word| word.starts_with("HTTP/1.")) {
        return Err(none());
    }
    if words.next() != Some("200") {
        return Err("does not say which version it is".to_owned());
    }
    let greeting: Greeting = serde_json::from_slice(body).map_err(|_| none())?;
    let newest = version(&greeting.api_version).ok_or_else(none)?;
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
mod tests {
    use super::*;

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
}
