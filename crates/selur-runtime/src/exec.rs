//! What is run beside a container's first process: the second field of `exec`, in JSON.

use crate::{SpecError, TerminalSize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a further process runs in a running container. An unknown field is an error that names the field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExecSpec {
    /// The program, found on the container's `PATH`, and its arguments.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// `KEY=VALUE`, over the container's environment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^[^=\x00]+=")))]
    pub environment: Vec<String>,
    /// An absolute path in the container; the container's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^/"))]
    pub working_directory: Option<String>,
    /// `user`, `user:group`, names or numbers; the container's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether the process gets a terminal; standard error is then part of standard output.
    pub terminal: bool,
    /// The terminal's size at first.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::spec::object::optional"
    )]
    pub size: Option<TerminalSize>,
    /// Whether the process gets a standard input; else it is empty.
    pub stdin: bool,
}

impl ExecSpec {
    /// A program with arguments, without input and terminal.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> ExecSpec {
        ExecSpec {
            command: command.into_iter().map(Into::into).collect(),
            ..ExecSpec::default()
        }
    }

    /// Reads and checks a specification.
    ///
    /// # Errors
    /// The JSON is malformed, a field is unknown (it is named), or a value is out of its range.
    pub fn from_json(json: &str) -> Result<ExecSpec, SpecError> {
        let spec: ExecSpec = crate::spec::read("the exec specification", json)?;
        spec.check()?;
        Ok(spec)
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// A value is out of its range; the message names the field.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(SpecError::invalid("command: say which program to run"));
        }
        crate::spec::check_process(&self.environment, self.working_directory.as_deref())?;
        let texts = self.command.iter().chain(&self.environment);
        crate::spec::refuse_nul(texts.chain(&self.working_directory).chain(&self.user))
    }
}
