//! What a request is answered with: a status and data.

use crate::Error;
use selur_protocol::Status;

/// A response: on success the command's data, else a message for people.
///
/// ```
/// use selur_core::{Backend, Bridge, Status};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let response = bridge.call(&[0x00, 2, 0, 0, 0, b'h', b'i'])?;
/// assert_eq!((response.status(), response.data()), (Status::Success, &b"hi"[..]));
/// # Ok::<(), selur_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: Status,
    data: Vec<u8>,
}

impl Response {
    /// A response whose parts a binding's host has kept, for [`crate::Bridge::abandon`].
    pub fn new(status: Status, data: Vec<u8>) -> Response {
        Response { status, data }
    }

    pub(crate) fn success(data: Vec<u8>) -> Response {
        Response {
            status: Status::Success,
            data,
        }
    }

    pub(crate) fn failure(status: Status, message: impl Into<String>) -> Response {
        Response {
            status,
            data: message.into().into_bytes(),
        }
    }

    /// How the request ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether it succeeded.
    pub fn is_success(&self) -> bool {
        self.status == Status::Success
    }

    /// The command's data; on failure the message, in UTF-8.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The data, without a copy.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// What went wrong and what to do, for people; none on success.
    pub fn message(&self) -> Option<&str> {
        if self.is_success() {
            return None;
        }
        std::str::from_utf8(&self.data).ok()
    }

    /// The response frame: `[status u8][data]`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.data.len());
        bytes.push(self.status.code());
        bytes.extend_from_slice(&self.data);
        bytes
    }

    /// The data of a success.
    ///
    /// # Errors
    /// The response's status and message, if it is a failure.
    pub fn into_result(self) -> Result<Vec<u8>, Error> {
        match self.status {
            Status::Success => Ok(self.data),
            status => Err(Error::new(status, String::from_utf8_lossy(&self.data))),
        }
    }
}

impl From<Error> for Response {
    fn from(error: Error) -> Response {
        Response::failure(error.status(), error.message())
    }
}
