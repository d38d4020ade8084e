//! specs.json

use super::build::*;
use crate::vector::{FrameText, Text, Vector};
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = honoured();
    vectors.extend(refused());
    vectors.push(vector("without_a_spec_the_defaults_hold").create(NGINX).inspect(
        value!({ "spec": { "network": "none", "pull": "missing", "restart": "no" }, "labels": {} }),
    ));
    vectors.push(
        vector("a_refused_spec_leaves_nothing")
            .send(
                create_frame(NGINX, "web", value!({ "colour": "red" })),
                invalid("colour"),
            )
            .request("list", &[], done())
            .create_named(NGINX, "web"),
    );
    vectors.push(
        vector("pull_never_needs_an_image_that_is_there")
            .send(
                create_frame(NGINX, "", value!({ "pull": "never" })),
                failure("image_not_found", &["nginx"]),
            )
            .request("create", &[NGINX], created("first"))
            .create_with(NGINX, value!({ "pull": "never" })),
    );
    vectors.push(
        vector("the_stop_signal_of_the_spec_is_sent")
            .create_with(NGINX, value!({ "stop_signal": "SIGINT" }))
            .each(&["start", "stop"])
            .inspect(value!({ "state": "stopped", "exit_code": 130 })),
    );
    vectors.push(
        vector("a_stop_signal_that_ends_nothing_is_followed_by_sigkill")
            .create_with(
                NGINX,
                value!({ "stop_signal": "SIGWINCH", "stop_timeout_ms": 50 }),
            )
            .each(&["start", "stop"])
            .inspect(value!({ "state": "stopped", "exit_code": 137 })),
    );
    vectors
}

/// What inspect gives back as it was asked for.
fn honoured() -> Vec<Vector> {
    let cases = [
        ("a_command", value!({ "command": ["nginx", "-g", "daemon off;"] })),
        ("an_empty_command", value!({ "command": [] })),
        (
            "an_entrypoint",
            value!({ "entrypoint": ["/bin/sh", "-c"], "command": ["echo \"a b\""] }),
        ),
        (
            "environment",
            value!({ "environment": ["A=1", "EMPTY=", "EQUALS=a=b", "PATH=/bin"] }),
        ),
        ("a_working_directory", value!({ "working_directory": "/srv/www" })),
        ("a_user", value!({ "user": "1000:1000" })),
        ("a_hostname", value!({ "hostname": "web-1" })),
        ("the_host_network", value!({ "network": "host" })),
        ("no_network", value!({ "network": "none" })),
        ("pull_always", value!({ "pull": "always" })),
        ("restart_no", value!({ "restart": "no" })),
        ("restart_on_failure", value!({ "restart": "on-failure" })),
        (
            "restart_on_failure_5_times",
            value!({ "restart": "on-failure:5" }),
        ),
        ("a_stop_signal", value!({ "stop_signal": "SIGQUIT" })),
        ("a_stop_timeout", value!({ "stop_timeout_ms": 2500 })),
        (
            "text_beyond_ascii",
            value!({ "environment": ["GRUSS=Grüße, 世界"] }),
        ),
    ];
    let cases = cases.into_iter().chain(super::mounts::honoured());
    let mut vectors: Vec<_> = cases
        .into_iter()
        .map(|(kind, spec)| {
            vector(&format!("a_spec_may_have_{kind}"))
                .create_with(NGINX, spec.clone())
                .inspect(value!({ "spec": spec }))
        })
        .collect();
    let labels = value!({ "team": "blue", "org.example/Role": "front end" });
    vectors.push(
        vector("a_spec_may_have_labels")
            .create_with(NGINX, value!({ "labels": labels }))
            .inspect(value!({ "labels": labels, "spec": { "labels": labels } })),
    );
    vectors.push(
        vector("an_empty_spec_means_the_defaults")
            .create_with(NGINX, value!({}))
            .inspect(value!({ "spec": { "network": "none", "pull": "missing", "restart": "no" } })),
    );
    vectors.push(
        vector("a_spec_of_no_bytes_means_the_defaults")
            .request("create", &[NGINX, "", ""], created("id"))
            .inspect(
                value!({ "name": null, "spec": { "network": "none", "pull": "missing", "restart": "no" } }),
            ),
    );
    vectors.push(
        vector("a_spec_may_go_with_a_name")
            .send(
                create_frame(NGINX, "web", value!({ "hostname": "web" })),
                created("id"),
            )
            .inspect(value!({ "name": "web", "spec": { "hostname": "web" } })),
    );
    vectors
}

