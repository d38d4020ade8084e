//! A connection that the daemon has made a pipe of, as a session: of an exec or of an attachment.
//!
//! Bytes are held back by the connection itself: what is not read here fills its buffers, then the daemon's, and then the
//! process stands still.

use super::failure::{About, DaemonError};
use super::frames::Frames;
use super::lifecycle::{PATIENT, wait_with};
use super::site::{Look, Site};
use super::transport::{Call, Pipe};
use super::watch;
use crate::{INPUTS_IN_FLIGHT, MAX_PIECE_BYTES, RuntimeError, SessionInput, SessionItem, TerminalSize};
use hyper::Method;
use hyper::body::Bytes;
use selur_protocol::{ContainerId, State};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the daemon would take for a wish to detach, which is not its matter. It cannot be told that there is none, so
/// this one is long; it never reaches a process by typing.
///
/// Source: moby `pkg/term/ascii.go`; podman the same.
pub(super) const NO_DETACH_KEYS: &str = "ctrl-^,ctrl-],ctrl-^,ctrl-_,ctrl-],ctrl-^,ctrl-_";

/// What comes out of a pipe.
pub(super) struct Output {
    source: ReadHalf<Pipe>,
    frames: Frames,
    bytes: Bytes,
    buffer: Vec<u8>,
    /// What was read ahead.
    ahead: VecDeque<SessionItem>,
    is_over: bool,
    /// Ends the input.
    gone: DropGuard,
}

/// Where terminals' sizes are told.
#[derive(Clone, Debug)]
pub(super) struct Terminal {
    site: Arc<Site>,
    /// `/exec/ID/resize` or `/containers/ID/resize`.
    path: String,
    /// The container whose first process has it, and the generation that was attached to.
    container: Option<(ContainerId, Option<u32>)>,
    /// Held while one is told, so that the last one is the last that the daemon hears.
    size: Arc<Mutex<Option<TerminalSize>>>,
}

impl Terminal {
    pub(super) fn of_exec(site: &Arc<Site>, exec: &str) -> Terminal {
        Terminal {
            site: site.clone(),
            path: format!("/exec/{exec}/resize"),
            container: None,
            size: Arc::default(),
        }
    }

    /// That of a container's first process: of each, if its policy starts it again.
    pub(super) fn of_container(site: &Arc<Site>, id: ContainerId, look: &Look) -> Terminal {
        let generation = Some(look.report.generation).filter(|_| look.report.state != State::Created);
        Terminal {
            site: site.clone(),
            path: format!("/containers/{}/resize", look.facts.daemon_id),
            container: Some((id, generation)),
            size: Arc::default(),
        }
    }

    /// Gives it a size. What has ended has none, and to dockerd what has not begun.
    pub(super) async fn resize(&self, size: TerminalSize) {
        let mut last = self.size.lock().await;
        *last = Some(size);
        self.tell(size).await;
    }

    /// Gives it the size again each time that a process of another generation runs: that one has a terminal of its own.
    async fn keep_size(&self) {
        let Some((id, mut generation)) = self.container else {
            return;
        };
        watch::ensure(&self.site);
        loop {
            let runs_anew = |look: &Look| {
                look.facts.state == State::Running && Some(look.report.generation) != generation
            };
            let Ok(look) = wait_with(&self.site, id, PATIENT, runs_anew).await else {
                return;
            };
            generation = Some(look.report.generation);
            let last = self.size.lock().await;
            if let Some(size) = *last {
                self.tell(size).await;
            }
        }
    }

    async fn tell(&self, size: TerminalSize) {
        let (rows, columns) = (size.rows.to_string(), size.columns.to_string());
        let query = [("h", rows.as_str()), ("w", columns.as_str())];
        let call = Call::new(Method::POST, &self.path).query(&query);
        let _ = self.site.client.send(call, Some(super::SHORT_ANSWER_BYTES)).await;
    }
}

/// What is sent to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Nothing but its terminal's size.
    None,
    /// Bytes, until there are no more or nobody sends any.
    Own,
    /// Bytes, until it is said that there are no more: others may send some.
    Shared,
}

