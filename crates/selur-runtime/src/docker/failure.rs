//! What a daemon refuses, as statuses: by its code where there is one, by its words where the code says nothing.
//!
//! Every word that is looked for stands in one of the tables here, with the daemon that says it.

use crate::RuntimeError;
use selur_protocol::{ContainerId, State, Status};
use std::fmt::Display;
use std::time::Duration;

/// Why a request to the daemon failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    /// It answered with a code of failure, or 0 where an answer that had begun well ends with an error.
    #[error("{message}")]
    Refused { code: u16, message: String },
    /// The connection broke, or never was.
    #[error("{0}")]
    Unreachable(Box<dyn std::error::Error + Send + Sync>),
    /// It answered with what cannot be read.
    #[error("the daemon's answer cannot be read: {0}")]
    Nonsense(String),
    /// It did not answer.
    #[error("the daemon did not answer within {} s", .0.as_secs())]
    Slow(Duration),
}

impl From<hyper::Error> for DaemonError {
    fn from(error: hyper::Error) -> DaemonError {
        if error.is_parse() {
            return DaemonError::Nonsense(error.to_string());
        }
        // hyper's own words are few: its cause says what happened.
        match std::error::Error::source(&error) {
            Some(cause) => DaemonError::Unreachable(format!("{error}: {cause}").into()),
            None => DaemonError::Unreachable(error.into()),
        }
    }
}

impl From<bollard::errors::Error> for DaemonError {
    fn from(error: bollard::errors::Error) -> DaemonError {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError { status_code, message } => DaemonError::Refused {
                code: status_code,
                message,
            },
            Error::DockerStreamError { error } => DaemonError::stream(error),
            Error::JsonDataError { message, .. } => DaemonError::Nonsense(message),
            Error::JsonSerdeError { err } => DaemonError::Nonsense(err.to_string()),
            Error::HyperResponseError { err } => err.into(),
            // What the transport said, unpacked.
            Error::IOError { err } => match err.downcast::<DaemonError>() {
                Ok(own) => own,
                Err(err) => DaemonError::Unreachable(err.into()),
            },
            other => DaemonError::Unreachable(other.into()),
        }
    }
}

/// What a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A container that is to be made.
    Creation,
    /// A process that is to run: a container's or an exec's.
    Process,
    /// A container that exists.
    Container,
    /// An image, or the registry that it comes from.
    Image,
    /// A volume.
    Volume,
    /// The daemon itself.
    Daemon,
}

/// Words that say why a process cannot be run, and the exit code of that.
///
/// Source: runc `libcontainer/utils`, as moby `daemon/errors.go` and podman `libpod/define/exec_codes.go` look for them.
const NOT_RUNNABLE: [(&str, u8); 8] = [
    ("executable file not found", 127),
    ("no such file or directory", 127),
    ("system cannot find the file specified", 127),
    ("not a directory", 127),
    ("command that was not found", 127),
    ("permission denied", 126),
    ("is a directory", 126),
    ("exec format error", 126),
];

/// Words that say which user there is not. Both daemons.
const NO_SUCH_USER: [&str; 3] = [
    "unable to find user",
    "unable to find group",
    "no matching entries in passwd file",
];

/// Words that say that the state forbids it, where the code is 500 or 400. All but the last are podman's.
const WRONG_STATE: [&str; 7] = [
    "container state improper",
    "can only kill running containers",
    "can only create exec sessions on running containers",
    "is not running",
    "is already paused",
    "is not paused",
    "is paused",
];

