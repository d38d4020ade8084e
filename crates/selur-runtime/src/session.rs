//! Sessions: a process's input and output as they flow, of an exec or of an attachment.

use crate::{OutputStream, RuntimeError};
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// How many inputs may wait for the process to read them.
pub const INPUTS_IN_FLIGHT: usize = 8;
/// The longest piece of input or output, in bytes.
pub const MAX_PIECE_BYTES: usize = 64 << 10;

/// A terminal's size, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminalSize {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// What is sent to the process of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionInput {
    /// Bytes for its standard input, at most [`MAX_PIECE_BYTES`].
    Bytes(Vec<u8>),
    /// Its standard input ends. With a terminal there is no such end: send the character 4 instead.
    End,
    /// Its terminal has this size now. Nothing happens where it has no terminal.
    Resize(TerminalSize),
}

/// What comes from the process of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionItem {
    /// Bytes that it wrote, at most [`MAX_PIECE_BYTES`], cut anywhere. A terminal has standard output only.
    Output {
        /// Where it wrote them.
        stream: OutputStream,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// It has ended, and all of its output has come: the last item. 0 to 255, 128 + the signal that ended it; none if
    /// nobody knows.
    Ended {
        /// How.
        exit_code: Option<i32>,
    },
}

/// A process's input and output.
///
/// Both directions hold back whoever is too fast: a process that is not read from stands still, and so does who writes
/// to one that does not read. Dropping the output of an exec kills its process; dropping that of an attachment leaves
/// the container as it is.
pub struct Session {
    /// Where input goes. It is closed when the process no longer reads, or when it was not given an input.
    pub input: mpsc::Sender<SessionInput>,
    /// What comes, until [`SessionItem::Ended`].
    pub output: BoxStream<'static, Result<SessionItem, RuntimeError>>,
}

/// How a container's first process is attached to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttachOptions {
    /// Whether input is sent to it. The container's specification must say `stdin`.
    pub stdin: bool,
    /// Whether what it wrote until now comes first.
    pub replay: bool,
}
