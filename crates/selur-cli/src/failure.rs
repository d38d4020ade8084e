//! Failures: one line what went wrong, one line what to do, and the code that the process ends with.

use crate::cli::Format;
use crate::output::{self, escape};
use selur_core::Status;
use selur_protocol::Reason;
use std::io;

/// The command failed.
pub(crate) const FAILED: u8 = 1;
/// The arguments are wrong.
pub(crate) const WRONG_ARGUMENTS: u8 = 2;
/// `run`: selur itself failed.
pub(crate) const RUN_FAILED: u8 = 125;
/// `run`: the command cannot be executed.
pub(crate) const CANNOT_EXECUTE: u8 = 126;
/// `run`: the command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// Whoever read the output went away: 128 and SIGPIPE.
pub(crate) const BROKEN_PIPE: u8 = 141;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    status: &'static str,
    message: String,
    advice: String,
    exit_code: u8,
    is_quiet: bool,
    /// `container`, `image` or `volume`, and which of several, as it was typed.
    subject: Option<(&'static str, String)>,
}

impl Failure {
    /// A failure of selur's own, with what to do about it.
    pub(crate) fn new(status: Status, message: impl Into<String>, advice: impl Into<String>) -> Failure {
        Failure {
            status: status.name(),
            message: message.into(),
            advice: advice.into(),
            exit_code: FAILED,
            is_quiet: false,
            subject: None,
        }
    }

    /// A failure whose text was printed already.
    pub(crate) fn quiet(exit_code: u8) -> Failure {
        Failure {
            exit_code,
            is_quiet: true,
            ..Failure::new(Status::InternalError, "", "")
        }
    }

    /// Arguments that cannot be read: the first paragraph of what clap says of them.
    pub(crate) fn refused(words: &str) -> Failure {
        let words = words.trim_start_matches("error: ");
        let what: Vec<&str> = words
            .lines()
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        let advice = "Check the arguments: `selur help` describes each command.";
        Failure::new(Status::InvalidRequest, what.join(" "), advice)
    }

    /// What the operating system refused while selur did `what`.
    pub(crate) fn io(what: impl std::fmt::Display, error: &io::Error) -> Failure {
        let (status, advice) = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                (Status::PermissionDenied, "Run selur as a user who may do this.")
            }
            io::ErrorKind::StorageFull => (
                Status::ResourceExhausted,
                "Free space on the disk, then try again.",
            ),
            io::ErrorKind::NotFound => (Status::InvalidRequest, "Check that the path is right."),
            io::ErrorKind::IsADirectory => (Status::InvalidRequest, "Name a file: this is a directory."),
            io::ErrorKind::NotADirectory => (
                Status::InvalidRequest,
                "Check that the path is right: a part of it is no directory.",
            ),
            io::ErrorKind::AlreadyExists => (
                Status::InvalidRequest,
                "Name another path: something else is there.",
            ),
            io::ErrorKind::ReadOnlyFilesystem => (
                Status::PermissionDenied,
                "Name a path on a file system that can be written to.",
            ),
            io::ErrorKind::InvalidData => (Status::InvalidRequest, "Write it in UTF-8."),
            _ => (
                Status::InternalError,
                "Try again; `selur info` describes this machine.",
            ),
        };
        Failure::new(status, format!("{what}: {error}"), advice)
    }

    /// The same failure, ending the process with another code.
    pub(crate) fn with_exit_code(self, exit_code: u8) -> Failure {
        Failure { exit_code, ..self }
    }

    /// The same failure with other words on what to do.
    pub(crate) fn with_advice(self, advice: impl Into<String>) -> Failure {
        Failure {
            advice: advice.into(),
            ..self
        }
    }

    /// The same failure in other words.
    pub(crate) fn with_message(self, message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            ..self
        }
    }

    /// The same failure, which says which of several arguments it is about: programs are told its name as it was typed.
    pub(crate) fn about(self, kind: &'static str, name: impl Into<String>) -> Failure {
        Failure {
            subject: Some((kind, name.into())),
            ..self
        }
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// The status's snake_case name.
    pub(crate) fn status(&self) -> &'static str {
        self.status
    }

    /// What went wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> &str {
        &self.advice
    }

    /// Prints the failure on standard error, unless that was done.
    pub(crate) fn print(&self, format: Format) {
        if self.is_quiet {
            return;
        }
        match format {
            Format::Json => {
                let (status, message, advice) = (self.status, &self.message, &self.advice);
                let mut error = serde_json::json!({ "status": status, "message": message, "advice": advice });
                if let Some((kind, name)) = &self.subject {
                    error[*kind] = name.as_str().into();
                }
                output::note_json(&serde_json::json!({ "error": error }));
            }
            Format::Table => {
                anstream::eprintln!("\x1b[1;31mselur:\x1b[0m {}", escape(&self.message));
                if !self.advice.is_empty() {
                    anstream::eprintln!("\x1b[2m       {}\x1b[0m", escape(&self.advice));
                }
            }
        }
    }
}

/// The failure of a command whose exit code is a process's: selur's own failures end it with 125.
pub(crate) fn as_run(failure: Failure) -> Failure {
    match failure.exit_code() {
        FAILED => failure.with_exit_code(RUN_FAILED),
        _ => failure,
    }
}

