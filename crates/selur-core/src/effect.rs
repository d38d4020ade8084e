//! Effects: from the guest's word to the runtime's, trusting neither.

use crate::error::words_of;
use crate::guest::{Broken, Instance};
use crate::hosted::Hosted;
use crate::opened::OpenStream;
use crate::{Error, Status};
use futures_util::FutureExt;
use selur_protocol::abi::{Action, Report};
use selur_protocol::{Command, ContainerId, Frame, HEADER_BYTES, MAX_PAYLOAD_BYTES, Request};
use selur_runtime::{ContainerSpec, Effect, Operation, Runtime};
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the guest asked for, or why it cannot be done, which is answered as the runtime's failure.
pub(crate) type Asked = Result<Task, Error>;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    /// An effect on a container's life.
    Effect(Effect),
    /// A command that the kernel only checked.
    Hosted(Hosted),
}

/// What came of an effect, as the kernel and the caller need it.
pub(crate) struct Outcome {
    pub(crate) status: Status,
    pub(crate) report: Option<Report>,
    /// The answer's data, or the failure's message.
    pub(crate) text: Option<String>,
    /// What was opened; the answer's data is then its id.
    pub(crate) stream: Option<OpenStream>,
}

/// Reads an action. The payload of a create is copied out, and parsed again; that of a hosted command is the host's own
/// copy, `frame`.
///
/// # Errors
/// The guest's word is no effect that a request could have asked for.
pub(crate) fn read(
    guest: &Instance,
    container: ContainerId,
    action: &Action,
    frame: Option<&[u8]>,
) -> Result<Asked, Broken> {
    let operation = match *action {
        Action::Create { offset, bytes } => match create(guest, offset, bytes)? {
            Ok(operation) => operation,
            Err(error) => return Ok(Err(error)),
        },
        Action::Start => Operation::Start,
        Action::Stop { timeout_ms } => Operation::Stop {
            timeout: timeout_ms.map(|milliseconds| Duration::from_millis(milliseconds.into())),
        },
        Action::Inspect => Operation::Inspect,
        Action::Delete { force } => Operation::Delete { force },
        Action::Kill { signal } => Operation::Kill { signal },
        Action::Pause => Operation::Pause,
        Action::Resume => Operation::Resume,
        Action::Host(command) => {
            let hosted = frame.and_then(|frame| Hosted::read(frame, command, container));
            let how = || Broken(format!("it asked for {} unasked", command.name()));
            return Ok(Ok(Task::Hosted(hosted.ok_or_else(how)?)));
        }
    };
    Ok(Ok(Task::Effect(Effect { container, operation })))
}

fn create(guest: &Instance, offset: u32, bytes: u32) -> Result<Result<Operation, Error>, Broken> {
    if bytes as usize > MAX_PAYLOAD_BYTES || !guest.arena().contains(offset, bytes) {
        let how =
            format!("it asked to create from {bytes} bytes at {offset}, which are not within its arena");
        return Err(Broken(how));
    }
    let mut frame = vec![0; HEADER_BYTES + bytes as usize];
    frame[0] = Command::CreateContainer.code();
    frame[1..HEADER_BYTES].copy_from_slice(&bytes.to_le_bytes());
    guest.memory().read(offset, &mut frame[HEADER_BYTES..])?;
    let request = Frame::parse(&frame).and_then(|frame| Request::parse(&frame));
    let Ok(Request::Create { image, name, spec }) = request else {
        return Err(Broken::new(
            "it asked to create from bytes that are no create request",
        ));
    };
    let spec = match spec {
        None | Some("") => ContainerSpec::default(),
        Some(json) => match ContainerSpec::from_json(json) {
            Ok(spec) => spec,
            Err(error) => return Ok(Err(Error::new(error.status(), error.to_string()))),
        },
    };
    Ok(Ok(Operation::Create {
        image: image.to_string(),
        name: name.map(|name| name.as_str().to_owned()),
        spec: Box::new(spec),
    }))
}

impl Task {
    /// Does it to its end. A panic of the runtime is an `internal_error`.
    pub(crate) async fn perform(self, runtime: Arc<dyn Runtime>, abort: CancellationToken) -> Outcome {
        match self {
            Task::Effect(effect) => perform(runtime.as_ref(), effect, abort).await,
            Task::Hosted(hosted) => hosted.perform(runtime, abort).await,
        }
    }
}

async fn perform(runtime: &dyn Runtime, effect: Effect, abort: CancellationToken) -> Outcome {
    let inspects = effect.operation == Operation::Inspect;
    let performed = AssertUnwindSafe(async { runtime.perform(effect, abort).await })
        .catch_unwind()
        .await;
    match performed {
        Err(panic) => Outcome::failed(panicked(runtime.name(), panic.as_ref())),
        Ok(Err(error)) => Outcome::failed(error.into()),
        Ok(Ok(done)) if inspects => match done
            .inspection
            .map(|inspection| serde_json::to_string(&inspection))
        {
            Some(Ok(text)) => Outcome {
                report: done.report,
                ..Outcome::data(text)
            },
            Some(Err(error)) => {
                let message = format!("the inspect document cannot be written as JSON: {error}");
                Outcome::failed(Error::new(Status::InternalError, message))
            }
            None => {
                let message = format!("the {} backend gave no inspect document", runtime.name());
                Outcome::failed(Error::new(Status::InternalError, message))
            }
        },
        Ok(Ok(done)) => Outcome {
            status: Status::Success,
            report: done.report,
            text: None,
            stream: None,
        },
    }
}

impl Outcome {
    /// A success with data.
    pub(crate) fn data(text: String) -> Outcome {
        Outcome {
            status: Status::Success,
            report: None,
            text: Some(text),
            stream: None,
        }
    }

    /// A success with a stream.
    pub(crate) fn opened(stream: OpenStream) -> Outcome {
        Outcome {
            status: Status::Success,
            report: None,
            text: None,
            stream: Some(stream),
        }
    }

    pub(crate) fn failed(error: Error) -> Outcome {
        Outcome {
            status: error.status(),
            report: None,
            text: Some(error.message().to_owned()),
            stream: None,
        }
    }
}

/// Runs a runtime's future. A panic is an `internal_error`.
pub(crate) async fn guarded<T, E: Into<Error>>(
    backend: &'static str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => Err(panicked(backend, panic.as_ref())),
    }
}

pub(crate) fn panicked(backend: &str, panic: &(dyn Any + Send)) -> Error {
    let message = format!("the {backend} backend panicked: {}", words_of(panic));
    Error::new(Status::InternalError, message)
}
