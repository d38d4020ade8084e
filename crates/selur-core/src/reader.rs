//! Streams of every kind in one shape, for hosts of other languages: an item is bytes with a kind, and comes to whoever
//! blocks for it or to the completion queue.
//!
//! It must hold nothing back and reorder nothing: one read, and one write, is under way at a time.

use crate::shared::{Access, Shared};
use crate::stream::{SessionWriter, Stream, block_on_until};
use crate::{Bridge, Error, Response, Status, TakenStream, TransferItem};
use futures_util::StreamExt;
use selur_runtime::{
    EventItem, LogEntry, MAX_PIECE_BYTES, OutputStream, SessionInput, SessionItem, Stats, TerminalSize,
};
use serde::Serialize;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

/// What an item of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemKind {
    /// Bytes that a process wrote to its standard output.
    Stdout,
    /// Bytes that a process wrote to its standard error.
    Stderr,
    /// The process of a session ended: its last item.
    Ended,
    /// JSON: a sample, an event, progress, or what a transfer ended with.
    Document,
    /// There are no more items.
    End,
}

/// What is known of an item besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemHead {
    /// What it is.
    pub kind: ItemKind,
    /// Of a log entry its moment, in nanoseconds since the Unix epoch; of [`ItemKind::Ended`] the exit code, none if
    /// nobody knows.
    pub value: Option<i64>,
}

/// An item of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub head: ItemHead,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Reads a stream of any kind, and writes to a session.
///
/// One read and one write can be under way at a time. Dropping it ends the stream, as [`Reader::close`] does.
///
/// ```
/// use selur_core::{Backend, Bridge, Command, ItemKind};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let id = bridge.create_container("nginx")?.to_string();
/// bridge.start_container(&id)?;
/// let reader = bridge.open_reader(Command::Exec, &[&id, r#"{"command":["echo","hello"]}"#])?;
/// let item = reader.next()?;
/// assert_eq!((item.head.kind, item.data), (ItemKind::Stdout, b"hello\n".to_vec()));
/// assert_eq!(reader.next()?.head.value, Some(0));
/// assert_eq!(reader.next()?.head.kind, ItemKind::End);
/// # Ok::<(), selur_core::Error>(())
/// ```
pub struct Reader {
    shared: Arc<Shared>,
    source: Arc<Mutex<Source>>,
    input: Option<Arc<Mutex<SessionWriter>>>,
    /// Cancelled when it is closed, and when its bridge is.
    ended: CancellationToken,
}

enum Source {
    Session(Stream<SessionItem>),
    Logs(Stream<LogEntry>),
    Stats(Stream<Stats>),
    Events(Stream<EventItem>),
    Transfer(Stream<TransferItem>),
    Closed,
}

impl Bridge {
    /// Takes the stream that a frame opened, as [`Bridge::take_stream`] does.
    ///
    /// # Errors
    /// `invalid_request`: no stream has this id, or it was taken before.
    pub fn take_reader(&self, id: u64) -> Result<Reader, Error> {
        let (source, input) = match self.take_stream(id)? {
            TakenStream::Session(session) => (Source::Session(session.output), Some(session.input)),
            TakenStream::Logs(stream) => (Source::Logs(stream), None),
            TakenStream::Stats(stream) => (Source::Stats(stream), None),
            TakenStream::Events(stream) => (Source::Events(stream), None),
            TakenStream::Transfer(stream) => (Source::Transfer(stream), None),
        };
        let shared = self.shared().clone();
        Ok(Reader {
            ended: shared.closing.child_token(),
            shared,
            source: Arc::new(Mutex::new(source)),
            input: input.map(|input| Arc::new(Mutex::new(input))),
        })
    }

    /// Opens a stream by its command, blocking.
    ///
    /// # Errors
    /// As the method of the command; `invalid_request` also for a command that opens none.
    pub fn open_reader(&self, command: selur_protocol::Command, fields: &[&str]) -> Result<Reader, Error> {
        let data = self.request(command, fields)?;
        let id = std::str::from_utf8(&data).ok().and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| {
            let message = format!("{} with these options opens no stream", command.name());
            Error::new(Status::InvalidRequest, message)
        })?;
        self.take_reader(id)
    }
}

