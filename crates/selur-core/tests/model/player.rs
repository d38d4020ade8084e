//! Replays the steps of a trace and says where a machine differs from the model.

use crate::machine::Machine;
use crate::trace::{Input, Line};
use selur_protocol::abi::{Action, Answer, Observation, Outcome, Output};
use selur_protocol::{ContainerId, State};
use std::collections::HashMap;

/// The bits of a handle or a ticket that say where its record lies: the model has none.
const PLACE_BITS: u32 = 12;

/// A machine, with what it calls what the model gave a number.
#[derive(Clone)]
pub(crate) struct Player<M> {
    pub(crate) machine: M,
    slots: HashMap<u64, u64>,
    ids: HashMap<u64, u64>,
    /// The command of the frame that lies in each slot, and of each ticket.
    frames: HashMap<u64, u8>,
    commands: HashMap<u64, u8>,
}

impl<M: Machine> Player<M> {
    pub(crate) fn new(machine: M) -> Player<M> {
        Player {
            machine,
            slots: HashMap::new(),
            ids: HashMap::new(),
            frames: HashMap::new(),
            commands: HashMap::new(),
        }
    }

    pub(crate) fn digest(&mut self) -> u64 {
        self.machine.digest()
    }

    /// Takes every step of the line; each must come to what the model says.
    pub(crate) fn play(&mut self, line: &Line<'_>, text: &str) {
        for (input, expected) in &line.steps {
            let result = self.take(input, expected);
            assert_eq!(&result, expected, "what came of {input:?} in: {text}");
        }
    }

    fn take(&mut self, input: &Input<'_>, expected: &str) -> String {
        match *input {
            Input::Reserve(bytes) => match self.machine.reserve(bytes) {
                Ok(handle) => {
                    let model = handle >> PLACE_BITS;
                    self.slots.insert(model, handle);
                    let count = bytes.max(1).div_ceil(256);
                    format!("slot {model} {} {count}", handle & 0xfff)
                }
                Err(Some(reason)) => format!("no {}", reason.code()),
                // The guest does not say why.
                Err(None) if expected.starts_with("no ") => expected.to_owned(),
                Err(None) => "no slot".to_owned(),
            },
            Input::Write(slot, ref frame) => self.write(slot, frame, expected),
            Input::Submit(slot, frame_bytes, keep, id) => self.submit(slot, frame_bytes, keep, id),
            Input::Release(slot) => {
                let handle = self.slot(slot);
                accepted(self.machine.release(handle).map_err(|reason| reason.code()))
            }
            Input::Cancel(ticket, cause) => {
                let ticket = self.id(ticket);
                accepted(self.machine.cancel(ticket, cause).map_err(|reason| reason.code()))
            }
            Input::Complete(effect, status, report) => {
                let effect = self.id(effect);
                let completed = self.machine.complete(effect, status, report);
                accepted(completed.map_err(|reason| reason.code()))
            }
            Input::See(id, name, report) => {
                self.machine.observe(&Observation::Seen { id, name, report });
                "ok".to_owned()
            }
            Input::Lose(id) => {
                self.machine.observe(&Observation::Gone { id });
                "ok".to_owned()
            }
            Input::Poll => match self.machine.poll() {
                Some(output) => self.said(output, expected),
                None => "none".to_owned(),
            },
        }
    }

    fn write(&mut self, slot: u64, frame: &[u8], expected: &str) -> String {
        let handle = self.slot(slot);
        match self.machine.room(handle) {
            Some(Err(reason)) => return format!("no {}", reason.code()),
            Some(Ok(room)) if room < frame.len() => return "no 3".to_owned(),
            // A guest's host is not checked: it does what the model says is right.
            None if expected != "ok" => return expected.to_owned(),
            _ => {}
        }
        let offset = (handle & 0xfff) as usize * 256;
        self.machine.write(handle, offset, frame);
        self.frames.insert(slot, frame.first().copied().unwrap_or(0));
        "ok".to_owned()
    }

