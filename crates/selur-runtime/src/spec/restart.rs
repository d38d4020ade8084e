//! When a process that ended is started again.

use super::SpecError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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
            // They promise a start after a reboot, and nothing here keeps that yet.
            "always" | "unless-stopped" => Err(SpecError::unsupported(format!(
                "restart: {text} is not built, because nothing starts containers after a reboot: use on-failure"
            ))),
            _ => {
                let most = text.strip_prefix("on-failure:").ok_or_else(refuse)?;
                let is_number = most.bytes().all(|byte| byte.is_ascii_digit());
                let most = is_number.then(|| most.parse().ok()).flatten();
                most.map(|most| RestartPolicy::OnFailure(Some(most)))
                    .ok_or_else(refuse)
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

impl JsonSchema for RestartPolicy {
    fn schema_name() -> Cow<'static, str> {
        "RestartPolicy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whether a process that ended by itself with a code other than 0 is started again: without \
                            end, or at most n times in a row.",
            "type": "string",
            "pattern": "^(no|on-failure(:[0-9]{1,10})?)$",
        })
    }
}
