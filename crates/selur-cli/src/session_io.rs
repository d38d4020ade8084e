//! A process's input and output connected to this program's own: of an exec, or of an attachment.
//!
//! Each direction has a thread that blocks with it, so that an output that nobody reads holds back the process and
//! keeps no bytes in between. Whoever waits for signals and for the end is never one of these threads: a command ends
//! when it is told to, whatever is blocked.

use crate::cli::Format;
use crate::detach::DetachKeys;
use crate::failure::{Failure, RUN_FAILED};
use crate::output;
use crate::signals::{self, ENDING};
use crate::stdio;
use crate::terminal::{self, Raw};
use selur_core::{LogEntry, OutputStream, Session, SessionItem, SessionWriter, Status, Stream};
use serde_json::{Value, json};
use signal_hook::consts::SIGWINCH;
use std::borrow::Cow;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

/// How much is read of standard input at once.
const PIECE_BYTES: usize = 32 << 10;
/// End of transmission: what ends the input of a terminal.
const END_OF_INPUT: u8 = 4;

/// What is connected to a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wiring {
    /// Whether standard input is passed on.
    pub(crate) input: bool,
    /// Whether the process has a terminal.
    pub(crate) terminal: bool,
    /// What Ctrl-P Ctrl-Q does in that terminal.
    pub(crate) detaching: Detaching,
    /// How the output is printed.
    pub(crate) format: Format,
}

/// Whether keys can end a session and leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detaching {
    /// Ctrl-P Ctrl-Q does.
    ByKeys,
    /// Every key is the process's.
    Never,
}

/// A process's ends.
pub(crate) struct Ends {
    /// Where its input goes, if it takes any.
    pub(crate) input: Option<SessionWriter>,
    /// Where its output comes from.
    pub(crate) output: Output,
}

/// Where a process's output comes from.
pub(crate) enum Output {
    /// The session.
    Session(Stream<SessionItem>),
    /// The container's log.
    Log {
        entries: Stream<LogEntry>,
        /// How its process has ended; asked when the log has.
        exit_code: Box<dyn FnOnce() -> Result<Option<i32>, Failure> + Send>,
        /// What is not read, and has to be kept for the input's sake.
        session: Option<Stream<SessionItem>>,
    },
}

impl From<Session> for Ends {
    fn from(session: Session) -> Ends {
        Ends {
            input: Some(session.input),
            output: Output::Session(session.output),
        }
    }
}

/// How a session came to its end.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The process has ended, and all that it wrote is printed: 0 to 255, none if nobody knows how.
    Ended(Option<i32>),
    /// The keys were pressed that leave the process running.
    Detached,
}

/// A session that flows. Dropped, the terminal is as it was.
struct Connection {
    raw: Option<Raw>,
}

impl Connection {
    /// Lets a session flow, and tells of its end.
    ///
    /// # Errors
    /// The terminal cannot be used.
    fn new(
        ends: Ends,
        wiring: Wiring,
        tell: impl Fn(Result<Outcome, Failure>) + Clone + Send + 'static,
    ) -> Result<Connection, Failure> {
        let Ends { input, output } = ends;
        let takes_keys =
            wiring.input && wiring.terminal && wiring.format == Format::Table && terminal::is_input();
        let raw = takes_keys.then(Raw::enter).transpose()?;
        if let Some(input) = input.clone().filter(|_| wiring.terminal) {
            follow_size(input)?;
        }
        if let Some(input) = input.filter(|_| wiring.input) {
            let tell = tell.clone();
            let is_detachable = takes_keys && wiring.detaching == Detaching::ByKeys;
            let detach = is_detachable.then(DetachKeys::default);
            let end = match (wiring.terminal, takes_keys) {
                (false, _) => InputEnd::Closes,
                (true, false) => InputEnd::IsTyped,
                (true, true) => InputEnd::IsNothing,
            };
            thread::spawn(move || {
                if feed(&input, detach, end) {
                    tell(Ok(Outcome::Detached));
                }
            });
        }
        thread::spawn(move || {
            let shown = catch_unwind(AssertUnwindSafe(|| show(output, wiring.format)));
            // What a panic said is printed already.
            let ended = shown.unwrap_or_else(|_| Err(Failure::quiet(RUN_FAILED)));
            tell(ended.map(Outcome::Ended));
        });
        Ok(Connection { raw })
    }

    /// Whether keys are no signals now. A signal is then meant for this program.
    fn is_raw(&self) -> bool {
        self.raw.is_some()
    }
}

/// What is done at the end of standard input.
#[derive(Clone, Copy)]
enum InputEnd {
    /// The process's input ends too.
    Closes,
    /// The key is sent that ends input in a terminal.
    IsTyped,
    /// The terminal has hung up, which a signal tells.
    IsNothing,
}

/// Passes standard input on to its end. Whether it was ended by the detach keys.
fn feed(input: &SessionWriter, mut detach: Option<DetachKeys>, end: InputEnd) -> bool {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let bytes = match stdio::read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => &buffer[..count],
        };
        let (bytes, has_detached) = match &mut detach {
            Some(detach) => detach.filter(bytes),
            None => (Cow::Borrowed(bytes), false),
        };
        // A process that reads no more needs no more.
        let is_written = input.write(&bytes).is_ok();
        if has_detached || !is_written {
            return has_detached;
        }
    }
    let _ = match end {
        InputEnd::Closes => input.end(),
        InputEnd::IsTyped => input.write(&[END_OF_INPUT]),
        InputEnd::IsNothing => Ok(()),
    };
    false
}

