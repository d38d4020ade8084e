//! The guest ABI: what the host and the kernel say to each other, byte for byte.
//!
//! guest/ABI.md describes it; these types are its definition. Numbers are little-endian. Both sides check what they
//! read: the host trusts no byte of the guest, the guest none of the host.

use crate::cursor::{Reader, Writer};
use crate::{Command, ContainerId, MAX_NAME_BYTES, Reason, Signal, State, Status};

/// The version that the guest answers and the host demands.
pub const ABI_VERSION: u32 = 1;
/// The guest's memory, in 64 KiB pages: minimum and maximum are equal.
pub const MEMORY_PAGES: u32 = 16;
/// The mailbox through which encoded inputs and outputs pass, in bytes.
pub const MAILBOX_BYTES: usize = 4096;

/// What a container's owner says of its life. Only a newer (generation, sequence) changes the kernel's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// Grows with every start and every restart.
    pub generation: u32,
    /// Grows within a generation.
    pub sequence: u32,
    /// Where the container stands.
    pub state: State,
    /// How its process ended; none while it runs, or when nobody knows.
    pub exit_code: Option<i32>,
}

/// What the runtime saw outside: the truth about one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation<'a> {
    /// The container exists.
    Seen {
        /// Its identity.
        id: ContainerId,
        /// Its name; empty if it has none.
        name: &'a str,
        /// Its life.
        report: Report,
    },
    /// The container was deleted. Ids are never used again.
    Gone {
        /// Its identity.
        id: ContainerId,
    },
}

/// Why a ticket is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CancelCause {
    /// The caller no longer wants the answer, or died.
    Caller = 0,
    /// The deadline passed.
    Deadline = 1,
}

/// What the runtime is asked to do to one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make it; the request's payload lies in the arena, `[offset, offset + bytes)` of linear memory, until the next
    /// guest call.
    Create {
        /// The first byte's address in linear memory (in the native kernel: within the arena).
        offset: u32,
        /// The payload's length.
        bytes: u32,
    },
    /// Start it.
    Start,
    /// Stop it, with SIGKILL after so many milliseconds; none is the runtime's default.
    Stop {
        /// Milliseconds.
        timeout_ms: Option<u32>,
    },
    /// Tell what is known of it.
    Inspect,
    /// Remove it.
    Delete {
        /// Whether it is killed first if it runs.
        force: bool,
    },
    /// Send it a signal.
    Kill {
        /// Which.
        signal: Signal,
    },
    /// Freeze it.
    Pause,
    /// Thaw it.
    Resume,
    /// Do a command for which [`Command::is_hosted`] holds, with the payload that the host kept. The effect's id is its
    /// ticket; its container is [`ContainerId::NONE`] unless [`Command::names_container`].
    Host(Command),
}

/// The data of an answer that came by [`Output::Answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Success without data.
    Done,
    /// Success: the new container's id.
    Created(ContainerId),
    /// Success: the exit code; none if nobody knows it, which is answered as empty data.
    Exited(Option<i32>),
    /// Success: the host has the data, kept from the effect's completion (inspect and hosted commands).
    HostData,
    /// Failure: the status is the reason's, or for [`Reason::Runtime`] the one the runtime gave.
    Failed {
        /// What the response carries.
        status: Status,
        /// Why; for [`Reason::Runtime`] the host has the message, kept from the effect's completion.
        reason: Reason,
        /// The container's state, for [`Reason::WrongState`].
        state: Option<State>,
    },
}

/// What the kernel gives when it is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// A ticket is answered: exactly once for every ticket.
    Answer {
        /// Which ticket.
        ticket: u64,
        /// Its answer.
        answer: Answer,
    },
    /// An effect to perform, and to complete exactly once. Its id is the ticket that wants it, if one does.
    Effect {
        /// Names it in its completion.
        effect: u64,
        /// The container; [`ContainerId::NONE`] where the action's command names none.
        container: ContainerId,
        /// What to do.
        action: Action,
    },
    /// A running effect should end early. It is still completed.
    Abort {
        /// Which effect.
        effect: u64,
    },
}

