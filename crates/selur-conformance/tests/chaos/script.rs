//! What callers do to a state root: operations of every kind, with random choices.

use crate::world::{self, IMAGE, PULLED_IMAGES, Random, block_on, command, creation, new_id, perform, shell};
use futures_util::StreamExt;
use selur_protocol::{ContainerId, State};
use selur_runtime::{
    ContainerSpec, ExecSpec, Mount, Observation, Oci, Operation, RestartPolicy, Runtime, RuntimeError,
    SessionItem,
};
use std::time::Duration;

/// The kinds of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Pull,
    Create,
    Start,
    Exec,
    Stop,
    Delete,
    /// Pausing and resuming.
    Freeze,
}

impl Phase {
    pub(crate) const ALL: [Phase; 7] = [
        Phase::Pull,
        Phase::Create,
        Phase::Start,
        Phase::Exec,
        Phase::Stop,
        Phase::Delete,
        Phase::Freeze,
    ];
}

/// An operation whose needs are met.
pub(crate) enum Step {
    Pull(String),
    Effects(ContainerId, Vec<Operation>),
    Exec(ContainerId, ExecSpec),
}

/// Meets an operation's needs, with what is there if it will do.
pub(crate) fn prepare(
    oci: &Oci,
    registry: &str,
    phase: Phase,
    random: &mut Random,
) -> Result<Step, RuntimeError> {
    let step = match phase {
        Phase::Pull => {
            let reference = format!("{registry}/noise-{}:latest", random.below(PULLED_IMAGES));
            let images = oci.images().expect("a store");
            // So that there is something to do, unless it is absent already.
            let _ = block_on(images.delete(&reference));
            Step::Pull(reference)
        }
        Phase::Create => Step::Effects(new_id(), vec![random_creation(random)]),
        Phase::Start => {
            let id = found(oci, random, &[State::Created, State::Stopped])
                .map_or_else(|| created(oci, random), Ok)?;
            Step::Effects(id, vec![Operation::Start])
        }
        Phase::Exec => {
            let id = running(oci, random)?;
            let script = match random.below(3) {
                0 => "echo said",
                1 => "sleep 0.05; echo said",
                // Lives on until its caller goes.
                _ => "echo said; sleep 1000 & sleep 1000",
            };
            let spec = ExecSpec {
                command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
                terminal: random.one_in(3),
                ..ExecSpec::default()
            };
            Step::Exec(id, spec)
        }
        Phase::Stop => {
            let timeout = Some(random.moment_within(Duration::from_millis(60)));
            Step::Effects(running(oci, random)?, vec![Operation::Stop { timeout }])
        }
        Phase::Delete => match found(oci, random, &State::ALL) {
            Some(id) => Step::Effects(id, vec![Operation::Delete { force: true }]),
            None => Step::Effects(created(oci, random)?, vec![Operation::Delete { force: false }]),
        },
        Phase::Freeze => Step::Effects(running(oci, random)?, vec![Operation::Pause, Operation::Resume]),
    };
    Ok(step)
}

impl Step {
    /// Performs it. The error is what a caller is told.
    pub(crate) fn perform(self, oci: &Oci) -> Result<(), RuntimeError> {
        match self {
            Step::Pull(reference) => {
                let images = oci.images().expect("a store");
                block_on(images.pull(&reference, &|_| {}, Default::default())).map(drop)
            }
            Step::Effects(id, operations) => operations
                .into_iter()
                .try_for_each(|operation| perform(oci, id, operation).map(drop)),
            Step::Exec(id, spec) => block_on(async {
                let lives_on = spec.command.iter().any(|word| word.contains("1000"));
                let session = oci.exec(id, spec, Default::default()).await?;
                let mut output = session.output;
                while let Some(item) = output.next().await {
                    match item? {
                        SessionItem::Ended { .. } => break,
                        _ if lives_on => break,
                        _ => {}
                    }
                }
                Ok(())
            }),
        }
    }
}

fn random_creation(random: &mut Random) -> Operation {
    let spec = match random.below(6) {
        0 => shell("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done"),
        1 => shell("exit 3"),
        2 => ContainerSpec {
            restart: RestartPolicy::OnFailure(None),
            ..shell("sleep 0.1; exit 1")
        },
        3 => shell("sleep 1000 & sleep 1000"),
        _ => command(&["/bin/sleep", "1000"]),
    };
    let mounts = match random.below(4) {
        0 => vec![Mount::Volume {
            source: format!("v{}", random.below(3)),
            target: "/bin".into(),
            read_only: false,
        }],
        _ => Vec::new(),
    };
    let name = random.one_in(2).then(|| format!("n{}", random.below(4)));
    creation(name, ContainerSpec { mounts, ..spec })
}

fn created(oci: &Oci, random: &mut Random) -> Result<ContainerId, RuntimeError> {
    let id = new_id();
    let Operation::Create { spec, .. } = random_creation(random) else {
        unreachable!("a creation");
    };
    let creation = Operation::Create {
        image: IMAGE.into(),
        name: None,
        spec,
    };
    perform(oci, id, creation).map(|_| id)
}

/// A container that runs, at least a moment ago.
fn running(oci: &Oci, random: &mut Random) -> Result<ContainerId, RuntimeError> {
    if let Some(id) = found(oci, random, &[State::Running]) {
        return Ok(id);
    }
    let id = new_id();
    perform(oci, id, creation(None, shell("sleep 1000 & sleep 1000")))?;
    perform(oci, id, Operation::Start).map(|_| id)
}

/// A container in one of these states.
fn found(oci: &Oci, random: &mut Random, states: &[State]) -> Option<ContainerId> {
    // Not always the same few.
    if random.one_in(3) {
        return None;
    }
    let there: Vec<ContainerId> = world::list(oci)
        .into_iter()
        .filter_map(|seen| match seen {
            Observation::Seen { id, report, .. } if states.contains(&report.state) => Some(id),
            _ => None,
        })
        .collect();
    random.pick(&there)
}
