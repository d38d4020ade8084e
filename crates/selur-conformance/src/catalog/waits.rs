//! waits.json

use super::build::*;
use crate::vector::Vector;
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    vec![
        vector("a_wait_answers_at_the_exit")
            .create("fault.test/exit-on-usr1:42")
            .each(&["start"])
            .submit("wait", "wait", &[ID])
            .exit()
            .answer("wait", data("42")),
        vector("every_wait_answers_at_the_exit")
            .create("fault.test/exit-on-usr1:3")
            .each(&["start"])
            .submit("first", "wait", &[ID])
            .submit("second", "wait", &[ID])
            .submit("third", "wait", &[ID])
            .exit()
            .answer("third", data("3"))
            .answer("first", data("3"))
            .answer("second", data("3"))
            .request("wait", &[ID], data("3")),
        vector("a_wait_outlasts_pause_and_resume")
            .create("fault.test/exit-on-usr1:0")
            .each(&["start"])
            .submit("wait", "wait", &[ID])
            .each(&["pause", "resume"])
            .exit()
            .answer("wait", data("0")),
        vector("a_wait_does_not_keep_stop_waiting")
            .create(NGINX)
            .each(&["start"])
            .submit("wait", "wait", &[ID])
            .each(&["stop"])
            .answer("wait", data("143")),
        vector("a_wait_before_the_first_start_answers_at_the_first_exit")
            .create(NGINX)
            .submit("wait", "wait", &[ID])
            .each(&["start", "kill"])
            .answer("wait", data("137")),
        vector("a_wait_of_a_second_life_answers_at_its_exit")
            .create("fault.test/exit-on-usr1:6")
            .each(&["start", "stop"])
            .request("wait", &[ID], data("143"))
            .each(&["start"])
            .submit("wait", "wait", &[ID])
            .exit()
            .answer("wait", data("6")),
        vector("a_wait_ends_when_its_container_is_deleted")
            .create(NGINX)
            .submit("wait", "wait", &[ID])
            .each(&["delete"])
            .answer("wait", failure("container_not_found", &["deleted"])),
        vector("a_wait_ends_when_its_container_is_deleted_by_force")
            .create(NGINX)
            .each(&["start"])
            .submit("wait", "wait", &[ID])
            .request("delete", &[ID, "force"], done())
            .answer("wait", failure("container_not_found", &["deleted"])),
        vector("a_wait_does_not_answer_between_restarts")
            .about("The process has ended and is to be started again: the wait is still open when the container is deleted.")
            .create("fault.test/restarting:9")
            .submit("wait", "wait", &[ID])
            .each(&["start"])
            .inspect(value!({ "state": "restarting", "exit_code": 9 }))
            .request("delete", &[ID, "force"], done())
            .answer("wait", failure("container_not_found", &["deleted"])),
        vector("a_wait_can_be_cancelled")
            .create(NGINX)
            .each(&["start"])
            .submit("first", "wait", &[ID])
            .submit("second", "wait", &[ID])
            .cancel("first")
            .inspect(value!({ "state": "running" }))
            .each(&["stop"])
            .answer("second", data("143")),
        vector("a_wait_by_name_stays_with_its_container")
            .create_named("fault.test/exit-on-usr1:1", "web")
            .each(&["start"])
            .submit("wait", "wait", &["web"])
            .exit()
            .answer("wait", data("1")),
        vector("a_wait_for_what_hangs_in_its_start_answers_at_the_exit")
            .create("fault.test/late:start")
            .submit("wait", "wait", &[ID])
            .submit("start", "start", &[ID])
            .cancel("start")
            .eventually("inspect", &[ID], json(value!({ "state": "running" })))
            .each(&["stop"])
            .answer("wait", data("143")),
        vector("waits_of_two_containers_are_apart")
            .request(
                "create",
                &["fault.test/exit-on-usr1:2", "other"],
                created("other"),
            )
            .create("fault.test/exit-on-usr1:1")
            .each(&["start"])
            .request("start", &["other"], done())
            .submit("other", "wait", &["other"])
            .submit("wait", "wait", &[ID])
            .exit()
            .answer("wait", data("1"))
            .request("stop", &["other"], done())
            .answer("other", data("143")),
    ]
}
