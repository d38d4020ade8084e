//! What goes wrong, as the exception of its status.

use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use selur_core::{Error, Status};

/// Why a call was not carried out.
///
/// It becomes an exception, for which Python code runs, when no lock of ours is held any more.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the exception of a status says.
    Status(Status, String),
    /// What a `BufferError` says.
    Buffer(String),
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Failure {
        Failure::Status(status, message.into())
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Status::InvalidRequest, message)
    }

    pub(crate) fn buffer(message: impl Into<String>) -> Failure {
        Failure::Buffer(message.into())
    }

    /// The same words as a `BufferError`: what Python expects of a buffer that is not there.
    pub(crate) fn into_buffer(self) -> Failure {
        match self {
            Failure::Status(_, message) | Failure::Buffer(message) => Failure::Buffer(message),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::new(error.status(), error.message())
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let (status, message) = match failure {
            Failure::Status(status, message) => (status, message),
            Failure::Buffer(message) => return PyBufferError::new_err(message),
        };
        Python::attach(|py| {
            let make = MAKE.import(py, "selur.errors", "error_of");
            let made = make.and_then(|make| make.call1((status.code(), message)));
            match made {
                Ok(error) => PyErr::from_value(error),
                Err(error) => error,
            }
        })
    }
}
