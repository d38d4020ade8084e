//! Named volumes on disk, for any number of processes on one root.
//!
//! A volume is a directory that appears and goes away in one step, by a rename. A container that mounts volumes says so
//! in a record of its own before it exists, under the volumes' lock, and a volume is removed under that lock only: so
//! none is removed that a container mounts, and none under a create that is under way. The record of a process that
//! died in the middle is found by whoever looks, because the container's lock is free.

use super::config::Config;
use super::hold::{Patience, ids_in};
use super::{Oci, Site, failure};
use crate::events;
use crate::spec::check_volume_name;
use crate::{ContainerSpec, EventKind, RuntimeError, Volume, VolumeOptions, Volumes};
use futures_util::future::BoxFuture;
use rustix::rand::{GetRandomFlags, getrandom};
use selur_protocol::{ContainerId, Status};
use selur_shim::{Lock, Moment, SCHEMA_VERSION, Turn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another process may hold the volumes' lock, which is for milliseconds.
const LOCK_LIMIT: Duration = Duration::from_secs(30);
/// What begins the name of a volume in the making, and of one that is being removed.
const DRAFT_PREFIX: &str = ".new-";
const TRASH_PREFIX: &str = ".gone-";

/// `volume.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    schema: u32,
    name: String,
    created_at: String,
    labels: BTreeMap<String, String>,
}

/// The record of a container that mounts volumes.
#[derive(Debug, Serialize, Deserialize)]
struct Use {
    schema: u32,
    volumes: Vec<String>,
}

impl Record {
    fn new(name: &str, labels: BTreeMap<String, String>) -> Record {
        Record {
            schema: SCHEMA_VERSION,
            name: name.to_owned(),
            created_at: Moment::now().to_rfc3339(),
            labels,
        }
    }
}

