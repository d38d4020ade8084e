//! The control socket: one request and one answer a connection. No peer can make the shim wait.

use crate::control::MAX_REQUEST_BYTES;
use crate::{
    Command, ControlRequest, ControlResponse, Failure, FailureKind, Home, OLDEST_VERSION, PROTOCOL_VERSION,
    passing,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// So many connections at once; one more takes the place of the oldest that has not sent its request, or whose peer is
/// gone.
const MAX_CONNECTIONS: usize = 64;
/// How long a peer has for its request.
const PATIENCE: Duration = Duration::from_secs(2);

/// Names a connection.
pub(crate) type Peer = u64;

/// The listening socket and its connections.
#[derive(Debug)]
pub(crate) struct Server {
    listener: UnixListener,
    connections: Vec<Connection>,
    next: Peer,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    stream: UnixStream,
    opened: Instant,
    request: Vec<u8>,
    /// Whether the request is complete: the connection waits for its answer.
    asked: bool,
}

impl Server {
    /// Listens in the container's directory, in place of a socket that a dead shim left.
    pub(crate) fn listen(home: &Home) -> Result<Server, Failure> {
        let failed = |error: io::Error| Failure::while_doing("cannot open the control socket", error);
        let directory = File::open(home.path()).map_err(failed)?;
        // By the descriptor, for a socket's path has at most 107 bytes.
        let path = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), Home::CONTROL);
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Server {
            listener,
            connections: Vec::new(),
            next: 0,
        })
    }

    /// What to poll for reading.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let unfinished = self.connections.iter().filter(|connection| !connection.asked);
        std::iter::once(self.listener.as_fd()).chain(unfinished.map(|connection| connection.stream.as_fd()))
    }

    /// When the next connection has used up its patience.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let unfinished = self.connections.iter().filter(|connection| !connection.asked);
        unfinished.map(|connection| connection.opened + PATIENCE).min()
    }

    /// Accepts and reads what is there, and gives the requests that are complete.
    pub(crate) fn requests(&mut self) -> Vec<(Peer, Command)> {
        self.accept();
        let now = Instant::now();
        let mut requests = Vec::new();
        let mut refused = Vec::new();
        self.connections.retain_mut(|connection| {
            if connection.asked {
                return true;
            }
            match connection.read() {
                Ok(true) => {}
                Ok(false) => return now < connection.opened + PATIENCE,
                Err(_) => return false,
            }
            connection.asked = true;
            match parse(&connection.request) {
                Ok(command) => requests.push((connection.peer, command)),
                Err(failure) => refused.push((connection.peer, failure)),
            }
            true
        });
        for (peer, failure) in refused {
            self.answer(peer, Err(failure));
        }
        requests
    }

    /// Answers a request and closes its connection. A peer that does not read, or is gone, gets nothing.
    pub(crate) fn answer(&mut self, peer: Peer, result: Result<(), Failure>) {
        self.answer_with(peer, result, &[]);
    }

    /// The same with descriptors that the peer gets duplicates of.
    pub(crate) fn answer_with(
        &mut self,
        peer: Peer,
        result: Result<(), Failure>,
        descriptors: &[BorrowedFd<'_>],
    ) {
        let Some(index) = self
            .connections
            .iter()
            .position(|connection| connection.peer == peer)
        else {
            return;
        };
        let connection = self.connections.swap_remove(index);
        let line = ControlResponse::new(result).to_line();
        let _ = passing::send(&connection.stream, &line, descriptors);
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.connections.len() >= MAX_CONNECTIONS {
                let is_idle = |connection: &Connection| !connection.asked || connection.is_gone();
                let Some(oldest) = self.connections.iter().position(is_idle) else {
                    continue;
                };
                self.connections.remove(oldest);
            }
            self.next += 1;
            self.connections.push(Connection {
                peer: self.next,
                stream,
                opened: Instant::now(),
                request: Vec::new(),
                asked: false,
            });
        }
    }
}

