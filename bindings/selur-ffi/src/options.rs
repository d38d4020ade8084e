//! What a bridge is made from.

use crate::boundary::{Failure, guard, guard_out, slice, text};
use crate::codes::{self, selur_status_t};
use crate::error::selur_error_t;
use crate::handles::Table;
use selur_core::{Bridge, BridgeBuilder, Guest};
use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Options for a bridge. Owned by whoever made them; free them with selur_options_free(), before or after the bridge.
pub type selur_options_t = u64;

pub(crate) static OPTIONS: Table<BridgeBuilder> = Table::new(3, "options");

/// Makes options with their defaults: the embedded guest, SELUR_RUNTIME_AUTO, the default state root, no deadline.
///
/// Fails with SELUR_STATUS_RESOURCE_EXHAUSTED if a million are in use.
#[unsafe(no_mangle)]
pub extern "C" fn selur_options_new(
    options: Option<&mut MaybeUninit<selur_options_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(options, error, || OPTIONS.insert(Bridge::builder()))
}

/// Takes the guest from a .wasm file instead of the embedded one. The file is read when a bridge is made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_options_set_guest_path(
    options: selur_options_t,
    path: *const c_char,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let path = unsafe { text(path, "path") }?;
        change(options, |builder| builder.guest(Guest::Path(path.into())))
    })
}

/// Takes the guest from the bytes of a .wasm file instead of the embedded one. They are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_options_set_guest_bytes(
    options: selur_options_t,
    bytes: *const u8,
    length: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for so many bytes, or NULL.
        let bytes = unsafe { slice(bytes, length, "guest") }?;
        change(options, |builder| builder.guest(Guest::Bytes(bytes.to_vec())))
    })
}

/// Chooses what performs the effects: one of selur_runtime_t.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST for another number.
#[unsafe(no_mangle)]
pub extern "C" fn selur_options_set_runtime(
    options: selur_options_t,
    runtime: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        let backend = codes::backend(runtime)?;
        change(options, |builder| builder.backend(backend))
    })
}

/// Chooses the folder that real containers keep their state in. Unless given it is $SELUR_ROOT, else /var/lib/selur for
/// root, else $XDG_DATA_HOME/selur. Several processes may use one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_options_set_state_root(
    options: selur_options_t,
    path: *const c_char,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let path = unsafe { text(path, "path") }?;
        change(options, |builder| builder.state_root(path))
    })
}

/// Chooses the program that holds a real container, selur-shim. Unless given it is $SELUR_SHIM, else it is looked for
/// beside this library and in the libexec folder beside its folder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_options_set_shim(
    options: selur_options_t,
    path: *const c_char,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let path = unsafe { text(path, "path") }?;
        change(options, |builder| builder.shim(std::path::PathBuf::from(path)))
    })
}

/// Chooses the socket of the daemon, for SELUR_RUNTIME_DOCKER; other runtimes do without it. Unless given it is
/// $DOCKER_HOST (unix:// only), else the first that exists of /var/run/docker.sock,
/// $XDG_RUNTIME_DIR/podman/podman.sock and /run/podman/podman.sock. The daemon is asked when a bridge is made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_options_set_docker_socket(
    options: selur_options_t,
    path: *const c_char,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let path = unsafe { text(path, "path") }?;
        change(options, |builder| builder.socket(path))
    })
}

/// Sets the deadline of requests that are made with SELUR_DEADLINE_DEFAULT, in milliseconds; SELUR_DEADLINE_NONE, as it
/// is unless set, is none.
#[unsafe(no_mangle)]
pub extern "C" fn selur_options_set_default_deadline(
    options: selur_options_t,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        let deadline = match deadline_ms {
            SELUR_DEADLINE_NONE => None,
            milliseconds => Some(Duration::from_millis(milliseconds.into())),
        };
        change(options, |builder| builder.default_deadline(deadline))
    })
}

/// Frees options. 0 is allowed.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if they were freed before; nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn selur_options_free(options: selur_options_t) -> selur_status_t {
    guard(None, || match options {
        0 => Ok(()),
        options => OPTIONS.remove(options).map(drop),
    })
}

/// In the place of a deadline: that of the bridge's options.
pub const SELUR_DEADLINE_DEFAULT: u32 = 0;
/// In the place of a deadline, or of a time to wait: none, without end.
pub const SELUR_DEADLINE_NONE: u32 = 0xFFFF_FFFF;

fn change(
    options: selur_options_t,
    step: impl FnOnce(BridgeBuilder) -> BridgeBuilder,
) -> Result<(), Failure> {
    OPTIONS.with(options, |builder| *builder = step(std::mem::take(builder)))
}
