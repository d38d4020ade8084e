//! The bridge: requests as frames and by their fields, blocking or by the completion queue.

use crate::buffer;
use crate::failure::Failure;
use crate::fork::Own;
use crate::input;
use crate::made::Made;
use crate::opening::Opening;
use crate::response::Response;
use crate::slot::Slot;
use crate::stream::{Stream, kind_of};
use crate::wait::{Deadline, GuestOf, answered, detached};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple, PyWeakrefReference};
use selur_core::{Begun, Command, Completion, Response as Answer, Status};
use std::os::fd::AsRawFd;
use std::thread;

/// A bridge as the package knows it: see `selur.Bridge` and `selur.AsyncBridge`.
#[pyclass(subclass, frozen, weakref, module = "selur._native")]
pub(crate) struct Bridge {
    core: Own<selur_core::Bridge>,
    guest: GuestOf,
}

#[pymethods]
impl Bridge {
    /// The bridge that is being made, which is waited for.
    #[new]
    #[pyo3(signature = (opening, /))]
    fn new(py: Python<'_>, opening: &Bound<'_, Opening>) -> PyResult<Bridge> {
        let core = opening.get().take(py)?;
        Ok(Bridge {
            guest: GuestOf::of(&core),
            core: Own::new(core),
        })
    }

