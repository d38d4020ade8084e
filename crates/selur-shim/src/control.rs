//! What a bridge and a living shim say to each other over the control socket: a line of JSON each way.

use crate::{Failure, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};

/// The longest request, in bytes, its line feed included.
pub(crate) const MAX_REQUEST_BYTES: usize = 4096;

/// One request; one a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRequest {
    /// The version that the command is of.
    pub version: u32,
    /// What to do.
    pub command: Command,
}

/// What a shim can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Sends a signal, then SIGKILL; nothing starts the process again. Answered when the process has ended for good.
    Stop {
        /// The first signal's number.
        signal: u8,
        /// How long to wait before SIGKILL, in milliseconds.
        timeout_ms: u32,
    },
    /// Sends a signal. Between two generations it ends restarting.
    Kill {
        /// Its number.
        signal: u8,
    },
    /// Freezes every process of the container.
    Pause,
    /// Thaws them.
    Resume,
    /// Asks for the input of the first process: the answer brings the writing end of its standard input, or the master
    /// of its terminal. Of version 2.
    Input,
    /// Closes the shim's own end of the first process's standard input, which then ends when nobody else has one. Of
    /// version 2.
    EndInput,
}

impl Command {
    /// The version of [`PROTOCOL_VERSION`] that brought it.
    pub fn version(&self) -> u32 {
        match self {
            Command::Stop { .. } | Command::Kill { .. } | Command::Pause | Command::Resume => 1,
            Command::Input | Command::EndInput => 2,
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlResponse {
    /// [`PROTOCOL_VERSION`] of the shim.
    pub version: u32,
    /// Whether it was done.
    pub result: Result<(), Failure>,
}

impl ControlRequest {
    /// A request for this command.
    pub fn new(command: Command) -> ControlRequest {
        ControlRequest {
            version: command.version(),
            command,
        }
    }

    /// The request as it is sent.
    pub fn to_line(&self) -> Vec<u8> {
        line(self)
    }
}

impl ControlResponse {
    pub(crate) fn new(result: Result<(), Failure>) -> ControlResponse {
        ControlResponse {
            version: PROTOCOL_VERSION,
            result,
        }
    }

    pub(crate) fn to_line(&self) -> Vec<u8> {
        line(self)
    }
}

/// Serializing these types fails only for lack of memory, which aborts.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}
