//! order.json

use super::build::*;
use crate::vector::Vector;
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = queues();
    vectors.extend(overtakers());
    vectors.extend(cancellations());
    vectors
}

fn cancelled() -> crate::vector::Expect {
    failure("cancelled", &[])
}

fn queues() -> Vec<Vector> {
    vec![
        vector("requests_on_one_container_are_done_in_their_order")
            .create(NGINX)
            .submit("start", "start", &[ID])
            .submit("pause", "pause", &[ID])
            .submit("resume", "resume", &[ID])
            .submit("stop", "stop", &[ID])
            .submit("again", "start", &[ID])
            .submit("refused", "delete", &[ID])
            .answer("refused", failure("invalid_state", &["running"]))
            .answer("again", done())
            .answer("stop", done())
            .answer("resume", done())
            .answer("pause", done())
            .answer("start", done())
            .inspect(value!({ "state": "running", "started_at": "2026-01-01T00:00:04Z" })),
        vector("a_queued_request_is_judged_when_its_turn_comes")
            .about("When start is sent the container runs, and nothing would be done; when its turn comes the container is stopped.")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .submit("start", "start", &[ID])
            .request("kill", &[ID], done())
            .answer("stop", done())
            .answer("start", done())
            .inspect(value!({ "state": "running", "started_at": "2026-01-01T00:00:04Z" })),
        vector("a_queued_request_may_be_refused_when_its_turn_comes")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .submit("pause", "pause", &[ID])
            .request("kill", &[ID], done())
            .answer("stop", done())
            .answer("pause", failure("invalid_state", &["stopped"])),
        vector("a_start_waits_for_its_container_s_create")
            .about("The name is known as soon as the create is accepted; the create succeeds when its caller has long gone.")
            .submit("create", "create", &["fault.test/hang:create", "web"])
            .submit("start", "start", &["web"])
            .submit("inspect", "inspect", &["web"])
            .cancel("create")
            .answer("start", failure("container_not_found", &[]))
            .answer("inspect", failure("container_not_found", &[])),
        vector("containers_do_not_wait_for_each_other")
            .request("create", &["fault.test/hang:start"], created("hangs"))
            .create(NGINX)
            .submit("hanging", "start", &["$hangs"])
            .each(&["start", "pause", "resume", "stop", "delete"])
            .cancel("hanging")
            .request("inspect", &["$hangs"], json(value!({ "state": "created" }))),
        vector("ping_list_and_inspect_never_queue")
            .create("fault.test/hang:start")
            .submit("hanging", "start", &[ID])
            .request("ping", &["still here"], data("still here"))
            .request("list", &[], data(ID))
            .inspect(value!({ "state": "created" }))
            .cancel("hanging"),
        vector("creates_do_not_wait_for_each_other")
            .submit("hanging", "create", &["fault.test/hang:create"])
            .create(NGINX)
            .each(&["start"])
            .cancel("hanging"),
    ]
}

fn overtakers() -> Vec<Vector> {
    vec![
        vector("kill_overtakes_a_hanging_stop")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .each(&["kill"])
            .answer("stop", done())
            .inspect(value!({ "state": "stopped", "exit_code": 137 })),
        vector("kill_with_another_signal_overtakes_a_hanging_stop")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .request("kill", &[ID, "SIGINT"], done())
            .answer("stop", done())
            .inspect(value!({ "state": "stopped", "exit_code": 130 })),
        vector("a_forced_delete_overtakes_a_hanging_stop_and_cancels_the_queue")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .submit("pause", "pause", &[ID])
            .submit("start", "start", &[ID])
            .request("delete", &[ID, "force"], done())
            .answer("pause", cancelled())
            .answer("start", cancelled())
            .answer("stop", cancelled())
            .gone(),
        vector("a_forced_delete_overtakes_a_hanging_start")
            .create("fault.test/hang:start")
            .submit("start", "start", &[ID])
            .request("delete", &[ID, "force"], done())
            .answer("start", cancelled())
            .gone(),
        vector("a_forced_delete_overtakes_a_hanging_create")
            .submit("create", "create", &["fault.test/hang:create", "web"])
            .submit("start", "start", &["web"])
            .request("delete", &["web", "force"], done())
            .answer("create", cancelled())
            .answer("start", cancelled())
            .eventually("create", &[NGINX, "web"], created("id")),
        vector("forced_deletes_join")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .submit("first", "delete", &[ID, "force"])
            .answer("stop", cancelled())
            .answer("first", done())
            .request("delete", &[ID, "force"], failure("container_not_found", &[])),
        vector("a_plain_delete_queues")
            .create("fault.test/hang:start")
            .submit("start", "start", &[ID])
            .submit("delete", "delete", &[ID])
            .submit("behind", "stop", &[ID])
            .cancel("start")
            .answer("delete", done())
            .answer("behind", failure("container_not_found", &[]))
            .gone(),
    ]
}

fn cancellations() -> Vec<Vector> {
    vec![
        vector("a_queued_request_that_is_cancelled_never_happens")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .submit("pause", "pause", &[ID])
            .cancel("pause")
            .cancel("stop")
            .inspect(value!({ "state": "running" })),
        vector("the_queue_goes_on_when_its_head_is_cancelled")
            .create("fault.test/hang:stop")
            .each(&["start"])
            .submit("stop", "stop", &[ID])
            .submit("pause", "pause", &[ID])
            .submit("resume", "resume", &[ID])
            .submit("last", "pause", &[ID])
            .cancel("resume")
            .cancel("stop")
            .answer("pause", done())
            .answer("last", done())
            .inspect(value!({ "state": "paused" })),
        vector("an_answered_request_cannot_be_cancelled")
            .submit("ping", "ping", &["x"])
            .step(crate::vector::Step::Cancel(crate::vector::Cancel {
                ticket: "ping".into(),
            }))
            .answer("ping", data("x")),
        vector("a_container_whose_start_was_cancelled_can_be_deleted")
            .create("fault.test/hang:start")
            .submit("start", "start", &[ID])
            .cancel("start")
            .each(&["delete"])
            .gone(),
        vector("an_abandoned_create_is_not_listed_for_long")
            .submit("create", "create", &["fault.test/late:create"])
            .cancel("create")
            .eventually("list", &[], done()),
        vector("what_queued_behind_an_abandoned_create_finds_no_container")
            .submit("create", "create", &["fault.test/late:create", "web"])
            .submit("start", "start", &["web"])
            .submit("wait", "wait", &["web"])
            .cancel("create")
            .answer("start", failure("container_not_found", &[]))
            .answer("wait", failure("container_not_found", &[])),
    ]
}
