//! A Unix socket: the length, then the bytes, both ways. The server checks that they are text. No codec, no event loop: the least
//! that a daemon on a socket can cost.

use crate::measure::{Outcome, PAYLOADS, Samples, expect, payload};
use crate::placement::Placement;
use crate::server::{Server, listens_at};
use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

const LENGTH_BYTES: usize = 4;

pub(super) fn measure(placement: Placement) -> Outcome<()> {
    let server = Server::start("unix_socket", placement)?;
    let mut connection = Connection::new(UnixStream::connect(&server.address)?)?;
    // Nobody else is to connect.
    std::fs::remove_file(&server.address)?;
    for bytes in PAYLOADS {
        let text = payload(bytes);
        let mut samples = Samples::new();
        while samples.are_wanted() {
            let began = Instant::now();
            connection.send(text.as_bytes())?;
            expect(
                connection.receive()? && connection.content().len() == bytes,
                "its length",
            )?;
            samples.add(began.elapsed(), 1);
        }
        samples.say(&format!("Unix socket, {}", placement.name()), bytes);
    }
    Ok(())
}

pub(super) fn serve() -> Outcome<()> {
    let path = std::env::temp_dir().join(format!("selur-benchmarks-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    listens_at(path.to_str().ok_or("a path that is no UTF-8")?)?;
    let mut connection = Connection::new(listener.accept()?.0)?;
    let mut answer = Vec::new();
    while connection.receive()? {
        answer.clear();
        answer.extend_from_slice(std::str::from_utf8(connection.content())?.as_bytes());
        connection.send(&answer)?;
    }
    Ok(())
}

struct Connection {
    from: BufReader<UnixStream>,
    to: UnixStream,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Connection {
    fn new(stream: UnixStream) -> Outcome<Connection> {
        Ok(Connection {
            from: BufReader::with_capacity(64 * 1024, stream.try_clone()?),
            to: stream,
            sent: Vec::new(),
            received: Vec::new(),
        })
    }

    /// Sends length and bytes at once.
    fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.sent.clear();
        self.sent.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.sent.extend_from_slice(bytes);
        Ok(self.to.write_all(&self.sent)?)
    }

    /// Whether there was another message.
    fn receive(&mut self) -> Outcome<bool> {
        let mut length = [0; LENGTH_BYTES];
        match self.from.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.received.resize(u32::from_le_bytes(length) as usize, 0);
        self.from.read_exact(&mut self.received)?;
        Ok(true)
    }

    /// What was received last.
    fn content(&self) -> &[u8] {
        &self.received
    }
}
