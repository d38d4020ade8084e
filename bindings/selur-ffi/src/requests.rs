//! Requests of any command: as frames, or by their fields; blocking, or answered by the completion queue.

use crate::boundary::{Failure, guard, guard_out, slice, texts};
use crate::bridge::{bridge_of, selur_bridge_t};
use crate::bytes::{keep, selur_bytes_t};
use crate::codes::{self, selur_status_t};
use crate::error::selur_error_t;
use crate::options::SELUR_DEADLINE_DEFAULT;
use selur_core::{Bridge, Response, Status};
use std::ffi::c_char;
use std::mem::MaybeUninit;

/// Carries out a request frame, command byte, payload length, payload, and blocks until it is answered. The status is the
/// answer's; on success `data` receives what it is answered with.
///
/// `frame` must not lie in the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_call(
    bridge: selur_bridge_t,
    frame: *const u8,
    frame_length: u32,
    deadline_ms: u32,
    data: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(data, error, || {
        // SAFETY: the header asks for so many bytes, or NULL.
        let frame = unsafe { slice(frame, frame_length, "frame") }?;
        let response = bridge_of(bridge, deadline_ms)?.call(frame)?;
        keep(response.into_result()?)
    })
}

/// Carries out a request by its command, one of selur_command_t, and its fields, and blocks until it is answered.
///
/// Fails also with SELUR_STATUS_INVALID_REQUEST for a number that is no command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_request(
    bridge: selur_bridge_t,
    command: u32,
    fields: *const *const c_char,
    field_count: u32,
    deadline_ms: u32,
    data: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(data, error, || {
        // SAFETY: the header asks for so many texts, or NULL.
        let fields = unsafe { texts(fields, field_count, "field") }?;
        let bridge = bridge_of(bridge, deadline_ms)?;
        keep(bridge.request(codes::command(command)?, &fields)?)
    })
}

/// Begins a request frame and returns at once. Its answer comes to the completion queue under the number in `ticket`, which
/// is never 0 and never used again. The answer may be there before this returns.
///
/// Fails, without an answer to come, with
/// - SELUR_STATUS_INVALID_REQUEST: the bridge is closed. What is wrong with a frame is an answer;
/// - SELUR_STATUS_RESOURCE_EXHAUSTED: 32,768 answers are on their way or undrained.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_submit_frame(
    bridge: selur_bridge_t,
    frame: *const u8,
    frame_length: u32,
    deadline_ms: u32,
    ticket: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(ticket, error, || {
        // SAFETY: the header asks for so many bytes, or NULL.
        let frame = unsafe { slice(frame, frame_length, "frame") }?;
        bridge_of(bridge, deadline_ms)?.submit_to_queue(frame)
    })
}

/// Begins a request by its command, one of selur_command_t, and its fields, as selur_submit_frame() does.
///
/// Fails also with SELUR_STATUS_INVALID_REQUEST for a number that is no command.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_submit(
    bridge: selur_bridge_t,
    command: u32,
    fields: *const *const c_char,
    field_count: u32,
    deadline_ms: u32,
    ticket: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(ticket, error, || {
        // SAFETY: the header asks for so many texts, or NULL.
        let fields = unsafe { texts(fields, field_count, "field") }?;
        let frame = Bridge::frame(codes::command(command)?, &fields)?;
        bridge_of(bridge, deadline_ms)?.submit_to_queue(&frame)
    })
}

/// Asks for an early end of what was begun under a ticket: a request, or a read or a write of a stream. Its answer still
/// comes, and is SELUR_STATUS_CANCELLED unless it was there already. A ticket that was answered is no error.
#[unsafe(no_mangle)]
pub extern "C" fn selur_cancel(
    bridge: selur_bridge_t,
    ticket: u64,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.cancel(ticket);
        Ok(())
    })
}

/// Undoes what a request of a command, one of selur_command_t, made whose success nobody wants any more: it was cancelled,
/// and was answered just before. `data` is what it was answered with. A created container is deleted, by force; an opened
/// stream is closed. Anything else stays as it is.
///
/// Returns at once; it is done in the background, and a bridge that is closed meanwhile waits for it, up to 5 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_abandon(
    bridge: selur_bridge_t,
    command: u32,
    data: *const u8,
    data_length: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for so many bytes, or NULL.
        let data = unsafe { slice(data, data_length, "data") }?;
        let late = Response::new(Status::Success, data.to_vec());
        bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.abandon(&[codes::command(command)?.code()], &late);
        Ok(())
    })
}

/// One request whose answer is given as bytes.
pub(crate) fn ask(
    bridge: selur_bridge_t,
    deadline_ms: u32,
    command: selur_core::Command,
    fields: &[Option<&str>],
) -> Result<selur_bytes_t, Failure> {
    // Fields at the end that are not given are left out; one that others follow is empty.
    let given = fields
        .iter()
        .rposition(Option::is_some)
        .map_or(0, |last| last + 1);
    let fields: Vec<&str> = fields[..given].iter().map(|field| field.unwrap_or("")).collect();
    keep(bridge_of(bridge, deadline_ms)?.request(command, &fields)?)
}

/// One request that is answered with no data.
pub(crate) fn tell(
    bridge: selur_bridge_t,
    deadline_ms: u32,
    command: selur_core::Command,
    fields: &[Option<&str>],
) -> Result<(), Failure> {
    let bytes = ask(bridge, deadline_ms, command, fields)?;
    debug_assert_eq!(bytes, 0, "{} answered with data", command.name());
    Ok(())
}
