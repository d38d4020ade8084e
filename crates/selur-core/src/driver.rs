//! Carries inputs into the guest and outputs out of it.
//!
//! It decides nothing about containers. What the guest says is believed only as far as it can be checked: an answer for
//! a ticket that is not open, an effect with a known id, an answer of the wrong kind break the guest.

use crate::effect::{self, Outcome};
use crate::guest::Broken;
use crate::message::{self, Subject};
use crate::slots::{self, Region};
use crate::state::{EffectKind, OpenRequest, Place, Running, Sink, State, Work};
use crate::waiting::MAX_WAITING;
use crate::{Error, Response, Status};
use selur_protocol::abi::{self, Action, Answer, Output, Submitted};
use selur_protocol::{
    Command, ContainerId, Frame, HEADER_BYTES, MAX_FRAME_BYTES, Reason, Request, State as Life,
};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a guest may be polled in a row: 113 outputs each, far more than a kernel can hold.
const MAX_POLLS: usize = 1_024;
/// How many effects may be in flight: every ticket's, and an undo for each container.
const MAX_EFFECTS: usize = 4_096 + 1_024;

/// How the kernel took a frame.
pub(crate) enum Reply {
    /// Answered.
    Ready(Response),
    /// A ticket, not yet open here.
    Pending(u64),
    /// No ticket is free.
    Full,
    /// A refusal that may be out of date, where other processes change what the runtime has.
    Doubtful(Response),
}

/// What came of an effect, for whoever is answered with it.
pub(crate) struct Completed {
    effect: u64,
    text: Option<String>,
}

/// What became of a request that was taken.
pub(crate) enum Admitted {
    /// Answered at once.
    Ready(Response),
    /// Open under its number.
    Open,
}

impl State {
    /// Answers a ping whose frame is `head` and `rest`, and shows its data where it lies. Gives `read` back if this is none,
    /// or if there is no slot for it.
    pub(crate) fn ping<R, F: FnOnce(&[u8]) -> R>(
        &mut self,
        head: &[u8],
        rest: &[u8],
        read: F,
    ) -> Result<Result<R, F>, Broken> {
        let frame_bytes = head.len() + rest.len();
        let Some((region, is_resident)) = self.slot_for(frame_bytes)? else {
            return Ok(Err(read));
        };
        let memory = self.guest.memory();
        memory.write(region.offset, head)?;
        memory.write(region.offset + head.len() as u32, rest)?;
        let shown = self.show_ping(region, frame_bytes as u32, read)?;
        if !is_resident {
            self.slots.release(&mut self.guest, region)?;
        }
        Ok(shown)
    }

    /// Shows the data of the ping in a slot where it lies. Gives `read` back if there is none. The slot must be one that no
    /// foreign code writes.
    #[inline]
    pub(crate) fn show_ping<R, F: FnOnce(&[u8]) -> R>(
        &mut self,
        region: Region,
        frame_bytes: u32,
        read: F,
    ) -> Result<Result<R, F>, Broken> {
        if !self.holds_ping(region, frame_bytes)? {
            return Ok(Err(read));
        }
        let header = HEADER_BYTES as u32;
        let memory = self.guest.memory();
        memory
            .with(region.offset + header, frame_bytes - header, read)
            .map(Ok)
    }

    /// Whether a slot holds a ping, which is its own answer.
    #[inline]
    pub(crate) fn holds_ping(&mut self, region: Region, frame_bytes: u32) -> Result<bool, Broken> {
        // Foreign code may change the bytes at any time: this saves a call for other commands, and decides nothing.
        let code = self.guest.memory().byte(region.offset)?;
        Ok(code == Command::Ping.code() && self.guest.ping(region.handle, frame_bytes)?)
    }

    /// The slot that is kept for frames by copy, else one for this frame alone; and which it is.
    #[inline]
    fn slot_for(&mut self, frame_bytes: usize) -> Result<Option<(Region, bool)>, Broken> {
        match self.slots.resident(&mut self.guest)? {
            Some(region) if frame_bytes <= region.bytes as usize => Ok(Some((region, true))),
            _ => {
                let bytes = u32::try_from(frame_bytes).unwrap_or(u32::MAX);
                let region = self.slots.reserve(&mut self.guest, bytes)?;
                Ok(region.map(|region| (region, false)))
            }
        }
    }

