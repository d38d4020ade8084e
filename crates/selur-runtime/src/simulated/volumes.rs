//! The simulated volumes: names and labels. There is nothing in them.

use super::{Simulated, World};
use crate::spec::check_volume_name;
use crate::{ContainerSpec, EventKind, RuntimeError, Volume, VolumeOptions, Volumes};
use futures_util::future::BoxFuture;
use selur_protocol::Status;
use std::collections::BTreeMap;
use std::future::ready;

/// A volume without the containers that mount it, which the world knows.
#[derive(Debug)]
pub(super) struct Record {
    created_at: String,
    labels: BTreeMap<String, String>,
}

impl Volumes for Simulated {
    fn create<'a>(
        &'a self,
        name: &'a str,
        options: VolumeOptions,
    ) -> BoxFuture<'a, Result<Volume, RuntimeError>> {
        Box::pin(ready(self.world().create_volume(name, options)))
    }

    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Volume, RuntimeError>> {
        Box::pin(ready(self.world().inspect_volume(name)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Volume>, RuntimeError>> {
        let world = self.world();
        let volumes = world
            .volumes
            .iter()
            .map(|(name, record)| world.told(name, record));
        Box::pin(ready(Ok(volumes.collect())))
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(ready(self.world().delete_volume(name)))
    }
}

impl World {
    /// Makes the volumes that a container names and that do not exist.
    pub(super) fn make_volumes(&mut self, spec: &ContainerSpec) {
        for name in spec.volumes() {
            if !self.volumes.contains_key(name) {
                self.add_volume(name, BTreeMap::new());
            }
        }
    }

    fn create_volume(&mut self, name: &str, options: VolumeOptions) -> Result<Volume, RuntimeError> {
        check_volume_name("name", name)?;
        match self.volumes.get(name) {
            None => self.add_volume(name, options.labels),
            Some(record) if record.labels == options.labels => {}
            Some(_) => {
                let message =
                    format!("the volume {name} exists already, with other labels: choose another name");
                return Err(RuntimeError::new(Status::InvalidState, message));
            }
        }
        self.inspect_volume(name)
    }

    fn inspect_volume(&self, name: &str) -> Result<Volume, RuntimeError> {
        check_volume_name("name", name)?;
        let record = self.volumes.get(name).ok_or_else(|| not_found(name))?;
        Ok(self.told(name, record))
    }

    fn delete_volume(&mut self, name: &str) -> Result<(), RuntimeError> {
        let volume = self.inspect_volume(name)?;
        if let Some(id) = volume.containers.first() {
            let message = format!("the container {id} mounts the volume {name}: delete that first");
            return Err(RuntimeError::new(Status::InvalidState, message));
        }
        self.volumes.remove(name);
        self.tell_about(EventKind::VolumeDeleted, name);
        Ok(())
    }

    fn add_volume(&mut self, name: &str, labels: BTreeMap<String, String>) {
        let created_at = self.clock.tick().to_rfc3339();
        self.volumes
            .insert(name.to_owned(), Record { created_at, labels });
        self.tell_about(EventKind::VolumeCreated, name);
    }

    fn told(&self, name: &str, record: &Record) -> Volume {
        let mounts = self
            .containers
            .iter()
            .filter(|(_, container)| container.spec().volumes().any(|used| used == name));
        Volume {
            name: name.to_owned(),
            created_at: record.created_at.clone(),
            path: None,
            labels: record.labels.clone(),
            containers: mounts.map(|(id, _)| id.to_string()).collect(),
        }
    }
}

fn not_found(name: &str) -> RuntimeError {
    RuntimeError::new(
        Status::VolumeNotFound,
        format!("no volume has the name {name}: `selur volume ls` lists them"),
    )
}
