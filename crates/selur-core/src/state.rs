//! What the bridge knows, behind its one lock: the guest, the open requests and the effects in flight.
//!
//! Nothing here blocks, spawns or wakes anybody: what is to be done without the lock is put into [`Work`].

use crate::effect::Task;
use crate::guest::{Broken, Instance};
use crate::message::Subject;
use crate::opened::{OpenStream, Opened};
use crate::refresh::Refresh;
use crate::slots::Slots;
use crate::ticket::Cell;
use crate::waiting::{Line, Waiting};
use crate::{Error, Response, Status};
use selur_protocol::abi::{CancelCause, Output};
use selur_protocol::{ContainerId, Reason};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Whether requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Yes.
    Open,
    /// No; effects in flight still complete.
    Closing,
    /// No, and nothing reaches the guest any more.
    Closed,
}

/// Everything behind the lock.
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Set for good when the guest broke.
    pub(crate) poison: Option<Error>,
    pub(crate) guest: Instance,
    pub(crate) slots: Slots,
    /// Open requests by their numbers.
    pub(crate) requests: HashMap<u64, OpenRequest>,
    /// The kernel's open tickets. Invariant: each request at [`Place::Kernel`] has its ticket here, and no other is.
    pub(crate) tickets: HashMap<u64, u64>,
    /// Effects handed out and not completed.
    pub(crate) effects: HashMap<u64, Running>,
    pub(crate) waiting: Waiting,
    pub(crate) refresh: Refresh,
    /// Streams that were opened and not taken.
    pub(crate) opened: Opened,
    /// Deadlines of open requests, soonest first.
    pub(crate) deadlines: BTreeSet<(Instant, u64)>,
    pub(crate) timer_runs: bool,
    /// The id that the next create gets.
    pub(crate) next_id: u128,
    pub(crate) next_request: u64,
    /// Kept for its capacity.
    pub(crate) outputs: Vec<Output>,
}

/// A request that is not answered.
pub(crate) struct OpenRequest {
    pub(crate) sink: Sink,
    pub(crate) subject: Subject,
    pub(crate) deadline: Option<Instant>,
    pub(crate) place: Place,
    /// Whether a lookup that fails has already been tried after a refresh.
    pub(crate) is_refreshed: bool,
}

/// Where an open request is.
pub(crate) enum Place {
    /// In the kernel, under this ticket; of a hosted command with its frame, which the kernel does not keep.
    Kernel(u64, Option<Box<[u8]>>),
    /// Waiting for a ticket, with its frame.
    Waiting(Box<[u8]>),
    /// Waiting until the runtime was listed, with its frame.
    Refreshing(Box<[u8]>),
    /// On its way from one of these to another.
    Moving,
}

/// Where an answer goes.
#[derive(Clone)]
pub(crate) enum Sink {
    Cell(Arc<Cell>),
    Queue,
    /// It undoes what an abandoned request made: a close does not cancel it.
    Nobody,
}

/// An effect in flight.
pub(crate) struct Running {
    pub(crate) container: ContainerId,
    pub(crate) abort: CancellationToken,
    /// What its end says of the container's existence.
    pub(crate) kind: EffectKind,
}

/// What an effect does to a container's existence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EffectKind {
    Creates,
    Deletes,
    Keeps,
}

/// What is left to do when the lock is released.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) answers: Vec<(u64, OpenRequest, Response)>,
    pub(crate) effects: Vec<(u64, Task, CancellationToken)>,
    /// Effects that cannot be begun, and why. They are completed before the lock is released.
    pub(crate) refused: Vec<(u64, Error)>,
    pub(crate) aborts: Vec<CancellationToken>,
    /// What the effect that was just completed opened, until its caller is answered with it.
    pub(crate) opened: Option<OpenStream>,
    /// Streams that nobody wants: to drop one may take its time.
    pub(crate) unwanted: Vec<OpenStream>,
    /// A listing is wanted.
    pub(crate) list: bool,
    /// The soonest deadline has changed.
    pub(crate) timer: bool,
    /// The kernel answered a ticket or took a completion, so that a waiting request may get a ticket.
    pub(crate) freed: bool,
    /// No effect is in flight any more.
    pub(crate) idle: bool,
}

