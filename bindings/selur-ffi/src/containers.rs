//! Requests about containers that block. A container is named by its id, its name, or a unique prefix of its id.

use crate::boundary::{Failure, guard, guard_out, optional_text, slice, text};
use crate::bridge::{bridge_of, selur_bridge_t};
use crate::bytes::{keep, selur_bytes_t};
use crate::codes::{selur_deletion_t, selur_status_t};
use crate::error::selur_error_t;
use crate::requests::{ask, tell};
use selur_core::Command;
use std::ffi::c_char;
use std::mem::MaybeUninit;

/// The bytes of a container's id as text: 32 hex digits and the 0 behind them.
pub const SELUR_CONTAINER_ID_BYTES: usize = 33;

/// A container's id as text, with a 0 behind it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct selur_container_id_t {
    /// 32 lower-case hex digits, and a 0.
    pub text: [c_char; SELUR_CONTAINER_ID_BYTES],
}

/// In the place of the time until a stop kills: the container's own, else 10,000 ms.
pub const SELUR_STOP_TIMEOUT_DEFAULT: i64 = -1;

/// In the place of an exit code: nobody knows it.
pub const SELUR_EXIT_CODE_UNKNOWN: i32 = -1;

/// Answers the same bytes, which must be UTF-8: a round trip through the guest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_ping(
    bridge: selur_bridge_t,
    payload: *const u8,
    payload_length: u32,
    deadline_ms: u32,
    data: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(data, error, || {
        // SAFETY: the header asks for so many bytes, or NULL.
        let payload = unsafe { slice(payload, payload_length, "payload") }?;
        let payload = std::str::from_utf8(payload);
        let payload =
            payload.map_err(|_| Failure::invalid("the payload is not valid UTF-8: encode it as UTF-8"))?;
        keep(bridge_of(bridge, deadline_ms)?.ping(payload)?.into_bytes())
    })
}

/// Makes a container, pulling its image if need be; it is not started. `name` may be NULL, and `spec` too, which is JSON:
/// docs/schemas/container-spec.schema.json.
///
/// Fails with
/// - SELUR_STATUS_CONTAINER_ALREADY_EXISTS: the name is taken;
/// - SELUR_STATUS_IMAGE_NOT_FOUND, SELUR_STATUS_NETWORK_ERROR, SELUR_STATUS_PERMISSION_DENIED: from the registry;
/// - SELUR_STATUS_RESOURCE_EXHAUSTED: 1,024 containers exist, or the disk is full;
/// - SELUR_STATUS_INVALID_REQUEST: an argument is not of its grammar; the message names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_create_container(
    bridge: selur_bridge_t,
    image: *const c_char,
    name: *const c_char,
    spec: *const c_char,
    deadline_ms: u32,
    id: Option<&mut MaybeUninit<selur_container_id_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(id, error, || {
        // SAFETY: the header asks for NULL or a text.
        let image = unsafe { text(image, "image") }?;
        // SAFETY: the same.
        let name = unsafe { optional_text(name, "name") }?;
        // SAFETY: the same.
        let spec = unsafe { optional_text(spec, "specification") }?;
        let fields = [image, name.unwrap_or(""), spec.unwrap_or("")];
        id_of(&bridge_of(bridge, deadline_ms)?.request(Command::CreateContainer, &fields)?)
    })
}

/// Starts a container's process. One that runs is left alone.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if it is paused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_start_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        tell(bridge, deadline_ms, Command::StartContainer, &[Some(container)])
    })
}

/// Ends a container's process: the stop signal, then SIGKILL after `timeout_ms`: 0 to 4,294,967,295, or
/// SELUR_STOP_TIMEOUT_DEFAULT. Blocks until it has ended.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_REQUEST for a time that is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_stop_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    timeout_ms: i64,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        let timeout = (timeout_ms != SELUR_STOP_TIMEOUT_DEFAULT).then(|| timeout_ms.to_string());
        tell(
            bridge,
            deadline_ms,
            Command::StopContainer,
            &[Some(container), timeout.as_deref()],
        )
    })
}

/// What is known of a container, as JSON: docs/schemas/inspection.schema.json.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_inspect_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        ask(bridge, deadline_ms, Command::InspectContainer, &[Some(container)])
    })
}

/// Removes a container and everything of it. `deletion` is one of selur_deletion_t.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if a process of it runs and the deletion
/// is plain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_delete_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    deletion: u32,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        let fields = [Some(container), force(deletion)?];
        tell(bridge, deadline_ms, Command::DeleteContainer, &fields)
    })
}

/// The ids of all containers, one a line, oldest first; the last line has no line feed.
#[unsafe(no_mangle)]
pub extern "C" fn selur_list_containers(
    bridge: selur_bridge_t,
    deadline_ms: u32,
    ids: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(ids, error, || {
        ask(bridge, deadline_ms, Command::ListContainers, &[])
    })
}

/// Sends a signal to a container's process: a name such as SIGTERM, or a number as text; NULL is SIGKILL. It returns when the
/// signal is sent; wait for the end with selur_wait_container().
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if no process of it runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_kill_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    signal: *const c_char,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        // SAFETY: the same.
        let signal = unsafe { optional_text(signal, "signal") }?;
        tell(
            bridge,
            deadline_ms,
            Command::KillContainer,
            &[Some(container), signal],
        )
    })
}

/// Freezes every process of a container.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if no process of it runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_pause_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        tell(bridge, deadline_ms, Command::PauseContainer, &[Some(container)])
    })
}

/// Thaws a paused container.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if no process of it runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_resume_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        tell(bridge, deadline_ms, Command::ResumeContainer, &[Some(container)])
    })
}

/// Blocks until a container has ended for good, and gives its exit code: 0 to 255, or SELUR_EXIT_CODE_UNKNOWN.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND also if it is deleted meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_wait_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    deadline_ms: u32,
    exit_code: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(exit_code, error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        let code = bridge_of(bridge, deadline_ms)?.wait_container(container)?;
        Ok(code.unwrap_or(SELUR_EXIT_CODE_UNKNOWN))
    })
}

/// The processes of a container, as JSON: a list of docs/schemas/process.schema.json.
///
/// Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if it does not run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_top_container(
    bridge: selur_bridge_t,
    container: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        ask(bridge, deadline_ms, Command::Top, &[Some(container)])
    })
}

fn force(deletion: u32) -> Result<Option<&'static str>, Failure> {
    const PLAIN: u32 = selur_deletion_t::SELUR_DELETION_PLAIN as u32;
    const FORCE: u32 = selur_deletion_t::SELUR_DELETION_FORCE as u32;
    match deletion {
        PLAIN => Ok(None),
        FORCE => Ok(Some("force")),
        _ => Err(Failure::invalid(format!(
            "{deletion} is no way to delete: see selur_deletion_t"
        ))),
    }
}

/// An id as C has it.
fn id_of(digits: &[u8]) -> Result<selur_container_id_t, Failure> {
    let mut text = [0; SELUR_CONTAINER_ID_BYTES];
    if digits.len() != text.len() - 1 {
        let message = format!(
            "a create was answered with {} bytes instead of an id",
            digits.len()
        );
        return Err(Failure::new(selur_core::Status::InternalError, message));
    }
    for (place, digit) in text.iter_mut().zip(digits) {
        *place = *digit as c_char;
    }
    Ok(selur_container_id_t { text })
}
