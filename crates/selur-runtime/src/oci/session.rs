//! The two directions of an exec as they flow.
//!
//! **The end.** The last item is the exit code, and it comes when the process has ended and both of its outputs have.
//! A process that it left behind may hold an output open for ever, as `sh -c 'sleep 1000 &'` does. So when the process
//! has ended, its outputs have [`GRACE`] to end; after that, what is in them then is still read, and no more. Docker
//! does the same with the same time.

use crate::{
    INPUTS_IN_FLIGHT, MAX_PIECE_BYTES, OutputStream, RuntimeError, Session, SessionInput, SessionItem,
    TerminalSize,
};
use futures_util::stream::{self, StreamExt};
use rustix::termios::{Winsize, tcsetwinsize};
use selur_protocol::Status;
use selur_shim::{ExecEnd, without_signal};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long the outputs of a process that has ended may stay open.
const GRACE: Duration = Duration::from_secs(2);
/// A longer word of the shim's is none, in bytes.
const MAX_END_BYTES: usize = 4096;

/// What a session is made of. To drop it is to have the process killed.
pub(super) struct Channel {
    /// Where the exit code comes. The shim kills the process when it is closed.
    pub(super) end: UnixStream,
    /// The writing end of the process's standard input.
    pub(super) stdin: Option<OwnedFd>,
    /// The reading ends of its standard output and standard error.
    pub(super) outputs: [Option<OwnedFd>; 2],
    /// The master of its terminal, which is input and output.
    pub(super) terminal: Option<OwnedFd>,
    /// Whether bytes may be sent to it.
    pub(super) accepts_input: bool,
    /// What ends the process if its errand dies before it has said how that ended.
    pub(super) rescue: Option<Rescue>,
}

/// Ends processes whose errands have died. It blocks, but for milliseconds.
pub(super) type Rescue = Box<dyn FnOnce() + Send>;

/// How long a terminal that nobody has open is left alone.
const QUIET: Duration = Duration::from_millis(100);

/// What a read of a terminal gives when nobody has it open any more: EIO.
const HUNG_UP: i32 = 5;

/// Makes a session. It needs a tokio runtime around it.
pub(super) fn open(channel: Channel) -> io::Result<Session> {
    let mut ends = [const { None }; 2];
    for (end, output) in ends.iter_mut().zip(channel.outputs) {
        *end = output.map(End::new).transpose()?;
    }
    if let Some(terminal) = &channel.terminal {
        ends[0] = Some(End::new(terminal.try_clone()?)?);
    }
    let target = Target::new(channel.stdin, channel.terminal, channel.accepts_input)?;
    channel.end.set_nonblocking(true)?;
    let gone = CancellationToken::new();
    let output = Output {
        ends,
        turn: 0,
        buffer: vec![0; MAX_PIECE_BYTES].into_boxed_slice(),
        socket: tokio::net::UnixStream::from_std(channel.end)?,
        rescue: channel.rescue,
        word: Vec::new(),
        exit: None,
        grace: None,
        is_over: false,
        _gone: gone.clone().drop_guard(),
    };
    let (input, inputs) = mpsc::channel(INPUTS_IN_FLIGHT);
    tokio::spawn(async move { gone.run_until_cancelled(target.feed(inputs)).await });
    Ok(Session {
        input,
        output: output.into_stream(),
    })
}

/// Where a session's input goes.
pub(super) struct Target {
    /// What takes bytes, if anything does.
    input: Option<Sender>,
    /// What has a size, and no end of input but the process's.
    terminal: Option<OwnedFd>,
}

impl Target {
    pub(super) fn new(
        stdin: Option<OwnedFd>,
        terminal: Option<OwnedFd>,
        accepts_input: bool,
    ) -> io::Result<Target> {
        let input = match &terminal {
            Some(terminal) if accepts_input => Some(terminal.try_clone()?),
            _ => stdin,
        };
        Ok(Target {
            input: input.map(sender).transpose()?,
            terminal,
        })
    }

    /// Writes what comes. It ends, and the session's input with it, when nothing takes any more. Whoever drops the
    /// session's input ends that of the process.
    pub(super) async fn feed(mut self, mut inputs: mpsc::Receiver<SessionInput>) {
        while self.takes_anything()
            && let Some(input) = inputs.recv().await
        {
            match input {
                SessionInput::Bytes(bytes) => self.write(&bytes).await,
                SessionInput::End => self.end(),
                SessionInput::Resize(size) => self.resize(size),
            }
        }
    }

    /// Whether there is any point in sending anything.
    pub(super) fn takes_anything(&self) -> bool {
        self.input.is_some() || self.terminal.is_some()
    }

    /// Whether it takes bytes.
    pub(super) fn takes_bytes(&self) -> bool {
        self.input.is_some()
    }

    /// Writes bytes, if they are still taken.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) {
        while let Some(input) = &self.input
            && !bytes.is_empty()
        {
            let written = match input.writable().await {
                // The host of this library may not ignore SIGPIPE.
                Ok(()) => without_signal(|| input.try_write(bytes)),
                Err(error) => Err(error),
            };
            match written {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.input = None,
            }
        }
    }

    /// Ends the input; that of a terminal has no end.
    pub(super) fn end(&mut self) {
        if self.terminal.is_none() {
            self.input = None;
        }
    }

    /// Gives the terminal a size.
    pub(super) fn resize(&self, size: TerminalSize) {
        if let Some(terminal) = &self.terminal {
            let size = Winsize {
                ws_row: size.rows,
                ws_col: size.columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            // A terminal that has hung up has no size.
            let _ = tcsetwinsize(terminal, size);
        }
    }
}

