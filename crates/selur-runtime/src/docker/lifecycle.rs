//! Starts, stops and ends containers.
//!
//! Stopping is done from here, signal by signal, and not by the daemon's own stop: that counts in whole seconds, and goes
//! on when nobody wants it any more.

use super::failure::{self, About, DaemonError};
use super::lives::Facts;
use super::site::{Look, Site};
use crate::{Done, RuntimeError};
use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptions, StartContainerOptions, StopContainerOptions,
};
use selur_protocol::{ContainerId, Signal, State, Status};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Source: DESIGN, "Defaults".
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what was begun may take to its end when nobody wants it any more.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait between two looks that no event has caused: first, and at most.
pub(super) const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// The same for what may take days.
pub(super) const PATIENT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

impl Look {
    /// The generation whose process it is: of what was never started, the first.
    pub(super) fn to_run(&self) -> u32 {
        let is_new = self.report.state == State::Created;
        self.report.generation.saturating_add(u32::from(is_new))
    }

    pub(super) fn done(self) -> Done {
        Done {
            report: Some(self.report),
            inspection: None,
        }
    }
}

pub(super) async fn start(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    let entry = site.entry(id);
    let _acting = until(abort, async { Ok(entry.acting.lock().await) }).await?;
    let look = until(abort, site.expect(id)).await?;
    match look.facts.state {
        State::Running | State::Restarting => return Ok(look.done()),
        State::Paused => return Err(failure::wrong_state("start", State::Paused)),
        State::Created | State::Stopped => {}
    }
    let site = site.clone();
    finish(abort, async move {
        let daemon_id = &look.facts.daemon_id;
        let started = site
            .client
            .typed()
            .start_container(daemon_id, None::<StartContainerOptions>);
        let started = started.await.map_err(DaemonError::from);
        let after = site.expect(id).await?;
        match started {
            Ok(()) => Ok(after.done()),
            Err(error) => Err(refused(error, "start")),
        }
    })
    .await
}

pub(super) async fn stop(
    site: &Arc<Site>,
    id: ContainerId,
    timeout: Option<Duration>,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    let look = until(abort, site.expect(id)).await?;
    let facts = look.facts.clone();
    if !facts.is_alive() {
        return Ok(look.done());
    }
    let own = facts
        .spec
        .stop_timeout_ms
        .map(u64::from)
        .map(Duration::from_millis);
    let timeout = timeout.or(own).unwrap_or(STOP_TIMEOUT);
    until(abort, async {
        match facts.state {
            State::Restarting => end_restarting(site, &facts).await,
            State::Paused => {
                tolerate(thaw(site, &facts).await, "resume")?;
                signal(site, &facts, facts.stop_signal).await
            }
            _ => signal(site, &facts, facts.stop_signal).await,
        }
    })
    .await?;
    let generation = look.report.generation;
    let ended = |look: &Look| !look.facts.is_alive() || look.report.generation != generation;
    let in_time = tokio::time::timeout(timeout, wait(site, id, ended));
    match until(abort, async { Ok(in_time.await) }).await? {
        Ok(look) => return Ok(look?.done()),
        Err(_) => until(abort, signal(site, &facts, Signal::KILL)).await?,
    }
    Ok(until(abort, wait(site, id, ended)).await?.done())
}

pub(super) async fn kill(
    site: &Arc<Site>,
    id: ContainerId,
    wanted: Signal,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    until(abort, async {
        let look = site.expect(id).await?;
        let facts = &look.facts;
        match facts.state {
            State::Created | State::Stopped => return Err(failure::wrong_state("kill", facts.state)),
            State::Restarting => end_restarting(site, facts).await?,
            State::Paused if wanted == Signal::KILL => end_paused(site, facts).await?,
            _ => {
                let sent = send(site, facts, wanted).await;
                sent.map_err(|error| refused(error, "kill"))?;
            }
        }
        Ok(site.look(id).await?.map(Look::done).unwrap_or_default())
    })
    .await
}

