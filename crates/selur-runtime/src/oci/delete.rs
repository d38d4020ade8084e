//! Deletes a container. It is gone when its life is removed; what follows can be done again by anybody.

use super::hold::{Hold, Patience};
use super::{Site, failure};
use crate::{Done, RuntimeError};
use rustix::process::{Signal, pidfd_send_signal};
use selur_protocol::{ContainerId, Status};
use selur_shim::{Command, Errand, EventKind, Life, Lock};
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a shim may take to leave before it is killed itself.
const LEAVING_LIMIT: Duration = Duration::from_secs(10);
/// How often a shim may come up late while its container is deleted.
const ATTEMPTS: u32 = 16;

pub(super) fn delete(
    site: &Arc<Site>,
    id: ContainerId,
    force: bool,
    abort: &CancellationToken,
) -> Result<Done, RuntimeError> {
    let hold = match site.hold(id, abort) {
        Err(error) if force && error.status() == Status::ContainerNotFound => return Ok(Done::default()),
        outcome => outcome?,
    };
    // A life that cannot be read is no reason to keep the container for ever.
    let life = match site.settle(id, &hold) {
        Ok(life) => Some(life),
        Err(error) if error.status() == Status::ContainerNotFound => return Err(error),
        Err(_) if force => None,
        Err(error) => return Err(error),
    };
    if let Some(life) = life.as_ref().filter(|life| life.has_process() && !force) {
        return Err(failure::wrong_state("delete", life.state));
    }
    let (last, bar) = site.end(id, force, &hold)?;
    site.remove_cgroups(id);
    let removing = |error: io::Error| failure::io("cannot remove the container", error);
    fs::remove_file(site.root.state(id)).map_err(removing)?;
    site.tell(EventKind::Deleted, id, &last.unwrap_or_else(|| Life::lost(None)));
    let _ = fs::remove_file(site.root.state_draft(id));
    let name = life.and_then(|life| life.name);
    if let Some(name) = name {
        site.release_name(&name, id)?;
    }
    site.store.unpin(id)?;
    site.release_volumes(id)?;
    site.hands
        .remove(site.root.home(id).path())
        .map_err(failure::tree)?;
    let _ = fs::remove_file(site.root.alive(id));
    drop(bar);
    site.release_gone(id, hold);
    Ok(Done::default())
}

impl Site {
    /// Waits until the container has no process and no shim; kills what does not end. From then on no shim can take
    /// hold of it, as long as the lock is kept. Gives the life as its last shim left it, or as an end that nobody saw.
    fn end(
        &self,
        id: ContainerId,
        force: bool,
        hold: &Hold,
    ) -> Result<(Option<Life>, Option<Lock>), RuntimeError> {
        let mut has_shim = false;
        for _ in 0..ATTEMPTS {
            self.end_once(id, force)?;
            let last = self.settle(id, hold).ok();
            match self.try_bar_shims(id)? {
                Some(bar) if !self.runs(id) => return Ok((last, bar)),
                // A shim whose bridge had died came round to starting it, and perhaps left already.
                bar => has_shim = bar.is_none(),
            }
        }
        Err(failure::internal(match has_shim {
            true => "the container is started again and again while it is deleted".to_owned(),
            false => format!(
                "runc was told to delete the container and keeps it, perhaps because a process of it does not end: see {} \
                 and {}",
                self.root.home(id).runc_log().display(),
                self.root.runc_state(id).display()
            ),
        }))
    }

    /// Whether a process may be left of a container that no shim holds.
    fn runs(&self, id: ContainerId) -> bool {
        let life = Life::read(&self.root, id).ok().flatten();
        let process = life
            .filter(|life| life.boot == self.boot)
            .and_then(|life| life.process);
        process.is_some_and(|process| process.is_alive()) || self.root.runc_state(id).exists()
    }

    fn end_once(&self, id: ContainerId, force: bool) -> Result<(), RuntimeError> {
        let mut patience = Patience::new(LEAVING_LIMIT);
        let mut told = false;
        while self.has_shim(id)? {
            let runs = self
                .life(id)
                .ok()
                .flatten()
                .is_some_and(|life| life.has_process());
            if runs && !force {
                // A shim whose bridge had died came round to starting it.
                return Err(failure::wrong_state("delete", selur_protocol::State::Running));
            }
            if force && runs && !told {
                told = self.send(id, Command::Kill { signal: 9 })?.is_some();
            }
            if !self.await_shim(id, &mut patience) {
                self.kill_shim(id);
                patience = Patience::new(LEAVING_LIMIT);
            }
        }
        let runs = self
            .life(id)
            .ok()
            .flatten()
            .is_some_and(|life| life.has_process());
        if runs || self.root.runc_state(id).exists() {
            self.launcher.launch(&self.root, id, Errand::Reap)?;
            let mut patience = Patience::new(LEAVING_LIMIT);
            while self.has_shim(id)? {
                if !self.await_shim(id, &mut patience) {
                    self.kill_shim(id);
                    patience = Patience::new(LEAVING_LIMIT);
                }
            }
        }
        Ok(())
    }

    /// Kills a shim that neither obeys nor ends.
    fn kill_shim(&self, id: ContainerId) {
        if let Some(pidfd) = self.shim(id).and_then(|shim| shim.open()) {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
    }
}
