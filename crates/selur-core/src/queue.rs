//! The completion queue: answers of requests that were submitted to it, for hosts that must not be called back.

use crate::reader::ItemHead;
use crate::{Error, Response, Status};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How many requests may be in flight to the queue and completions undrained, together.
pub(crate) const MAX_QUEUED: usize = 32_768;

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The number that the submission gave.
    pub ticket: u64,
    /// Its answer.
    pub response: Response,
    /// What an item of a stream is, whose bytes are the answer's data: of [`crate::Reader::next_to_queue`] alone.
    pub item: Option<ItemHead>,
}

/// The answers of requests submitted with [`crate::Bridge::submit_to_queue`], in the order they came.
///
/// ```
/// use selur_core::{Backend, Bridge};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let ticket = bridge.submit_to_queue(&[0x01, 5, 0, 0, 0, b'n', b'g', b'i', b'n', b'x'])?;
/// let queue = bridge.completions();
/// assert!(queue.wait(None));
/// let completions = queue.drain(64);
/// assert_eq!((completions.len(), completions[0].ticket), (1, ticket));
/// # Ok::<(), selur_core::Error>(())
/// ```
pub struct CompletionQueue {
    content: Mutex<Content>,
    changed: Condvar,
    /// Invariant: made and written with `content` locked; its counter is above 0 exactly while there is something to
    /// drain or nothing more will come.
    readiness: OnceLock<OwnedFd>,
}

#[derive(Default)]
struct Content {
    completions: VecDeque<Completion>,
    /// Requests whose answers will come here.
    expected: usize,
    closed: bool,
}

impl Content {
    /// Whether there is something to drain, or nothing more will come. An answer may still be on its way when the bridge
    /// is closed.
    fn is_ready(&self) -> bool {
        !self.completions.is_empty() || self.closed && self.expected == 0
    }
}

impl CompletionQueue {
    pub(crate) fn new() -> CompletionQueue {
        CompletionQueue {
            content: Mutex::new(Content::default()),
            changed: Condvar::new(),
            readiness: OnceLock::new(),
        }
    }

    /// Blocks until there is something to drain, at most so long. Says whether there is; also returns once the bridge
    /// is closed and every answer was drained, for then nothing more will come.
    pub fn wait(&self, most: Option<Duration>) -> bool {
        let until = most.and_then(|most| Instant::now().checked_add(most));
        let mut content = self.lock();
        while !content.is_ready() {
            content = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(content).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(rest) => {
                    self.changed
                        .wait_timeout(content, rest)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        !content.completions.is_empty()
    }

    /// Takes up to `most` completions, oldest first, without waiting.
    pub fn drain(&self, most: usize) -> Vec<Completion> {
        let mut content = self.lock();
        let count = most.min(content.completions.len());
        let drained: Vec<_> = content.completions.drain(..count).collect();
        if count > 0 && !content.is_ready() {
            self.set_ready(false);
        }
        drained
    }

    /// How many completions can be drained.
    pub fn len(&self) -> usize {
        self.lock().completions.len()
    }

    /// Whether nothing will come any more: the bridge is closed, and every answer was drained.
    pub fn is_finished(&self) -> bool {
        let content = self.lock();
        content.completions.is_empty() && content.is_ready()
    }

    /// Whether there is nothing to drain.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A file descriptor that polls as readable while there is something to drain, and once the bridge is closed and
    /// every answer was drained. It is an eventfd of the bridge's own: wait for it, and neither read nor close it.
    ///
    /// # Errors
    /// `resource_exhausted`: the process has no file descriptor left.
    pub fn fd(&self) -> Result<BorrowedFd<'_>, Error> {
        let content = self.lock();
        if self.readiness.get().is_none() {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            let descriptor = eventfd(0, flags).map_err(no_eventfd)?;
            if self.readiness.set(descriptor).is_ok() && content.is_ready() {
                self.set_ready(true);
            }
        }
        let descriptor = self.readiness.get().map(AsFd::as_fd);
        descriptor.ok_or_else(|| no_eventfd(Errno::BADF))
    }

    /// Makes room for one more answer.
    ///
    /// # Errors
    /// `resource_exhausted`: too many are on their way or undrained.
    pub(crate) fn expect(&self) -> Result<(), Error> {
        let mut content = self.lock();
        if content.expected + content.completions.len() >= MAX_QUEUED {
            let message =
                format!("{MAX_QUEUED} requests are in flight or undrained: drain the completion queue");
            return Err(Error::new(Status::ResourceExhausted, message));
        }
        content.expected += 1;
        Ok(())
    }

    /// Gives up the room, for a request that was refused.
    pub(crate) fn unexpect(&self) {
        let mut content = self.lock();
        let was_ready = content.is_ready();
        content.expected = content.expected.saturating_sub(1);
        self.wake(content, was_ready);
    }

    /// Adds an answer that was expected.
    pub(crate) fn push(&self, ticket: u64, response: Response) {
        self.push_item(ticket, response, None);
    }

    /// Adds what was read from a stream, which was expected.
    pub(crate) fn push_item(&self, ticket: u64, response: Response, item: Option<ItemHead>) {
        let mut content = self.lock();
        let was_ready = content.is_ready();
        content.expected = content.expected.saturating_sub(1);
        content.completions.push_back(Completion {
            ticket,
            response,
            item,
        });
        self.wake(content, was_ready);
    }

    /// Wakes everyone who waits: nothing more will come but what is on its way.
    pub(crate) fn close(&self) {
        let mut content = self.lock();
        let was_ready = content.is_ready();
        content.closed = true;
        self.wake(content, was_ready);
    }

    /// Tells everyone who waits what has changed.
    fn wake(&self, content: MutexGuard<'_, Content>, was_ready: bool) {
        if content.is_ready() && !was_ready {
            self.set_ready(true);
        }
        drop(content);
        self.changed.notify_all();
    }

    /// Must be called with the content locked. Neither call can fail: the counter is 0 or 1.
    fn set_ready(&self, ready: bool) {
        if let Some(descriptor) = self.readiness.get() {
            let mut counter = 1u64.to_ne_bytes();
            let _ = match ready {
                true => rustix::io::write(descriptor, &counter),
                false => rustix::io::read(descriptor, &mut counter),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CompletionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionQueue")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn no_eventfd(error: Errno) -> Error {
    let message = format!("no eventfd can be made: {error}");
    Error::new(Status::ResourceExhausted, message)
}
