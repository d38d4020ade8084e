//! The engine: how operations move. Everything that submit, complete, cancel and observe have in common is here.
//!
//! It works on views, so that it is compiled once whatever the capacities.

use crate::arena::Arena;
use crate::lifecycle::{Decision, decide};
use crate::link::{Ends, Link};
use crate::operations::{Chain, EffectStage, Operation, Operations, Task, TicketStage};
use crate::table::{Phase, Table};
use selur_protocol::abi::{Answer, Report};
use selur_protocol::{Command, Reason, State};

/// The whole kernel at work.
pub(crate) struct Engine<'a> {
    pub(crate) arena: Arena<'a>,
    pub(crate) table: Table<'a>,
    pub(crate) operations: Operations<'a>,
}

/// A failure of the kernel's own; its status is the reason's.
pub(crate) const fn failed(reason: Reason, state: Option<State>) -> Answer {
    Answer::Failed {
        status: reason.status(),
        reason,
        state,
    }
}

impl Engine<'_> {
    /// Opens a ticket for a task, on a container if it is about one.
    ///
    /// # Errors
    /// [`Reason::TicketsFull`], [`Reason::WaitsFull`].
    pub(crate) fn open(&mut self, container: Option<usize>, task: Task) -> Result<usize, Reason> {
        let index = self.operations.open(Operation::new(container, task))?;
        if let Some(container) = container {
            self.table.records[container].pins += 1;
        }
        Ok(index)
    }

    pub(crate) fn ticket(&self, index: usize) -> u64 {
        self.operations.records[index].id
    }

    /// Has the operation's effect handed out.
    pub(crate) fn emit(&mut self, index: usize) {
        self.operations.records[index].effect = EffectStage::Ready;
        self.enter_outbox(index);
    }

    /// Answers the operation's ticket, unless it was answered before.
    pub(crate) fn settle(&mut self, index: usize, answer: Answer) {
        let operation = &mut self.operations.records[index];
        if operation.ticket == TicketStage::Open {
            operation.settle(answer);
            self.enter_outbox(index);
        }
    }

    /// Asks a running effect to end early.
    pub(crate) fn abort(&mut self, index: usize) {
        if self.operations.records[index].ask_to_abort() {
            self.enter_outbox(index);
        }
    }

    /// Takes back an effect that was not handed out: it never happened.
    pub(crate) fn take_back(&mut self, index: usize) {
        if let Some(offset) = self.operations.records[index].held_slot() {
            self.arena.free_at(offset);
        }
        self.operations.records[index].effect = EffectStage::None;
        self.leave_outbox_if_silent(index);
    }

    /// Frees an operation that has neither ticket nor effect left, and a gone container with its last operation.
    pub(crate) fn finish(&mut self, index: usize) {
        let operation = &self.operations.records[index];
        if operation.ticket != TicketStage::None || operation.effect != EffectStage::None {
            return;
        }
        let container = operation.container();
        self.operations.free(index);
        if let Some(container) = container {
            self.table.records[container].pins -= 1;
            self.free_if_unused(container);
        }
    }

    fn free_if_unused(&mut self, container: usize) {
        let record = &self.table.records[container];
        if record.phase == Phase::Gone && record.pins == 0 {
            self.table.free(container);
        }
    }

    /// Puts an operation into one of its container's chains.
    pub(crate) fn enchain(&mut self, index: usize, chain: Chain) {
        let container = match self.operations.records[index].container() {
            Some(container) => container,
            None => return,
        };
        let record = &mut self.table.records[container];
        let ends = match chain {
            Chain::None => return,
            Chain::Queue => &mut record.queue,
            Chain::Waiters => &mut record.waiters,
            Chain::Forces => &mut record.forces,
        };
        self.operations.append(ends, chain, index);
    }

    /// Takes an operation out of the chain it is in, if any.
    pub(crate) fn unchain(&mut self, index: usize) {
        let operation = &self.operations.records[index];
        let container = match operation.container() {
            Some(container) => container,
            None => return,
        };
        let record = &mut self.table.records[container];
        let ends = match operation.chain {
            Chain::None => return,
            Chain::Queue => &mut record.queue,
            Chain::Waiters => &mut record.waiters,
            Chain::Forces => &mut record.forces,
        };
        self.operations.unchain(ends, index);
    }

    /// Gives everything in a chain the same answer.
    pub(crate) fn settle_all(&mut self, ends: Ends, answer: Answer) {
        let mut link = ends.first;
        while let Some(index) = link.index() {
            link = self.operations.after(index);
            self.unchain(index);
            self.settle(index, answer);
        }
    }

    /// Whether a lifecycle request may have its turn now.
    pub(crate) fn is_idle(&self, container: usize) -> bool {
        let record = &self.table.records[container];
        record.phase == Phase::Live && record.running.is_none() && record.forces.is_empty()
    }

    /// Lets the queue go on, as far as it can.
    pub(crate) fn pump(&mut self, container: usize) {
        while self.is_idle(container) {
            let record = &self.table.records[container];
            let state = record.state;
            let index = match record.queue.first.index() {
                Some(index) => index,
                None => return,
            };
            self.unchain(index);
            self.dispatch(index, state);
        }
    }

    /// Decides about an operation whose turn it is, and does what was decided.
    pub(crate) fn dispatch(&mut self, index: usize, state: State) {
        match decide(self.operations.records[index].command(), state) {
            Decision::Act => self.act(index),
            Decision::Nothing => self.settle(index, Answer::Done),
            Decision::Refuse => self.settle(index, failed(Reason::WrongState, Some(state))),
        }
    }

    /// Has an operation's effect handed out; most have the container to themselves.
    pub(crate) fn act(&mut self, index: usize) {
        let operation = &self.operations.records[index];
        let has_it_alone = is_exclusive(operation.command()) && !operation.is_forced_delete();
        if let Some(container) = operation.container().filter(|_| has_it_alone) {
            self.table.records[container].running = Link::to(index);
        }
        self.emit(index);
    }

    /// Lets a container that has just come to exist go on: forced deletes, what never queues, then the queue.
    pub(crate) fn begin_life(&mut self, container: usize) {
        let record = &mut self.table.records[container];
        record.phase = Phase::Live;
        record.running = Link::NONE;
        if let Some(index) = record.forces.first.index() {
            self.emit(index);
        }
        let mut link = self.table.records[container].queue.first;
        while let Some(index) = link.index() {
            link = self.operations.after(index);
            if !is_exclusive(self.operations.records[index].command()) {
                self.unchain(index);
                self.dispatch(index, self.table.records[container].state);
            }
        }
        self.pump(container);
    }

    /// Takes a report over if it is newer than what is known; a final exit answers the waits.
    pub(crate) fn apply(&mut self, container: usize, report: Option<Report>) {
        let record = &mut self.table.records[container];
        let is_newer = report.map_or(false, |report| record.apply(&report));
        if is_newer && record.state == State::Stopped {
            let (waiters, exit) = (record.waiters, record.exit());
            self.settle_all(waiters, Answer::Exited(exit));
        }
    }

    /// Takes note that a container exists no more, and answers everything that waited for it.
    ///
    /// Forced deletes without an effect have what they asked for; running effects are still to be completed.
    pub(crate) fn remove(&mut self, container: usize) {
        if self.table.records[container].phase == Phase::Gone {
            return;
        }
        self.table.retire(container);
        let record = self.table.records[container];
        let deleted = failed(Reason::ContainerDeleted, None);
        self.settle_all(record.queue, deleted);
        self.settle_all(record.waiters, deleted);
        let mut link = record.forces.first;
        while let Some(index) = link.index() {
            link = self.operations.after(index);
            self.unchain(index);
            if self.operations.records[index].effect == EffectStage::None {
                self.settle(index, Answer::Done);
            }
        }
        self.free_if_unused(container);
    }

    /// Turns an abandoned create that came true into its undo.
    pub(crate) fn undo(&mut self, index: usize) {
        let id = self.operations.next_id(index);
        self.operations.records[index].become_undo(id);
        self.enter_outbox(index);
    }
}

/// Whether a command has a container to itself while it runs.
pub(crate) const fn is_exclusive(command: Command) -> bool {
    matches!(
        command,
        Command::CreateContainer
            | Command::StartContainer
            | Command::StopContainer
            | Command::PauseContainer
            | Command::ResumeContainer
            | Command::DeleteContainer
    )
}
