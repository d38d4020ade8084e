//! `run`: a container from image to exit code. Attached, one loop takes what happens in the order it happens: the
//! container is made, writes, ends; signals arrive.

use super::create::{fetch, options, print_id};
use super::logs::pass_on;
use crate::cli::{Format, Global, Pull, Run};
use crate::failure::{self, CANNOT_EXECUTE, Failure, NOT_FOUND, RUN_FAILED};
use crate::output;
use crate::progress::PullDisplay;
use crate::session::Session;
use selur_core::{Bridge, ContainerId, CreateOptions, Deletion, LogEntry, LogOptions, Signal, Status};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Signals that are meant for the container.
const FORWARDED: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
/// Which Ctrl-C is one too many: the container is killed.
const LAST_INTERRUPT: u32 = 3;

/// Runs a container and answers what the process ends with.
///
/// # Errors
/// 125 if selur failed, 126 if the command cannot be executed, 127 if it was not found.
pub(crate) fn run(run: &Run, global: &Global) -> Result<u8, Failure> {
    let as_run = |failure: Failure| match failure.exit_code() {
        failure::FAILED => failure.with_exit_code(RUN_FAILED),
        _ => failure,
    };
    let options = options(&run.create)
        .and_then(refuse_interaction)
        .map_err(as_run)?;
    let session = Arc::new(Session::open(global).map_err(as_run)?);
    if run.detach {
        detached(&session, &options, run.create.pull, global.format)
    } else {
        attached(&session, options, run, global)
    }
    .map_err(as_run)
}

/// Sessions of `run` are not built yet.
fn refuse_interaction(options: CreateOptions) -> Result<CreateOptions, Failure> {
    if options
        .spec
        .as_ref()
        .is_some_and(|spec| spec.stdin || spec.terminal)
    {
        let message = "interactive containers and terminals (-i, -t) are not built yet";
        let advice = "Leave them out: `selur run` shows the output and passes signals on.";
        return Err(Failure::new(Status::Unsupported, message, advice));
    }
    Ok(options)
}

fn detached(
    session: &Session,
    options: &CreateOptions,
    pull: Option<Pull>,
    format: Format,
) -> Result<u8, Failure> {
    fetch(session, options, pull, PullDisplay::beside(format))?;
    let id = session.bridge().create_container(options)?;
    start(session.bridge(), id)?;
    print_id(session, id)?;
    session.remind("this container ended with this command");
    Ok(0)
}

/// What the loop is told.
enum Event {
    /// Somebody wants this container to end, or to know something.
    Signal(i32),
    /// The container exists.
    Created(ContainerId),
    /// Its process runs, or why not.
    Started(Result<(), Failure>),
    /// It wrote.
    Output(LogEntry),
    /// It will not write again.
    OutputEnded(Result<(), Failure>),
    /// It has ended for good.
    Ended(Result<Option<i32>, Failure>),
}

fn attached(
    session: &Arc<Session>,
    options: CreateOptions,
    run: &Run,
    global: &Global,
) -> Result<u8, Failure> {
    let (sender, events) = channel();
    forward_signals(sender.clone())?;
    let (pull, format) = (run.create.pull, global.format);
    let (maker, tell) = (Arc::clone(session), sender.clone());
    thread::spawn(move || make(&maker, &options, pull, format, &tell));

    let mut attachment = Attachment {
        session: Arc::clone(session),
        events,
        sender,
        format,
        id: None,
        is_started: false,
        interrupts: 0,
    };
    let result = attachment.follow();
    let removal = match attachment.id {
        Some(id) if run.rm => attachment.remove(id),
        Some(_) => Ok(()),
        // Nobody will ask for what a create that is still under way makes: the bridge undoes it.
        None => {
            session.bridge().close();
            Ok(())
        }
    };
    if result.is_ok() {
        removal?;
    }
    session.remind("this container ended with this command");
    result
}

/// Makes and starts the container; every step may take long, and the loop goes on meanwhile. Nobody listens any more
/// if sending fails.
fn make(
    session: &Session,
    options: &CreateOptions,
    pull: Option<Pull>,
    format: Format,
    tell: &Sender<Event>,
) {
    let created = fetch(session, options, pull, PullDisplay::beside(format))
        .and_then(|()| Ok(session.bridge().create_container(options)?));
    let started = created.and_then(|id| {
        let _ = tell.send(Event::Created(id));
        start(session.bridge(), id)
    });
    let _ = tell.send(Event::Started(started));
}

struct Attachment {
    session: Arc<Session>,
    events: Receiver<Event>,
    sender: Sender<Event>,
    format: Format,
    id: Option<ContainerId>,
    is_started: bool,
    interrupts: u32,
}

