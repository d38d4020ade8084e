//! Operations: what was asked and is not finished. One record is a ticket, the effect that the ticket wants, or both.
//!
//! A ticket ends when its answer is polled, an effect when it is completed; the record is freed after both. So neither
//! an answer nor a completion ever needs room that might be missing.

use crate::link::{Ends, Link};
use selur_protocol::abi::{Action, Answer};
use selur_protocol::{Command, Reason, Signal, State, Status};

/// The low bits of an id: the record.
const INDEX_BITS: u32 = 12;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
/// The largest table whose records an id can name.
pub(crate) const MAX_OPERATIONS: usize = 1 << INDEX_BITS;
/// Ids stay below 2^61; an undo may still take one when tickets can not.
const MAX_COUNTER: u64 = 1 << (60 - INDEX_BITS);

/// Which of its container's chains an operation is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Chain {
    None = 0,
    Queue,
    Waiters,
    Forces,
}

/// How far an operation's effect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum EffectStage {
    /// There is none, or it is complete.
    None = 0,
    /// It waits to be polled: nobody outside knows of it.
    Ready,
    /// It was handed out, and will be completed once.
    Running,
}

/// How far an operation's ticket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TicketStage {
    /// There is none, or its answer was polled.
    None = 0,
    /// It has no answer yet.
    Open,
    /// Its answer waits to be polled.
    Settled,
}

/// The answer of a settled ticket, without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Settled {
    Done = 0,
    Created,
    Exited,
    ExitUnknown,
    HostData,
    Failed,
}

/// What an operation does, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// The payload lies in the slot at `offset` of the arena.
    Create {
        offset: u32,
        payload_bytes: u32,
    },
    Start,
    Stop {
        timeout_ms: Option<u32>,
    },
    Inspect,
    Delete {
        force: bool,
    },
    Kill {
        signal: Signal,
    },
    Pause,
    Resume,
    Wait,
    /// A hosted command.
    Host(Command),
}

/// The abort of a running effect waits to be polled.
const ABORT_WAITS: u8 = 1;
/// The running effect was asked to end early; it is not asked twice.
const ABORTED: u8 = 1 << 1;
/// It was a forced delete that asked.
const BY_DELETE: u8 = 1 << 2;
/// The operation becomes the undo of an abandoned create when its answer was polled.
const UNDO_NEXT: u8 = 1 << 3;
/// Stop: a timeout was given. Delete: it is forced.
const OPTION: u8 = 1 << 4;

/// One operation: 32 bytes.
///
/// Invariant: it is in the outbox exactly while its effect is Ready, its ticket Settled or its abort waits.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// The ticket's and the effect's id; 0 if the record is free.
    pub(crate) id: u64,
    /// stop: timeout in ms; kill: signal; create: the slot's offset in the arena.
    argument: u32,
    /// create, until its effect is polled: the payload's length. Settled: exit code, or status, reason, state + 1.
    value: u32,
    /// None: a hosted command that names no container.
    container: Link,
    /// Invariant: `next` and `previous` are the neighbours in `chain`; `next` also chains free records.
    next: Link,
    previous: Link,
    pub(crate) out_next: Link,
    pub(crate) out_previous: Link,
    command: Command,
    pub(crate) chain: Chain,
    pub(crate) effect: EffectStage,
    pub(crate) ticket: TicketStage,
    flags: u8,
    answer: Settled,
}

impl Operation {
    pub(crate) const EMPTY: Operation = Operation {
        id: 0,
        argument: 0,
        value: 0,
        container: Link::NONE,
        next: Link::NONE,
        previous: Link::NONE,
        out_next: Link::NONE,
        out_previous: Link::NONE,
        command: Command::Ping,
        chain: Chain::None,
        effect: EffectStage::None,
        ticket: TicketStage::None,
        flags: 0,
        answer: Settled::Done,
    };

    pub(crate) fn new(container: Option<usize>, task: Task) -> Operation {
        let (command, argument, value, option) = match task {
            Task::Create {
                offset,
                payload_bytes,
            } => (Command::CreateContainer, offset, payload_bytes, false),
            Task::Start => (Command::StartContainer, 0, 0, false),
            Task::Stop { timeout_ms } => (
                Command::StopContainer,
                timeout_ms.unwrap_or(0),
                0,
                timeout_ms.is_some(),
            ),
            Task::Inspect => (Command::InspectContainer, 0, 0, false),
            Task::Delete { force } => (Command::DeleteContainer, 0, 0, force),
            Task::Kill { signal } => (Command::KillContainer, u32::from(signal.number()), 0, false),
            Task::Pause => (Command::PauseContainer, 0, 0, false),
            Task::Resume => (Command::ResumeContainer, 0, 0, false),
            Task::Wait => (Command::WaitContainer, 0, 0, false),
            Task::Host(command) => (command, 0, 0, false),
        };
        Operation {
            container: container.map_or(Link::NONE, Link::to),
            command,
            argument,
            value,
            ticket: TicketStage::Open,
            flags: if option { OPTION } else { 0 },
            ..Operation::EMPTY
        }
    }