impl Reader {
    /// The next item; blocks until it is there. [`ItemKind::End`] where there are no more.
    ///
    /// # Errors
    /// - what broke the stream; it has ended then.
    /// - `cancelled`: the reader or its bridge was closed meanwhile.
    /// - `invalid_request`: a read is under way, the reader or the bridge is closed, or this is a bridge's own thread.
    pub fn next(&self) -> Result<Item, Error> {
        self.next_until(None)?.ok_or_else(Error::own_thread)
    }

    /// The next item, for which it blocks at most so long: nothing if none came, and none is lost. For hosts that have
    /// to look after something else now and then, such as signals.
    ///
    /// Returns at once, with nothing, on one of the bridge's own threads.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn next_for(&self, most: Duration) -> Result<Option<Item>, Error> {
        self.next_until(Instant::now().checked_add(most))
    }

    fn next_until(&self, until: Option<Instant>) -> Result<Option<Item>, Error> {
        self.check_open()?;
        let mut reading = self.begin_reading()?;
        let reading = async {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => Err(given_up()),
                item = reading.next() => item,
            }
        };
        block_on_until(reading, until).transpose()
    }

    /// Begins to read the next item, which comes to the completion queue under the number given here. It can be
    /// cancelled by [`Bridge::cancel`], and is not lost then.
    ///
    /// # Errors
    /// - `invalid_request`: a read is under way, or the reader or the bridge is closed.
    /// - `resource_exhausted`: 32,768 answers are on their way or undrained.
    pub fn next_to_queue(&self) -> Result<u64, Error> {
        self.check_open()?;
        let mut reading = self.begin_reading()?;
        self.begin(async move { reading.next().await.map(Some) })
    }

    /// Sends bytes to the process of a session. Blocks while it does not read what was sent before.
    ///
    /// # Errors
    /// - `invalid_state`: the process has ended, closed its input, or was given none.
    /// - `invalid_request`: this is no session, or what [`Reader::next`] names.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.send(pieces(bytes))
    }

    /// Sends what the process takes of some bytes within so long, and says how many that were.
    ///
    /// # Errors
    /// As [`Reader::write`].
    pub fn write_for(&self, bytes: &[u8], most: Duration) -> Result<usize, Error> {
        let until = Instant::now().checked_add(most);
        let mut sent = 0;
        for piece in bytes.chunks(MAX_PIECE_BYTES) {
            if !self.send_until(pieces(piece), until)? {
                break;
            }
            sent += piece.len();
        }
        Ok(sent)
    }

    /// Ends the input of a session's process. With a terminal there is no such end: write the byte 4 instead.
    ///
    /// # Errors
    /// As [`Reader::write`].
    pub fn end_input(&self) -> Result<(), Error> {
        self.send(vec![SessionInput::End])
    }

    /// The same, if the process takes it within so long; says whether it did.
    ///
    /// # Errors
    /// As [`Reader::write`].
    pub fn end_input_for(&self, most: Duration) -> Result<bool, Error> {
        self.send_until(vec![SessionInput::End], Instant::now().checked_add(most))
    }

    /// Tells the terminal of a session's process its size.
    ///
    /// # Errors
    /// As [`Reader::write`].
    pub fn resize(&self, size: TerminalSize) -> Result<(), Error> {
        self.send(vec![SessionInput::Resize(size)])
    }

    /// The same, if the process takes it within so long; says whether it did.
    ///
    /// # Errors
    /// As [`Reader::write`].
    pub fn resize_for(&self, size: TerminalSize, most: Duration) -> Result<bool, Error> {
        self.send_until(vec![SessionInput::Resize(size)], Instant::now().checked_add(most))
    }

    /// Begins what [`Reader::write`] does; its answer comes to the completion queue. A write that is cancelled may have
    /// sent a part.
    ///
    /// # Errors
    /// As [`Reader::next_to_queue`], and where this is no session.
    pub fn write_to_queue(&self, bytes: &[u8]) -> Result<u64, Error> {
        self.send_to_queue(pieces(bytes))
    }

    /// Begins what [`Reader::end_input`] does; its answer comes to the completion queue.
    ///
    /// # Errors
    /// As [`Reader::write_to_queue`].
    pub fn end_input_to_queue(&self) -> Result<u64, Error> {
        self.send_to_queue(vec![SessionInput::End])
    }

    /// Begins what [`Reader::resize`] does; its answer comes to the completion queue.
    ///
    /// # Errors
    /// As [`Reader::write_to_queue`].
    pub fn resize_to_queue(&self, size: TerminalSize) -> Result<u64, Error> {
        self.send_to_queue(vec![SessionInput::Resize(size)])
    }

    /// Ends the stream: reads and writes that are under way are answered `cancelled`, and what it shows ends as when a
    /// [`Stream`] is dropped.
    pub fn close(&self) {
        self.ended.cancel();
        // Whoever reads at this moment ends it.
        if let Ok(mut source) = self.source.try_lock() {
            *source = Source::Closed;
        }
    }

    fn begin_reading(&self) -> Result<Reading, Error> {
        let source = self.source.clone().try_lock_owned();
        Ok(Reading {
            guard: Some(source.map_err(|_| busy("read"))?),
            source: self.source.clone(),
            ended: self.ended.clone(),
        })
    }

    fn send(&self, inputs: Vec<SessionInput>) -> Result<(), Error> {
        match self.send_until(inputs, None)? {
            true => Ok(()),
            false => Err(Error::own_thread()),
        }
    }

    /// Sends inputs, whether there was time for all of them. One that there was no time for is not sent later.
    fn send_until(&self, inputs: Vec<SessionInput>, until: Option<Instant>) -> Result<bool, Error> {
        let input = self.input()?.try_lock().map_err(|_| busy("write"))?;
        let sending = async {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => Err(given_up()),
                sent = pass_all(&input, inputs) => sent,
            }
        };
        Ok(block_on_until(sending, until).transpose()?.is_some())
    }

    fn send_to_queue(&self, inputs: Vec<SessionInput>) -> Result<u64, Error> {
        let input = self.input()?.clone().try_lock_owned();
        let input = input.map_err(|_| busy("write"))?;
        self.begin(async move { pass_all(&input, inputs).await.map(|()| None) })
    }

    fn input(&self) -> Result<&Arc<Mutex<SessionWriter>>, Error> {
        self.check_open()?;
        self.input.as_ref().ok_or_else(|| {
            let message = "this stream takes no input: only those of exec and attach do";
            Error::new(Status::InvalidRequest, message)
        })
    }

    fn check_open(&self) -> Result<(), Error> {
        match (self.shared.closing.is_cancelled(), self.ended.is_cancelled()) {
            (true, _) => Err(Error::closed()),
            (_, true) => Err(Error::new(Status::InvalidRequest, "the stream is closed")),
            _ => Ok(()),
        }
    }

    /// Does something on the bridge's threads and answers it by the queue, exactly once.
    fn begin(&self, work: impl Future<Output = Outcome> + Send + 'static) -> Result<u64, Error> {
        let shared = &self.shared;
        let ticket = shared.with_guest(Access::Caller, |state, _| Ok(state.number()))?;
        let threads = shared.threads.handle()?;
        shared.queue.expect()?;
        let answering = Answering {
            shared: shared.clone(),
            ticket,
            outcome: Err(given_up()),
        };
        let stop = self.ended.child_token();
        shared.transfers().insert(ticket, stop.clone());
        threads.spawn(async move {
            let mut answering = answering;
            answering.outcome = tokio::select! {
                biased;
                () = stop.cancelled() => Err(given_up()),
                outcome = work => outcome,
            };
        });
        Ok(ticket)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// A read that is under way. One during which the reader was closed ends what it reads.
struct Reading {
    guard: Option<OwnedMutexGuard<Source>>,
    source: Arc<Mutex<Source>>,
    ended: CancellationToken,
}

impl Reading {
    async fn next(&mut self) -> Result<Item, Error> {
        match &mut self.guard {
            Some(source) => source.next().await,
            None => Err(given_up()),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // First: whoever closes the reader from here on finds the source free.
        self.guard = None;
        if self.ended.is_cancelled()
            && let Ok(mut source) = self.source.try_lock()
        {
            *source = Source::Closed;
        }
    }
}

/// Answers when it is dropped: also when the bridge's threads end before the work does.
struct Answering {
    shared: Arc<Shared>,
    ticket: u64,
    outcome: Outcome,
}

/// What was read; nothing of a write.
type Outcome = Result<Option<Item>, Error>;

impl Drop for Answering {
    fn drop(&mut self) {
        self.shared.transfers().remove(&self.ticket);
        let outcome = std::mem::replace(&mut self.outcome, Err(given_up()));
        let (response, head) = match outcome {
            Ok(Some(item)) => (Response::success(item.data), Some(item.head)),
            Ok(None) => (Response::success(Vec::new()), None),
            Err(error) => (Response::from(error), None),
        };
        self.shared.queue.push_item(self.ticket, response, head);
    }
}

impl Source {
    async fn next(&mut self) -> Result<Item, Error> {
        let item = match self {
            Source::Session(stream) => stream.next().await.map(|item| Ok(Item::from(item?))),
            Source::Logs(stream) => stream.next().await.map(|entry| Ok(Item::from(entry?))),
            Source::Stats(stream) => stream.next().await.map(|stats| document(&stats?)),
            Source::Events(stream) => stream.next().await.map(|event| document(&event?)),
            Source::Transfer(stream) => stream.next().await.map(|item| document(&item?)),
            Source::Closed => None,
        };
        item.unwrap_or_else(|| Ok(Item::bare(ItemKind::End, None)))
    }
}

impl Item {
    fn bare(kind: ItemKind, value: Option<i64>) -> Item {
        Item {
            head: ItemHead { kind, value },
            data: Vec::new(),
        }
    }

    fn written(stream: OutputStream, value: Option<i64>, data: Vec<u8>) -> Item {
        let kind = match stream {
            OutputStream::Stdout => ItemKind::Stdout,
            OutputStream::Stderr => ItemKind::Stderr,
        };
        Item {
            head: ItemHead { kind, value },
            data,
        }
    }
}

impl From<SessionItem> for Item {
    fn from(item: SessionItem) -> Item {
        match item {
            SessionItem::Output { stream, bytes } => Item::written(stream, None, bytes),
            SessionItem::Ended { exit_code } => Item::bare(ItemKind::Ended, exit_code.map(i64::from)),
        }
    }
}

impl From<LogEntry> for Item {
    fn from(entry: LogEntry) -> Item {
        Item::written(entry.stream, i64::try_from(entry.time_ns).ok(), entry.bytes)
    }
}

/// Bytes in the pieces that a session takes.
fn pieces(bytes: &[u8]) -> Vec<SessionInput> {
    let pieces = bytes.chunks(MAX_PIECE_BYTES);
    pieces.map(|piece| SessionInput::Bytes(piece.to_vec())).collect()
}

async fn pass_all(input: &SessionWriter, inputs: Vec<SessionInput>) -> Result<(), Error> {
    for piece in inputs {
        input.pass(piece).await?;
    }
    Ok(())
}

fn document(value: &impl Serialize) -> Result<Item, Error> {
    let data = serde_json::to_vec(value).map_err(|error| {
        let message = format!("an item cannot be written as JSON: {error}");
        Error::new(Status::InternalError, message)
    })?;
    Ok(Item {
        data,
        ..Item::bare(ItemKind::Document, None)
    })
}

fn busy(what: &str) -> Error {
    let message = format!("a {what} of this stream is under way: await it first");
    Error::new(Status::InvalidRequest, message)
}

fn given_up() -> Error {
    let message = "the stream was given up: it, its bridge or this one step was closed or cancelled";
    Error::new(Status::Cancelled, message)
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
