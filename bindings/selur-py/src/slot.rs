//! Requests without a copy: a slot of the guest's memory, which Python sees as a `memoryview`.
//!
//! As long as a view of it is exported a slot is neither submitted nor released: then what a view shows is always the
//! caller's own.

use crate::bridge::Bridge;
use crate::buffer::{self, Region};
use crate::failure::Failure;
use crate::fork::Own;
use crate::input;
use crate::wait::{GuestOf, answered, detached};
use pyo3::ffi::Py_buffer;
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PyWeakrefMethods, PyWeakrefReference};
use selur_core::{Command, Exchanged, Response, Status, Submission};
use std::ffi::c_int;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A reserved part of the guest's memory, for one request frame at a time and its answer.
#[pyclass(frozen, weakref, module = "selur")]
pub(crate) struct Slot {
    /// How many bytes it has: at least as many as were asked for.
    #[pyo3(get)]
    capacity: usize,
    state: Mutex<State>,
    guest: GuestOf,
    /// Its bridge, which it does not hold.
    bridge: Py<PyWeakrefReference>,
}

struct State {
    /// None once it was released, or its answer did not come at once.
    slot: Option<Own<selur_core::Slot>>,
    /// How many views there are. Invariant: 0 unless the slot is held.
    exports: usize,
    /// How often it was submitted, so that an answer is shown no longer than it is there.
    turn: u64,
    /// Whether all of it is elsewhere, while a guest that is not prompt is called. Invariant: there is no slot and no view
    /// here then.
    is_lent: bool,
}

/// An answer in its slot, for the view that shows it.
#[pyclass(frozen, module = "selur._native")]
pub(crate) struct Answer {
    slot: Py<Slot>,
    place: Range<usize>,
    turn: u64,
}

/// What a submission came to.
enum Came {
    Here(Range<usize>),
    Elsewhere(Response),
    /// With the code of the command.
    Later(selur_core::Ticket, u8),
}

#[pymethods]
impl Slot {
    /// A view of its bytes, to write the frame to.
    #[getter]
    fn bytes<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyMemoryView>> {
        PyMemoryView::from(slf.as_any())
    }

    /// Writes a frame of a command, by its name or its code, and its payload into the slot, and gives the frame's length.
    fn write(&self, command: &Bound<'_, PyAny>, payload: &Bound<'_, PyAny>) -> PyResult<usize> {
        let command = input::command(command)?;
        let payload = input::payload(payload)?;
        let put = self.state().put(command, &payload);
        Ok(put?)
    }

    /// Writes the head of a frame whose payload, of so many bytes, is in the slot already: from its sixth byte on. Gives the
    /// frame's length.
    fn head(&self, command: &Bound<'_, PyAny>, payload_length: usize) -> PyResult<usize> {
        let command = input::command(command)?;
        let put = self.state().put_head(command, payload_length);
        put?;
        Ok(HEADER_BYTES + payload_length)
    }

    /// Hands over the frame in the slot, its first `frame_length` bytes, and gives a view of what it is answered with.
    ///
    /// What is answered at once, every ping and most lists, is shown where the guest wrote it, and the slot can be submitted
    /// again once that view is gone. What takes longer is waited for, and the slot is used up then.
    fn submit<'py>(slf: &Bound<'py, Self>, frame_length: usize) -> PyResult<Bound<'py, PyMemoryView>> {
        let py = slf.py();
        let this = slf.get();
        let guest = this.guest;
        let submitted = this.with_guest(py, |state| state.submit(frame_length, guest));
        let (came, turn) = submitted?;
        match came {
            Came::Here(place) => shown(slf, place, turn),
            Came::Elsewhere(response) => copied(py, response),
            Came::Later(ticket, command) => {
                let mut ticket = Some(ticket);
                let begin = || ticket.take().ok_or_else(used_up);
                copied(py, answered(py, begin, |late| this.undo(command, late))?)
            }
        }
    }

    /// The same without waiting: an answer that does not come at once comes to the completion queue under the number given.
    fn _exchange<'py>(slf: &Bound<'py, Self>, frame_length: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let exchanged = this.with_guest(py, |state| state.exchange(frame_length));
        let (exchanged, turn) = exchanged?;
        Ok(match exchanged {
            Exchanged::Here(place) => shown(slf, place, turn)?.into_any(),
            Exchanged::Copied(response) => copied(py, response)?.into_any(),
            Exchanged::Pending(ticket) => ticket.into_pyobject(py)?.into_any(),
        })
    }

    /// Releases the slot. What it was submitted for goes on. Doing so again does nothing.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let released = self.with_guest(py, State::release);
        Ok(released?)
    }

    fn __len__(&self) -> usize {
        self.capacity
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(
        &self,
        raised: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        match self.release(raised.py()) {
            // What was raised in the block holds a view, perhaps, and says more than that.
            Err(_) if !raised.is_none() => Ok(()),
            released => released,
        }
    }

    fn __repr__(&self) -> String {
        let state = self.state();
        let what = match state.slot {
            Some(_) => "",
            None => ", released",
        };
        format!("<selur.Slot of {} bytes{what}>", self.capacity)
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut Py_buffer, flags: c_int) -> PyResult<()> {
        // SAFETY: `view` is Python's.
        let exported = unsafe { slf.get().state().export(slf.as_any(), view, flags, None) };
        Ok(exported?)
    }

    unsafe fn __releasebuffer__(&self, _view: *mut Py_buffer) {
        self.state().unexport();
    }
}

