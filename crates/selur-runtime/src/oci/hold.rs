//! A container's life as it truly is, and the lock under which it is changed.

use super::config::Config;
use super::{Site, failure, seen};
use crate::{Observation, RuntimeError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selur_protocol::{ContainerId, State, Status};
use selur_shim::{Durability, Event, EventKind, Life, Lock, Process, event_log};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A container's lock: whoever has it is the only one that changes the container, except for its shim.
#[derive(Debug)]
pub(super) struct Hold {
    _lock: Lock,
}

/// Waits a little longer each time, up to a limit.
#[derive(Debug)]
pub(super) struct Patience {
    delay: Duration,
    until: Instant,
}

impl Site {
    /// The lives of all containers.
    pub(super) fn list(&self) -> Result<Vec<Observation>, RuntimeError> {
        let mut observations = Vec::new();
        for id in self.ids()? {
            match self.life(id) {
                Ok(Some(life)) => observations.push(seen(id, &life)),
                // Deleted meanwhile.
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(observations)
    }

    /// The ids of all containers.
    pub(super) fn ids(&self) -> Result<Vec<ContainerId>, RuntimeError> {
        ids_in(&self.root.states())
    }

    /// A container's life, if it exists: what the disk says, corrected by a reboot and by the death of its shim.
    pub(super) fn life(&self, id: ContainerId) -> Result<Option<Life>, RuntimeError> {
        Ok(self.truth(id)?.map(|truth| truth.life))
    }

    fn truth(&self, id: ContainerId) -> Result<Option<Truth>, RuntimeError> {
        let mut before: Option<Life> = None;
        loop {
            let Some(recorded) = self.recorded(id)? else {
                return Ok(None);
            };
            if recorded.boot != self.boot {
                return Ok(Some(Truth::after_reboot(recorded, &self.boot)));
            }
            if !recorded.has_process() {
                return Ok(Some(Truth::recorded(recorded)));
            }
            // It has said so since before it was seen that there is no shim: no shim is there to say anything else.
            if before.as_ref() == Some(&recorded) {
                return Ok(Some(match recorded.process {
                    Some(process) if process.is_alive() => Truth::recorded(recorded),
                    _ => Truth::end_unseen(recorded),
                }));
            }
            if self.has_shim(id)? {
                return Ok(Some(Truth::recorded(recorded)));
            }
            // The shim may have recorded the end since the life was read.
            before = Some(recorded);
        }
    }

    /// What the disk says of a container.
    fn recorded(&self, id: ContainerId) -> Result<Option<Life>, RuntimeError> {
        match Life::read(&self.root, id) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let config = Config::read(&self.root.home(id)).ok().flatten();
                Ok(Some(Life::lost(config.and_then(|config| config.name))))
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                let message = "the container is of a newer selur: use that one";
                Err(RuntimeError::with_source(Status::Unsupported, message, error))
            }
            outcome => outcome.map_err(|error| failure::io("cannot read a container's life", error)),
        }
    }

    /// The same under the container's lock: a correction is written.
    pub(super) fn settle(&self, id: ContainerId, hold: &Hold) -> Result<Life, RuntimeError> {
        let _ = hold;
        let Truth { life, corrected } = self.truth(id)?.ok_or_else(|| failure::not_found(id))?;
        // Only what was read itself is corrected: a shim may have recorded something else meanwhile.
        if let Some(recorded) = corrected
            && !self.has_shim(id)?
        {
            if !recorded.boot.is_empty() && recorded.boot != life.boot {
                // Its processes ended with their boot: runc is not to look for them among those of this one.
                self.hands
                    .remove(&self.root.runc_state(id))
                    .map_err(failure::tree)?;
            }
            life.write(&self.root, id, Durability::Boot)
                .map_err(|error| failure::io("cannot write a container's life", error))?;
            // What cannot be read any more is an end, too.
            if recorded.has_process() || recorded.boot.is_empty() {
                self.tell(EventKind::Ended, id, &life);
            }
        }
        Ok(life)
    }

    /// Writes an event of a container's life, under its lock. A disk that does not take it holds nothing up.
    pub(super) fn tell(&self, kind: EventKind, id: ContainerId, life: &Life) {
        let _ = event_log::append(&self.root, &Event::of(kind, id, life));
    }

    /// Whether a shim holds the container.
    pub(super) fn has_shim(&self, id: ContainerId) -> Result<bool, RuntimeError> {
        Lock::is_held(&self.root.alive(id))
            .map_err(|error| failure::io("cannot look for a container's shim", error))
    }

    /// The shim that holds a container, as it has told: none while it has not.
    pub(super) fn shim(&self, id: ContainerId) -> Option<Process> {
        serde_json::from_slice(&fs::read(self.root.alive(id)).ok()?).ok()
    }

    /// Waits for the end of the shim that holds a container, a little longer each time; false when the time is over.
    pub(super) fn await_shim(&self, id: ContainerId, patience: &mut Patience) -> bool {
        // One that has ended is another than the one that holds it, and would be no reason to wait at all.
        let shim = self.shim(id).filter(Process::is_alive);
        patience.wait_for(shim.and_then(|shim| shim.open()).as_ref())
    }

    /// Takes the lock of a container that exists.
    ///
    /// # Errors
    /// `container_not_found`; `cancelled` while it waited.
    pub(super) fn hold(&self, id: ContainerId, abort: &CancellationToken) -> Result<Hold, RuntimeError> {
        let mut patience = Patience::new(Duration::from_secs(3600));
        loop {
            // So that no lock file is made for a container that does not exist.
            if !self.root.state(id).exists() {
                return Err(failure::not_found(id));
            }
            if let Some(hold) = self.try_hold(id)? {
                return if self.root.state(id).exists() {
                    Ok(hold)
                } else {
                    self.release_gone(id, hold);
                    Err(failure::not_found(id))
                };
            }
            if abort.is_cancelled() {
                return Err(failure::cancelled());
            }
            if !patience.wait() {
                return Err(failure::internal(format!(
                    "another process has held the container {id} for an hour"
                )));
            }
        }
    }

    /// Takes the place of a container's shim, so that none that was launched earlier comes up late. Nothing if one has
    /// it; `Some(None)` on a disk without room for the file, where no shim can take it either.
    pub(super) fn try_bar_shims(&self, id: ContainerId) -> Result<Option<Option<Lock>>, RuntimeError> {
        match Lock::try_at(&self.root.alive(id)) {
            Ok(Some(lock)) => Ok(Some(Some(lock))),
            Ok(None) => Ok(None),
            Err(error) if is_full(&error) => Ok(Some(None)),
            Err(error) => Err(failure::io("cannot take the place of a container's shim", error)),
        }
    }

    /// Takes a container's lock if it is free, whether the container exists or not.
    pub(super) fn try_hold(&self, id: ContainerId) -> Result<Option<Hold>, RuntimeError> {
        let lock = Lock::try_at(&self.root.lock(id))
            .map_err(|error| failure::io("cannot lock a container", error))?;
        Ok(lock.map(|lock| Hold { _lock: lock }))
    }

    /// Removes the lock of a container that is gone.
    pub(super) fn release_gone(&self, id: ContainerId, hold: Hold) {
        let _ = fs::remove_file(self.root.lock(id));
        drop(hold);
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// What is true of a container.
struct Truth {
    life: Life,
    /// What the disk says where that is not true any more. Then there is no shim that could change it.
    corrected: Option<Life>,
}

impl Truth {
    fn recorded(life: Life) -> Truth {
        Truth {
            life,
            corrected: None,
        }
    }

    /// Nothing runs after a reboot.
    fn after_reboot(recorded: Life, boot: &str) -> Truth {
        let mut truth = match recorded.has_process() {
            true => Truth::end_unseen(recorded),
            false => Truth {
                corrected: Some(recorded.clone()),
                life: recorded,
            },
        };
        boot.clone_into(&mut truth.life.boot);
        truth
    }

    /// The end came with a reboot, or after the shim's death.
    fn end_unseen(recorded: Life) -> Truth {
        let mut life = recorded.clone();
        life.exit_code = None;
        // Nobody knows when; an earlier generation's end would lie before this one's start.
        life.finished_at = None;
        life.enter(State::Stopped);
        Truth {
            life,
            corrected: Some(recorded),
        }
    }
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Patience {
        Patience {
            delay: Duration::from_millis(1),
            until: Instant::now() + limit,
        }
    }

    /// Sleeps; false when the time is over.
    pub(super) fn wait(&mut self) -> bool {
        self.wait_for(None)
    }

    /// The same, but no longer than until a process ends.
    fn wait_for(&mut self, process: Option<&OwnedFd>) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        match process {
            Some(pidfd) => {
                let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
                // An interruption leads to one more look.
                let _ = poll(&mut fds, Timespec::try_from(self.delay).ok().as_ref());
            }
            None => std::thread::sleep(self.delay),
        }
        self.delay = (self.delay * 3 / 2).min(Duration::from_millis(5));
        true
    }
}

/// The container ids among a directory's entries.
pub(super) fn ids_in(directory: &std::path::Path) -> Result<Vec<ContainerId>, RuntimeError> {
    let failed = |error: io::Error| failure::io(format_args!("cannot read {}", directory.display()), error);
    let mut ids = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        ids.extend(name.to_str().and_then(ContainerId::parse));
    }
    Ok(ids)
}