impl Volumes for Oci {
    fn create<'a>(
        &'a self,
        name: &'a str,
        options: VolumeOptions,
    ) -> BoxFuture<'a, Result<Volume, RuntimeError>> {
        let name = name.to_owned();
        Box::pin(self.block(move |site| site.create_volume(&name, options)))
    }

    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Volume, RuntimeError>> {
        let name = name.to_owned();
        Box::pin(self.block(move |site| site.inspect_volume(&name)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Volume>, RuntimeError>> {
        Box::pin(self.block(|site| site.list_volumes()))
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        let name = name.to_owned();
        Box::pin(self.block(move |site| site.delete_volume(&name)))
    }
}

impl Site {
    /// Records which volumes a container is going to mount, and makes those that do not exist. The caller holds the
    /// container's lock, and the container does not exist yet.
    pub(super) fn use_volumes(&self, id: ContainerId, spec: &ContainerSpec) -> Result<(), RuntimeError> {
        let mut volumes: Vec<String> = spec.volumes().map(str::to_owned).collect();
        if volumes.is_empty() {
            return Ok(());
        }
        volumes.sort();
        volumes.dedup();
        let _lock = self.lock_volumes()?;
        for name in &volumes {
            if !self.root.volume(name).exists() {
                self.make_volume(name, BTreeMap::new())?;
            }
        }
        let record = Use {
            schema: SCHEMA_VERSION,
            volumes,
        };
        write_record(&self.root.volume_use(id), &record)
            .and_then(|()| sync(&self.root.volume_uses()))
            .map_err(|error| failure::io("cannot record which volumes the container mounts", error))
    }

    /// Forgets which volumes a container mounted; nothing happens if it mounted none.
    pub(super) fn release_volumes(&self, id: ContainerId) -> Result<(), RuntimeError> {
        match fs::remove_file(self.root.volume_use(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failure::io("cannot release the container's volumes", error))
            }
            _ => Ok(()),
        }
    }

    /// Every container with a record, whether it exists or not.
    pub(super) fn volume_users(&self) -> Result<Vec<ContainerId>, RuntimeError> {
        ids_in(&self.root.volume_uses())
    }

    /// Removes what processes left that died while they made or removed a volume.
    pub(super) fn sweep_volumes(&self) {
        let Ok(lock) = self.lock_volumes() else {
            return;
        };
        let entries = fs::read_dir(self.root.volumes()).into_iter().flatten().flatten();
        let is_left = |path: &PathBuf| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            name.starts_with(DRAFT_PREFIX) || name.starts_with(TRASH_PREFIX)
        };
        let paths = entries.map(|entry| entry.path()).filter(is_left);
        let left: Vec<_> = paths.filter_map(|path| Some((claim(&path)?, path))).collect();
        drop(lock);
        for (_claim, path) in left {
            // What fails here fails again, and is no reason to refuse everything else.
            let _ = self.hands.remove(&path);
        }
    }

    fn create_volume(&self, name: &str, options: VolumeOptions) -> Result<Volume, RuntimeError> {
        check_volume_name("name", name)?;
        let _lock = self.lock_volumes()?;
        if !self.root.volume(name).exists() {
            self.make_volume(name, options.labels)?;
            return self.inspect_volume(name);
        }
        if self.read_volume(name)?.is_none() {
            // A power failure took the record, and left what containers wrote.
            let record = Record::new(name, options.labels);
            write_record(&self.root.volume_record(name), &record)
                .and_then(|()| sync(&self.root.volume(name)))
                .map_err(|error| failure::io(format_args!("cannot mend the volume {name}"), error))?;
            return self.inspect_volume(name);
        }
        let volume = self.inspect_volume(name)?;
        if volume.labels == options.labels {
            return Ok(volume);
        }
        let message = format!("the volume {name} exists already, with other labels: choose another name");
        Err(RuntimeError::new(Status::InvalidState, message))
    }

    fn inspect_volume(&self, name: &str) -> Result<Volume, RuntimeError> {
        check_volume_name("name", name)?;
        let users = self.users_of(name)?;
        let record = self.read_volume(name)?.ok_or_else(|| not_found(name))?;
        self.told(record, users)
    }

    fn list_volumes(&self) -> Result<Vec<Volume>, RuntimeError> {
        let failed = |error| failure::io("cannot list the volumes", error);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.volumes()).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(
                name.to_str()
                    .filter(|name| !name.starts_with('.'))
                    .map(str::to_owned),
            );
        }
        names.sort();
        let mut volumes = Vec::new();
        for name in names {
            // One that was deleted meanwhile is none.
            if let Some(record) = self.read_volume(&name)? {
                let users = self.users_of(&name)?;
                volumes.push(self.told(record, users)?);
            }
        }
        Ok(volumes)
    }

    fn delete_volume(&self, name: &str) -> Result<(), RuntimeError> {
        check_volume_name("name", name)?;
        let failed = |error| failure::io(format_args!("cannot remove the volume {name}"), error);
        // Before the lock is taken, for that may last: nobody comes to use a volume by a record of a dead process.
        for id in self.users_of(name)? {
            self.reap_dead_user(id)?;
        }
        let lock = self.lock_volumes()?;
        let path = self.root.volume(name);
        // A volume whose record is damaged can be removed all the same.
        if !path.exists() {
            return Err(not_found(name));
        }
        if let Some(id) = self.users_of(name)?.first() {
            let message = format!("the container {id} mounts the volume {name}: delete that first");
            return Err(RuntimeError::new(Status::InvalidState, message));
        }
        // Held until the end, so that no sweep removes it at the same time.
        let _claim = claim(&path).ok_or_else(|| failure::internal("the volume is being removed already"))?;
        let trash = self
            .root
            .volumes()
            .join(TRASH_PREFIX.to_owned() + &random_name()?);
        fs::rename(&path, &trash).map_err(failed)?;
        sync(&self.root.volumes()).map_err(failed)?;
        events::tell(self.root.path(), EventKind::VolumeDeleted, name);
        drop(lock);
        self.hands.remove(&trash).map_err(failure::tree)
    }

    /// Removes what is left of a container that mounts volumes if it was never finished, or not wholly deleted.
    fn reap_dead_user(&self, id: ContainerId) -> Result<(), RuntimeError> {
        let exists = || self.root.state(id).exists();
        if !exists()
            && let Some(hold) = self.try_hold(id)?
            && !exists()
        {
            self.reap_half_made(id, hold);
        }
        Ok(())
    }

    /// Makes a volume. The caller holds the volumes' lock.
    fn make_volume(&self, name: &str, labels: BTreeMap<String, String>) -> Result<(), RuntimeError> {
        let draft = self
            .root
            .volumes()
            .join(DRAFT_PREFIX.to_owned() + &random_name()?);
        let record = Record::new(name, labels);
        let made = fill_draft(&draft, &record)
            .and_then(|()| fs::rename(&draft, self.root.volume(name)))
            .and_then(|()| sync(&self.root.volumes()));
        if made.is_err() {
            let _ = self.hands.remove(&draft);
        }
        made.map_err(|error| failure::io(format_args!("cannot make the volume {name}"), error))?;
        events::tell(self.root.path(), EventKind::VolumeCreated, name);
        Ok(())
    }

    fn read_volume(&self, name: &str) -> Result<Option<Record>, RuntimeError> {
        let path = self.root.volume_record(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failure::io(format_args!("cannot read {}", path.display()), error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            let message = format!("{} is damaged: delete the volume {name}", path.display());
            RuntimeError::with_source(Status::InternalError, message, error)
        })
    }

    /// The containers whose records name a volume.
    fn users_of(&self, name: &str) -> Result<Vec<ContainerId>, RuntimeError> {
        let mut users = self.volume_users()?;
        users.retain(|id| self.used_volumes(*id).iter().any(|used| used == name));
        users.sort_by_key(ToString::to_string);
        Ok(users)
    }

    fn used_volumes(&self, id: ContainerId) -> Vec<String> {
        let text = fs::read(self.root.volume_use(id)).unwrap_or_default();
        if let Ok(record) = serde_json::from_slice::<Use>(&text) {
            return record.volumes;
        }
        // A damaged disk: the container itself knows.
        let config = Config::read(&self.root.home(id)).ok().flatten();
        config.map_or_else(Vec::new, |config| {
            config.spec.volumes().map(str::to_owned).collect()
        })
    }

    fn told(&self, record: Record, users: Vec<ContainerId>) -> Result<Volume, RuntimeError> {
        let path = self.root.volume_data(&record.name);
        Ok(Volume {
            path: path.to_str().map(str::to_owned),
            name: record.name,
            created_at: record.created_at,
            labels: record.labels,
            containers: users.into_iter().map(|id| id.to_string()).collect(),
        })
    }

    fn lock_volumes(&self) -> Result<Lock, RuntimeError> {
        let failed = |error| failure::io("cannot lock the volumes", error);
        let mut patience = Patience::new(LOCK_LIMIT);
        loop {
            match Lock::try_at(&self.root.volumes_lock()).map_err(failed)? {
                Some(lock) => return Ok(lock),
                None if patience.wait() => {}
                None => {
                    return Err(failure::internal(
                        "another process holds the volumes' lock and does not end",
                    ));
                }
            }
        }
    }
}

fn fill_draft(draft: &Path, record: &Record) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(draft)?;
    let data = draft.join("data");
    // Every user of a container passes through its root.
    DirBuilder::new().mode(0o755).create(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755))?;
    File::create(draft.join("fresh"))?;
    write_record(&draft.join("volume.json"), record)?;
    sync(draft)
}

/// Writes a file that nobody else sees before the directory is synced.
fn write_record(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_data()
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A turn with a directory; nothing if another process has it, or if it is gone.
fn claim(directory: &Path) -> Option<Turn> {
    Turn::attempt(File::open(directory).ok()?).ok()?
}

fn random_name() -> Result<String, RuntimeError> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|error| failure::io("the system's random source failed", error.into()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn not_found(name: &str) -> RuntimeError {
    RuntimeError::new(
        Status::VolumeNotFound,
        format!("no volume has the name {name}: `selur volume ls` lists them"),
    )
}