    /// The record of the container that it is about, if it is about one.
    pub(crate) fn container(&self) -> Option<usize> {
        self.container.index()
    }

    pub(crate) fn command(&self) -> Command {
        self.command
    }

    pub(crate) fn next(&self) -> Link {
        self.next
    }

    pub(crate) fn is_forced_delete(&self) -> bool {
        self.command == Command::DeleteContainer && self.flags & OPTION != 0
    }

    /// Whether its success has data that the host keeps.
    pub(crate) fn is_answered_by_host(&self) -> bool {
        self.command == Command::InspectContainer || self.command.is_hosted()
    }

    /// The slot that a create holds until its effect is polled, as an offset in the arena.
    pub(crate) fn held_slot(&self) -> Option<usize> {
        if self.command == Command::CreateContainer && self.effect == EffectStage::Ready {
            Some(self.argument as usize)
        } else {
            None
        }
    }

    /// What the runtime is to do; nothing for a wait. The offset of a create counts from the arena's first byte.
    pub(crate) fn action(&self) -> Option<Action> {
        Some(match self.command {
            Command::CreateContainer => Action::Create {
                offset: self.argument + selur_protocol::HEADER_BYTES as u32,
                bytes: self.value,
            },
            Command::StartContainer => Action::Start,
            Command::StopContainer if self.flags & OPTION != 0 => Action::Stop {
                timeout_ms: Some(self.argument),
            },
            Command::StopContainer => Action::Stop { timeout_ms: None },
            Command::InspectContainer => Action::Inspect,
            Command::DeleteContainer => Action::Delete {
                force: self.flags & OPTION != 0,
            },
            Command::KillContainer => Action::Kill {
                signal: Signal::from_number(self.argument as u8).unwrap_or(Signal::KILL),
            },
            Command::PauseContainer => Action::Pause,
            Command::ResumeContainer => Action::Resume,
            Command::Ping | Command::ListContainers | Command::WaitContainer => return None,
            command => Action::Host(command),
        })
    }

    pub(crate) fn settle(&mut self, answer: Answer) {
        self.ticket = TicketStage::Settled;
        (self.answer, self.value) = match answer {
            Answer::Done => (Settled::Done, 0),
            Answer::Created(_) => (Settled::Created, 0),
            Answer::Exited(Some(code)) => (Settled::Exited, code as u32),
            Answer::Exited(None) => (Settled::ExitUnknown, 0),
            Answer::HostData => (Settled::HostData, 0),
            Answer::Failed {
                status,
                reason,
                state,
            } => {
                let state = state.map_or(0, |state| state.code() + 1);
                (
                    Settled::Failed,
                    u32::from_le_bytes([status.code(), reason.code(), state, 0]),
                )
            }
        };
    }

    /// The answer that was settled; `id` is the container's, of which a create has one.
    pub(crate) fn answer(&self, id: selur_protocol::ContainerId) -> Answer {
        match self.answer {
            Settled::Done => Answer::Done,
            Settled::Created => Answer::Created(id),
            Settled::Exited => Answer::Exited(Some(self.value as i32)),
            Settled::ExitUnknown => Answer::Exited(None),
            Settled::HostData => Answer::HostData,
            Settled::Failed => {
                let [status, reason, state, _] = self.value.to_le_bytes();
                Answer::Failed {
                    status: Status::from_code(status).unwrap_or(Status::InternalError),
                    reason: Reason::from_code(reason).unwrap_or(Reason::Runtime),
                    state: state.checked_sub(1).and_then(State::from_code),
                }
            }
        }
    }

    /// Whether something of it waits to be polled.
    pub(crate) fn has_output(&self) -> bool {
        self.effect == EffectStage::Ready || self.ticket == TicketStage::Settled || self.abort_waits()
    }

    pub(crate) fn abort_waits(&self) -> bool {
        self.flags & ABORT_WAITS != 0
    }

    /// Asks the running effect to end early; says whether that is news.
    pub(crate) fn ask_to_abort(&mut self) -> bool {
        let is_news = self.effect == EffectStage::Running && self.flags & ABORTED == 0;
        if is_news {
            self.flags |= ABORTED | ABORT_WAITS;
        }
        is_news
    }

    pub(crate) fn clear_abort(&mut self) {
        self.flags &= !ABORT_WAITS;
    }

    pub(crate) fn mark_cancelled_by_delete(&mut self) {
        self.flags |= BY_DELETE;
    }

    pub(crate) fn is_cancelled_by_delete(&self) -> bool {
        self.flags & BY_DELETE != 0
    }

    pub(crate) fn undo_when_polled(&mut self) {
        self.flags |= UNDO_NEXT;
    }

    pub(crate) fn is_to_undo(&self) -> bool {
        self.flags & UNDO_NEXT != 0
    }

    /// Turns an abandoned create into the forced delete that undoes it.
    pub(crate) fn become_undo(&mut self, id: u64) {
        *self = Operation {
            id,
            container: self.container,
            command: Command::DeleteContainer,
            effect: EffectStage::Ready,
            flags: OPTION,
            ..Operation::EMPTY
        };
    }

