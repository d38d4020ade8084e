//! What the daemon tells of containers of ours, of images and of volumes, as selur's events.
//!
//! The daemon counts no generations. Here they are counted within one stream, from the event that a container was made;
//! of one that was made before, by what this process knows of it. Where nothing is known there is none.

use super::documents::Happened;
use super::failure::{About, DaemonError};
use super::images::in_full;
use super::labels;
use super::lives;
use super::site::Site;
use super::transport::Answer;
use super::watch;
use crate::{
    ContainerSpec, Event, EventItem, EventKind, EventOptions, EventStream, RestartPolicy, RuntimeError,
};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, Status};
use selur_shim::Moment;
use std::collections::HashMap;
use std::sync::Arc;

/// The kinds of things whose events are wanted.
const KINDS: [&str; 3] = ["container", "image", "volume"];
/// Of so many containers the lives are remembered while one stream is read.
const MAX_LIVES: usize = 16 << 10;

pub(super) async fn stream(site: &Arc<Site>, options: EventOptions) -> Result<EventStream, RuntimeError> {
    let now = Moment::now().as_nanoseconds();
    let since = options.since_ns.unwrap_or(now);
    let until = options.until_now.then_some(now);
    let events = watch::subscribe(site, &KINDS, since, until).await;
    let reader = Reader {
        site: site.clone(),
        events: events.map_err(failed)?,
        since,
        ends: options.until_now,
        lives: HashMap::new(),
    };
    let items = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(event)) => Some((Ok(EventItem::Event(event)), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(items.boxed())
}

fn failed(error: DaemonError) -> RuntimeError {
    error.into_runtime(About::Daemon, "cannot read the daemon's events")
}

struct Reader {
    site: Arc<Site>,
    events: Answer,
    since: u64,
    ends: bool,
    lives: HashMap<ContainerId, LifeSoFar>,
}

/// What one stream has told of a container.
#[derive(Clone, Copy, Debug, Default)]
struct LifeSoFar {
    generation: Option<u32>,
    restarts: u32,
    /// Whether it was signalled since it runs: its end is somebody's wish.
    is_signalled: bool,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Event>, RuntimeError> {
        loop {
            let Some(happened) = watch::next(&mut self.events).await.map_err(failed)? else {
                return match self.ends {
                    true => Ok(None),
                    false => Err(RuntimeError::new(
                        Status::InternalError,
                        "the daemon has ended its events, as it does when it is restarted: events of that time are \
                         lost; begin again",
                    )),
                };
            };
            if happened.time_ns < self.since {
                continue;
            }
            if let Some(event) = self.read(happened) {
                return Ok(Some(event));
            }
        }
    }

    fn read(&mut self, happened: Happened) -> Option<Event> {
        match happened.about.as_str() {
            "container" => self.container(&happened),
            "image" => image(&happened),
            "volume" => volume(&happened),
            _ => None,
        }
    }

    fn container(&mut self, happened: &Happened) -> Option<Event> {
        let attributes = &happened.actor.attributes;
        let id = labels::id(attributes)?;
        if self.lives.len() > MAX_LIVES {
            self.lives.clear();
        }
        let known = || self.site.known_generation(id);
        let life = self.lives.entry(id).or_insert_with(|| LifeSoFar {
            generation: if happened.action == "create" {
                Some(0)
            } else {
                known()
            },
            ..LifeSoFar::default()
        });
        let code = attributes
            .get("exitCode")
            .or_else(|| attributes.get("containerExitCode"));
        let code = code.and_then(|code| code.parse::<i32>().ok());
        let spec = attributes
            .get(labels::SPEC)
            .and_then(|json| serde_json::from_str(json).ok());
        let kind = life.step(&happened.action, code, spec)?;
        let name = attributes.get("name").and_then(|name| lives::name(id, name));
        let ends = matches!(kind, EventKind::Ended | EventKind::Restarting);
        let event = Event {
            time_ns: happened.time_ns,
            kind,
            subject: id.to_string(),
            name,
            generation: life.generation,
            exit_code: code.filter(|_| ends),
        };
        if kind == EventKind::Deleted {
            self.lives.remove(&id);
        }
        Some(event)
    }
}

impl LifeSoFar {
    /// Takes one action of the daemon's. Podman's names for them are the same here, but for the last one.
    fn step(&mut self, action: &str, code: Option<i32>, spec: Option<ContainerSpec>) -> Option<EventKind> {
        let kind = match action {
            "create" => EventKind::Created,
            "start" => {
                self.generation = self.generation.map(|generation| generation.saturating_add(1));
                self.is_signalled = false;
                EventKind::Started
            }
            "pause" => EventKind::Paused,
            "unpause" => EventKind::Resumed,
            "kill" => {
                self.is_signalled = true;
                return None;
            }
            "die" | "died" if self.restarts_after(code, spec.as_ref()) => {
                self.restarts += 1;
                EventKind::Restarting
            }
            "die" | "died" => {
                self.restarts = 0;
                EventKind::Ended
            }
            "destroy" | "remove" => EventKind::Deleted,
            _ => return None,
        };
        Some(kind)
    }

    fn restarts_after(&self, code: Option<i32>, spec: Option<&ContainerSpec>) -> bool {
        let most = match spec.map(|spec| spec.restart).unwrap_or_default() {
            RestartPolicy::No => return false,
            RestartPolicy::OnFailure(most) => most.unwrap_or(u32::MAX),
        };
        code != Some(0) && !self.is_signalled && self.restarts < most
    }
}

/// Docker names the image in the id, podman in an attribute.
fn image(happened: &Happened) -> Option<Event> {
    let kind = match happened.action.as_str() {
        "pull" => EventKind::ImagePulled,
        "load" | "import" | "loadfromarchive" => EventKind::ImageLoaded,
        "tag" => EventKind::ImageTagged,
        "push" => EventKind::ImagePushed,
        "untag" | "remove" => EventKind::ImageDeleted,
        _ => return None,
    };
    let name = happened
        .actor
        .attributes
        .get("name")
        .filter(|name| !name.is_empty());
    let subject = name.unwrap_or(&happened.actor.id);
    let subject = in_full(subject).unwrap_or_else(|_| subject.clone());
    Some(event(happened, kind, subject))
}

fn volume(happened: &Happened) -> Option<Event> {
    let kind = match happened.action.as_str() {
        "create" => EventKind::VolumeCreated,
        "destroy" | "remove" => EventKind::VolumeDeleted,
        _ => return None,
    };
    let name = happened
        .actor
        .attributes
        .get("name")
        .filter(|name| !name.is_empty());
    Some(event(happened, kind, name.unwrap_or(&happened.actor.id).clone()))
}

fn event(happened: &Happened, kind: EventKind, subject: String) -> Event {
    Event {
        time_ns: happened.time_ns,
        kind,
        subject,
        name: None,
        generation: None,
        exit_code: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_the_policy_undoes_is_a_restart() {
        let spec = || ContainerSpec::from_json(r#"{"restart":"on-failure:1"}"#).ok();
        let mut life = LifeSoFar {
            generation: Some(0),
            ..LifeSoFar::default()
        };
        let mut told = Vec::new();
        for action in [
            "create", "start", "die", "start", "die", "start", "kill", "die", "remove",
        ] {
            told.extend(life.step(action, Some(3), spec()));
        }
        use EventKind::*;
        let expected = [
            Created, Started, Restarting, Started, Ended, Started, Ended, Deleted,
        ];
        assert_eq!((told.as_slice(), life.generation), (&expected[..], Some(3)));
    }
}
