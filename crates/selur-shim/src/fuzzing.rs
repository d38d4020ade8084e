//! Ways in for the fuzzers (`fuzz/src/shim.rs`): what a shim reads from whoever connects to it. No part of the interface,
//! and nothing here may decide anything.

use crate::server::Server;
use crate::{Command, Failure, FailureKind, Home, Launch, errand};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// What became of one connection.
#[derive(Debug, Default)]
pub struct Served {
    /// What the shim would have been asked to do.
    pub commands: Vec<Command>,
    /// What the peer was told.
    pub answer: Vec<u8>,
}

/// Serves connections on a control socket, each of which sends its pieces one after the other, in turns. Every second
/// command is refused.
///
/// # Errors
/// The socket cannot be opened.
pub fn serve(home: &Home, connections: &[Vec<Vec<u8>>]) -> Result<Vec<Served>, Failure> {
    let failed = |error: std::io::Error| Failure::while_doing("a peer", error);
    let mut server = Server::listen(home)?;
    let mut served: Vec<Served> = Vec::new();
    let mut peers = Vec::new();
    for _ in connections {
        let path = home.path().join(Home::CONTROL);
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        peers.push(stream);
        served.push(Served::default());
        server.requests();
    }
    let turns = connections.iter().map(Vec::len).max().unwrap_or(0);
    for turn in 0..=turns {
        for (peer, pieces) in peers.iter_mut().zip(connections) {
            // One that was dropped takes nothing any more.
            let _ = match pieces.get(turn) {
                Some(piece) => peer.write_all(piece),
                None => peer.shutdown(Shutdown::Write),
            };
        }
        for (peer, command) in server.requests() {
            let result = match command.version() {
                1 => Ok(()),
                _ => Err(Failure::new(FailureKind::Unsupported, "for a test")),
            };
            // Peers are numbered from 1 in the order in which they came.
            if let Some(served) = usize::try_from(peer - 1).ok().and_then(|at| served.get_mut(at)) {
                served.commands.push(command);
            }
            server.answer(peer, result);
        }
    }
    drop(server);
    for (mut peer, served) in peers.into_iter().zip(&mut served) {
        // What was not read by the shim may reset the connection, after its answer.
        let _ = peer.read_to_end(&mut served.answer);
    }
    Ok(served)
}

/// Reads a launch as a new shim does.
///
/// # Errors
/// As the shim answers.
pub fn launch(bytes: &[u8]) -> Result<Launch, Failure> {
    let failed = |error: std::io::Error| Failure::while_doing("a bridge", error);
    let (mut bridge, shim) = UnixStream::pair().map_err(failed)?;
    bridge.set_nonblocking(true).map_err(failed)?;
    bridge.write_all(bytes).map_err(failed)?;
    bridge.shutdown(Shutdown::Write).map_err(failed)?;
    errand::read(&shim, &mut Vec::new())
}
