//! The committed vectors are what the catalogue writes, and cover what they must.

use selur_conformance::catalog;
use selur_conformance::protocol::STATE_TABLE;
use selur_conformance::vector::{Step, Vector, read_all};
use selur_protocol::{Command, State, Status};
use serde_json::Value;
use std::collections::BTreeSet;

fn vectors() -> Vec<Vector> {
    let files = catalog::files().into_iter();
    files.flat_map(|(_, file)| file.vectors).collect()
}

#[test]
fn the_committed_vectors_are_current() {
    for file in catalog::generated().unwrap() {
        assert!(
            file.is_current(),
            "{}: run cargo run -p selur-conformance --bin vectors-json -- --write",
            file.path.display()
        );
    }
    let committed: Vec<_> = read_all().unwrap().into_iter().map(|(name, _)| name).collect();
    let mut written: Vec<_> = catalog::files().into_iter().map(|(name, _)| name).collect();
    written.sort_unstable();
    assert_eq!(committed, written, "there is no file that nobody writes");
}

#[test]
fn every_vector_has_a_name_of_its_own() {
    let vectors = vectors();
    let names: BTreeSet<_> = vectors.iter().map(|vector| &vector.name).collect();
    assert_eq!(names.len(), vectors.len());
}

#[test]
fn every_cell_of_the_state_table_has_a_vector() {
    let vectors = vectors();
    for (row, _) in STATE_TABLE {
        let row = row
            .replace("_container force", "_force")
            .replace("_containers", "")
            .replace("_container", "");
        for state in State::ALL {
            let name = format!("{row}_of_a_{}_container", state.name());
            assert!(vectors.iter().any(|vector| vector.name == name), "{name}");
        }
    }
}

#[test]
fn every_command_is_sent_and_every_status_expected() {
    let (mut commands, mut statuses) = (BTreeSet::new(), BTreeSet::new());
    for step in vectors().into_iter().flat_map(|vector| vector.steps) {
        match step {
            Step::Request(step) => {
                commands.extend(step.request.command);
                statuses.insert(step.expect.status);
            }
            Step::Submit(step) => commands.extend(step.submit.command),
            Step::Await(step) => {
                statuses.insert(step.expect.status);
            }
            Step::Cancel(_) | Step::Exit(_) => {}
        }
    }
    let every: BTreeSet<_> = Command::ALL
        .into_iter()
        .map(|command| command.name().to_string())
        .collect();
    assert_eq!(commands, every);
    let every: BTreeSet<_> = Status::ALL
        .into_iter()
        .map(|status| status.name().to_string())
        .collect();
    assert_eq!(statuses, every);
}

/// The schema is written by hand; what it allows and what the vectors use must be the same keys.
#[test]
fn the_schema_has_the_keys_that_the_vectors_use() {
    let path = selur_conformance::directory().join("vectors.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut allowed = BTreeSet::new();
    collect_properties(&schema, &mut allowed);
    let mut used = BTreeSet::new();
    for (_, file) in read_all().unwrap() {
        collect_keys(&serde_json::to_value(file).unwrap(), &mut used);
    }
    assert_eq!(allowed, used);
}

fn collect_properties(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            fields.values().for_each(|value| collect_properties(value, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_properties(item, keys)),
        _ => {}
    }
}

fn collect_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                keys.insert(key.clone());
                // What is below these is the vectors' own.
                if !matches!(key.as_str(), "json" | "capture") {
                    collect_keys(value, keys);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}
