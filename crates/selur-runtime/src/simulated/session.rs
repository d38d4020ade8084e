//! Processes that are run in simulated containers, and attachments to them.

use super::{World, lock, no_such_container};
use crate::{
    AttachOptions, ExecSpec, INPUTS_IN_FLIGHT, LogOptions, LogStream, OutputStream, RuntimeError, Session,
    SessionInput, SessionItem, TerminalSize,
};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, State, Status};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::{mpsc, watch};

/// What a process of a dead container ends with.
const KILLED: i32 = 137;

/// Runs one of the programs that every simulated container has.
pub(super) fn exec(
    world: &Arc<Mutex<World>>,
    id: ContainerId,
    spec: &ExecSpec,
) -> Result<Session, RuntimeError> {
    let (changes, environment, directory) = {
        let world = lock(world);
        let container = world.containers.get(&id).ok_or_else(|| no_such_container(id))?;
        container.check_runs("exec in")?;
        let own = container.spec();
        let environment: Vec<_> = own.environment.iter().chain(&spec.environment).cloned().collect();
        let directory = spec.working_directory.clone().or(own.working_directory.clone());
        (
            container.changes(),
            environment,
            directory.unwrap_or_else(|| "/".into()),
        )
    };
    let (input, inputs) = mpsc::channel(INPUTS_IN_FLIGHT);
    let mut process = Process {
        world: Arc::downgrade(world),
        id,
        changes,
        inputs: spec.stdin.then_some(inputs),
        ready: VecDeque::new(),
        line_end: if spec.terminal { "\r\n" } else { "\n" },
        program: Program::Ends(0),
    };
    let mut words = spec.command.iter().map(String::as_str);
    let program = words.next().unwrap_or_default();
    match program {
        "true" => {}
        "false" => process.program = Program::Ends(1),
        "echo" => process.write_line(OutputStream::Stdout, &words.collect::<Vec<_>>().join(" ")),
        "warn" => process.write_line(OutputStream::Stderr, &words.collect::<Vec<_>>().join(" ")),
        "env" => environment
            .iter()
            .for_each(|entry| process.write_line(OutputStream::Stdout, entry)),
        "pwd" => process.write_line(OutputStream::Stdout, &directory),
        "exit" => {
            let code = words.next().and_then(|code| code.parse::<u8>().ok()).unwrap_or(0);
            process.program = Program::Ends(i32::from(code));
        }
        "cat" if spec.stdin => process.program = Program::Copies,
        "cat" => {}
        "sleep" => process.program = Program::Sleeps,
        "size" => {
            process.program = Program::Copies;
            process.resized(spec.size.unwrap_or(TerminalSize {
                rows: 24,
                columns: 80,
            }));
        }
        _ => {
            let message = format!("the simulated container has no program {program:?} (exit code 127)");
            return Err(RuntimeError::new(Status::InvalidRequest, message));
        }
    }
    let output = stream::unfold(Some(process), |process| async {
        let mut process = process?;
        let item = process.next().await;
        let goes_on = matches!(item, SessionItem::Output { .. });
        Some((Ok(item), goes_on.then_some(process)))
    });
    Ok(Session {
        input,
        output: output.boxed(),
    })
}

/// What is left for a process to do when its words are said.
enum Program {
    /// Ends with this code.
    Ends(i32),
    /// Says what it is told, until its input ends.
    Copies,
    /// Does nothing.
    Sleeps,
}

struct Process {
    world: Weak<Mutex<World>>,
    id: ContainerId,
    changes: watch::Receiver<()>,
    inputs: Option<mpsc::Receiver<SessionInput>>,
    ready: VecDeque<SessionItem>,
    line_end: &'static str,
    program: Program,
}

impl Process {
    fn write_line(&mut self, stream: OutputStream, line: &str) {
        let bytes = format!("{line}{}", self.line_end).into_bytes();
        self.ready.push_back(SessionItem::Output { stream, bytes });
    }

