//! Requests about named volumes that block.

use crate::boundary::{guard, guard_out, optional_text, text};
use crate::bridge::selur_bridge_t;
use crate::bytes::selur_bytes_t;
use crate::codes::selur_status_t;
use crate::error::selur_error_t;
use crate::requests::{ask, tell};
use selur_core::Command;
use std::ffi::c_char;
use std::mem::MaybeUninit;

/// Makes a volume, and gives it as JSON: docs/schemas/volume.schema.json. One that exists with the same labels is left as it
/// is. `options` is JSON, docs/schemas/volume-options.schema.json; NULL means the defaults.
///
/// Fails with SELUR_STATUS_INVALID_STATE if it exists with other labels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_create_volume(
    bridge: selur_bridge_t,
    name: *const c_char,
    options: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let name = unsafe { text(name, "name") }?;
        // SAFETY: the same.
        let options = unsafe { optional_text(options, "options") }?;
        ask(bridge, deadline_ms, Command::CreateVolume, &[Some(name), options])
    })
}

/// What is known of a volume, as JSON: docs/schemas/volume.schema.json.
///
/// Fails with SELUR_STATUS_VOLUME_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_inspect_volume(
    bridge: selur_bridge_t,
    name: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let name = unsafe { text(name, "name") }?;
        ask(bridge, deadline_ms, Command::InspectVolume, &[Some(name)])
    })
}

/// Every volume, ordered by name, as JSON: a list of docs/schemas/volume.schema.json.
#[unsafe(no_mangle)]
pub extern "C" fn selur_list_volumes(
    bridge: selur_bridge_t,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        ask(bridge, deadline_ms, Command::ListVolumes, &[])
    })
}

/// Removes a volume and what is in it.
///
/// Fails with SELUR_STATUS_VOLUME_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if a container mounts it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_delete_volume(
    bridge: selur_bridge_t,
    name: *const c_char,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let name = unsafe { text(name, "name") }?;
        tell(bridge, deadline_ms, Command::DeleteVolume, &[Some(name)])
    })
}
