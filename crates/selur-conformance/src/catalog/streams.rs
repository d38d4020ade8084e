//! streams.json

use super::build::*;
use crate::vector::Vector;
use serde_json::json as value;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = opened();
    vectors.extend(refused());
    vectors
}

fn opened() -> Vec<Vector> {
    let running = |name: &str| vector(name).create(NGINX).each(&["start"]);
    vec![
        running("an_exec_is_answered_when_its_stream_is_open").request(
            "exec",
            &[ID, r#"{"command":["echo","hello"]}"#],
            stream(),
        ),
        running("two_execs_run_side_by_side")
            .submit("first", "exec", &[ID, r#"{"command":["sleep"]}"#])
            .submit("second", "exec", &[ID, r#"{"command":["sleep"]}"#])
            .answer("second", stream())
            .answer("first", stream())
            .each(&["stop"]),
        running("an_exec_overtakes_what_is_queued")
            .submit("pause", "pause", &[ID])
            .answer("pause", done())
            .each(&["resume"])
            .request("exec", &[ID, r#"{"command":["true"]}"#], stream()),
        running("logs_take_options").request(
            "logs",
            &[
                ID,
                r#"{"follow":true,"tail_lines":10,"since_ns":1,"stdout":true,"stderr":false}"#,
            ],
            stream(),
        ),
        running("a_container_is_attached_to_before_it_is_started_and_while_it_runs")
            .request("attach", &[ID, r#"{"replay":true}"#], stream())
            .request("create", &[NGINX, "web"], created("id"))
            .request("attach", &["web"], stream()),
        running("stats_take_options").request("stats", &[ID, r#"{"follow":false}"#], stream()),
        running("empty_options_are_the_defaults")
            .request("logs", &[ID, ""], stream())
            .request("stats", &[ID, "{}"], stream()),
        running("a_stream_is_opened_by_name_and_by_prefix")
            .request("create", &[NGINX, "web"], created("id"))
            .request("logs", &["web"], stream())
            .request("logs", &[ID], stream()),
        running("top_shows_the_processes").request(
            "top",
            &[ID],
            json(value!([{ "pid": 1, "parent_pid": 0, "uid": 0 }])),
        ),
        vector("events_are_answered_when_their_stream_is_open")
            .request("events", &[], stream())
            .request("events", &[r#"{"until_now":true,"since_ns":0}"#], stream())
            .create(NGINX),
    ]
}

fn refused() -> Vec<Vector> {
    let running = |name: &str| vector(name).create(NGINX).each(&["start"]);
    let mut vectors = vec![
        running("an_exec_of_nothing_is_refused").request(
            "exec",
            &[ID, r#"{"command":[]}"#],
            invalid("command"),
        ),
        running("an_exec_of_an_unknown_program_is_refused").request(
            "exec",
            &[ID, r#"{"command":["no-such-program"]}"#],
            invalid("no-such-program"),
        ),
        running("an_unknown_field_of_an_exec_specification_is_refused").request(
            "exec",
            &[ID, r#"{"command":["true"],"privileged":true}"#],
            invalid("privileged"),
        ),
        running("an_exec_specification_that_is_no_json_is_refused").request(
            "exec",
            &[ID, "true"],
            invalid("specification"),
        ),
        vector("input_for_a_container_without_it_is_refused")
            .create(NGINX)
            .each(&["start"])
            .request("attach", &[ID, r#"{"stdin":true}"#], invalid("stdin")),
        running("samples_that_come_too_fast_are_refused").request(
            "stats",
            &[ID, r#"{"interval_ms":1}"#],
            invalid("interval_ms"),
        ),
    ];
    let wrong_state = |words: &str| failure("invalid_state", &[words]);
    let exec = [ID, r#"{"command":["true"]}"#];
    vectors.push(
        vector("a_refusal_says_what_to_do_first")
            .create(NGINX)
            .request("exec", &exec, wrong_state("start it first"))
            .request("stats", &[ID], wrong_state("start it first"))
            .each(&["start", "pause"])
            .request("exec", &exec, wrong_state("resume it first"))
            .each(&["stop"])
            .request("top", &[ID], wrong_state("start it first"))
            .request("attach", &[ID], wrong_state("its logs can be read")),
    );
    for command in ["logs", "attach", "stats"] {
        vectors.push(
            running(&format!("an_unknown_option_of_{command}_is_refused"))
                .request(command, &[ID, r#"{"loud":true}"#], invalid("loud"))
                .request(command, &[ID, "{"], invalid("options")),
        );
    }
    vectors.push(
        vector("an_unknown_option_of_events_is_refused")
            .request("events", &[r#"{"loud":true}"#], invalid("loud"))
            .request("events", &["all"], invalid("options")),
    );
    vectors
}
