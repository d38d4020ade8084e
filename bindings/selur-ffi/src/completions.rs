//! The completion queue: the answers of what was begun and not waited for.

use crate::boundary::{Failure, guard, guard_out};
use crate::bridge::{bridge_of, selur_bridge_t};
use crate::bytes::{keep, selur_bytes_t};
use crate::codes::{selur_kind_t, selur_status_t};
use crate::error::selur_error_t;
use crate::options::{SELUR_DEADLINE_DEFAULT, SELUR_DEADLINE_NONE};
use selur_core::{Bridge, Completion, ItemHead, Status};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// An answer from the completion queue, or an item of a stream.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct selur_completion_t {
    /// The number that the submission gave; 0 for an item that selur_stream_next() gave.
    pub ticket: u64,
    /// The data of a success, the message of a failure. Yours: take or free it. 0 if it is empty.
    pub data: selur_bytes_t,
    /// Of SELUR_KIND_ENDED the exit code, or -1 if nobody knows it; of an item of logs its moment, in nanoseconds since the
    /// Unix epoch; else 0.
    pub value: i64,
    /// How many bytes `data` has.
    pub length: u32,
    /// How it ended: one of selur_status_t.
    pub status: u32,
    /// What it is: one of selur_kind_t.
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<selur_completion_t>() == 40);

/// Takes answers out of the queue, oldest first, up to `capacity`. If there is none it blocks until one comes, at most
/// `timeout_ms`; SELUR_DEADLINE_NONE is without end. On success `count` receives how many there are, 1 at least.
///
/// Several threads may wait at once; each answer goes to one of them.
///
/// Fails with
/// - SELUR_STATUS_TIMEOUT: none came in time;
/// - SELUR_STATUS_CANCELLED: the bridge is closed and every answer was drained: nothing comes any more;
/// - SELUR_STATUS_INVALID_REQUEST: `capacity` is 0, `completions` is NULL, or the bridge was freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_completions_wait(
    bridge: selur_bridge_t,
    timeout_ms: u32,
    completions: *mut selur_completion_t,
    capacity: u32,
    count: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(count, error, || {
        // SAFETY: the header asks for a place for so many, or NULL.
        let mut place = unsafe { Place::new(completions, capacity) }?;
        let bridge = bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?;
        let until = end_of(timeout_ms);
        loop {
            wait(&bridge, until)?;
            // Another thread may have been faster.
            if place.drain(&bridge) > 0 {
                return Ok(place.count);
            }
        }
    })
}

/// Waits as selur_completions_wait() does, but takes nothing and writes nothing: drain afterwards. It is for hosts whose
/// memory may be gone when a waiting thread comes back.
///
/// Fails with
/// - SELUR_STATUS_TIMEOUT: no answer came in time;
/// - SELUR_STATUS_CANCELLED: the bridge is closed and every answer was drained: nothing comes any more;
/// - SELUR_STATUS_INVALID_REQUEST: the bridge was freed.
#[unsafe(no_mangle)]
pub extern "C" fn selur_completions_ready(
    bridge: selur_bridge_t,
    timeout_ms: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        wait(&bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?, end_of(timeout_ms))
    })
}

/// Takes answers out of the queue, oldest first, up to `capacity`, without waiting. `count` receives how many there are,
/// which may be 0.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if `capacity` is 0, `completions` is NULL, or the bridge was freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_completions_drain(
    bridge: selur_bridge_t,
    completions: *mut selur_completion_t,
    capacity: u32,
    count: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(count, error, || {
        // SAFETY: the header asks for a place for so many, or NULL.
        let mut place = unsafe { Place::new(completions, capacity) }?;
        Ok(place.drain(&bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?))
    })
}

/// A file descriptor that poll() and epoll show as readable while there is something to drain, and once the bridge is
/// closed. It belongs to the bridge: neither read nor close it, and stop using it before the bridge is freed.
///
/// Fails with SELUR_STATUS_RESOURCE_EXHAUSTED if the process has no file descriptor left.
#[unsafe(no_mangle)]
pub extern "C" fn selur_completions_fd(
    bridge: selur_bridge_t,
    descriptor: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(descriptor, error, || {
        let bridge = bridge_of(bridge, SELUR_DEADLINE_DEFAULT)?;
        Ok(bridge.completions().fd()?.as_raw_fd())
    })
}

/// When a time to wait is over; never for SELUR_DEADLINE_NONE.
fn end_of(timeout_ms: u32) -> Option<Instant> {
    let most = (timeout_ms != SELUR_DEADLINE_NONE).then(|| Duration::from_millis(timeout_ms.into()));
    most.and_then(|most| Instant::now().checked_add(most))
}

/// Blocks until there is something to drain.
fn wait(bridge: &Bridge, until: Option<Instant>) -> Result<(), Failure> {
    let queue = bridge.completions();
    let most = until.map(|until| until.saturating_duration_since(Instant::now()));
    match (queue.wait(most), queue.is_finished()) {
        (true, _) => Ok(()),
        (false, true) => {
            let message = "the bridge is closed, and every answer was drained: nothing comes any more";
            Err(Failure::new(Status::Cancelled, message))
        }
        (false, false) => {
            let message = "no answer came in time: wait again, or longer";
            Err(Failure::new(Status::Timeout, message))
        }
    }
}

/// A caller's place for completions.
///
/// Invariant: `next` points to `room` more of them, which may be written until the call returns.
struct Place {
    next: *mut selur_completion_t,
    room: u32,
    count: u32,
}

impl Place {
    /// # Safety
    /// - `completions` is NULL, or points to a place for `capacity` of them.
    unsafe fn new(completions: *mut selur_completion_t, capacity: u32) -> Result<Place, Failure> {
        if completions.is_null() || capacity == 0 {
            return Err(Failure::invalid(
                "there is no place for completions: give one, and how many fit",
            ));
        }
        Ok(Place {
            next: completions,
            room: capacity,
            count: 0,
        })
    }

    /// Drains what fits, and gives how many were written in all.
    fn drain(&mut self, bridge: &Bridge) -> u32 {
        for completion in bridge.completions().drain(self.room as usize) {
            self.push(describe(completion));
        }
        self.count
    }

    fn push(&mut self, completion: selur_completion_t) {
        if self.room == 0 {
            return;
        }
        // SAFETY: the invariant: there is room for one more.
        unsafe { self.next.write(completion) };
        // SAFETY: the same; behind the last one lies no more than the end of the place.
        self.next = unsafe { self.next.add(1) };
        self.room -= 1;
        self.count += 1;
    }
}

fn describe(completion: Completion) -> selur_completion_t {
    let status = completion.response.status().into();
    let data = completion.response.into_data();
    given(completion.ticket, status, completion.item, data)
}

/// What a caller gets. Where its data cannot be kept, the status says so.
pub(crate) fn given(
    ticket: u64,
    status: selur_status_t,
    head: Option<ItemHead>,
    data: Vec<u8>,
) -> selur_completion_t {
    let length = crate::boundary::length(data.len());
    let kind = head.map_or(selur_kind_t::SELUR_KIND_ANSWER, |head| head.kind.into());
    let value = head.and_then(|head| head.value);
    let (status, data, length) = match keep(data) {
        Ok(data) => (status, data, length),
        Err(failure) => (failure.status().into(), 0, 0),
    };
    let unknown = match kind {
        selur_kind_t::SELUR_KIND_ENDED => -1,
        _ => 0,
    };
    selur_completion_t {
        ticket,
        data,
        value: value.unwrap_or(unknown),
        length,
        status: status as u32,
        kind: kind as u32,
        reserved: 0,
    }
}
