//! `events`: what happens to containers, images and volumes, whichever process does it: a line each.

use super::logs::time;
use super::ps::short;
use crate::cli::{Events, Global};
use crate::failure::Failure;
use crate::output::{self, escape};
use crate::session::Session;
use selur_core::{Event, EventItem, EventKind, EventOptions, Status};
use selur_protocol::ImageReference;

/// Everything that can happen.
const KINDS: [EventKind; 14] = [
    EventKind::Created,
    EventKind::Started,
    EventKind::Paused,
    EventKind::Resumed,
    EventKind::Restarting,
    EventKind::Ended,
    EventKind::Deleted,
    EventKind::ImagePulled,
    EventKind::ImageLoaded,
    EventKind::ImageTagged,
    EventKind::ImagePushed,
    EventKind::ImageDeleted,
    EventKind::VolumeCreated,
    EventKind::VolumeDeleted,
];
/// How few digits of an id a filter may name, as everywhere.
const LEAST_DIGITS: usize = 4;

/// Prints events until there are no more, or until it is interrupted.
///
/// # Errors
/// A filter is none, the events cannot be read, or the output is closed.
pub(crate) fn events(events: &Events, global: &Global) -> Result<u8, Failure> {
    let filter = Filter::parse(&events.filter)?;
    let session = Session::open(global)?;
    let options = EventOptions {
        since_ns: match events.since {
            Some(since) => Some(since.0),
            None => events.until_now.then_some(0),
        },
        until_now: events.until_now,
    };
    let stream = session.bridge().events(options)?;
    session.remind("nothing has happened when a command begins");
    for item in stream {
        match item? {
            EventItem::Event(event) if !filter.wants(&event) => {}
            EventItem::Event(event) if session.is_json() => output::json(&event)?,
            EventItem::Event(event) => output::line(escape(&text(&event)))?,
            EventItem::Lagged(number) if session.is_json() => {
                output::json(&serde_json::json!({ "lagged": number }))?;
            }
            EventItem::Lagged(number) => output::line(format_args!(
                "{number} events at least are left out here: this reader was too slow"
            ))?,
        }
    }
    Ok(0)
}

fn text(event: &Event) -> String {
    let subject = match is_of_a_container(event.kind) {
        true => short(&event.subject),
        false => event.subject.clone(),
    };
    let mut text = format!("{}  {:<14} {subject}", time(event.time_ns), name(event.kind));
    let mut add = |more: String| {
        text.push_str("  ");
        text.push_str(&more);
    };
    if let Some(name) = &event.name {
        add(name.clone());
    }
    // One that was never started has none.
    if let Some(generation) = event.generation.filter(|generation| *generation > 0) {
        add(format!("generation {generation}"));
    }
    match (event.exit_code, event.kind) {
        (Some(code), _) => add(format!("exit code {code}")),
        (None, EventKind::Ended | EventKind::Restarting) => add("exit code unknown".into()),
        (None, _) => {}
    }
    text
}

/// The name that programs know it by.
fn name(kind: EventKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => format!("{kind:?}"),
    }
}

fn is_of_a_container(kind: EventKind) -> bool {
    let name = name(kind);
    !name.starts_with("image_") && !name.starts_with("volume_")
}

/// Which events are printed: of each key that is given, one value must fit.
#[derive(Debug, Default)]
struct Filter {
    /// Containers, images and volumes.
    subjects: Vec<Subject>,
    kinds: Vec<EventKind>,
}

#[derive(Debug)]
enum Subject {
    /// An id, the first digits of one, or a name.
    Container(String),
    /// A reference in full.
    Image(String),
    Volume(String),
}

