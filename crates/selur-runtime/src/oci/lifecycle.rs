//! start, stop, kill, pause and resume. What another process did meanwhile is found under the lock.

use super::cgroup::Cgroup;
use super::config::Config;
use super::control::{self, Answer};
use super::hold::{Hold, Patience};
use super::{Site, block, bundle, create, failure, mounts, rootless};
use crate::{Done, NetworkMode, RestartPolicy, RuntimeError};
use selur_protocol::{ContainerId, Signal, State};
use selur_shim::{Command, Errand, Life, RestartRule};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a shim whose container has ended may take to leave.
const LEAVING_LIMIT: Duration = Duration::from_secs(60);
/// How often a request is tried while shims come and go.
const ATTEMPTS: u32 = 100;

pub(super) fn start(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    let hold = site.hold(id, abort)?;
    loop {
        if let Some(life) = await_end_of_last_run(site, id, &hold, abort)? {
            return Ok(told(&life));
        }
        match launch(site, id) {
            // One whose bridge had died was launched before, and is about to start it.
            Err(_) if site.has_shim(id)? => {}
            outcome => return outcome.and_then(|()| Ok(told(&site.settle(id, &hold)?))),
        }
    }
}

/// Waits until a container that is to start has no shim. A life if it runs meanwhile.
fn await_end_of_last_run(
    site: &Arc<Site>,
    id: ContainerId,
    hold: &Hold,
    abort: &CancellationToken,
) -> Result<Option<Life>, RuntimeError> {
    let mut patience = Patience::new(LEAVING_LIMIT);
    loop {
        let life = site.settle(id, hold)?;
        match life.state {
            State::Running | State::Restarting => {
                site.ensure_shim(id, &life, hold)?;
                return Ok(Some(life));
            }
            State::Paused => return Err(failure::wrong_state("start", life.state)),
            State::Created | State::Stopped => {}
        }
        // The shim of the last generation is about to leave, or one whose bridge died is about to start it.
        if abort.is_cancelled() {
            return Err(failure::cancelled());
        }
        if !site.has_shim(id)? {
            return Ok(None);
        }
        if !site.await_shim(id, &mut patience) {
            return Err(failure::internal(
                "the shim of the container's last run does not end: delete the container with force",
            ));
        }
    }
}

/// Launches the shim that starts the container.
fn launch(site: &Arc<Site>, id: ContainerId) -> Result<(), RuntimeError> {
    let home = site.root.home(id);
    let config = Config::read(&home)?.ok_or_else(|| failure::not_found(id))?;
    mounts::check_sources(&config.spec)?;
    if site.mapping().is_some() {
        // Another process may have made it, in other cgroups.
        rootless::check_limits(&config.spec.resources)?;
    }
    // Here, not when the container is made: a power failure after that could leave it empty.
    fs::write(
        home.bundle_template(),
        bundle::template(&config, &site.root, &home, site.mapping()),
    )
    .map_err(|error| failure::io("cannot write the container's bundle", error))?;
    create::write_etc(&home, &config)
        .map_err(|error| failure::io("cannot write the container's hosts and hostname", error))?;
    if config.spec.network == NetworkMode::Host {
        let resolvers = fs::read("/etc/resolv.conf").unwrap_or_default();
        fs::write(home.etc().join("resolv.conf"), resolvers)
            .map_err(|error| failure::io("cannot write the container's resolv.conf", error))?;
    }
    let errand = Errand::Start {
        layers: config.layers,
        user: config.user,
        stdin: config.spec.stdin,
        terminal: config.spec.terminal,
        restart: match config.spec.restart {
            RestartPolicy::No => RestartRule::Never,
            RestartPolicy::OnFailure(most) => RestartRule::OnFailure { most },
        },
        volumes: mounts::volumes(&config.spec),
    };
    // What a shim started and did not live to record is in another user namespace than the start is about to make.
    if site.mapping().is_some() && site.root.runc_state(id).exists() {
        site.launcher.launch(&site.root, id, Errand::Reap)?;
    }
    site.launcher.launch(&site.root, id, errand)
}

pub(super) async fn stop(
    site: &Arc<Site>,
    id: ContainerId,
    timeout: Option<Duration>,
    abort: CancellationToken,
) -> Result<Done, RuntimeError> {
    for _ in 0..ATTEMPTS {
        let aborted = abort.clone();
        let step = block(site, move |site| begin_stop(site, id, timeout, &aborted)).await?;
        let stream = match step {
            Step::Ended(done) => return Ok(done),
            Step::Again => continue,
            Step::Await(stream) => stream,
        };
        tokio::select! {
            // The shim goes on by itself: a signal that was sent cannot be taken back.
            () = abort.cancelled() => return Err(failure::cancelled()),
            answer = control::answer(stream) => answer?,
        };
    }
    Err(failure::internal(
        "the container's shim neither stops it nor ends",
    ))
}

