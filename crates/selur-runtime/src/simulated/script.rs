//! What a container does, as its image's name says.

use crate::{Operation, RuntimeError};
use selur_protocol::{ImageReference, Status};

/// The registry whose images are scripts.
const REGISTRY: &str = "fault.test";

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    RunUntilStopped,
    IgnoreTerm,
    ExitAtOnce { code: u8 },
    ExitOnUsr1 { code: u8 },
    KeepRestarting { code: u8 },
    Fail { at: Point, status: Status },
    Hang { at: Point },
    Late { at: Point },
}

/// What a hanging operation does once it is aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aborted {
    /// Ends without having done anything.
    GivesUp,
    /// Is done all the same.
    Succeeds,
}

/// Where a script can interfere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    Pull,
    Create,
    Start,
    Stop,
    Kill,
    Pause,
    Resume,
    Delete,
    Inspect,
    Push,
}

impl Script {
    /// The script of an image reference.
    ///
    /// # Errors
    /// - `invalid_request`: no image reference.
    /// - `image_not_found`: `fault.test` has no such script.
    pub(super) fn of(image: &str) -> Result<Script, RuntimeError> {
        let reference = ImageReference::parse(image)
            .map_err(|reason| RuntimeError::new(Status::InvalidRequest, reason.message()))?;
        if reference.domain() != REGISTRY {
            return Ok(Script::RunUntilStopped);
        }
        let tag = reference.tag().unwrap_or_default();
        let script = match reference.path() {
            "ignore-term" => Some(Script::IgnoreTerm),
            "exit" => exit_code(tag).map(|code| Script::ExitAtOnce { code }),
            "exit-on-usr1" => exit_code(tag).map(|code| Script::ExitOnUsr1 { code }),
            "restarting" => exit_code(tag).map(|code| Script::KeepRestarting { code }),
            "hang" => Point::named(tag).map(|at| Script::Hang { at }),
            "late" => Point::named(tag).map(|at| Script::Late { at }),
            path => Point::named(path)
                .zip(failure(tag))
                .map(|(at, status)| Script::Fail { at, status }),
        };
        script.ok_or_else(|| {
            RuntimeError::new(
                Status::ImageNotFound,
                format!(
                    "the simulated registry {REGISTRY} has no {}: conformance/README.md lists its images",
                    reference
                ),
            )
        })
    }

    /// The status that an operation fails with at this point, if it does.
    pub(super) fn fails(self, point: Point) -> Option<Status> {
        match self {
            Script::Fail { at, status } if at == point => Some(status),
            _ => None,
        }
    }

    /// What an operation does at this point once it is aborted, if it waits for that.
    pub(super) fn hangs(self, point: Point) -> Option<Aborted> {
        match self {
            Script::Hang { at } if at == point => Some(Aborted::GivesUp),
            Script::Late { at } if at == point => Some(Aborted::Succeeds),
            _ => None,
        }
    }
}

impl Point {
    const ALL: [Point; 10] = [
        Point::Pull,
        Point::Create,
        Point::Start,
        Point::Stop,
        Point::Kill,
        Point::Pause,
        Point::Resume,
        Point::Delete,
        Point::Inspect,
        Point::Push,
    ];

    /// The points that an operation passes, in their order.
    pub(super) fn of(operation: &Operation) -> &'static [Point] {
        match operation {
            Operation::Create { .. } => &[Point::Pull, Point::Create],
            Operation::Start => &[Point::Start],
            Operation::Stop { .. } => &[Point::Stop],
            Operation::Kill { .. } => &[Point::Kill],
            Operation::Pause => &[Point::Pause],
            Operation::Resume => &[Point::Resume],
            Operation::Delete { .. } => &[Point::Delete],
            Operation::Inspect => &[Point::Inspect],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Point::Pull => "pull",
            Point::Create => "create",
            Point::Start => "start",
            Point::Stop => "stop",
            Point::Kill => "kill",
            Point::Pause => "pause",
            Point::Resume => "resume",
            Point::Delete => "delete",
            Point::Inspect => "inspect",
            Point::Push => "push",
        }
    }

    fn named(name: &str) -> Option<Point> {
        Point::ALL.into_iter().find(|point| point.name() == name)
    }
}

/// 0 to 255 in decimal. `latest` is 1, so that the tag may be left out.
fn exit_code(tag: &str) -> Option<u8> {
    if tag == selur_protocol::DEFAULT_TAG {
        Some(1)
    } else if tag.bytes().all(|byte| byte.is_ascii_digit()) {
        tag.parse().ok()
    } else {
        None
    }
}

fn failure(tag: &str) -> Option<Status> {
    let mut failures = Status::ALL
        .into_iter()
        .filter(|status| *status != Status::Success);
    failures.find(|status| status.name() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_names_choose_scripts() {
        let network = Script::Fail {
            at: Point::Pull,
            status: Status::NetworkError,
        };
        let cases = [
            ("nginx", Some(Script::RunUntilStopped)),
            ("fault.test/pull:network_error", Some(network)),
            ("fault.test/exit:3", Some(Script::ExitAtOnce { code: 3 })),
            ("fault.test/exit", Some(Script::ExitAtOnce { code: 1 })),
            ("fault.test/hang:stop", Some(Script::Hang { at: Point::Stop })),
            ("fault.test/exit:256", None),
            ("fault.test/start:success", None),
            ("fault.test/hang:forever", None),
            ("fault.test/nginx:latest", None),
        ];
        for (image, script) in cases {
            assert_eq!(Script::of(image).ok(), script, "{image}");
        }
    }
}
