//! Events: what happened to containers, images and volumes, whoever did it.

use crate::RuntimeError;
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use selur_shim::Root;
use serde::{Deserialize, Serialize};
use std::path::Path;

pub use selur_shim::{Event, EventKind};

/// Which events are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventOptions {
    /// Also those since this moment that are still known, in nanoseconds since the Unix epoch; else from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ns: Option<u64>,
    /// Whether to end where there are no more instead of waiting for them.
    pub until_now: bool,
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

/// Writes what happened to an image or a volume below a state root, for all who read its events. It is written when it
/// is done; nothing is undone because it could not be told.
pub(crate) fn tell(state_root: &Path, kind: EventKind, subject: &str) {
    let _ = selur_shim::event_log::append(&Root::new(state_root), &Event::now(kind, subject));
}
