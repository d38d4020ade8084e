//! Streams that were opened by a frame, until their caller takes them by their id.

use crate::progress::{self, TransferItem};
use crate::{Error, Status};
use futures_util::stream::BoxStream;
use selur_runtime::{EventStream, LogStream, RuntimeError, Session, StatsStream};
use std::collections::BTreeMap;
use std::time::Instant;

/// How many streams may be open and not taken.
const MAX_UNTAKEN: usize = 1_024;

/// A stream as the runtime gave it.
pub(crate) enum OpenStream {
    Session(Session),
    Logs(LogStream),
    Stats(StatsStream),
    Events(EventStream),
    Transfer(BoxStream<'static, Result<TransferItem, RuntimeError>>),
}

/// The streams that wait to be taken.
#[derive(Default)]
pub(crate) struct Opened {
    last: u64,
    streams: BTreeMap<u64, OpenStream>,
}

impl Opened {
    /// Keeps a stream, and gives it an id that is never used again.
    ///
    /// # Errors
    /// `resource_exhausted`, with the stream, which is to be dropped where no lock is held.
    pub(crate) fn add(&mut self, stream: OpenStream) -> Result<u64, (Error, OpenStream)> {
        if self.streams.len() >= MAX_UNTAKEN {
            let message =
                format!("{MAX_UNTAKEN} streams were opened and not taken: take or close some first");
            return Err((Error::new(Status::ResourceExhausted, message), stream));
        }
        self.last += 1;
        self.streams.insert(self.last, stream);
        Ok(self.last)
    }

    /// Takes a stream out.
    pub(crate) fn take(&mut self, id: u64) -> Option<OpenStream> {
        self.streams.remove(&id)
    }

    /// Takes all of them out.
    pub(crate) fn take_all(&mut self) -> BTreeMap<u64, OpenStream> {
        std::mem::take(&mut self.streams)
    }
}

impl OpenStream {
    /// The same; a transfer is given up when its request's time is over.
    pub(crate) fn until(self, deadline: Option<Instant>) -> OpenStream {
        match (self, deadline) {
            (OpenStream::Transfer(items), Some(deadline)) => {
                OpenStream::Transfer(progress::limited(items, deadline))
            }
            (stream, _) => stream,
        }
    }

    /// What it is, for a message.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            OpenStream::Session(_) => "session",
            OpenStream::Logs(_) => "log",
            OpenStream::Stats(_) => "statistics",
            OpenStream::Events(_) => "events",
            OpenStream::Transfer(_) => "transfer",
        }
    }
}
