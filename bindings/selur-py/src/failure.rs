//! What goes wrong, as the exception of its status.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use selur_core::{Error, Status};

/// Why a call was not carried out.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Failure {
        Failure {
            status,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Status::InvalidRequest, message)
    }

    /// What went wrong and what to do, for people.
    pub(crate) fn message(&self) -> String {
        self.message.clone()
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
        Python::attach(|py| {
            let make = MAKE.import(py, "selur.errors", "error_of");
            let made = make.and_then(|make| make.call1((failure.status.code(), failure.message)));
            match made {
                Ok(error) => PyErr::from_value(error),
                Err(error) => error,
            }
        })
    }
}
