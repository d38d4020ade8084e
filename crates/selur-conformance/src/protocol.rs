//! The protocol as data: what `conformance/protocol.json` holds.
//!
//! Everything is read from selur-protocol, never written twice; only the state table is told here, and every cell of
//! it is a vector.

use crate::generated::{Error, Generated};
use selur_protocol::{Command, Reason, Signal, State, Status, abi};
use selur_runtime::ContainerSpec;
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole of `protocol.json`.
#[derive(Debug, Serialize)]
pub struct Protocol {
    /// Who wrote the file.
    pub generated_by: &'static str,
    /// The version of the guest ABI.
    pub abi_version: u32,
    /// Every limit of the protocol.
    pub limits: Limits,
    /// Every command that is built.
    pub commands: Vec<CommandEntry>,
    /// Codes that no command will ever have: first and last.
    pub never_assigned_commands: [u8; 2],
    /// Every status.
    pub statuses: Vec<Code>,
    /// Every state.
    pub states: Vec<Code>,
    /// What the kernel says behind a failure, with the status that goes with it.
    pub reasons: Vec<ReasonEntry>,
    /// The signals that have a name, as kill_container takes them.
    pub signals: BTreeMap<u8, String>,
    /// The specification that no third field means.
    pub default_spec: ContainerSpec,
    /// What a command does to a container in a state.
    pub state_table: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
}

/// A code and its name.
#[derive(Debug, Serialize)]
pub struct Code {
    /// On the wire.
    pub code: u8,
    /// The same in every language.
    pub name: &'static str,
}

/// A command, and what goes in and comes out.
#[derive(Debug, Serialize)]
pub struct CommandEntry {
    /// On the wire.
    pub code: u8,
    /// The same in every language.
    pub name: &'static str,
    /// The fields of its payload, which NUL separates; those in brackets may be left out.
    pub payload: &'static str,
    /// The data on success; empty for none.
    pub data: &'static str,
}

/// A reason of the kernel.
#[derive(Debug, Serialize)]
pub struct ReasonEntry {
    /// In the guest ABI.
    pub code: u8,
    /// In snake_case.
    pub name: String,
    /// The name of the status that the response carries.
    pub status: &'static str,
    /// For people.
    pub message: &'static str,
}

/// The limits of the protocol.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "each name says what it is, with its unit")]
pub struct Limits {
    pub header_bytes: usize,
    pub max_payload_bytes: usize,
    pub max_frame_bytes: usize,
    pub max_response_bytes: usize,
    pub max_spec_bytes: usize,
    pub max_options_bytes: usize,
    pub max_name_bytes: usize,
    pub id_digits: usize,
    pub min_prefix_digits: usize,
    pub memory_pages: u32,
}

/// The state table. Source: DESIGN, "States"; the columns are created, running, paused, restarting, stopped.
pub const STATE_TABLE: [(&str, [&str; 5]); 15] = [
    (
        "start_container",
        ["starts", "nothing", "invalid_state", "nothing", "starts"],
    ),
    (
        "stop_container",
        ["nothing", "stops", "thaws, stops", "ends restarting", "nothing"],
    ),
    (
        "kill_container",
        [
            "invalid_state",
            "signals",
            "signals",
            "ends restarting",
            "invalid_state",
        ],
    ),
    (
        "pause_container",
        [
            "invalid_state",
            "pauses",
            "nothing",
            "invalid_state",
            "invalid_state",
        ],
    ),
    (
        "resume_container",
        [
            "invalid_state",
            "nothing",
            "resumes",
            "invalid_state",
            "invalid_state",
        ],
    ),
    (
        "delete_container",
        [
            "deletes",
            "invalid_state",
            "invalid_state",
            "invalid_state",
            "deletes",
        ],
    ),
    (
        "delete_container force",
        [
            "deletes",
            "kills, deletes",
            "kills, deletes",
            "kills, deletes",
            "deletes",
        ],
    ),
    ("wait_container", ["waits", "waits", "waits", "waits", "answers"]),
    (
        "inspect_container",
        ["answers", "answers", "answers", "answers", "answers"],
    ),
    ("list_containers", ["lists", "lists", "lists", "lists", "lists"]),
    (
        "exec",
        [
            "invalid_state",
            "runs",
            "invalid_state",
            "invalid_state",
            "invalid_state",
        ],
    ),
    ("logs", ["opens", "opens", "opens", "opens", "opens"]),
    ("attach", ["opens", "opens", "opens", "opens", "invalid_state"]),
    (
        "stats",
        [
            "invalid_state",
            "opens",
            "opens",
            "invalid_state",
            "invalid_state",
        ],
    ),
    (
        "top",
        [
            "invalid_state",
            "answers",
            "answers",
            "invalid_state",
            "invalid_state",
        ],
    ),
];