impl State {
    pub(crate) fn new(guest: Instance, next_id: u128) -> State {
        State {
            phase: Phase::Open,
            poison: None,
            guest,
            slots: Slots::default(),
            requests: HashMap::new(),
            tickets: HashMap::new(),
            effects: HashMap::new(),
            waiting: Waiting::default(),
            refresh: Refresh::default(),
            opened: Opened::default(),
            deadlines: BTreeSet::new(),
            timer_runs: false,
            next_id,
            next_request: 1,
            outputs: Vec::new(),
        }
    }

    /// A number for a request; never used again.
    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_request;
        self.next_request += 1;
        number
    }

    /// Adds an open request.
    pub(crate) fn open(&mut self, number: u64, request: OpenRequest, work: &mut Work) {
        if let Some(deadline) = request.deadline {
            let first = self.deadlines.first();
            work.timer |= first.is_none_or(|(soonest, _)| deadline < *soonest);
            self.deadlines.insert((deadline, number));
        }
        match &request.place {
            Place::Kernel(ticket, _) => {
                self.tickets.insert(*ticket, number);
            }
            Place::Waiting(_) => self.waiting.add(Line::of(request.subject.command()), number),
            Place::Refreshing(_) => work.list |= self.refresh.add(number, &request.subject),
            Place::Moving => {}
        }
        self.requests.insert(number, request);
    }

    /// Takes an open request out of everything that refers to it.
    pub(crate) fn take(&mut self, number: u64) -> Option<OpenRequest> {
        let request = self.requests.remove(&number)?;
        if let Some(deadline) = request.deadline {
            self.deadlines.remove(&(deadline, number));
        }
        match &request.place {
            Place::Kernel(ticket, _) => {
                self.tickets.remove(ticket);
            }
            Place::Waiting(_) => self.waiting.remove(number),
            Place::Refreshing(_) => self.refresh.remove(number, &request.subject),
            Place::Moving => {}
        }
        Some(request)
    }

    /// Answers an open request.
    pub(crate) fn answer(&mut self, number: u64, response: Response, work: &mut Work) {
        if let Some(request) = self.take(number) {
            work.answers.push((number, request, response));
        }
    }

    /// Ends an open request early. One that the caller no longer knows is none.
    pub(crate) fn cancel(&mut self, number: u64, cause: CancelCause, work: &mut Work) -> Result<(), Broken> {
        let Some(request) = self.requests.get(&number) else {
            return Ok(());
        };
        let Place::Kernel(ticket, _) = request.place else {
            let reason = match cause {
                CancelCause::Caller => Reason::CancelledByCaller,
                CancelCause::Deadline => Reason::DeadlinePassed,
            };
            let response = crate::message::failure(reason, None, &request.subject);
            self.answer(number, response, work);
            return Ok(());
        };
        if let Err(reason) = self.guest.cancel(ticket, cause as u32)? {
            let how = format!(
                "it refused to cancel the open ticket {ticket}: {}",
                reason.message()
            );
            return Err(Broken(how));
        }
        self.drain(None, work)?;
        if self.requests.contains_key(&number) {
            return Err(Broken(format!(
                "it left the cancelled ticket {ticket} unanswered"
            )));
        }
        Ok(())
    }

    /// Whether something is under way that a close waits for, which has cancelled every request that somebody waits for.
    pub(crate) fn is_busy(&self) -> bool {
        self.poison.is_none() && !(self.effects.is_empty() && self.requests.is_empty())
    }

    /// Marks the guest as broken for good, and answers everything that is open.
    pub(crate) fn poison(&mut self, broken: Broken, work: &mut Work) -> Error {
        let message = format!(
            "the guest is broken: {}. This bridge answers nothing more, its containers are untouched: build another one",
            broken.0
        );
        let error = Error::new(Status::InternalError, message);
        self.poison = Some(error.clone());
        self.answer_all(&Response::from(error.clone()), work);
        self.effects.clear();
        work.unwanted.extend(self.opened.take_all().into_values());
        work.effects.clear();
        work.refused.clear();
        work.list = false;
        work.freed = false;
        work.idle = true;
        error
    }

    /// Answers every open request alike.
    pub(crate) fn answer_all(&mut self, response: &Response, work: &mut Work) {
        self.tickets.clear();
        self.waiting = Waiting::default();
        self.refresh.forget_requests();
        self.deadlines.clear();
        for (number, request) in self.requests.drain() {
            work.answers.push((number, request, response.clone()));
        }
    }
}