    /// Answers the same bytes, which must be UTF-8: a round trip through the guest. It never waits, unless for a guest of
    /// your own.
    #[pyo3(signature = (payload = None, /))]
    fn ping<'py>(
        &self,
        py: Python<'py>,
        payload: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let core = self.core.get()?;
        let payload = match payload {
            Some(payload) => input::payload(payload)?,
            None => Default::default(),
        };
        match self.guest {
            GuestOf::Selur => core
                .ping_with(&payload, |data| buffer::copied(py, data))
                .map_err(Failure::from)?,
            GuestOf::Others => {
                let head = input::head(Command::Ping, payload.len())?;
                success(py, &self.answer(py, &[&head, &*payload].concat(), None)?)
            }
        }
    }

    /// Carries out a frame as it is: command byte, payload length as u32 in little-endian order, payload. Gives its answer,
    /// of whatever status.
    #[pyo3(signature = (frame, /, *, deadline = None))]
    fn call(&self, py: Python<'_>, frame: &Bound<'_, PyAny>, deadline: Option<f64>) -> PyResult<Response> {
        let frame = input::bytes(frame)?;
        Response::new(py, &self.answer(py, &frame, deadline)?)
    }

    /// Carries out a request by its command and fields, and gives what it is answered with.
    #[pyo3(signature = (command, /, *fields, deadline = None))]
    fn request<'py>(
        &self,
        py: Python<'py>,
        command: &Bound<'py, PyAny>,
        fields: &Bound<'py, PyTuple>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let frame = frame_of(command, fields)?;
        success(py, &self.answer(py, &frame, deadline)?)
    }

    /// The same of a request that makes something. What nobody looks at is undone.
    #[pyo3(signature = (command, /, *fields, deadline = None))]
    fn _make(
        slf: &Bound<'_, Self>,
        command: &Bound<'_, PyAny>,
        fields: &Bound<'_, PyTuple>,
        deadline: Option<f64>,
    ) -> PyResult<Made> {
        let frame = frame_of(command, fields)?;
        let answer = slf.get().answer(slf.py(), &frame, deadline)?;
        Ok(Made::new(slf, &frame, answer)?)
    }

    /// The same of a request that opens a stream. One that is dropped is closed.
    #[pyo3(signature = (command, /, *fields, deadline = None))]
    fn _open_stream(
        &self,
        py: Python<'_>,
        command: &Bound<'_, PyAny>,
        fields: &Bound<'_, PyTuple>,
        deadline: Option<f64>,
    ) -> PyResult<Stream> {
        let frame = frame_of(command, fields)?;
        let data = self.answer(py, &frame, deadline)?.into_result();
        let data = data.map_err(Failure::from)?;
        let id = std::str::from_utf8(&data).ok().and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| {
            Failure::new(Status::InternalError, "a stream was answered with no stream's id")
        })?;
        self._take_stream(py, id)
    }

    /// Begins a frame: gives its status and data if they are there at once, else the number under which they come to
    /// `_drain`.
    fn _begin<'py>(
        &self,
        py: Python<'py>,
        frame: &Bound<'py, PyAny>,
        deadline: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let frame = input::bytes(frame)?;
        let core = self.core.get()?;
        let deadline = Deadline::of(deadline)?;
        let begun = self.guest.call(py, || match deadline {
            Deadline::Own => core.begin(&frame),
            Deadline::Endless => core.with_deadline(None).begin(&frame),
            Deadline::Within(most) => core.with_deadline(Some(most)).begin(&frame),
        });
        Ok(match begun.map_err(Failure::from)? {
            Begun::Pending(ticket) => ticket.into_pyobject(py)?.into_any(),
            Begun::Answered(response) => {
                let data = buffer::copied(py, response.data())?;
                (response.status().code(), data).into_pyobject(py)?.into_any()
            }
        })
    }

    /// Takes up to so many answers: (ticket, status, kind, value, data).
    fn _drain<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyList>> {
        let drained = self.core.get()?.completions().drain(most);
        let made = drained.iter().map(|completion| described(py, completion));
        PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)
    }

    /// A descriptor that is readable while there is something to drain, and once the bridge is closed.
    fn _descriptor(&self) -> PyResult<i32> {
        let fd = self.core.get()?.completions().fd().map_err(Failure::from)?;
        Ok(fd.as_raw_fd())
    }

    /// Asks for an early end of what was begun under a ticket. Its answer still comes.
    fn _cancel(&self, py: Python<'_>, ticket: u64) -> PyResult<()> {
        let core = self.core.get()?;
        self.guest.call(py, || core.cancel(ticket));
        Ok(())
    }

    /// Undoes what a request made whose answer reaches nobody, by the code of its command.
    fn _abandon(&self, py: Python<'_>, command: u8, status: u8, data: &[u8]) -> PyResult<()> {
        match Status::from_code(status) {
            Some(status) => Ok(self.undo(py, command, &Answer::new(status, data.to_vec()))?),
            None => Ok(()),
        }
    }

    /// Takes the stream that a request was answered with.
    fn _take_stream(&self, py: Python<'_>, id: u64) -> PyResult<Stream> {
        let core = self.core.get()?;
        let reader = self.guest.call(py, || core.take_reader(id));
        Ok(Stream::new(reader.map_err(Failure::from)?, self.guest))
    }

    /// Reserves a slot of so many bytes, the frame's header included, for requests without a copy.
    #[pyo3(signature = (bytes, *, deadline = None))]
    fn reserve(slf: &Bound<'_, Self>, bytes: usize, deadline: Option<f64>) -> PyResult<Slot> {
        let this = slf.get();
        let core = this.core.get()?;
        let deadline = Deadline::of(deadline)?;
        let slot = this.guest.call(slf.py(), || match deadline {
            Deadline::Own => core.reserve(bytes),
            Deadline::Endless => core.with_deadline(None).reserve(bytes),
            Deadline::Within(most) => core.with_deadline(Some(most)).reserve(bytes),
        });
        let slot = slot.map_err(Failure::from)?;
        Ok(Slot::new(
            slot,
            this.guest,
            PyWeakrefReference::new(slf)?.unbind(),
        ))
    }

    /// What performs the effects: `simulated`, `oci`, `docker`.
    #[getter]
    fn runtime(&self) -> PyResult<&'static str> {
        Ok(self.core.get()?.info().backend)
    }

    /// How many bytes of memory the guest has. It never changes.
    #[getter]
    fn memory_size(&self) -> PyResult<u32> {
        Ok(self.core.get()?.info().guest.memory_pages * 65_536)
    }

    /// The kernel's digest of its logical state: equal inputs give equal digests.
    #[getter]
    fn state_digest(&self, py: Python<'_>) -> PyResult<u64> {
        let core = self.core.get()?;
        let digest = self.guest.call(py, || core.state_digest());
        Ok(digest.map_err(Failure::from)?)
    }

    /// Closes the bridge: what is in flight is answered `cancelled` and told to end, which is waited for, up to 5 s.
    /// Containers go on. Closing again does nothing.
    fn close(&self, py: Python<'_>) {
        // In a child of a fork there is nothing to close.
        if let Ok(core) = self.core.get() {
            detached(py, || core.close());
        }
    }
}

