//! `run`: a container from image to exit code.

use super::create::{fetch, options, print_id};
use super::ps::short;
use crate::cli::{Format, Global, Pull, Run};
use crate::failure::{CANNOT_EXECUTE, Failure, NOT_FOUND, as_run};
use crate::output;
use crate::progress::PullDisplay;
use crate::session::Session;
use crate::session_io::{Detaching, Ends, Outcome, Output, Wiring, converse};
use crate::signals::{FORWARDED, Relay};
use crate::terminal;
use selur_core::{
    AttachOptions, Bridge, ContainerId, ContainerSpec, CreateOptions, Deletion, LogOptions, Status,
};
use serde_json::json;
use std::sync::{Arc, OnceLock};

/// Runs a container and answers what the process ends with.
///
/// # Errors
/// 125 if selur failed, 126 if the command cannot be executed, 127 if it was not found.
pub(crate) fn run(run: &Run, global: &Global) -> Result<u8, Failure> {
    if run.detach && run.rm {
        return Err(as_run(nobody_would_remove()));
    }
    let options = options(&run.create).map_err(as_run)?;
    let session = Arc::new(Session::open(global).map_err(as_run)?);
    if run.detach {
        detached(&session, &options, run.create.pull, global.format)
    } else {
        attached(&session, options, run, global)
    }
    .map_err(as_run)
}

/// A process of ours could wait for the end, and then there would be a daemon.
fn nobody_would_remove() -> Failure {
    Failure::new(
        Status::InvalidRequest,
        "-d ends this command while the container runs, and without a daemon nobody is there to remove it for --rm",
        "Leave --rm out and remove it later: `selur wait NAME && selur rm NAME`; or leave -d out.",
    )
}

fn detached(
    session: &Session,
    options: &CreateOptions,
    pull: Option<Pull>,
    format: Format,
) -> Result<u8, Failure> {
    fetch(session, options, pull, PullDisplay::beside(format))?;
    let id = session.bridge().create_container(options)?;
    session.bridge().rest();
    start(session.bridge(), id)?;
    print_id(session, id)?;
    session.remind("this container ended with this command");
    Ok(0)
}

fn attached(
    session: &Arc<Session>,
    options: CreateOptions,
    run: &Run,
    global: &Global,
) -> Result<u8, Failure> {
    let wants = |wants: fn(&ContainerSpec) -> bool| options.spec.as_ref().is_some_and(wants);
    let wiring = Wiring {
        input: wants(|spec| spec.stdin),
        terminal: wants(|spec| spec.terminal),
        detaching: Detaching::ByKeys,
        format: global.format,
    };
    if wiring.terminal {
        terminal::require(global.format)?;
    }
    let made = Arc::new(OnceLock::new());
    let (pull, maker, tell) = (run.create.pull, Arc::clone(session), Arc::clone(&made));
    let open = move || open(&maker, &options, pull, wiring, &tell);
    let mut relay = None;
    let outcome = converse(wiring, &FORWARDED, open, |signal| {
        let id = made.get().map(ContainerId::to_string).unwrap_or_default();
        let relay = relay.get_or_insert_with(|| Relay::new(session.bridge(), id, global.format));
        relay.pass_on(signal)
    });
    session.bridge().rest();
    let removal = match made.get() {
        // Who detached wants it to go on.
        Some(id) if run.rm && !matches!(outcome, Ok(Outcome::Detached)) => remove(session.bridge(), *id),
        Some(_) => Ok(()),
        // Nobody will ask for what a create that is still under way makes: the bridge undoes it.
        None => {
            session.bridge().close();
            Ok(())
        }
    };
    let outcome = outcome?;
    removal?;
    session.remind("this container ended with this command");
    let id = made.get().map(|id| short(&id.to_string())).unwrap_or_default();
    let container = run.create.name.as_deref().unwrap_or(&id);
    let is_left = matches!(outcome, Outcome::Detached);
    let code = outcome.finish(container, global.format)?;
    if is_left && run.rm {
        output::note(format_args!(
            "it stays when it ends, although --rm was given: `selur rm {container}` removes it then"
        ));
    }
    Ok(code)
}

/// Makes, connects and starts the container; every step may take long, and signals are heard meanwhile.
fn open(
    session: &Session,
    options: &CreateOptions,
    pull: Option<Pull>,
    wiring: Wiring,
    made: &OnceLock<ContainerId>,
) -> Result<Ends, Failure> {
    fetch(session, options, pull, PullDisplay::beside(wiring.format))?;
    let bridge = session.bridge();
    let id = bridge.create_container(options)?;
    let id = *made.get_or_init(|| id);
    if wiring.format == Format::Json {
        output::json(&json!({ "event": "created", "id": id.to_string() }))?;
    }
    if wiring.input || wiring.terminal {
        // Before the start, so that nothing is missed and the terminal has its size from the first.
        let io = connect(bridge, id, wiring)?;
        start(bridge, id)?;
        return Ok(io.into());
    }
    start(bridge, id)?;
    through_log(bridge, id, None)
}

/// Connects to a container's input and output, and tells its terminal the size of this one.
///
/// # Errors
/// It has ended.
pub(super) fn connect(
    bridge: &Bridge,
    id: ContainerId,
    wiring: Wiring,
) -> Result<selur_core::Session, Failure> {
    let options = AttachOptions {
        stdin: wiring.input,
        ..AttachOptions::default()
    };
    let io = bridge.attach(&id.to_string(), options)?;
    if let Some(size) = terminal::size().filter(|_| wiring.terminal) {
        // It may have no terminal any more.
        let _ = io.input.resize(size);
    }
    Ok(io)
}

/// A container's output, as its log has it, from a moment on or from the first.
///
/// # Errors
/// The log cannot be read.
pub(super) fn through_log(bridge: &Bridge, id: ContainerId, since_ns: Option<u64>) -> Result<Ends, Failure> {
    let container = id.to_string();
    let options = LogOptions {
        follow: true,
        since_ns,
        ..LogOptions::default()
    };
    let entries = bridge.logs(&container, &options)?;
    // Without a deadline: containers may run as long as they like.
    let bridge = bridge.with_deadline(None);
    Ok(Ends {
        input: None,
        output: Output::Log {
            entries,
            exit_code: Box::new(move || Ok(bridge.wait_container(&container)?)),
            session: None,
        },
    })
}

fn remove(bridge: &Bridge, id: ContainerId) -> Result<(), Failure> {
    match bridge.delete_container(&id.to_string(), Deletion::Force) {
        Err(error) if error.status() == Status::ContainerNotFound => Ok(()),
        result => Ok(result?),
    }
}

/// Starts a container that this command runs.
///
/// # Errors
/// 126 if the command cannot be executed, 127 if it was not found.
pub(super) fn start(bridge: &Bridge, id: ContainerId) -> Result<(), Failure> {
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
        Some(CANNOT_EXECUTE) => cannot_execute(failure, "the image"),
        _ => failure,
    }
}

/// 126, which also stands for a working directory that cannot be entered.
pub(super) fn cannot_execute(failure: Failure, within: &str) -> Failure {
    // The words are runc's.
    let advice = match failure.message().contains("chdir to cwd") {
        true => format!("Name a directory that {within} has and the user may enter: -w."),
        false => "Name a program that may be executed and is built for this machine.".to_owned(),
    };
    failure.with_advice(advice).with_exit_code(CANNOT_EXECUTE)
}
