//! The commands about containers that exist, with real ones.

use crate::process::Running;
use crate::world::{IMAGE, World};

const FOREVER: &str = "trap 'exit 0' TERM; echo ready; while :; do sleep 1 & wait $!; done";

#[test]
fn a_life_goes_through_every_state() {
    let world = World::new();
    let id = world
        .selur(&["create", "--name", "life", IMAGE, "sh", "-c", FOREVER])
        .ok();
    let state = || world.inspect("life")["state"].as_str().unwrap().to_owned();
    assert_eq!(state(), "created");
    assert_eq!(
        world.selur(&["ps"]).ok().lines().count(),
        1,
        "what never ran is not listed"
    );
    assert!(world.selur(&["ps", "-a"]).ok().contains("created"));
    assert!(world.selur(&["pause", "life"]).failed(1).contains("created"));
    for (command, then) in [
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("stop", "stopped"),
    ] {
        assert_eq!(world.selur(&[command, "life"]).ok(), "life\n");
        assert_eq!(state(), then, "after {command}");
    }
    let listed = world.selur(&["ps", "-a"]).ok();
    assert!(
        listed.contains("stopped (") && listed.contains(&id[..12]) && listed.contains(" ago"),
        "{listed}"
    );
    world.selur(&["rm", "life"]).ok();
    assert_eq!(world.count(), 0);
}

#[test]
fn the_table_and_the_json_of_ps_tell_the_same() {
    let world = World::new();
    let id = world
        .selur(&["run", "-d", "--name", "listed", IMAGE, "sh", "-c", FOREVER])
        .ok();
    let document = world.selur(&["--format", "json", "ps"]).json();
    let [container] = &document.as_array().unwrap()[..] else {
        panic!("{document}")
    };
    let table = world.selur(&["ps"]).ok();
    let lines: Vec<&str> = table.lines().collect();
    let headings: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(
        headings,
        ["CONTAINER", "NAME", "IMAGE", "STATE", "PID", "CREATED"]
    );
    let pid = container["pid"].to_string();
    for cell in [&id[..12], "listed", IMAGE, "running", &pid] {
        assert!(lines[1].contains(cell), "{cell}: {table}");
    }
    assert_eq!(container["id"], id.trim_end());
    assert_eq!(world.selur(&["ps", "-q"]).ok(), format!("{}\n", &id[..12]));
    assert!(std::path::Path::new("/proc").join(pid).exists());
}

#[test]
fn kill_sends_the_signal_that_it_is_given() {
    let world = World::new();
    let script = "trap 'echo usr1' USR1; trap 'exit 6' TERM; echo ready; while :; do sleep 1 & wait $!; done";
    world
        .selur(&["run", "-d", "--name", "signals", IMAGE, "sh", "-c", script])
        .ok();
    let follower = Running::start(world.command(&["logs", "--follow", "signals"]));
    follower.await_stdout("ready");
    world.selur(&["kill", "-s", "USR1", "signals"]).ok();
    follower.await_stdout("usr1");
    world.selur(&["kill", "--signal", "15", "signals"]).ok();
    assert_eq!(world.selur(&["wait", "signals"]).ok(), "6\n");
    assert!(
        world
            .selur(&["kill", "-s", "NONSENSE", "signals"])
            .failed(1)
            .contains("no signal")
    );
}

#[test]
fn what_ignores_the_stop_signal_is_killed_in_time() {
    let world = World::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 1 & wait $!; done";
    world
        .selur(&["run", "-d", "--name", "stubborn", IMAGE, "sh", "-c", script])
        .ok();
    let follower = Running::start(world.command(&["logs", "-f", "stubborn"]));
    follower.await_stdout("ready");
    world.selur(&["stop", "-t", "50ms", "stubborn"]).ok();
    assert_eq!(world.inspect("stubborn")["exit_code"], 137);
}

#[test]
fn a_restart_ends_a_process_and_starts_another() {
    let world = World::new();
    world
        .selur(&["create", "--name", "web", IMAGE, "sh", "-c", FOREVER])
        .ok();
    let mut pids = Vec::new();
    for _ in 0..2 {
        assert_eq!(world.selur(&["restart", "-t", "1s", "web"]).ok(), "web\n");
        let inspection = world.inspect("web");
        assert_eq!(inspection["state"], "running");
        pids.push(inspection["pid"].clone());
    }
    assert_ne!(pids[0], pids[1]);
    let done = world.selur(&["--format", "json", "restart", "web"]).json();
    assert_eq!(done["done"], "restarted");
    world.selur(&["pause", "web"]).ok();
    assert_eq!(world.selur(&["unpause", "web"]).ok(), "web\n");
    assert_eq!(world.inspect("web")["state"], "running");
}

