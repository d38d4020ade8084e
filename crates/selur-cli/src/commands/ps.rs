//! `ps`: the containers in a table.

use crate::age;
use crate::cli::{Global, Ps};
use crate::failure::Failure;
use crate::output::{self, Table};
use crate::session::{Session, frame};
use selur_core::{Command, ContainerId, Inspection, Status, Ticket};

/// How many digits of an id the table shows.
const SHORT_ID_DIGITS: usize = 12;
/// How many containers are asked for at once.
const AT_ONCE: usize = 256;

/// Lists containers: those with a process, or all; newest first.
///
/// # Errors
/// The containers cannot be listed, or the output is closed.
pub(crate) fn ps(ps: &Ps, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let containers = containers(&session, ps.all)?;
    session.remind("its world is empty when a command begins");
    if session.is_json() {
        output::json(&containers)?;
        return Ok(0);
    }
    if ps.quiet {
        for container in &containers {
            output::line(output::escape(&short(&container.id)))?;
        }
        return Ok(0);
    }
    let mut table = Table::new(&["CONTAINER", "NAME", "IMAGE", "STATE", "PID", "CREATED"]);
    for container in &containers {
        table.row([
            short(&container.id),
            container.name.clone().unwrap_or_default(),
            container.image.clone(),
            state(container),
            container.pid.map_or(String::new(), |pid| pid.to_string()),
            age::since(&container.created_at),
        ]);
    }
    table.print()?;
    Ok(0)
}

pub(super) fn containers(session: &Session, all: bool) -> Result<Vec<Inspection>, Failure> {
    let ids = session.bridge().list_containers()?;
    let mut containers = Vec::with_capacity(ids.len());
    for ids in ids.chunks(AT_ONCE) {
        // Asked for together, they are read together.
        let ask = |id: &ContainerId| {
            let frame = frame(Command::InspectContainer, &[&id.to_string()])?;
            Ok(session.bridge().submit(&frame)?)
        };
        let tickets: Vec<Ticket> = ids.iter().map(ask).collect::<Result<_, Failure>>()?;
        for ticket in tickets {
            match ticket.wait().into_result() {
                Ok(document) => containers.push(read(&document)?),
                // Deleted since it was listed.
                Err(error) if error.status() == Status::ContainerNotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    containers
        .retain(|container| all || matches!(container.state.as_str(), "running" | "paused" | "restarting"));
    containers.sort_by(|one, other| (&other.created_at, &other.id).cmp(&(&one.created_at, &one.id)));
    Ok(containers)
}

fn read(document: &[u8]) -> Result<Inspection, Failure> {
    serde_json::from_slice(document).map_err(|error| {
        let message = format!("what the runtime says of a container cannot be read: {error}");
        let advice = "Report this: it is a defect of selur.";
        Failure::new(Status::InternalError, message, advice)
    })
}

fn state(container: &Inspection) -> String {
    match (container.state.as_str(), container.exit_code) {
        ("stopped", Some(code)) => format!("stopped ({code})"),
        ("stopped", None) => "stopped (unknown)".to_owned(),
        (state, _) => state.to_owned(),
    }
}

pub(super) fn short(id: &str) -> String {
    id.chars().take(SHORT_ID_DIGITS).collect()
}
