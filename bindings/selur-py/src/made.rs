//! What a request made, until its caller has it.
//!
//! Python runs signal handlers after each call, and drops what the call gave where one raises. It runs none where an attribute
//! is looked at: what is made is given as something that undoes it when it is dropped, until its id was looked at.

use crate::bridge::Bridge;
use crate::failure::Failure;
use pyo3::prelude::*;
use selur_core::{Response, Status};
use std::sync::atomic::{AtomicBool, Ordering};

/// Something that was made, which is undone unless somebody looks at its id.
#[pyclass(frozen, module = "selur._native")]
pub(crate) struct Made {
    bridge: Py<Bridge>,
    /// The code of the command that it was made by.
    command: u8,
    /// Invariant: a success.
    answer: Response,
    is_seen: AtomicBool,
}

impl Made {
    /// What a request of this frame was answered with; a failure is told.
    pub(crate) fn new(bridge: &Bound<'_, Bridge>, frame: &[u8], answer: Response) -> Result<Made, Failure> {
        if answer.status() != Status::Success {
            return Err(Failure::new(
                answer.status(),
                String::from_utf8_lossy(answer.data()),
            ));
        }
        Ok(Made {
            bridge: bridge.clone().unbind(),
            command: frame.first().copied().unwrap_or_default(),
            answer,
            is_seen: AtomicBool::new(false),
        })
    }
}

#[pymethods]
impl Made {
    /// What it is called. From now on it is the caller's.
    #[getter]
    fn id(&self) -> Result<&str, Failure> {
        let id = std::str::from_utf8(self.answer.data());
        let id = id.map_err(|_| Failure::new(Status::InternalError, "an id was answered that is no text"))?;
        self.is_seen.store(true, Ordering::Relaxed);
        Ok(id)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !*self.is_seen.get_mut() {
            // In a child of a fork there is nothing to undo, and nobody to tell.
            Python::try_attach(|py| drop(self.bridge.get().undo(py, self.command, &self.answer)));
        }
    }
}
