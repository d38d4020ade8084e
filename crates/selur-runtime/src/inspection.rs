//! What inspect answers: one schema in every backend and language.

use crate::ContainerSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that is known of a container. Times are RFC 3339 in UTC.
///
/// Source: DESIGN, "Inspect".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// 32 hex digits.
    pub id: String,
    /// The name, if it has one.
    pub name: Option<String>,
    /// The image reference in full.
    pub image: String,
    /// The digest of the image's manifest, if the backend knows it.
    pub image_digest: Option<String>,
    /// created, running, paused, restarting or stopped.
    pub state: String,
    /// The process's id on the host while it runs.
    pub pid: Option<u32>,
    /// How the process ended: 0 to 255, 128 + the signal if one ended it; null while it runs or when unknown.
    pub exit_code: Option<i32>,
    /// When it was made.
    pub created_at: String,
    /// When it was last started.
    pub started_at: Option<String>,
    /// When it last ended.
    pub finished_at: Option<String>,
    /// How often the restart policy started it again.
    pub restart_count: u32,
    /// How it was asked to run.
    pub spec: ContainerSpec,
    /// Labels, from the image and the specification.
    pub labels: BTreeMap<String, String>,
}