/// Writing to standard output failed: quiet if its reader went away.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::quiet(BROKEN_PIPE);
        }
        Failure::io("cannot write the output", &error)
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Failure {
        let (message, advice) = split(reason.status(), reason.message());
        Failure::new(reason.status(), message, advice)
    }
}

impl From<selur_core::Error> for Failure {
    fn from(error: selur_core::Error) -> Failure {
        let (message, advice) = split(error.status(), error.message());
        Failure::new(error.status(), message, advice)
    }
}

/// The words that advice begins with: messages are written `what is wrong: what to do`.
const ADVISING: [&str; 40] = [
    "ask", "await", "begin", "build", "cancel", "check", "choose", "convert", "delete", "drain", "encode",
    "free", "give", "install", "leave", "load", "log", "make", "mount", "name", "pull", "push", "raise",
    "read", "release", "remove", "reserve", "resume", "run", "say", "see", "send", "squash", "start", "stop",
    "submit", "try", "use", "wait", "write",
];

/// Splits a message in what is wrong and what to do; where it does not say, the status does. Behind both may stand what
/// the operating system said.
fn split(status: Status, message: &str) -> (String, String) {
    let (words, cause) = match message.rsplit_once(": ") {
        Some((words, cause)) if is_of_the_system(cause) => (words, Some(cause)),
        _ => (message, None),
    };
    if let Some((what, tail)) = words.rsplit_once(": ") {
        let word = tail.split([' ', ',']).next().unwrap_or_default();
        if tail.starts_with('`') || ADVISING.contains(&word) {
            let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
            return (format!("{what}{cause}"), sentence(&with_options(tail)));
        }
    }
    (message.to_owned(), advice(status).to_owned())
}

/// `File exists (os error 17)`, as the standard library writes it.
fn is_of_the_system(cause: &str) -> bool {
    let number = cause
        .strip_suffix(')')
        .and_then(|cause| cause.rsplit_once(" (os error "));
    number.is_some_and(|(_, digits)| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The libraries name what every program has; this one has an option that goes before.
fn with_options(advice: &str) -> String {
    advice.replace("by SELUR_ROOT", "by --root or SELUR_ROOT")
}

/// `give more digits` as `Give more digits.`
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// What to do about a status where the message does not say.
fn advice(status: Status) -> &'static str {
    match status {
        Status::Success => "",
        Status::InvalidRequest => "Check the arguments: `selur help` describes each command.",
        Status::ContainerNotFound => "`selur ps -a` lists the containers.",
        Status::ContainerAlreadyExists => "Choose another name, or remove that container: `selur rm NAME`.",
        Status::NetworkError => "Check the registry's name and that this machine reaches it, then try again.",
        Status::InternalError => "`selur info` describes this machine; try again once the cause is gone.",
        Status::InvalidState => "`selur ps -a` shows each container's state.",
        Status::PermissionDenied => "Run as root; for a registry, log in first (~/.docker/config.json).",
        Status::ResourceExhausted => {
            "Remove what is no longer needed: `selur rm`, `selur rmi`, `selur prune`."
        }
        Status::Timeout => "Give it more time: --timeout.",
        Status::Cancelled => "Run it again.",
        Status::Unsupported => "Choose another backend: --runtime oci.",
        Status::ImageNotFound => "Check the name and the tag; `selur images` lists what is here.",
        Status::VolumeNotFound => "`selur volume ls` lists the volumes.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_into_cause_and_advice() {
        let cases = [
            (
                "\"web\": there is none: `selur ps -a` lists them",
                "\"web\": there is none",
                "`selur ps -a` lists them.",
            ),
            (
                "cannot start what is paused: resume it",
                "cannot start what is paused",
                "Resume it.",
            ),
            (
                "it is paused: wait, or stop it",
                "it is paused",
                "Wait, or stop it.",
            ),
            (
                "cannot use /x as the state root: name another by SELUR_ROOT: File exists (os error 17)",
                "cannot use /x as the state root: File exists (os error 17)",
                "Name another by --root or SELUR_ROOT.",
            ),
            (
                "\"/x\" cannot be mounted: make it first: No such file or directory (os error 2)",
                "\"/x\" cannot be mounted: No such file or directory (os error 2)",
                "Make it first.",
            ),
            (
                "cannot read it: Input/output error (os error 5)",
                "cannot read it: Input/output error (os error 5)",
                advice(Status::InvalidState),
            ),
            (
                "exec: \"no\": permission denied",
                "exec: \"no\": permission denied",
                advice(Status::InvalidState),
            ),
            ("no colon", "no colon", advice(Status::InvalidState)),
        ];
        for (message, what, todo) in cases {
            assert_eq!(
                split(Status::InvalidState, message),
                (what.to_owned(), todo.to_owned())
            );
        }
    }

    #[test]
    fn the_kernels_advice_is_taken_for_advice() {
        let is_whole = |reason: &&Reason| split(reason.status(), reason.message()).0 == reason.message();
        let whole = Reason::ALL
            .iter()
            .filter(|reason| reason.message().contains(": "))
            .filter(is_whole);
        // What follows the colon explains.
        assert_eq!(whole.copied().collect::<Vec<_>>(), [Reason::StaleHandle]);
    }

    #[test]
    fn every_status_but_success_has_advice() {
        for status in Status::ALL {
            assert_eq!(advice(status).is_empty(), status == Status::Success, "{status:?}");
        }
    }
}