pub(super) async fn pause(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    change(site, id, abort, "pause", |state| match state {
        State::Running => Some(Change::Freeze),
        State::Paused => Some(Change::Nothing),
        _ => None,
    })
    .await
}

pub(super) async fn resume(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    change(site, id, abort, "resume", |state| match state {
        State::Paused => Some(Change::Thaw),
        State::Running => Some(Change::Nothing),
        _ => None,
    })
    .await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Freeze,
    Thaw,
    Nothing,
}

/// Does what the state asks for; none is a refusal.
async fn change(
    site: &Arc<Site>,
    id: ContainerId,
    abort: &CancellationToken,
    word: &'static str,
    change: impl Fn(State) -> Option<Change>,
) -> Result<Done, RuntimeError> {
    let entry = site.entry(id);
    let _acting = until(abort, async { Ok(entry.acting.lock().await) }).await?;
    let look = until(abort, site.expect(id)).await?;
    let state = look.facts.state;
    let call = change(state).ok_or_else(|| failure::wrong_state(word, state))?;
    if call == Change::Nothing {
        return Ok(look.done());
    }
    let site = site.clone();
    finish(abort, async move {
        let changed = match call {
            Change::Freeze => site
                .client
                .typed()
                .pause_container(&look.facts.daemon_id)
                .await
                .map_err(DaemonError::from),
            _ => thaw(&site, &look.facts).await,
        };
        changed.map_err(|error| refused(error, word))?;
        Ok(site.expect(id).await?.done())
    })
    .await
}

pub(super) async fn delete(
    site: &Arc<Site>,
    id: ContainerId,
    is_forced: bool,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    let look = match until(abort, site.look(id)).await? {
        Some(look) => look,
        None if is_forced => return Ok(Done::default()),
        None => return Err(failure::not_found(id)),
    };
    if look.facts.is_alive() && !is_forced {
        return Err(failure::wrong_state("delete", look.facts.state));
    }
    let site = site.clone();
    finish(abort, async move {
        remove(&site, &look.facts, is_forced).await?;
        // It is told as gone when it is.
        let mut pause = LOOK.0;
        while let Some(again) = site.look(id).await? {
            // Nothing is removed but what was asked for.
            if again.facts.daemon_id != look.facts.daemon_id {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK.1);
            remove(&site, &again.facts, is_forced).await?;
        }
        Ok(Done::default())
    })
    .await
}

async fn remove(site: &Site, facts: &Facts, is_forced: bool) -> Result<(), RuntimeError> {
    if is_forced && facts.is_alive() {
        // The daemons' own ways to force it begin with a stop that takes its time.
        match facts.state {
            State::Paused => end_paused(site, facts).await?,
            State::Restarting => end_restarting(site, facts).await?,
            _ => signal(site, facts, Signal::KILL).await?,
        }
    }
    // Volumes without a name are the container's own; those with one stay.
    let options = RemoveContainerOptions {
        force: is_forced,
        v: true,
        link: false,
    };
    let removed = site
        .client
        .typed()
        .remove_container(&facts.daemon_id, Some(options))
        .await;
    match removed.map_err(DaemonError::from) {
        Ok(()) => Ok(()),
        Err(error) if error.is_missing() => Ok(()),
        // Somebody removes it already.
        Err(DaemonError::Refused { code: 409, message }) if message.contains("in progress") => Ok(()),
        Err(error) => Err(error.into_runtime(About::Container, "cannot delete the container")),
    }
}

/// Sends a signal to a process that may have ended meanwhile.
async fn signal(site: &Site, facts: &Facts, signal: Signal) -> Result<(), RuntimeError> {
    tolerate(send(site, facts, signal).await, "stop")
}

async fn send(site: &Site, facts: &Facts, signal: Signal) -> Result<(), DaemonError> {
    let options = KillContainerOptions {
        signal: signal.number().to_string(),
    };
    let sent = site
        .client
        .typed()
        .kill_container(&facts.daemon_id, Some(options));
    Ok(sent.await?)
}