/// Words of registries, of the network and of the disk, which both daemons pass on. The first that is found counts.
///
/// Source: distribution `registry/api/errcode`, Go `net` and `syscall`, containers/image, moby `distribution/errors.go`.
const PASSED_ON: [(&str, Status); 37] = [
    ("no space left on device", Status::ResourceExhausted),
    ("disk quota exceeded", Status::ResourceExhausted),
    ("too many open files", Status::ResourceExhausted),
    ("toomanyrequests", Status::NetworkError),
    ("manifest unknown", Status::ImageNotFound),
    ("name unknown", Status::ImageNotFound),
    ("statuscode: 404", Status::ImageNotFound),
    ("error parsing http 404 response", Status::ImageNotFound),
    ("repository name not known", Status::ImageNotFound),
    ("no matching manifest for", Status::ImageNotFound),
    ("no image found in manifest list", Status::ImageNotFound),
    ("no image found in image index", Status::ImageNotFound),
    ("image operating system", Status::ImageNotFound),
    ("does not match the specified platform", Status::ImageNotFound),
    ("unauthorized", Status::PermissionDenied),
    ("authentication required", Status::PermissionDenied),
    ("invalid username/password", Status::PermissionDenied),
    ("access to the resource is denied", Status::PermissionDenied),
    ("access denied", Status::PermissionDenied),
    ("no basic auth credentials", Status::PermissionDenied),
    ("denied:", Status::PermissionDenied),
    ("connection refused", Status::NetworkError),
    ("connection reset", Status::NetworkError),
    ("no such host", Status::NetworkError),
    ("network is unreachable", Status::NetworkError),
    ("i/o timeout", Status::NetworkError),
    ("deadline exceeded", Status::NetworkError),
    ("tls handshake", Status::NetworkError),
    ("x509:", Status::NetworkError),
    ("server gave http response to https client", Status::NetworkError),
    ("unexpected eof", Status::NetworkError),
    ("pinging container registry", Status::NetworkError),
    ("received unexpected http status", Status::NetworkError),
    ("invalid status code from registry", Status::NetworkError),
    ("did not match", Status::NetworkError),
    ("verification failed", Status::NetworkError),
    ("no such image", Status::ImageNotFound),
];

/// Words that say that a name is taken, where the code is 500. Podman's.
const TAKEN: &str = "already in use";

impl DaemonError {
    pub(super) fn nonsense(words: impl Display) -> DaemonError {
        DaemonError::Nonsense(words.to_string())
    }

    /// An error at the end of an answer that had begun well.
    pub(super) fn stream(message: impl Into<String>) -> DaemonError {
        DaemonError::Refused {
            code: 0,
            message: message.into(),
        }
    }

    /// Whether the daemon failed, and not what it was asked.
    pub(super) fn is_failure_of_its_own(&self) -> bool {
        matches!(self, DaemonError::Refused { code: 500.., .. })
    }

    /// Whether there is no such thing.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            DaemonError::Refused { code: 404, .. } => true,
            // Podman, of what is removed while it is looked at.
            DaemonError::Refused { code: 500, message } => message.contains("no such container"),
            _ => false,
        }
    }

    /// How a process that cannot be run ends, if that is what the daemon says.
    pub(super) fn unrunnable(&self) -> Option<u8> {
        match self {
            DaemonError::Refused { message, .. } => unrunnable(message),
            _ => None,
        }
    }

    /// The status and the message for people.
    pub(super) fn into_runtime(self, about: About, doing: impl Display) -> RuntimeError {
        let status = self.status(about);
        let hint = match (&self, status) {
            (DaemonError::Unreachable(_), _) => ": see whether it runs",
            (_, Status::PermissionDenied) if about == About::Image => ": log in with `docker login`",
            _ => "",
        };
        RuntimeError::with_source(status, format!("{doing}{hint}"), self)
    }

    fn status(&self, about: About) -> Status {
        let DaemonError::Refused { code, message } = self else {
            return Status::InternalError;
        };
        let words = message.to_lowercase();
        let passed_on = || {
            let found = PASSED_ON.iter().find(|(known, _)| words.contains(known));
            found.map(|(_, status)| *status)
        };
        match (code, about) {
            (404, About::Image | About::Creation) => passed_on().unwrap_or(Status::ImageNotFound),
            (_, About::Process) if unrunnable(message).is_some() => Status::InvalidRequest,
            (_, About::Process) if NO_SUCH_USER.iter().any(|known| words.contains(known)) => {
                Status::InvalidRequest
            }
            (404, About::Volume) => Status::VolumeNotFound,
            (404, About::Container | About::Process) => Status::ContainerNotFound,
            (409, About::Creation) => Status::ContainerAlreadyExists,
            (409, _) => Status::InvalidState,
            (401 | 403, _) => Status::PermissionDenied,
            (429 | 507, _) => passed_on().unwrap_or(Status::ResourceExhausted),
            (501, _) => Status::Unsupported,
            (_, About::Creation) if words.contains(TAKEN) => Status::ContainerAlreadyExists,
            (0 | 400 | 500, About::Container | About::Process)
                if WRONG_STATE.iter().any(|known| words.contains(known)) =>
            {
                Status::InvalidState
            }
            (400, _) => passed_on().unwrap_or(Status::InvalidRequest),
            (_, About::Image | About::Creation) => passed_on().unwrap_or(Status::InternalError),
            _ => match passed_on() {
                Some(Status::ResourceExhausted) => Status::ResourceExhausted,
                _ => Status::InternalError,
            },
        }
    }
}

