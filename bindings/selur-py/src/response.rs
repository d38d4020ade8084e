//! The answer of a frame.

use crate::buffer::copied;
use crate::failure::Failure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use selur_core::Status;

/// What a frame was answered with.
#[pyclass(frozen, module = "selur")]
pub(crate) struct Response {
    status: Status,
    data: Py<PyBytes>,
}

impl Response {
    pub(crate) fn new(py: Python<'_>, response: &selur_core::Response) -> PyResult<Response> {
        Ok(Response {
            status: response.status(),
            data: copied(py, response.data())?.unbind(),
        })
    }
}

#[pymethods]
impl Response {
    /// A response of a status, by its code, and its data.
    #[new]
    #[pyo3(signature = (code, data, /))]
    fn of(code: u8, data: Py<PyBytes>) -> Result<Response, Failure> {
        let status = Status::from_code(code);
        let status =
            status.ok_or_else(|| Failure::invalid(format!("{code} is no status of this version")))?;
        Ok(Response { status, data })
    }

    /// How it ended, by name: `success`, `container_not_found`, …
    #[getter]
    fn status(&self) -> &'static str {
        self.status.name()
    }

    /// How it ended, by code: 0 is success.
    #[getter]
    fn code(&self) -> u8 {
        self.status.code()
    }

    /// The data of a success; of a failure a message for people, in UTF-8.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.data.bind(py).clone()
    }

    /// The response as bytes: its status, its data.
    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let data = self.data.as_bytes(py);
        let mut frame = Vec::with_capacity(1 + data.len());
        frame.push(self.status.code());
        frame.extend_from_slice(data);
        PyBytes::new(py, &frame)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let bytes = self.data.as_bytes(py).len();
        format!("<selur.Response {}, {bytes} bytes>", self.status.name())
    }
}