#[pymethods]
impl Answer {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        // SAFETY: `view` is Python's.
        let exported = unsafe {
            this.slot
                .get()
                .state()
                .export(slf.as_any(), view, flags, Some(this))
        };
        Ok(exported?)
    }

    unsafe fn __releasebuffer__(&self, _view: *mut Py_buffer) {
        self.slot.get().state().unexport();
    }
}

impl Slot {
    pub(crate) fn new(slot: selur_core::Slot, guest: GuestOf, bridge: Py<PyWeakrefReference>) -> Slot {
        Slot {
            capacity: slot.capacity(),
            state: Mutex::new(State {
                slot: Some(Own::new(slot)),
                exports: 0,
                turn: 0,
                is_lent: false,
            }),
            guest,
            bridge,
        }
    }

    /// Undoes what it was submitted for, and nobody hears of. A bridge that is gone leaves it.
    fn undo(&self, command: u8, late: &Response) {
        Python::try_attach(|py| {
            if let Ok(Some(bridge)) = self.bridge.bind(py).upgrade_as::<Bridge>() {
                drop(bridge.get().undo(py, command, late));
            }
        });
    }

    /// Does something that calls the guest. A guest that is not prompt is called without the interpreter's lock, and then
    /// the state is not locked either: whoever has the former would wait for the latter. Who comes meanwhile is refused.
    fn with_guest<T: Send>(
        &self,
        py: Python<'_>,
        step: impl FnOnce(&mut State) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        match self.guest {
            GuestOf::Selur => step(&mut self.state()),
            GuestOf::Others => {
                let mut lent = self.state().lend()?;
                let done = detached(py, || step(&mut lent));
                *self.state() = lent;
                done
            }
        }
    }

    /// Invariant: not held while Python code may run, as it does when an exception is made: whoever runs it may lose the
    /// interpreter's lock to a thread that waits for this one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.guest.is_prompt() {
            return;
        }
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut slot = state.slot.take();
        Python::try_attach(|py| py.detach(|| drop(slot.take())));
        drop(slot);
    }
}

impl State {
    /// The slot, if it is the caller's to use.
    fn held(&self) -> Result<&selur_core::Slot, Failure> {
        self.check_here()?;
        self.slot.as_ref().ok_or_else(used_up)?.get()
    }

    fn check_here(&self) -> Result<(), Failure> {
        match self.is_lent {
            false => Ok(()),
            true => Err(Failure::invalid(
                "another thread submits or releases this slot at this moment: give each thread a slot of its own",
            )),
        }
    }

    /// All of it, until it is put back.
    fn lend(&mut self) -> Result<State, Failure> {
        self.check_here()?;
        self.check_unseen()?;
        let lent = State {
            slot: None,
            exports: 0,
            turn: self.turn,
            is_lent: true,
        };
        Ok(std::mem::replace(self, lent))
    }

    /// Writes the head of a frame, and gives the place of its payload.
    fn put_head(&self, command: Command, payload_length: usize) -> Result<Region, Failure> {
        let region = Region::of(self.held()?);
        let end = HEADER_BYTES.saturating_add(payload_length);
        let place = region.part(HEADER_BYTES..end).ok_or_else(|| {
            Failure::invalid(format!(
                "a frame of {end} bytes does not fit into this slot: reserve more"
            ))
        })?;
        let head = input::head(command, payload_length)?;
        // SAFETY: the slot is held: it is in this state, which whoever calls has locked.
        unsafe { region.write(&head) };
        Ok(place)
    }