impl Connection {
    /// Whether the peer has hung up: one that waited for a stop may have lost its patience.
    fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A hang-up is told unasked.
        poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
    }

    /// Reads what is there. True when the request is complete.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 512];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => self
                    .request
                    .extend_from_slice(buffer.get(..bytes).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if self.request.contains(&b'\n') {
                return Ok(true);
            }
            if self.request.len() > MAX_REQUEST_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

fn parse(request: &[u8]) -> Result<Command, Failure> {
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let bad = |message: String| Failure::new(FailureKind::BadRequest, message);
    let request: ControlRequest =
        serde_json::from_slice(line).map_err(|error| bad(format!("no control request: {error}")))?;
    if (OLDEST_VERSION..=PROTOCOL_VERSION).contains(&request.version) {
        Ok(request.command)
    } else {
        Err(bad(format!(
            "this shim speaks versions {OLDEST_VERSION} to {PROTOCOL_VERSION}, the request is of version {}: stop the container, \
             or use the selur that started it",
            request.version
        )))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::Root;
    use selur_protocol::ContainerId;
    use std::io::{BufRead, Write};

    fn server() -> (tempfile::TempDir, Home, Server) {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("r".repeat(200));
        let home = Root::new(long).home(ContainerId::from_bytes([1; 16]));
        fs::create_dir_all(home.path()).unwrap();
        let server = Server::listen(&home).unwrap();
        (directory, home, server)
    }

    fn connect(home: &Home) -> UnixStream {
        let directory = File::open(home.path()).unwrap();
        UnixStream::connect(format!("/proc/self/fd/{}/control", directory.as_raw_fd())).unwrap()
    }

    #[test]
    fn a_request_in_pieces_is_read_and_answered_below_a_long_path() {
        let (_directory, home, mut server) = server();
        let mut peer = connect(&home);
        let request = ControlRequest {
            version: PROTOCOL_VERSION,
            command: Command::Kill { signal: 9 },
        };
        let line = request.to_line();
        peer.write_all(&line[..5]).unwrap();
        assert_eq!(server.requests(), []);
        peer.write_all(&line[5..]).unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].1, Command::Kill { signal: 9 });
        server.answer(requests[0].0, Ok(()));
        let mut answer = String::new();
        io::BufReader::new(peer).read_line(&mut answer).unwrap();
        let answer: ControlResponse = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer.result, Ok(()));
    }

    #[test]
    fn garbage_and_other_versions_are_told_off() {
        let (_directory, home, mut server) = server();
        let wrong = [
            &b"\xff\xfe\0\n"[..],
            b"{}\n",
            b"{\"version\":999,\"command\":\"pause\"}\n",
        ];
        for garbage in wrong {
            let mut peer = connect(&home);
            peer.write_all(garbage).unwrap();
            assert_eq!(server.requests(), []);
            let mut answer = String::new();
            io::BufReader::new(peer).read_line(&mut answer).unwrap();
            let answer: ControlResponse = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer.result.unwrap_err().kind, FailureKind::BadRequest);
        }
    }

    #[test]
    fn peers_that_flood_or_hang_are_dropped() {
        let (_directory, home, mut server) = server();
        let mut flood = connect(&home);
        flood.write_all(&vec![b'x'; MAX_REQUEST_BYTES + 1]).unwrap();
        assert_eq!(server.requests(), []);
        assert!(server.connections.is_empty());

        let hanging: Vec<_> = (0..MAX_CONNECTIONS + 10)
            .map(|_| {
                let peer = connect(&home);
                server.requests();
                peer
            })
            .collect();
        assert_eq!(server.connections.len(), MAX_CONNECTIONS);
        for connection in &mut server.connections {
            connection.opened -= PATIENCE;
        }
        assert_eq!(server.requests(), []);
        assert!(server.connections.is_empty());
        drop(hanging);
    }

    #[test]
    fn peers_that_lost_their_patience_make_room() {
        let (_directory, home, mut server) = server();
        let ask = |server: &mut Server, command: Command| {
            let mut peer = connect(&home);
            let request = ControlRequest::new(command);
            peer.write_all(&request.to_line()).unwrap();
            (peer, server.requests())
        };
        let stop = Command::Stop {
            signal: 15,
            timeout_ms: u32::MAX,
        };
        let mut waiting: Vec<_> = (0..MAX_CONNECTIONS)
            .map(|_| ask(&mut server, stop.clone()).0)
            .collect();
        let kill = Command::Kill { signal: 9 };
        // Those who still wait keep their places.
        assert_eq!(ask(&mut server, kill.clone()).1, []);
        drop(waiting.remove(7));
        assert_eq!(ask(&mut server, kill).1.len(), 1);
        assert_eq!(server.connections.len(), MAX_CONNECTIONS);
    }
}
