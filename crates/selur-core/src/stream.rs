//! What flows beside the kernel, as the caller holds it: streams, or iterators that block until there is more.

use crate::shown::Shown;
use crate::{Error, Status, effect, threads};
use futures_util::Stream as AsyncStream;
use futures_util::StreamExt;
use selur_runtime::{MAX_PIECE_BYTES, SessionInput, SessionItem, TerminalSize};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Items that come while they are read: a [`futures_util::Stream`] for any executor, and in a `for` loop an iterator that
/// blocks.
///
/// Whoever writes is held back until there is a reader, except for progress and events, which say what they left out.
/// Dropping it ends what it shows: an exec's process, a pull. It ends when the bridge is closed.
///
/// ```
/// use selur_core::{Backend, Bridge, LogOptions};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let id = bridge.create_container("nginx")?.to_string();
/// bridge.start_container(&id)?;
/// for entry in bridge.logs(&id, &LogOptions::default())? {
///     print!("{}", String::from_utf8_lossy(&entry?.bytes));
/// }
/// # Ok::<(), selur_core::Error>(())
/// ```
pub struct Stream<T> {
    /// Taken at its end, and when the bridge closes: a stream must not be polled when the threads that drive it have ended.
    shown: Arc<Shown<T>>,
    threads: Handle,
    is_closing: CancellationToken,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<T> Stream<T> {
    pub(crate) fn new(shown: Arc<Shown<T>>, threads: Handle, closing: CancellationToken) -> Stream<T> {
        Stream {
            shown,
            threads,
            is_closing: closing.clone(),
            closing: Box::pin(closing.cancelled_owned()),
        }
    }

    /// Looks for an item. A panic of the runtime's ends the stream.
    fn look(&self, context: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        let mut shown = self.shown.lock();
        let Some(items) = &mut *shown else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| items.poll_next_unpin(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(item))) => Poll::Ready(Some(item.map_err(Error::from))),
            Ok(Poll::Ready(None)) => {
                *shown = None;
                Poll::Ready(None)
            }
            Err(panic) => {
                *shown = None;
                // The threads may have ended since that was looked at, and timers panic then.
                let is_closing = self.is_closing.is_cancelled();
                Poll::Ready((!is_closing).then(|| Err(effect::panicked("stream's", panic.as_ref()))))
            }
        }
    }
}

impl<T> AsyncStream for Stream<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let _within = this.threads.enter();
        if this.closing.as_mut().poll(context).is_ready() {
            *this.shown.lock() = None;
        }
        let looked = this.look(context);
        // Who closed the bridge meanwhile could not end it.
        if this.is_closing.is_cancelled() {
            *this.shown.lock() = None;
        }
        looked
    }
}

impl<T> Stream<T> {
    /// Blocks until there is more. Nothing where the stream ends, and when the bridge is closed.
    ///
    /// On a bridge's own thread, where waiting could never end, it does not block: where nothing is there yet,
    /// it gives `invalid_request`, and the stream goes on.
    pub fn wait_next(&mut self) -> Option<Result<T, Error>> {
        let next = block_on(std::future::poll_fn(|context| {
            Pin::new(&mut *self).poll_next(context)
        }));
        next.unwrap_or_else(|| Some(Err(Error::own_thread())))
    }
}

impl<T> IntoIterator for Stream<T> {
    type Item = Result<T, Error>;
    type IntoIter = Blocking<T>;

    fn into_iter(self) -> Blocking<T> {
        Blocking(self)
    }
}

/// A [`Stream`] as an iterator that blocks until there is more.
#[derive(Debug)]
pub struct Blocking<T>(Stream<T>);

impl<T> Iterator for Blocking<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Result<T, Error>> {
        self.0.wait_next()
    }
}

impl<T> Drop for Stream<T> {
    fn drop(&mut self) {
        // What a stream is made of may want to know its threads when it goes.
        let _within = self.threads.enter();
        *self.shown.lock() = None;
    }
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// A process's input and output: of an exec, or of an attachment to a container.
///
/// ```
/// use selur_core::{Backend, Bridge, ExecSpec, SessionItem};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let id = bridge.create_container("nginx")?.to_string();
/// bridge.start_container(&id)?;
/// let session = bridge.exec(&id, &ExecSpec::new(["echo", "hello"]))?;
/// let mut said = Vec::new();
/// for item in session.output {
///     match item? {
///         SessionItem::Output { bytes, .. } => said.extend(bytes),
///         SessionItem::Ended { exit_code } => assert_eq!(exit_code, Some(0)),
///     }
/// }
/// assert_eq!(said, b"hello\n");
/// # Ok::<(), selur_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Session {
    /// Its standard input and its terminal.
    pub input: SessionWriter,
    /// What it writes, until it ends. Dropping it kills the process of an exec, and leaves a container as it is.
    pub output: Stream<SessionItem>,
}

/// Writes to a process's standard input, and sizes its terminal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SessionWriter {
    sender: mpsc::Sender<SessionInput>,
    closing: CancellationToken,
}

impl SessionWriter {
    pub(crate) fn new(sender: mpsc::Sender<SessionInput>, closing: CancellationToken) -> SessionWriter {
        SessionWriter { sender, closing }
    }

    /// Sends bytes. Blocks while the process does not read what was sent before.
    ///
    /// # Errors
    /// - `invalid_state`: the process has ended, closed its input, or was given none.
    /// - `invalid_request`: the bridge is closed; or this is a bridge's own thread, and it would block.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        bytes
            .chunks(MAX_PIECE_BYTES)
            .try_for_each(|piece| self.send(SessionInput::Bytes(piece.to_vec())))
    }

    /// Ends the process's standard input. With a terminal there is no such end: write the byte 4 instead.
    ///
    /// # Errors
    /// As [`SessionWriter::write`].
    pub fn end(&self) -> Result<(), Error> {
        self.send(SessionInput::End)
    }

    /// Tells the process's terminal its size. Nothing happens where it has none.
    ///
    /// # Errors
    /// As [`SessionWriter::write`].
    pub fn resize(&self, size: TerminalSize) -> Result<(), Error> {
        self.send(SessionInput::Resize(size))
    }

    fn send(&self, input: SessionInput) -> Result<(), Error> {
        block_on(self.pass(input)).unwrap_or_else(|| Err(Error::own_thread()))
    }

    /// Sends one input when there is room for it.
    pub(crate) async fn pass(&self, input: SessionInput) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Err(Error::closed()),
            sent = self.sender.send(input) => sent.map_err(|_| {
                let message = "the process takes no input: it has ended, closed its input, or was given none";
                Error::new(Status::InvalidState, message)
            }),
        }
    }
}

/// Polls a future on this thread until it is ready. Unlike tokio's own it may be used within another runtime. Nothing
/// where it would wait on a bridge's own thread, which others wait for.
pub(crate) fn block_on<F: Future>(future: F) -> Option<F::Output> {
    block_on_until(future, None)
}

/// The same, at most until then; nothing, too, where the time is over.
pub(crate) fn block_on_until<F: Future>(future: F, until: Option<Instant>) -> Option<F::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if threads::is_own() => return None,
            Poll::Pending => match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => return None,
                Some(rest) => thread::park_timeout(rest),
            },
        }
    }
}