impl Filter {
    fn parse(texts: &[String]) -> Result<Filter, Failure> {
        let mut filter = Filter::default();
        for text in texts {
            match text.split_once('=') {
                Some(("container", value)) => filter.subjects.push(Subject::Container(value.to_owned())),
                Some(("image", value)) => {
                    let reference = ImageReference::parse(value)?.to_string();
                    filter.subjects.push(Subject::Image(reference));
                }
                Some(("volume", value)) => filter.subjects.push(Subject::Volume(value.to_owned())),
                Some(("kind", value)) => {
                    let kind = KINDS.into_iter().find(|kind| name(*kind) == value);
                    filter.kinds.push(kind.ok_or_else(|| {
                        let advice = format!("Write one of {}.", KINDS.map(name).join(", "));
                        refused(format!("nothing that happens is called {value:?}"), advice)
                    })?);
                }
                _ => {
                    let advice = "Write container=, image=, volume= or kind= and what it is to be.";
                    return Err(refused(format!("{text:?} is no filter"), advice));
                }
            }
        }
        Ok(filter)
    }

    fn wants(&self, event: &Event) -> bool {
        let fits_kind = self.kinds.is_empty() || self.kinds.contains(&event.kind);
        let fits_subject =
            self.subjects.is_empty() || self.subjects.iter().any(|subject| subject.is_of(event));
        fits_kind && fits_subject
    }
}

impl Subject {
    fn is_of(&self, event: &Event) -> bool {
        match self {
            Subject::Container(wanted) => {
                is_of_a_container(event.kind)
                    && (event.name.as_ref() == Some(wanted)
                        || wanted.len() >= LEAST_DIGITS && event.subject.starts_with(wanted))
            }
            Subject::Image(reference) => {
                name(event.kind).starts_with("image_") && event.subject == *reference
            }
            Subject::Volume(wanted) => name(event.kind).starts_with("volume_") && event.subject == *wanted,
        }
    }
}

fn refused(message: String, advice: impl Into<String>) -> Failure {
    Failure::new(Status::InvalidRequest, message, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, subject: &str) -> Event {
        Event {
            time_ns: 1,
            kind,
            subject: subject.into(),
            name: None,
            generation: None,
            exit_code: None,
        }
    }

    fn ended() -> Event {
        Event {
            name: Some("web".into()),
            generation: Some(2),
            exit_code: Some(3),
            ..event(EventKind::Ended, "0123456789abcdef0123456789abcdef")
        }
    }

    #[test]
    fn an_event_is_a_line_that_says_all() {
        assert_eq!(
            text(&ended()),
            "1970-01-01T00:00:00.000000001Z  ended          0123456789ab  web  generation 2  exit code 3"
        );
        assert_eq!(
            text(&event(EventKind::VolumeCreated, "a-volume-with-a-long-name")),
            "1970-01-01T00:00:00.000000001Z  volume_created a-volume-with-a-long-name"
        );
        let lost = Event {
            exit_code: None,
            ..ended()
        };
        assert!(text(&lost).ends_with("exit code unknown"));
    }

    #[test]
    fn filters_of_one_key_are_either_and_of_several_all() {
        let image = event(EventKind::ImagePulled, "docker.io/library/nginx:latest");
        let volume = event(EventKind::VolumeDeleted, "data");
        let cases: [(&[&str], [bool; 3]); 11] = [
            (&[], [true, true, true]),
            (&["container=web"], [true, false, false]),
            (&["container=0123"], [true, false, false]),
            (&["container=012"], [false, false, false]),
            (&["container=we"], [false, false, false]),
            (&["container=data"], [false, false, false]),
            (&["image=nginx"], [false, true, false]),
            (&["volume=data", "container=web"], [true, false, true]),
            (&["kind=ended", "kind=image_pulled"], [true, true, false]),
            (&["kind=started", "container=web"], [false, false, false]),
            (&["kind=ended", "container=web"], [true, false, false]),
        ];
        for (texts, wanted) in cases {
            let texts: Vec<String> = texts.iter().map(|text| (*text).into()).collect();
            let filter = Filter::parse(&texts).unwrap();
            let found = [ended(), image.clone(), volume.clone()].map(|event| filter.wants(&event));
            assert_eq!(found, wanted, "{texts:?}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_what_to_write() {
        for (text, advice) in [
            ("web", "container="),
            ("colour=red", "container="),
            ("kind=exploded", "ended"),
        ] {
            let failure = Filter::parse(&[text.to_owned()]).unwrap_err();
            assert!(failure.advice().contains(advice), "{failure:?}");
        }
        assert!(Filter::parse(&["image=NO".to_owned()]).is_err());
    }
}
