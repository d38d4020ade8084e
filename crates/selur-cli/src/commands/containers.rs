//! The commands that take containers and ask the same of each: start, stop, restart, kill, pause, resume, wait, inspect,
//! rm.
//!
//! One container that refuses does not keep the others from being asked; the command then ends with 1.

use crate::cli::{Containers, Global, Kill, Rm, Stop};
use crate::failure::{FAILED, Failure};
use crate::output;
use crate::session::Session;
use selur_core::{Bridge, Deletion, Signal, Status};
use serde_json::{Value, json};
use std::time::Duration;

/// Starts containers.
///
/// # Errors
/// The bridge cannot be opened, or the output is closed; likewise below.
pub(super) fn start(containers: &Containers, global: &Global) -> Result<u8, Failure> {
    each(containers, global, "started", |bridge, container| {
        Ok(bridge.start_container(container)?)
    })
}

/// Ends containers' processes.
pub(crate) fn stop(stop: &Stop, global: &Global) -> Result<u8, Failure> {
    ask(&stop.containers, global, |session, container| {
        end(session, container, stop.time)?;
        print_done(session, container, "stopped")
    })
}

/// Ends containers' processes and starts them again.
pub(crate) fn restart(stop: &Stop, global: &Global) -> Result<u8, Failure> {
    ask(&stop.containers, global, |session, container| {
        end(session, container, stop.time)?;
        session.bridge().start_container(container)?;
        print_done(session, container, "restarted")
    })
}

fn end(session: &Session, container: &str, time: Option<Duration>) -> Result<(), Failure> {
    let Err(error) = session.bridge().stop_container(container, time) else {
        return Ok(());
    };
    let failure = Failure::from(error);
    if failure.status() != Status::Timeout.name() {
        return Err(failure);
    }
    let goes_on = match session.stops_alone() {
        true => "the stop goes on",
        false => "it was told to end",
    };
    let message = format!("{container:?}: the deadline passed before it ended: {goes_on}");
    let advice = format!("`selur wait {container}` waits for its end; --timeout gives it more time.");
    Err(failure.with_message(message).with_advice(advice))
}

/// Sends a signal.
pub(crate) fn kill(kill: &Kill, global: &Global) -> Result<u8, Failure> {
    let Some(signal) = Signal::parse(&kill.signal) else {
        let message = format!("{:?} is no signal", kill.signal);
        return Err(Failure::new(
            Status::InvalidRequest,
            message,
            "Write SIGTERM, TERM or a number from 1 to 64.",
        ));
    };
    each(&kill.containers, global, "signalled", |bridge, container| {
        Ok(bridge.kill_container(container, signal)?)
    })
}

/// Freezes containers.
pub(crate) fn pause(containers: &Containers, global: &Global) -> Result<u8, Failure> {
    each(containers, global, "paused", |bridge, container| {
        Ok(bridge.pause_container(container)?)
    })
}

/// Thaws containers.
pub(crate) fn resume(containers: &Containers, global: &Global) -> Result<u8, Failure> {
    each(containers, global, "resumed", |bridge, container| {
        Ok(bridge.resume_container(container)?)
    })
}

/// Removes containers. With force, what does not exist is no error.
pub(crate) fn rm(rm: &Rm, global: &Global) -> Result<u8, Failure> {
    let deletion = if rm.force {
        Deletion::Force
    } else {
        Deletion::Plain
    };
    ask(&rm.containers, global, |session, container| {
        let done = match session.bridge().delete_container(container, deletion) {
            Ok(()) => "removed",
            Err(error) if rm.force && error.status() == Status::ContainerNotFound => "absent",
            Err(error) if error.status() == Status::InvalidState => {
                return Err(Failure::from(error).with_advice("Stop it first, or use `selur rm -f`."));
            }
            Err(error) => return Err(error.into()),
        };
        print_done(session, container, done)
    })
}

/// Waits for containers' ends and prints their exit codes, a line for each.
pub(crate) fn wait(containers: &Containers, global: &Global) -> Result<u8, Failure> {
    ask(containers, global, |session, container| {
        let code = session.bridge().wait_container(container)?;
        if session.is_json() {
            output::json(&json!({ "container": container, "exit_code": code }))?;
        } else {
            output::line(code.map_or("unknown".to_owned(), |code| code.to_string()))?;
        }
        Ok(())
    })
}

/// Prints what is known of containers: one JSON array with an object for each that was found.
pub(crate) fn inspect(containers: &Containers, global: &Global) -> Result<u8, Failure> {
    let mut found: Vec<Value> = Vec::new();
    let code = ask(containers, global, |session, container| {
        let text = session.bridge().inspect_json(container)?;
        let document = serde_json::from_str(&text).map_err(|error| {
            let message = format!("what the runtime says of {container:?} is no JSON: {error}");
            Failure::new(
                Status::InternalError,
                message,
                "Report this: it is a defect of selur.",
            )
        })?;
        found.push(document);
        Ok(())
    })?;
    match global.format {
        crate::cli::Format::Json => output::json(&found)?,
        crate::cli::Format::Table => output::pretty_json(&found)?,
    }
    Ok(code)
}

/// Does the same to each container and says so.
fn each(
    containers: &Containers,
    global: &Global,
    done: &str,
    action: impl Fn(&Bridge, &str) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    ask(containers, global, |session, container| {
        action(session.bridge(), container)?;
        print_done(session, container, done)
    })
}

/// Prints the container's name, or `{"container", "done"}`.
fn print_done(session: &Session, container: &str, done: &str) -> Result<(), Failure> {
    if session.is_json() {
        output::json(&json!({ "container": container, "done": done }))?;
    } else {
        output::line(output::escape(container))?;
    }
    Ok(())
}

/// Asks for each container; prints failures and goes on.
fn ask(
    containers: &Containers,
    global: &Global,
    mut action: impl FnMut(&Session, &str) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let mut code = 0;
    for container in &containers.containers {
        match action(&session, container) {
            Ok(()) => {}
            Err(failure) if failure.exit_code() == FAILED => {
                session
                    .explain(failure)
                    .about("container", container)
                    .print(global.format);
                code = FAILED;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(code)
}
