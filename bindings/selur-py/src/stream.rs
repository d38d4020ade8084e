//! Streams: what flows beside the kernel, read item by item, blocking or by the completion queue.

use crate::buffer::copied;
use crate::failure::Failure;
use crate::fork::Own;
use crate::input;
use crate::wait::{GuestOf, wait};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use selur_core::{ItemKind, Reader, TerminalSize};

/// An open stream of any kind. One read and one write can be under way at a time.
#[pyclass(frozen, weakref, module = "selur._native")]
pub(crate) struct Stream {
    reader: Own<Reader>,
    guest: GuestOf,
}

impl Stream {
    pub(crate) fn new(reader: Reader, guest: GuestOf) -> Stream {
        Stream {
            reader: Own::new(reader),
            guest,
        }
    }
}

/// What an item is, its value, its bytes.
type Item<'py> = (&'static str, Option<i64>, Bound<'py, PyBytes>);

#[pymethods]
impl Stream {
    /// The next item: (kind, value, data). Blocks until it is there; its kind is `end` where there are no more.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Item<'py>> {
        let reader = self.reader.get()?;
        let item = wait(py, |most| Ok(reader.next_for(most)?))?;
        Ok((kind_of(item.head.kind), item.head.value, copied(py, &item.data)?))
    }

    /// Begins to read the next item, which comes to the completion queue.
    fn submit_next(&self, py: Python<'_>) -> PyResult<u64> {
        let reader = self.reader.get()?;
        let ticket = self.guest.call(py, || reader.next_to_queue());
        Ok(ticket.map_err(Failure::from)?)
    }

    /// Sends bytes to a process. Blocks while it does not read what was sent before.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let reader = self.reader.get()?;
        let data = input::bytes(data)?;
        let mut rest = &data[..];
        wait(py, |most| {
            rest = rest.get(reader.write_for(rest, most)?..).unwrap_or_default();
            Ok(rest.is_empty().then_some(()))
        })
    }

    /// Begins to send bytes; that they were sent comes to the completion queue.
    fn submit_write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<u64> {
        let reader = self.reader.get()?;
        let data = input::bytes(data)?;
        let ticket = self.guest.call(py, || reader.write_to_queue(&data));
        Ok(ticket.map_err(Failure::from)?)
    }

    /// Ends a process's input.
    fn end_input(&self, py: Python<'_>) -> PyResult<()> {
        let reader = self.reader.get()?;
        wait(py, |most| Ok(reader.end_input_for(most)?.then_some(())))
    }

    /// Begins to end a process's input; that it was ended comes to the completion queue.
    fn submit_end_input(&self, py: Python<'_>) -> PyResult<u64> {
        let reader = self.reader.get()?;
        let ticket = self.guest.call(py, || reader.end_input_to_queue());
        Ok(ticket.map_err(Failure::from)?)
    }

    /// Tells a process's terminal its size, in characters.
    fn resize(&self, py: Python<'_>, rows: u16, columns: u16) -> PyResult<()> {
        let reader = self.reader.get()?;
        let size = TerminalSize { rows, columns };
        wait(py, |most| Ok(reader.resize_for(size, most)?.then_some(())))
    }

    /// Begins to tell a process's terminal its size; that it was told comes to the completion queue.
    fn submit_resize(&self, py: Python<'_>, rows: u16, columns: u16) -> PyResult<u64> {
        let reader = self.reader.get()?;
        let size = TerminalSize { rows, columns };
        let ticket = self.guest.call(py, || reader.resize_to_queue(size));
        Ok(ticket.map_err(Failure::from)?)
    }

    /// Ends the stream: reads and writes that are under way are answered `cancelled`. Doing so again does nothing.
    fn close(&self) {
        if let Ok(reader) = self.reader.get() {
            reader.close();
        }
    }
}

/// The name of an item's kind.
pub(crate) fn kind_of(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Stdout => "stdout",
        ItemKind::Stderr => "stderr",
        ItemKind::Ended => "ended",
        ItemKind::End => "end",
        // Whatever else comes is JSON.
        _ => "json",
    }
}
