//! Named volumes: directories that outlive the containers they are mounted into.

use crate::RuntimeError;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a volume is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeOptions {
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A named volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Volume {
    /// Its name; of the grammar of container names.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"))]
    pub name: String,
    /// When it was made: RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// Its directory on this machine, if the backend has one.
    pub path: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The containers that mount it.
    pub containers: Vec<String>,
}

/// The volumes that a runtime has. A container that names one that does not exist makes it.
pub trait Volumes: Send + Sync {
    /// Makes a volume. One that exists with the same labels is left as it is.
    ///
    /// # Errors
    /// - `invalid_request`: no volume name.
    /// - `invalid_state`: it exists with other labels.
    /// - `resource_exhausted`: the disk is full.
    fn create<'a>(
        &'a self,
        name: &'a str,
        options: VolumeOptions,
    ) -> BoxFuture<'a, Result<Volume, RuntimeError>>;

    /// What is known of a volume.
    ///
    /// # Errors
    /// `volume_not_found`: there is none of this name.
    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Volume, RuntimeError>>;

    /// Every volume, ordered by name.
    ///
    /// # Errors
    /// They cannot be read.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Volume>, RuntimeError>>;

    /// Removes a volume and what is in it.
    ///
    /// # Errors
    /// - `volume_not_found`: there is none of this name.
    /// - `invalid_state`: a container mounts it; the message names one.
    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>>;
}
