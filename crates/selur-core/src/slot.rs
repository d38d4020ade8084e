//! Requests without a copy: a slot in the guest's memory is reserved, written, submitted, answered and released, each
//! once, which Rust's ownership expresses.

use crate::arena::{Arena, ArenaPlace};
use crate::deadline;
use crate::driver::{self, Admitted, arena_full};
use crate::guest::Broken;
use crate::message::{self, Subject};
use crate::shared::{Access, Shared, settled, sparing};
use crate::slots::Region;
use crate::state::{OpenRequest, Place, Sink, State, Work};
use crate::ticket::{Cell, Ticket};
use crate::{Begun, Error, Response, Status};
use selur_protocol::abi::Outcome;
use selur_protocol::{HEADER_BYTES, MAX_FRAME_BYTES, Reason};
use std::fmt;
use std::ops::Range;
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
    /// Where it lies in this process.
    address: usize,
    /// Where the arena does.
    arena: ArenaPlace,
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

/// What became of a frame that was exchanged in its slot.
#[derive(Debug)]
pub enum Exchanged {
    /// A success. Its data lies here in the slot, until that is written to, exchanged again or dropped.
    Here(Range<usize>),
    /// A failure, or an answer that did not fit the slot.
    Copied(Response),
    /// The answer comes to [`crate::Bridge::completions`] under this number. The slot is released.
    Pending(u64),
}

/// A response where the guest wrote it. Dropping it releases its slot.
pub struct SlotResponse {
    slot: Slot,
    content: Content,
}

