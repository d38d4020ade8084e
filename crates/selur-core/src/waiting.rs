//! Requests beyond the kernel's tickets: they wait here, in the order they came, until a ticket is free.

use crate::driver::{Reply, is_hosted, needs_ticket};
use crate::effect::Outcome;
use crate::guest::Broken;
use crate::message::Subject;
use crate::state::{Place, State, Work};
use selur_protocol::Command;
use std::collections::BTreeSet;

/// How many requests may wait. Source: DESIGN, "selur-core".
pub(crate) const MAX_WAITING: usize = 16_384;

/// The waiting requests, by their numbers, which grow in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    lines: [BTreeSet<u64>; 2],
}

/// Which line a request waits in. The kernel keeps tickets for what ends containers, so these have a line of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// stop, kill and delete.
    Ending = 0,
    /// Everything else.
    Ordinary = 1,
}

impl Line {
    pub(crate) const ALL: [Line; 2] = [Line::Ending, Line::Ordinary];

    pub(crate) fn of(command: Option<Command>) -> Line {
        match command {
            Some(Command::StopContainer | Command::KillContainer | Command::DeleteContainer) => Line::Ending,
            _ => Line::Ordinary,
        }
    }
}

impl Waiting {
    /// Whether a new request has to queue up behind others, so that none overtakes.
    pub(crate) fn is_blocked(&self, line: Line) -> bool {
        !self.lines[line as usize].is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.iter().map(BTreeSet::len).sum()
    }

    pub(crate) fn add(&mut self, line: Line, request: u64) {
        self.lines[line as usize].insert(request);
    }

    pub(crate) fn first(&self, line: Line) -> Option<u64> {
        self.lines[line as usize].first().copied()
    }

    pub(crate) fn remove(&mut self, request: u64) {
        for line in &mut self.lines {
            line.remove(&request);
        }
    }
}

impl State {
    /// Whether a frame has to wait behind others.
    pub(crate) fn queues(&self, frame: &[u8]) -> bool {
        let line = Line::of(frame.first().and_then(|code| Command::from_code(*code)));
        self.waiting.is_blocked(line) && needs_ticket(frame)
    }

    /// Completes effects that cannot be begun, and gives others the tickets that are free, until there is neither.
    pub(crate) fn settle(&mut self, work: &mut Work) -> Result<(), Broken> {
        loop {
            for (effect, error) in std::mem::take(&mut work.refused) {
                self.complete(effect, Outcome::failed(error), work)?;
            }
            if !std::mem::take(&mut work.freed) && work.refused.is_empty() {
                return Ok(());
            }
            self.admit_waiting(work)?;
        }
    }

    /// Gives waiting requests the tickets that are free.
    fn admit_waiting(&mut self, work: &mut Work) -> Result<(), Broken> {
        for line in Line::ALL {
            while let Some(number) = self.waiting.first(line) {
                if !self.resubmit(number, work)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Hands a waiting or refreshed request to the kernel. Says whether it left its line.
    pub(crate) fn resubmit(&mut self, number: u64, work: &mut Work) -> Result<bool, Broken> {
        let Some(request) = self.requests.get_mut(&number) else {
            self.waiting.remove(number);
            return Ok(true);
        };
        let (frame, was_waiting) = match std::mem::replace(&mut request.place, Place::Moving) {
            Place::Waiting(frame) => (frame, true),
            Place::Refreshing(frame) => (frame, false),
            place => {
                request.place = place;
                return Ok(true);
            }
        };
        let is_refreshed = request.is_refreshed || !was_waiting;
        request.is_refreshed = is_refreshed;
        self.refresh.remove(number, &request.subject);
        let line = Line::of(request.subject.command());
        if was_waiting && self.is_behind_another(number, &frame) {
            self.waiting.remove(number);
            work.list |= self.refresh.add(number, &Subject::of(&frame));
            self.place(number, Place::Refreshing(frame));
            return Ok(true);
        }
        let reply = match !was_waiting && self.queues(&frame) {
            true => Reply::Full,
            false => self.exchange(&frame, work)?,
        };
        let place = match reply {
            Reply::Full => {
                self.waiting.add(line, number);
                self.place(number, Place::Waiting(frame));
                return Ok(!was_waiting);
            }
            Reply::Ready(response) => {
                self.waiting.remove(number);
                self.answer(number, response, work);
                return Ok(true);
            }
            Reply::Doubtful(response) if is_refreshed || !self.refresh.is_shared() => {
                self.waiting.remove(number);
                self.answer(number, response, work);
                return Ok(true);
            }
            Reply::Doubtful(_) => {
                work.list |= self.refresh.add(number, &Subject::of(&frame));
                Place::Refreshing(frame)
            }
            Reply::Pending(ticket) => {
                self.tickets.insert(ticket, number);
                Place::Kernel(ticket, Some(frame).filter(|frame| is_hosted(frame)))
            }
        };
        self.waiting.remove(number);
        self.place(number, place);
        self.drain(None, work)?;
        Ok(true)
    }

    fn place(&mut self, number: u64, place: Place) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.place = place;
        }
    }
}
