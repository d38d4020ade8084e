//! The commands on simulated containers, each in an empty world of its own. `fault.test` serves images whose names
//! say how they fail; see the simulated runtime.

use crate::process::{Ending, Running, command, selur, until};
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[track_caller]
fn simulated(arguments: &[&str]) -> Ending {
    selur(&[&["--runtime", "simulated"], arguments].concat())
}

#[test]
fn run_ends_as_its_container_does() {
    for code in [0, 3, 125, 126, 127, 255] {
        let ending = simulated(&["run", &format!("fault.test/exit:{code}")]);
        assert_eq!(ending.code, Some(code), "{ending:?}");
        assert!(ending.stdout.contains("started, generation 1"), "{ending:?}");
    }
}

#[test]
fn a_start_that_fails_is_selurs_own_failure() {
    for (image, words) in [
        ("fault.test/start:internal_error", "makes start fail"),
        ("fault.test/create:resource_exhausted", "makes create fail"),
        ("fault.test/pull:network_error", "makes pull fail"),
        ("fault.test/nothing:here", ""),
    ] {
        let said = simulated(&["run", "--rm", image]).failed(125);
        assert!(said.contains(words), "{image}: {said}");
    }
}

#[test]
fn run_for_programs_is_one_document_a_line() {
    let ending = simulated(&["--format", "json", "run", "fault.test/exit:0"]);
    let events = ending.json_lines();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["created", "output", "ended"], "{events:?}");
    assert_eq!(events[0]["id"].as_str().unwrap().len(), 32);
    assert_eq!(
        (&events[1]["stream"], &events[2]["exit_code"]),
        (&"stdout".into(), &0.into())
    );
}

#[test]
fn a_deadline_bounds_requests() {
    let said = simulated(&["--timeout", "50ms", "create", "fault.test/hang:create"]).failed(1);
    assert!(said.contains("deadline") && said.contains("--timeout"), "{said}");
}

#[test]
fn a_deadline_does_not_bound_how_long_a_container_runs() {
    let arguments = ["--runtime", "simulated", "--timeout", "500ms", "run", "busybox"];
    let running = Running::start(command(&arguments));
    running.await_stdout("started");
    let begin = Instant::now();
    until("the deadline has passed", || {
        begin.elapsed() > Duration::from_millis(600)
    });
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, Some(143));
}

#[test]
fn an_interrupt_before_the_container_runs_ends_run_at_once() {
    for step in ["pull", "create", "start"] {
        let image = format!("fault.test/hang:{step}");
        let running = Running::start(command(&["--runtime", "simulated", "run", "--rm", &image]));
        running.await_stderr("pulling");
        running.signal(Signal::INT);
        let said = running.end().failed(130);
        assert!(
            said.contains("interrupted before the process ran"),
            "{step}: {said}"
        );
    }
}

#[test]
fn an_empty_world_is_said_to_be_one() {
    let ending = simulated(&["ps", "-a"]);
    assert!(ending.stderr.contains("lives in memory"), "{ending:?}");
    assert_eq!(ending.ok().lines().count(), 1);
    let said = simulated(&["start", "web"]).failed(1);
    assert!(
        said.contains("empty world") && said.contains("--runtime oci"),
        "{said}"
    );
    let detached = simulated(&["run", "-d", "busybox"]);
    assert!(
        detached.stderr.contains("ended with this command"),
        "{detached:?}"
    );
    assert_eq!(detached.ok().trim_end().len(), 32);
}

#[test]
fn an_empty_world_is_json_for_programs() {
    for command in ["ps", "images"] {
        let ending = simulated(&["--format", "json", command]);
        assert_eq!(ending.stderr, "");
        assert_eq!(ending.json(), serde_json::json!([]));
    }
    let id = simulated(&["--format", "json", "create", "busybox"]).json();
    assert_eq!(id["id"].as_str().unwrap().len(), 32);
}

#[test]
fn each_command_on_nobody_fails_with_advice() {
    for command in [
        "start", "stop", "restart", "kill", "pause", "resume", "wait", "inspect", "rm", "logs",
    ] {
        let said = simulated(&[command, "nobody"]).failed(1);
        assert!(
            said.contains("nobody") && said.lines().count() == 2,
            "{command}: {said}"
        );
    }
    assert_eq!(simulated(&["rm", "-f", "nobody"]).ok(), "nobody\n");
    let absent = simulated(&["--format", "json", "rm", "-f", "nobody"]).json();
    assert_eq!(
        absent,
        serde_json::json!({ "container": "nobody", "done": "absent" })
    );
}

#[test]
fn every_argument_is_tried_though_one_fails() {
    let ending = simulated(&["stop", "one", "two", "three"]);
    assert_eq!(ending.stderr.lines().count(), 6, "{ending:?}");
    assert_eq!(ending.code, Some(1));
}

#[test]
fn a_pull_prints_what_it_fetched() {
    let ending = simulated(&["pull", "nginx"]);
    assert!(
        ending.stderr.contains("pulling docker.io/library/nginx:latest"),
        "{ending:?}"
    );
    assert!(ending.ok().starts_with("docker.io/library/nginx:latest  sha256:"));
    let events = simulated(&["--format", "json", "pull", "nginx"]).json_lines();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["pulling", "resolved", "transferred", "layer_done", "done"]
    );
    assert!(
        simulated(&["pull", "fault.test/pull:permission_denied"])
            .failed(1)
            .contains("log in")
    );
}

#[test]
fn info_names_the_backend() {
    assert_eq!(
        simulated(&["--format", "json", "info"]).json()["backend"],
        "simulated"
    );
    let told = simulated(&["info"]).ok();
    assert!(
        told.contains("simulated") && !told.contains("state root"),
        "{told}"
    );
}