/// Kills what is frozen: the signal waits for it to be thawed.
async fn end_paused(site: &Site, facts: &Facts) -> Result<(), RuntimeError> {
    let sent = send(site, facts, Signal::KILL).await;
    tolerate(thaw(site, facts).await, "resume")?;
    match sent {
        Ok(()) => Ok(()),
        // A daemon that does not signal what is frozen does now.
        Err(_) => signal(site, facts, Signal::KILL).await,
    }
}

/// Has the daemon wait no longer for the moment to start it again.
async fn end_restarting(site: &Site, facts: &Facts) -> Result<(), RuntimeError> {
    let options = StopContainerOptions {
        t: Some(0),
        signal: None,
    };
    let stopped = site
        .client
        .typed()
        .stop_container(&facts.daemon_id, Some(options))
        .await;
    tolerate(stopped.map_err(DaemonError::from), "stop")
}

async fn thaw(site: &Site, facts: &Facts) -> Result<(), DaemonError> {
    Ok(site.client.typed().unpause_container(&facts.daemon_id).await?)
}

/// The state was another one when the daemon came to it: what is true now is found by looking.
fn tolerate(outcome: Result<(), DaemonError>, word: &str) -> Result<(), RuntimeError> {
    match outcome.map_err(|error| refused(error, word)) {
        Err(error) if matches!(error.status(), Status::InvalidState | Status::ContainerNotFound) => Ok(()),
        other => other,
    }
}

fn refused(error: DaemonError, word: &str) -> RuntimeError {
    let hint = match error.unrunnable() {
        Some(127) => ": the command does not exist in the image (exit code 127)",
        Some(_) => ": the command cannot be executed (exit code 126)",
        None => "",
    };
    error.into_runtime(About::Process, format_args!("cannot {word} the container{hint}"))
}

/// Waits until a container is as it should be, by the daemon's events and, where they fail, by looking.
pub(super) async fn wait(
    site: &Arc<Site>,
    id: ContainerId,
    is_so: impl Fn(&Look) -> bool,
) -> Result<Look, RuntimeError> {
    wait_with(site, id, LOOK, is_so).await
}

/// The same with another patience between looks that no event has caused: first, and at most.
pub(super) async fn wait_with(
    site: &Arc<Site>,
    id: ContainerId,
    patience: (Duration, Duration),
    is_so: impl Fn(&Look) -> bool,
) -> Result<Look, RuntimeError> {
    let mut changes = site.changes(id);
    let mut pause = patience.0;
    loop {
        changes.mark_unchanged();
        let look = site.expect(id).await?;
        if is_so(&look) {
            return Ok(look);
        }
        // Its own look is a change, too.
        changes.mark_unchanged();
        let at = Instant::now() + pause;
        tokio::select! {
            _ = tokio::time::sleep_until(at) => pause = (pause * 2).min(patience.1),
            _ = changes.changed() => {}
        }
    }
}

/// Does what may be given up at any point.
pub(super) async fn until<T>(
    abort: &CancellationToken,
    work: impl Future<Output = Result<T, RuntimeError>>,
) -> Result<T, RuntimeError> {
    tokio::select! {
        biased;
        done = work => done,
        () = abort.cancelled() => Err(failure::cancelled()),
    }
}

/// Does what is not to be left half-done: it comes to its end also when nobody waits for it. A daemon that hangs is
/// not waited for when nobody wants it any more.
pub(super) async fn finish<T: Send + 'static>(
    abort: &CancellationToken,
    work: impl Future<Output = Result<T, RuntimeError>> + Send + 'static,
) -> Result<T, RuntimeError> {
    let mut task = tokio::spawn(work);
    let outcome = tokio::select! {
        biased;
        outcome = &mut task => outcome,
        () = abort.cancelled() => match tokio::time::timeout(GRACE, task).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(failure::cancelled()),
        },
    };
    outcome.unwrap_or_else(|error| {
        let message = "the work on the container ended unexpectedly";
        Err(RuntimeError::with_source(Status::InternalError, message, error))
    })
}
