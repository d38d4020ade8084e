//! A driver that writes frames and reads responses, and keeps the log of what it fed.

use selur_kernel::{Entry, Input, Kernel, SlotUse};
use selur_protocol::abi::{Action, Answer, CancelCause, Observation, Outcome, Output, Report, Submitted};
use selur_protocol::{Command, ContainerId, Frame, Reason, State, Status};

/// Any kernel, whatever its capacities.
pub trait Machine {
    fn reserve(&mut self, bytes: u32) -> Result<u64, Reason>;
    fn slot_mut(&mut self, slot: u64) -> Result<&mut [u8], Reason>;
    fn release(&mut self, slot: u64) -> Result<(), Reason>;
    fn feed(&mut self, input: Input<'_>) -> Result<Option<Submitted>, Reason>;
    fn entry_bytes(&mut self, input: Input<'_>) -> Option<Vec<u8>>;
    fn poll(&mut self) -> Option<Output>;
    fn arena(&self) -> &[u8];
}

impl<const C: usize, const I: usize, const O: usize, const B: usize, const W: usize, const A: usize> Machine
    for Kernel<C, I, O, B, W, A>
{
    fn reserve(&mut self, bytes: u32) -> Result<u64, Reason> {
        Kernel::reserve(self, bytes)
    }
    fn slot_mut(&mut self, slot: u64) -> Result<&mut [u8], Reason> {
        Kernel::slot_mut(self, slot)
    }
    fn release(&mut self, slot: u64) -> Result<(), Reason> {
        Kernel::release(self, slot)
    }
    fn feed(&mut self, input: Input<'_>) -> Result<Option<Submitted>, Reason> {
        Kernel::feed(self, input)
    }
    fn entry_bytes(&mut self, input: Input<'_>) -> Option<Vec<u8>> {
        let entry = self.entry(input).ok()?;
        let frame_bytes = match entry {
            Entry::Submit { frame, .. } => frame.len(),
            Entry::Other(_) | Entry::Polled { .. } => 0,
        };
        let mut bytes = vec![0; frame_bytes + Entry::MAX_BYTES_BESIDE_FRAME];
        let length = entry.encode(&mut bytes).expect("room for every entry");
        bytes.truncate(length);
        Some(bytes)
    }
    fn poll(&mut self) -> Option<Output> {
        Kernel::poll(self)
    }
    fn arena(&self) -> &[u8] {
        Kernel::arena(self)
    }
}

/// How a submission went, with its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Success at once, with this data.
    Data(Vec<u8>),
    /// Failure at once.
    Refused(Reason, Option<State>),
    /// A ticket.
    Pending(u64),
}

impl Sent {
    pub fn ticket(&self) -> u64 {
        match self {
            Sent::Pending(ticket) => *ticket,
            other => panic!("no ticket but {other:?}"),
        }
    }
}

/// A kernel and the log of what it was fed.
pub struct Driver<K> {
    pub kernel: K,
    pub log: Vec<Vec<u8>>,
}

pub fn id(number: u8) -> ContainerId {
    ContainerId::from_bytes([number; 16])
}

pub fn report(generation: u32, sequence: u32, state: State, exit_code: Option<i32>) -> Report {
    Report {
        generation,
        sequence,
        state,
        exit_code,
    }
}

impl<K: Machine> Driver<K> {
    pub fn new(kernel: K) -> Driver<K> {
        Driver {
            kernel,
            log: Vec::new(),
        }
    }

    /// Submits a frame, reads the response, and releases the slot.
    pub fn send(&mut self, frame: &[u8], new_id: ContainerId) -> Sent {
        self.send_in(frame, frame.len() as u32, new_id)
    }

    /// As [`Driver::send`], in a slot of this size.
    pub fn send_in(&mut self, frame: &[u8], slot_bytes: u32, new_id: ContainerId) -> Sent {
        let slot = self.kernel.reserve(slot_bytes).expect("a slot");
        self.kernel.slot_mut(slot).expect("reserved")[..frame.len()].copy_from_slice(frame);
        let input = Input::Submit {
            slot,
            frame_bytes: frame.len() as u32,
            slot_use: SlotUse::Consume,
            new_id,
        };
        self.log.extend(self.kernel.entry_bytes(input));
        let submitted = self
            .kernel
            .feed(input)
            .expect("a submission is never refused")
            .expect("an outcome");
        assert_eq!(Submitted::unpack(submitted.pack()), Some(submitted));
        match submitted.outcome {
            Outcome::Ready {
                offset,
                bytes,
                status,
                reason,
                state,
            } => {
                let response = self.kernel.arena()[offset as usize..][..bytes as usize].to_vec();
                assert_eq!(response[0], status.code());
                self.kernel.release(slot).expect("an answered slot");
                match reason {
                    None => Sent::Data(response[1..].to_vec()),
                    Some(reason) => Sent::Refused(reason, state),
                }
            }
            Outcome::Pending { ticket } => {
                assert!(self.kernel.slot_mut(slot).is_err());
                Sent::Pending(ticket)
            }
        }
    }

