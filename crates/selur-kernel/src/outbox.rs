//! The outbox: the operations that have something to say, in the order in which they came to have it.
//!
//! It is a chain through the operations themselves, so it is never full.

use crate::engine::Engine;
use crate::link::Link;
use crate::operations::{EffectStage, TicketStage};
use selur_protocol::ContainerId;
use selur_protocol::abi::Output;

impl Engine<'_> {
    /// The next output: once each.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        let index = self.operations.head.outbox.first.index()?;
        let held_slot = self.operations.records[index].held_slot();
        let operation = &mut self.operations.records[index];
        let container = match operation.container() {
            Some(container) => self.table.records[container].id,
            None => ContainerId::NONE,
        };
        let output = match (operation.effect, operation.abort_waits(), operation.ticket) {
            (EffectStage::Ready, ..) => {
                operation.effect = EffectStage::Running;
                operation.action().map(|action| Output::Effect {
                    effect: operation.id,
                    container,
                    action,
                })
            }
            (_, true, _) => {
                operation.clear_abort();
                Some(Output::Abort { effect: operation.id })
            }
            (_, _, TicketStage::Settled) => {
                operation.ticket = TicketStage::None;
                Some(Output::Answer {
                    ticket: operation.id,
                    answer: operation.answer(container),
                })
            }
            _ => None,
        };
        if let Some(offset) = held_slot {
            self.arena.free_at(offset);
        }
        self.leave_outbox_if_silent(index);
        let operation = self.operations.records[index];
        if operation.is_to_undo() && operation.ticket == TicketStage::None {
            self.undo(index);
        }
        self.finish(index);
        output
    }

    /// Puts an operation that has an output at the end, unless it is there already.
    pub(crate) fn enter_outbox(&mut self, index: usize) {
        if self.is_in_outbox(index) {
            return;
        }
        let last = self.operations.head.outbox.last;
        self.operations.records[index].out_previous = last;
        match last.index() {
            Some(last) => self.operations.records[last].out_next = Link::to(index),
            None => self.operations.head.outbox.first = Link::to(index),
        }
        self.operations.head.outbox.last = Link::to(index);
    }

    /// Takes an operation out if nothing of it waits to be polled.
    pub(crate) fn leave_outbox_if_silent(&mut self, index: usize) {
        if self.operations.records[index].has_output() || !self.is_in_outbox(index) {
            return;
        }
        let operation = &mut self.operations.records[index];
        let (previous, next) = (operation.out_previous, operation.out_next);
        operation.out_previous = Link::NONE;
        operation.out_next = Link::NONE;
        match previous.index() {
            Some(previous) => self.operations.records[previous].out_next = next,
            None => self.operations.head.outbox.first = next,
        }
        match next.index() {
            Some(next) => self.operations.records[next].out_previous = previous,
            None => self.operations.head.outbox.last = previous,
        }
    }

    fn is_in_outbox(&self, index: usize) -> bool {
        !self.operations.records[index].out_previous.is_none()
            || self.operations.head.outbox.first == Link::to(index)
    }
}