enum Content {
    /// A success: its data's place in the slot.
    Here(Range<usize>),
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
                format!(
                    "{}; no frame has {bytes} bytes, reserve at most {MAX_FRAME_BYTES}",
                    Reason::PayloadTooLong.message()
                ),
            ));
        };
        let reserved = shared.ask(Access::Caller, |state| {
            let Some(region) = state.slots.reserve(&mut state.guest, asked)? else {
                return Ok(None);
            };
            let address = state.guest.memory().address(region.offset, region.bytes)?;
            Ok(Some((region, address, ArenaPlace::of(&state.guest)?)))
        })?;
        let (region, address, arena) = reserved.ok_or_else(arena_full)?;
        Ok(Slot {
            held: Held {
                shared: shared.clone(),
                region,
                is_held: true,
            },
            frame_bytes: asked,
            deadline,
            address,
            arena,
        })
    }

    /// Where its first byte lies in this process's memory, for foreign code that writes the frame there. Valid for
    /// [`Slot::capacity`] bytes until the slot is released, or longer with an [`Arena`]; exposed provenance.
    #[inline]
    pub fn address(&self) -> usize {
        self.address
    }

    /// The arena that it lies in.
    pub fn arena(&self) -> Arena {
        Arena::new(self.held.shared.clone(), self.arena)
    }

    /// How many bytes can be written: at least as many as were reserved.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.held.region.bytes as usize
    }

    /// How many bytes [`Slot::submit`] hands over: what was reserved, unless [`Slot::set_frame_len`] said otherwise.
    #[inline]
    pub fn frame_len(&self) -> usize {
        self.frame_bytes as usize
    }

    /// Says how long the frame is, header included. Room behind it is for the answer: a list needs 33 bytes for each
    /// container.
    ///
    /// # Errors
    /// `invalid_request`: the slot has less room.
    #[inline]
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
    /// - `invalid_request`: they do not fit; nothing is written. Or the bridge is closed, or the slot released.
    /// - `internal_error`: the guest is broken.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let end = offset
            .checked_add(bytes.len())
            .filter(|end| *end <= self.capacity());
        if end.is_none() {
            return Err(self.too_short(offset.saturating_add(bytes.len())));
        }
        self.check_held()?;
        let at = self.held.region.offset + offset as u32;
        self.held
            .shared
            .ask(Access::Caller, |state| state.guest.memory().write(at, bytes))
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
        if let Some(place) = self.pinged()? {
            return Ok(Submission::Ready(self.answered(Content::Here(place))));
        }
        let mut cell = None;
        let taken = self.hand_over(&mut || Sink::Cell(cell.insert(Cell::new()).clone()))?;
        Ok(match (taken, cell) {
            (Taken::Pending(number), Some(cell)) => {
                Submission::Pending(Ticket::coming(number, self.held.shared.clone(), cell))
            }
            (Taken::Pending(number), None) => {
                Submission::Pending(Ticket::answered(number, Response::from(Error::closed())))
            }
            (Taken::Here(place), _) => Submission::Ready(self.answered(Content::Here(place))),
            (Taken::Copied(response), _) => Submission::Ready(self.answered(Content::Copied(response))),
        })
    }

    /// Hands the frame over as [`Slot::submit`] does, and leaves the slot where it is: for foreign code, which reads the
    /// answer by address. An answer that does not come at once comes to the completion queue.
    ///
    /// # Errors
    /// As [`Slot::submit`], and
    /// - `invalid_request`: the slot was released, for an answer was to come to the queue;
    /// - `resource_exhausted`: 32,768 answers are on their way or undrained.
    #[inline]
    pub fn exchange(&mut self) -> Result<Exchanged, Error> {
        match self.pinged()? {
            Some(place) => Ok(Exchanged::Here(place)),
            None => self.hand_over_to_queue(),
        }
    }

    /// Hands the frame over as [`Slot::exchange`] does, and shows the data where it lies if it is there at once: a ping takes
    /// one lock and one guest call, and no byte of it is copied.
    ///
    /// `read` is called with the bridge locked: it must not use the bridge, nor anything of it. This is for slots that Rust
    /// alone writes; where foreign code has the address it is [`Slot::exchange`] that shows no bytes.
    ///
    /// ```
    /// use selur_core::{Backend, Begun, Bridge};
    ///
    /// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    /// let frame = [0x00, 2, 0, 0, 0, b'h', b'i'];
    /// let mut slot = bridge.reserve(frame.len())?;
    /// slot.write_at(0, &frame)?;
    /// assert_eq!(slot.exchange_with(|data| data.len())?, Begun::Answered(2));
    /// # Ok::<(), selur_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Slot::exchange`], and the status and message of a failure that is there at once.
    #[inline]
    pub fn exchange_with<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Result<Begun<R>, Error> {
        self.check_held()?;
        let (region, frame_bytes, read) = (self.held.region, self.frame_bytes, sparing(read));
        let asked = self
            .held
            .shared
            .ask(Access::Caller, |state| state.show_ping(region, frame_bytes, read))?;
        let read = match asked {
            Ok(shown) => return Ok(Begun::Answered(settled(shown))),
            Err(read) => read,
        };
        let shown = match self.hand_over_to_queue()? {
            Exchanged::Pending(number) => return Ok(Begun::Pending(number)),
            Exchanged::Copied(response) => read(&response.into_result()?),
            Exchanged::Here(place) => self.held.show(&place, read).ok_or_else(unread)?,
        };
        Ok(Begun::Answered(settled(shown)))
    }

    /// Where the answer lies, if the slot holds a ping: one lock, one guest call, and nothing that is left to do. No slice is
    /// formed of it: foreign code may be writing it.
    #[inline]
    fn pinged(&self) -> Result<Option<Range<usize>>, Error> {
        self.check_held()?;
        let (region, frame_bytes) = (self.held.region, self.frame_bytes);
        let is_ping = self
            .held
            .shared
            .ask(Access::Caller, |state| state.holds_ping(region, frame_bytes))?;
        Ok(is_ping.then(|| HEADER_BYTES..self.frame_len()))
    }

    fn hand_over_to_queue(&mut self) -> Result<Exchanged, Error> {
        self.held.shared.queue.expect()?;
        let taken = self.hand_over(&mut || Sink::Queue);
        if !matches!(taken, Ok(Taken::Pending(_))) {
            self.held.shared.queue.unexpect();
        }
        Ok(match taken? {
            Taken::Pending(number) => {
                // What was copied out of it left it reserved.
                self.held.release();
                Exchanged::Pending(number)
            }
            Taken::Here(place) => Exchanged::Here(place),
            Taken::Copied(response) => Exchanged::Copied(response),
        })
    }

    /// Submits the frame.
    fn hand_over(&mut self, sink: &mut dyn FnMut() -> Sink) -> Result<Taken, Error> {
        let (region, frame_bytes) = (self.held.region, self.frame_bytes);
        let deadline = deadline::from_now(self.deadline);
        let mut is_held = true;
        let mut opened = None;
        let taken = self.held.shared.with_guest(Access::Caller, |state, work| {
            let number = state.number();
            let mut sink = || {
                opened = Some(number);
                sink()
            };
            let submission = Submitted {
                number,
                region,
                frame_bytes,
                deadline,
            };
            state.submit_in_place(submission, &mut sink, &mut is_held, work)
        });
        self.held.is_held = is_held;
        match (taken, opened) {
            // The guest broke when it had taken the request, which was then answered as every open one.
            (Err(_), Some(number)) => Ok(Taken::Pending(number)),
            (taken, _) => taken,
        }
    }

    fn answered(self, content: Content) -> SlotResponse {
        SlotResponse { slot: self, content }
    }

    /// Refuses to use a slot that is the guest's again: by now it may be another's.
    #[inline]
    fn check_held(&self) -> Result<(), Error> {
        match self.held.is_held {
            true => Ok(()),
            false => Err(released()),
        }
    }

    #[cold]
    fn too_short(&self, bytes: usize) -> Error {
        let message = format!(
            "{bytes} bytes do not fit the slot of {}: reserve more",
            self.capacity()
        );
        Error::new(Status::InvalidRequest, message)
    }
}

