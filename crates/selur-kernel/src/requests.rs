//! Submit: a frame comes in by its slot, and is answered there or gets a ticket.
//!
//! The bytes of a slot may change while they are read, if a host breaks its promise. So a frame is copied before it is
//! decoded; of a create, whose payload may be long, the name is copied and then checked.

use crate::arena::{Arena, Slot, Stage};
use crate::engine::{Engine, failed, is_exclusive};
use crate::input::SlotUse;
use crate::lifecycle::{Decision, decide};
use crate::link::Link;
use crate::operations::{Chain, EffectStage, Task};
use crate::table::Phase;
use crate::utf8::is_utf8;
use selur_protocol::abi::{Answer, Outcome};
use selur_protocol::{
    Command, ContainerId, ContainerName, ContainerRef, Frame, HEADER_BYTES, Hosted, MAX_NAME_BYTES,
    MAX_PAYLOAD_BYTES, Reason, Request, State, Status, Subject,
};

/// Where a response begins in its slot: its data begins where the payload began, so that a ping's never moves.
const STATUS_OFFSET: usize = HEADER_BYTES - 1;

// What makes a ping its own answer: the last byte of its length is the status of a success.
const _: () = assert!(MAX_PAYLOAD_BYTES < 1 << 24 && Status::Success.code() == 0);

/// Longer frames are those of hosted commands, whose options may be long, and those with leading zeros. They are decoded in
/// place: nothing but a container's name is read of them, and bytes that change give another name, or none.
const COPY_BYTES: usize = 256;

/// How a request goes on.
enum Progress {
    /// Answered: so many bytes of data lie behind the status.
    Data(usize),
    /// It has a ticket, and its slot is no longer needed.
    Pending(u64),
    /// It has a ticket, and its payload stays in the slot until the effect is polled.
    Holding(u64),
}

/// Why a request is refused.
struct Refusal {
    reason: Reason,
    state: Option<State>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal { reason, state: None }
    }
}

/// A request whose container is found.
enum Resolved {
    List,
    On(usize, Task),
    /// A hosted command that names no container.
    Host(Command),
}

/// Whether these bytes are a ping: text behind a true header.
#[inline(always)]
pub(crate) fn is_ping(bytes: &[u8]) -> bool {
    match Frame::parse(bytes) {
        Ok(frame) => frame.command() == Command::Ping && is_utf8(frame.payload()),
        Err(_) => false,
    }
}

/// Writes the status in front of an answer that is there.
fn answered(arena: &mut Arena<'_>, slot: Slot, slot_use: SlotUse, status: Status) {
    arena.bytes_mut(slot)[STATUS_OFFSET] = status.code();
    if slot_use == SlotUse::Consume {
        arena.set_stage(slot, Stage::Answered);
    }
}

