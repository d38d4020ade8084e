//! The one error type of the crate: a status for programs, a message for people.

use selur_protocol::Status;
use selur_runtime::RuntimeError;
use std::any::Any;

/// Why a request was not carried out.
///
/// Programs match [`Error::status`]; [`Error::message`] says to people what went wrong and what to do.
///
/// ```
/// use selur_core::{Backend, Bridge, Status};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let error = bridge.start_container("web").unwrap_err();
/// assert_eq!(error.status(), Status::ContainerNotFound);
/// println!("{error}");
/// # Ok::<(), selur_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    status: Status,
    message: String,
}

impl Error {
    /// An error of a binding's own, told as every other.
    pub fn new(status: Status, message: impl Into<String>) -> Error {
        Error {
            status,
            message: message.into(),
        }
    }

    /// An argument that is refused.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Status::InvalidRequest, message)
    }

    /// What a panic becomes that a binding caught before it left Rust.
    #[cold]
    pub fn panicked(panic: &(dyn Any + Send)) -> Error {
        let words = words_of(panic);
        let message = format!("selur panicked, which is a defect; please report it: {words}");
        Error::new(Status::InternalError, message)
    }

    /// The bridge is closed.
    pub(crate) fn closed() -> Error {
        Error::new(
            Status::InvalidRequest,
            "the bridge is closed: build another one for further requests",
        )
    }

    /// A call that would wait for the thread that it is made on.
    pub(crate) fn own_thread() -> Error {
        Error::new(
            Status::InvalidRequest,
            "a bridge's own thread must not wait for the bridge: submit the request and await its ticket, or poll the stream",
        )
    }

    /// The same status with words in front.
    pub(crate) fn context(self, words: &str) -> Error {
        Error::new(self.status, format!("{words}: {}", self.message))
    }

    /// What went wrong, for programs; never success.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What went wrong and what to do, for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What a panic says.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

impl From<RuntimeError> for Error {
    fn from(error: RuntimeError) -> Error {
        let status = match error.status() {
            Status::Success => Status::InternalError,
            status => status,
        };
        Error::new(status, error.chain())
    }
}