/// What `submit` says at once, packed into 64 bits so that it crosses the guest boundary in a register.
///
/// | bits | ready | pending |
/// |---|---|---|
/// | 0–18 | response length in bytes, status byte included | ticket, 61 bits |
/// | 19–38 | response offset in linear memory | |
/// | 39–46 | status | |
/// | 47–54 | reason, 0 for none | |
/// | 55–57 | state + 1, 0 for none | |
/// | 61 | outputs wait to be polled | the same |
/// | 62 | 0 | 1 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Whether outputs wait to be polled.
    pub outputs_waiting: bool,
    /// The answer, or the ticket to await it by.
    pub outcome: Outcome,
}

/// The two ways a submission can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered at once. The slot holds the response: on success status and data; on failure nothing but the status
    /// was written, at `offset`, and the rest of the request still stands.
    Ready {
        /// Where the response begins in linear memory (in the native kernel: within the arena).
        offset: u32,
        /// Its length, the status byte included.
        bytes: u32,
        /// Its status.
        status: Status,
        /// Why it failed; none on success.
        reason: Option<Reason>,
        /// The container's state, for [`Reason::WrongState`].
        state: Option<State>,
    },
    /// The answer comes by poll. The slot is gone.
    Pending {
        /// Names the request: below 2^61, never 0, never used again.
        ticket: u64,
    },
}

const LENGTH_BITS: u32 = 19;
const OFFSET_BITS: u32 = 20;
const STATUS_SHIFT: u32 = LENGTH_BITS + OFFSET_BITS;
const REASON_SHIFT: u32 = STATUS_SHIFT + 8;
const STATE_SHIFT: u32 = REASON_SHIFT + 8;
const WAITING_BIT: u64 = 1 << 61;
const PENDING_BIT: u64 = 1 << 62;
const TICKET_MASK: u64 = WAITING_BIT - 1;

impl Submitted {
    /// Packs it. A field that is out of its range is cut, which [`Submitted::unpack`] on the other side checks.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        let waiting = if self.outputs_waiting { WAITING_BIT } else { 0 };
        waiting
            | match self.outcome {
                Outcome::Pending { ticket } => PENDING_BIT | ticket & TICKET_MASK,
                Outcome::Ready {
                    offset,
                    bytes,
                    status,
                    reason,
                    state,
                } => {
                    let reason = match reason {
                        Some(reason) => reason.code() as u64,
                        None => 0,
                    };
                    let state = match state {
                        Some(state) => state.code() as u64 + 1,
                        None => 0,
                    };
                    bytes as u64
                        | (offset as u64) << LENGTH_BITS
                        | (status.code() as u64) << STATUS_SHIFT
                        | reason << REASON_SHIFT
                        | state << STATE_SHIFT
                }
            }
    }

    /// Reads it; nothing if a code is unknown or a bit is set that has no meaning.
    pub fn unpack(word: u64) -> Option<Submitted> {
        let outputs_waiting = word & WAITING_BIT != 0;
        if word >> 63 != 0 {
            return None;
        }
        if word & PENDING_BIT != 0 {
            let ticket = word & TICKET_MASK;
            let outcome = Outcome::Pending { ticket };
            return if ticket == 0 {
                None
            } else {
                Some(Submitted {
                    outputs_waiting,
                    outcome,
                })
            };
        }
        let field = |shift: u32, bits: u32| (word >> shift) & ((1 << bits) - 1);
        if field(STATE_SHIFT + 3, 61 - STATE_SHIFT - 3) != 0 {
            return None;
        }
        let reason = match field(REASON_SHIFT, 8) {
            0 => None,
            code => Some(Reason::from_code(code as u8)?),
        };
        let state = match field(STATE_SHIFT, 3) {
            0 => None,
            code => Some(State::from_code(code as u8 - 1)?),
        };
        let status = Status::from_code(field(STATUS_SHIFT, 8) as u8)?;
        let agrees = reason.map_or(Status::Success, Reason::status) == status;
        let outcome = Outcome::Ready {
            offset: field(LENGTH_BITS, OFFSET_BITS) as u32,
            bytes: field(0, LENGTH_BITS) as u32,
            status,
            reason,
            state,
        };
        if agrees {
            Some(Submitted {
                outputs_waiting,
                outcome,
            })
        } else {
            None
        }
    }
}