impl Attachment {
    /// Takes events until the container has ended and all it wrote is printed.
    fn follow(&mut self) -> Result<u8, Failure> {
        let (mut output_ended, mut exit_code) = (false, None);
        loop {
            // This attachment holds a sender, so the channel never closes.
            let Ok(event) = self.events.recv() else {
                return Err(Failure::quiet(RUN_FAILED));
            };
            match event {
                Event::Signal(number) if self.is_started => self.pass_signal_on(number),
                Event::Signal(number) => return Err(interrupted(number)),
                Event::Created(id) => {
                    self.id = Some(id);
                    self.tell(&json!({ "event": "created", "id": id.to_string() }))?;
                }
                Event::Started(result) => {
                    result?;
                    self.is_started = true;
                    self.watch();
                }
                Event::Output(entry) => pass_on(&entry, self.format)?,
                Event::OutputEnded(result) => {
                    result?;
                    output_ended = true;
                }
                Event::Ended(result) => exit_code = Some(result?),
            }
            if let (true, Some(code)) = (output_ended, exit_code) {
                self.tell(&json!({ "event": "ended", "exit_code": code }))?;
                return ending(code);
            }
        }
    }

    /// Follows the output and awaits the end, each on a thread of its own.
    fn watch(&self) {
        let Some(id) = self.id.map(|id| id.to_string()) else {
            return;
        };
        let (session, tell, container) = (Arc::clone(&self.session), self.sender.clone(), id.clone());
        thread::spawn(move || {
            let options = LogOptions {
                follow: true,
                tail_lines: None,
                ..LogOptions::default()
            };
            let ended = session.logs(&container, options, |entry| {
                tell.send(Event::Output(entry))
                    .map_err(|_| Failure::quiet(RUN_FAILED))?;
                Ok(ControlFlow::Continue(()))
            });
            let _ = tell.send(Event::OutputEnded(ended));
        });
        let (bridge, tell) = (self.session.bridge().clone(), self.sender.clone());
        thread::spawn(move || {
            let _ = tell.send(Event::Ended(wait(&bridge, &id)));
        });
    }

    fn pass_signal_on(&mut self, number: i32) {
        let Some(id) = self.id else { return };
        let signal = u8::try_from(number).ok().and_then(Signal::from_number);
        let mut signal = signal.unwrap_or(Signal::TERM);
        if number == SIGINT {
            self.interrupts += 1;
            if self.interrupts + 1 == LAST_INTERRUPT && self.format == Format::Table {
                output::note("the container was told; once more kills it");
            }
            if self.interrupts >= LAST_INTERRUPT {
                signal = Signal::KILL;
            }
        }
        match self.session.bridge().kill_container(&id.to_string(), signal) {
            Ok(()) => {}
            // It ended meanwhile, or is removed: its end is on the way.
            Err(error) if matches!(error.status(), Status::InvalidState | Status::ContainerNotFound) => {}
            Err(error) => Failure::from(error).print(self.format),
        }
    }

    fn remove(&self, id: ContainerId) -> Result<(), Failure> {
        match self
            .session
            .bridge()
            .delete_container(&id.to_string(), Deletion::Force)
        {
            Err(error) if error.status() == Status::ContainerNotFound => Ok(()),
            result => Ok(result?),
        }
    }

    fn tell(&self, event: &serde_json::Value) -> Result<(), Failure> {
        if self.format == Format::Json {
            output::json(event)?;
        }
        Ok(())
    }
}

/// Waits without a deadline: containers may run as long as they like.
fn wait(bridge: &Bridge, container: &str) -> Result<Option<i32>, Failure> {
    Ok(bridge.with_deadline(None).wait_container(container)?)
}

fn forward_signals(tell: Sender<Event>) -> Result<(), Failure> {
    let mut signals = signal_hook::iterator::Signals::new(FORWARDED)
        .map_err(|error| Failure::io("cannot receive signals", &error))?;
    thread::spawn(move || {
        for number in signals.forever() {
            if tell.send(Event::Signal(number)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn interrupted(signal: i32) -> Failure {
    let message = "interrupted before the container ran";
    let code = u8::try_from(128 + signal).unwrap_or(RUN_FAILED);
    Failure::new(Status::Cancelled, message, "Run it again.").with_exit_code(code)
}

fn ending(code: Option<i32>) -> Result<u8, Failure> {
    match code.map(u8::try_from) {
        Some(Ok(code)) => Ok(code),
        Some(Err(_)) | None => {
            let message = "the container ended, and how is not known: its shim was lost";
            Err(Failure::new(
                Status::InternalError,
                message,
                "Its output may say: `selur logs`.",
            ))
        }
    }
}

fn start(bridge: &Bridge, id: ContainerId) -> Result<(), Failure> {
    bridge
        .start_container(&id.to_string())
        .map_err(|error| refused_start(bridge, id, error))
}

/// 126 and 127 as shells and Docker have them: the container keeps which it was as its exit code.
fn refused_start(bridge: &Bridge, id: ContainerId, error: selur_core::Error) -> Failure {
    let failure = Failure::from(error);
    let exit_code = bridge
        .inspect_container(&id.to_string())
        .ok()
        .and_then(|inspection| inspection.exit_code);
    match exit_code.and_then(|code| u8::try_from(code).ok()) {
        Some(NOT_FOUND) => failure
            .with_advice("Name a program that the image has, by its path or on its PATH.")
            .with_exit_code(NOT_FOUND),
        Some(CANNOT_EXECUTE) => failure
            .with_advice("Name a program that may be executed and is built for this machine.")
            .with_exit_code(CANNOT_EXECUTE),
        _ => failure,
    }
}