    fn resized(&mut self, size: TerminalSize) {
        self.write_line(OutputStream::Stdout, &format!("{} {}", size.rows, size.columns));
    }

    fn container_runs(&self) -> bool {
        let Some(world) = self.world.upgrade() else {
            return false;
        };
        let world = lock(&world);
        let container = world.containers.get(&self.id);
        container.is_some_and(|container| {
            container.check_runs("exec in").is_ok() || container.report().state == State::Paused
        })
    }

    async fn next(&mut self) -> SessionItem {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return item;
            }
            if let Program::Ends(code) = self.program {
                return SessionItem::Ended {
                    exit_code: Some(code),
                };
            }
            self.changes.mark_unchanged();
            if !self.container_runs() {
                return SessionItem::Ended {
                    exit_code: Some(KILLED),
                };
            }
            let input = async {
                match (&mut self.inputs, &self.program) {
                    (Some(inputs), Program::Copies) => inputs.recv().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                // An error means that the container is gone, which the next round finds.
                _ = self.changes.changed() => {}
                input = input => match input {
                    Some(SessionInput::Bytes(bytes)) => self.ready.push_back(SessionItem::Output {
                        stream: OutputStream::Stdout,
                        bytes,
                    }),
                    Some(SessionInput::Resize(size)) => self.resized(size),
                    Some(SessionInput::End) | None => self.program = Program::Ends(0),
                },
            }
        }
    }
}

/// Shows what a container writes, and has it say what it is told.
pub(super) fn attach(
    world: &Arc<Mutex<World>>,
    id: ContainerId,
    options: AttachOptions,
) -> Result<Session, RuntimeError> {
    let changes = {
        let world = lock(world);
        let container = world.containers.get(&id).ok_or_else(|| no_such_container(id))?;
        if container.report().state == State::Stopped {
            return Err(container.refuse("attach to"));
        }
        if options.stdin && !container.spec().stdin {
            let message = "the container takes no input: make it with stdin (`selur run -i`)";
            return Err(RuntimeError::new(Status::InvalidRequest, message));
        }
        container.changes()
    };
    let log = LogOptions {
        follow: true,
        tail_lines: (!options.replay).then_some(0),
        ..LogOptions::default()
    };
    let (input, inputs) = mpsc::channel(INPUTS_IN_FLIGHT);
    let attachment = Attachment {
        world: Arc::downgrade(world),
        id,
        log: super::logs::stream(world.clone(), id, changes, log),
        inputs: options.stdin.then_some(inputs),
    };
    let output = stream::unfold(Some(attachment), |attachment| async {
        let mut attachment = attachment?;
        let item = attachment.next().await;
        let goes_on = matches!(item, Ok(SessionItem::Output { .. }));
        Some((item, goes_on.then_some(attachment)))
    });
    Ok(Session {
        input,
        output: output.boxed(),
    })
}

struct Attachment {
    world: Weak<Mutex<World>>,
    id: ContainerId,
    log: LogStream,
    inputs: Option<mpsc::Receiver<SessionInput>>,
}

impl Attachment {
    async fn next(&mut self) -> Result<SessionItem, RuntimeError> {
        loop {
            let input = async {
                match &mut self.inputs {
                    Some(inputs) => inputs.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                entry = self.log.next() => return Ok(match entry.transpose()? {
                    Some(entry) => SessionItem::Output { stream: entry.stream, bytes: entry.bytes },
                    None => SessionItem::Ended { exit_code: self.exit_code() },
                }),
                input = input => match input {
                    Some(SessionInput::Bytes(bytes)) => {
                        return Ok(SessionItem::Output { stream: OutputStream::Stdout, bytes });
                    }
                    Some(SessionInput::Resize(_)) => {}
                    Some(SessionInput::End) | None => self.inputs = None,
                },
            }
        }
    }

    fn exit_code(&self) -> Option<i32> {
        let world = self.world.upgrade()?;
        let world = lock(&world);
        world.containers.get(&self.id)?.report().exit_code
    }
}
