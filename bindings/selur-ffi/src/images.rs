//! Requests about images that block.

use crate::boundary::{guard, guard_out, optional_text, text};
use crate::bridge::selur_bridge_t;
use crate::bytes::selur_bytes_t;
use crate::codes::selur_status_t;
use crate::error::selur_error_t;
use crate::requests::{ask, tell};
use selur_core::Command;
use std::ffi::c_char;
use std::mem::MaybeUninit;

/// Fetches an image from its registry, whether the store has it or not, and gives it as JSON: docs/schemas/image.schema.json.
///
/// Fails with
/// - SELUR_STATUS_IMAGE_NOT_FOUND: no such image, or none for this platform;
/// - SELUR_STATUS_PERMISSION_DENIED, SELUR_STATUS_NETWORK_ERROR: from the registry;
/// - SELUR_STATUS_RESOURCE_EXHAUSTED: the disk is full, or the image over the size cap;
/// - SELUR_STATUS_UNSUPPORTED: the runtime has no image store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_pull_image(
    bridge: selur_bridge_t,
    image: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let image = unsafe { text(image, "image") }?;
        ask(bridge, deadline_ms, Command::PullImage, &[Some(image)])
    })
}

/// Every image of the store, ordered by reference, as JSON: a list of docs/schemas/image.schema.json.
#[unsafe(no_mangle)]
pub extern "C" fn selur_list_images(
    bridge: selur_bridge_t,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || ask(bridge, deadline_ms, Command::ListImages, &[]))
}

/// Removes an image's name, and the image with its last name.
///
/// Fails with SELUR_STATUS_IMAGE_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if a container is made from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_delete_image(
    bridge: selur_bridge_t,
    image: *const c_char,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let image = unsafe { text(image, "image") }?;
        tell(bridge, deadline_ms, Command::DeleteImage, &[Some(image)])
    })
}

/// Takes images into the store from an OCI image layout, an archive of one, or one that `docker save` wrote, and gives them as
/// JSON. `path` is absolute. `options` is JSON, {"reference":"name:tag"} names the one image that is in there; NULL means the
/// names that the images bring.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if there is no layout, an image has no name, or what is there is broken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_load_image(
    bridge: selur_bridge_t,
    path: *const c_char,
    options: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let path = unsafe { text(path, "path") }?;
        // SAFETY: the same.
        let options = unsafe { optional_text(options, "options") }?;
        ask(bridge, deadline_ms, Command::LoadImage, &[Some(path), options])
    })
}

/// Sends an image of the store to the registry that its reference names, and gives its reference and digest as JSON.
///
/// Fails as selur_pull_image(); with SELUR_STATUS_IMAGE_NOT_FOUND if the store lacks it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_push_image(
    bridge: selur_bridge_t,
    image: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let image = unsafe { text(image, "image") }?;
        ask(bridge, deadline_ms, Command::PushImage, &[Some(image)])
    })
}

/// Gives an image of the store another name; one that another image has is taken from that.
///
/// Fails with SELUR_STATUS_IMAGE_NOT_FOUND if the store lacks it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_tag_image(
    bridge: selur_bridge_t,
    image: *const c_char,
    name: *const c_char,
    deadline_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        // SAFETY: the header asks for NULL or a text.
        let image = unsafe { text(image, "image") }?;
        // SAFETY: the same.
        let name = unsafe { text(name, "name") }?;
        tell(bridge, deadline_ms, Command::TagImage, &[Some(image), Some(name)])
    })
}

/// Removes what nothing uses from the store, and gives what was freed as JSON. `options` is JSON,
/// docs/schemas/prune-options.schema.json; NULL means the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_prune_images(
    bridge: selur_bridge_t,
    options: *const c_char,
    deadline_ms: u32,
    json: Option<&mut MaybeUninit<selur_bytes_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(json, error, || {
        // SAFETY: the header asks for NULL or a text.
        let options = unsafe { optional_text(options, "options") }?;
        ask(bridge, deadline_ms, Command::PruneImages, &[options])
    })
}
