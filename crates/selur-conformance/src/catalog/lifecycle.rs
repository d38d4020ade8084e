//! lifecycle.json

use super::build::*;
use crate::vector::{Expect, Vector};
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = lives();
    vectors.extend(exits());
    vectors.extend(restarts());
    vectors.extend(lists());
    vectors
}

fn lives() -> Vec<Vector> {
    vec![
        vector("a_whole_life")
            .create_named(NGINX, "web")
            .inspect(value!({
                "id": ID, "name": "web", "image": "docker.io/library/nginx:latest", "state": "created",
                "pid": null, "exit_code": null, "restart_count": 0,
                "created_at": "2026-01-01T00:00:01Z", "started_at": null, "finished_at": null,
            }))
            .each(&["start"])
            .inspect(value!({ "state": "running", "started_at": "2026-01-01T00:00:02Z" }))
            .each(&["pause"])
            .inspect(value!({ "state": "paused" }))
            .each(&["resume"])
            .inspect(value!({ "state": "running" }))
            .each(&["stop"])
            .inspect(value!({ "state": "stopped", "exit_code": 143, "finished_at": "2026-01-01T00:00:03Z" }))
            .each(&["delete"])
            .gone(),
        vector("a_second_life_begins_anew")
            .create(NGINX)
            .each(&["start", "stop", "start"])
            .inspect(value!({
                "state": "running", "exit_code": null, "restart_count": 0,
                "started_at": "2026-01-01T00:00:04Z", "finished_at": "2026-01-01T00:00:03Z",
            }))
            .request("kill", &[ID, "SIGINT"], done())
            .request("wait", &[ID], data("130")),
        vector("a_deleted_container_does_not_come_back")
            .create(NGINX)
            .each(&["delete"])
            .request("start", &[ID], failure("container_not_found", &[]))
            .request("delete", &[ID], failure("container_not_found", &[]))
            .request("create", &[NGINX], created("other"))
            .request("list", &[], data("$other")),
        vector("the_digest_of_the_reference_is_the_image_s")
            .create("nginx@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
            .inspect(value!({
                "image_digest": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            })),
        vector("pause_and_resume_may_alternate")
            .create(NGINX)
            .each(&["start", "pause", "resume", "pause", "resume"])
            .inspect(value!({ "state": "running", "started_at": "2026-01-01T00:00:02Z" })),
    ]
}

/// Processes that end by themselves.
fn exits() -> Vec<Vector> {
    let mut vectors: Vec<_> = ["0", "1", "3", "127", "255"]
        .into_iter()
        .map(|code| {
            vector(&format!("a_process_may_end_at_once_with_{code}"))
                .about(
                    "The exit is known before or after start is answered; the container never stays running.",
                )
                .create(&format!("fault.test/exit:{code}"))
                .each(&["start"])
                .request("wait", &[ID], data(code))
                .inspect(value!({ "state": "stopped", "exit_code": code.parse::<i32>().unwrap_or_default() }))
                .each(&["stop", "delete"])
                .gone()
        })
        .collect();
    vectors.push(
        vector("a_process_that_ended_may_be_started_again")
            .create("fault.test/exit:3")
            .each(&["start"])
            .request("wait", &[ID], data("3"))
            .each(&["start"])
            .eventually(
                "inspect",
                &[ID],
                json(value!({ "state": "stopped", "started_at": "2026-01-01T00:00:04Z" })),
            ),
    );
    vectors.extend(["0", "42"].into_iter().map(|code| {
        vector(&format!("a_process_may_end_later_with_{code}"))
            .create(&format!("fault.test/exit-on-usr1:{code}"))
            .each(&["start"])
            .inspect(value!({ "state": "running" }))
            .exit()
            .request("wait", &[ID], data(code))
            .inspect(value!({ "state": "stopped", "exit_code": code.parse::<i32>().unwrap_or_default() }))
    }));
    vectors.push(
        vector("a_process_that_ends_while_it_is_paused_ends_when_it_is_resumed")
            .create("fault.test/exit-on-usr1:5")
            .each(&["start", "pause"])
            .exit()
            .inspect(value!({ "state": "paused" }))
            .each(&["resume"])
            .request("wait", &[ID], data("5")),
    );
    vectors
}

fn restarts() -> Vec<Vector> {
    vec![
        vector("on_failure_restarts_as_often_as_it_says")
            .create_with("fault.test/exit:3", value!({ "restart": "on-failure:2" }))
            .each(&["start"])
            .request("wait", &[ID], data("3"))
            .inspect(value!({ "state": "stopped", "exit_code": 3, "restart_count": 2 })),
        vector("on_failure_lets_success_be")
            .create_with("fault.test/exit:0", value!({ "restart": "on-failure:2" }))
            .each(&["start"])
            .request("wait", &[ID], data("0"))
            .inspect(value!({ "state": "stopped", "exit_code": 0, "restart_count": 0 })),
        vector("on_failure_zero_times_is_never")
            .create_with("fault.test/exit:3", value!({ "restart": "on-failure:0" }))
            .each(&["start"])
            .request("wait", &[ID], data("3"))
            .inspect(value!({ "restart_count": 0 })),
        vector("a_restart_is_seen_by_itself")
            .create_with("fault.test/exit-on-usr1:7", value!({ "restart": "on-failure:1" }))
            .each(&["start"])
            .submit("wait", "wait", &[ID])
            .exit()
            .inspect(value!({ "state": "running", "exit_code": null, "restart_count": 1 }))
            .exit()
            .answer("wait", data("7"))
            .inspect(value!({ "state": "stopped", "exit_code": 7, "restart_count": 1 })),
        vector("stop_does_not_restart")
            .create_with(NGINX, value!({ "restart": "on-failure" }))
            .each(&["start", "stop"])
            .inspect(value!({ "state": "stopped", "exit_code": 143, "restart_count": 0 })),
        vector("kill_does_not_restart")
            .create_with(NGINX, value!({ "restart": "on-failure" }))
            .each(&["start", "kill"])
            .request("wait", &[ID], data("137"))
            .inspect(value!({ "state": "stopped", "restart_count": 0 })),
        vector("a_process_that_fails_forever_is_restarting")
            .create_with("fault.test/exit:3", value!({ "restart": "on-failure" }))
            .each(&["start"])
            .submit("wait", "wait", &[ID])
            .inspect(value!({ "state": "restarting", "exit_code": 3 }))
            .each(&["stop"])
            .answer("wait", data("3"))
            .inspect(value!({ "state": "stopped" })),
    ]
}

fn lists() -> Vec<Vector> {
    let lines = |ids: &[&str]| Expect {
        lines: Some(ids.iter().map(|id| id.to_string()).collect()),
        ..done()
    };
    vec![
        vector("a_new_bridge_has_no_containers").request("list", &[], done()),
        vector("the_list_is_in_the_order_of_creation")
            .request("create", &[NGINX], created("a"))
            .request("create", &[NGINX, "second"], created("b"))
            .request("create", &["redis"], created("c"))
            .request("list", &[], lines(&["$a", "$b", "$c"]))
            .request("delete", &["$b"], done())
            .request("list", &[], lines(&["$a", "$c"]))
            .request("create", &[NGINX], created("d"))
            .request("list", &[], lines(&["$a", "$c", "$d"])),
        vector("the_list_has_containers_in_every_state")
            .request("create", &[NGINX], created("created"))
            .request("create", &[NGINX], created("running"))
            .request("start", &["$running"], done())
            .request("create", &[NGINX], created("stopped"))
            .request("start", &["$stopped"], done())
            .request("stop", &["$stopped"], done())
            .request("list", &[], lines(&["$created", "$running", "$stopped"])),
    ]
}
