//! `attach`: a running container's process connected to this program's input and output.

use crate::cli::{Attach, Global};
use crate::failure::{Failure, as_run};
use crate::session::Session;
use crate::session_io::{Detaching, Wiring, converse};
use crate::signals::{self, ENDING, FORWARDED, Relay};
use selur_core::AttachOptions;
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
    let (opener, id) = (Arc::clone(session), inspection.id.clone());
    let open = move || Ok(opener.bridge().attach(&id, options)?.into());
    let mut relay = Relay::new(session.bridge(), inspection.id, global.format);
    let outcome = match attach.no_stdin {
        true => converse(wiring, &ENDING, open, |signal| {
            Err(Failure::quiet(signals::exit_code(signal)))
        }),
        false => converse(wiring, &FORWARDED, open, |signal| relay.pass_on(signal)),
    };
    outcome?.finish(global.format)
}