fn unrunnable(message: &str) -> Option<u8> {
    let words = message.to_lowercase();
    // A device or a limit that is refused is no matter of the command.
    let is_of_exec = words.contains("exec: ") || words.contains("exec failed") || words.contains("command");
    let found = NOT_RUNNABLE.iter().find(|(known, _)| words.contains(known));
    found.filter(|_| is_of_exec).map(|(_, code)| *code)
}

/// What the daemons' own words begin with where a process's output would be. The first is podman's.
const INSTEAD_OF_OUTPUT: [&str; 3] = ["Error: ", "OCI runtime exec failed", "unable to find"];

/// What the daemon wrote instead of a process's output, as a refusal, if it is one.
pub(super) fn exec_refusal(text: &str) -> Option<RuntimeError> {
    let message = text.trim();
    let is_its_own = INSTEAD_OF_OUTPUT.iter().any(|words| message.starts_with(words));
    let refused = DaemonError::stream(message);
    let is_known = is_its_own && refused.status(About::Process) == Status::InvalidRequest;
    is_known.then(|| refused.into_runtime(About::Process, "cannot run the program"))
}

pub(super) fn not_found(id: ContainerId) -> RuntimeError {
    RuntimeError::new(
        Status::ContainerNotFound,
        format!("no container has the id {id}: `selur ps -a` lists them"),
    )
}

pub(super) fn wrong_state(command: &str, state: State) -> RuntimeError {
    RuntimeError::new(
        Status::InvalidState,
        format!("cannot {command} a container that is {}", state.name()),
    )
}

pub(super) fn cancelled() -> RuntimeError {
    RuntimeError::new(Status::Cancelled, "the request was cancelled")
}

/// The same error with another status.
pub(super) fn reworded(status: Status, error: RuntimeError) -> RuntimeError {
    RuntimeError::new(status, error.chain())
}

