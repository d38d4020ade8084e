//! The committed protocol.json, the tables of docs/API.md and the schema of inspect are what the crates say.

use selur_conformance::docs;
use selur_conformance::generated::Generated;
use selur_conformance::protocol::{Protocol, STATE_TABLE};
use selur_runtime::{ContainerSpec, Inspection, RestartPolicy};
use serde_json::Value;
use std::collections::BTreeSet;

fn is_current(file: &Generated) {
    assert!(
        file.is_current(),
        "{}: run cargo run -p selur-conformance --bin protocol-json -- --write",
        file.path.display()
    );
}

#[test]
fn the_committed_protocol_is_current() {
    is_current(&Protocol::generated().unwrap());
}

#[test]
fn the_tables_of_the_documentation_are_current() {
    is_current(&docs::generated().unwrap());
}

#[test]
fn every_row_of_the_state_table_begins_with_a_command() {
    let protocol = Protocol::current();
    for (row, _) in STATE_TABLE {
        let command = row.split(' ').next().unwrap();
        assert!(
            protocol.commands.iter().any(|known| known.name == command),
            "{row}"
        );
    }
}

/// The schema is written by hand, for people; its fields must be those of the types.
#[test]
fn the_schema_of_inspect_has_the_fields_of_inspect() {
    let path = selur_conformance::directory().join("inspect.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |text: &str| Some(text.to_string());
    let spec = ContainerSpec {
        command: Some(Vec::new()),
        entrypoint: Some(Vec::new()),
        environment: vec!["A=1".into()],
        working_directory: text("/"),
        user: text("0"),
        hostname: text("h"),
        labels: [("a".to_string(), "b".to_string())].into(),
        restart: RestartPolicy::OnFailure(None),
        stop_signal: text("SIGTERM"),
        stop_timeout_ms: Some(1),
        ..ContainerSpec::default()
    };
    let whole = Inspection {
        id: "0".repeat(32),
        name: None,
        image: "docker.io/library/nginx:latest".into(),
        image_digest: None,
        state: "created".into(),
        pid: None,
        exit_code: None,
        created_at: "2026-01-01T00:00:00Z".into(),
        started_at: None,
        finished_at: None,
        restart_count: 0,
        spec,
        labels: Default::default(),
    };
    let whole = serde_json::to_value(whole).unwrap();
    let keys = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&schema["properties"]), keys(&whole));
    assert_eq!(keys(&schema["$defs"]["spec"]["properties"]), keys(&whole["spec"]));
    let required: BTreeSet<_> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap().to_string())
        .collect();
    assert_eq!(required, keys(&whole), "inspect leaves out no field");
}
