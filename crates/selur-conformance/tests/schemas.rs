//! The committed JSON Schemas are what the types say, and are strict.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use selur_conformance::schemas;
use selur_runtime::{
    Capabilities, ContainerSpec, Inspection, Mount, Resources, RestartPolicy, Volume, VolumeOptions,
};
use serde_json::Value;
use std::collections::BTreeSet;

fn schema(name: &str) -> Value {
    let path = schemas::directory().join(format!("{name}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn required(schema: &Value) -> BTreeSet<String> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// A specification in which nothing is left out.
fn whole_spec() -> ContainerSpec {
    let text = |text: &str| Some(text.to_string());
    ContainerSpec {
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
        mounts: vec![Mount::Tmpfs {
            target: "/t".into(),
            size_bytes: Some(4096),
            mode: text("755"),
            read_only: false,
        }],
        resources: Resources {
            memory_bytes: Some(1 << 30),
            cpus: Some(1.0),
            pids: Some(1),
        },
        capabilities: Capabilities {
            add: vec!["ALL".into()],
            drop: vec!["KILL".into()],
        },
        extra_hosts: vec!["a:::1".into()],
        ..ContainerSpec::default()
    }
}

#[test]
fn the_committed_schemas_are_current_and_there_are_no_others() {
    let generated = schemas::generated().unwrap();
    for file in &generated {
        assert!(file.is_current(), "{}: run scripts/generate", file.path.display());
    }
    let committed = std::fs::read_dir(schemas::directory()).unwrap().count();
    assert_eq!(committed, generated.len());
}

#[test]
fn every_object_is_strict_and_every_field_described() {
    for file in schemas::generated().unwrap() {
        let path = file.path.display().to_string();
        check(&serde_json::from_str(&file.text).unwrap(), &path);
    }
}

fn check(value: &Value, place: &str) {
    match value {
        Value::Array(items) => {
            for item in items {
                check(item, place);
            }
        }
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                assert_eq!(
                    fields.get("additionalProperties"),
                    Some(&Value::Bool(false)),
                    "{place}"
                );
                // A variant of an enum has its description outside, beside the one field that names it.
                let is_variant = properties.len() == 1 && fields.contains_key("description");
                for (name, property) in properties {
                    let says = property.get("description").is_some()
                        || property.get("const").is_some()
                        || is_variant;
                    assert!(says, "{place}: {name} is not described");
                }
            }
            for (name, field) in fields {
                check(field, &format!("{place} {name}"));
            }
        }
        _ => {}
    }
}

#[test]
fn the_schemas_have_the_fields_of_the_types() {
    let spec = serde_json::to_value(whole_spec()).unwrap();
    let of_spec = schema("container-spec");
    assert_eq!(keys(&of_spec["properties"]), keys(&spec));
    assert_eq!(required(&of_spec), BTreeSet::new(), "every field may be absent");
    for (definition, field) in [("Resources", "resources"), ("Capabilities", "capabilities")] {
        assert_eq!(
            keys(&of_spec["$defs"][definition]["properties"]),
            keys(&spec[field])
        );
    }

    let inspection = Inspection {
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
        spec: whole_spec(),
        labels: Default::default(),
    };
    let inspection = keys(&serde_json::to_value(inspection).unwrap());
    let of_inspection = schema("inspection");
    assert_eq!(keys(&of_inspection["properties"]), inspection);
    assert_eq!(
        required(&of_inspection),
        inspection,
        "inspect leaves out no field"
    );

    let volume = Volume {
        name: "data".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
        path: None,
        labels: Default::default(),
        containers: Vec::new(),
    };
    let volume = keys(&serde_json::to_value(volume).unwrap());
    assert_eq!(required(&schema("volume")), volume);
    let options = VolumeOptions {
        labels: [("a".into(), "b".into())].into(),
    };
    assert_eq!(
        keys(&schema("volume-options")["properties"]),
        keys(&serde_json::to_value(options).unwrap())
    );
}

#[test]
fn ranges_and_patterns_are_in_the_schema() {
    let spec = schema("container-spec");
    let at = |pointer: &str| {
        spec.pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer}: {spec}"))
            .clone()
    };
    assert_eq!(at("/$defs/Resources/properties/memory_bytes/minimum"), 6 << 20);
    assert_eq!(at("/$defs/Resources/properties/pids/maximum"), 4 << 20);
    assert_eq!(
        at("/$defs/RestartPolicy/pattern"),
        "^(no|on-failure(:[0-9]{1,10})?)$"
    );
    assert_eq!(at("/properties/working_directory/pattern"), "^/");
    let kinds = at("/$defs/Mount/oneOf");
    assert_eq!(kinds.as_array().unwrap().len(), 3);
    for kind in kinds.as_array().unwrap() {
        assert!(
            required(kind).contains("target") && required(kind).contains("type"),
            "{kind}"
        );
    }
}