pub(super) fn invalid(message: impl Into<String>) -> RuntimeError {
    RuntimeError::new(Status::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As they were said by podman 4.3.1 and dockerd 20.10, or stand in their sources.
    #[test]
    fn what_daemons_say_has_a_status() {
        use About::*;
        let cases = [
            (404, Container, "No such container: x", Status::ContainerNotFound),
            (
                404,
                Container,
                "no container with name or ID \"x\" found: no such container",
                Status::ContainerNotFound,
            ),
            (
                404,
                Creation,
                "no such image: localhost/x:latest: image not known",
                Status::ImageNotFound,
            ),
            (404, Creation, "No such image: x:latest", Status::ImageNotFound),
            (
                409,
                Creation,
                "Conflict. The container name \"/x\" is already in use by container \"1\"",
                Status::ContainerAlreadyExists,
            ),
            (
                500,
                Creation,
                "creating container storage: the container name \"x\" is already in use by 1",
                Status::ContainerAlreadyExists,
            ),
            (
                400,
                Process,
                "OCI runtime create failed: exec: \"x\": executable file not found in $PATH: unknown",
                Status::InvalidRequest,
            ),
            (
                500,
                Process,
                "runc: runc create failed: unable to start container process: exec: \"x\": executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found",
                Status::InvalidRequest,
            ),
            (
                500,
                Process,
                "exec: \"/etc/passwd\": permission denied: OCI permission denied",
                Status::InvalidRequest,
            ),
            (
                500,
                Process,
                "error setting rlimit type 7: operation not permitted: OCI permission denied",
                Status::InternalError,
            ),
            (
                400,
                Process,
                "unable to find user x: no matching entries in passwd file",
                Status::InvalidRequest,
            ),
            (
                500,
                Container,
                "can only kill running containers. 1 is in state exited: container state improper",
                Status::InvalidState,
            ),
            (409, Container, "Container 1 is not running", Status::InvalidState),
            (
                404,
                Image,
                "manifest for 127.0.0.1:1/x:latest not found: manifest unknown: not here",
                Status::ImageNotFound,
            ),
            (
                404,
                Image,
                "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                Status::PermissionDenied,
            ),
            (
                0,
                Image,
                "initializing source docker://127.0.0.1:1/x:latest: pinging container registry 127.0.0.1:1: dial tcp: connect: connection refused",
                Status::NetworkError,
            ),
            (
                0,
                Image,
                "reading manifest latest in 127.0.0.1:1/x: manifest unknown",
                Status::ImageNotFound,
            ),
            (
                0,
                Image,
                "unauthorized: authentication required",
                Status::PermissionDenied,
            ),
            (
                500,
                Image,
                "write /var/lib/docker/tmp/x: no space left on device",
                Status::ResourceExhausted,
            ),
            (
                500,
                Image,
                "Get \"https://x/v2/\": http: server gave HTTP response to HTTPS client",
                Status::NetworkError,
            ),
            (
                409,
                Image,
                "image x is in use: image used by 1: image is in use by a container",
                Status::InvalidState,
            ),
            (
                409,
                Volume,
                "remove x: volume is in use - [1]",
                Status::InvalidState,
            ),
            (404, Volume, "get x: no such volume", Status::VolumeNotFound),
            (501, Container, "not implemented", Status::Unsupported),
            (500, Container, "something else", Status::InternalError),
            (403, Daemon, "forbidden by a plugin", Status::PermissionDenied),
        ];
        for (code, about, words, status) in cases {
            let message = words.to_owned();
            let refused = DaemonError::Refused { code, message };
            assert_eq!(refused.status(about), status, "{words}");
            assert!(
                refused
                    .into_runtime(about, "cannot do it")
                    .chain()
                    .contains(words)
            );
        }
    }

    #[test]
    fn a_processs_own_words_are_no_refusal() {
        let podman = "Error: runc: exec failed: exec: \"x\": executable file not found in $PATH: OCI runtime attempted \
                      to invoke a command that was not found";
        assert!(exec_refusal(podman).is_some());
        assert!(
            exec_refusal("OCI runtime exec failed: exec failed: exec: \"x\": permission denied").is_some()
        );
        assert!(exec_refusal("unable to find user x: no matching entries in passwd file").is_some());
        assert!(exec_refusal("env: can't execute 'x': No such file or directory").is_none());
        assert!(exec_refusal("Error: the command has failed").is_none());
    }

    #[test]
    fn a_program_that_is_missing_is_told_from_one_that_may_not_be_run() {
        let said = |words: &str| DaemonError::stream(words).unrunnable();
        assert_eq!(said("exec: \"x\": executable file not found in $PATH"), Some(127));
        assert_eq!(said("exec: \"/x\": permission denied"), Some(126));
        assert_eq!(said("error setting rlimits: permission denied"), None);
    }
}