impl Report {
    /// Its length in bytes when encoded.
    pub const BYTES: usize = 14;

    /// generation u32, sequence u32, state u8, exit code known u8, exit code i32.
    pub fn encode(&self) -> [u8; Report::BYTES] {
        let mut bytes = [0; Report::BYTES];
        bytes[..4].copy_from_slice(&self.generation.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8] = self.state.code();
        bytes[9] = self.exit_code.is_some() as u8;
        bytes[10..].copy_from_slice(&self.exit_code.unwrap_or(0).to_le_bytes());
        bytes
    }

    /// Reads what [`Report::encode`] wrote; nothing if any byte is not what it would have written.
    pub fn decode(bytes: &[u8; Report::BYTES]) -> Option<Report> {
        let mut reader = Reader::new(bytes);
        Some(Report {
            generation: reader.u32()?,
            sequence: reader.u32()?,
            state: State::from_code(reader.u8()?)?,
            exit_code: {
                let known = reader.flag()?;
                match (known, reader.u32()?) {
                    (true, code) => Some(code as i32),
                    (false, 0) => None,
                    (false, _) => return None,
                }
            },
        })
    }
}

impl<'a> Observation<'a> {
    /// The longest encoded observation, in bytes.
    pub const MAX_BYTES: usize = 1 + 16 + Report::BYTES + 1 + MAX_NAME_BYTES;

    /// Seen: 1, id, report, name length u8, name. Gone: 2, id. Returns the length, or nothing if `buffer` is too
    /// short or the name too long.
    pub fn encode(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(buffer);
        match *self {
            Observation::Seen { id, name, report } => {
                if name.len() > MAX_NAME_BYTES {
                    return None;
                }
                writer.put(&[1])?;
                writer.put(id.as_bytes())?;
                writer.put(&report.encode())?;
                writer.put(&[name.len() as u8])?;
                writer.put(name.as_bytes())?;
            }
            Observation::Gone { id } => {
                writer.put(&[2])?;
                writer.put(id.as_bytes())?;
            }
        }
        Some(writer.written())
    }

    /// Reads what [`Observation::encode`] wrote; nothing if any byte is not what it would have written. The name is
    /// not checked against its grammar.
    pub fn decode(bytes: &'a [u8]) -> Option<Observation<'a>> {
        let mut reader = Reader::new(bytes);
        let observation = match reader.u8()? {
            1 => {
                let id = reader.id()?;
                let report = Report::decode(&reader.array()?)?;
                let name_bytes = usize::from(reader.u8()?);
                if name_bytes > MAX_NAME_BYTES {
                    return None;
                }
                let name = core::str::from_utf8(reader.take(name_bytes)?).ok()?;
                Observation::Seen { id, name, report }
            }
            2 => Observation::Gone { id: reader.id()? },
            _ => return None,
        };
        if reader.is_empty() {
            Some(observation)
        } else {
            None
        }
    }
}

impl Action {
    /// The command that asks for this action.
    pub const fn command(&self) -> Command {
        match self {
            Action::Create { .. } => Command::CreateContainer,
            Action::Start => Command::StartContainer,
            Action::Stop { .. } => Command::StopContainer,
            Action::Inspect => Command::InspectContainer,
            Action::Delete { .. } => Command::DeleteContainer,
            Action::Kill { .. } => Command::KillContainer,
            Action::Pause => Command::PauseContainer,
            Action::Resume => Command::ResumeContainer,
            Action::Host(command) => *command,
        }
    }

    /// Two words of arguments; what an action does not use is 0.
    const fn arguments(&self) -> (u32, u32) {
        match *self {
            Action::Create { offset, bytes } => (offset, bytes),
            Action::Stop {
                timeout_ms: Some(timeout_ms),
            } => (1, timeout_ms),
            Action::Delete { force } => (force as u32, 0),
            Action::Kill { signal } => (signal.number() as u32, 0),
            _ => (0, 0),
        }
    }

