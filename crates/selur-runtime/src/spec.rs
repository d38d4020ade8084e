//! The container specification: the third field of `create_container`, in JSON.

use crate::RuntimeError;
use selur_protocol::{Signal, Status};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a container is to run. What is absent comes from the image, else from the defaults named here.
///
/// An unknown field is an error that names the field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContainerSpec {
    /// Instead of the image's command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Instead of the image's entrypoint; with it, the image's command is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=VALUE`, over the image's environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// An absolute path in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// `user`, `user:group`, names or numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The first 12 digits of the id unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Over the image's labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Which network the container sees.
    pub network: NetworkMode,
    /// When the image is pulled.
    pub pull: PullPolicy,
    /// Whether the process is started again when it ends by itself: `no`, `on-failure` or `on-failure:n`.
    pub restart: RestartPolicy,
    /// What stop sends first; the image's, else SIGTERM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long stop waits before SIGKILL, in milliseconds; 10,000 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout_ms: Option<u32>,
    /// Whether the process has a standard input that can be attached to; else it is empty.
    pub stdin: bool,
    /// Whether the process has a terminal; standard error is then part of standard output.
    pub terminal: bool,
}

/// Which network a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// A network of its own with nothing but loopback.
    #[default]
    None,
    /// The host's.
    Host,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// If the store lacks it.
    #[default]
    Missing,
    /// Before every create.
    Always,
    /// Never: a missing image is `image_not_found`.
    Never,
}

/// Whether a process that ended by itself is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// If the exit code is not 0, at most so often in a row; none is without end.
    OnFailure(Option<u32>),
}

/// Why a specification is refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SpecError {
    status: Status,
    message: String,
}

impl SpecError {
    pub(crate) fn invalid(message: impl Into<String>) -> SpecError {
        SpecError {
            status: Status::InvalidRequest,
            message: message.into(),
        }
    }

    /// `invalid_request`, or `unsupported` for what is known and not built.
    pub fn status(&self) -> Status {
        self.status
    }
}

impl From<SpecError> for RuntimeError {
    fn from(error: SpecError) -> RuntimeError {
        RuntimeError::new(error.status, error.message)
    }
}

/// Checks what every process is given.
pub(crate) fn check_process(
    environment: &[String],
    working_directory: Option<&str>,
) -> Result<(), SpecError> {
    let is_assignment = |entry: &&String| !matches!(entry.find('='), Some(1..));
    if let Some(entry) = environment.iter().find(is_assignment) {
        return Err(SpecError::invalid(format!(
            "environment: {entry:?} is not of the form KEY=VALUE"
        )));
    }
    match working_directory {
        Some(path) if !path.starts_with('/') => Err(SpecError::invalid(format!(
            "working_directory: {path:?} is not absolute: begin it with /"
        ))),
        _ => Ok(()),
    }
}

/// Refuses texts that no process can be given.
pub(crate) fn refuse_nul<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<(), SpecError> {
    match texts.into_iter().find(|text| text.contains('\0')) {
        Some(text) => Err(SpecError::invalid(format!(
            "{text:?} contains a NUL byte, which no process can be given"
        ))),
        None => Ok(()),
    }
}

impl ContainerSpec {
    /// Reads and checks a specification.
    ///
    /// # Errors
    /// The JSON is malformed, a field is unknown (it is named), or a value is out of its range.
    pub fn from_json(json: &str) -> Result<ContainerSpec, SpecError> {
        let spec: ContainerSpec = serde_json::from_str(json).map_err(|error| {
            SpecError::invalid(format!("the container specification is refused: {error}"))
        })?;
        spec.check()?;
        Ok(spec)
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// A value is out of its range; the message names the field.
    pub fn check(&self) -> Result<(), SpecError> {
        let refuse = |text: String| Err(SpecError::invalid(text));
        check_process(&self.environment, self.working_directory.as_deref())?;
        if let Some(signal) = self
            .stop_signal
            .as_deref()
            .filter(|signal| Signal::parse(signal).is_none())
        {
            return refuse(format!(
                "stop_signal: {signal:?} is no signal: write SIGTERM or a number from 1 to 64"
            ));
        }
        if self.entrypoint.as_ref().is_some_and(Vec::is_empty)
            && self.command.as_ref().is_none_or(Vec::is_empty)
        {
            return refuse("entrypoint: an empty entrypoint needs a command".into());
        }
        let texts = [&self.entrypoint, &self.command]
            .into_iter()
            .flatten()
            .flatten()
            .chain(&self.environment);
        let texts = texts
            .chain(&self.working_directory)
            .chain(&self.user)
            .chain(&self.hostname);
        refuse_nul(texts)
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = SpecError;

    fn try_from(text: String) -> Result<RestartPolicy, SpecError> {
        let refuse = || {
            SpecError::invalid(format!(
                "restart: {text:?} is none of no, on-failure and on-failure:n"
            ))
        };
        match text.as_str() {
            "no" => Ok(RestartPolicy::No),
            "on-failure" => Ok(RestartPolicy::OnFailure(None)),
            _ => {
                let most = text.strip_prefix("on-failure:").ok_or_else(refuse)?;
                most.parse()
                    .map(|most| RestartPolicy::OnFailure(Some(most)))
                    .map_err(|_| refuse())
            }
        }
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> String {
        match policy {
            RestartPolicy::No => "no".into(),
            RestartPolicy::OnFailure(None) => "on-failure".into(),
            RestartPolicy::OnFailure(Some(most)) => format!("on-failure:{most}"),
        }
    }
}
