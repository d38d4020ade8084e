//! The guest's memory as Python sees it. All of this crate's `unsafe` is here.
//!
//! No Rust reference is ever formed to bytes of a slot: whoever holds a view of it may write them at any time.

use crate::failure::Failure;
use pyo3::ffi;
use pyo3::prelude::*;

use std::ffi::c_int;
use std::ptr;

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
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, count) };
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
