//! Speaks to a living shim.

use super::{Site, failure};
use crate::RuntimeError;
use selur_protocol::{ContainerId, Status};
use selur_shim::{Command, ControlRequest, ControlResponse, FailureKind, Home, passing};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// A shim does everything but a stop well within this time, runc's included.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// A longer answer is none, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was done.
    Done,
    /// No shim listens, or it ended before it answered: look at the container's life again.
    NoShim,
}

impl Site {
    /// Asks a container's shim for something and waits for the answer. Blocks.
    pub(super) fn ask(&self, id: ContainerId, command: Command) -> Result<Answer, RuntimeError> {
        let Some(stream) = self.send(id, command)? else {
            return Ok(Answer::NoShim);
        };
        let mut response = Vec::new();
        let read = stream
            .set_read_timeout(Some(ANSWER_LIMIT))
            .and_then(|()| stream.take(MAX_RESPONSE_BYTES as u64).read_to_end(&mut response));
        match read {
            Err(error) if is_timeout(&error) => Err(silent()),
            _ => parse(&response),
        }
    }

    /// Asks a container's shim for the input of its first process: the writing end of its standard input, or the master
    /// of its terminal. Nothing if no shim listens. Blocks.
    pub(super) fn input(&self, id: ContainerId) -> Result<Option<OwnedFd>, RuntimeError> {
        let Some(stream) = self.send(id, Command::Input)? else {
            return Ok(None);
        };
        let received = stream
            .set_read_timeout(Some(ANSWER_LIMIT))
            .and_then(|()| passing::receive_line(&stream, MAX_RESPONSE_BYTES));
        let (response, descriptors) = match received {
            Ok(received) => received,
            Err(error) if is_timeout(&error) => return Err(silent()),
            Err(_) => return Ok(None),
        };
        if response.is_empty() {
            return Ok(None);
        }
        match parsed(&response)?.result {
            Ok(()) => Ok(descriptors.into_iter().next()),
            Err(failure) if failure.kind == FailureKind::BadRequest => Err(RuntimeError::new(
                Status::Unsupported,
                "the container was started by an older selur, which cannot hand out its input: start it anew",
            )),
            Err(failure) => Err(failure::shim(failure)),
        }
    }

    /// Sends a request whose answer may take long; nothing if no shim listens. Blocks, but not for the answer.
    pub(super) fn send(&self, id: ContainerId, command: Command) -> Result<Option<UnixStream>, RuntimeError> {
        let request = ControlRequest::new(command);
        let connected = File::open(self.root.home(id).path()).and_then(|directory| {
            // By the descriptor, for a socket's path has at most 107 bytes.
            UnixStream::connect(format!(
                "/proc/self/fd/{}/{}",
                directory.as_raw_fd(),
                Home::CONTROL
            ))
        });
        let mut stream = match connected {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(failure::io("cannot reach the container's shim", error)),
        };
        // A request fits a socket's buffer, so that this does not wait.
        match stream
            .set_write_timeout(Some(ANSWER_LIMIT))
            .and_then(|()| stream.write_all(&request.to_line()))
        {
            Ok(()) => Ok(Some(stream)),
            Err(_) => Ok(None),
        }
    }
}

/// Awaits the answer to a request that was sent.
pub(super) async fn answer(stream: UnixStream) -> Result<Answer, RuntimeError> {
    let failed = |error: io::Error| failure::io("cannot await the container's shim", error);
    stream.set_nonblocking(true).map_err(failed)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(failed)?;
    let mut response = Vec::new();
    // A connection that breaks has no answer.
    let _ = stream
        .take(MAX_RESPONSE_BYTES as u64)
        .read_to_end(&mut response)
        .await;
    parse(&response)
}

fn parse(response: &[u8]) -> Result<Answer, RuntimeError> {
    if response.is_empty() {
        return Ok(Answer::NoShim);
    }
    parsed(response)?
        .result
        .map(|()| Answer::Done)
        .map_err(failure::shim)
}

fn parsed(response: &[u8]) -> Result<ControlResponse, RuntimeError> {
    serde_json::from_slice(response)
        .map_err(|error| failure::internal(format!("the container's shim answers nonsense: {error}")))
}

fn silent() -> RuntimeError {
    failure::internal("the container's shim does not answer: delete the container with force")
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
