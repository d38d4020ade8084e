//! The statuses of a response frame. A code is never reused.

/// How a request ended: the first byte of its response.
///
/// Source: DESIGN, "The protocol".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// The request was carried out.
    Success = 0x00,
    /// The frame, the grammar, the UTF-8, the command or a field of the specification is wrong.
    InvalidRequest = 0x01,
    /// No container has this id, name or prefix, or several share the prefix.
    ContainerNotFound = 0x02,
    /// The name is taken.
    ContainerAlreadyExists = 0x03,
    /// The registry cannot be reached, or a pull broke off.
    NetworkError = 0x04,
    /// The guest trapped or the runtime failed; the message says how.
    InternalError = 0x05,
    /// The container's state does not allow the command.
    InvalidState = 0x06,
    /// The registry or the operating system refused.
    PermissionDenied = 0x07,
    /// The table, the tickets, the arena or the disk is full.
    ResourceExhausted = 0x08,
    /// The deadline passed.
    Timeout = 0x09,
    /// The caller, or a forced deletion, cancelled the request.
    Cancelled = 0x0A,
    /// This backend lacks what was asked for.
    Unsupported = 0x0B,
    /// The registry has no such image, or none for this platform.
    ImageNotFound = 0x0C,
    /// No volume has this name.
    VolumeNotFound = 0x0D,
}

impl Status {
    /// Every status, in the order of the codes.
    pub const ALL: [Status; 14] = [
        Status::Success,
        Status::InvalidRequest,
        Status::ContainerNotFound,
        Status::ContainerAlreadyExists,
        Status::NetworkError,
        Status::InternalError,
        Status::InvalidState,
        Status::PermissionDenied,
        Status::ResourceExhausted,
        Status::Timeout,
        Status::Cancelled,
        Status::Unsupported,
        Status::ImageNotFound,
        Status::VolumeNotFound,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Status> {
        Status::ALL.get(usize::from(code)).copied()
    }

    /// The snake_case name, the same in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::InvalidRequest => "invalid_request",
            Status::ContainerNotFound => "container_not_found",
            Status::ContainerAlreadyExists => "container_already_exists",
            Status::NetworkError => "network_error",
            Status::InternalError => "internal_error",
            Status::InvalidState => "invalid_state",
            Status::PermissionDenied => "permission_denied",
            Status::ResourceExhausted => "resource_exhausted",
            Status::Timeout => "timeout",
            Status::Cancelled => "cancelled",
            Status::Unsupported => "unsupported",
            Status::ImageNotFound => "image_not_found",
            Status::VolumeNotFound => "volume_not_found",
        }
    }
}