/// A frame in a slot, as it is handed over.
struct Submitted {
    number: u64,
    region: Region,
    frame_bytes: u32,
    deadline: Option<Instant>,
}

enum Taken {
    /// A success, whose data lies here in the slot.
    Here(Range<usize>),
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
            Content::Here(_) => Status::Success,
            Content::Copied(response) => response.status(),
        }
    }

    /// Shows the command's data where it lies, on failure the message, with the bridge locked: `read` must not use the
    /// bridge, nor anything of it. Nothing is shown if the guest broke since.
    pub fn with<R>(&self, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match &self.content {
            Content::Copied(response) => Some(read(response.data())),
            Content::Here(place) => self.slot.held.show(place, read),
        }
    }

    /// The slot that it belongs to.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Where in its slot the data of a success lies, for foreign code that reads it there; none if it is not there, and
    /// then [`SlotResponse::with`] has it.
    pub fn place(&self) -> Option<Range<usize>> {
        match &self.content {
            Content::Copied(_) => None,
            Content::Here(place) => Some(place.clone()),
        }
    }

    /// The response, copied out.
    pub fn to_response(&self) -> Response {
        match &self.content {
            Content::Copied(response) => response.clone(),
            Content::Here(_) => match self.with(<[u8]>::to_vec) {
                Some(data) => Response::success(data),
                None => Response::from(unread()),
            },
        }
    }

    /// The slot, for another frame; the response is gone.
    pub fn into_slot(self) -> Slot {
        self.slot
    }
}

#[cold]
fn released() -> Error {
    Error::new(
        Status::InvalidRequest,
        "this slot was submitted: release it, and reserve another",
    )
}

#[cold]
fn unread() -> Error {
    Error::new(
        Status::InternalError,
        "the guest broke before its answer was read: build another bridge",
    )
}

impl Held {
    /// Shows what lies at a place of it, with the bridge locked. Nothing is shown if the guest broke since.
    fn show<R>(&self, place: &Range<usize>, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let offset = self.region.offset + place.start as u32;
        let bytes = place.len() as u32;
        self.shared
            .reading(|state| state.guest.memory().with(offset, bytes, read).ok())
    }

    /// Gives the region back, once.
    fn release(&mut self) {
        if std::mem::take(&mut self.is_held) {
            let region = self.region;
            // A closed bridge, and a broken one, has no use for it.
            let _ = self.shared.ask(Access::Bridge, |state| {
                state.slots.release(&mut state.guest, region)
            });
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
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
        submission: Submitted,
        sink: &mut dyn FnMut() -> Sink,
        is_held: &mut bool,
        work: &mut Work,
    ) -> Result<Taken, Broken> {
        let Submitted {
            number,
            region,
            frame_bytes,
            deadline,
        } = submission;
        let frame = self.guest.memory().to_vec(region.offset, frame_bytes)?;
        if !self.goes_around(number, &frame) {
            let submitted = self.exchange_in(region, frame_bytes)?;
            match submitted.outcome {
                Outcome::Pending { ticket } => {
                    match driver::is_create(&frame) {
                        true => self.slots.consumed(region),
                        false => self.slots.release(&mut self.guest, region)?,
                    }
                    *is_held = false;
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
                            let begin = (offset + 1 - region.offset) as usize;
                            return Ok(Taken::Here(begin..begin + bytes as usize - 1));
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
        Ok(match self.admit(number, &frame, deadline, sink, work)? {
            Admitted::Ready(response) => Taken::Copied(response),
            Admitted::Open => Taken::Pending(number),
        })
    }

    /// Whether a frame must be copied out of its slot instead of being submitted there.
    fn goes_around(&self, number: u64, frame: &[u8]) -> bool {
        !frame.is_empty()
            && (self.refresh.is_wanted_for(frame)
                || self.is_behind_another(number, frame)
                || self.queues(frame))
    }

    /// Whether a refusal is one that the way of copied frames can still turn.
    fn is_worth_another_way(&self, reason: Reason) -> bool {
        match reason {
            Reason::TicketsFull | Reason::SlotTooSmall => true,
            _ => self.refresh.is_shared() && driver::is_doubtful(reason),
        }
    }
}