#[test]
fn a_stop_that_takes_too_long_says_that_it_goes_on() {
    let world = World::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 1 & wait $!; done";
    world
        .selur(&["run", "-d", "--name", "stubborn", IMAGE, "sh", "-c", script])
        .ok();
    let follower = Running::start(world.command(&["logs", "-f", "stubborn"]));
    follower.await_stdout("ready");
    let said = world
        .selur(&["stop", "-t", "1s", "--timeout", "10ms", "stubborn"])
        .failed(1);
    for words in ["\"stubborn\"", "the stop goes on", "selur wait stubborn"] {
        assert!(said.contains(words) && said.lines().count() == 2, "{said}");
    }
    assert_eq!(world.selur(&["wait", "stubborn"]).ok(), "137\n");
}

#[test]
fn wait_answers_for_each_and_programs_get_json() {
    let world = World::new();
    for (name, code) in [("one", "1"), ("two", "2")] {
        world
            .selur(&[
                "run",
                "-d",
                "--name",
                name,
                IMAGE,
                "sh",
                "-c",
                &format!("exit {code}"),
            ])
            .ok();
    }
    assert_eq!(world.selur(&["wait", "one", "two"]).ok(), "1\n2\n");
    let answers = world.selur(&["--format", "json", "wait", "two"]).json_lines();
    assert_eq!(
        answers,
        [serde_json::json!({ "container": "two", "exit_code": 2 })]
    );
}

#[test]
fn a_deadline_ends_a_wait_and_not_the_container() {
    let world = World::new();
    world
        .selur(&["run", "-d", "--name", "long", IMAGE, "sh", "-c", FOREVER])
        .ok();
    assert!(
        world
            .selur(&["--timeout", "200ms", "wait", "long"])
            .failed(1)
            .contains("--timeout")
    );
    assert_eq!(world.inspect("long")["state"], "running");
}

#[test]
fn rm_goes_on_after_a_refusal_and_force_kills() {
    let world = World::new();
    world
        .selur(&["run", "-d", "--name", "busy", IMAGE, "sh", "-c", FOREVER])
        .ok();
    world.selur(&["create", "--name", "idle", IMAGE]).ok();
    let ending = world.selur(&["rm", "busy", "idle"]);
    assert_eq!(
        (ending.code, ending.stdout.as_str()),
        (Some(1), "idle\n"),
        "{ending:?}"
    );
    let pid = world.inspect("busy")["pid"].to_string();
    world.selur(&["rm", "-f", "busy"]).ok();
    assert!(!std::path::Path::new("/proc").join(pid).exists());
    assert_eq!(world.count(), 0);
}

#[test]
fn inspect_answers_for_each_that_is_found() {
    let world = World::new();
    world
        .selur(&["create", "--name", "here", "-e", "A=b", IMAGE, "true"])
        .ok();
    let ending = world.selur(&["inspect", "here", "gone"]);
    assert!(ending.stderr.contains("gone"), "{ending:?}");
    assert_eq!(ending.code, Some(1));
    let document: serde_json::Value = serde_json::from_str(&ending.stdout).unwrap();
    let [container] = &document.as_array().unwrap()[..] else {
        panic!("{document}")
    };
    assert_eq!(container["spec"]["environment"], serde_json::json!(["A=b"]));
    assert_eq!(
        (&container["name"], &container["exit_code"]),
        (&"here".into(), &serde_json::Value::Null)
    );
}

#[test]
fn hostile_labels_and_output_do_not_steer_the_terminal() {
    let world = World::empty();
    let hostile = "\x1b]0;owned\x07 \u{9b}31m \u{202e}";
    let layout = world.layout("evil", hostile);
    world.selur(&["load", layout.to_str().unwrap(), IMAGE]).ok();
    world
        .selur(&[
            "create",
            "--name",
            "evil",
            "-l",
            &format!("mine={hostile}"),
            IMAGE,
            "echo",
            hostile,
        ])
        .ok();
    world.selur(&["start", "evil"]).ok();
    for arguments in [
        &["ps", "-a"][..],
        &["images"],
        &["inspect", "evil"],
        &["--format", "json", "ps", "-a"],
    ] {
        let shown = world.selur(arguments).ok();
        let is_unsafe = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
        assert!(!shown.contains(is_unsafe), "{arguments:?}: {shown:?}");
    }
    assert_eq!(
        world.inspect("evil")["labels"]["evil"],
        hostile,
        "nothing is lost"
    );
    world.selur(&["wait", "evil"]).ok();
    let lines = world.selur(&["--format", "json", "logs", "evil"]).ok();
    assert!(!lines.contains(['\x1b', '\u{9b}', '\x07']), "{lines:?}");
    assert_eq!(
        world.selur(&["logs", "evil"]).ok(),
        format!("{hostile}\n"),
        "the log itself is passed on as it is"
    );
}
