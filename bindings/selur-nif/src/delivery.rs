//! Answers on their way: from the bridge's completion queue to whoever waits, as messages.

use crate::answer::{self, Errors, Failure, Reply, Shape, caught};
use crate::atoms;
use crate::bridge::Held;
use crate::live::Live;
use crate::requests::Request;
use crate::stream::Flow;
use rustler::{Encoder, ResourceArc};
use selur_core::{Completion, Response, Status};
use std::collections::HashMap;
use std::sync::Arc;

/// How many answers are taken from the queue at once.
const BATCH: usize = 64;

/// Who waits, by the number of the request.
pub(crate) type Waiters = HashMap<u64, Waiter>;

/// Who waits for an answer.
pub(crate) enum Waiter {
    /// A process, for what it asked.
    Request(Asked),
    /// A stream, for its next item.
    Stream(ResourceArc<Flow>),
}

/// A request that is under way.
pub(crate) struct Asked {
    pub(crate) reply: Reply,
    pub(crate) shape: Shape,
    pub(crate) errors: Errors,
    /// Watches the process, and can be cancelled.
    pub(crate) request: ResourceArc<Request>,
    /// Keeps the bridge open: the process may hold nothing but the tag that it waits for.
    pub(crate) bridge: ResourceArc<Held>,
}

impl Asked {
    /// Tells the process what came of it.
    pub(crate) fn answer(self, live: &Arc<Live>, response: Response) {
        self.unwatch();
        let request = self.request.clone();
        request.answering(|| self.tell(live, response));
    }

    fn tell(self, live: &Arc<Live>, response: Response) {
        if self.shape != Shape::Stream || !response.is_success() {
            let (shape, errors) = (self.shape, self.errors);
            return self
                .reply
                .send(move |env| answer::encode(env, &response, shape, errors));
        }
        let opened = caught(|| {
            let id = std::str::from_utf8(response.data())
                .ok()
                .and_then(|text| text.parse().ok());
            let id = id.ok_or_else(|| {
                Failure::new(Status::InternalError, "a stream was answered with no stream's id")
            })?;
            let reader = live.bridge.take_reader(id)?;
            Ok(Flow::open(reader, self.bridge, self.errors, self.reply.pid()))
        });
        let errors = self.errors;
        self.reply.send(move |env| match opened {
            Ok(flow) => (atoms::ok(), Flow::describe(&flow, env)).encode(env),
            Err(failure) => failure.encode(env, errors),
        });
    }

    /// Tells the process that it was not begun.
    pub(crate) fn fail(self, failure: &Failure) {
        self.unwatch();
        let (request, errors) = (self.request.clone(), self.errors);
        request.answering(|| self.reply.send(|env| failure.encode(env, errors)));
    }
}

/// Delivers until the bridge is closed and everything was answered.
pub(crate) fn deliver(live: &Arc<Live>) {
    let queue = live.bridge.completions();
    while queue.wait(None) || !queue.is_finished() {
        for completion in queue.drain(BATCH) {
            // What is not delivered because of a panic was answered by it as far as can be.
            drop(caught(|| {
                hand_over(live, completion);
                Ok(())
            }));
        }
    }
}

fn hand_over(live: &Arc<Live>, completion: Completion) {
    let waiter = live.waiters().remove(&completion.ticket);
    match waiter {
        None => {}
        Some(Waiter::Request(asked)) => asked.answer(live, completion.response),
        Some(Waiter::Stream(flow)) => Flow::take(flow, live, completion),
    }
}