    /// Takes a request: into the kernel, else into one of the lines before it.
    pub(crate) fn admit(
        &mut self,
        number: u64,
        frame: &[u8],
        deadline: Option<Instant>,
        sink: &mut dyn FnMut() -> Sink,
        work: &mut Work,
    ) -> Result<Admitted, Broken> {
        let mut open = |place, subject| OpenRequest {
            sink: sink(),
            subject,
            deadline,
            place,
            is_refreshed: false,
        };
        let refreshes = self.refresh.is_wanted_for(frame) || self.is_behind_another(number, frame);
        let reply = match refreshes || self.queues(frame) {
            true => None,
            false => Some(self.exchange(frame, work)?),
        };
        let place = match reply {
            Some(Reply::Ready(response)) => return Ok(Admitted::Ready(response)),
            Some(Reply::Doubtful(response)) if !self.refresh.is_shared() => {
                return Ok(Admitted::Ready(response));
            }
            Some(Reply::Pending(ticket)) => {
                let request = open(Place::Kernel(ticket, kept(frame)), Subject::of(frame));
                self.open(number, request, work);
                self.drain(None, work)?;
                return Ok(Admitted::Open);
            }
            _ if self.waiting.len() + self.refresh.len() >= MAX_WAITING => {
                let message = format!("{MAX_WAITING} requests are waiting already: await some first");
                return Ok(Admitted::Ready(Response::failure(
                    Status::ResourceExhausted,
                    message,
                )));
            }
            Some(Reply::Doubtful(_)) => Place::Refreshing(frame.into()),
            None if refreshes => Place::Refreshing(frame.into()),
            Some(Reply::Full) | None => Place::Waiting(frame.into()),
        };
        let request = open(place, Subject::of(frame));
        self.open(number, request, work);
        Ok(Admitted::Open)
    }

    /// Copies a frame into the guest, and the answer out if it comes at once.
    pub(crate) fn exchange(&mut self, frame: &[u8], work: &mut Work) -> Result<Reply, Broken> {
        if frame.len() > MAX_FRAME_BYTES {
            let reason = Frame::parse(frame).err().unwrap_or(Reason::PayloadTooLong);
            return Ok(Reply::Ready(message::failure(reason, None, &Subject::default())));
        }
        let Some((region, is_resident)) = self.slot_for(frame.len())? else {
            return Ok(Reply::Ready(arena_full().into()));
        };
        self.guest.memory().write(region.offset, frame)?;
        let submitted = self.exchange_in(region, frame.len() as u32)?;
        let reply = match submitted.outcome {
            abi::Outcome::Ready {
                offset,
                bytes,
                status,
                reason,
                state,
            } => {
                let reply = self.reply(offset, bytes, status, reason, state, frame)?;
                if !is_resident {
                    self.slots.release(&mut self.guest, region)?;
                }
                reply
            }
            abi::Outcome::Pending { ticket } => {
                match (is_create(frame), is_resident) {
                    (true, true) => self.slots.resident_consumed(),
                    (true, false) => self.slots.consumed(region),
                    (false, true) => {}
                    (false, false) => self.slots.release(&mut self.guest, region)?,
                }
                Reply::Pending(ticket)
            }
        };
        if submitted.outputs_waiting && !matches!(reply, Reply::Pending(_)) {
            self.drain(None, work)?;
        }
        Ok(reply)
    }

    /// One exchange in a slot, checked against it.
    pub(crate) fn exchange_in(&mut self, region: Region, frame_bytes: u32) -> Result<Submitted, Broken> {
        let submitted = self.guest.exchange(region.handle, frame_bytes, self.next_id)?;
        let submitted = slots::checked(region, submitted)?;
        if let abi::Outcome::Pending { ticket } = submitted.outcome {
            if self.tickets.contains_key(&ticket) {
                return Err(Broken(format!("it gave the open ticket {ticket} a second time")));
            }
            self.next_id = random_id()?;
        }
        Ok(submitted)
    }

    /// The response that lies in the guest, copied out.
    fn reply(
        &mut self,
        offset: u32,
        bytes: u32,
        status: Status,
        reason: Option<Reason>,
        life: Option<Life>,
        frame: &[u8],
    ) -> Result<Reply, Broken> {
        let Some(reason) = reason.filter(|_| status != Status::Success) else {
            let data = self.guest.memory().to_vec(offset + 1, bytes - 1)?;
            return Ok(Reply::Ready(Response::success(data)));
        };
        Ok(match reason {
            Reason::TicketsFull => Reply::Full,
            _ => {
                let response = message::failure(reason, life, &Subject::of(frame));
                match is_doubtful(reason) {
                    true => Reply::Doubtful(response),
                    false => Reply::Ready(response),
                }
            }
        })
    }

