//! The edge to C: what comes in is checked here, and no panic goes out.

use crate::codes::selur_status_t;
use crate::error::{ERRORS, Problem, selur_error_t};
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A place for one result, which the caller may not have initialised; none is NULL.
///
/// A function has one such place and one for an error, which the header asks to be another.
pub(crate) type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// Why a call was not carried out.
pub(crate) use selur_core::Error as Failure;

/// Runs the body of a function; what goes wrong is told by its status and, if the caller wants it, by an error.
#[inline]
pub(crate) fn guard(
    error: Out<'_, selur_error_t>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> selur_status_t {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => selur_status_t::SELUR_STATUS_SUCCESS,
        Ok(Err(failure)) => failed(error, failure),
        Err(panic) => failed(error, Failure::panicked(panic.as_ref())),
    }
}

/// Runs the body of a function that writes one result, and writes it if there is one.
#[inline]
pub(crate) fn guard_out<T>(
    out: Out<'_, T>,
    error: Out<'_, selur_error_t>,
    body: impl FnOnce() -> Result<T, Failure>,
) -> selur_status_t {
    guard(error, || {
        let out = given(out)?;
        out.write(body()?);
        Ok(())
    })
}

/// The place for a result, which must be there.
#[inline]
pub(crate) fn given<T>(out: Out<'_, T>) -> Result<&mut MaybeUninit<T>, Failure> {
    match out {
        Some(out) => Ok(out),
        None => Err(no_place()),
    }
}

#[cold]
fn no_place() -> Failure {
    Failure::invalid("the place for the result is NULL: give one")
}

/// Runs the body of a function that cannot fail; a panic gives `otherwise`.
pub(crate) fn guard_value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

#[cold]
fn failed(error: Out<'_, selur_error_t>, failure: Failure) -> selur_status_t {
    let status = selur_status_t::from(failure.status());
    // Dropping a failure, and keeping one, cannot panic in a way that matters more than the failure itself.
    let kept = catch_unwind(AssertUnwindSafe(|| {
        if let Some(error) = error {
            error.write(ERRORS.insert(Problem::new(&failure)).unwrap_or(0));
        }
    }));
    drop(kept);
    status
}

/// A text of the caller's.
///
/// # Safety
/// - `text` is NULL, or points to bytes of which one is 0, and which do not change until the call returns.
pub(crate) unsafe fn text<'a>(text: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::invalid(format!("the {what} is NULL: give a text")));
    }
    // SAFETY: the caller of this function says so.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map_err(|_| Failure::invalid(format!("the {what} is not valid UTF-8: encode it as UTF-8")))
}

/// A text of the caller's, or none.
///
/// # Safety
/// - As [`text`].
pub(crate) unsafe fn optional_text<'a>(words: *const c_char, what: &str) -> Result<Option<&'a str>, Failure> {
    if words.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller of this function says so.
    unsafe { text(words, what) }.map(Some)
}

/// Bytes of the caller's. NULL is allowed where there are none.
///
/// # Safety
/// - `bytes` is NULL, or points to `length` bytes, which do not change until the call returns.
pub(crate) unsafe fn slice<'a, T>(bytes: *const T, length: u32, what: &str) -> Result<&'a [T], Failure> {
    match (bytes.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Failure::invalid(format!(
            "the {what} is NULL, and its length is not 0"
        ))),
        // SAFETY: the caller of this function says so.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(bytes, length as usize) }),
    }
}

/// Texts of the caller's, as many as `count`.
///
/// # Safety
/// - `texts` is NULL, or points to `count` pointers, each as for [`text`].
pub(crate) unsafe fn texts<'a>(
    texts: *const *const c_char,
    count: u32,
    what: &str,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller of this function says so.
    let pointers = unsafe { slice(texts, count, what) }?;
    let text_of = |pointer: &*const c_char| {
        // SAFETY: the caller of this function says so.
        unsafe { text(*pointer, what) }
    };
    pointers.iter().map(text_of).collect()
}

/// A length for C.
pub(crate) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error_with_its_message() {
        let mut error = MaybeUninit::new(0);
        let status = guard(Some(&mut error), || panic!("the {} broke", "wheel"));
        assert_eq!(status, selur_status_t::SELUR_STATUS_INTERNAL_ERROR);
        // SAFETY: it was made with a value.
        let error = unsafe { error.assume_init() };
        let problem = ERRORS.remove(error).expect("the caller gets an error");
        assert!(
            problem.message().contains("the wheel broke"),
            "{}",
            problem.message()
        );
    }

    #[test]
    fn a_panic_leaves_the_result_unwritten() {
        let mut out = MaybeUninit::new(7);
        let status = guard_out(Some(&mut out), None, || panic!("no result"));
        assert_eq!(status, selur_status_t::SELUR_STATUS_INTERNAL_ERROR);
        // SAFETY: it was made with a value.
        assert_eq!(unsafe { out.assume_init() }, 7);
    }

    #[test]
    fn a_panic_in_a_function_without_a_status_gives_what_stands_for_nothing() {
        assert_eq!(guard_value(3, || panic!("no value")), 3);
    }
}
