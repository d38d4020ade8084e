//! Events: what happened to containers, images and volumes, whoever did it.

use crate::RuntimeError;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

/// Which events are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventOptions {
    /// Also those since this moment that are still known, in nanoseconds since the Unix epoch; else from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ns: Option<u64>,
    /// Whether to end where there are no more instead of waiting for them.
    pub until_now: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// What.
    pub kind: EventKind,
    /// The container's id, the image's reference or the volume's name.
    pub subject: String,
    /// The container's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The container's generation: it grows with every start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// `ended` and `restarting`: how the process ended, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A container was made.
    Created,
    /// Its process runs.
    Started,
    /// It was frozen.
    Paused,
    /// It was thawed.
    Resumed,
    /// Its process has ended, and will be started again.
    Restarting,
    /// Its process has ended for good.
    Ended,
    /// The container was removed.
    Deleted,
    /// An image was fetched.
    ImagePulled,
    /// An image was taken in from a file.
    ImageLoaded,
    /// An image got another name.
    ImageTagged,
    /// An image was sent to a registry.
    ImagePushed,
    /// An image was removed.
    ImageDeleted,
    /// A volume was made.
    VolumeCreated,
    /// A volume was removed.
    VolumeDeleted,
}

/// What an event stream gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventItem {
    /// The next event.
    Event(Event),
    /// The reader was too slow: so many events at least were left out here.
    Lagged(u64),
}

/// Events in one order for all who read them.
pub type EventStream = BoxStream<'static, Result<EventItem, RuntimeError>>;
