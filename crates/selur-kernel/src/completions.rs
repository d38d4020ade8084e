//! Complete: an effect that was handed out has ended.

use crate::engine::{Engine, failed};
use crate::link::Link;
use crate::operations::{Chain, EffectStage, TicketStage};
use crate::table::Phase;
use selur_protocol::abi::{Answer, Report};
use selur_protocol::{Command, Reason, Status};

impl Engine<'_> {
    /// Takes note of how an effect ended, answers its ticket if that is still open, and lets others have their turn.
    ///
    /// # Errors
    /// [`Reason::StaleHandle`]: the effect was completed before, or never handed out.
    pub(crate) fn complete(
        &mut self,
        effect: u64,
        status: Status,
        report: Option<Report>,
    ) -> Result<(), Reason> {
        let index = self
            .operations
            .find(effect)
            .filter(|index| self.operations.records[*index].effect == EffectStage::Running)
            .ok_or(Reason::StaleHandle)?;
        let operation = &mut self.operations.records[index];
        operation.effect = EffectStage::None;
        operation.clear_abort();
        self.leave_outbox_if_silent(index);

        let operation = self.operations.records[index];
        let container = match operation.container() {
            Some(container) => container,
            // There is nothing that a report could be about.
            None => {
                self.settle_by_status(index, status);
                self.finish(index);
                return Ok(());
            }
        };
        self.apply(container, report);
        let has_container = self.table.records[container].running == Link::to(index);
        let succeeded = status == Status::Success;
        match operation.command() {
            Command::CreateContainer => {
                self.complete_create(index, container, status);
                return Ok(());
            }
            Command::DeleteContainer if has_container && operation.is_forced_delete() => {
                self.complete_undo(container, succeeded);
            }
            Command::DeleteContainer if operation.is_forced_delete() => {
                self.complete_forced_delete(index, container, status);
            }
            command => {
                if has_container {
                    self.table.records[container].running = Link::NONE;
                }
                self.settle_by_status(index, status);
                if succeeded && command == Command::DeleteContainer {
                    self.remove(container);
                }
                self.pump(container);
            }
        }
        self.finish(index);
        Ok(())
    }

    fn complete_create(&mut self, index: usize, container: usize, status: Status) {
        let operation = self.operations.records[index];
        if status != Status::Success {
            self.table.records[container].running = Link::NONE;
            self.settle_by_status(index, status);
            self.remove(container);
            self.finish(index);
            return;
        }
        match operation.ticket {
            TicketStage::Open => {
                let id = self.table.records[container].id;
                self.settle(index, Answer::Created(id));
                self.begin_life(container);
            }
            // The record still has an answer to give before it can become the undo.
            TicketStage::Settled => {
                self.table.records[container].phase = Phase::Undoing;
                self.operations.records[index].undo_when_polled();
            }
            TicketStage::None => {
                self.table.records[container].phase = Phase::Undoing;
                self.undo(index);
            }
        }
    }

    /// A container whose undo failed exists, whether it is wanted or not: it is shown, so that it can be deleted.
    fn complete_undo(&mut self, container: usize, succeeded: bool) {
        self.table.records[container].running = Link::NONE;
        if succeeded {
            self.remove(container);
        } else if self.table.records[container].phase == Phase::Undoing {
            self.begin_life(container);
        }
    }

    /// If a forced delete fails, the next one that joined it tries for itself.
    fn complete_forced_delete(&mut self, index: usize, container: usize, status: Status) {
        let led = self.operations.records[index].chain == Chain::Forces;
        self.unchain(index);
        self.settle_by_status(index, status);
        if status == Status::Success {
            self.remove(container);
        } else if led {
            self.next_forced_delete(container);
        }
    }

    /// Lets the next forced delete act, or else the queue.
    pub(crate) fn next_forced_delete(&mut self, container: usize) {
        let record = &self.table.records[container];
        match record.forces.first.index() {
            Some(next) if record.phase == Phase::Live => self.emit(next),
            _ => self.pump(container),
        }
    }

    fn settle_by_status(&mut self, index: usize, status: Status) {
        let operation = &self.operations.records[index];
        let answer = match status {
            Status::Success if operation.is_answered_by_host() => Answer::HostData,
            Status::Success => Answer::Done,
            _ if operation.is_cancelled_by_delete() => failed(Reason::CancelledByDelete, None),
            status => Answer::Failed {
                status,
                reason: Reason::Runtime,
                state: None,
            },
        };
        self.settle(index, answer);
    }
}
