//! Why a specification is refused, and the one way in which specifications are read from JSON.

use super::RestartPolicy;
use super::object::Object;
use crate::RuntimeError;
use selur_protocol::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;

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

    pub(crate) fn unsupported(message: impl Into<String>) -> SpecError {
        SpecError {
            status: Status::Unsupported,
            message: message.into(),
        }
    }

    /// `invalid_request`, or `unsupported` for what is known and not built.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The same refusal of an entry of a list: `mounts[2].target` instead of `target`.
    pub(super) fn within(self, place: impl std::fmt::Display) -> SpecError {
        SpecError {
            message: format!("{place}{}", self.message),
            ..self
        }
    }
}

impl From<SpecError> for RuntimeError {
    fn from(error: SpecError) -> RuntimeError {
        RuntimeError::new(error.status, error.message)
    }
}

/// Reads JSON strictly. What is wrong within a field is told with its path: `mounts[0]`.
pub(crate) fn read<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, SpecError> {
    let mut source = serde_json::Deserializer::from_str(json);
    let read = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        let words = error.into_inner().to_string();
        // The message of an unknown field at the top names it already.
        if path == "." || words.starts_with(&format!("unknown field `{path}`")) {
            words
        } else {
            format!("{path}: {words}")
        }
    });
    let read = read.and_then(|Object(value)| source.end().map(|()| value).map_err(|error| error.to_string()));
    read.map_err(|words| {
        known_policy(json).unwrap_or_else(|| SpecError::invalid(format!("{what} is refused: {words}")))
    })
}

/// serde makes a text of every refusal. One that has a status of its own is found again by its value.
fn known_policy(json: &str) -> Option<SpecError> {
    #[derive(Deserialize)]
    struct Part {
        restart: String,
    }
    let Object::<Part>(part) = serde_json::from_str(json).ok()?;
    let refusal = RestartPolicy::try_from(part.restart).err()?;
    (refusal.status == Status::Unsupported).then_some(refusal)
}
