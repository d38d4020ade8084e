//! `start`: containers started, or one started and connected to this program's input and output.

use super::{containers, run};
use crate::cli::{Global, Start};
use crate::failure::{Failure, as_run};
use crate::session::Session;
use crate::session_io::{Detaching, Ends, Output, Wiring, converse};
use crate::signals::{FORWARDED, Relay};
use jiff::Timestamp;
use selur_core::{ContainerId, Status};
use std::sync::Arc;

/// Starts containers; with `-a` or `-i` one, to whose end this command stays.
///
/// # Errors
/// The bridge cannot be opened, or the output is closed. Connected: 125 if selur failed.
pub(crate) fn start(start: &Start, global: &Global) -> Result<u8, Failure> {
    if !start.attach && !start.interactive {
        return containers::start(&start.containers, global);
    }
    let [container] = &start.containers.containers[..] else {
        let message = "one container can be connected to at a time";
        return Err(as_run(Failure::new(
            Status::InvalidRequest,
            message,
            "Leave -a and -i out, or name one container.",
        )));
    };
    let session = Arc::new(Session::open(global).map_err(as_run)?);
    connected(&session, start, container, global).map_err(|failure| as_run(session.explain(failure)))
}

fn connected(session: &Arc<Session>, start: &Start, container: &str, global: &Global) -> Result<u8, Failure> {
    let inspection = session.bridge().inspect_container(container)?;
    if start.interactive && !inspection.spec.stdin {
        let message = format!("{container:?} was made without a standard input");
        let advice = "Leave -i out (`selur start -a` shows its output), or make one with `selur create -i`.";
        return Err(Failure::new(Status::InvalidRequest, message, advice));
    }
    let id = session.bridge().resolve(&inspection.id)?;
    let wiring = Wiring {
        input: start.interactive,
        terminal: inspection.spec.terminal,
        detaching: Detaching::ByKeys,
        format: global.format,
    };
    let opener = Arc::clone(session);
    let open = move || open(&opener, id, &inspection.state, wiring);
    let mut relay = Relay::new(session.bridge(), id.to_string(), global.format);
    converse(wiring, &FORWARDED, open, |signal| relay.pass_on(signal))?.finish(container, global.format)
}

/// Connects and starts. One that has ended cannot be connected to before, so what it writes is read in its log.
fn open(session: &Session, id: ContainerId, state: &str, wiring: Wiring) -> Result<Ends, Failure> {
    let bridge = session.bridge();
    if state != "stopped" {
        let io = run::connect(bridge, id, wiring)?;
        run::start(bridge, id)?;
        return Ok(io.into());
    }
    let since_ns = u64::try_from(Timestamp::now().as_nanosecond()).ok();
    run::start(bridge, id)?;
    let io = match run::connect(bridge, id, wiring) {
        // It has ended again.
        Err(failure) if failure.status() == Status::InvalidState.name() => None,
        io => Some(io?),
    };
    let (input, session) = io.map(|io| (io.input, io.output)).unzip();
    let mut ends = run::through_log(bridge, id, since_ns)?;
    ends.input = input;
    if let Output::Log { session: kept, .. } = &mut ends.output {
        *kept = session;
    }
    Ok(ends)
}
