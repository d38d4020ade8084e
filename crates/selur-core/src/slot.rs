//! Requests without a copy: a slot in the guest's memory is reserved, written, submitted, answered and released, each
//! once, which Rust's ownership expresses.

use crate::driver::{self, Admitted, arena_full};
use crate::guest::Broken;
use crate::message::{self, Subject};
use crate::shared::{Access, Shared};
use crate::slots::Region;
use crate::state::{OpenRequest, Place, Sink, State, Work};
use crate::ticket::{Cell, Ticket};
use crate::{Error, Response, Status};
use selur_protocol::abi::Outcome;
use selur_protocol::{Command, MAX_FRAME_BYTES, Reason};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A reserved part of the guest's memory, for one request frame.
///
/// ```
/// use selur_core::{Backend, Bridge, Status, Submission};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let frame = [0x00, 2, 0, 0, 0, b'h', b'i'];
/// let mut slot = bridge.reserve(frame.len())?;
/// slot.write_at(0, &frame)?;
/// let Submission::Ready(answer) = slot.submit()? else { unreachable!("a ping is answered at once") };
/// assert_eq!(answer.status(), Status::Success);
/// answer.with(|data| assert_eq!(data, b"hi"));
/// let slot = answer.into_slot(); // for the next frame, without reserving again
/// # drop(slot);
/// # Ok::<(), selur_core::Error>(())
/// ```
#[must_use = "dropping a slot releases it"]
pub struct Slot {
    held: Held,
    frame_bytes: u32,
    deadline: Option<Duration>,
}

/// A region that is given back when it is dropped.
struct Held {
    shared: Arc<Shared>,
    region: Region,
    is_held: bool,
}

/// What became of a submitted slot.
#[derive(Debug)]
pub enum Submission {
    /// The answer came at once and lies in the slot.
    Ready(SlotResponse),
    /// The answer comes by the ticket. The slot is released.
    Pending(Ticket),
}

/// A response where the guest wrote it. Dropping it releases its slot.
pub struct SlotResponse {
    slot: Slot,
    content: Content,
}

enum Content {
    /// A success: its data's place in linear memory.
    Here { offset: u32, bytes: u32 },
    /// A failure, or an answer that did not fit the slot.
    Copied(Response),
}

impl Slot {
    pub(crate) fn reserve(
        shared: &Arc<Shared>,
        bytes: usize,
        deadline: Option<Duration>,
    ) -> Result<Slot, Error> {
        let asked = u32::try_from(bytes)
            .ok()
            .filter(|asked| *asked as usize <= MAX_FRAME_BYTES);
        let Some(asked) = asked else {
            return Err(Error::new(
                Status::InvalidRequest,
                format!("no frame has {bytes} bytes: reserve at most {MAX_FRAME_BYTES}"),
            ));
        };
        let region = shared.with_guest(Access::Caller, |state, _| {
            state.slots.reserve(&mut state.guest, asked)
        })?;
        let region = region.ok_or_else(arena_full)?;
        Ok(Slot {
            held: Held {
                shared: shared.clone(),
                region,
                is_held: true,
            },
            frame_bytes: asked,
            deadline,
        })
    }

    /// How many bytes can be written: at least as many as were reserved.
    pub fn capacity(&self) -> usize {
        self.held.region.bytes as usize
    }

    /// How many bytes [`Slot::submit`] hands over: what was reserved, unless [`Slot::set_frame_len`] said otherwise.
    pub fn frame_len(&self) -> usize {
        self.frame_bytes as usize
    }

    /// Says how long the frame is, header included. Room behind it is for the answer: a list needs 33 bytes for each
    /// container.
    ///
    /// # Errors
    /// `invalid_request`: the slot has less room.
    pub fn set_frame_len(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.capacity() {
            return Err(self.too_short(bytes));
        }
        self.frame_bytes = bytes as u32;
        Ok(())
    }

    /// Copies bytes into the slot.
    ///
    /// # Errors
    /// - `invalid_request`: they do not fit; nothing is written. Or the bridge is closed.
    /// - `internal_error`: the guest is broken.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let end = offset
            .checked_add(bytes.len())
            .filter(|end| *end <= self.capacity());
        if end.is_none() {
            return Err(self.too_short(offset.saturating_add(bytes.len())));
        }
        let at = self.held.region.offset + offset as u32;
        self.held.shared.with_guest(Access::Caller, |state, _| {
            let written = state.guest.memory().write(at, bytes);
            written.ok_or_else(|| Broken::new("its arena is not within its memory"))
        })
    }

    /// Hands the frame over.
    ///
    /// A request that cannot be answered at once is copied out of the slot if the kernel has no ticket for it, or if
    /// the runtime has to be listed first.
    ///
    /// # Errors
    /// - `invalid_request`: the bridge is closed.
    /// - `internal_error`: the guest is broken.
    pub fn submit(mut self) -> Result<Submission, Error> {
        let shared = self.held.shared.clone();
        let region = self.held.region;
        let frame_bytes = self.frame_bytes;
        let deadline = self.deadline.and_then(|most| Instant::now().checked_add(most));
        let mut cell = None;
        let mut is_held = true;
        let taken = shared.with_guest(Access::Caller, |state, work| {
            let mut sink = || Sink::Cell(cell.insert(Cell::new()).clone());
            state.submit_in_place(region, frame_bytes, deadline, &mut sink, &mut is_held, work)
        });
        self.held.is_held = is_held;
        Ok(match (taken?, cell) {
            (Taken::Pending(number), Some(cell)) => Submission::Pending(Ticket::coming(number, shared, cell)),
            (Taken::Pending(number), None) => {
                Submission::Pending(Ticket::answered(number, Response::from(Error::closed())))
            }
            (Taken::Here { offset, bytes }, _) => Submission::Ready(SlotResponse {
                slot: self,
                content: Content::Here { offset, bytes },
            }),
            (Taken::Copied(response), _) => Submission::Ready(SlotResponse {
                slot: self,
                content: Content::Copied(response),
            }),
        })
    }

    fn too_short(&self, bytes: usize) -> Error {
        let message = format!(
            "{bytes} bytes do not fit the slot of {}: reserve more",
            self.capacity()
        );
        Error::new(Status::InvalidRequest, message)
    }
}

