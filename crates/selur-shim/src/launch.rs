//! What a bridge asks a new shim to do, and what the shim answers.

use crate::control::line;
use crate::restart::RestartRule;
use crate::{Mapping, PROTOCOL_VERSION};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What comes in on standard input, in JSON, until its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// [`Launch::needed_version`].
    pub version: u32,
    /// The state root, absolute.
    pub root: PathBuf,
    /// The container; empty for files.
    pub id: String,
    /// The OCI runtime, absolute.
    pub runc: PathBuf,
    /// What to do.
    pub errand: Errand,
    /// The ids of the user namespace to do it in: of a bridge that is not root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
}

impl Launch {
    /// The version of [`PROTOCOL_VERSION`] that it needs.
    pub fn needed_version(&self) -> u32 {
        match (&self.mapping, &self.errand) {
            (None, Errand::Start { .. } | Errand::Adopt | Errand::Reap | Errand::Exec(_)) => 2,
            _ => 3,
        }
    }
}

/// What a shim is started for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// Runs the container and stays with it.
    Start {
        /// The image's layers, bottom first: directories in overlayfs form.
        layers: Vec<PathBuf>,
        /// `user`, `user:group`, names or numbers; empty is root.
        user: String,
        /// When the process is started again.
        restart: RestartRule,
        /// The volumes that it mounts, of which some may never have been mounted before.
        #[serde(default)]
        volumes: Vec<FreshVolume>,
        /// Whether it has a standard input that can be attached to.
        #[serde(default)]
        stdin: bool,
        /// Whether it has a terminal.
        #[serde(default)]
        terminal: bool,
    },
    /// Stays with a container whose shim has died.
    Adopt,
    /// Ends whatever is left of a container's processes, and what runc keeps of it.
    Reap,
    /// Runs a further process in the container. Its ends of its streams come with the launch: standard input if it is
    /// to have one, standard output, standard error; with a terminal none, and the reply brings the terminal's master.
    /// The socket stays open after the reply: an [`ExecEnd`] follows when the process has ended. It is killed when the
    /// bridge hangs up.
    Exec(Further),
    /// Ends what further processes left in the container whose errands died. Of version 3.
    Sweep,
    /// Does something with files; no container is named. Of version 3, with a mapping.
    Files(Files),
}

/// What is done with files in the user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Files {
    /// Unpacks the tar stream of the socket that comes with the launch into an empty directory.
    Unpack {
        /// The directory, absolute.
        directory: PathBuf,
        /// The most entries.
        max_entries: u64,
    },
    /// Tells how much room they take, as [`Told::Measured`].
    Measure {
        /// Absolute paths.
        paths: Vec<PathBuf>,
    },
    /// Removes a tree.
    Remove {
        /// Its absolute path.
        path: PathBuf,
    },
    /// Tries whether a container's file system can be made below the state root.
    Probe,
}

/// What an errand tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A layer was unpacked.
    Unpacked {
        /// Whether it hides everything below it.
        is_opaque: bool,
    },
    /// Room was measured.
    Measured {
        /// How much.
        bytes: u64,
    },
}

/// A volume that is filled with what the image has at its place, if nobody has mounted it before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshVolume {
    /// Its name.
    pub name: String,
    /// Where it stands in the container: an absolute path.
    pub target: String,
}

/// A further process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Further {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// `KEY=VALUE`, over the container's.
    pub environment: Vec<String>,
    /// The container's own if none.
    pub working_directory: Option<String>,
    /// The container's own if none.
    pub user: Option<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// The terminal's rows and columns at first.
    pub size: Option<(u16, u16)>,
    /// Whether it gets a standard input.
    pub stdin: bool,
    /// Of what number the errand's directory is to be, so that the bridge knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// How a further process ended: a line of JSON after the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecEnd {
    /// Its code, or 128 + the signal that ended it; none if nobody knows.
    pub exit_code: Option<i32>,
}

impl ExecEnd {
    pub(crate) fn to_line(self) -> Vec<u8> {
        line(&self)
    }
}

/// The one answer of a shim, a line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// [`PROTOCOL_VERSION`] of the shim.
    pub version: u32,
    /// Whether the errand succeeded.
    pub result: Result<(), Failure>,
    /// What it tells beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// Why a shim could not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure, for programs.
    pub kind: FailureKind,
    /// What went wrong and what to do, for people.
    pub message: String,
}

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The message is malformed, or of another version.
    BadRequest,
    /// The program to run does not exist: exit code 127.
    CommandNotFound,
    /// The program to run cannot be executed: exit code 126.
    CommandNotExecutable,
    /// The user to run as does not exist in the container.
    NoSuchUser,
    /// The container's state does not allow it.
    WrongState,
    /// Another shim holds the container.
    Busy,
    /// The disk is full.
    DiskFull,
    /// This shim cannot do it.
    Unsupported,
    /// A layer is broken or hostile.
    BadContent,
    /// A cap would be passed.
    TooLarge,
    /// Anything else.
    Internal,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
        }
    }

    /// What went wrong with the system, and when.
    pub(crate) fn while_doing(what: impl std::fmt::Display, error: impl Into<std::io::Error>) -> Failure {
        let error = error.into();
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => FailureKind::DiskFull,
            _ => FailureKind::Internal,
        };
        Failure::new(kind, format!("{what}: {error}"))
    }
}

impl Reply {
    pub(crate) fn new(result: Result<(), Failure>) -> Reply {
        Reply {
            version: PROTOCOL_VERSION,
            result,
            told: None,
        }
    }

    pub(crate) fn to_line(&self) -> Vec<u8> {
        line(self)
    }
}
