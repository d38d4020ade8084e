//! The options of `run` and `create` that make up a container's specification.

use crate::process::{Running, command, selur};
use crate::world::{IMAGE, World};
use serde_json::{Value, json};
use std::io::Write;

#[track_caller]
fn refused(options: &[&str]) -> String {
    selur(&[&["--runtime", "simulated", "create"], options, &["image"]].concat()).failed(1)
}

#[test]
fn each_option_is_a_field_of_the_specification() {
    let world = World::new();
    let source = world.root().to_str().unwrap().to_owned();
    let bind = format!("{source}:/host:ro");
    let options = [
        "create",
        "-v",
        &bind,
        "-v",
        "data:/data",
        "--mount",
        "type=tmpfs,target=/a,tmpfs-size=1m",
        "--tmpfs",
        "/b:mode=700",
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "--pids-limit",
        "20",
        "--read-only",
        "--cap-add",
        "net_admin",
        "--cap-drop",
        "ALL",
        "--add-host",
        "db:10.0.0.7",
        "--stop-signal",
        "SIGINT",
        "--stop-timeout",
        "2s",
        "-i",
        "-t",
        "--network",
        "host",
        IMAGE,
        "true",
    ];
    let id = world.selur(&options).ok().trim_end().to_owned();
    let spec = world.inspect(&id)["spec"].clone();
    let expected = json!({
        "command": ["true"], "network": "host", "pull": "missing", "restart": "no", "stop_signal": "SIGINT",
        "stop_timeout_ms": 2000, "stdin": true, "terminal": true, "read_only_root": true,
        "mounts": [
            { "type": "bind", "source": source, "target": "/host", "read_only": true },
            { "type": "volume", "source": "data", "target": "/data", "read_only": false },
            { "type": "tmpfs", "target": "/a", "size_bytes": 1_048_576, "read_only": false },
            { "type": "tmpfs", "target": "/b", "mode": "700", "read_only": false },
        ],
        "resources": { "memory_bytes": 67_108_864, "cpus": 0.5, "pids": 20 },
        "capabilities": { "add": ["NET_ADMIN"], "drop": ["ALL"] },
        "extra_hosts": ["db:10.0.0.7"],
    });
    assert_eq!(spec, expected);
}

#[test]
fn a_specification_in_a_file_is_changed_by_the_options() {
    let world = World::new();
    let file = world.root().join("spec.json");
    let spec = json!({
        "command": ["false"], "environment": ["A=1"], "network": "host", "restart": "on-failure:2",
        "resources": { "pids": 10, "cpus": 1.0 }, "labels": { "a": "1" },
    });
    std::fs::write(&file, spec.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let options = [
        "create",
        "--spec",
        file,
        "-e",
        "B=2",
        "--pids-limit",
        "20",
        "-l",
        "b=2",
        "--tmpfs",
        "/t",
        IMAGE,
        "true",
    ];
    let id = world.selur(&options).ok().trim_end().to_owned();
    let whole = world.inspect(&id)["spec"].clone();
    for (field, value) in [
        ("command", json!(["true"])),
        ("environment", json!(["A=1", "B=2"])),
        ("network", json!("host")),
        ("restart", json!("on-failure:2")),
        ("resources", json!({ "pids": 20, "cpus": 1.0 })),
        ("labels", json!({ "a": "1", "b": "2" })),
    ] {
        assert_eq!(whole[field], value, "{field}");
    }
    for (text, words) in [
        ("{\"colour\": 1}", "colour"),
        ("[", "refused"),
        ("{\"command\": [\"true\"]", "EOF"),
        ("{\"restart\": \"always\"}", "always"),
    ] {
        std::fs::write(file, text).unwrap();
        let said = world.selur(&["create", "--spec", file, IMAGE]).failed(1);
        assert!(said.contains(words) && said.contains(file), "{text}: {said}");
        assert!(!said.contains("?:"), "{text}: {said}");
    }
    let said = world
        .selur(&["create", "--spec", "/nonexistent/spec", IMAGE])
        .failed(1);
    assert!(said.contains("/nonexistent/spec"), "{said}");
}

#[test]
fn a_specification_comes_from_standard_input() {
    let create = |text: &str| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        drop(writer);
        let mut command = command(&["--runtime", "simulated", "create", "--spec", "-", "busybox"]);
        command.stdin(reader);
        Running::start(command).end()
    };
    assert_eq!(create("{\"command\": [\"true\"]}").ok().trim_end().len(), 32);
    let said = create("{\"colour\": 1}").failed(1);
    assert!(
        said.contains("standard input: ") && said.contains("colour"),
        "{said}"
    );
}