impl Protocol {
    /// The protocol as selur-protocol has it.
    pub fn current() -> Protocol {
        let states = State::ALL.map(State::name);
        let row = |(command, cells): (&'static str, [&'static str; 5])| {
            (command, states.into_iter().zip(cells).collect())
        };
        Protocol {
            generated_by: "cargo run -p selur-conformance --bin protocol-json -- --write",
            abi_version: abi::ABI_VERSION,
            limits: Limits {
                header_bytes: selur_protocol::HEADER_BYTES,
                max_payload_bytes: selur_protocol::MAX_PAYLOAD_BYTES,
                max_frame_bytes: selur_protocol::MAX_FRAME_BYTES,
                max_response_bytes: selur_protocol::MAX_RESPONSE_BYTES,
                max_spec_bytes: selur_protocol::MAX_SPEC_BYTES,
                max_options_bytes: selur_protocol::MAX_OPTIONS_BYTES,
                max_name_bytes: selur_protocol::MAX_NAME_BYTES,
                id_digits: selur_protocol::ContainerId::HEX_BYTES,
                min_prefix_digits: selur_protocol::MIN_PREFIX_DIGITS,
                memory_pages: abi::MEMORY_PAGES,
            },
            commands: Command::ALL
                .map(|command| {
                    let (payload, data) = fields(command);
                    CommandEntry {
                        code: command.code(),
                        name: command.name(),
                        payload,
                        data,
                    }
                })
                .into(),
            never_assigned_commands: [0xF0, 0xFF],
            statuses: Status::ALL
                .map(|status| Code {
                    code: status.code(),
                    name: status.name(),
                })
                .into(),
            states: State::ALL
                .map(|state| Code {
                    code: state.code(),
                    name: state.name(),
                })
                .into(),
            reasons: Reason::ALL.iter().map(reason).collect(),
            signals: (1..=64).filter_map(signal).collect(),
            default_spec: ContainerSpec::default(),
            state_table: STATE_TABLE.into_iter().map(row).collect(),
        }
    }

    /// The file as it should be committed.
    ///
    /// # Errors
    /// None that the types allow; serde_json's signature has one.
    pub fn generated() -> Result<Generated, Error> {
        Ok(Generated {
            path: crate::directory().join("protocol.json"),
            text: crate::json::to_text(&Protocol::current())?,
        })
    }
}

/// The payload of a command, and the data of its success.
fn fields(command: Command) -> (&'static str, &'static str) {
    match command {
        Command::Ping => ("any text, NUL included", "the same bytes"),
        Command::CreateContainer => (
            "image [, name [, specification]]",
            "the new container's id: 32 hex digits",
        ),
        Command::StartContainer | Command::PauseContainer | Command::ResumeContainer => ("container", ""),
        Command::StopContainer => ("container [, timeout]", ""),
        Command::InspectContainer => ("container", "JSON: an inspect document"),
        Command::DeleteContainer => ("container [, `force`]", ""),
        Command::ListContainers => (
            "",
            "ids, one a line, oldest first; the last line has no line feed",
        ),
        Command::KillContainer => ("container [, signal]", ""),
        Command::WaitContainer => ("container", "the exit code in decimal; empty if nobody knows it"),
        Command::Exec => ("container, exec specification", "a stream's id"),
        Command::Logs | Command::Attach | Command::Stats => ("container [, options]", "a stream's id"),
        Command::Top => ("container", "JSON: a list of processes"),
        Command::Events => ("[options]", "a stream's id"),
        Command::PullImage => (
            "image [, options]",
            "JSON: the image; with `\"progress\":true` a stream's id",
        ),
        Command::PushImage => (
            "image [, options]",
            "JSON: reference and digest; with `\"progress\":true` a stream's id",
        ),
        Command::ListImages => ("", "JSON: a list of images, ordered by reference"),
        Command::DeleteImage => ("image", ""),
        Command::LoadImage => ("path [, options]", "JSON: a list of the images"),
        Command::TagImage => ("image, image: its new name", ""),
        Command::PruneImages => ("[options]", "JSON: what was removed"),
        Command::CreateVolume => ("volume [, options]", "JSON: the volume"),
        Command::InspectVolume => ("volume", "JSON: the volume"),
        Command::ListVolumes => ("", "JSON: a list of volumes, ordered by name"),
        Command::DeleteVolume => ("volume", ""),
    }
}

fn reason(reason: &Reason) -> ReasonEntry {
    ReasonEntry {
        code: reason.code(),
        name: snake_case(&format!("{reason:?}")),
        status: reason.status().name(),
        message: reason.message(),
    }
}

fn signal(number: u8) -> Option<(u8, String)> {
    let name = Signal::from_number(number)?.name()?;
    Some((number, format!("SIG{name}")))
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
