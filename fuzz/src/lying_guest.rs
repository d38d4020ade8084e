//! A guest whose every answer the input chooses, under the bridge that ships: the host gives typed errors and answers, each
//! ticket is answered once, and nothing panics, hangs or reads what is not the guest's.
//!
//! The guest is `lying_guest.wat`, whose table the input fills: by default its answers are honest, so that lies come at
//! any depth. What is asked of it is chosen by the input too.

use super::bytes::Bytes;
use selur_core::{
    Backend, Begun, Bridge, Deletion, Error, Exchanged, Guest, Response, Slot, Submission, Ticket,
};
use selur_protocol::abi::{Action, Answer, Outcome, Output, Submitted};
use selur_protocol::{Command, ContainerId, MAX_RESPONSE_BYTES, Reason, State, Status};
use std::sync::OnceLock;
use std::time::Duration;

const EXPORTS: usize = 12;
const WORDS: usize = 64;
const WORDS_BYTES: usize = EXPORTS * WORDS * 8;
const OUTPUTS_BYTES: usize = 16_000;
const TABLE_BYTES: usize = WORDS_BYTES + OUTPUTS_BYTES;
/// Where the guest says that its arena begins.
const ARENA: u32 = 131_072;
const EXCHANGE: usize = 2;
const RESERVE: usize = 0;
const POLL: usize = 6;

const PING: &[u8] = &[0x00, 2, 0, 0, 0, b'h', b'i'];
const START: &[u8] = &[0x02, 3, 0, 0, 0, b'w', b'e', b'b'];
const LIST: &[u8] = &[0x06, 0, 0, 0, 0];
const CREATE: &[u8] = &[0x01, 5, 0, 0, 0, b'n', b'g', b'i', b'n', b'x'];
const EVENTS: &[u8] = &[0x10, 0, 0, 0, 0];
const STUMP: &[u8] = &[0x00, 2, 0];
const FRAMES: [&[u8]; 6] = [PING, START, LIST, CREATE, EVENTS, STUMP];

/// How long a request waits for a guest that says nothing.
const DEADLINE: Duration = Duration::from_millis(2);
/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let asked: Vec<(u8, u8)> = (0..1 + bytes.below(12))
        .map(|_| (bytes.u8(), bytes.u8()))
        .collect();
    let guest = Guest::Bytes(module(&table(&mut bytes)));
    let built = Bridge::builder()
        .backend(Backend::Simulated)
        .guest(guest)
        .default_deadline(Some(DEADLINE))
        .build();
    let bridge = match built {
        Ok(bridge) => bridge,
        Err(error) => return refused(&error),
    };
    let mut asking = Asking::default();
    for (what, how) in asked {
        if let Err(error) = asking.ask(&bridge, what, how) {
            refused(&error);
        }
    }
    asking.slots.clear();
    bridge.close();
    for mut ticket in asking.tickets {
        answered(&ticket.wait_for(PATIENCE).expect("a ticket was lost"));
    }
    asking.queued.extend(drain(&bridge));
    while asking.queued.len() < asking.expected.len() {
        assert!(bridge.completions().wait(Some(PATIENCE)), "a completion was lost");
        asking.queued.extend(drain(&bridge));
    }
    asking.queued.sort_unstable();
    asking.expected.sort_unstable();
    assert_eq!(asking.queued, asking.expected, "each is answered once");
    assert!(bridge.call(PING).is_err(), "it is closed");
}

/// What was asked and is not over.
#[derive(Default)]
struct Asking {
    tickets: Vec<Ticket>,
    slots: Vec<Slot>,
    expected: Vec<u64>,
    queued: Vec<u64>,
}

