//! Which specifications are taken, which are refused, and in which words.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use selur_protocol::Status;
use selur_runtime::{ContainerSpec, ExecSpec};

#[track_caller]
fn refusal(json: &str) -> (Status, String) {
    match ContainerSpec::from_json(json) {
        Ok(spec) => panic!("{json} is taken: {spec:?}"),
        Err(error) => (error.status(), error.to_string()),
    }
}

#[test]
fn what_is_taken_is_written_as_it_was_read() {
    let all = r#"{
        "command": ["serve"], "entrypoint": ["/entry"], "environment": ["A=1"], "working_directory": "/srv",
        "user": "web:www", "hostname": "web-1", "labels": {"a": "b"}, "network": "host", "pull": "never",
        "restart": "on-failure:3", "stop_signal": "SIGINT", "stop_timeout_ms": 5, "stdin": true, "terminal": true,
        "mounts": [
            {"type": "bind", "source": "/host,path:1\\", "target": "/a//b/", "read_only": true},
            {"type": "volume", "source": "data", "target": "/data", "read_only": false},
            {"type": "tmpfs", "target": "/tmp", "size_bytes": 4096, "mode": "1777", "read_only": false}
        ],
        "resources": {"memory_bytes": 6291456, "cpus": 0.5, "pids": 1},
        "read_only_root": true,
        "capabilities": {"add": ["NET_ADMIN", "CAP_SYS_TIME"], "drop": ["ALL"]},
        "extra_hosts": ["db:10.0.0.7", "six:fd00::7", "boxed:[::1]"]
    }"#;
    let spec = ContainerSpec::from_json(all).unwrap();
    let read: serde_json::Value = serde_json::from_str(all).unwrap();
    assert_eq!(serde_json::to_value(&spec).unwrap(), read);
    let short = r#"{"mounts": [{"type": "tmpfs", "target": "/tmp"}], "resources": {}, "capabilities": {}}"#;
    assert!(ContainerSpec::from_json(short).is_ok());
}

