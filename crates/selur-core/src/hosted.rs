//! Hosted commands: the kernel checks and authorises them, and the host does them with the payload that it kept.
//!
//! What answers at once answers with JSON. What flows is opened here and handed over as a stream; its bytes never pass
//! through the kernel.

use crate::effect::Outcome;
use crate::opened::OpenStream;
use crate::progress::Transfer;
use crate::{Error, Status};
use selur_protocol::{Command, ContainerId, Frame, Request, Subject};
use selur_runtime::{ExecSpec, Images, PruneOptions, Runtime, RuntimeError, VolumeOptions, Volumes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A hosted command with its payload.
#[derive(Debug)]
pub(crate) struct Hosted {
    command: Command,
    container: ContainerId,
    /// What the command is about: an image, a volume, a path; nothing where it is a container or everything.
    subject: String,
    /// The other name that an image is to have.
    name: String,
    options: String,
}

/// What came of a hosted command.
enum Done {
    Json(String),
    Nothing,
    Stream(OpenStream),
}

/// The options of pull and push.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TransferOptions {
    progress: bool,
}

/// The options of load.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LoadOptions {
    reference: Option<String>,
}

impl Hosted {
    /// Reads a frame that the kernel has taken for this command. Nothing if it is of another one.
    pub(crate) fn read(frame: &[u8], command: Command, container: ContainerId) -> Option<Hosted> {
        let frame = Frame::parse(frame)
            .ok()
            .filter(|frame| frame.command() == command)?;
        let Ok(Request::Hosted(request)) = Request::parse(&frame) else {
            return None;
        };
        let (subject, name) = match request.subject {
            Subject::All | Subject::Container(_) => (String::new(), String::new()),
            Subject::Image(image) => (image.to_string(), String::new()),
            Subject::Tag { image, name } => (image.to_string(), name.to_string()),
            Subject::Path(path) => (path.to_owned(), String::new()),
            Subject::Volume(name) => (name.as_str().to_owned(), String::new()),
        };
        Some(Hosted {
            command,
            container,
            subject,
            name,
            options: request.options.unwrap_or_default().to_owned(),
        })
    }

    /// Does it to its end, or until its stream is open.
    pub(crate) async fn perform(self, runtime: Arc<dyn Runtime>, abort: CancellationToken) -> Outcome {
        let backend = runtime.name();
        let given_up = abort.clone();
        let done = crate::effect::guarded(backend, self.act(runtime, abort.clone()));
        let done = tokio::select! {
            done = done => done,
            () = given_up.cancelled(), if !ends_by_itself(self.command) => {
                Err(Error::new(Status::Cancelled, "the request was cancelled"))
            }
        };
        match done {
            Ok(Done::Json(text)) => Outcome::data(text),
            Ok(Done::Nothing) => Outcome::data(String::new()),
            Ok(Done::Stream(stream)) => Outcome::opened(stream),
            Err(error) => Outcome::failed(error),
        }
    }

    async fn act(&self, runtime: Arc<dyn Runtime>, abort: CancellationToken) -> Result<Done, Error> {
        let container = self.container;
        let stream = match self.command {
            Command::Exec => {
                let spec = ExecSpec::from_json(&self.options).map_err(RuntimeError::from)?;
                OpenStream::Session(runtime.exec(container, spec, abort).await?)
            }
            Command::Attach => OpenStream::Session(runtime.attach(container, self.options()?).await?),
            Command::Logs => OpenStream::Logs(runtime.logs(container, self.options()?).await?),
            Command::Stats => OpenStream::Stats(runtime.stats(container, self.options()?).await?),
            Command::Events => OpenStream::Events(runtime.events(self.options()?).await?),
            Command::PullImage | Command::PushImage => {
                let options: TransferOptions = self.options()?;
                images(runtime.as_ref())?;
                let transfer = Transfer {
                    runtime,
                    reference: self.subject.clone(),
                    is_push: self.command == Command::PushImage,
                };
                match options.progress {
                    true => OpenStream::Transfer(transfer.stream()),
                    false => return json(&transfer.run(&|_| {}, abort).await?),
                }
            }
            _ => return self.answer(runtime.as_ref()).await,
        };
        Ok(Done::Stream(stream))
    }

    /// The commands that answer at once.
    async fn answer(&self, runtime: &dyn Runtime) -> Result<Done, Error> {
        let subject = self.subject.as_str();
        match self.command {
            Command::Top => json(&runtime.top(self.container).await?),
            Command::ListImages => json(&images(runtime)?.list().await?),
            Command::DeleteImage => {
                images(runtime)?.delete(subject).await?;
                Ok(Done::Nothing)
            }
            Command::LoadImage => {
                let options: LoadOptions = self.options()?;
                let images = images(runtime)?;
                json(
                    &images
                        .load(Path::new(subject), options.reference.as_deref())
                        .await?,
                )
            }
            Command::TagImage => {
                images(runtime)?.tag(subject, &self.name).await?;
                Ok(Done::Nothing)
            }
            Command::PruneImages => {
                let options: PruneOptions = self.options()?;
                json(&images(runtime)?.prune(options).await?)
            }
            Command::CreateVolume => {
                let options: VolumeOptions = self.options()?;
                json(&volumes(runtime)?.create(subject, options).await?)
            }
            Command::InspectVolume => json(&volumes(runtime)?.inspect(subject).await?),
            Command::ListVolumes => json(&volumes(runtime)?.list().await?),
            Command::DeleteVolume => {
                volumes(runtime)?.delete(subject).await?;
                Ok(Done::Nothing)
            }
            command => {
                let message = format!("this host does not know the command {}", command.name());
                Err(Error::new(Status::Unsupported, message))
            }
        }
    }

    /// The command's options; what is absent has its default.
    fn options<T: DeserializeOwned + Default>(&self) -> Result<T, Error> {
        if self.options.is_empty() {
            return Ok(T::default());
        }
        let refuse = |why: &dyn Display| {
            let message = format!("the options of {} are refused: {why}", self.command.name());
            Error::new(Status::InvalidRequest, message)
        };
        // The library would take an array of the fields' values, too.
        if !self.options.trim_start().starts_with('{') {
            return Err(refuse(&"write a JSON object"));
        }
        serde_json::from_str(&self.options).map_err(|error| refuse(&error))
    }
}

/// Whether the runtime itself ends the command early when it is told to; the others are dropped, which ends them, undoes
/// them or leaves what is whole.
fn ends_by_itself(command: Command) -> bool {
    matches!(command, Command::Exec | Command::PullImage | Command::PushImage)
}

/// The backend's images.
pub(crate) fn images(runtime: &dyn Runtime) -> Result<&dyn Images, Error> {
    runtime.images().ok_or_else(|| lacks(runtime, "image store"))
}

fn volumes(runtime: &dyn Runtime) -> Result<&dyn Volumes, Error> {
    runtime.volumes().ok_or_else(|| lacks(runtime, "volumes"))
}

fn lacks(runtime: &dyn Runtime, what: &str) -> Error {
    let message = format!("the {} backend has no {what} of its own", runtime.name());
    Error::new(Status::Unsupported, message)
}

fn json(value: &impl Serialize) -> Result<Done, Error> {
    serde_json::to_string(value).map(Done::Json).map_err(|error| {
        let message = format!("the answer cannot be written as JSON: {error}");
        Error::new(Status::InternalError, message)
    })
}
