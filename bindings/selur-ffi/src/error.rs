//! Errors as a caller holds them.

use crate::boundary::{Failure, guard, guard_value};
use crate::codes::selur_status_t;
use crate::handles::Table;
use std::ffi::{CString, c_char};

/// An error: a status for programs and a message for people. Owned by whoever received it; free it with
/// selur_error_free(). 0 is none.
///
/// Each function that can fail takes a place for one as its last argument, or NULL. The place is written only if the
/// function fails.
pub type selur_error_t = u64;

pub(crate) static ERRORS: Table<Problem> = Table::new(1, "error");

/// An error with its message as C has it.
pub(crate) struct Problem {
    status: selur_status_t,
    message: CString,
}

impl Problem {
    pub(crate) fn new(failure: &Failure) -> Problem {
        // A message may quote a caller's text, which may contain any character.
        let message = failure.message().replace('\0', "\u{fffd}");
        Problem {
            status: failure.status().into(),
            message: CString::new(message).unwrap_or_default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        self.message.to_str().unwrap_or_default()
    }
}

/// The status of an error; SELUR_STATUS_INVALID_REQUEST if it names none.
#[unsafe(no_mangle)]
pub extern "C" fn selur_error_status(error: selur_error_t) -> selur_status_t {
    let none = selur_status_t::SELUR_STATUS_INVALID_REQUEST;
    guard_value(none, || {
        ERRORS.with(error, |problem| problem.status).unwrap_or(none)
    })
}

/// What went wrong and what to do, for people: UTF-8, never empty. It belongs to the error and is valid until that is
/// freed. For 0 and for what names no error it is a text that says so.
#[unsafe(no_mangle)]
pub extern "C" fn selur_error_message(error: selur_error_t) -> *const c_char {
    let none = c"this names no error: there was none, or it was freed".as_ptr();
    guard_value(none, || {
        ERRORS
            .with(error, |problem| problem.message.as_ptr())
            .unwrap_or(none)
    })
}

/// Frees an error. 0 is allowed.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn selur_error_free(error: selur_error_t) -> selur_status_t {
    guard(None, || match error {
        0 => Ok(()),
        error => ERRORS.remove(error).map(drop),
    })
}
