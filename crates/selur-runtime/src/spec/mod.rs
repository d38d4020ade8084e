//! The container specification: the third field of `create_container`, in JSON.

mod capabilities;
mod hosts;
mod mounts;
pub(crate) mod object;
mod refusal;
mod resources;
mod restart;

pub use capabilities::Capabilities;
pub(crate) use capabilities::capability_name;
pub use mounts::Mount;
pub use refusal::SpecError;
pub use resources::Resources;
pub use restart::RestartPolicy;

pub(crate) use hosts::parse_extra as parse_extra_host;
pub(crate) use mounts::check_volume_name;
pub(crate) use refusal::read;

use schemars::JsonSchema;
use selur_protocol::Signal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a container is to run. What is absent comes from the image, else from the defaults named here.
///
/// An unknown field is an error that names the field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    #[schemars(inner(regex(pattern = r"^[^=\x00]+=")))]
    pub environment: Vec<String>,
    /// An absolute path in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub working_directory: Option<String>,
    /// `user`, `user:group`, names or numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The first 12 digits of the id unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_.-]{1,64}$"))]
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
    #[schemars(range(max = 4_294_967_295_u32))]
    pub stop_timeout_ms: Option<u32>,
    /// Whether the process has a standard input that can be attached to; else it is empty.
    pub stdin: bool,
    /// Whether the process has a terminal; standard error is then part of standard output.
    pub terminal: bool,
    /// What else the container sees at paths of its own.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "object::list")]
    pub mounts: Vec<Mount>,
    /// What it may use of the machine.
    #[serde(
        skip_serializing_if = "Resources::is_default",
        deserialize_with = "object::one"
    )]
    pub resources: Resources,
    /// Whether its root file system cannot be written to.
    pub read_only_root: bool,
    /// What its processes may do as root.
    #[serde(
        skip_serializing_if = "Capabilities::is_default",
        deserialize_with = "object::one"
    )]
    pub capabilities: Capabilities,
    /// `name:address`: machines whose addresses it knows without asking.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^[a-zA-Z0-9_.-]{1,253}:[0-9a-fA-F:.\[\]]+$")))]
    pub extra_hosts: Vec<String>,
}

/// Which network a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// A network of its own with nothing but loopback.
    #[default]
    None,
    /// The host's.
    Host,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// - `invalid_request`: the JSON is malformed, a field is unknown (it is named, with its path), or a value is out of
    ///   its range.
    /// - `unsupported`: the restart policy is `always` or `unless-stopped`.
    pub fn from_json(json: &str) -> Result<ContainerSpec, SpecError> {
        let spec: ContainerSpec = read("the container specification", json)?;
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
        if let Some(hostname) = &self.hostname {
            hosts::check_hostname(hostname)?;
        }
        mounts::check(&self.mounts)?;
        self.resources.check()?;
        self.capabilities.check()?;
        for entry in &self.extra_hosts {
            hosts::parse_extra(entry)?;
        }
        let texts = [&self.entrypoint, &self.command]
            .into_iter()
            .flatten()
            .flatten()
            .chain(&self.environment);
        let texts = texts.chain(&self.working_directory).chain(&self.user);
        refuse_nul(texts)
    }

    /// The names of the volumes that it mounts.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().filter_map(Mount::volume)
    }
}
