//! Answers on their way: from the bridge's completion queue to whoever waits, as messages.

use crate::answer::{self, Errors, Failure, Reply, Shape, caught, failed};
use crate::atoms;
use crate::bridge::Held;
use crate::live::Live;
use crate::receipt::Receipt;
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
    /// The code of its command, for an answer that nobody hears; none of what is no request of the bridge's.
    pub(crate) code: Option<u8>,
    /// Whether the process waits for it, and says when it has heard.
    pub(crate) is_awaited: bool,
}

impl Asked {
    /// Tells the process what came of it. What it made is undone if the process is gone, or goes before it has heard.
    pub(crate) fn answer(self, live: &Arc<Live>, response: Response) {
        self.unwatch();
        // This calls the guest: not while a scheduler may want to know whether it is answered.
        let opened = match self.shape {
            Shape::Stream if response.is_success() => Some(caught(|| self.open(live, &response))),
            _ => None,
        };
        let Asked {
            reply,
            shape,
            errors,
            request,
            bridge,
            code,
            is_awaited,
        } = self;
        let receipt = match is_awaited {
            true => Receipt::of(code, &response, live, &bridge),
            false => None,
        };
        let is_sent = request.answering(|| {
            reply.send(|env| {
                let result = match opened {
                    None => answer::encode(env, &response, shape, errors),
                    Some(Ok(flow)) => (atoms::ok(), Flow::describe(&flow, env)).encode(env),
                    Some(Err(failure)) => failed(env, &failure, errors),
                };
                match &receipt {
                    Some(receipt) => (atoms::unheard(), receipt, result).encode(env),
                    None => result,
                }
            })
        });
        if let (false, None, Some(code)) = (is_sent, receipt, code) {
            live.bridge.abandon(&[code], &response);
        }
    }

    /// Takes the stream that it was answered with.
    fn open(&self, live: &Arc<Live>, response: &Response) -> Result<ResourceArc<Flow>, Failure> {
        let id = std::str::from_utf8(response.data())
            .ok()
            .and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| {
            Failure::new(Status::InternalError, "a stream was answered with no stream's id")
        })?;
        let reader = live.bridge.take_reader(id)?;
        let owner = self.reply.pid();
        Ok(Flow::open(None, reader, self.bridge.clone(), self.errors, owner))
    }

    /// Tells the process that it was not begun.
    pub(crate) fn fail(self, failure: &Failure) {
        self.unwatch();
        let (request, errors) = (self.request.clone(), self.errors);
        request.answering(|| self.reply.send(|env| failed(env, failure, errors)));
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