    /// Submits a command with its NUL-separated fields.
    pub fn ask(&mut self, command: Command, fields: &[&str]) -> Sent {
        self.ask_with(command, fields, id(0xff))
    }

    pub fn ask_with(&mut self, command: Command, fields: &[&str], new_id: ContainerId) -> Sent {
        self.send(&frame(command, fields), new_id)
    }

    pub fn create(&mut self, new_id: ContainerId, name: &str) -> Sent {
        self.ask_with(Command::CreateContainer, &["nginx", name], new_id)
    }

    pub fn feed(&mut self, input: Input<'_>) -> Result<(), Reason> {
        self.log.extend(self.kernel.entry_bytes(input));
        self.kernel
            .feed(input)
            .map(|submitted| assert_eq!(submitted, None))
    }

    pub fn cancel(&mut self, ticket: u64, cause: CancelCause) -> Result<(), Reason> {
        self.feed(Input::Cancel { ticket, cause })
    }

    pub fn complete(&mut self, effect: u64, status: Status, report: Option<Report>) -> Result<(), Reason> {
        self.feed(Input::Complete {
            effect,
            status,
            report,
        })
    }

    pub fn seen(&mut self, id: ContainerId, name: &str, report: Report) {
        self.feed(Input::Observe(Observation::Seen { id, name, report }))
            .expect("observations are taken");
    }

    pub fn gone(&mut self, id: ContainerId) {
        self.feed(Input::Observe(Observation::Gone { id }))
            .expect("observations are taken");
    }

    pub fn poll(&mut self) -> Option<Output> {
        let output = self.poll_unlogged();
        self.log_polled(output.iter().count());
        output
    }

    pub fn drain(&mut self) -> Vec<Output> {
        let outputs: Vec<Output> = std::iter::from_fn(|| self.poll_unlogged()).collect();
        self.log_polled(outputs.len());
        outputs
    }

    fn poll_unlogged(&mut self) -> Option<Output> {
        let output = self.kernel.poll()?;
        assert_eq!(Output::decode(&output.encode()), Some(output));
        Some(output)
    }

    fn log_polled(&mut self, count: usize) {
        if count > 0 {
            let mut bytes = [0; 6];
            let entry = Entry::Polled {
                outputs: count as u32,
            };
            assert_eq!(entry.encode(&mut bytes), Some(6));
            self.log.push(bytes.to_vec());
        }
    }

    /// Everything that waits, which must be exactly this.
    #[track_caller]
    pub fn expect(&mut self, outputs: &[Output]) {
        assert_eq!(self.drain(), outputs);
    }

    pub fn list(&mut self) -> Vec<ContainerId> {
        match self.ask(Command::ListContainers, &[]) {
            Sent::Data(data) => {
                let text = String::from_utf8(data).expect("ids");
                text.lines()
                    .map(|line| ContainerId::parse(line).expect("an id"))
                    .collect()
            }
            other => panic!("list gave {other:?}"),
        }
    }

    /// A container in this state, named after its number.
    pub fn with_container(&mut self, number: u8, name: &str, state: State) {
        let exit = if state == State::Stopped { Some(7) } else { None };
        self.seen(id(number), name, report(1, 1, state, exit));
    }
}

pub fn frame(command: Command, fields: &[&str]) -> Vec<u8> {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    let mut frame = vec![0; 5 + fields.iter().map(|field| field.len() + 1).sum::<usize>()];
    let length = Frame::encode(command, &fields, &mut frame).expect("room for the frame");
    frame.truncate(length);
    frame
}

pub fn effect(effect: u64, number: u8, action: Action) -> Output {
    Output::Effect {
        effect,
        container: id(number),
        action,
    }
}

/// The effect of a hosted command that names no container.
pub fn hosted(effect: u64, command: Command) -> Output {
    Output::Effect {
        effect,
        container: ContainerId::NONE,
        action: Action::Host(command),
    }
}

pub fn answer(ticket: u64, answer: Answer) -> Output {
    Output::Answer { ticket, answer }
}

pub fn done(ticket: u64) -> Output {
    answer(ticket, Answer::Done)
}

pub fn failed(ticket: u64, reason: Reason) -> Output {
    answer(
        ticket,
        Answer::Failed {
            status: reason.status(),
            reason,
            state: None,
        },
    )
}

pub fn wrong_state(ticket: u64, state: State) -> Output {
    let reason = Reason::WrongState;
    answer(
        ticket,
        Answer::Failed {
            status: reason.status(),
            reason,
            state: Some(state),
        },
    )
}

pub fn runtime_failed(ticket: u64, status: Status) -> Output {
    answer(
        ticket,
        Answer::Failed {
            status,
            reason: Reason::Runtime,
            state: None,
        },
    )
}