    /// Shows all of the slot, or an answer in it.
    ///
    /// # Safety
    /// - `view` is what Python gave to `__getbuffer__`, and `__releasebuffer__` calls [`State::unexport`].
    unsafe fn export(
        &mut self,
        exporter: &Bound<'_, PyAny>,
        view: *mut Py_buffer,
        flags: c_int,
        answer: Option<&Answer>,
    ) -> Result<(), Failure> {
        let whole = Region::of(self.held().map_err(Failure::into_buffer)?);
        let region = match answer {
            None => whole,
            Some(answer) => {
                let part = whole
                    .part(answer.place.clone())
                    .filter(|_| self.turn == answer.turn);
                part.ok_or_else(|| Failure::buffer("the slot was submitted again"))?
            }
        };
        // SAFETY: the caller says that `view` is Python's; the slot stays held while `exports` counts it.
        unsafe { region.export(exporter, view, flags, answer.is_some()) }?;
        self.exports += 1;
        Ok(())
    }

    fn release(&mut self) -> Result<(), Failure> {
        self.check_unseen()?;
        self.slot = None;
        Ok(())
    }

    /// Writes a frame, and gives its length.
    fn put(&self, command: Command, payload: &[u8]) -> Result<usize, Failure> {
        let place = self.put_head(command, payload.len())?;
        // SAFETY: the slot is held: it is in this state, which whoever calls has locked.
        unsafe { place.write(payload) };
        Ok(HEADER_BYTES + payload.len())
    }

    fn check_unseen(&self) -> Result<(), Failure> {
        match self.exports {
            0 => Ok(()),
            _ => Err(Failure::buffer(
                "a view of this slot is still there: release it first, or drop it",
            )),
        }
    }

    fn unexport(&mut self) {
        self.exports = self.exports.saturating_sub(1);
    }

    /// Hands the frame over. The slot stays where it is, unless its answer is to come.
    fn exchange(&mut self, frame_length: usize) -> Result<(Exchanged, u64), Failure> {
        self.check_unseen()?;
        let slot = self.slot.as_mut().ok_or_else(used_up)?.get_mut()?;
        slot.set_frame_len(frame_length)?;
        self.turn += 1;
        let exchanged = slot.exchange();
        if let Ok(Exchanged::Pending(_)) = exchanged {
            self.slot = None;
        }
        Ok((exchanged?, self.turn))
    }

    /// Hands the frame over to whoever waits for the answer.
    fn submit(&mut self, frame_length: usize, guest: GuestOf) -> Result<(Came, u64), Failure> {
        let region = Region::of(self.held()?);
        // SAFETY: the slot is held: it is in this state, which whoever calls has locked.
        let code = unsafe { region.first() };
        // A ping is answered at once: the slot need not be given away for a ticket.
        if code == Command::Ping.code() && guest.is_prompt() {
            let (exchanged, turn) = self.exchange(frame_length)?;
            return match exchanged {
                Exchanged::Here(place) => Ok((Came::Here(place), turn)),
                Exchanged::Copied(response) => Ok((Came::Elsewhere(response), turn)),
                Exchanged::Pending(_) => Err(Failure::new(
                    Status::InternalError,
                    "the frame was changed while it was submitted: what it is now is answered to nobody",
                )),
            };
        }
        self.check_unseen()?;
        let taken = self.slot.take().and_then(|mut own| own.take());
        let mut slot = taken.ok_or_else(used_up)?;
        if let Err(error) = slot.set_frame_len(frame_length) {
            self.slot = Some(Own::new(slot));
            return Err(error.into());
        }
        self.turn += 1;
        let came = match slot.submit()? {
            Submission::Pending(ticket) => Came::Later(ticket, code),
            Submission::Ready(answer) => {
                let came = match answer.place() {
                    Some(place) => Came::Here(place),
                    None => Came::Elsewhere(answer.to_response()),
                };
                self.slot = Some(Own::new(answer.into_slot()));
                came
            }
        };
        Ok((came, self.turn))
    }
}

/// The bytes of a frame before its payload.
const HEADER_BYTES: usize = 5;

fn shown<'py>(slot: &Bound<'py, Slot>, place: Range<usize>, turn: u64) -> PyResult<Bound<'py, PyMemoryView>> {
    let answer = Answer {
        slot: slot.clone().unbind(),
        place,
        turn,
    };
    PyMemoryView::from(Bound::new(slot.py(), answer)?.as_any())
}

fn copied(py: Python<'_>, response: Response) -> PyResult<Bound<'_, PyMemoryView>> {
    let data = response.into_result().map_err(Failure::from)?;
    PyMemoryView::from(buffer::copied(py, &data)?.as_any())
}

#[cold]
fn used_up() -> Failure {
    Failure::invalid("this slot was released, or its answer did not come at once: reserve another")
}