    /// Takes every output that waits. `completed` is the effect that was just completed.
    pub(crate) fn drain(&mut self, mut completed: Option<Completed>, work: &mut Work) -> Result<(), Broken> {
        let mut outputs = std::mem::take(&mut self.outputs);
        for _ in 0..MAX_POLLS {
            self.guest.poll(&mut outputs)?;
            if outputs.is_empty() {
                self.outputs = outputs;
                // A create took it; before anybody else reserves, there is room for it again.
                return self.slots.resident(&mut self.guest).map(drop);
            }
            for output in &outputs {
                self.take_output(output, &mut completed, work)?;
            }
        }
        Err(Broken::new("its outputs never end"))
    }

    fn take_output(
        &mut self,
        output: &Output,
        completed: &mut Option<Completed>,
        work: &mut Work,
    ) -> Result<(), Broken> {
        match *output {
            Output::Answer { ticket, answer } => {
                let number = self.tickets.get(&ticket).copied().ok_or_else(|| {
                    Broken(format!(
                        "it answered the ticket {ticket}, which was answered before or never given"
                    ))
                })?;
                let text = match completed.take_if(|completed| completed.effect == ticket) {
                    Some(completed) => self.data_of(number, completed, answer, work),
                    None => Ok(None),
                };
                let Some(request) = self.take(number) else {
                    return Err(Broken(format!("it answered the ticket {ticket} of no request")));
                };
                work.freed = true;
                // Broken or not, the request is answered: poisoning finds it no more.
                let answered = match text {
                    Ok(text) => response(ticket, answer, text, &request.subject),
                    Err(error) => Ok(error.into()),
                };
                match answered {
                    Ok(response) => work.answers.push((number, request, response)),
                    Err(Broken(how)) => {
                        let response =
                            Response::failure(Status::InternalError, format!("the guest is broken: {how}"));
                        work.answers.push((number, request, response));
                        return Err(Broken(how));
                    }
                }
            }
            Output::Effect {
                effect,
                container,
                action,
            } => {
                if self.effects.contains_key(&effect) {
                    return Err(Broken(format!(
                        "it asked for the effect {effect} while that was running"
                    )));
                }
                if self.effects.len() >= MAX_EFFECTS {
                    return Err(Broken::new("it asked for more effects than it has tickets"));
                }
                let asked = effect::read(&self.guest, container, &action, self.frame_of(effect))?;
                let abort = CancellationToken::new();
                let running = Running {
                    container,
                    abort: abort.clone(),
                    kind: kind(&action),
                };
                self.effects.insert(effect, running);
                match asked {
                    Ok(task) => work.effects.push((effect, task, abort)),
                    Err(error) => work.refused.push((effect, error)),
                }
            }
            Output::Abort { effect } => match self.effects.get(&effect) {
                Some(running) => work.aborts.push(running.abort.clone()),
                None => {
                    return Err(Broken(format!(
                        "it aborted the effect {effect}, which is not running"
                    )));
                }
            },
        }
        Ok(())
    }

    /// What the caller of a completed effect is answered with, beside what the kernel says: text, or a stream's id.
    fn data_of(
        &mut self,
        number: u64,
        completed: Completed,
        answer: Answer,
        work: &mut Work,
    ) -> Result<Option<String>, Error> {
        if answer != Answer::HostData {
            return Ok(completed.text);
        }
        let Some(stream) = work.opened.take() else {
            return Ok(completed.text);
        };
        let deadline = self.requests.get(&number).and_then(|request| request.deadline);
        match self.opened.add(stream.until(deadline)) {
            Ok(id) => Ok(Some(id.to_string())),
            Err((error, stream)) => {
                work.opened = Some(stream);
                Err(error)
            }
        }
    }

    /// The frame of the hosted command whose ticket an effect names.
    fn frame_of(&self, effect: u64) -> Option<&[u8]> {
        let request = self.requests.get(self.tickets.get(&effect)?)?;
        match &request.place {
            Place::Kernel(_, frame) => frame.as_deref(),
            _ => None,
        }
    }