#[test]
fn an_array_is_no_object() {
    let cases = [
        ("[]", "an object"),
        (r#"[["ls"]]"#, "an object"),
        (r#"["always"]"#, "an object"),
        (r#"{"resources": [6291456]}"#, "resources: "),
        (r#"{"resources": []}"#, "resources: "),
        (r#"{"capabilities": [["ALL"]]}"#, "capabilities: "),
        (r#"{"mounts": [["bind", "/", "/host", false]]}"#, "mounts[0]: "),
    ];
    for (json, words) in cases {
        let (status, message) = refusal(json);
        assert_eq!(status, Status::InvalidRequest, "{json}: {message}");
        assert!(message.contains(words), "{json}: {message}");
    }
    for json in [r#"[["ls"]]"#, r#"{"command": ["ls"], "size": [24, 80]}"#] {
        let refused = ExecSpec::from_json(json).unwrap_err();
        assert_eq!(refused.status(), Status::InvalidRequest, "{json}");
        assert!(refused.to_string().contains("an object"), "{json}: {refused}");
    }
    assert!(ExecSpec::from_json(r#"{"command": ["ls"], "size": null}"#).is_ok());
}

#[test]
fn an_unknown_field_is_named_with_its_path() {
    let cases = [
        (r#"{"colour": 1}"#, "unknown field `colour`"),
        (r#"{"resources": {"memory": 1}}"#, "resources.memory"),
        (r#"{"capabilities": {"ad": []}}"#, "capabilities.ad"),
        (
            r#"{"mounts": [{"type": "tmpfs", "target": "/a"}, {"type": "bind", "source": "/", "target": "/b", "ro": true}]}"#,
            "mounts[1]: unknown field `ro`",
        ),
        (
            r#"{"mounts": [{"type": "tmpfs", "target": "/t", "source": "x"}]}"#,
            "mounts[0]: unknown field `source`",
        ),
        (
            r#"{"mounts": [{"type": "nfs", "target": "/t"}]}"#,
            "mounts[0].type: unknown variant `nfs`",
        ),
    ];
    for (json, words) in cases {
        let (status, message) = refusal(json);
        assert_eq!(status, Status::InvalidRequest, "{json}");
        assert!(message.contains(words), "{json}: {message}");
    }
    let error = ExecSpec::from_json(r#"{"command": ["a"], "size": {"rows": 1, "columns": 2, "cells": 3}}"#);
    assert!(error.unwrap_err().to_string().contains("size.cells"));
}

#[test]
fn policies_that_promise_a_start_after_a_reboot_are_unsupported() {
    for policy in ["always", "unless-stopped"] {
        let (status, message) = refusal(&format!(r#"{{"restart": "{policy}"}}"#));
        assert_eq!(status, Status::Unsupported, "{message}");
        assert!(
            message.contains(policy) && message.contains("on-failure"),
            "{message}"
        );
    }
    for policy in [
        "",
        "sometimes",
        "on-failure:",
        "on-failure:+1",
        "on-failure:-1",
        "no:1",
    ] {
        let (status, message) = refusal(&format!(r#"{{"restart": "{policy}"}}"#));
        assert_eq!(status, Status::InvalidRequest, "{message}");
        assert!(message.contains("restart"), "{message}");
    }
}

#[test]
fn mounts_out_of_their_range_are_refused_by_their_place() {
    let targets = [
        ("relative", "not absolute"),
        ("/", "root"),
        ("//./", "root"),
        ("/a/../b", ".."),
        ("/proc", "/proc"),
        ("/sys/fs/cgroup", "/sys"),
        (r"/a\nb", "control"),
        (r"/a\u0000", "control"),
    ];
    for (target, words) in targets {
        let (_, message) = refusal(&format!(
            r#"{{"mounts": [{{"type": "tmpfs", "target": "{target}"}}]}}"#
        ));
        assert!(
            message.starts_with("mounts[0].target: ") && message.contains(words),
            "{message}"
        );
    }
    let mounts = [
        (
            r#"{"type": "bind", "source": "here", "target": "/t"}"#,
            "mounts[0].source",
        ),
        (
            r#"{"type": "bind", "source": "/a\u0000", "target": "/t"}"#,
            "mounts[0].source",
        ),
        (
            r#"{"type": "bind", "target": "/t"}"#,
            "mounts[0]: missing field `source`",
        ),
        (
            r#"{"type": "volume", "source": "../etc", "target": "/t"}"#,
            "mounts[0].source",
        ),
        (
            r#"{"type": "volume", "source": ".hidden", "target": "/t"}"#,
            "mounts[0].source",
        ),
        (
            r#"{"type": "volume", "source": "0123456789abcdef0123456789abcdef", "target": "/t"}"#,
            "mounts[0].source",
        ),
        (
            r#"{"type": "tmpfs", "target": "/t", "size_bytes": 1}"#,
            "mounts[0].size_bytes",
        ),
        (
            r#"{"type": "tmpfs", "target": "/t", "mode": "rwx"}"#,
            "mounts[0].mode",
        ),
        (
            r#"{"type": "tmpfs", "target": "/t", "mode": "777,exec"}"#,
            "mounts[0].mode",
        ),
        (
            r#"{"type": "tmpfs", "target": "/t"}, {"type": "tmpfs", "target": "//t/."}"#,
            "mounts[1].target",
        ),
    ];
    for (mount, place) in mounts {
        let (status, message) = refusal(&format!(r#"{{"mounts": [{mount}]}}"#));
        assert_eq!(status, Status::InvalidRequest);
        assert!(message.contains(place), "{mount}: {message}");
    }
    let similar =
        r#"{"mounts": [{"type": "tmpfs", "target": "/process"}, {"type": "tmpfs", "target": "/a..b"}]}"#;
    assert!(ContainerSpec::from_json(similar).is_ok());
}

#[test]
fn values_out_of_their_range_are_refused_by_their_field() {
    let cases = [
        (
            r#"{"resources": {"memory_bytes": 6291455}}"#,
            "resources.memory_bytes",
        ),
        (
            r#"{"resources": {"memory_bytes": 18446744073709551615}}"#,
            "resources.memory_bytes",
        ),
        (r#"{"resources": {"memory_bytes": -1}}"#, "resources.memory_bytes"),
        (r#"{"resources": {"cpus": 0}}"#, "resources.cpus"),
        (r#"{"resources": {"cpus": -2}}"#, "resources.cpus"),
        (r#"{"resources": {"cpus": 1e999}}"#, "resources.cpus"),
        (r#"{"resources": {"pids": 0}}"#, "resources.pids"),
        (r#"{"resources": {"pids": 4194305}}"#, "resources.pids"),
        (
            r#"{"capabilities": {"add": ["CAP_ROOT"]}}"#,
            "\"CAP_ROOT\" is no capability",
        ),
        (
            r#"{"capabilities": {"drop": ["net_admin"]}}"#,
            "capabilities.drop",
        ),
        (r#"{"capabilities": {"add": ["CAP_ALL_"]}}"#, "capabilities.add"),
        (
            r#"{"capabilities": {"add": ["KILL"], "drop": ["CAP_KILL"]}}"#,
            "both",
        ),
        (r#"{"capabilities": {"add": ["ALL"], "drop": ["ALL"]}}"#, "both"),
        (r#"{"extra_hosts": ["db"]}"#, "extra_hosts"),
        (r#"{"extra_hosts": [":10.0.0.1"]}"#, "extra_hosts"),
        (r#"{"extra_hosts": ["db:host-gateway"]}"#, "extra_hosts"),
        (r#"{"extra_hosts": ["db:10.0.0.1 evil"]}"#, "extra_hosts"),
        (r#"{"extra_hosts": ["db:10.0.0.1\n1.2.3.4 evil"]}"#, "extra_hosts"),
        (r#"{"extra_hosts": ["a b:10.0.0.1"]}"#, "extra_hosts"),
        (r#"{"extra_hosts": ["a\n1.2.3.4 evil:10.0.0.1"]}"#, "extra_hosts"),
        (r#"{"hostname": ""}"#, "hostname"),
        (r#"{"hostname": "a\n1.2.3.4 evil"}"#, "hostname"),
        (r#"{"hostname": "a b"}"#, "hostname"),
        (r#"{"user": "a\u0000b"}"#, "NUL"),
    ];
    for (json, words) in cases {
        let (status, message) = refusal(json);
        assert_eq!(status, Status::InvalidRequest, "{json}");
        assert!(message.contains(words), "{json}: {message}");
    }
    let long = format!(r#"{{"hostname": "{}"}}"#, "x".repeat(65));
    assert!(refusal(&long).1.contains("hostname"));
}

#[test]
fn nothing_may_follow_a_specification() {
    for json in ["{} {}", "{} // defaults", "{}x", "", "[]x"] {
        assert_eq!(refusal(json).0, Status::InvalidRequest, "{json:?}");
    }
}
