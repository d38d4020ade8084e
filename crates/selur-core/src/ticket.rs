//! A request that is under way: await it, wait for it, poll it, cancel it.

use crate::shared::Shared;
use crate::threads;
use crate::{Command, Error, Response, Status};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A submitted request. It is answered exactly once, whatever happens to the bridge.
///
/// As a future it works on any executor. Dropping it before the answer was taken cancels the request: what has begun is told
/// to end early, and what it made all the same is undone, as [`crate::Bridge::abandon`] does.
///
/// ```
/// use selur_core::{Backend, Bridge, Status};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let ticket = bridge.submit(&[0x01, 5, 0, 0, 0, b'n', b'g', b'i', b'n', b'x'])?;
/// let response = ticket.wait();
/// assert_eq!((response.status(), response.data().len()), (Status::Success, 32));
/// # Ok::<(), selur_core::Error>(())
/// ```
#[must_use = "dropping a ticket cancels its request"]
pub struct Ticket {
    id: u64,
    answer: Answer,
}

/// Where the answer is to be found.
enum Answer {
    /// Here; none once it was taken.
    Here(Option<Response>),
    /// It comes into the cell.
    Coming { shared: Arc<Shared>, cell: Arc<Cell> },
}

impl Ticket {
    pub(crate) fn answered(id: u64, response: Response) -> Ticket {
        Ticket {
            id,
            answer: Answer::Here(Some(response)),
        }
    }

    pub(crate) fn coming(id: u64, shared: Arc<Shared>, cell: Arc<Cell>) -> Ticket {
        Ticket {
            id,
            answer: Answer::Coming { shared, cell },
        }
    }

    /// Names the request within its bridge; never used again.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether the answer is there, so that waiting for it returns at once.
    pub fn is_answered(&self) -> bool {
        match &self.answer {
            Answer::Here(_) => true,
            Answer::Coming { cell, .. } => !matches!(*cell.lock(), Content::Awaited(_)),
        }
    }

    /// Blocks until the answer is there.
    ///
    /// On one of the bridge's own threads, where waiting could never end, the request is cancelled instead and the
    /// answer is `invalid_request`.
    pub fn wait(mut self) -> Response {
        self.wait_until(None).unwrap_or_else(own_thread)
    }

    /// Blocks until the answer is there, at most so long; the request goes on.
    ///
    /// Returns at once, with nothing, on one of the bridge's own threads.
    pub fn wait_for(&mut self, most: Duration) -> Option<Response> {
        self.wait_until(Instant::now().checked_add(most))
    }

    /// Asks for an early end. The answer still comes, and is `cancelled` unless it was there already.
    pub fn cancel(&self) {
        if let Answer::Coming { shared, .. } = &self.answer {
            shared.cancel(self.id);
        }
    }

    fn wait_until(&mut self, until: Option<Instant>) -> Option<Response> {
        match &mut self.answer {
            Answer::Here(response) => Some(response.take().unwrap_or_else(taken)),
            Answer::Coming { cell, .. } => cell.wait_until(until),
        }
    }
}

impl Future for Ticket {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        match &mut self.answer {
            Answer::Here(response) => Poll::Ready(response.take().unwrap_or_else(taken)),
            Answer::Coming { cell, .. } => cell.poll(context.waker()),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Answer::Coming { shared, cell } = &self.answer else {
            return;
        };
        match cell.abandon() {
            (true, _) => shared.cancel(self.id),
            (false, late) => shared.undo(late),
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("id", &self.id)
            .field("is_answered", &self.is_answered())
            .finish()
    }
}

/// Where an answer is put for one waiter.
#[derive(Debug)]
pub(crate) struct Cell {
    content: Mutex<Content>,
    filled: Condvar,
}

#[derive(Debug)]
enum Content {
    Awaited(Option<Waker>),
    /// With the command that it answers.
    Filled(Option<Command>, Response),
    Taken,
    /// Nobody will take it.
    Abandoned,
}

/// An answer that nobody takes.
pub(crate) struct Late(pub(crate) Option<Command>, pub(crate) Response);

impl Cell {
    pub(crate) fn new() -> Arc<Cell> {
        Arc::new(Cell {
            content: Mutex::new(Content::Awaited(None)),
            filled: Condvar::new(),
        })
    }

    /// Puts the answer in and wakes who waits. Gives it back if nobody will take it. Must be called with no lock held: it
    /// runs the caller's waker.
    pub(crate) fn fill(&self, command: Option<Command>, response: Response) -> Option<Late> {
        let mut content = self.lock();
        if let Content::Abandoned = *content {
            return Some(Late(command, response));
        }
        let before = std::mem::replace(&mut *content, Content::Filled(command, response));
        drop(content);
        self.filled.notify_all();
        if let Content::Awaited(Some(waker)) = before {
            waker.wake();
        }
        None
    }

    /// Takes no answer any more. Says whether one was still to come, and gives the one that was not taken.
    fn abandon(&self) -> (bool, Option<Late>) {
        let before = std::mem::replace(&mut *self.lock(), Content::Abandoned);
        match before {
            Content::Awaited(_) => (true, None),
            Content::Filled(command, response) => (false, Some(Late(command, response))),
            Content::Taken | Content::Abandoned => (false, None),
        }
    }

    /// Blocks until the answer is there; nothing once `until` has passed, or on a bridge's own thread.
    pub(crate) fn wait_until(&self, until: Option<Instant>) -> Option<Response> {
        let mut content = self.lock();
        loop {
            match std::mem::replace(&mut *content, Content::Taken) {
                Content::Filled(_, response) => return Some(response),
                Content::Taken | Content::Abandoned => return Some(taken()),
                awaited @ Content::Awaited(_) => *content = awaited,
            }
            if threads::is_own() {
                return None;
            }
            content = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.filled.wait(content).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return None,
                Some(rest) => {
                    self.filled
                        .wait_timeout(content, rest)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<Response> {
        // Cloning a waker, and dropping the one before, runs the executor's code: never with the lock held.
        let waker = waker.clone();
        let mut content = self.lock();
        let before = match &*content {
            Content::Awaited(_) => std::mem::replace(&mut *content, Content::Awaited(Some(waker))),
            _ => std::mem::replace(&mut *content, Content::Taken),
        };
        drop(content);
        match before {
            Content::Awaited(_) => Poll::Pending,
            Content::Filled(_, response) => Poll::Ready(response),
            Content::Taken | Content::Abandoned => Poll::Ready(taken()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taken() -> Response {
    Response::failure(
        Status::InvalidRequest,
        "the answer of this ticket was already taken",
    )
}

pub(crate) fn own_thread() -> Response {
    Response::from(Error::own_thread())
}
