//! Names: each a symbolic link to the id that has it, so that claiming one is a single step with its content.

use super::{Site, failure};
use crate::RuntimeError;
use selur_protocol::{ContainerId, Status};
use selur_shim::Lock;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::hold::Patience;

const LOCK_LIMIT: Duration = Duration::from_secs(30);

impl Site {
    /// Claims a name for a container whose lock the caller holds.
    ///
    /// # Errors
    /// `container_already_exists`: another has it.
    pub(super) fn claim_name(&self, name: &str, id: ContainerId) -> Result<(), RuntimeError> {
        loop {
            match symlink(id.to_string(), self.root.name(name)) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(name, error)),
            }
            if !self.free_stale_name(name)? {
                return Err(RuntimeError::new(
                    Status::ContainerAlreadyExists,
                    format!(
                        "a container has the name {name} already: choose another, or delete that one first"
                    ),
                ));
            }
        }
    }

    /// Gives a name back, if this container has it.
    pub(super) fn release_name(&self, name: &str, id: ContainerId) -> Result<(), RuntimeError> {
        let _lock = self.lock_names(name)?;
        if self.owner(name)? == Some(id) {
            fs::remove_file(self.root.name(name)).map_err(|error| failed(name, error))?;
        }
        Ok(())
    }

    /// Frees a name whose container is gone, or was never finished by a process that has died. False if it is in use.
    pub(super) fn free_stale_name(&self, name: &str) -> Result<bool, RuntimeError> {
        // Removals are under one lock: else a process could remove the claim of another that freed the name first.
        let _lock = self.lock_names(name)?;
        let Some(id) = self.owner(name)? else {
            return match fs::remove_file(self.root.name(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(name, error)),
                _ => Ok(true),
            };
        };
        if self.root.state(id).exists() {
            return Ok(false);
        }
        // A container in the making: its lock is held, or its life was written meanwhile.
        let Some(hold) = self.try_hold(id)? else {
            return Ok(false);
        };
        if self.root.state(id).exists() {
            return Ok(false);
        }
        fs::remove_file(self.root.name(name)).map_err(|error| failed(name, error))?;
        self.reap_half_made(id, hold);
        Ok(true)
    }

    /// Every name that is claimed.
    pub(super) fn claimed_names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.names()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// Whose name it is. What is no link to an id belongs to nobody: a damaged disk made it.
    fn owner(&self, name: &str) -> Result<Option<ContainerId>, RuntimeError> {
        match fs::read_link(self.root.name(name)) {
            Ok(target) => Ok(target.to_str().and_then(ContainerId::parse)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(name, error)),
        }
    }

    fn lock_names(&self, name: &str) -> Result<Lock, RuntimeError> {
        let mut patience = Patience::new(LOCK_LIMIT);
        loop {
            match Lock::try_at(&self.root.names_lock()) {
                Ok(Some(lock)) => return Ok(lock),
                Ok(None) if patience.wait() => {}
                Ok(None) => {
                    return Err(failure::internal(
                        "another process holds the names' lock and does not end",
                    ));
                }
                Err(error) => return Err(failed(name, error)),
            }
        }
    }
}

fn failed(name: &str, error: io::Error) -> RuntimeError {
    failure::io(format_args!("cannot change who has the name {name}"), error)
}
