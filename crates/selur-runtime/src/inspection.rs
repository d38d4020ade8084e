//! What inspect answers: one schema in every backend and language.

use crate::ContainerSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that is known of a container. Times are RFC 3339 in UTC.
///
/// Source: DESIGN, "Inspect".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Inspection {
    /// 32 hex digits.
    #[schemars(regex(pattern = r"^[0-9a-f]{32}$"))]
    pub id: String,
    /// The name, if it has one.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"))]
    pub name: Option<String>,
    /// The image reference in full.
    pub image: String,
    /// The digest of the image's manifest, if the backend knows it.
    pub image_digest: Option<String>,
    /// created, running, paused, restarting or stopped.
    #[schemars(extend("enum" = ["created", "running", "paused", "restarting", "stopped"]))]
    pub state: String,
    /// The process's id on the host while it runs.
    pub pid: Option<u32>,
    /// How the process ended: 0 to 255, 128 + the signal if one ended it; null while it runs or when unknown.
    #[schemars(range(min = 0, max = 255))]
    pub exit_code: Option<i32>,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When it was last started.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<String>,
    /// When it last ended.
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<String>,
    /// How often the restart policy started it again.
    pub restart_count: u32,
    /// How it was asked to run.
    pub spec: ContainerSpec,
    /// Labels, from the image and the specification.
    pub labels: BTreeMap<String, String>,
}
