//! Requests beyond the kernel's tickets: they wait here, in the order they came, until a ticket is free.

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
