//! What is watched of real containers: logs, events, stats, top.

use crate::process::{Running, until};
use crate::world::{IMAGE, World};
use rustix::process::Signal;

#[test]
fn logs_are_of_one_output_of_some_time_and_with_the_time_of_each_line() {
    let world = World::new();
    let script = "echo one; echo two >&2; echo three; printf four";
    world
        .selur(&["run", "--name", "box", IMAGE, "sh", "-c", script])
        .ok();
    let logs = |options: &[&str]| world.selur(&[&["logs"], options, &["box"]].concat());
    let only = logs(&["--stdout"]);
    assert_eq!(
        (only.stdout.as_str(), only.stderr.as_str()),
        ("one\nthree\nfour", "")
    );
    let only = logs(&["--stderr"]);
    assert_eq!((only.stdout.as_str(), only.stderr.as_str()), ("", "two\n"));
    assert_eq!(logs(&["--stdout", "-n", "2"]).ok(), "three\nfour");
    assert_eq!(logs(&["--since", "10m", "--stdout"]).ok(), "one\nthree\nfour");
    assert_eq!(logs(&["--since", "2100-01-01T00:00:00Z"]).ok(), "");
    let stamped = logs(&["-t", "--stdout"]).ok();
    for (line, text) in stamped.lines().zip(["one", "three", "four"]) {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.len() == 30 && time.ends_with('Z') && rest == text, "{line}");
    }
    // From the moment of a line on: what was read at once has one time.
    let time = |line: &str| line.split_once(' ').unwrap().0.to_owned();
    let last = time(stamped.lines().last().unwrap());
    let expected: Vec<&str> = stamped.lines().filter(|line| time(line) >= last).collect();
    assert_eq!(
        logs(&["-t", "--since", &last, "--stdout"]).ok(),
        expected.join("\n")
    );
}

#[test]
fn events_tell_a_containers_life_whoever_asks_and_filters() {
    let world = World::new();
    let follower = Running::start(world.command(&["--format", "json", "events", "--since", "0"]));
    follower.await_stdout("image_loaded");
    let id = world
        .selur(&["run", "-d", "--name", "web", IMAGE, "sleep", "1000000"])
        .ok();
    world.selur(&["kill", "web"]).ok();
    world.selur(&["wait", "web"]).ok();
    world.selur(&["rm", "web"]).ok();
    follower.await_stdout("\"deleted\"");
    follower.signal(Signal::INT);
    let ending = follower.end();
    let known = |options: &[&str]| {
        let command = [&["--format", "json", "events", "--until-now"], options].concat();
        world.selur(&command).json_lines()
    };
    let all = known(&[]);
    let followed: Vec<serde_json::Value> = ending
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(followed, all);
    let of_web = known(&["--filter", "container=web"]);
    let kinds: Vec<&str> = of_web
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["created", "started", "ended", "deleted"]);
    assert!(of_web.iter().all(|event| event["subject"] == id.trim_end()));
    assert_eq!(of_web[2]["exit_code"], 137);
    let ended = known(&["-f", "kind=ended", "-f", "kind=started", "-f", "container=web"]);
    assert_eq!(ended.len(), 2);
    let text = world.selur(&["events", "--until-now", "-f", "kind=ended"]).ok();
    assert!(
        text.lines().count() == 1 && text.contains("web") && text.contains("exit code 137"),
        "{text}"
    );
    assert!(
        text.contains(&id[..12]) && !text.contains(id.trim_end()),
        "{text}"
    );
}

#[test]
fn stats_and_top_show_what_a_container_does() {
    let world = World::new();
    let script = "while :; do :; done";
    world
        .selur(&["run", "-d", "--name", "busy", IMAGE, "sh", "-c", script])
        .ok();
    world
        .selur(&["run", "-d", "--name", "idle", IMAGE, "sleep", "1000000"])
        .ok();
    let once = world
        .selur(&["--format", "json", "stats", "--no-stream"])
        .json_lines();
    let of = |name: &str| once.iter().find(|line| line["name"] == *name).unwrap();
    assert_eq!(once.len(), 2);
    let percent = |name: &str| of(name)["cpu_percent"].as_f64().unwrap();
    assert!(percent("busy") > 1.0 && percent("idle") < 1.0, "{once:?}");
    assert!(of("idle")["memory_bytes"].as_u64().unwrap() > 0);
    assert_eq!(of("idle")["pids"], 1);
    let table = world.selur(&["stats", "--no-stream", "idle"]).ok();
    assert!(table.lines().count() == 2 && table.contains("idle"), "{table}");

    let processes = world.selur(&["--format", "json", "top", "busy"]).json();
    assert_eq!(processes.as_array().unwrap().len(), 1);
    assert_eq!(processes[0]["pid"], world.inspect("busy")["pid"]);
    assert_eq!(processes[0]["command"], serde_json::json!(["sh", "-c", script]));
    let table = world.selur(&["top", "busy"]).ok();
    assert!(table.starts_with("PID") && table.contains(script), "{table}");
}

#[test]
fn stats_of_all_leave_out_what_is_between_two_lives() {
    let world = World::new();
    let options = ["run", "-d", "--name", "again", "--restart", "on-failure", IMAGE];
    world
        .selur(&[&options[..], &["sh", "-c", "exit 1"]].concat())
        .ok();
    world
        .selur(&["run", "-d", "--name", "calm", IMAGE, "sleep", "1000000"])
        .ok();
    until("it waits for its next life", || {
        world.inspect("again")["state"] == "restarting"
    });
    let ending = world.selur(&["stats", "--no-stream"]);
    assert_eq!(ending.stderr, "");
    assert!(ending.ok().contains("calm"));
}

#[test]
fn stats_go_on_take_up_what_starts_and_end_with_what_was_named() {
    let world = World::new();
    world
        .selur(&["run", "-d", "--name", "one", IMAGE, "sleep", "1000000"])
        .ok();
    let all = Running::start(world.command(&["--format", "json", "stats"]));
    let table = Running::start(world.command(&["stats"]));
    let named = Running::start(world.command(&["--format", "json", "stats", "one"]));
    all.await_stdout("\"one\"");
    named.await_stdout("\"cpu_percent\":0");
    table.await_stdout("one");
    world
        .selur(&["run", "-d", "--name", "two", IMAGE, "sleep", "1000000"])
        .ok();
    all.await_stdout("\"two\"");
    table.await_stdout("two");
    world.selur(&["kill", "one", "two"]).ok();
    assert_eq!(named.end().code, Some(0));
    all.signal(Signal::INT);
    assert_eq!(all.end().code, None);
    until("the table is empty", || {
        world.selur(&["stats", "--no-stream"]).ok().lines().count() == 1
    });
    let said = world.selur(&["stats", "one", "nobody"]).failed(1);
    assert_eq!(said.lines().count(), 4, "{said}");
}
