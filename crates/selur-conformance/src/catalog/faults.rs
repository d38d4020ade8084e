//! faults.json

use super::build::*;
use crate::vector::Vector;
use selur_protocol::Status;
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for status in Status::ALL
        .into_iter()
        .filter(|status| *status != Status::Success)
    {
        vectors.push(failing_create("pull", status.name()));
    }
    for status in [
        "internal_error",
        "resource_exhausted",
        "permission_denied",
        "unsupported",
    ] {
        vectors.push(failing_create("create", status));
    }
    vectors.push(
        vector("an_image_that_the_registry_lacks_is_not_found")
            .request(
                "create",
                &["fault.test/no-such-image:latest"],
                failure("image_not_found", &["no-such-image"]),
            )
            .request("list", &[], done()),
    );
    vectors.extend(failing_effects());
    vectors.extend(hanging_effects());
    vectors.extend(deadlines());
    vectors
}

/// Nothing is left of it.
fn failing_create(point: &str, status: &str) -> Vector {
    vector(&format!("a_{point}_may_fail_with_{status}"))
        .request(
            "create",
            &[&format!("fault.test/{point}:{status}"), "web"],
            failure(status, &[point]),
        )
        .request("list", &[], done())
        .create_named(NGINX, "web")
        .each(&["start"])
}

/// An effect that fails: where, with what, what is done before, what is asked for, the state all along.
type Failing = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const FAILING: [Failing; 14] = [
    ("start", "internal_error", &[], "start", "created"),
    ("start", "resource_exhausted", &[], "start", "created"),
    ("start", "permission_denied", &[], "start", "created"),
    ("start", "container_not_found", &[], "start", "created"),
    ("stop", "internal_error", &["start"], "stop", "running"),
    ("stop", "timeout", &["start"], "stop", "running"),
    ("stop", "invalid_state", &["start"], "stop", "running"),
    ("kill", "permission_denied", &["start"], "kill", "running"),
    ("pause", "unsupported", &["start"], "pause", "running"),
    ("pause", "internal_error", &["start"], "pause", "running"),
    (
        "resume",
        "internal_error",
        &["start", "pause"],
        "resume",
        "paused",
    ),
    ("delete", "internal_error", &[], "delete", "created"),
    (
        "delete",
        "permission_denied",
        &["start", "stop"],
        "delete",
        "stopped",
    ),
    (
        "delete",
        "resource_exhausted",
        &["start"],
        "forced_delete",
        "running",
    ),
];

/// The container is what it was before.
fn failing_effects() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (point, status, before, command, state) in FAILING {
        let fields: &[&str] = if command == "forced_delete" {
            &[ID, "force"]
        } else {
            &[ID]
        };
        vectors.push(
            vector(&format!("a_{command}_may_fail_with_{status}"))
                .create(&format!("fault.test/{point}:{status}"))
                .each(before)
                .request(point, fields, failure(status, &[point]))
                .inspect(value!({ "state": state }))
                .request(point, fields, failure(status, &[point])),
        );
    }
    vectors.push(
        vector("an_inspect_may_fail_with_internal_error")
            .create("fault.test/inspect:internal_error")
            .request("inspect", &[ID], failure("internal_error", &["inspect"]))
            .each(&["start", "stop", "delete"])
            .request("list", &[], done()),
    );
    vectors
}

/// What hangs is cancelled, and its container goes on.
fn hanging_effects() -> Vec<Vector> {
    let cases: [(&str, &[&str], &str); 7] = [
        ("start", &[], "created"),
        ("stop", &["start"], "running"),
        ("kill", &["start"], "running"),
        ("pause", &["start"], "running"),
        ("resume", &["start", "pause"], "paused"),
        ("delete", &[], "created"),
        ("inspect", &["start"], "running"),
    ];
    let mut vectors = Vec::new();
    for (command, before, state) in cases {
        let cancelled = vector(&format!("a_hanging_{command}_can_be_cancelled"))
            .create(&format!("fault.test/hang:{command}"))
            .each(before)
            .submit("hanging", command, &[ID])
            .cancel("hanging");
        let cancelled = match command {
            "inspect" => cancelled,
            _ => cancelled.inspect(value!({ "state": state })),
        };
        vectors.push(
            cancelled
                .request("delete", &[ID, "force"], done())
                .request("list", &[], done()),
        );
    }
    for (command, before, state) in cases {
        if matches!(command, "inspect" | "delete") {
            continue;
        }
        let after = match command {
            "start" => "running",
            "stop" | "kill" => "stopped",
            "pause" => "paused",
            _ => "running",
        };
        vectors.push(
            vector(&format!(
                "a_{command}_that_was_done_when_it_was_cancelled_is_done"
            ))
            .create(&format!("fault.test/late:{command}"))
            .each(before)
            .submit("late", command, &[ID])
            .inspect(value!({ "state": state }))
            .cancel("late")
            .eventually("inspect", &[ID], json(value!({ "state": after }))),
        );
    }
    vectors.push(
        vector("a_hanging_create_can_be_cancelled")
            .submit("hanging", "create", &["fault.test/hang:create"])
            .cancel("hanging")
            .eventually("list", &[], done()),
    );
    vectors.push(
        vector("a_hanging_pull_can_be_cancelled")
            .submit("hanging", "create", &["fault.test/hang:pull", "web"])
            .cancel("hanging")
            .eventually("create", &[NGINX, "web"], created("id")),
    );
    vectors
}

fn deadlines() -> Vec<Vector> {
    let timeout = || failure("timeout", &["deadline"]);
    vec![
        vector("a_create_ends_with_its_deadline")
            .deadline_ms(500)
            .request("create", &["fault.test/hang:create", "web"], timeout())
            .eventually("create", &[NGINX, "web"], created("id")),
        vector("a_start_ends_with_its_deadline")
            .deadline_ms(500)
            .create("fault.test/hang:start")
            .request("start", &[ID], timeout())
            .inspect(value!({ "state": "created" })),
        vector("a_stop_ends_with_its_deadline")
            .deadline_ms(500)
            .create("fault.test/hang:stop")
            .each(&["start"])
            .request("stop", &[ID], timeout())
            .inspect(value!({ "state": "running" })),
        vector("a_wait_ends_with_its_deadline")
            .deadline_ms(500)
            .create(NGINX)
            .each(&["start"])
            .request("wait", &[ID], timeout())
            .inspect(value!({ "state": "running" })),
    ]
}
