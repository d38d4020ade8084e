//! Errors of this backend: what the disk and the shim say, as a status and a message.

use crate::RuntimeError;
use selur_protocol::{ContainerId, State, Status};
use selur_shim::{Failure, FailureKind};
use selur_tree::TreeError;
use std::io;

/// What the disk refused, and during what.
pub(super) fn io(doing: impl std::fmt::Display, error: io::Error) -> RuntimeError {
    let status = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Status::ResourceExhausted,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Status::PermissionDenied,
        _ => match error.raw_os_error() {
            // EMFILE and ENFILE.
            Some(24 | 23) => Status::ResourceExhausted,
            _ => Status::InternalError,
        },
    };
    RuntimeError::with_source(status, doing.to_string(), error)
}

/// What the shim could not do.
pub(super) fn shim(failure: Failure) -> RuntimeError {
    let (status, hint) = match failure.kind {
        FailureKind::CommandNotFound => (
            Status::InvalidRequest,
            ": the command does not exist in the image (exit code 127)",
        ),
        FailureKind::CommandNotExecutable => (
            Status::InvalidRequest,
            ": the command cannot be executed (exit code 126)",
        ),
        FailureKind::NoSuchUser => (Status::InvalidRequest, ""),
        FailureKind::WrongState | FailureKind::Busy => (Status::InvalidState, ""),
        FailureKind::Unsupported => (Status::Unsupported, ""),
        FailureKind::DiskFull => (Status::ResourceExhausted, ""),
        FailureKind::BadRequest | FailureKind::Internal | FailureKind::BadContent | FailureKind::TooLarge => {
            (Status::InternalError, "")
        }
    };
    RuntimeError::new(status, failure.message + hint)
}

/// Why a tree of files could not be removed.
pub(super) fn tree(error: TreeError) -> RuntimeError {
    match error {
        TreeError::Io { what, source } => io(what, source),
        TreeError::Unsupported(words) => RuntimeError::new(Status::Unsupported, words),
        other => internal(other.to_string()),
    }
}

pub(super) fn not_found(id: ContainerId) -> RuntimeError {
    RuntimeError::new(
        Status::ContainerNotFound,
        format!("no container has the id {id}: `selur ps -a` lists them"),
    )
}

pub(super) fn wrong_state(command: &str, state: State) -> RuntimeError {
    let state = state.name();
    RuntimeError::new(
        Status::InvalidState,
        format!("cannot {command} a container that is {state}"),
    )
}

pub(super) fn cancelled() -> RuntimeError {
    RuntimeError::new(Status::Cancelled, "the request was cancelled")
}

pub(super) fn internal(message: impl Into<String>) -> RuntimeError {
    RuntimeError::new(Status::InternalError, message)
}
