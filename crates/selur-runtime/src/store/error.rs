//! What goes wrong in the store, and the status and words that leave it.

use crate::RuntimeError;
use selur_protocol::Status;
use selur_tree::TreeError;
use std::io;

pub(super) use selur_tree::quoted;

/// Any failure of the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The caller's argument or the user's configuration is wrong.
    #[error("{0}")]
    Invalid(String),
    /// There is no such image, or none for this platform.
    #[error("{0}")]
    NotFound(String),
    /// The registry refuses.
    #[error("{0}")]
    Refused(String),
    /// The registry is unreachable, breaks off or answers nonsense.
    #[error("{0}")]
    Network(String),
    /// The image itself is broken or hostile: what its digests, its sizes or the formats deny.
    #[error("{0}")]
    Content(String),
    /// A cap would be passed.
    #[error("{0}")]
    TooLarge(String),
    /// A container uses it.
    #[error("{0}")]
    InUse(String),
    /// The image needs what is not built.
    #[error("{0}")]
    Unsupported(String),
    /// The caller asked for the end.
    #[error("the transfer of the image was cancelled")]
    Cancelled,
    /// The operating system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl StoreError {
    /// Whether there was no room left.
    pub(super) fn is_full_disk(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, StoreError::Io { source, .. } if full.contains(&source.kind()))
    }
}

impl From<TreeError> for StoreError {
    fn from(error: TreeError) -> StoreError {
        match error {
            TreeError::Content(words) => StoreError::Content(words),
            TreeError::TooLarge(words) => StoreError::TooLarge(words),
            TreeError::Unsupported(words) => StoreError::Unsupported(words),
            TreeError::Reader(error) => read_error(error),
            TreeError::Io { what, source } => StoreError::Io { what, source },
        }
    }
}

/// An error of what a tar stream is read from: its own if it is one of ours, else the compressed data is broken.
pub(super) fn read_error(error: io::Error) -> StoreError {
    match error.downcast::<StoreError>() {
        Ok(ours) => ours,
        Err(error) => StoreError::Content(format!("the tar stream cannot be decompressed: {error}")),
    }
}

impl From<StoreError> for RuntimeError {
    fn from(error: StoreError) -> RuntimeError {
        let status = match &error {
            StoreError::Invalid(_) => Status::InvalidRequest,
            StoreError::NotFound(_) => Status::ImageNotFound,
            StoreError::Refused(_) => Status::PermissionDenied,
            StoreError::Network(_) | StoreError::Content(_) => Status::NetworkError,
            StoreError::TooLarge(_) => Status::ResourceExhausted,
            StoreError::InUse(_) => Status::InvalidState,
            StoreError::Unsupported(_) => Status::Unsupported,
            StoreError::Cancelled => Status::Cancelled,
            StoreError::Io { source, .. } => return io_error(error.to_string(), source.kind()),
        };
        RuntimeError::new(status, error.to_string())
    }
}

fn io_error(message: String, kind: io::ErrorKind) -> RuntimeError {
    use io::ErrorKind;
    let (status, hint) = match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            Status::ResourceExhausted,
            "; free some disk space (`selur prune` removes what nothing uses, `selur prune --all` also images that no \
             container uses), or choose another state root",
        ),
        ErrorKind::PermissionDenied => (
            Status::PermissionDenied,
            "; the image store needs root, and a file system that takes device nodes and ownership",
        ),
        ErrorKind::ReadOnlyFilesystem => (Status::PermissionDenied, "; choose another state root"),
        _ => (Status::InternalError, ""),
    };
    RuntimeError::new(status, message + hint)
}

/// Says what was being done when the operating system failed.
pub(super) trait During<T> {
    /// `what` is a gerund with the path: `writing "/x"`.
    fn during(self, what: impl FnOnce() -> String) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Io {
            what: what(),
            source: error.into(),
        })
    }
}