/// How a stop goes on.
enum Step {
    /// It is over.
    Ended(Done),
    /// A shim came or went: look again.
    Again,
    /// The shim stops the container, and will say so.
    Await(std::os::unix::net::UnixStream),
}

fn begin_stop(
    site: &Arc<Site>,
    id: ContainerId,
    timeout: Option<Duration>,
    abort: &CancellationToken,
) -> Result<Step, RuntimeError> {
    // The lock is not kept while the process ends: a kill or a forced deletion must get through.
    let hold = site.hold(id, abort)?;
    let life = site.settle(id, &hold)?;
    if !life.has_process() {
        return Ok(Step::Ended(told(&life)));
    }
    site.ensure_shim(id, &life, &hold)?;
    let config = Config::read(&site.root.home(id))?.ok_or_else(|| failure::not_found(id))?;
    let timeout_ms = timeout.map_or(config.stop_timeout_ms, |timeout| {
        u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
    });
    let command = Command::Stop {
        signal: config.stop_signal,
        timeout_ms,
    };
    match site.send(id, command)? {
        Some(stream) => Ok(Step::Await(stream)),
        None => {
            Patience::new(LEAVING_LIMIT).wait();
            Ok(Step::Again)
        }
    }
}

pub(super) fn kill(
    site: &Arc<Site>,
    id: ContainerId,
    signal: Signal,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    let command = Command::Kill {
        signal: signal.number(),
    };
    change(site, id, abort, "kill", command, |state| match state {
        State::Running | State::Paused | State::Restarting => Need::Ask,
        State::Created | State::Stopped => Need::Refuse,
    })
}

pub(super) fn pause(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    site.refuse_freezing(id)?;
    change(site, id, abort, "pause", Command::Pause, |state| match state {
        State::Running => Need::Ask,
        State::Paused => Need::Nothing,
        State::Created | State::Restarting | State::Stopped => Need::Refuse,
    })
}

pub(super) fn resume(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    change(site, id, abort, "resume", Command::Resume, |state| match state {
        State::Paused => Need::Ask,
        State::Running => Need::Nothing,
        State::Created | State::Restarting | State::Stopped => Need::Refuse,
    })
}

/// What a command needs in a state.
enum Need {
    Ask,
    Nothing,
    Refuse,
}

fn change(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
    word: &str,
    command: Command,
    need: impl Fn(State) -> Need,
) -> Result<Done, RuntimeError> {
    let hold = site.hold(id, abort)?;
    for _ in 0..ATTEMPTS {
        let life = site.settle(id, &hold)?;
        match need(life.state) {
            Need::Nothing => return Ok(told(&life)),
            Need::Refuse => return Err(failure::wrong_state(word, life.state)),
            Need::Ask => {}
        }
        site.ensure_shim(id, &life, &hold)?;
        match site.ask(id, command.clone())? {
            Answer::Done => return Ok(told(&site.settle(id, &hold)?)),
            // Its container ended just now, or it has not opened its socket yet.
            Answer::NoShim => {
                Patience::new(LEAVING_LIMIT).wait();
            }
        }
    }
    Err(failure::internal("the container's shim neither answers nor ends"))
}

impl Site {
    /// Refuses to freeze a container without root that runs in cgroups of others.
    fn refuse_freezing(&self, id: ContainerId) -> Result<(), RuntimeError> {
        if self.mapping().is_none() {
            return Ok(());
        }
        let life = self.life(id)?.filter(|life| life.state == State::Running);
        let Some(process) = life.and_then(|life| life.process) else {
            return Ok(());
        };
        let cgroup = Cgroup::of(process.pid).filter(|_| process.is_alive());
        match cgroup.map(|cgroup| cgroup.of_container(id)) {
            Some(own) if !own.can_freeze() => Err(rootless::needs_cgroups("pause")),
            _ => Ok(()),
        }
    }

    /// Has a new shim take over a container that runs without one.
    pub(super) fn ensure_shim(&self, id: ContainerId, life: &Life, hold: &Hold) -> Result<(), RuntimeError> {
        // Its shim may have recorded the end, and left, since the life was read.
        if !life.has_process() || self.has_shim(id)? || !self.settle(id, hold)?.has_process() {
            return Ok(());
        }
        match self.launcher.launch(&self.root, id, Errand::Adopt) {
            // One whose bridge had died was launched before.
            Err(_) if self.has_shim(id)? => Ok(()),
            outcome => outcome,
        }
    }
}

fn told(life: &Life) -> Done {
    Done {
        report: Some(life.report()),
        inspection: None,
    }
}
