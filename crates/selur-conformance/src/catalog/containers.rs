//! containers.json

use super::build::*;
use crate::vector::{Expect, Vector};
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = names();
    vectors.extend(arguments());
    vectors.extend(taken_names());
    vectors
}

fn names() -> Vec<Vector> {
    let good = [
        ("one_letter", "a"),
        ("one_digit", "7"),
        ("every_kind_of_character", "Web_1.prod-EU"),
        ("63_characters", &"n".repeat(63)),
        (
            "32_digits_that_are_not_all_hex",
            "0123456789abcdef0123456789abcdeg",
        ),
        ("32_hex_digits_in_capitals", "0123456789ABCDEF0123456789ABCDEF"),
        ("31_hex_digits", "0123456789abcdef0123456789abcde"),
        ("33_hex_digits", "0123456789abcdef0123456789abcdef0"),
    ];
    let mut vectors: Vec<_> = good
        .into_iter()
        .map(|(kind, name)| {
            vector(&format!("a_name_may_be_{kind}"))
                .create_named(NGINX, name)
                .request("inspect", &[name], json(value!({ "id": ID, "name": name })))
        })
        .collect();
    let bad = [
        ("64_characters", "n".repeat(64), "name"),
        ("an_underscore_first", "_web".into(), "name"),
        ("a_dot_first", ".web".into(), "name"),
        ("a_dash_first", "-web".into(), "name"),
        ("a_space", "my web".into(), "name"),
        ("a_slash", "team/web".into(), "name"),
        ("a_colon", "web:1".into(), "name"),
        ("a_letter_beyond_ascii", "vörðr".into(), "name"),
        ("a_line_feed", "web\n".into(), "name"),
        (
            "the_form_of_an_id",
            "0123456789abcdef0123456789abcdef".into(),
            "hex digits",
        ),
    ];
    vectors.extend(bad.into_iter().map(|(kind, name, word)| {
        vector(&format!("a_name_may_not_have_{kind}"))
            .request("create", &[NGINX, &name], invalid(word))
            .request("list", &[], done())
    }));
    vectors.push(
        vector("an_empty_name_is_none")
            .request("create", &[NGINX, ""], created("id"))
            .inspect(value!({ "name": null }))
            .request("create", &[NGINX, ""], created("other")),
    );
    vectors
}

fn arguments() -> Vec<Vector> {
    let bad = [
        ("a_space", "no such"),
        ("a_slash", "no/such"),
        ("a_dash_first", "-rf"),
        ("64_characters", &"x".repeat(64)),
        ("letters_beyond_ascii", "ø"),
    ];
    let mut vectors: Vec<_> = bad
        .into_iter()
        .map(|(kind, argument)| {
            vector(&format!("a_container_argument_may_not_have_{kind}")).request(
                "inspect",
                &[argument],
                invalid("container"),
            )
        })
        .collect();
    let unknown = [
        ("id", "ffffffffffffffffffffffffffffffff"),
        ("name", "nobody"),
        ("prefix", "ffff"),
        ("prefix_of_31_digits", "fffffffffffffffffffffffffffffff"),
    ];
    vectors.extend(unknown.into_iter().map(|(kind, argument)| {
        vector(&format!("an_unknown_{kind}_is_not_found")).request(
            "inspect",
            &[argument],
            failure("container_not_found", &[]),
        )
    }));
    for digits in [4, 5, 12, 31] {
        vectors.push(
            vector(&format!("a_prefix_of_{digits}_digits_finds_its_container"))
                .send(frame("create", &[NGINX]), with_prefix(digits))
                .request("start", &["$prefix"], done())
                .request(
                    "inspect",
                    &["$prefix"],
                    json(value!({ "id": ID, "state": "running" })),
                ),
        );
    }
    vectors.push(
        vector("a_prefix_of_3_digits_is_too_short")
            .send(frame("create", &[NGINX]), with_prefix(3))
            .request("inspect", &["$prefix"], failure("container_not_found", &[])),
    );
    vectors.push(
        vector("a_name_goes_before_a_prefix")
            .about("The second container is called as the first one's id begins.")
            .send(
                frame("create", &[NGINX]),
                Expect {
                    capture: [("first".into(), 32), ("prefix".into(), 12)].into(),
                    ..created("first")
                },
            )
            .request("create", &[NGINX, "$prefix"], created("second"))
            .request("inspect", &["$prefix"], json(value!({ "id": "$second" })))
            .request("delete", &["$second"], done())
            .request("inspect", &["$prefix"], json(value!({ "id": "$first" }))),
    );
    vectors.push(
        vector("every_command_takes_a_name")
            .create_named(NGINX, "web")
            .request("start", &["web"], done())
            .request("pause", &["web"], done())
            .request("resume", &["web"], done())
            .request("kill", &["web"], done())
            .request("wait", &["web"], data("137"))
            .request("start", &["web"], done())
            .request("stop", &["web"], done())
            .request(
                "inspect",
                &["web"],
                json(value!({ "id": ID, "state": "stopped" })),
            )
            .request("delete", &["web"], done())
            .gone(),
    );
    vectors.push(
        vector("names_are_case_sensitive")
            .create_named(NGINX, "web")
            .request("inspect", &["Web"], failure("container_not_found", &[]))
            .request("create", &[NGINX, "Web"], created("other"))
            .request("inspect", &["Web"], json(value!({ "id": "$other" }))),
    );
    vectors
}

fn taken_names() -> Vec<Vector> {
    let taken = || failure("container_already_exists", &["name"]);
    vec![
        vector("a_taken_name_is_refused")
            .create_named(NGINX, "web")
            .request("create", &["redis", "web"], taken())
            .request("list", &[], data(ID))
            .inspect(value!({ "image": "docker.io/library/nginx:latest" })),
        vector("a_name_stays_taken_while_its_container_is_stopped")
            .create_named(NGINX, "web")
            .each(&["start", "stop"])
            .request("create", &[NGINX, "web"], taken()),
        vector("a_name_is_free_after_delete")
            .create_named(NGINX, "web")
            .each(&["delete"])
            .create_named("redis", "web")
            .request("inspect", &["web"], json(value!({ "id": ID, "image": "docker.io/library/redis:latest" }))),
        vector("a_name_is_free_after_a_forced_delete")
            .create_named(NGINX, "web")
            .each(&["start"])
            .request("delete", &["web", "force"], done())
            .create_named(NGINX, "web"),
        vector("a_name_is_free_after_a_failed_create")
            .request("create", &["fault.test/pull:network_error", "web"], failure("network_error", &[]))
            .create_named(NGINX, "web"),
        vector("a_name_is_reserved_while_its_container_is_created")
            .submit("create", "create", &["fault.test/hang:create", "web"])
            .request("create", &[NGINX, "web"], taken())
            .cancel("create")
            .eventually("create", &[NGINX, "web"], created("id")),
        vector("a_name_is_free_when_an_abandoned_create_is_undone")
            .about("The create succeeds although it was cancelled, and is undone by a delete before its name is free.")
            .submit("create", "create", &["fault.test/late:create", "web"])
            .cancel("create")
            .eventually("create", &[NGINX, "web"], created("id"))
            .request("list", &[], data(ID))
            .request("inspect", &["web"], json(value!({ "id": ID, "image": "docker.io/library/nginx:latest" }))),
    ]
}

/// A new id, kept whole and as a prefix.
fn with_prefix(digits: usize) -> Expect {
    Expect {
        capture: [("id".into(), 32), ("prefix".into(), digits)].into(),
        ..created("id")
    }
}
