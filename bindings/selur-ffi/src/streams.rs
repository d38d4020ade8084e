//! Streams: what flows beside the kernel, read item by item, blocking or by the completion queue.

use crate::boundary::{Failure, guard, guard_out, optional_text, slice, text};
use crate::bridge::{bridge_of, selur_bridge_t};
use crate::codes::selur_status_t;
use crate::completions::{given, selur_completion_t};
use crate::error::selur_error_t;
use crate::handles::Table;
use crate::options::SELUR_DEADLINE_DEFAULT;
use selur_core::{Command, Reader, TerminalSize};
use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// An open stream. Owned by whoever opened it; free it with selur_stream_free(), which ends it: the process of an exec is
/// killed, a pull is given up. Who writes is held back until it is read.
///
/// One read and one write of a stream can be under way at a time, from any thread.
pub type selur_stream_t = u64;

static STREAMS: Table<Arc<Reader>> = Table::new(7, "stream");

/// Runs a further process in a running container. `spec` is JSON: docs/schemas/exec-spec.schema.json, such as
/// {"command":["ls"]}.
///
/// Its items are SELUR_KIND_STDOUT and SELUR_KIND_STDERR, pieces of at most 64 KiB, then SELUR_KIND_ENDED.
///
/// Fails with
/// - SELUR_STATUS_INVALID_REQUEST: the program cannot be run, or the specification is refused;
/// - SELUR_STATUS_INVALID_STATE: the container does not run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_exec(
    bridge: selur_bridge_t,
    container: *const c_char,
    spec: *const c_char,
    deadline_ms: u32,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        // SAFETY: the same.
        let spec = unsafe { text(spec, "specification") }?;
        open(bridge, deadline_ms, Command::Exec, &[container, spec])
    })
}

/// Opens what a container wrote. `options` is JSON, docs/schemas/log-options.schema.json, such as {"follow":true}; NULL means
/// the defaults.
///
/// Its items are SELUR_KIND_STDOUT and SELUR_KIND_STDERR, at most a line each, with their moments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_logs(
    bridge: selur_bridge_t,
    container: *const c_char,
    options: *const c_char,
    deadline_ms: u32,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        // SAFETY: the same.
        let options = unsafe { optional_text(options, "options") }?.unwrap_or("");
        open(bridge, deadline_ms, Command::Logs, &[container, options])
    })
}

/// Connects to a container's first process: its output from now on, and its input. `options` is JSON,
/// docs/schemas/attach-options.schema.json; NULL means the defaults. Its items are those of selur_exec(). Freeing the stream
/// leaves the container as it is.
///
/// Fails with
/// - SELUR_STATUS_INVALID_STATE: the container has ended;
/// - SELUR_STATUS_INVALID_REQUEST: input is wanted, and the container was made without `stdin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_attach(
    bridge: selur_bridge_t,
    container: *const c_char,
    options: *const c_char,
    deadline_ms: u32,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        // SAFETY: the same.
        let options = unsafe { optional_text(options, "options") }?.unwrap_or("");
        open(bridge, deadline_ms, Command::Attach, &[container, options])
    })
}

/// Samples what a container uses. `options` is JSON, docs/schemas/stats-options.schema.json; NULL means the defaults. Its
/// items are SELUR_KIND_JSON: docs/schemas/stats.schema.json.
///
/// Fails with SELUR_STATUS_INVALID_STATE if the container does not run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_stats(
    bridge: selur_bridge_t,
    container: *const c_char,
    options: *const c_char,
    deadline_ms: u32,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        // SAFETY: the header asks for NULL or a text.
        let container = unsafe { text(container, "container") }?;
        // SAFETY: the same.
        let options = unsafe { optional_text(options, "options") }?.unwrap_or("");
        open(bridge, deadline_ms, Command::Stats, &[container, options])
    })
}

/// Opens what happens to containers, images and volumes from now on, whichever process does it. `options` is JSON,
/// docs/schemas/event-options.schema.json; NULL means the defaults. Its items are SELUR_KIND_JSON: {"event":…} with an event
/// of docs/schemas/event.schema.json, or {"lagged":n} with the number of those that a slow reader missed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_events(
    bridge: selur_bridge_t,
    options: *const c_char,
    deadline_ms: u32,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        // SAFETY: the header asks for NULL or a text.
        match unsafe { optional_text(options, "options") }? {
            None => open(bridge, deadline_ms, Command::Events, &[]),
            Some(options) => open(bridge, deadline_ms, Command::Events, &[options]),
        }
    })
}

/// Fetches an image and tells how far it is. Its items are SELUR_KIND_JSON: {"progress":…} of
/// docs/schemas/progress.schema.json, then {"pulled":…} of docs/schemas/image.schema.json. What goes wrong is told when the
/// stream is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_pull_image_with_progress(
    bridge: selur_bridge_t,
    image: *const c_char,
    deadline_ms: u32,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        // SAFETY: the header asks for NULL or a text.
        let image = unsafe { text(image, "image") }?;
        open(bridge, deadline_ms, Command::PullImage, &[image, WITH_PROGRESS])
    })
}

