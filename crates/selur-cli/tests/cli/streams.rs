//! What is watched of real containers: logs and events.

use crate::process::Running;
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