impl Bridge {
    /// Carries out a frame, and waits for its answer.
    fn answer(&self, py: Python<'_>, frame: &[u8], deadline: Option<f64>) -> PyResult<Answer> {
        let own = self.core.get()?;
        let is_ping = frame.first() == Some(&Command::Ping.code());
        if is_ping && deadline.is_none() && self.guest.is_prompt() {
            return Ok(own.call(frame).map_err(Failure::from)?);
        }
        let other;
        let core = match Deadline::of(deadline)? {
            Deadline::Own => own,
            Deadline::Endless => {
                other = own.with_deadline(None);
                &other
            }
            Deadline::Within(most) => {
                other = own.with_deadline(Some(most));
                &other
            }
        };
        let undo = |late: &Answer| core.abandon(frame, late);
        answered(py, || Ok(core.submit(frame)?), undo)
    }

    /// Undoes what a request made whose answer reaches nobody, by the code of its command.
    pub(crate) fn undo(&self, py: Python<'_>, command: u8, late: &Answer) -> Result<(), Failure> {
        let core = self.core.get()?;
        self.guest.call(py, || core.abandon(&[command], late));
        Ok(())
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let mut core = self.core.take();
        // It waits for what is in flight, and others may want the interpreter meanwhile.
        Python::try_attach(|py| py.detach(|| drop(core.take())));
        drop(core);
    }
}

/// The frame of a command, by its name or its code, and its fields.
#[pyfunction]
#[pyo3(name = "_frame", signature = (command, /, *fields))]
pub(crate) fn frame<'py>(
    py: Python<'py>,
    command: &Bound<'py, PyAny>,
    fields: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &frame_of(command, fields)?))
}

fn frame_of(command: &Bound<'_, PyAny>, fields: &Bound<'_, PyTuple>) -> PyResult<Vec<u8>> {
    let command = input::command(command)?;
    let given: Vec<Bound<'_, PyAny>> = fields.iter().collect();
    let fields = given.iter().map(input::payload).collect::<PyResult<Vec<_>>>()?;
    let texts = fields.iter().map(|field| std::str::from_utf8(field));
    let texts = texts.collect::<Result<Vec<_>, _>>();
    let texts = texts.map_err(|_| Failure::invalid("a field is not valid UTF-8: encode it as UTF-8"))?;
    Ok(selur_core::Bridge::frame(command, &texts).map_err(Failure::from)?)
}

/// The data of a success; a failure is raised.
fn success<'py>(py: Python<'py>, response: &Answer) -> PyResult<Bound<'py, PyBytes>> {
    match response.status() {
        Status::Success => buffer::copied(py, response.data()),
        status => Err(Failure::new(status, String::from_utf8_lossy(response.data())).into()),
    }
}

fn described<'py>(py: Python<'py>, completion: &Completion) -> PyResult<Bound<'py, PyTuple>> {
    let status = completion.response.status().code();
    let (kind, value) = match completion.item {
        Some(head) => (Some(kind_of(head.kind)), head.value),
        None => (None, None),
    };
    let data = buffer::copied(py, completion.response.data())?;
    (completion.ticket, status, kind, value, data).into_pyobject(py)
}

/// Closes bridges, all at the same time: what is in flight is waited for up to 5 s.
#[pyfunction]
#[pyo3(name = "_close")]
pub(crate) fn close(py: Python<'_>, bridges: Vec<Py<Bridge>>) {
    let cores: Vec<_> = bridges
        .iter()
        .filter_map(|bridge| bridge.get().core.get().ok().cloned())
        .collect();
    detached(py, || {
        thread::scope(|scope| {
            for core in &cores {
                let thread = thread::Builder::new().name("selur-close".into());
                if thread.spawn_scoped(scope, || core.close()).is_err() {
                    core.close();
                }
            }
        });
    });
}
