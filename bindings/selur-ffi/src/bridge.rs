//! Bridges: made, closed, freed.

use crate::boundary::{Failure, guard, guard_out};
use crate::bytes::{keep, selur_bytes_t};
use crate::codes::selur_status_t;
use crate::error::selur_error_t;
use crate::handles::Table;
use crate::options::{OPTIONS, SELUR_DEADLINE_DEFAULT, SELUR_DEADLINE_NONE, selur_options_t};
use selur_core::{Arena, Bridge};
use std::mem::MaybeUninit;
use std::time::Duration;

/// A bridge: a guest that decides, and a runtime that performs. Any number of threads may use it at once. Owned by
/// whoever made it; free it with selur_bridge_free().
pub type selur_bridge_t = u64;

/// The part of the guest's memory that slots lie in, held in its place. Owned by whoever opened it; free it with
/// selur_arena_free().
pub type selur_arena_t = u64;

/// Where an arena lies.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct selur_arena_view_t {
    /// The arena itself.
    pub arena: selur_arena_t,
    /// Its first byte.
    pub data: *mut u8,
    /// Its length in bytes, which never changes.
    pub length: u32,
}

static BRIDGES: Table<Bridge> = Table::new(4, "bridge");
static ARENAS: Table<Arena> = Table::new(5, "arena");

/// The bridge that a handle names, with the deadline that a call asks for.
pub(crate) fn bridge_of(bridge: selur_bridge_t, deadline_ms: u32) -> Result<Bridge, Failure> {
    BRIDGES.with(bridge, |bridge| match deadline_ms {
        SELUR_DEADLINE_DEFAULT => bridge.clone(),
        SELUR_DEADLINE_NONE => bridge.with_deadline(None),
        milliseconds => bridge.with_deadline(Some(Duration::from_millis(milliseconds.into()))),
    })
}

/// Makes a bridge. `options` are copied; 0 means the defaults.
///
/// Fails with
/// - SELUR_STATUS_INVALID_REQUEST: the guest is refused, or $DOCKER_HOST names no unix socket, and the message says why;
/// - SELUR_STATUS_INTERNAL_ERROR: the guest traps when it is loaded;
/// - SELUR_STATUS_UNSUPPORTED, SELUR_STATUS_PERMISSION_DENIED: the runtime cannot run here, and the message says what is
///   missing.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bridge_new(
    options: selur_options_t,
    bridge: Option<&mut MaybeUninit<selur_bridge_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(bridge, error, || {
        let builder = match options {
            0 => Bridge::builder(),
            options => OPTIONS.copy(options)?,
        };
        BRIDGES.insert(builder.build()?)
    })
}

/// Closes a bridge: it takes no more requests, answers every open one with SELUR_STATUS_CANCELLED, tells what is in flight
/// to end early and waits for that, up to 5 s. Containers go on. Closing again does nothing.
///
/// Answers that were not drained can still be drained; every other call gives SELUR_STATUS_INVALID_REQUEST from now on.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bridge_close(
    bridge: selur_bridge_t,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.close();
        Ok(())
    })
}

/// Closes a bridge and frees it; answers that were not drained are dropped. 0 is allowed. Calls of other threads that are
/// under way end as selur_bridge_close() says. Slots and arenas keep their memory until they are released.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bridge_free(bridge: selur_bridge_t) -> selur_status_t {
    guard(None, || {
        if bridge != 0 {
            BRIDGES.remove(bridge)?.close();
        }
        Ok(())
    })
}

/// How many bytes of memory the guest has: 1,048,576, which never changes.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bridge_memory_size(
    bridge: selur_bridge_t,
    bytes: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(bytes, error, || {
        let info = bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.info();
        Ok(info.guest.memory_pages * 65_536)
    })
}

/// The name of the runtime that performs the effects: simulated, oci, docker.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bridge_runtime(
    bridge: selur_bridge_t,
    name: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(name, error, || {
        let info = bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.info();
        keep(info.backend.as_bytes().to_vec())
    })
}

/// The kernel's digest of its logical state: equal inputs give equal digests.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bridge_state_digest(
    bridge: selur_bridge_t,
    digest: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(digest, error, || {
        bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.state_digest()
    })
}

/// Opens the arena of a bridge, for hosts that keep one view of all slots: `offset` of a slot counts from its first byte.
/// Nothing but frames and answers is in there, and it stays where it is until it is freed, also when the bridge is freed
/// before.
#[unsafe(no_mangle)]
pub extern "C" fn selur_arena_open(
    bridge: selur_bridge_t,
    arena: Option<&mut MaybeUninit<selur_arena_view_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(arena, error, || {
        let arena = bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?.arena()?;
        Ok(selur_arena_view_t {
            data: std::ptr::with_exposed_provenance_mut(arena.address()),
            length: crate::boundary::length(arena.len()),
            arena: ARENAS.insert(arena)?,
        })
    })
}

/// Frees an arena; views of it must not be used any more. 0 is allowed.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn selur_arena_free(arena: selur_arena_t) -> selur_status_t {
    guard(None, || match arena {
        0 => Ok(()),
        arena => ARENAS.remove(arena).map(drop),
    })
}
