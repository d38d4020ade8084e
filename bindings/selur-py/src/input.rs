//! Bytes that come in: `bytes` as they are, whatever else has a buffer by copy, for it may change while it is read.

use crate::failure::Failure;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use selur_core::{Command, Frame};
use std::borrow::Cow;

/// The bytes of `bytes`, `bytearray`, `memoryview` and what else has a buffer.
#[inline]
pub(crate) fn bytes<'a>(from: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    match from.cast::<PyBytes>() {
        Ok(bytes) => Ok(Cow::Borrowed(bytes.as_bytes())),
        Err(_) => Ok(Cow::Owned(PyBuffer::<u8>::get(from)?.to_vec(from.py())?)),
    }
}

/// The same, and a text in UTF-8.
#[inline]
pub(crate) fn payload<'a>(from: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    match from.cast::<PyString>() {
        Ok(text) => Ok(Cow::Borrowed(text.to_str()?.as_bytes())),
        Err(_) => bytes(from),
    }
}

/// A command, by its name or its code.
pub(crate) fn command(from: &Bound<'_, PyAny>) -> Result<Command, Failure> {
    let command = match from.cast::<PyString>() {
        Ok(name) => name
            .to_str()
            .ok()
            .and_then(|name| Command::ALL.into_iter().find(|command| command.name() == name)),
        Err(_) => from.extract::<u8>().ok().and_then(Command::from_code),
    };
    command.ok_or_else(|| Failure::invalid(format!("{from} is no command: see the table in docs/API.md")))
}

/// The head of a frame with so long a payload.
pub(crate) fn head(command: Command, payload_length: usize) -> Result<[u8; 5], Failure> {
    Frame::head(command, payload_length)
        .ok_or_else(|| Failure::invalid("no payload is longer than 262,144 bytes: send less at once"))
}