/// A writing end, of a pipe or of a terminal.
fn sender(descriptor: OwnedFd) -> io::Result<Sender> {
    rustix::io::ioctl_fionbio(&descriptor, true)?;
    Sender::from_owned_fd_unchecked(descriptor)
}

/// The reading end of an output, a pipe's or a terminal's.
struct End {
    source: Receiver,
    /// How much is still to be read, once that is fixed.
    left: Option<u64>,
    /// Until when a terminal is not looked at that nobody had open.
    quiet: Option<Pin<Box<Sleep>>>,
}

impl End {
    fn new(descriptor: OwnedFd) -> io::Result<End> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(End {
            source: Receiver::from_owned_fd_unchecked(descriptor)?,
            left: None,
            quiet: None,
        })
    }

    /// Reads a piece; 0 is the end. A terminal that nobody has open may be opened again until the process has ended.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        exit: Option<Option<i32>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(quiet) = self.quiet.as_mut().filter(|_| exit.is_none()) {
            ready!(quiet.as_mut().poll(context));
        }
        self.quiet = None;
        let most = self.left.map_or(buffer.len(), |left| {
            usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len())
        });
        if most == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut buffer = ReadBuf::new(buffer.get_mut(..most).unwrap_or_default());
        match ready!(Pin::new(&mut self.source).poll_read(context, &mut buffer)) {
            Err(error) if error.raw_os_error() == Some(HUNG_UP) => {
                if exit.is_some() {
                    return Poll::Ready(Ok(0));
                }
                let quiet = self.quiet.insert(Box::pin(tokio::time::sleep(QUIET)));
                ready!(quiet.as_mut().poll(context));
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            outcome => outcome?,
        }
        let bytes = buffer.filled().len();
        if let Some(left) = &mut self.left {
            *left -= bytes as u64;
        }
        Poll::Ready(Ok(bytes))
    }

    /// Lets it end with what is in it now.
    fn end_here(&mut self) {
        // A pipe says how much is in it; a terminal has hung up long since.
        self.left = Some(rustix::io::ioctl_fionread(&self.source).unwrap_or(0));
    }
}

/// What comes from a process.
struct Output {
    /// Standard output and standard error, until each has ended.
    ends: [Option<End>; 2],
    /// Which of them is looked at first: they take turns.
    turn: usize,
    buffer: Box<[u8]>,
    socket: tokio::net::UnixStream,
    rescue: Option<Rescue>,
    /// What the shim has said of the end so far.
    word: Vec<u8>,
    /// The exit code, when the process has ended.
    exit: Option<Option<i32>>,
    grace: Option<Pin<Box<Sleep>>>,
    is_over: bool,
    /// Ends the input.
    _gone: DropGuard,
}

impl Output {
    fn into_stream(mut self) -> stream::BoxStream<'static, Result<SessionItem, RuntimeError>> {
        stream::poll_fn(move |context| self.poll_next(context)).boxed()
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<SessionItem, RuntimeError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.poll_exit(context);
        self.poll_grace(context);
        for turn in 0..2 {
            let index = (self.turn + turn) % 2;
            let Some(end) = &mut self.ends[index] else {
                continue;
            };
            match end.poll_read(context, &mut self.buffer, self.exit) {
                Poll::Pending => {}
                Poll::Ready(Ok(0)) => self.ends[index] = None,
                Poll::Ready(Ok(bytes)) => {
                    self.turn = index + 1;
                    let stream = [OutputStream::Stdout, OutputStream::Stderr][index];
                    let bytes = self.buffer.get(..bytes).unwrap_or_default().to_vec();
                    return Poll::Ready(Some(Ok(SessionItem::Output { stream, bytes })));
                }
                Poll::Ready(Err(error)) => {
                    self.is_over = true;
                    let message = "cannot read what the process writes";
                    let error = RuntimeError::with_source(Status::InternalError, message, error);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        match self.exit {
            Some(exit_code) if self.ends.iter().all(Option::is_none) => {
                self.is_over = true;
                Poll::Ready(Some(Ok(SessionItem::Ended { exit_code })))
            }
            _ => Poll::Pending,
        }
    }

    /// Looks whether the shim has said how the process ended. A shim that has died will not.
    fn poll_exit(&mut self, context: &mut Context<'_>) {
        while self.exit.is_none() && self.socket.poll_read_ready(context).is_ready() {
            let mut buffer = [0; 256];
            match self.socket.try_read(&mut buffer) {
                Ok(bytes @ 1..) if self.word.len() < MAX_END_BYTES => {
                    self.word
                        .extend_from_slice(buffer.get(..bytes).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => {
                    let end = serde_json::from_slice::<ExecEnd>(&self.word).ok();
                    if let Some(rescue) = self.rescue.take().filter(|_| end.is_none()) {
                        tokio::task::spawn_blocking(rescue);
                    }
                    self.exit = Some(end.and_then(|end| end.exit_code));
                    self.grace = Some(Box::pin(tokio::time::sleep(GRACE)));
                }
            }
        }
    }

    /// Fixes how much is still read when the time of grace is over.
    fn poll_grace(&mut self, context: &mut Context<'_>) {
        if let Some(grace) = &mut self.grace
            && grace.as_mut().poll(context).is_ready()
        {
            self.grace = None;
            for end in self.ends.iter_mut().flatten() {
                end.end_here();
            }
        }
    }
}