impl Engine<'_> {
    /// Takes a frame from its slot and answers it there, or gives it a ticket.
    pub(crate) fn submit(
        &mut self,
        handle: u64,
        frame_bytes: u32,
        slot_use: SlotUse,
        new_id: ContainerId,
    ) -> Outcome {
        let slot = match self.arena.slot(handle) {
            Ok(slot) if slot.stage == Stage::Reserved => slot,
            _ => {
                return Outcome::Ready {
                    offset: 0,
                    bytes: 0,
                    status: Reason::StaleHandle.status(),
                    reason: Some(Reason::StaleHandle),
                    state: None,
                };
            }
        };
        let progress = self.carry_out(slot, frame_bytes as usize, new_id);
        let (bytes, status, reason, state) = match progress {
            Ok(Progress::Data(bytes)) => (1 + bytes, Status::Success, None, None),
            Err(Refusal { reason, state }) => (1, reason.status(), Some(reason), state),
            Ok(Progress::Pending(ticket)) => {
                if slot_use == SlotUse::Consume {
                    self.arena.free(slot);
                }
                return Outcome::Pending { ticket };
            }
            Ok(Progress::Holding(ticket)) => {
                self.arena.set_stage(slot, Stage::Held);
                return Outcome::Pending { ticket };
            }
        };
        answered(&mut self.arena, slot, slot_use, status);
        Outcome::Ready {
            offset: (slot.offset + STATUS_OFFSET) as u32,
            bytes: bytes as u32,
            status,
            reason,
            state,
        }
    }

    fn carry_out(
        &mut self,
        slot: Slot,
        frame_bytes: usize,
        new_id: ContainerId,
    ) -> Result<Progress, Refusal> {
        let bytes = self.arena.bytes(slot);
        let bytes = bytes.get(..frame_bytes).ok_or(Reason::LengthMismatch)?;
        let frame = Frame::parse(bytes)?;
        match frame.command() {
            Command::Ping if is_utf8(frame.payload()) => Ok(Progress::Data(frame.payload().len())),
            Command::Ping => Err(Reason::NotUtf8.into()),
            Command::CreateContainer => self.create(slot, frame_bytes, new_id),
            _ => self.request(slot, frame_bytes),
        }
    }

    fn create(&mut self, slot: Slot, frame_bytes: usize, id: ContainerId) -> Result<Progress, Refusal> {
        let mut copy = [0; MAX_NAME_BYTES];
        let frame = Frame::parse(&self.arena.bytes(slot)[..frame_bytes])?;
        let name_bytes = match Request::parse(&frame)? {
            Request::Create { name: Some(name), .. } => {
                let name = name.as_str().as_bytes();
                copy.get_mut(..name.len())
                    .ok_or(Reason::BadName)?
                    .copy_from_slice(name);
                name.len()
            }
            _ => 0,
        };
        let name = &copy[..name_bytes];
        if !name.is_empty() {
            let text = core::str::from_utf8(name).map_err(|_| Reason::BadName)?;
            ContainerName::parse(text)?;
        }
        self.operations.admit(Command::CreateContainer)?;
        let container = self.table.add(id, name, Phase::Creating)?;
        let task = Task::Create {
            offset: slot.offset as u32,
            payload_bytes: (frame_bytes - HEADER_BYTES) as u32,
        };
        let index = self.open(Some(container), task)?;
        self.act(index);
        Ok(Progress::Holding(self.ticket(index)))
    }

    fn request(&mut self, slot: Slot, frame_bytes: usize) -> Result<Progress, Refusal> {
        let mut copy = [0; COPY_BYTES];
        let bytes = &self.arena.bytes(slot)[..frame_bytes];
        let bytes = match copy.get_mut(..frame_bytes) {
            Some(copy) => {
                copy.copy_from_slice(bytes);
                copy
            }
            None => bytes,
        };
        let task = self.decode(bytes)?;
        match task {
            Resolved::List => self.list(slot),
            Resolved::On(container, task) => self.ask(slot, container, task),
            Resolved::Host(command) => {
                let index = self.open(None, Task::Host(command))?;
                self.act(index);
                Ok(Progress::Pending(self.ticket(index)))
            }
        }
    }

    fn decode(&self, frame: &[u8]) -> Result<Resolved, Reason> {
        let (container, task): (ContainerRef<'_>, Task) = match Request::parse(&Frame::parse(frame)?)? {
            Request::List => return Ok(Resolved::List),
            Request::Start(container) => (container, Task::Start),
            Request::Stop {
                container,
                timeout_ms,
            } => (container, Task::Stop { timeout_ms }),
            Request::Inspect(container) => (container, Task::Inspect),
            Request::Delete { container, force } => (container, Task::Delete { force }),
            Request::Kill { container, signal } => (container, Task::Kill { signal }),
            Request::Pause(container) => (container, Task::Pause),
            Request::Resume(container) => (container, Task::Resume),
            Request::Wait(container) => (container, Task::Wait),
            Request::Hosted(Hosted { command, subject, .. }) => match subject {
                Subject::Container(container) => (container, Task::Host(command)),
                _ => return Ok(Resolved::Host(command)),
            },
            Request::Ping(_) | Request::Create { .. } => return Err(Reason::UnknownCommand),
        };
        Ok(Resolved::On(self.table.resolve(&container)?, task))
    }

    /// The ids of all containers, separated by line feeds.
    fn list(&mut self, slot: Slot) -> Result<Progress, Refusal> {
        let place = self
            .arena
            .bytes_mut(slot)
            .get_mut(HEADER_BYTES..)
            .ok_or(Reason::SlotTooSmall)?;
        let mut at = 0;
        for container in self.table.listed() {
            if at > 0 {
                *place.get_mut(at).ok_or(Reason::SlotTooSmall)? = b'\n';
                at += 1;
            }
            place
                .get_mut(at..at + ContainerId::HEX_BYTES)
                .ok_or(Reason::SlotTooSmall)?
                .copy_from_slice(&self.table.records[container].id.to_hex());
            at += ContainerId::HEX_BYTES;
        }
        Ok(Progress::Data(at))
    }

    fn ask(&mut self, slot: Slot, container: usize, task: Task) -> Result<Progress, Refusal> {
        let record = &self.table.records[container];
        let (state, exists) = (record.state, record.phase == Phase::Live);
        let command = match task {
            Task::Wait if state == State::Stopped => {
                let exit = record.exit();
                let place = &mut self.arena.bytes_mut(slot)[HEADER_BYTES..];
                return Ok(Progress::Data(exit.map_or(0, |code| write_decimal(code, place))));
            }
            Task::Wait => {
                let index = self.open(Some(container), task)?;
                self.enchain(index, Chain::Waiters);
                return Ok(Progress::Pending(self.ticket(index)));
            }
            Task::Delete { force: true } => return self.delete_by_force(container, task),
            Task::Create { .. } => Command::CreateContainer,
            Task::Start => Command::StartContainer,
            Task::Stop { .. } => Command::StopContainer,
            Task::Inspect => Command::InspectContainer,
            Task::Delete { .. } => Command::DeleteContainer,
            Task::Kill { .. } => Command::KillContainer,
            Task::Pause => Command::PauseContainer,
            Task::Resume => Command::ResumeContainer,
            Task::Host(command) => command,
        };
        let has_turn = if is_exclusive(command) {
            self.is_idle(container)
        } else {
            exists
        };
        if !has_turn {
            let index = self.open(Some(container), task)?;
            self.enchain(index, Chain::Queue);
            return Ok(Progress::Pending(self.ticket(index)));
        }
        match decide(command, state) {
            Decision::Nothing => Ok(Progress::Data(0)),
            Decision::Refuse => Err(Refusal {
                reason: Reason::WrongState,
                state: Some(state),
            }),
            Decision::Act => {
                let index = self.open(Some(container), task)?;
                self.act(index);
                Ok(Progress::Pending(self.ticket(index)))
            }
        }
    }

    /// Overtakes: what is queued is cancelled, what runs is aborted. A second one joins the first.
    fn delete_by_force(&mut self, container: usize, task: Task) -> Result<Progress, Refusal> {
        let record = self.table.records[container];
        let cancelled = failed(Reason::CancelledByDelete, None);
        let is_first = record.forces.is_empty() && record.phase != Phase::Undoing;
        let running = record.running.index();
        let unborn = running.filter(|running| {
            record.phase == Phase::Creating && self.operations.records[*running].effect == EffectStage::Ready
        });
        if let Some(create) = unborn {
            self.settle_all(record.queue, cancelled);
            self.take_back(create);
            self.settle(create, cancelled);
            self.remove(container);
            return Ok(Progress::Data(0));
        }
        let index = self.open(Some(container), task)?;
        self.enchain(index, Chain::Forces);
        if is_first {
            self.settle_all(record.queue, cancelled);
            if let Some(running) = running {
                self.cut_short(container, running, cancelled);
            }
            if record.phase == Phase::Live {
                self.emit(index);
            }
        }
        Ok(Progress::Pending(self.ticket(index)))
    }

    /// Ends what runs for the sake of a forced delete.
    fn cut_short(&mut self, container: usize, running: usize, cancelled: Answer) {
        if self.operations.records[running].effect == EffectStage::Ready {
            self.take_back(running);
            self.table.records[container].running = Link::NONE;
            self.settle(running, cancelled);
            self.finish(running);
        } else {
            self.operations.records[running].mark_cancelled_by_delete();
            self.abort(running);
        }
    }
}

/// Writes a number in decimal; returns its length. `place` has room for 11 bytes.
fn write_decimal(number: i32, place: &mut [u8]) -> usize {
    let mut digits = [0; 11];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        first -= 1;
        digits[first] = b'-';
    }
    let text = &digits[first..];
    place[..text.len()].copy_from_slice(text);
    text.len()
}