impl Asking {
    fn ask(&mut self, bridge: &Bridge, what: u8, how: u8) -> Result<(), Error> {
        let frame = FRAMES[usize::from(how) % FRAMES.len()];
        match what % 16 {
            0 | 1 => answered(&bridge.call(frame)?),
            2 => self.tickets.push(bridge.submit(frame)?),
            3 => self.expected.push(bridge.submit_to_queue(frame)?),
            4 => match bridge.begin(frame)? {
                Begun::Answered(response) => answered(&response),
                Begun::Pending(number) => self.expected.push(number),
            },
            5 => self.slots.push(bridge.reserve(usize::from(how) * 40)?),
            6 => {
                let mut slot = bridge.reserve(frame.len().max(usize::from(how)))?;
                slot.write_at(0, frame)?;
                slot.set_frame_len(frame.len())?;
                self.submitted(slot.submit()?);
            }
            7 | 8 => {
                let Some(slot) = self.slots.last_mut() else {
                    return Ok(());
                };
                let frame = &frame[..frame.len().min(slot.capacity())];
                slot.write_at(0, frame)?;
                slot.set_frame_len(frame.len())?;
                match slot.exchange()? {
                    Exchanged::Here(place) => {
                        assert!(place.start <= place.end && place.end <= slot.capacity())
                    }
                    Exchanged::Copied(response) => answered(&response),
                    Exchanged::Pending(number) => self.expected.push(number),
                }
            }
            9 => drop(self.slots.pop()),
            10 => {
                if let Some(ticket) = self.tickets.get(usize::from(how) % self.tickets.len().max(1)) {
                    ticket.cancel();
                }
            }
            11 => self.expected.iter().for_each(|number| bridge.cancel(*number)),
            12 => drop(bridge.state_digest()?),
            13 => self.queued.extend(drain(bridge)),
            14 => drop(bridge.list_containers()?),
            _ => bridge.delete_container("web", Deletion::Force)?,
        }
        Ok(())
    }

    fn submitted(&mut self, submission: Submission) {
        match submission {
            Submission::Ready(answer) => {
                answer.with(|data| assert!(data.len() < MAX_RESPONSE_BYTES));
                answered(&answer.to_response());
                self.slots.push(answer.into_slot());
            }
            Submission::Pending(ticket) => self.tickets.push(ticket),
        }
    }
}

fn drain(bridge: &Bridge) -> Vec<u64> {
    let drained = bridge.completions().drain(1000);
    drained
        .iter()
        .for_each(|completion| answered(&completion.response));
    drained.into_iter().map(|completion| completion.ticket).collect()
}

fn answered(response: &Response) {
    assert!(response.data().len() < MAX_RESPONSE_BYTES);
    let bytes = response.to_bytes();
    assert_eq!(Status::from_code(bytes[0]), Some(response.status()));
}

fn refused(error: &Error) {
    assert_ne!(error.status(), Status::Success);
    assert!(!error.message().is_empty());
}

/// The words and outputs that the input describes.
fn table(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut table = vec![0; TABLE_BYTES];
    let mut places = [0; EXPORTS];
    let mut outputs = Vec::new();
    while !bytes.is_empty() {
        let export = bytes.below(16);
        // The three that are asked when a guest is loaded lie seldom, for not much comes then.
        let export = match export {
            12.. if bytes.u8() == 7 => 9 + export % 3,
            9.. => POLL,
            other => other,
        };
        let word = match (bytes.below(8), export) {
            (0..=1, _) => 0,
            (2, _) => u64::MAX,
            (3, _) => bytes.u64(),
            (_, POLL) => {
                let before = outputs.len();
                for _ in 0..bytes.below(5) {
                    outputs.extend(output(bytes));
                }
                (outputs.len() - before) as u64
            }
            (_, EXCHANGE) => submitted(bytes).pack(),
            (_, RESERVE) => u64::from(bytes.u16()) << 4 | u64::from(bytes.u8()),
            _ => u64::from(bytes.u8()),
        };
        let place = &mut places[export];
        if *place < WORDS {
            let at = (export * WORDS + *place) * 8;
            table[at..at + 8].copy_from_slice(&word.to_le_bytes());
            *place += 1;
        }
    }
    outputs.truncate(OUTPUTS_BYTES);
    table[WORDS_BYTES..WORDS_BYTES + outputs.len()].copy_from_slice(&outputs);
    table
}