    /// The fields that the digest covers, beside the id.
    pub(crate) fn digest_words(&self) -> [u64; 2] {
        let small = [
            self.command.code(),
            self.chain as u8,
            self.effect as u8,
            self.ticket as u8,
            self.flags,
            self.answer as u8,
            0,
            0,
        ];
        // Where a create's payload lies is the arena's business.
        let argument = match self.command {
            Command::CreateContainer => 0,
            _ => self.argument,
        };
        [
            u64::from_le_bytes(small),
            u64::from(argument) << 32 | u64::from(self.value),
        ]
    }
}

/// What the table of operations keeps beside its records.
#[derive(Clone)]
pub(crate) struct OperationsHead {
    pub(crate) outbox: Ends,
    free: Link,
    touched: u16,
    used: u16,
    waits: u16,
    counter: u64,
}

impl OperationsHead {
    pub(crate) const EMPTY: OperationsHead = OperationsHead {
        outbox: Ends::EMPTY,
        free: Link::NONE,
        touched: 0,
        used: 0,
        waits: 0,
        counter: 0,
    };

    pub(crate) const fn used(&self) -> u16 {
        self.used
    }

    pub(crate) const fn counter(&self) -> u64 {
        self.counter
    }
}

/// The operations at work, whatever their capacity.
pub(crate) struct Operations<'a> {
    pub(crate) records: &'a mut [Operation],
    pub(crate) head: &'a mut OperationsHead,
}

impl Operations<'_> {
    /// How many records are kept for stop, kill and delete: 64 of 4,096, and at least one.
    fn kept(&self) -> usize {
        (self.records.len() / 64).max(1)
    }

    /// Whether a ticket for this command can be had.
    ///
    /// # Errors
    /// [`Reason::TicketsFull`], [`Reason::WaitsFull`].
    pub(crate) fn admit(&self, command: Command) -> Result<(), Reason> {
        let free = self.records.len() - usize::from(self.head.used);
        let must_leave = match command {
            Command::StopContainer | Command::KillContainer | Command::DeleteContainer => 0,
            _ => self.kept(),
        };
        if command == Command::WaitContainer && usize::from(self.head.waits) >= self.records.len() / 2 {
            return Err(Reason::WaitsFull);
        }
        if free <= must_leave || self.head.counter >= MAX_COUNTER {
            return Err(Reason::TicketsFull);
        }
        Ok(())
    }

    /// Takes a record for an admitted operation, and gives it its id.
    ///
    /// # Errors
    /// As [`Operations::admit`].
    pub(crate) fn open(&mut self, operation: Operation) -> Result<usize, Reason> {
        self.admit(operation.command)?;
        let index = match self.head.free.index() {
            Some(index) => {
                self.head.free = self.records[index].next;
                index
            }
            None => {
                let index = usize::from(self.head.touched);
                if index >= self.records.len() {
                    return Err(Reason::TicketsFull);
                }
                self.head.touched += 1;
                index
            }
        };
        self.head.used += 1;
        if operation.command == Command::WaitContainer {
            self.head.waits += 1;
        }
        self.records[index] = Operation {
            id: self.next_id(index),
            ..operation
        };
        Ok(index)
    }

    /// An id that was never used, for the record at `index`.
    pub(crate) fn next_id(&mut self, index: usize) -> u64 {
        self.head.counter += 1;
        self.head.counter << INDEX_BITS | index as u64
    }

    /// The operation with this id.
    pub(crate) fn find(&self, id: u64) -> Option<usize> {
        let index = (id & INDEX_MASK) as usize;
        match self.records.get(index) {
            Some(operation) if operation.id == id && id != 0 => Some(index),
            _ => None,
        }
    }

    pub(crate) fn free(&mut self, index: usize) {
        if self.records[index].command == Command::WaitContainer {
            self.head.waits -= 1;
        }
        self.head.used -= 1;
        self.records[index] = Operation {
            next: self.head.free,
            ..Operation::EMPTY
        };
        self.head.free = Link::to(index);
    }

    /// Puts an operation at the end of a chain.
    pub(crate) fn append(&mut self, ends: &mut Ends, chain: Chain, index: usize) {
        let last = ends.last;
        let operation = &mut self.records[index];
        operation.chain = chain;
        operation.previous = last;
        operation.next = Link::NONE;
        match last.index() {
            Some(last) => self.records[last].next = Link::to(index),
            None => ends.first = Link::to(index),
        }
        ends.last = Link::to(index);
    }

    /// Takes an operation out of its chain, wherever it stands.
    pub(crate) fn unchain(&mut self, ends: &mut Ends, index: usize) {
        let Operation { previous, next, .. } = self.records[index];
        match previous.index() {
            Some(previous) => self.records[previous].next = next,
            None => ends.first = next,
        }
        match next.index() {
            Some(next) => self.records[next].previous = previous,
            None => ends.last = previous,
        }
        let operation = &mut self.records[index];
        operation.chain = Chain::None;
        operation.previous = Link::NONE;
        operation.next = Link::NONE;
    }

    pub(crate) fn after(&self, index: usize) -> Link {
        self.records[index].next
    }
}