/// Sends an image to its registry and tells how far it is, as selur_pull_image_with_progress() does; the last item is
/// {"pushed":…}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_push_image_with_progress(
    bridge: selur_bridge_t,
    image: *const c_char,
    deadline_ms: u32,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        // SAFETY: the header asks for NULL or a text.
        let image = unsafe { text(image, "image") }?;
        open(bridge, deadline_ms, Command::PushImage, &[image, WITH_PROGRESS])
    })
}

/// Takes the stream that a request opened: the decimal number that it was answered with. Each is taken once.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if no stream has this number, or it was taken.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_take(
    bridge: selur_bridge_t,
    id: u64,
    stream: Option<&mut MaybeUninit<selur_stream_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(stream, error, || {
        let reader = bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.take_reader(id)?;
        STREAMS.insert(Arc::new(reader))
    })
}

/// Gives the next item; blocks until it is there. Where there are no more its kind is SELUR_KIND_END.
///
/// Fails with
/// - what broke the stream, which has ended then;
/// - SELUR_STATUS_CANCELLED: the stream was freed, or the bridge closed, meanwhile;
/// - SELUR_STATUS_INVALID_REQUEST: a read is under way, the stream was freed, or the bridge is closed.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_next(
    stream: selur_stream_t,
    item: Option<&mut MaybeUninit<selur_completion_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(item, error, || {
        let item = STREAMS.copy(stream)?.next()?;
        Ok(given(
            0,
            selur_status_t::SELUR_STATUS_SUCCESS,
            Some(item.head),
            item.data,
        ))
    })
}

/// Begins to read the next item, which comes to the completion queue under the number in `ticket`. A read that is cancelled
/// loses no item.
///
/// Fails, without an item to come, with SELUR_STATUS_INVALID_REQUEST as selur_stream_next() does, and with
/// SELUR_STATUS_RESOURCE_EXHAUSTED as selur_submit_frame() does.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_submit_next(
    stream: selur_stream_t,
    ticket: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(ticket, error, || STREAMS.copy(stream)?.next_to_queue())
}

/// Sends bytes to the process of an exec or an attachment. Blocks while it does not read what was sent before.
///
/// Fails with
/// - SELUR_STATUS_INVALID_STATE: the process has ended, closed its input, or was given none;
/// - SELUR_STATUS_INVALID_REQUEST: a write is under way, this stream takes no input, it was freed, or the bridge is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_stream_write(
    stream: selur_stream_t,
    bytes: *const u8,
    length: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for so many bytes, or NULL.
        let bytes = unsafe { slice(bytes, length, "input") }?;
        STREAMS.copy(stream)?.write(bytes)
    })
}

/// Begins to send bytes, which are copied; that they were sent comes to the completion queue. A write that is cancelled may
/// have sent a part.
///
/// Fails as selur_stream_write() does, and with SELUR_STATUS_RESOURCE_EXHAUSTED as selur_submit_frame() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_stream_submit_write(
    stream: selur_stream_t,
    bytes: *const u8,
    length: u32,
    ticket: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(ticket, error, || {
        // SAFETY: the header asks for so many bytes, or NULL.
        let bytes = unsafe { slice(bytes, length, "input") }?;
        STREAMS.copy(stream)?.write_to_queue(bytes)
    })
}

/// Ends the input of an exec's or an attachment's process. With a terminal there is no such end: write the byte 4 instead.
/// Blocks while the process does not read what was sent before.
///
/// Fails as selur_stream_write() does.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_end_input(
    stream: selur_stream_t,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || STREAMS.copy(stream)?.end_input())
}

/// Begins to end the input, as selur_stream_end_input() does; that it was ended comes to the completion queue.
///
/// Fails as selur_stream_submit_write() does.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_submit_end_input(
    stream: selur_stream_t,
    ticket: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(ticket, error, || STREAMS.copy(stream)?.end_input_to_queue())
}

/// Tells the terminal of an exec's or an attachment's process its size, in characters. Nothing happens where there is none.
/// Blocks while the process does not read what was sent before.
///
/// Fails as selur_stream_write() does.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_resize(
    stream: selur_stream_t,
    rows: u16,
    columns: u16,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        STREAMS.copy(stream)?.resize(TerminalSize { rows, columns })
    })
}

/// Begins to tell the terminal its size, as selur_stream_resize() does; that it was told comes to the completion queue.
///
/// Fails as selur_stream_submit_write() does.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_submit_resize(
    stream: selur_stream_t,
    rows: u16,
    columns: u16,
    ticket: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(ticket, error, || {
        STREAMS
            .copy(stream)?
            .resize_to_queue(TerminalSize { rows, columns })
    })
}

/// Ends a stream and frees it. Reads and writes that are under way end with SELUR_STATUS_CANCELLED. 0 is allowed.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn selur_stream_free(stream: selur_stream_t) -> selur_status_t {
    guard(None, || {
        if stream != 0 {
            STREAMS.remove(stream)?.close();
        }
        Ok(())
    })
}

const WITH_PROGRESS: &str = r#"{"progress":true}"#;

fn open(
    bridge: selur_bridge_t,
    deadline_ms: u32,
    command: Command,
    fields: &[&str],
) -> Result<selur_stream_t, Failure> {
    let reader = bridge_of(bridge, deadline_ms)?.open_reader(command, fields)?;
    STREAMS.insert(Arc::new(reader))
}