fn submitted(bytes: &mut Bytes<'_>) -> Submitted {
    let outcome = match bytes.flag() {
        true => Outcome::Pending {
            ticket: ticket(bytes),
        },
        false => {
            let reason = bytes.flag().then(|| bytes.one_of(Reason::ALL));
            Outcome::Ready {
                // Most often where the answer to the first slot would lie.
                offset: ARENA + 4 + u32::from(bytes.u8() / 16) * 256,
                bytes: u32::from(bytes.u8()),
                status: reason.map_or(Status::Success, Reason::status),
                reason,
                state: bytes.flag().then(|| bytes.one_of(&State::ALL)),
            }
        }
    };
    Submitted {
        outputs_waiting: bytes.flag(),
        outcome,
    }
}

/// The honest guest gives tickets from 7 on.
fn ticket(bytes: &mut Bytes<'_>) -> u64 {
    6 + u64::from(bytes.u8() % 8)
}

fn output(bytes: &mut Bytes<'_>) -> [u8; Output::BYTES] {
    let output = match bytes.below(8) {
        0..=2 => Output::Answer {
            ticket: ticket(bytes),
            answer: answer(bytes),
        },
        3..=5 => {
            let action = action(bytes);
            Output::Effect {
                effect: ticket(bytes),
                container: match action.command().names_container() {
                    true => ContainerId::from_bytes([bytes.u8(); 16]),
                    false => ContainerId::NONE,
                },
                action,
            }
        }
        6 => Output::Abort {
            effect: ticket(bytes),
        },
        _ => return bytes.array(),
    };
    output.encode()
}

fn answer(bytes: &mut Bytes<'_>) -> Answer {
    match bytes.below(5) {
        0 => Answer::Done,
        1 => Answer::Created(ContainerId::from_bytes([bytes.u8(); 16])),
        2 => Answer::Exited(bytes.flag().then(|| i32::from(bytes.u8()))),
        3 => Answer::HostData,
        _ => {
            let reason = bytes.one_of(Reason::ALL);
            Answer::Failed {
                status: match bytes.flag() {
                    true => bytes.one_of(&Status::ALL),
                    false => reason.status(),
                },
                reason,
                state: bytes.flag().then(|| bytes.one_of(&State::ALL)),
            }
        }
    }
}

fn action(bytes: &mut Bytes<'_>) -> Action {
    match bytes.below(10) {
        0 | 1 => Action::Create {
            // Where a frame's payload would lie, or anywhere.
            offset: if bytes.flag() { ARENA + 5 } else { bytes.u32() },
            bytes: if bytes.flag() { 5 } else { bytes.u32() },
        },
        2 => Action::Start,
        3 => Action::Stop {
            timeout_ms: Some(u32::from(bytes.u8())),
        },
        4 => Action::Inspect,
        5 => Action::Delete { force: bytes.flag() },
        6 => Action::Kill {
            signal: selur_protocol::Signal::TERM,
        },
        7 => Action::Pause,
        8 => Action::Resume,
        _ => Action::Host(bytes.one_of(&Command::ALL[usize::from(Command::Exec.code())..])),
    }
}

/// The module with this table in it. Assembled once: the table is a segment of a fixed length.
fn module(table: &[u8]) -> Vec<u8> {
    static MODULE: OnceLock<(Vec<u8>, usize)> = OnceLock::new();
    let (module, at) = MODULE.get_or_init(|| {
        let text = include_str!("lying_guest.wat").replace("TABLE", &"\\a5".repeat(TABLE_BYTES));
        let module = wat::parse_str(text).expect("the guest is well formed");
        let at = module
            .windows(TABLE_BYTES)
            .position(|window| window.iter().all(|byte| *byte == 0xa5))
            .expect("the table");
        (module, at)
    });
    let mut module = module.clone();
    module[*at..at + TABLE_BYTES].copy_from_slice(table);
    module
}
