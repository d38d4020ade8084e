//! Typed requests that open streams, and how streams that frames opened are taken.

use crate::opened::OpenStream;
use crate::shared::Access;
use crate::shown::Shown;
use crate::stream::{Session, SessionWriter, Stream};
use crate::{Bridge, Error, Status, TransferItem};
use selur_protocol::{Command, ContainerId};
use selur_runtime::{
    AttachOptions, ContainerProcess, EventItem, EventOptions, ExecSpec, LogEntry, LogOptions, Stats,
    StatsOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A stream that a frame opened, taken by its id.
#[derive(Debug)]
#[non_exhaustive]
pub enum TakenStream {
    /// Of exec and attach.
    Session(Session),
    /// Of logs.
    Logs(Stream<LogEntry>),
    /// Of stats.
    Stats(Stream<Stats>),
    /// Of events.
    Events(Stream<EventItem>),
    /// Of pull_image and push_image with progress.
    Transfer(Stream<TransferItem>),
}

/// Streams. The kernel checks each request as any other, and answers when the stream is open; what flows then passes
/// through neither the kernel nor its memory.
///
/// Each method gives `container_not_found` for a container that does not exist or a prefix that is not unique, and
/// `unsupported` where the backend lacks it.
impl Bridge {
    /// Runs a further process in a running container.
    ///
    /// # Errors
    /// - `invalid_request`: the program cannot be run, the user does not exist in the container, or the specification is
    ///   refused. The message ends with `(exit code 127)` where there is no such program, and with `(exit code 126)` where
    ///   it cannot be executed.
    /// - `invalid_state`: the container does not run.
    pub fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Session, Error> {
        match self.open_stream(Command::Exec, &[container, &json(spec)?])? {
            OpenStream::Session(session) => self.session(session),
            other => Err(surprising(Command::Exec, &other)),
        }
    }

    /// Connects to a container's first process: its output from now on, and its input.
    ///
    /// # Errors
    /// - `invalid_state`: the container has ended.
    /// - `invalid_request`: input is wanted, and the container was made without `stdin`.
    pub fn attach(&self, container: &str, options: AttachOptions) -> Result<Session, Error> {
        match self.open_stream(Command::Attach, &[container, &json(&options)?])? {
            OpenStream::Session(session) => self.session(session),
            other => Err(surprising(Command::Attach, &other)),
        }
    }

    /// What a container wrote.
    ///
    /// # Errors
    /// See above.
    pub fn logs(&self, container: &str, options: &LogOptions) -> Result<Stream<LogEntry>, Error> {
        match self.open_stream(Command::Logs, &[container, &json(options)?])? {
            OpenStream::Logs(stream) => self.stream(stream),
            other => Err(surprising(Command::Logs, &other)),
        }
    }

    /// Samples what a container uses.
    ///
    /// # Errors
    /// - `invalid_state`: the container does not run.
    /// - `invalid_request`: the interval is too short.
    pub fn stats(&self, container: &str, options: StatsOptions) -> Result<Stream<Stats>, Error> {
        match self.open_stream(Command::Stats, &[container, &json(&options)?])? {
            OpenStream::Stats(stream) => self.stream(stream),
            other => Err(surprising(Command::Stats, &other)),
        }
    }

    /// The processes of a container.
    ///
    /// # Errors
    /// `invalid_state`: the container does not run.
    pub fn top(&self, container: &str) -> Result<Vec<ContainerProcess>, Error> {
        self.document(Command::Top, &[container])
    }

    /// What happens to containers, images and volumes, whichever process does it. Nothing that happens after this has
    /// returned is left out, but for what [`EventItem::Lagged`] tells a slow reader.
    ///
    /// # Errors
    /// See above.
    pub fn events(&self, options: EventOptions) -> Result<Stream<EventItem>, Error> {
        match self.open_stream(Command::Events, &[&json(&options)?])? {
            OpenStream::Events(stream) => self.stream(stream),
            other => Err(surprising(Command::Events, &other)),
        }
    }

    /// Takes the stream that a frame opened. One that nobody takes stays open until the bridge is closed.
    ///
    /// # Errors
    /// `invalid_request`: no stream has this id, or it was taken before.
    pub fn take_stream(&self, id: u64) -> Result<TakenStream, Error> {
        Ok(match self.take(id)? {
            OpenStream::Session(session) => TakenStream::Session(self.session(session)?),
            OpenStream::Logs(stream) => TakenStream::Logs(self.stream(stream)?),
            OpenStream::Stats(stream) => TakenStream::Stats(self.stream(stream)?),
            OpenStream::Events(stream) => TakenStream::Events(self.stream(stream)?),
            OpenStream::Transfer(stream) => TakenStream::Transfer(self.stream(stream)?),
        })
    }

    /// The id that a container argument means.
    ///
    /// # Errors
    /// See above.
    pub fn resolve(&self, container: &str) -> Result<ContainerId, Error> {
        let document: serde_json::Value = self.document(Command::InspectContainer, &[container])?;
        let id = document.get("id").and_then(|id| id.as_str());
        id.and_then(ContainerId::parse)
            .ok_or_else(|| Error::new(Status::InternalError, "inspect_container was answered with no id"))
    }

    /// A request whose answer is the id of a stream, and the stream.
    pub(crate) fn open_stream(&self, command: Command, fields: &[&str]) -> Result<OpenStream, Error> {
        let id: u64 = self.document(command, fields)?;
        self.take(id)
    }

    /// A request whose answer is JSON.
    pub(crate) fn document<T: DeserializeOwned>(
        &self,
        command: Command,
        fields: &[&str],
    ) -> Result<T, Error> {
        let data = self.request(command, fields)?;
        serde_json::from_slice(&data).map_err(|error| {
            let message = format!("{} was answered with something else: {error}", command.name());
            Error::new(Status::InternalError, message)
        })
    }

    pub(crate) fn stream<T: 'static>(
        &self,
        items: futures_util::stream::BoxStream<'static, Result<T, selur_runtime::RuntimeError>>,
    ) -> Result<Stream<T>, Error> {
        let shared = self.shared();
        let threads = shared.threads.handle()?;
        let shown = Shown::new(items, &shared.shown);
        // Who closed the bridge meanwhile may have looked before it was listed.
        if shared.closing.is_cancelled() {
            let _within = threads.enter();
            *shown.lock() = None;
        }
        Ok(Stream::new(shown, threads, shared.closing.clone()))
    }

    fn session(&self, session: selur_runtime::Session) -> Result<Session, Error> {
        Ok(Session {
            input: SessionWriter::new(session.input, self.shared().closing.clone()),
            output: self.stream(session.output)?,
        })
    }

    fn take(&self, id: u64) -> Result<OpenStream, Error> {
        let taken = self
            .shared()
            .with_guest(Access::Caller, |state, _| Ok(state.opened.take(id)))?;
        taken.ok_or_else(|| {
            let message = format!("no stream has the id {id}, or it was taken before: each is taken once");
            Error::new(Status::InvalidRequest, message)
        })
    }
}

/// Options as a field of a frame.
pub(crate) fn json(options: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(options).map_err(|error| {
        let message = format!("the options cannot be written as JSON: {error}");
        Error::new(Status::InvalidRequest, message)
    })
}

pub(crate) fn surprising(command: Command, stream: &OpenStream) -> Error {
    let message = format!("{} opened a {} stream", command.name(), stream.name());
    Error::new(Status::InternalError, message)
}
