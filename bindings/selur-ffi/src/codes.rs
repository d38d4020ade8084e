//! The codes of the ABI, each equal to the protocol's: a status, a command, a runtime, what an item of a stream is.
//!
//! Enumerations only go out. A code that comes in is a number, for C could give any.

use crate::boundary::{Failure, guard_value};
use selur_core::{Backend, Command, ItemKind, Status};
use std::ffi::{CStr, c_char};

/// How a call ended. 0 is success. New ones may be added: treat a value that you do not know as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum selur_status_t {
    /// The request was carried out.
    SELUR_STATUS_SUCCESS = 0x00,
    /// The frame, the grammar, the UTF-8, the command or a field of the specification is wrong.
    SELUR_STATUS_INVALID_REQUEST = 0x01,
    /// No container has this id, name or prefix, or several share the prefix.
    SELUR_STATUS_CONTAINER_NOT_FOUND = 0x02,
    /// The name is taken.
    SELUR_STATUS_CONTAINER_ALREADY_EXISTS = 0x03,
    /// The registry cannot be reached, or a pull broke off.
    SELUR_STATUS_NETWORK_ERROR = 0x04,
    /// The guest trapped or the runtime failed; the message says how.
    SELUR_STATUS_INTERNAL_ERROR = 0x05,
    /// The container's state does not allow the command.
    SELUR_STATUS_INVALID_STATE = 0x06,
    /// The registry or the operating system refused.
    SELUR_STATUS_PERMISSION_DENIED = 0x07,
    /// The table, the tickets, the arena or the disk is full.
    SELUR_STATUS_RESOURCE_EXHAUSTED = 0x08,
    /// The deadline passed.
    SELUR_STATUS_TIMEOUT = 0x09,
    /// The caller, or a forced deletion, cancelled the request.
    SELUR_STATUS_CANCELLED = 0x0A,
    /// This backend lacks what was asked for.
    SELUR_STATUS_UNSUPPORTED = 0x0B,
    /// The registry has no such image, or none for this platform.
    SELUR_STATUS_IMAGE_NOT_FOUND = 0x0C,
    /// No volume has this name.
    SELUR_STATUS_VOLUME_NOT_FOUND = 0x0D,
}

/// What a request asks for: its first byte. docs/API.md has the fields of each, and what it is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum selur_command_t {
    /// Answers the payload it was given.
    SELUR_COMMAND_PING = 0x00,
    /// Makes a container from an image; answers its id.
    SELUR_COMMAND_CREATE_CONTAINER = 0x01,
    /// Starts the container's process.
    SELUR_COMMAND_START_CONTAINER = 0x02,
    /// Ends the container's process: the stop signal, then SIGKILL.
    SELUR_COMMAND_STOP_CONTAINER = 0x03,
    /// Answers what is known of a container, as JSON.
    SELUR_COMMAND_INSPECT_CONTAINER = 0x04,
    /// Removes a container.
    SELUR_COMMAND_DELETE_CONTAINER = 0x05,
    /// Answers the ids of all containers, one a line.
    SELUR_COMMAND_LIST_CONTAINERS = 0x06,
    /// Sends a signal to the container's process.
    SELUR_COMMAND_KILL_CONTAINER = 0x07,
    /// Freezes every process of a container.
    SELUR_COMMAND_PAUSE_CONTAINER = 0x08,
    /// Thaws a paused container.
    SELUR_COMMAND_RESUME_CONTAINER = 0x09,
    /// Answers the exit code once the container has ended for good.
    SELUR_COMMAND_WAIT_CONTAINER = 0x0A,
    /// Runs a further process in a running container; answers a stream's id.
    SELUR_COMMAND_EXEC = 0x0B,
    /// Opens what a container wrote; answers a stream's id.
    SELUR_COMMAND_LOGS = 0x0C,
    /// Connects to a container's first process; answers a stream's id.
    SELUR_COMMAND_ATTACH = 0x0D,
    /// Samples what a container uses; answers a stream's id.
    SELUR_COMMAND_STATS = 0x0E,
    /// Answers a container's processes, as JSON.
    SELUR_COMMAND_TOP = 0x0F,
    /// Opens what happens to containers, images and volumes; answers a stream's id.
    SELUR_COMMAND_EVENTS = 0x10,
    /// Fetches an image from its registry; answers it as JSON, or a stream's id.
    SELUR_COMMAND_PULL_IMAGE = 0x11,
    /// Answers the images of the store, as JSON.
    SELUR_COMMAND_LIST_IMAGES = 0x12,
    /// Removes an image's name, and the image with its last name.
    SELUR_COMMAND_DELETE_IMAGE = 0x13,
    /// Takes images in from a layout directory or an archive; answers them as JSON.
    SELUR_COMMAND_LOAD_IMAGE = 0x14,
    /// Sends an image to its registry; answers its digest as JSON, or a stream's id.
    SELUR_COMMAND_PUSH_IMAGE = 0x15,
    /// Gives an image another name.
    SELUR_COMMAND_TAG_IMAGE = 0x16,
    /// Removes what nothing uses from the store; answers what was freed, as JSON.
    SELUR_COMMAND_PRUNE_IMAGES = 0x17,
    /// Makes a named volume; answers it as JSON.
    SELUR_COMMAND_CREATE_VOLUME = 0x18,
    /// Answers what is known of a volume, as JSON.
    SELUR_COMMAND_INSPECT_VOLUME = 0x19,
    /// Answers all volumes, as JSON.
    SELUR_COMMAND_LIST_VOLUMES = 0x1A,
    /// Removes a volume and what is in it.
    SELUR_COMMAND_DELETE_VOLUME = 0x1B,
}

