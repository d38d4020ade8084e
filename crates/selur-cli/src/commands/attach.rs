//! `attach`: a running container's process connected to this program's input and output.

use crate::cli::{Attach, Global};
use crate::failure::{Failure, as_run};
use crate::session::Session;
use crate::session_io::{Detaching, Wiring, converse};
use crate::signals::{self, ENDING, FORWARDED, Relay};
use selur_core::{AttachOptions, Status};
use std::sync::Arc;

/// Connects to a container until it ends, and answers what its process ended with.
///
/// # Errors
/// 125 if selur failed.
pub(crate) fn attach(attach: &Attach, global: &Global) -> Result<u8, Failure> {
    let session = Arc::new(Session::open(global).map_err(as_run)?);
    perform(&session, attach, global).map_err(|failure| as_run(session.explain(failure)))
}

fn perform(session: &Arc<Session>, attach: &Attach, global: &Global) -> Result<u8, Failure> {
    let inspection = session.bridge().inspect_container(&attach.container)?;
    let options = AttachOptions {
        stdin: inspection.spec.stdin && !attach.no_stdin,
        ..AttachOptions::default()
    };
    let wiring = Wiring {
        input: options.stdin,
        // Who only watches does not change its size.
        terminal: inspection.spec.terminal && !attach.no_stdin,
        detaching: Detaching::ByKeys,
        format: global.format,
    };
    let (opener, id, named) = (
        Arc::clone(session),
        inspection.id.clone(),
        attach.container.clone(),
    );
    let open = move || {
        let opened = opener.bridge().attach(&id, options);
        Ok(opened.map_err(|error| refused(error, &id, &named))?.into())
    };
    let mut relay = Relay::new(session.bridge(), inspection.id, global.format);
    let outcome = match attach.no_stdin {
        true => converse(wiring, &ENDING, open, |signal| {
            Err(Failure::quiet(signals::exit_code(signal)))
        }),
        false => converse(wiring, &FORWARDED, open, |signal| relay.pass_on(signal)),
    };
    outcome?.finish(&attach.container, global.format)
}

/// The bridge is asked by the id, which nobody can take meanwhile; who typed a name is told of that.
fn refused(error: selur_core::Error, id: &str, named: &str) -> Failure {
    let failure = Failure::from(error);
    let message = failure.message().replace(id, named);
    let failure = failure.with_message(message);
    if failure.status() != Status::InvalidState.name() || !failure.message().contains("is stopped") {
        return failure;
    }
    failure.with_advice(format!(
        "`selur logs {named}` shows what it wrote, and `selur start -a {named}` starts it and stays."
    ))
}
