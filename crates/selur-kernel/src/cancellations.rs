//! Cancel: nobody wants an answer any more.

use crate::engine::{Engine, failed};
use crate::link::Link;
use crate::operations::{Chain, EffectStage, TicketStage};
use crate::table::Phase;
use selur_protocol::abi::CancelCause;
use selur_protocol::{Command, Reason};

impl Engine<'_> {
    /// Answers a ticket at once. What was not handed out never happens; what runs is asked to end early, and keeps its
    /// container busy until it does.
    ///
    /// # Errors
    /// [`Reason::StaleHandle`]: the ticket was answered before, or never given out.
    pub(crate) fn cancel(&mut self, ticket: u64, cause: CancelCause) -> Result<(), Reason> {
        let index = self
            .operations
            .find(ticket)
            .filter(|index| self.operations.records[*index].ticket == TicketStage::Open)
            .ok_or(Reason::StaleHandle)?;
        let answer = failed(
            match cause {
                CancelCause::Caller => Reason::CancelledByCaller,
                CancelCause::Deadline => Reason::DeadlinePassed,
            },
            None,
        );
        let container = self.operations.records[index].container();
        match self.operations.records[index].effect {
            EffectStage::None => {
                self.unchain(index);
                self.settle(index, answer);
                if let Some(container) = container {
                    self.abort_unwanted_delete(container);
                }
            }
            EffectStage::Ready => {
                self.take_back(index);
                self.settle(index, answer);
                if let Some(container) = container {
                    self.give_up_turn(index, container);
                }
            }
            EffectStage::Running => {
                self.settle(index, answer);
                let is_wanted =
                    container.map_or(false, |container| self.is_wanted_by_others(index, container));
                if !is_wanted {
                    self.abort(index);
                }
            }
        }
        Ok(())
    }

    /// Lets others go on where an effect that was not handed out stood in their way.
    fn give_up_turn(&mut self, index: usize, container: usize) {
        let operation = self.operations.records[index];
        if operation.chain == Chain::Forces {
            self.unchain(index);
            self.next_forced_delete(container);
        } else if self.table.records[container].running == Link::to(index) {
            self.table.records[container].running = Link::NONE;
            if operation.command() == Command::CreateContainer {
                self.remove(container);
            } else {
                self.pump(container);
            }
        }
    }

    /// Asks a running forced delete to end early when the last who joined it gave up after its own caller.
    fn abort_unwanted_delete(&mut self, container: usize) {
        let forces = self.table.records[container].forces;
        if let Some(only) = forces.first.index().filter(|_| forces.first == forces.last) {
            if self.operations.records[only].ticket != TicketStage::Open {
                self.abort(only);
            }
        }
    }

    /// Whether others joined this forced delete.
    fn is_wanted_by_others(&self, index: usize, container: usize) -> bool {
        let operation = &self.operations.records[index];
        let record = &self.table.records[container];
        operation.chain == Chain::Forces
            && record.phase == Phase::Live
            && record.forces.first != record.forces.last
    }
}