/// What performs the effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum selur_runtime_t {
    /// Real containers: SELUR_RUNTIME_OCI. Never the simulated one.
    SELUR_RUNTIME_AUTO = 0,
    /// Containers that exist in memory only, for tests: conformance/README.md says what they do.
    SELUR_RUNTIME_SIMULATED = 1,
    /// Real containers by runc, without a daemon.
    SELUR_RUNTIME_OCI = 2,
    /// Containers of a Docker or Podman daemon, by the Docker Engine API: see selur_options_set_docker_socket().
    SELUR_RUNTIME_DOCKER = 3,
}

/// What a completion or an item of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum selur_kind_t {
    /// The answer of a request, or that a write to a stream was done.
    SELUR_KIND_ANSWER = 0,
    /// Bytes that a process wrote to its standard output.
    SELUR_KIND_STDOUT = 1,
    /// Bytes that a process wrote to its standard error.
    SELUR_KIND_STDERR = 2,
    /// The process of an exec or an attachment ended; `value` is its exit code.
    SELUR_KIND_ENDED = 3,
    /// JSON: a sample of stats, an event, progress, or what a pull or a push ended with.
    SELUR_KIND_JSON = 4,
    /// The stream has no more items.
    SELUR_KIND_END = 5,
}

/// How a container is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum selur_deletion_t {
    /// Only if no process of it runs.
    SELUR_DELETION_PLAIN = 0,
    /// A process is killed first, and what waits for the container is cancelled.
    SELUR_DELETION_FORCE = 1,
}

const _: () = assert!(Status::ALL.len() == STATUS_NAMES.len());
const _: () = assert!(selur_status_t::SELUR_STATUS_SUCCESS as u8 == Status::Success.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_INVALID_REQUEST as u8 == Status::InvalidRequest.code());
const _: () =
    assert!(selur_status_t::SELUR_STATUS_CONTAINER_NOT_FOUND as u8 == Status::ContainerNotFound.code());
const _: () = assert!(
    selur_status_t::SELUR_STATUS_CONTAINER_ALREADY_EXISTS as u8 == Status::ContainerAlreadyExists.code()
);
const _: () = assert!(selur_status_t::SELUR_STATUS_NETWORK_ERROR as u8 == Status::NetworkError.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_INTERNAL_ERROR as u8 == Status::InternalError.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_INVALID_STATE as u8 == Status::InvalidState.code());
const _: () =
    assert!(selur_status_t::SELUR_STATUS_PERMISSION_DENIED as u8 == Status::PermissionDenied.code());
const _: () =
    assert!(selur_status_t::SELUR_STATUS_RESOURCE_EXHAUSTED as u8 == Status::ResourceExhausted.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_TIMEOUT as u8 == Status::Timeout.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_CANCELLED as u8 == Status::Cancelled.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_UNSUPPORTED as u8 == Status::Unsupported.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_IMAGE_NOT_FOUND as u8 == Status::ImageNotFound.code());
const _: () = assert!(selur_status_t::SELUR_STATUS_VOLUME_NOT_FOUND as u8 == Status::VolumeNotFound.code());
const _: () = assert!(Command::ALL.len() == 28);
const _: () = assert!(selur_command_t::SELUR_COMMAND_PING as u8 == Command::Ping.code());
const _: () =
    assert!(selur_command_t::SELUR_COMMAND_CREATE_CONTAINER as u8 == Command::CreateContainer.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_START_CONTAINER as u8 == Command::StartContainer.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_STOP_CONTAINER as u8 == Command::StopContainer.code());
const _: () =
    assert!(selur_command_t::SELUR_COMMAND_INSPECT_CONTAINER as u8 == Command::InspectContainer.code());
const _: () =
    assert!(selur_command_t::SELUR_COMMAND_DELETE_CONTAINER as u8 == Command::DeleteContainer.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_LIST_CONTAINERS as u8 == Command::ListContainers.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_KILL_CONTAINER as u8 == Command::KillContainer.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_PAUSE_CONTAINER as u8 == Command::PauseContainer.code());
