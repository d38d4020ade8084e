//! `exec`: a further program in a running container, connected to this one's input and output.

use super::create::variables;
use super::run;
use crate::cli::{Exec, Global};
use crate::failure::{CANNOT_EXECUTE, Failure, NOT_FOUND, as_run};
use crate::session::Session;
use crate::session_io::{Detaching, Wiring, converse};
use crate::signals::{self, ENDING};
use crate::terminal;
use selur_core::{ExecSpec, Status};
use std::sync::Arc;

/// Runs a program in a container and answers what it ends with.
///
/// # Errors
/// 125 if selur failed, 126 if the program cannot be executed, 127 if it was not found.
pub(crate) fn exec(exec: &Exec, global: &Global) -> Result<u8, Failure> {
    perform(exec, global).map_err(as_run)
}

fn perform(exec: &Exec, global: &Global) -> Result<u8, Failure> {
    if exec.tty {
        terminal::require(global.format)?;
    }
    let [container, command @ ..] = &exec.container_and_command[..] else {
        let message = "the container is missing";
        return Err(Failure::new(
            Status::InvalidRequest,
            message,
            "Name a running one.",
        ));
    };
    let spec = ExecSpec {
        command: command.to_vec(),
        environment: variables(&exec.env)?,
        working_directory: exec.workdir.clone(),
        user: exec.user.clone(),
        terminal: exec.tty,
        size: terminal::size().filter(|_| exec.tty),
        stdin: exec.interactive,
    };
    let wiring = Wiring {
        input: exec.interactive,
        terminal: exec.tty,
        // Who leaves an exec ends its process.
        detaching: Detaching::Never,
        format: global.format,
    };
    let session = Arc::new(Session::open(global)?);
    let (opener, asked) = (Arc::clone(&session), container.clone());
    let open = move || {
        let opened = opener.bridge().exec(&asked, &spec);
        Ok(opened.map_err(|error| opener.explain(refused(error)))?.into())
    };
    let leave = |signal| Err(Failure::quiet(signals::exit_code(signal)));
    converse(wiring, &ENDING, open, leave)?.finish(container, global.format)
}

/// 126 and 127 as shells and Docker have them. The runtime says which it is at the end of its message.
fn refused(error: selur_core::Error) -> Failure {
    let failure = Failure::from(error);
    let says = |code: u8| failure.message().ends_with(&format!("(exit code {code})"));
    match (says(NOT_FOUND), says(CANNOT_EXECUTE)) {
        (true, _) => failure
            .with_advice("Name a program that the container has, by its path or on its PATH.")
            .with_exit_code(NOT_FOUND),
        (_, true) => run::cannot_execute(failure, "the container"),
        _ => failure,
    }
}
