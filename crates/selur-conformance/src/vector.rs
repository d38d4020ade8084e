//! The format of the vectors, as types. `conformance/README.md` defines it for people.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One file of `conformance/vectors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorFile {
    /// Where the schema is, for editors.
    #[serde(rename = "$schema")]
    pub schema: String,
    /// What the vectors are about, in a sentence.
    pub description: String,
    /// The vectors. Each is replayed on a bridge of its own.
    pub vectors: Vec<Vector>,
}

/// A sequence of steps on a fresh bridge with the simulated backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Unique among all files; snake_case, a sentence.
    pub name: String,
    /// What it shows, where the name does not say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The bridge's default deadline, in milliseconds; none unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

/// One thing that a harness does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// Sends a frame and awaits its response.
    Request(Request),
    /// Sends a frame and goes on.
    Submit(Submit),
    /// Awaits the response of a frame that was submitted.
    Await(Await),
    /// Cancels a submitted frame, whose response still is to be awaited.
    Cancel(Cancel),
    /// Makes the process of a container end by itself.
    Exit(Exit),
}

/// Sends a frame and awaits its response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What is sent.
    pub request: FrameText,
    /// How often, one after another; each response is as expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Whether it is sent again until the response is as expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub eventually: bool,
    /// What comes back.
    pub expect: Expect,
}

/// Sends a frame and goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// What is sent.
    pub submit: FrameText,
    /// The name that the ticket has in this vector.
    #[serde(rename = "as")]
    pub ticket: String,
}

/// Awaits the response of a frame that was submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Await {
    /// The ticket's name.
    #[serde(rename = "await")]
    pub ticket: String,
    /// What comes back.
    pub expect: Expect,
}

/// Cancels a submitted frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The ticket's name.
    #[serde(rename = "cancel")]
    pub ticket: String,
}

/// Makes the process of a container end by itself: kill_container with SIGUSR1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// A container whose image is `fault.test/exit-on-usr1:CODE`.
    #[serde(rename = "exit")]
    pub container: String,
}

/// A request frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameText {
    /// The bytes of the whole frame, in hex. Excludes every other field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_hex: Option<String>,
    /// The command's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Instead of `command`: any byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// The payload as fields that are joined by NUL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<Text>>,
    /// The payload as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Text>,
    /// The payload in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_hex: Option<String>,
    /// What the header says instead of the payload's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
}

/// Text that may be long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// As it stands; `$name` is what was captured by that name.
    Plain(String),
    /// The same text many times.
    Repeat(Repeat),
    /// JSON, in any way that means the same.
    Json(JsonText),
}

/// The same text many times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// What.
    pub repeat: String,
    /// How often.
    pub count: u32,
    /// What stands before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub before: String,
    /// What stands behind it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub after: String,
}

/// JSON, in any way that means the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonText {
    /// The value.
    pub json: Value,
}

/// What a response must be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The status's name.
    pub status: String,
    /// On success: exactly these bytes. Without any of the four matchers the data must be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Text>,
    /// On success: what the data looks like. `container_id`: 32 lower-case hex digits; `stream_id`: a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_is: Option<String>,
    /// On success: exactly these lines in this order, separated by line feeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<String>>,
    /// On success: JSON that contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// On failure: the message contains each of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub message_contains: Vec<String>,
    /// On success: keeps the first so many bytes of the data under each name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capture: BTreeMap<String, usize>,
}

/// Reads every file of `conformance/vectors`, ordered by name.
///
/// # Errors
/// The directory cannot be read, or a file is not of the format; the message names it.
pub fn read_all() -> Result<Vec<(String, VectorFile)>, Box<dyn std::error::Error>> {
    let directory = crate::directory().join("vectors");
    let entries =
        std::fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let refuse = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|error| refuse(&error))?;
        let file = serde_json::from_str(&text).map_err(|error| refuse(&error))?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.push((name, file));
    }
    files.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(files)
}