/// Makes the two ends of a session. What a terminal writes has no headers.
pub(super) fn open(
    pipe: Pipe,
    takes: Input,
    frames: Frames,
    terminal: Option<Terminal>,
) -> (mpsc::Sender<SessionInput>, Output) {
    let (source, target) = tokio::io::split(pipe);
    let (input, inputs) = mpsc::channel(INPUTS_IN_FLIGHT);
    let gone = CancellationToken::new();
    let output = Output {
        source,
        frames,
        bytes: Bytes::new(),
        buffer: vec![0; MAX_PIECE_BYTES],
        ahead: VecDeque::new(),
        is_over: false,
        gone: gone.clone().drop_guard(),
    };
    if let Some(terminal) = terminal.clone() {
        let gone = gone.clone();
        tokio::spawn(async move { gone.run_until_cancelled(terminal.keep_size()).await });
    }
    let feeding = feed(target, takes, terminal, inputs);
    tokio::spawn(async move {
        // The writing half stays open until the output is dropped: some daemons end both at once.
        let target = gone.run_until_cancelled(feeding).await;
        gone.cancelled().await;
        drop(target);
    });
    (input, output)
}

async fn feed(
    mut target: WriteHalf<Pipe>,
    takes: Input,
    terminal: Option<Terminal>,
    mut inputs: mpsc::Receiver<SessionInput>,
) -> WriteHalf<Pipe> {
    let mut is_open = takes != Input::None;
    if !is_open && terminal.is_none() {
        return target;
    }
    while let Some(input) = inputs.recv().await {
        match input {
            SessionInput::Bytes(bytes) if is_open => {
                let written = async {
                    target.write_all(&bytes).await?;
                    target.flush().await
                };
                is_open = written.await.is_ok();
            }
            SessionInput::End if terminal.is_none() && is_open => {
                let _ = target.shutdown().await;
                is_open = false;
            }
            SessionInput::Resize(size) => {
                if let Some(terminal) = &terminal {
                    terminal.resize(size).await;
                }
            }
            SessionInput::Bytes(_) | SessionInput::End => {}
        }
        if !is_open && terminal.is_none() {
            return target;
        }
    }
    if takes == Input::Own && terminal.is_none() {
        let _ = target.shutdown().await;
    }
    target
}

impl Output {
    /// The next piece; nothing when the daemon has closed it.
    pub(super) async fn next(&mut self) -> Result<Option<SessionItem>, DaemonError> {
        if let Some(item) = self.ahead.pop_front() {
            return Ok(Some(item));
        }
        self.read().await
    }

    /// Reads a piece that is not wanted yet. It may be given up.
    pub(super) async fn read_ahead(&mut self) -> Result<(), DaemonError> {
        let item = self.read().await?;
        self.ahead.extend(item);
        Ok(())
    }

    /// The input of a session that goes on with another output.
    pub(super) fn into_input(self) -> DropGuard {
        self.gone
    }

    /// What was read ahead.
    pub(super) fn ahead(&self) -> Vec<u8> {
        let bytes = |item: &SessionItem| match item {
            SessionItem::Output { bytes, .. } => bytes.clone(),
            SessionItem::Ended { .. } => Vec::new(),
        };
        self.ahead.iter().flat_map(bytes).collect()
    }

    /// Whether there is nothing more to read.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    async fn read(&mut self) -> Result<Option<SessionItem>, DaemonError> {
        loop {
            if let Some(part) = self.frames.next(&mut self.bytes)? {
                return Ok(Some(SessionItem::Output {
                    stream: part.stream,
                    bytes: part.bytes.to_vec(),
                }));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.source.read(&mut self.buffer).await {
                Ok(bytes @ 1..) => {
                    self.bytes = Bytes::copy_from_slice(self.buffer.get(..bytes).unwrap_or_default());
                }
                Ok(0) => self.is_over = true,
                // A daemon that dies, and one that has said all.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => self.is_over = true,
                Err(error) => return Err(DaemonError::Unreachable(error.into())),
            }
        }
    }
}

/// The refusal of what the daemon did not give.
pub(super) fn broken(error: DaemonError) -> RuntimeError {
    error.into_runtime(About::Daemon, "cannot read what the process writes")
}
