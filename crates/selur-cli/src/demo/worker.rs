//! The process that holds the demo's bridge, and how the demo talks to it: orders and replies as JSON lines on its
//! standard input and output. The demo kills it in the middle, as a crash would.
//!
//! If the demo itself dies, the worker's input ends: it then removes the container, so that nothing is left behind.

use crate::cli::{Format, Global, RuntimeChoice};
use crate::failure::Failure;
use crate::output;
use crate::session::{Session, frame};
use selur_core::{Command, Deletion, LogOptions, Status};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long any step of the demo may take.
const STEP_DEADLINE: Duration = Duration::from_secs(60);

/// What a bridge is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(super) enum Order {
    /// Takes the image from its layout.
    Import { layout: PathBuf, reference: String },
    /// Hands a whole request frame to the kernel; replies with the response's data as text.
    Frame { frame: Vec<u8> },
    /// Starts the container.
    Start { container: String },
    /// Reads what the container wrote, until a line begins with this.
    Logs { container: String, until: String },
    /// What is known of the container.
    Inspect { container: String },
    /// The ids of all containers.
    List,
    /// Opens a wait and replies at once, with the wait in flight.
    OpenWait { container: String },
    /// Awaits the container's end.
    Wait { container: String },
    /// Ends the container's process.
    Stop { container: String },
    /// Removes the container, by force.
    Delete { container: String },
}

/// What came of an order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    /// How long the bridge took, in microseconds.
    pub(super) micros: u64,
    /// What it said; null if nothing.
    pub(super) value: serde_json::Value,
    /// Why it failed: status, message and advice.
    pub(super) error: Option<(String, String, String)>,
}

/// The first argument with which this program holds a demo's bridge.
pub(crate) const WORKER_SUBCOMMAND: &str = "demo-worker";

/// A bridge that takes orders: in a process of its own, or (simulated) in this one.
pub(super) enum Worker {
    Process(WorkerProcess),
    Here(Session),
}

pub(super) struct WorkerProcess {
    child: Child,
    orders: Option<ChildStdin>,
    replies: Receiver<String>,
}

impl Worker {
    /// Starts a worker process with a bridge on this state root.
    ///
    /// # Errors
    /// This program cannot be executed again.
    pub(super) fn process(root: &Path) -> Result<Worker, Failure> {
        let failed = |error: std::io::Error| Failure::io("cannot start the bridge's process", &error);
        let mut command = std::process::Command::new(std::env::current_exe().map_err(failed)?);
        command
            .args([
                WORKER_SUBCOMMAND,
                "--runtime",
                "oci",
                "--format",
                "json",
                "--root",
            ])
            .arg(root);
        // A group of its own: Ctrl-C is the demo's to handle.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (Some(orders), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::new(
                Status::InternalError,
                "the bridge's process has no pipes",
                "Try again.",
            ));
        };
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Worker::Process(WorkerProcess {
            child,
            orders: Some(orders),
            replies,
        }))
    }

    /// A worker without a process of its own.
    ///
    /// # Errors
    /// The bridge cannot be opened.
    pub(super) fn simulated(global: &Global) -> Result<Worker, Failure> {
        let global = Global {
            runtime: RuntimeChoice::Simulated,
            format: Format::Json,
            ..global.clone()
        };
        Ok(Worker::Here(Session::open(&global)?))
    }

    /// The id of the bridge's process.
    pub(super) fn pid(&self) -> u32 {
        match self {
            Worker::Process(process) => process.child.id(),
            Worker::Here(_) => std::process::id(),
        }
    }

    /// Has an order carried out.
    ///
    /// # Errors
    /// What the bridge said; or its process died, took too long, or the demo was interrupted.
    pub(super) fn perform(
        &mut self,
        order: &Order,
        is_interrupted: &dyn Fn() -> bool,
    ) -> Result<Reply, Failure> {
        let reply = match self {
            Worker::Process(process) => process.perform(order, is_interrupted)?,
            Worker::Here(session) => carry_out(session, order),
        };
        match reply.error {
            None => Ok(reply),
            Some((status, message, advice)) => {
                let status = Status::ALL.into_iter().find(|known| known.name() == status);
                Err(Failure::new(
                    status.unwrap_or(Status::InternalError),
                    message,
                    advice,
                ))
            }
        }
    }

    /// Kills the bridge's process with SIGKILL and waits for its end.
    ///
    /// # Errors
    /// There is no such process.
    pub(super) fn kill(&mut self) -> Result<(), Failure> {
        let Worker::Process(process) = self else {
            return Ok(());
        };
        let killed = process.child.kill().and_then(|()| process.child.wait());
        killed
            .map(drop)
            .map_err(|error| Failure::io("cannot kill the bridge's process", &error))
    }
}