const _: () =
    assert!(selur_command_t::SELUR_COMMAND_RESUME_CONTAINER as u8 == Command::ResumeContainer.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_WAIT_CONTAINER as u8 == Command::WaitContainer.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_EXEC as u8 == Command::Exec.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_LOGS as u8 == Command::Logs.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_ATTACH as u8 == Command::Attach.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_STATS as u8 == Command::Stats.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_TOP as u8 == Command::Top.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_EVENTS as u8 == Command::Events.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_PULL_IMAGE as u8 == Command::PullImage.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_LIST_IMAGES as u8 == Command::ListImages.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_DELETE_IMAGE as u8 == Command::DeleteImage.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_LOAD_IMAGE as u8 == Command::LoadImage.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_PUSH_IMAGE as u8 == Command::PushImage.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_TAG_IMAGE as u8 == Command::TagImage.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_PRUNE_IMAGES as u8 == Command::PruneImages.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_CREATE_VOLUME as u8 == Command::CreateVolume.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_INSPECT_VOLUME as u8 == Command::InspectVolume.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_LIST_VOLUMES as u8 == Command::ListVolumes.code());
const _: () = assert!(selur_command_t::SELUR_COMMAND_DELETE_VOLUME as u8 == Command::DeleteVolume.code());

/// The statuses' names, by their codes.
const STATUS_NAMES: [&CStr; 14] = [
    c"success",
    c"invalid_request",
    c"container_not_found",
    c"container_already_exists",
    c"network_error",
    c"internal_error",
    c"invalid_state",
    c"permission_denied",
    c"resource_exhausted",
    c"timeout",
    c"cancelled",
    c"unsupported",
    c"image_not_found",
    c"volume_not_found",
];

/// The name of a status in every language of selur, such as container_not_found; unknown_error for a code that this
/// version does not know. It is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn selur_status_name(status: u32) -> *const c_char {
    let unknown = c"unknown_error";
    let name = || {
        let name = STATUS_NAMES.get(status as usize).copied();
        name.unwrap_or(unknown).as_ptr()
    };
    guard_value(unknown.as_ptr(), name)
}

impl From<Status> for selur_status_t {
    fn from(status: Status) -> selur_status_t {
        match status {
            Status::Success => selur_status_t::SELUR_STATUS_SUCCESS,
            Status::InvalidRequest => selur_status_t::SELUR_STATUS_INVALID_REQUEST,
            Status::ContainerNotFound => selur_status_t::SELUR_STATUS_CONTAINER_NOT_FOUND,
            Status::ContainerAlreadyExists => selur_status_t::SELUR_STATUS_CONTAINER_ALREADY_EXISTS,
            Status::NetworkError => selur_status_t::SELUR_STATUS_NETWORK_ERROR,
            Status::InternalError => selur_status_t::SELUR_STATUS_INTERNAL_ERROR,
            Status::InvalidState => selur_status_t::SELUR_STATUS_INVALID_STATE,
            Status::PermissionDenied => selur_status_t::SELUR_STATUS_PERMISSION_DENIED,
            Status::ResourceExhausted => selur_status_t::SELUR_STATUS_RESOURCE_EXHAUSTED,
            Status::Timeout => selur_status_t::SELUR_STATUS_TIMEOUT,
            Status::Cancelled => selur_status_t::SELUR_STATUS_CANCELLED,
            Status::Unsupported => selur_status_t::SELUR_STATUS_UNSUPPORTED,
            Status::ImageNotFound => selur_status_t::SELUR_STATUS_IMAGE_NOT_FOUND,
            Status::VolumeNotFound => selur_status_t::SELUR_STATUS_VOLUME_NOT_FOUND,
        }
    }
}

impl From<ItemKind> for selur_kind_t {
    fn from(kind: ItemKind) -> selur_kind_t {
        match kind {
            ItemKind::Stdout => selur_kind_t::SELUR_KIND_STDOUT,
            ItemKind::Stderr => selur_kind_t::SELUR_KIND_STDERR,
            ItemKind::Ended => selur_kind_t::SELUR_KIND_ENDED,
            ItemKind::Document => selur_kind_t::SELUR_KIND_JSON,
            _ => selur_kind_t::SELUR_KIND_END,
        }
    }
}

/// The command with a code.
///
/// # Errors
/// `invalid_request`: none has it.
pub(crate) fn command(code: u32) -> Result<Command, Failure> {
    let mut commands = Command::ALL.into_iter();
    commands
        .find(|command| u32::from(command.code()) == code)
        .ok_or_else(|| Failure::invalid(format!("{code} is no command: see selur_command_t")))
}

/// The backend that a code means.
///
/// # Errors
/// `invalid_request`: none has it.
pub(crate) fn backend(code: u32) -> Result<Backend, Failure> {
    const AUTO: u32 = selur_runtime_t::SELUR_RUNTIME_AUTO as u32;
    const SIMULATED: u32 = selur_runtime_t::SELUR_RUNTIME_SIMULATED as u32;
    const OCI: u32 = selur_runtime_t::SELUR_RUNTIME_OCI as u32;
    const DOCKER: u32 = selur_runtime_t::SELUR_RUNTIME_DOCKER as u32;
    match code {
        AUTO => Ok(Backend::Auto),
        SIMULATED => Ok(Backend::Simulated),
        OCI => Ok(Backend::Oci),
        DOCKER => Ok(Backend::Docker),
        _ => Err(Failure::invalid(format!(
            "{code} is no runtime: see selur_runtime_t"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_the_protocols_name() {
        for status in Status::ALL {
            assert_eq!(STATUS_NAMES[status.code() as usize].to_str(), Ok(status.name()));
        }
    }
}