fn refused() -> Vec<Vector> {
    let cases = [
        ("an_unknown_field", value!({ "colour": "red" }), "colour"),
        ("a_misspelt_field", value!({ "Command": ["true"] }), "Command"),
        ("a_field_of_docker", value!({ "Cmd": ["true"] }), "Cmd"),
        ("a_command_that_is_text", value!({ "command": "true" }), ""),
        (
            "an_entrypoint_of_nothing",
            value!({ "entrypoint": [] }),
            "entrypoint",
        ),
        (
            "environment_without_a_value",
            value!({ "environment": ["A"] }),
            "environment",
        ),
        (
            "environment_without_a_key",
            value!({ "environment": ["=1"] }),
            "environment",
        ),
        (
            "a_relative_working_directory",
            value!({ "working_directory": "srv" }),
            "working_directory",
        ),
        ("an_unknown_network", value!({ "network": "bridge" }), "bridge"),
        (
            "an_unknown_pull_policy",
            value!({ "pull": "sometimes" }),
            "sometimes",
        ),
        (
            "an_unknown_restart_policy",
            value!({ "restart": "sometimes" }),
            "restart",
        ),
        (
            "a_restart_count_that_is_no_number",
            value!({ "restart": "on-failure:x" }),
            "restart",
        ),
        (
            "an_unknown_stop_signal",
            value!({ "stop_signal": "SIGNONE" }),
            "stop_signal",
        ),
        ("a_negative_stop_timeout", value!({ "stop_timeout_ms": -1 }), ""),
        (
            "a_stop_timeout_over_32_bits",
            value!({ "stop_timeout_ms": 4_294_967_296_u64 }),
            "",
        ),
        ("a_label_that_is_no_text", value!({ "labels": { "a": 1 } }), ""),
        ("a_nul_in_a_word", value!({ "command": ["a\0b"] }), "NUL"),
        (
            "a_hostname_of_two_lines",
            value!({ "hostname": "a\n10.0.0.1 b" }),
            "hostname",
        ),
    ];
    let cases = cases.into_iter().chain(super::mounts::refused());
    let mut vectors: Vec<_> = cases
        .into_iter()
        .map(|(kind, spec, word)| {
            vector(&format!("a_spec_may_not_have_{kind}"))
                .send(create_frame(NGINX, "", spec), invalid(word))
                .request("list", &[], done())
        })
        .collect();
    let broken = [
        ("a_word", "always"),
        ("cut_short", "{\"command\": ["),
        ("followed_by_more", "{} {}"),
        ("a_text", "\"nginx\""),
        ("null", "null"),
        ("with_a_comment", "{} // all defaults"),
        ("with_a_field_twice", "{\"user\": \"a\", \"user\": \"b\"}"),
    ];
    vectors.extend(broken.into_iter().map(|(kind, text)| {
        vector(&format!("a_spec_may_not_be_{kind}"))
            .request("create", &[NGINX, "", text], invalid(""))
            .request("list", &[], done())
    }));
    for policy in ["always", "unless-stopped"] {
        vectors.push(
            vector(&format!("restart_{}_is_not_supported", policy.replace('-', "_")))
                .send(
                    create_frame(NGINX, "", value!({ "restart": policy })),
                    failure("unsupported", &[policy]),
                )
                .request("list", &[], done()),
        );
    }
    vectors.push(
        vector("a_spec_may_not_be_nested_without_end")
            .send(with_spec(repeat("[", 60_000)), invalid(""))
            .send(with_spec(repeat("{\"a\":", 10_000)), invalid(""))
            .request("list", &[], done()),
    );
    vectors.push(
        vector("a_spec_takes_no_field_behind_it")
            .about("The third field is the rest of the payload, and JSON has no NUL.")
            .request("create", &[NGINX, "", "{}", "{}"], invalid("")),
    );
    vectors
}

/// A create whose specification has this many bytes: an empty object with much space in it.
pub(super) fn spec_of(bytes: u32) -> FrameText {
    with_spec(within("{", " ", bytes - 2, "}"))
}

fn with_spec(spec: Text) -> FrameText {
    let mut create = frame("create", &[NGINX, ""]);
    if let Some(fields) = &mut create.fields {
        fields.push(spec);
    }
    create
}