impl WorkerProcess {
    fn perform(&mut self, order: &Order, is_interrupted: &dyn Fn() -> bool) -> Result<Reply, Failure> {
        use std::io::Write;
        let lost = || {
            Failure::new(
                Status::InternalError,
                "the bridge's process died",
                "Its last words are above.",
            )
        };
        let line = serde_json::to_string(order).map_err(|_| lost())?;
        let orders = self.orders.as_mut().ok_or_else(lost)?;
        writeln!(orders, "{line}").map_err(|_| lost())?;
        let deadline = Instant::now() + STEP_DEADLINE;
        loop {
            // Signals come in between: the interval bounds how late they are noticed.
            match self.replies.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => return serde_json::from_str(&line).map_err(|_| lost()),
                Err(RecvTimeoutError::Disconnected) => return Err(lost()),
                Err(RecvTimeoutError::Timeout) if is_interrupted() => {
                    return Err(Failure::new(
                        Status::Cancelled,
                        "the demo was interrupted",
                        "Run it again.",
                    ));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                    let message = format!("a step took longer than {} s", STEP_DEADLINE.as_secs());
                    return Err(Failure::new(
                        Status::Timeout,
                        message,
                        "Try again on a less busy machine.",
                    ));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl WorkerProcess {
    /// Ends the orders, and waits for the process's own end.
    fn finish(mut self) {
        let (child, orders) = (&mut self.child, self.orders.take());
        drop(orders);
        let deadline = Instant::now() + STEP_DEADLINE;
        // Its output ends when it does.
        while let Ok(_) | Err(RecvTimeoutError::Timeout) =
            self.replies.recv_timeout(Duration::from_millis(50))
        {
            if Instant::now() >= deadline {
                return;
            }
        }
        let _ = child.wait();
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // It may have been killed already; that is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the worker: carries out orders until there are no more.
///
/// # Errors
/// The bridge cannot be opened, or an order is none.
pub(crate) fn worker(global: &Global) -> Result<u8, Failure> {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => {
            output::json(&Reply::failed(&failure))?;
            return Ok(0);
        }
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::io("cannot read an order", &error))?;
        let order: Order = serde_json::from_str(&line).map_err(|error| {
            let message = format!("an order is malformed: {error}");
            Failure::new(Status::InvalidRequest, message, "Run `selur demo` instead.")
        })?;
        // A demo that was killed in the middle of a step reads no reply.
        if output::json(&carry_out(&session, &order)).is_err() {
            break;
        }
    }
    // The demo died: what it made in its own state root is nobody's.
    for id in session.bridge().list_containers()? {
        session
            .bridge()
            .delete_container(&id.to_string(), Deletion::Force)?;
    }
    Ok(0)
}

/// Removes every container of a demo's state root: a worker whose orders have ended before they began does that.
pub(super) fn clean(root: &Path) {
    if let Ok(Worker::Process(process)) = Worker::process(root) {
        process.finish();
    }
}

impl Reply {
    /// The value, where it is a text.
    pub(super) fn text(&self) -> String {
        self.value.as_str().unwrap_or_default().to_owned()
    }

    fn failed(failure: &Failure) -> Reply {
        let error = (
            failure.status().to_owned(),
            failure.message().to_owned(),
            failure.advice().to_owned(),
        );
        Reply {
            micros: 0,
            value: serde_json::Value::Null,
            error: Some(error),
        }
    }
}

fn carry_out(session: &Session, order: &Order) -> Reply {
    let begin = Instant::now();
    match answer(session, order) {
        Ok(value) => {
            let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
            Reply {
                micros,
                value,
                error: None,
            }
        }
        Err(failure) => Reply::failed(&failure),
    }
}

fn answer(session: &Session, order: &Order) -> Result<serde_json::Value, Failure> {
    let bridge = session.bridge();
    Ok(match order {
        Order::Import { layout, reference } => session.load(layout, Some(reference))?.remove(0).digest.into(),
        Order::Frame { frame } => session.call(frame)?.into(),
        Order::Start { container } => nothing(bridge.start_container(container)?),
        Order::Logs { container, until } => read_until(session, container, until)?.into(),
        Order::Inspect { container } => serde_json::to_value(bridge.inspect_container(container)?)
            .map_err(|error| Failure::new(Status::InternalError, error.to_string(), "Report this."))?,
        Order::List => {
            let ids: Vec<String> = bridge
                .list_containers()?
                .iter()
                .map(ToString::to_string)
                .collect();
            ids.into()
        }
        Order::OpenWait { container } => {
            let ticket = bridge.submit(&frame(Command::WaitContainer, &[container])?)?;
            if ticket.is_answered() {
                let message = "the container ended before it was waited for";
                return Err(Failure::new(Status::InternalError, message, "Try again."));
            }
            // Dropped it would be cancelled: it is to be open when this process dies.
            std::mem::forget(ticket);
            serde_json::Value::Null
        }
        Order::Wait { container } => bridge.wait_container(container)?.into(),
        Order::Stop { container } => nothing(bridge.stop_container(container, None)?),
        Order::Delete { container } => nothing(bridge.delete_container(container, Deletion::Force)?),
    })
}

/// Follows a log until a line begins with `until`, or the log ends.
fn read_until(session: &Session, container: &str, until: &str) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let options = LogOptions {
        follow: true,
        tail_lines: None,
        ..LogOptions::default()
    };
    session.logs(container, options, |entry| {
        let line = String::from_utf8_lossy(&entry.bytes)
            .trim_end_matches('\n')
            .to_owned();
        let is_last = line.starts_with(until);
        lines.push(line);
        Ok(if is_last {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    Ok(lines)
}

fn nothing((): ()) -> serde_json::Value {
    serde_json::Value::Null
}