    /// Tells the kernel what came of an effect.
    pub(crate) fn complete(&mut self, effect: u64, outcome: Outcome, work: &mut Work) -> Result<(), Broken> {
        let Some(running) = self.effects.remove(&effect) else {
            return Ok(());
        };
        work.unwanted
            .extend(std::mem::replace(&mut work.opened, outcome.stream));
        let succeeded = outcome.status == Status::Success;
        let is_gone = match running.kind {
            EffectKind::Creates => !succeeded,
            EffectKind::Deletes => succeeded,
            EffectKind::Keeps => false,
        };
        if is_gone {
            self.refresh.bury(running.container);
        }
        if let Err(reason) = self.guest.complete(effect, outcome.status, outcome.report)? {
            let how = format!(
                "it refused the completion of its effect {effect}: {}",
                reason.message()
            );
            return Err(Broken(how));
        }
        let completed = Completed {
            effect,
            text: outcome.text,
        };
        self.drain(Some(completed), work)?;
        // An effect that was given up holds its ticket's place until now.
        work.freed = true;
        work.idle |= self.effects.is_empty();
        Ok(())
    }
}

/// What an answer says, if it fits the request.
fn response(
    ticket: u64,
    answer: Answer,
    text: Option<String>,
    subject: &Subject,
) -> Result<Response, Broken> {
    let data = match (answer, subject.command()) {
        (Answer::Created(id), Some(Command::CreateContainer)) => id.to_string().into_bytes(),
        (Answer::Exited(code), Some(Command::WaitContainer)) => {
            code.map(|code| code.to_string()).unwrap_or_default().into_bytes()
        }
        (Answer::HostData, Some(command)) if command == Command::InspectContainer || command.is_hosted() => {
            match text {
                Some(text) => text.into_bytes(),
                None => {
                    return Err(Broken(format!(
                        "it answered the ticket {ticket} with data that no effect gave"
                    )));
                }
            }
        }
        (
            Answer::Done,
            Some(
                Command::StartContainer
                | Command::StopContainer
                | Command::DeleteContainer
                | Command::KillContainer
                | Command::PauseContainer
                | Command::ResumeContainer,
            ),
        ) => Vec::new(),
        (
            Answer::Failed {
                status,
                reason,
                state,
            },
            _,
        ) => {
            return match reason {
                Reason::Runtime if status != Status::Success => Ok(message::runtime_failure(status, text)),
                _ if reason.status() == status => Ok(message::failure(reason, state, subject)),
                _ => Err(Broken(format!(
                    "it failed the ticket {ticket} with a status that is not the reason's"
                ))),
            };
        }
        _ => {
            return Err(Broken(format!(
                "it answered the ticket {ticket} with what another command is answered with"
            )));
        }
    };
    Ok(Response::success(data))
}

fn kind(action: &Action) -> EffectKind {
    match action {
        Action::Create { .. } => EffectKind::Creates,
        Action::Delete { .. } => EffectKind::Deletes,
        _ => EffectKind::Keeps,
    }
}

/// Whether a refusal may come from a table that is older than what other processes did.
pub(crate) fn is_doubtful(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoSuchContainer | Reason::AmbiguousPrefix | Reason::NameTaken | Reason::WrongState
    )
}

/// Whether the kernel may answer with a ticket.
pub(crate) fn needs_ticket(frame: &[u8]) -> bool {
    let Ok(frame) = Frame::parse(frame) else {
        return false;
    };
    !matches!(
        Request::parse(&frame),
        Err(_) | Ok(Request::Ping(_) | Request::List)
    )
}

pub(crate) fn is_hosted(frame: &[u8]) -> bool {
    let command = frame.first().and_then(|code| Command::from_code(*code));
    command.is_some_and(Command::is_hosted)
}

/// The copy of a frame that the host needs when the kernel has taken it.
pub(crate) fn kept(frame: &[u8]) -> Option<Box<[u8]>> {
    is_hosted(frame).then(|| frame.into())
}

pub(crate) fn is_create(frame: &[u8]) -> bool {
    frame.first() == Some(&Command::CreateContainer.code())
}

pub(crate) fn arena_full() -> Error {
    Error::new(
        Status::ResourceExhausted,
        "the guest's arena has no room for a slot of this size: release other slots first",
    )
}

/// 128 fresh random bits.
pub(crate) fn random_id() -> Result<u128, Broken> {
    let mut bytes = [0; size_of::<ContainerId>()];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Broken(format!("the system gives no random bits: {error}"))),
        }
    }
    Ok(u128::from_be_bytes(bytes))
}