#[test]
fn options_out_of_their_range_say_what_to_write_instead() {
    let cases: [(&[&str], &str); 13] = [
        (&["--pids-limit", "5000000000"], "1 to 4194304"),
        (&["-v", "/data"], "SOURCE:TARGET"),
        (&["-v", "data:relative"], "mounts[0].target"),
        (&["-v", "../up:/../d"], "mounts[0].target"),
        (
            &["--mount", "type=nfs,source=a,target=/b"],
            "type=bind|volume|tmpfs",
        ),
        (&["--tmpfs", "/t:exec"], "TARGET:size=64m"),
        (&["-m", "much"], "such as 64m"),
        (&["-m", "1m"], "6 MiB"),
        (&["--cpus", "0"], "resources.cpus"),
        (&["--pids-limit", "0"], "resources.pids"),
        (&["--cap-add", "everything"], "NET_ADMIN"),
        (&["--add-host", "db"], "db:10.0.0.7"),
        (&["--restart", "unless-stopped"], "on-failure"),
    ];
    for (options, words) in cases {
        let said = refused(options);
        assert!(
            said.contains(words) && said.lines().count() == 2,
            "{options:?}: {said}"
        );
    }
    let said = selur(&[
        "--format",
        "json",
        "--runtime",
        "simulated",
        "create",
        "--restart",
        "always",
        "x",
    ])
    .failed(1);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["error"]["status"], "unsupported");
}

#[test]
fn volumes_are_made_listed_inspected_and_removed() {
    let world = World::new();
    assert_eq!(
        world
            .selur(&["volume", "create", "-l", "team=blue", "data", "more"])
            .ok(),
        "data\nmore\n"
    );
    assert_eq!(world.selur(&["volume", "ls", "-q"]).ok(), "data\nmore\n");
    let write = [
        "run",
        "--rm",
        "-v",
        "data:/d",
        IMAGE,
        "sh",
        "-c",
        "echo kept > /d/file",
    ];
    world.selur(&write).ok();
    let read = [
        "run",
        "--name",
        "reader",
        "-v",
        "data:/d:ro",
        IMAGE,
        "cat",
        "/d/file",
    ];
    assert_eq!(world.selur(&read).ok(), "kept\n");
    let table = world.selur(&["volume", "ls"]).ok();
    assert!(table.starts_with("VOLUME") && table.contains("data"), "{table}");
    let volumes = world.selur(&["volume", "inspect", "data"]).json();
    assert_eq!(volumes[0]["labels"]["team"], "blue");
    assert_eq!(volumes[0]["containers"].as_array().unwrap().len(), 1);
    let said = world.selur(&["volume", "rm", "data", "more"]).failed(1);
    assert!(said.contains("mounts the volume data"), "{said}");
    world.selur(&["rm", "reader"]).ok();
    assert_eq!(world.selur(&["volume", "rm", "data"]).ok(), "data\n");
    let said = world.selur(&["volume", "inspect", "data"]).failed(1);
    assert!(said.contains("data") && said.contains("volume ls"), "{said}");
    assert_eq!(
        world.selur(&["--format", "json", "volume", "ls"]).json(),
        json!([])
    );
}