enum Taken {
    Here { offset: u32, bytes: u32 },
    Copied(Response),
    Pending(u64),
}

impl Submission {
    /// The answer, copied out; blocks until it is there.
    pub fn wait(self) -> Response {
        match self {
            Submission::Ready(answer) => answer.to_response(),
            Submission::Pending(ticket) => ticket.wait(),
        }
    }
}

impl SlotResponse {
    /// How the request ended.
    pub fn status(&self) -> Status {
        match &self.content {
            Content::Here { .. } => Status::Success,
            Content::Copied(response) => response.status(),
        }
    }

    /// Shows the command's data where it lies, on failure the message, with the bridge locked: `read` must not use the
    /// bridge, nor anything of it. Nothing is shown if the guest broke since.
    pub fn with<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self.content {
            Content::Copied(ref response) => Some(read(response.data())),
            Content::Here { offset, bytes } => self
                .slot
                .held
                .shared
                .reading(|state| state.guest.memory().with(offset, bytes, read)),
        }
    }

    /// The response, copied out.
    pub fn to_response(&self) -> Response {
        match &self.content {
            Content::Copied(response) => response.clone(),
            Content::Here { .. } => match self.with(<[u8]>::to_vec) {
                Some(data) => Response::success(data),
                None => Response::failure(
                    Status::InternalError,
                    "the guest broke before its answer was read: build another bridge",
                ),
            },
        }
    }

    /// The slot, for another frame; the response is gone.
    pub fn into_slot(self) -> Slot {
        self.slot
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_held {
            let region = self.region;
            // A closed bridge, and a broken one, has no use for it.
            let _ = self.shared.with_guest(Access::Bridge, |state, _| {
                state.slots.release(&mut state.guest, region)
            });
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("capacity", &self.capacity())
            .field("frame_len", &self.frame_len())
            .finish()
    }
}

impl fmt::Debug for SlotResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotResponse")
            .field("status", &self.status())
            .finish()
    }
}

impl State {
    /// Submits the frame in a slot, there if that is possible. `is_held` is cleared when the slot is given back.
    fn submit_in_place(
        &mut self,
        region: Region,
        frame_bytes: u32,
        deadline: Option<Instant>,
        sink: &mut dyn FnMut() -> Sink,
        is_held: &mut bool,
        work: &mut Work,
    ) -> Result<Taken, Broken> {
        let unreadable = || Broken::new("its arena is not within its memory");
        let mut code = [u8::MAX];
        let memory = self.guest.memory();
        memory.read(region.offset, &mut code).ok_or_else(unreadable)?;
        // A ping is the one request that never needs its frame again.
        let frame = match code[0] == Command::Ping.code() {
            true => Vec::new(),
            false => memory.to_vec(region.offset, frame_bytes).ok_or_else(unreadable)?,
        };
        if !self.goes_around(&frame) {
            let submitted = self.exchange_in(region, frame_bytes)?;
            match submitted.outcome {
                Outcome::Pending { ticket } => {
                    match code[0] == Command::CreateContainer.code() {
                        true => self.slots.consumed(region),
                        false => self.slots.release(&mut self.guest, region)?,
                    }
                    *is_held = false;
                    let number = self.number();
                    let request = OpenRequest {
                        sink: sink(),
                        subject: Subject::of(&frame),
                        deadline,
                        place: Place::Kernel(ticket, driver::kept(&frame)),
                        is_refreshed: false,
                    };
                    self.open(number, request, work);
                    self.drain(None, work)?;
                    return Ok(Taken::Pending(number));
                }
                Outcome::Ready {
                    offset,
                    bytes,
                    reason,
                    state,
                    ..
                } => {
                    if submitted.outputs_waiting {
                        self.drain(None, work)?;
                    }
                    match reason {
                        None => {
                            let (offset, bytes) = (offset + 1, bytes - 1);
                            return Ok(Taken::Here { offset, bytes });
                        }
                        Some(reason) if !self.is_worth_another_way(reason) => {
                            let response = message::failure(reason, state, &Subject::of(&frame));
                            return Ok(Taken::Copied(response));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        let number = self.number();
        Ok(match self.admit(number, &frame, deadline, sink, work)? {
            Admitted::Ready(response) => Taken::Copied(response),
            Admitted::Open => Taken::Pending(number),
        })
    }

    /// Whether a frame must be copied out of its slot instead of being submitted there.
    fn goes_around(&self, frame: &[u8]) -> bool {
        !frame.is_empty() && (self.refresh.is_wanted_for(frame) || self.queues(frame))
    }

    /// Whether a refusal is one that the way of copied frames can still turn.
    fn is_worth_another_way(&self, reason: Reason) -> bool {
        match reason {
            Reason::TicketsFull | Reason::SlotTooSmall => true,
            _ => self.refresh.is_shared() && driver::is_doubtful(reason),
        }
    }
}