    fn submit(&mut self, slot: u64, frame_bytes: u32, keep: bool, id: ContainerId) -> String {
        let handle = self.slot(slot);
        match self.machine.submit(handle, frame_bytes, keep, id).outcome {
            Outcome::Pending { ticket } => {
                let model = ticket >> PLACE_BITS;
                self.ids.insert(model, ticket);
                self.commands
                    .insert(model, self.frames.get(&slot).copied().unwrap_or(0));
                format!("ticket {model}")
            }
            Outcome::Ready {
                offset,
                bytes,
                status,
                reason,
                state,
            } => {
                let response = self.machine.bytes(offset as usize, bytes as usize);
                if let Some(written) = response.first() {
                    assert_eq!(*written, status.code(), "the status in front of the response");
                }
                match reason {
                    None => format!("data {offset} {}", hex(&response)),
                    Some(reason) => {
                        format!("refused {offset} {bytes} {} {}", reason.code(), state_code(state))
                    }
                }
            }
        }
    }

    fn said(&mut self, output: Output, expected: &str) -> String {
        match output {
            Output::Answer { ticket, answer } => {
                let model = ticket >> PLACE_BITS;
                assert_eq!(self.ids.get(&model), Some(&ticket), "a ticket that was not given");
                let command = self.commands[&model];
                // The kernel names the container in the answer of a create only.
                let container = match answer {
                    Answer::Created(id) => container_number(id),
                    _ => expected.split(' ').nth(3).unwrap_or("?").to_owned(),
                };
                format!("answer {model} {command} {container} {}", answer_text(answer))
            }
            Output::Effect {
                effect,
                container,
                action,
            } => {
                let model = effect >> PLACE_BITS;
                self.ids.insert(model, effect);
                let arguments = match action {
                    Action::Create { offset, bytes } => format!("{offset}.{bytes}"),
                    Action::Stop { timeout_ms } => timeout_ms.map_or("-".to_owned(), |ms| ms.to_string()),
                    Action::Delete { force } => (force as u8).to_string(),
                    Action::Kill { signal } => signal.number().to_string(),
                    _ => "-".to_owned(),
                };
                let command = action.command().code();
                format!(
                    "effect {model} {command} {} {arguments}",
                    container_number(container)
                )
            }
            Output::Abort { effect } => {
                let model = effect >> PLACE_BITS;
                assert_eq!(
                    self.ids.get(&model),
                    Some(&effect),
                    "an effect that was not handed out"
                );
                format!("abort {model}")
            }
        }
    }

    /// The handle that the model calls by this number; one that was never given out if there is none.
    fn slot(&self, model: u64) -> u64 {
        self.slots.get(&model).copied().unwrap_or(model << PLACE_BITS)
    }

    fn id(&self, model: u64) -> u64 {
        self.ids.get(&model).copied().unwrap_or(model << PLACE_BITS)
    }
}

fn accepted(result: Result<(), u8>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(code) => format!("no {code}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn container_number(id: ContainerId) -> String {
    let bytes = id.as_bytes();
    assert!(
        bytes.iter().all(|byte| *byte == bytes[0]),
        "no container of a trace"
    );
    bytes[0].to_string()
}

fn state_code(state: Option<State>) -> u8 {
    state.map_or(0, |state| state.code() + 1)
}

fn answer_text(answer: Answer) -> String {
    match answer {
        Answer::Done => "done".to_owned(),
        Answer::Created(_) => "created".to_owned(),
        Answer::Exited(Some(code)) => format!("exited {code}"),
        Answer::Exited(None) => "exited -".to_owned(),
        Answer::HostData => "data".to_owned(),
        Answer::Failed {
            status,
            reason,
            state,
        } => format!("failed {} {} {}", status.code(), reason.code(), state_code(state)),
    }
}