/// Tells the process's terminal the size of this one, now and whenever it changes.
fn follow_size(input: SessionWriter) -> Result<(), Failure> {
    // One that waits is enough: it takes the newest size. And who hears signals must not block.
    let (changed, changes) = sync_channel(1);
    let first = changed.clone();
    signals::hear(&[SIGWINCH], move |_| {
        let _ = changed.try_send(());
        true
    })?;
    let _ = first.try_send(());
    thread::spawn(move || {
        for () in changes {
            let told = terminal::size().map(|size| input.resize(size));
            if matches!(told, Some(Err(_))) {
                return;
            }
        }
    });
    Ok(())
}

/// Prints what comes until the process has ended. Answers how.
fn show(output: Output, format: Format) -> Result<Option<i32>, Failure> {
    match output {
        Output::Session(items) => {
            for item in items {
                match item? {
                    SessionItem::Output { stream, bytes } => pass_on(stream, None, &bytes, format)?,
                    SessionItem::Ended { exit_code } => return Ok(exit_code),
                }
            }
        }
        Output::Log {
            entries,
            exit_code,
            session,
        } => {
            for entry in entries {
                let entry = entry?;
                pass_on(entry.stream, Some(entry.time_ns), &entry.bytes, format)?;
            }
            let exit_code = exit_code();
            drop(session);
            return exit_code;
        }
    }
    let message = "the session was cut off before the process ended";
    Err(Failure::new(Status::Cancelled, message, "Run it again."))
}

/// Writes bytes to the output that a process wrote them to, as they are or as a JSON line.
///
/// # Errors
/// That output is closed.
pub(crate) fn pass_on(
    stream: OutputStream,
    time_ns: Option<u64>,
    bytes: &[u8],
    format: Format,
) -> io::Result<()> {
    match format {
        Format::Json => output::json(&document(stream, time_ns, bytes)),
        Format::Table => stdio::write(stream, bytes),
    }
}

/// `text` if the bytes are UTF-8, else `bytes` as numbers.
fn document(stream: OutputStream, time_ns: Option<u64>, bytes: &[u8]) -> Value {
    let mut document = json!({ "event": "output", "stream": stream });
    if let Some(time_ns) = time_ns {
        document["time_ns"] = time_ns.into();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => document["text"] = text.into(),
        Err(_) => document["bytes"] = bytes.into(),
    }
    document
}

/// What the loop of [`converse`] is told.
enum Event {
    Signal(i32),
    Opened(Result<Ends, Failure>),
    Came(Result<Outcome, Failure>),
}

/// Opens a session and lets it flow to its end, or until a signal ends it.
///
/// `hear` is told of the signals that come while it flows and are not keys of the process's; where it fails, the
/// session ends. Opening may take long, and a signal ends that too.
///
/// # Errors
/// The session cannot be opened, it broke, or a signal ended it (128 and its number).
pub(crate) fn converse(
    wiring: Wiring,
    heard: &[i32],
    open: impl FnOnce() -> Result<Ends, Failure> + Send + 'static,
    mut hear: impl FnMut(i32) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let (sender, events) = channel();
    let tell = sender.clone();
    signals::hear(heard, move |number| tell.send(Event::Signal(number)).is_ok())?;
    let tell = sender.clone();
    thread::spawn(move || {
        let opened = catch_unwind(AssertUnwindSafe(open));
        let opened = opened.unwrap_or_else(|_| Err(Failure::quiet(RUN_FAILED)));
        // Nobody listens any more if sending fails.
        let _ = tell.send(Event::Opened(opened));
    });
    let mut connection: Option<Connection> = None;
    loop {
        // This function holds a sender, so the channel never closes.
        let Ok(event) = events.recv() else {
            return Err(Failure::quiet(RUN_FAILED));
        };
        match event {
            Event::Opened(ends) => {
                let tell = sender.clone();
                let tell = move |outcome| drop(tell.send(Event::Came(outcome)));
                connection = Some(Connection::new(ends?, wiring, tell)?);
            }
            Event::Signal(number) => match &connection {
                None => return Err(interrupted(number)),
                Some(connection) if connection.is_raw() && ENDING.contains(&number) => {
                    return Err(Failure::quiet(signals::exit_code(number)));
                }
                Some(_) => hear(number)?,
            },
            Event::Came(outcome) => return outcome,
        }
    }
}

fn interrupted(signal: i32) -> Failure {
    let message = "interrupted before the process ran";
    Failure::new(Status::Cancelled, message, "Run it again.").with_exit_code(signals::exit_code(signal))
}

impl Outcome {
    /// Tells of the end, and answers what this program ends with. The terminal is as it was by now.
    ///
    /// # Errors
    /// Nobody knows how the process ended, or the output is closed.
    pub(crate) fn finish(self, container: &str, format: Format) -> Result<u8, Failure> {
        match self {
            Outcome::Ended(code) => {
                if format == Format::Json {
                    output::json(&json!({ "event": "ended", "exit_code": code }))?;
                }
                ending(code)
            }
            Outcome::Detached => {
                // The cursor stands behind what the process wrote last.
                output::end_line();
                output::note(format_args!(
                    "detached: the container goes on; `selur attach {container}` comes back to it"
                ));
                Ok(0)
            }
        }
    }
}

fn ending(code: Option<i32>) -> Result<u8, Failure> {
    code.and_then(|code| u8::try_from(code).ok()).ok_or_else(|| {
        let message = "the process ended, and how is not known: its shim was lost";
        let advice = "What it wrote may say: `selur logs`.";
        Failure::new(Status::InternalError, message, advice)
    })
}
