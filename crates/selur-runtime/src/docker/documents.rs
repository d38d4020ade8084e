//! What the daemon says of containers, read leniently.
//!
//! bollard's types know what Docker's daemon may say, and refuse the rest: podman says `stopped` and `initialized` where
//! its interface is Docker's, and null where Docker has an empty list. A field that is missing or of no use is absent
//! here, and never a reason to refuse the whole.

use jiff::Timestamp;
use selur_protocol::State;
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;

/// `GET /containers/ID/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) restart_count: i64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) state: InspectedState,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) config: InspectedConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct InspectedState {
    #[serde(deserialize_with = "lenient")]
    pub(super) status: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) pid: i64,
    #[serde(deserialize_with = "lenient")]
    pub(super) exit_code: i64,
    #[serde(deserialize_with = "lenient")]
    pub(super) started_at: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) finished_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct InspectedConfig {
    #[serde(deserialize_with = "lenient")]
    pub(super) labels: HashMap<String, String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) stop_signal: String,
}

/// An entry of `GET /containers/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) names: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) image: String,
    #[serde(default, rename = "ImageID", deserialize_with = "lenient")]
    pub(super) image_id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created: i64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) labels: HashMap<String, String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) state: String,
}

/// `GET /images/NAME/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectedImage {
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) repo_digests: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) size: i64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) config: ImageConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ImageConfig {
    #[serde(deserialize_with = "lenient")]
    pub(super) entrypoint: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) cmd: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) labels: HashMap<String, String>,
}

/// An entry of `GET /images/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedImage {
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) repo_digests: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created: i64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) size: i64,
}

/// `GET /exec/ID/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectedExec {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) running: bool,
    #[serde(default)]
    pub(super) exit_code: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) pid: i64,
}

/// A volume.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectedVolume {
    pub(super) name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) mountpoint: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created_at: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) labels: HashMap<String, String>,
}

/// `GET /volumes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedVolumes {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) volumes: Vec<InspectedVolume>,
}

/// A document with an id: what making something answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Made {
    pub(super) id: String,
}

/// A line of what a pull, a push or a load tells.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) stream: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) error: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) error_detail: ErrorDetail,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) progress_detail: ProgressDetail,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) aux: Aux,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorDetail {
    #[serde(deserialize_with = "lenient")]
    pub(super) message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProgressDetail {
    #[serde(deserialize_with = "lenient")]
    pub(super) current: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Aux {
    #[serde(deserialize_with = "lenient")]
    pub(super) digest: String,
}

/// A line of `GET /events`.
#[derive(Debug, Deserialize)]
pub(super) struct Happened {
    #[serde(default, rename = "Type", deserialize_with = "lenient")]
    pub(super) about: String,
    #[serde(default, rename = "Action", deserialize_with = "lenient")]
    pub(super) action: String,
    #[serde(default, rename = "Actor", deserialize_with = "lenient")]
    pub(super) actor: Actor,
    #[serde(default, rename = "timeNano", deserialize_with = "lenient")]
    pub(super) time_ns: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Actor {
    #[serde(rename = "ID", deserialize_with = "lenient")]
    pub(super) id: String,
    #[serde(rename = "Attributes", deserialize_with = "lenient")]
    pub(super) attributes: HashMap<String, String>,
}

/// The value, or the default where it is null or of another type.
fn lenient<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(source: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Value(T),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Either::deserialize(source)? {
        Either::Value(value) => value,
        Either::Other(_) => T::default(),
    })
}

/// A moment of the daemon's, in nanoseconds since the Unix epoch; nothing where it stands for never.
pub(super) fn moment(text: &str) -> Option<u64> {
    let nanoseconds = text.parse::<Timestamp>().ok()?.as_nanosecond();
    u64::try_from(nanoseconds)
        .ok()
        .filter(|nanoseconds| *nanoseconds > 0)
}

/// The state that a word of the daemon's stands for. What is not known does not run.
///
/// Source: moby `container/state.go`, podman `libpod/define/containerstate.go`.
pub(super) fn state(word: &str) -> State {
    match word {
        "created" | "configured" | "initialized" => State::Created,
        "running" | "stopping" => State::Running,
        "paused" => State::Paused,
        "restarting" => State::Restarting,
        _ => State::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_or_strange_is_absent() {
        let text = r#"{"Id":"x","Name":null,"RestartCount":"many","State":{"Status":"stopped","Pid":null},
            "Config":{"Labels":null,"StopSignal":15}}"#;
        let inspected: Inspected = serde_json::from_str(text).expect("lenient");
        assert_eq!((inspected.name.as_str(), inspected.restart_count), ("", 0));
        assert_eq!(state(&inspected.state.status), State::Stopped);
        assert!(inspected.config.labels.is_empty());
        assert!(
            serde_json::from_str::<Inspected>("{}").is_err(),
            "an id is needed"
        );
    }

    #[test]
    fn the_beginning_of_time_is_never() {
        assert_eq!(moment("0001-01-01T00:00:00Z"), None);
        assert_eq!(moment("soon"), None);
        assert_eq!(moment("1970-01-01T01:00:01.000000002+01:00"), Some(1_000_000_002));
    }
}
