//! The guest's memory as Python sees it, and copies of it. All of this crate's `unsafe` is here.
//!
//! No Rust reference is ever formed to bytes of a slot: whoever holds a view of it may write them at any time.

use crate::failure::Failure;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use selur_core::COPY_PIECE_BYTES;

use std::ffi::c_int;
use std::ptr;

/// The bytes as an object of Python's. Long ones are copied in pieces, which is up to 25 times as fast: see [`COPY_PIECE_BYTES`].
#[inline]
pub(crate) fn copied<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    if bytes.len() <= COPY_PIECE_BYTES {
        return Ok(PyBytes::new(py, bytes));
    }
    let count = bytes.len() as ffi::Py_ssize_t;
    // SAFETY: without a source Python leaves the bytes as they are, which it allows before anybody else has the object.
    let object = unsafe { ffi::PyBytes_FromStringAndSize(ptr::null(), count) };
    // SAFETY: it is a new reference, or null, and then Python was told why.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object) }?;
    // SAFETY: it is an object of `bytes`.
    let place = unsafe { ffi::PyBytes_AsString(object.as_ptr()) }.cast::<u8>();
    // SAFETY: the object has room for all of the bytes, and nobody else has it yet.
    unsafe { copy(bytes, place) };
    // SAFETY: it is an object of `bytes`, and all of them are written.
    Ok(unsafe { object.cast_into_unchecked() })
}

/// Bytes of a slot that is reserved.
///
/// Invariant: whoever has one holds the slot that it lies in.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    address: usize,
    bytes: usize,
}

impl Region {
    /// All of a slot.
    pub(crate) fn of(slot: &selur_core::Slot) -> Region {
        Region {
            address: slot.address(),
            bytes: slot.capacity(),
        }
    }

    /// A part of it; nothing if it has no such part.
    pub(crate) fn part(self, range: std::ops::Range<usize>) -> Option<Region> {
        let is_within = range.start <= range.end && range.end <= self.bytes;
        is_within.then(|| Region {
            address: self.address + range.start,
            bytes: range.len(),
        })
    }

    /// Its first byte, as it is at this moment: that of an empty region is 0.
    ///
    /// # Safety
    /// - The slot that it lies in is held until this returns.
    #[inline]
    pub(crate) unsafe fn first(self) -> u8 {
        if self.bytes == 0 {
            return 0;
        }
        let place = ptr::with_exposed_provenance::<u8>(self.address);
        // SAFETY: the slot is held, so its memory is there; whoever else writes it makes the byte another, and no more.
        unsafe { ptr::read_volatile(place) }
    }

    /// Copies bytes to its begin, as many as both have.
    ///
    /// # Safety
    /// - The slot that it lies in is held until this returns.
    #[inline]
    pub(crate) unsafe fn write(self, bytes: &[u8]) {
        let count = bytes.len().min(self.bytes);
        let place = ptr::with_exposed_provenance_mut::<u8>(self.address);
        // SAFETY: the slot is held, so its memory is there, and nobody else's: the guest looks at it only in a submission,
        // which needs the lock that the caller has. `bytes` is memory of Rust or Python, not of the guest.
        unsafe { copy(&bytes[..count], place) };
    }

    /// Fills in what a consumer of the buffer protocol asks for.
    ///
    /// # Safety
    /// - `view` is what Python gave to `__getbuffer__`.
    /// - The slot stays held until Python calls `__releasebuffer__` for it.
    pub(crate) unsafe fn export(
        self,
        exporter: &Bound<'_, PyAny>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
        is_read_only: bool,
    ) -> Result<(), Failure> {
        if view.is_null() {
            return Err(Failure::buffer("there is no place for the view"));
        }
        if is_read_only && flags & ffi::PyBUF_WRITABLE != 0 {
            return Err(Failure::buffer("an answer cannot be written to"));
        }
        let place = ptr::with_exposed_provenance_mut(self.address);
        let (bytes, read_only) = (self.bytes as ffi::Py_ssize_t, c_int::from(is_read_only));
        // SAFETY: the caller says that `view` is Python's and that the memory stays; the exporter is an object that lives.
        let filled =
            unsafe { ffi::PyBuffer_FillInfo(view, exporter.as_ptr(), place, bytes, read_only, flags) };
        match filled {
            0 => Ok(()),
            // It has told Python why, as a `BufferError`; from Python 3.12 on flags alone may be a reason.
            _ => {
                let told = PyErr::take(exporter.py());
                Err(Failure::buffer(told.map_or_else(String::new, |error| {
                    error.value(exporter.py()).to_string()
                })))
            }
        }
    }
}

/// Copies in pieces.
///
/// # Safety
/// - `to` is valid for writes of as many bytes, which are not those of `bytes`.
#[inline]
unsafe fn copy(bytes: &[u8], to: *mut u8) {
    for (index, piece) in bytes.chunks(COPY_PIECE_BYTES).enumerate() {
        // SAFETY: the piece's place lies within what the caller vouches for.
        unsafe {
            ptr::copy_nonoverlapping(
                piece.as_ptr(),
                to.wrapping_add(index * COPY_PIECE_BYTES),
                piece.len(),
            )
        };
    }
}
