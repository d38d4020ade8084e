//! What was asked for when a container was made, with everything that the image adds: `container.json`.

use super::failure;
use crate::store::{ImageConfig, ImageContent};
use crate::{ContainerSpec, NetworkMode, RuntimeError};
use selur_protocol::{ContainerId, Signal, Status};
use selur_shim::{Home, Moment, SCHEMA_VERSION};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::PathBuf;

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Source: DESIGN, "Defaults".
const DEFAULT_STOP_TIMEOUT_MS: u32 = 10_000;

/// Invariant: it never changes once the container exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Config {
    pub(super) schema: u32,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) image: String,
    pub(super) image_digest: String,
    /// The image's layers, bottom first; the container's pin keeps them.
    pub(super) layers: Vec<PathBuf>,
    pub(super) created_at: String,
    pub(super) spec: ContainerSpec,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<String>,
    pub(super) working_directory: String,
    pub(super) hostname: String,
    pub(super) user: String,
    pub(super) stop_signal: u8,
    pub(super) stop_timeout_ms: u32,
}

impl Config {
    /// Joins what was asked for with what the image says.
    ///
    /// # Errors
    /// `invalid_request`: there is nothing to run, or a value that no process can be given; the message names it.
    pub(super) fn new(
        id: ContainerId,
        name: Option<String>,
        image: String,
        spec: ContainerSpec,
        content: &ImageContent,
    ) -> Result<Config, RuntimeError> {
        let of_image = &content.config;
        let arguments = arguments(&spec, of_image);
        if arguments.first().is_none_or(String::is_empty) {
            return refuse(format!("{image} names no command: say which one to run"));
        }
        let hostname = hostname(id, &spec);
        let mut labels = of_image.labels.clone();
        labels.extend(spec.labels.clone());
        let stop_signal = [spec.stop_signal.as_deref(), Some(of_image.stop_signal.as_str())]
            .into_iter()
            .flatten()
            .find_map(Signal::parse)
            .unwrap_or(Signal::TERM);
        let config = Config {
            schema: SCHEMA_VERSION,
            id: id.to_string(),
            name,
            image,
            image_digest: content.manifest_digest.clone(),
            layers: content.layers.clone(),
            created_at: Moment::now().to_rfc3339(),
            environment: environment(&spec, of_image, &hostname),
            working_directory: working_directory(&spec, of_image),
            user: spec.user.clone().unwrap_or_else(|| of_image.user.clone()),
            stop_signal: stop_signal.number(),
            stop_timeout_ms: spec.stop_timeout_ms.unwrap_or(DEFAULT_STOP_TIMEOUT_MS),
            spec,
            labels,
            arguments,
            hostname,
        };
        let texts = config.arguments.iter().chain(&config.environment);
        let texts = texts.chain([&config.working_directory, &config.user]);
        if let Some(text) = texts.into_iter().find(|text| text.contains('\0')) {
            return refuse(format!(
                "{text:?} contains a NUL byte, which no process can be given"
            ));
        }
        Ok(config)
    }

    /// Reads a container's configuration; nothing if there is none.
    pub(super) fn read(home: &Home) -> Result<Option<Config>, RuntimeError> {
        let path = home.config();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failure::io("cannot read the container's configuration", error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let message = format!(
                "{} cannot be read: delete the container with force",
                path.display()
            );
            RuntimeError::with_source(Status::InternalError, message, error)
        })
    }
}

/// Source: Docker: an entrypoint that is given puts the image's command out of use.
fn arguments(spec: &ContainerSpec, image: &ImageConfig) -> Vec<String> {
    let (entrypoint, command) = match (&spec.entrypoint, &spec.command) {
        (Some(entrypoint), command) => (entrypoint, command.as_ref()),
        (None, Some(command)) => (&image.entrypoint, Some(command)),
        (None, None) => (&image.entrypoint, Some(&image.cmd)),
    };
    entrypoint
        .iter()
        .chain(command.into_iter().flatten())
        .cloned()
        .collect()
}

/// PATH and HOSTNAME, the image's, what was asked for: the last of a name counts.
fn environment(spec: &ContainerSpec, image: &ImageConfig, hostname: &str) -> Vec<String> {
    let defaults = [DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    let mut environment: Vec<String> = Vec::new();
    let mut places = HashMap::new();
    for entry in defaults.iter().chain(&image.env).chain(&spec.environment) {
        // One without a name cannot be given to a process.
        let Some((name, _)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            continue;
        };
        let place = *places.entry(name).or_insert(environment.len());
        match environment.get_mut(place) {
            Some(known) => known.clone_from(entry),
            None => environment.push(entry.clone()),
        }
    }
    environment
}

fn working_directory(spec: &ContainerSpec, image: &ImageConfig) -> String {
    let path = spec.working_directory.as_ref().unwrap_or(&image.working_dir);
    if path.starts_with('/') {
        path.clone()
    } else {
        format!("/{path}")
    }
}

fn hostname(id: ContainerId, spec: &ContainerSpec) -> String {
    let own = || id.to_string().chars().take(12).collect();
    match (&spec.hostname, spec.network) {
        (Some(hostname), _) => hostname.clone(),
        (None, NetworkMode::None) => own(),
        (None, NetworkMode::Host) => {
            let host = fs::read_to_string("/proc/sys/kernel/hostname");
            host.map_or_else(|_| own(), |name| name.trim().to_owned())
        }
    }
}

fn refuse<T>(message: String) -> Result<T, RuntimeError> {
    Err(RuntimeError::new(Status::InvalidRequest, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn entrypoint_and_command_are_joined_as_docker_joins_them() {
        let image = ImageConfig {
            entrypoint: words(&["/entry"]),
            cmd: words(&["serve"]),
            ..ImageConfig::default()
        };
        let some = |texts: &[&str]| Some(words(texts));
        let cases = [
            (None, None, &["/entry", "serve"][..]),
            (None, some(&["check"]), &["/entry", "check"]),
            (some(&["/other"]), None, &["/other"]),
            (some(&["/other"]), some(&["x"]), &["/other", "x"]),
            (some(&[]), some(&["x"]), &["x"]),
        ];
        for (entrypoint, command, expected) in cases {
            let spec = ContainerSpec {
                entrypoint,
                command,
                ..ContainerSpec::default()
            };
            assert_eq!(arguments(&spec, &image), expected);
        }
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let image = ImageConfig {
            env: words(&["PATH=/bin", "A=1", "broken", "=nameless"]),
            ..ImageConfig::default()
        };
        let spec = ContainerSpec {
            environment: words(&["A=2=3", "B="]),
            ..ContainerSpec::default()
        };
        assert_eq!(
            environment(&spec, &image, "h"),
            ["PATH=/bin", "HOSTNAME=h", "A=2=3", "B="]
        );
    }

    #[test]
    fn an_image_with_very_many_variables_costs_no_more_than_reading_them() {
        let image = ImageConfig {
            env: (0..200_000).map(|number| format!("A{number}=x")).collect(),
            ..ImageConfig::default()
        };
        // Comparing each with each would take minutes.
        let begin = std::time::Instant::now();
        assert_eq!(environment(&ContainerSpec::default(), &image, "h").len(), 200_002);
        assert!(begin.elapsed() < std::time::Duration::from_secs(20));
    }
}