    fn from_parts(command: Command, first: u32, second: u32) -> Option<Action> {
        let action = match command {
            Command::CreateContainer => Action::Create {
                offset: first,
                bytes: second,
            },
            Command::StartContainer => Action::Start,
            Command::StopContainer if first == 1 => Action::Stop {
                timeout_ms: Some(second),
            },
            Command::StopContainer => Action::Stop { timeout_ms: None },
            Command::InspectContainer => Action::Inspect,
            Command::DeleteContainer => Action::Delete { force: first == 1 },
            Command::KillContainer if first <= 64 => Action::Kill {
                signal: Signal::from_number(first as u8)?,
            },
            Command::PauseContainer => Action::Pause,
            Command::ResumeContainer => Action::Resume,
            command if command.is_hosted() => Action::Host(command),
            _ => return None,
        };
        if action.arguments() == (first, second) {
            Some(action)
        } else {
            None
        }
    }
}

impl Output {
    /// The length of every encoded output, in bytes.
    pub const BYTES: usize = 36;

    /// kind u8, code u8, reason u8, state + 1 u8, ticket or effect u64, container id 16 bytes, two arguments u32.
    ///
    /// kind 1 done, 2 created, 3 exited (first argument 1 if known, second the code), 4 host data, 5 failed (code is
    /// the status), 6 effect (code is the command), 7 abort.
    pub fn encode(&self) -> [u8; Output::BYTES] {
        let mut bytes = [0; Output::BYTES];
        let (id, mut container, mut arguments) = match *self {
            Output::Answer { ticket, .. } => (ticket, None, (0, 0)),
            Output::Effect {
                effect,
                container,
                action,
            } => (effect, Some(container), action.arguments()),
            Output::Abort { effect } => (effect, None, (0, 0)),
        };
        bytes[0] = match *self {
            Output::Answer {
                answer: Answer::Done, ..
            } => 1,
            Output::Answer {
                answer: Answer::Created(id),
                ..
            } => {
                container = Some(id);
                2
            }
            Output::Answer {
                answer: Answer::Exited(code),
                ..
            } => {
                arguments = (code.is_some() as u32, code.unwrap_or(0) as u32);
                3
            }
            Output::Answer {
                answer: Answer::HostData,
                ..
            } => 4,
            Output::Answer {
                answer:
                    Answer::Failed {
                        status,
                        reason,
                        state,
                    },
                ..
            } => {
                bytes[1] = status.code();
                bytes[2] = reason.code();
                bytes[3] = state.map_or(0, |state| state.code() + 1);
                5
            }
            Output::Effect { action, .. } => {
                bytes[1] = action.command().code();
                6
            }
            Output::Abort { .. } => 7,
        };
        bytes[4..12].copy_from_slice(&id.to_le_bytes());
        if let Some(container) = container {
            bytes[12..28].copy_from_slice(container.as_bytes());
        }
        bytes[28..32].copy_from_slice(&arguments.0.to_le_bytes());
        bytes[32..].copy_from_slice(&arguments.1.to_le_bytes());
        bytes
    }

    /// Reads what [`Output::encode`] wrote; nothing if any byte is not what it would have written.
    pub fn decode(bytes: &[u8; Output::BYTES]) -> Option<Output> {
        let mut reader = Reader::new(bytes);
        let [kind, code, reason, state] = reader.array()?;
        let id = reader.u64()?;
        let container = reader.id()?;
        let (first, second) = (reader.u32()?, reader.u32()?);
        let answer = |answer| Output::Answer { ticket: id, answer };
        let output = match kind {
            1 => answer(Answer::Done),
            2 => answer(Answer::Created(container)),
            3 if first == 1 => answer(Answer::Exited(Some(second as i32))),
            3 => answer(Answer::Exited(None)),
            4 => answer(Answer::HostData),
            5 => answer(Answer::Failed {
                status: Status::from_code(code)?,
                reason: Reason::from_code(reason)?,
                state: match state {
                    0 => None,
                    code => Some(State::from_code(code - 1)?),
                },
            }),
            6 => Output::Effect {
                effect: id,
                container,
                action: Action::from_parts(Command::from_code(code)?, first, second)?,
            },
            7 => Output::Abort { effect: id },
            _ => return None,
        };
        let names_what_it_must = match output {
            Output::Effect {
                container, action, ..
            } => action.command().names_container() || container == ContainerId::NONE,
            _ => true,
        };
        if names_what_it_must && output.encode() == *bytes {
            Some(output)
        } else {
            None
        }
    }
}
