//! Requests without a copy: a slot in the guest's memory is reserved, written by the caller, submitted, and its answer
//! read in place.
//!
//! No Rust slice is ever formed over a slot. A slot's handle holds its memory until it is released, whatever becomes of
//! the bridge.

use crate::boundary::{Failure, given, guard, guard_out, length};
use crate::bridge::{bridge_of, selur_bridge_t};
use crate::codes::selur_status_t;
use crate::error::selur_error_t;
use crate::handles::Table;
use selur_core::{Exchanged, Response, Slot};
use std::mem::MaybeUninit;
use std::ptr;

/// A reserved part of the guest's memory, for one request frame and its answer. Owned by whoever reserved it; release it
/// with selur_slot_release(), whatever came of it.
pub type selur_slot_t = u64;

/// A slot as it was reserved.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct selur_slot_view_t {
    /// The slot itself.
    pub slot: selur_slot_t,
    /// Where the frame is to be written. Valid until the slot is released.
    pub data: *mut u8,
    /// How many bytes there are: at least as many as were asked for.
    pub capacity: u32,
    /// Where `data` lies in the arena: see selur_arena_open().
    pub offset: u32,
}

/// What a submitted slot was answered with.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct selur_answer_t {
    /// 0 if the answer is here. Else it comes to the completion queue under this number, and the slot can only be released.
    pub ticket: u64,
    /// The data of a success, where the guest wrote it; NULL if there is a ticket. Valid until the slot is submitted again or
    /// released.
    pub data: *const u8,
    /// How many bytes it has.
    pub length: u32,
    /// Where `data` lies in the arena; SELUR_NOT_IN_ARENA if it lies elsewhere, for it did not fit.
    pub offset: u32,
}

/// In the place of an offset: the data does not lie in the arena.
pub const SELUR_NOT_IN_ARENA: u32 = 0xFFFF_FFFF;

const _: () = assert!(size_of::<usize>() != 8 || size_of::<selur_slot_view_t>() == 24);
const _: () = assert!(size_of::<usize>() != 8 || size_of::<selur_answer_t>() == 24);

/// A slot that a caller holds. It keeps the guest's memory in its place, also when the guest has its part back.
struct Held {
    slot: Slot,
    /// Where it lies in the arena.
    offset: u32,
    /// The answer that did not fit into the slot, for as long as the caller may read it.
    copied: Option<Response>,
}

static SLOTS: Table<Held> = Table::new(6, "slot");

/// Reserves a slot of so many bytes, header included: at most 262,149. Room behind the frame is for the answer: a list needs
/// 33 bytes for each container.
///
/// Fails with
/// - SELUR_STATUS_INVALID_REQUEST: no frame is that long, or the bridge is closed;
/// - SELUR_STATUS_RESOURCE_EXHAUSTED: the arena has no room; it fails at once.
#[unsafe(no_mangle)]
pub extern "C" fn selur_slot_reserve(
    bridge: selur_bridge_t,
    bytes: u32,
    deadline_ms: u32,
    slot: Option<&mut MaybeUninit<selur_slot_view_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(slot, error, || {
        let slot = bridge_of(bridge, deadline_ms)?.reserve(bytes as usize)?;
        let offset = length(slot.address() - slot.arena().address());
        Ok(selur_slot_view_t {
            data: ptr::with_exposed_provenance_mut(slot.address()),
            capacity: length(slot.capacity()),
            offset,
            slot: SLOTS.insert(Held {
                slot,
                offset,
                copied: None,
            })?,
        })
    })
}

/// Hands over the frame in a slot: its first `frame_length` bytes. It never blocks.
///
/// What is answered at once, every ping and most lists and refusals, is answered here: the status is the answer's. After a
/// success the data lies in the slot, and after both a success and a failure another frame may be written into the slot and
/// be submitted. What takes longer gives a ticket; the slot's memory is the guest's again then, and must not be written.
///
/// Fails also with SELUR_STATUS_INVALID_REQUEST if the slot was released or gave a ticket before, if it has less room, or
/// if the bridge is closed; and with SELUR_STATUS_RESOURCE_EXHAUSTED as selur_submit_frame() does.
#[unsafe(no_mangle)]
pub extern "C" fn selur_slot_submit(
    slot: selur_slot_t,
    frame_length: u32,
    answer: Option<&mut MaybeUninit<selur_answer_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        let answer = given(answer)?;
        SLOTS.with(slot, |held| submit(held, frame_length, answer))?
    })
}

/// Releases a slot; its memory must not be used any more. 0 is allowed. What it was submitted for goes on.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if it was released before; nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn selur_slot_release(slot: selur_slot_t) -> selur_status_t {
    guard(None, || match slot {
        0 => Ok(()),
        slot => SLOTS.remove(slot).map(drop),
    })
}

/// Writes the answer where the caller wants it: returning it from the way that every ping takes would copy it.
#[inline]
fn submit(
    held: &mut Held,
    frame_length: u32,
    answer: &mut MaybeUninit<selur_answer_t>,
) -> Result<(), Failure> {
    held.slot.set_frame_len(frame_length as usize)?;
    answer.write(match held.slot.exchange()? {
        Exchanged::Here(place) => selur_answer_t {
            ticket: 0,
            data: ptr::with_exposed_provenance(held.slot.address() + place.start),
            length: length(place.len()),
            offset: held.offset + length(place.start),
        },
        Exchanged::Pending(ticket) => selur_answer_t {
            ticket,
            data: ptr::null(),
            length: 0,
            offset: SELUR_NOT_IN_ARENA,
        },
        Exchanged::Copied(response) => elsewhere(held, response)?,
    });
    Ok(())
}

/// An answer that was copied: its data stays where it is for as long as it is kept.
#[cold]
fn elsewhere(held: &mut Held, response: Response) -> Result<selur_answer_t, Failure> {
    if !response.is_success() {
        let message = String::from_utf8_lossy(response.data());
        return Err(Failure::new(response.status(), message));
    }
    let data = held.copied.insert(response).data();
    Ok(selur_answer_t {
        ticket: 0,
        data: data.as_ptr(),
        length: length(data.len()),
        offset: SELUR_NOT_IN_ARENA,
    })
}
