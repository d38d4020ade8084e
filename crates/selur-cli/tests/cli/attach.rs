//! Connections to containers' first processes without a terminal: run -i, attach, start -a.

use crate::process::{Running, await_end};
use crate::world::{IMAGE, World};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::process::Stdio;

/// Says something, then something else again and again; ends with 7 on SIGINT and 9 on SIGTERM.
const TALKING: &str = "trap 'echo told; exit 7' INT; trap 'exit 9' TERM; echo first; \
                       while :; do echo tick; sleep 0.1 & wait $!; done";

#[test]
fn input_of_run_is_passed_on_to_its_end() {
    let world = World::new();
    // More than every pipe and queue in between holds.
    let bytes: Vec<u8> = (0..4_000_000u32).map(|number| (number >> 3) as u8).collect();
    let mut child = world
        .command(&["run", "-i", "--rm", IMAGE, "md5sum"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let mut seen = String::new();
    child.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
    assert_eq!(await_end(&mut child, String::new), Some(0));
    let mut expected = Vec::new();
    let mut md5sum = std::process::Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    md5sum.stdin.take().unwrap().write_all(&bytes).unwrap();
    md5sum.stdout.take().unwrap().read_to_end(&mut expected).unwrap();
    md5sum.wait().unwrap();
    assert_eq!(seen.as_bytes(), expected);
    assert_eq!(world.count(), 0);
}

#[test]
fn an_attachment_shows_what_comes_and_ends_as_the_container_does() {
    let world = World::new();
    talking(&world, "box");
    let attached = Running::start(world.command(&["attach", "box"]));
    attached.await_stdout("tick");
    attached.signal(Signal::INT);
    let ending = attached.end();
    assert_eq!(ending.code, Some(7), "{ending:?}");
    assert!(
        ending.stdout.ends_with("tick\ntold\n") && !ending.stdout.contains("first"),
        "{ending:?}"
    );
    let said = world.selur(&["attach", "box"]).failed(125);
    for words in ["\"box\": ", "selur logs box", "selur start -a box"] {
        assert!(said.contains(words) && said.lines().count() == 2, "{said}");
    }
    assert_eq!(world.selur(&["attach", "nobody"]).code, Some(125));
}

#[test]
fn who_only_watches_leaves_the_container_alone() {
    let world = World::new();
    talking(&world, "box");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let watching = Running::start(world.command(&["attach", "--no-stdin", "box"]));
        watching.await_stdout("tick");
        watching.signal(signal);
        assert_eq!(watching.end().code, Some(code));
        assert_eq!(world.inspect("box")["state"], "running");
    }
}

#[test]
fn a_container_that_was_made_without_input_is_attached_to_for_its_output() {
    let world = World::new();
    talking(&world, "box");
    let mut attached = Running::start(world.command(&["--format", "json", "attach", "box"]));
    attached.await_stdout("\"text\":\"tick\\n\"");
    world.selur(&["stop", "box"]).ok();
    attached.await_stdout("\"event\":\"ended\"");
    assert_eq!(attached.end().code, Some(9));
    attached = Running::start(world.command(&["start", "-i", "box"]));
    assert!(attached.end().failed(125).contains("start -a"));
}

#[test]
fn start_connects_to_what_it_starts_and_shows_nothing_of_earlier() {
    let world = World::new();
    let script = "echo $(($(cat /count 2>/dev/null || echo 0) + 1)) >/count; echo start $(cat /count); read line; \
                  echo $line; exit 6";
    world
        .selur(&["create", "-i", "--name", "box", IMAGE, "sh", "-c", script])
        .ok();
    for number in 1..=3 {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"hello\n").unwrap();
        drop(writer);
        let mut command = world.command(&["start", "-ai", "box"]);
        command.stdin(reader);
        let ending = Running::start(command).end();
        assert_eq!(
            (ending.code, ending.stdout),
            (Some(6), format!("start {number}\nhello\n"))
        );
    }
    world
        .selur(&["create", "--name", "other", IMAGE, "echo", "hi"])
        .ok();
    for _ in 0..2 {
        assert_eq!(world.selur(&["start", "-a", "other"]).ok(), "hi\n");
    }
    assert!(
        world
            .selur(&["start", "-a", "box", "other"])
            .failed(125)
            .contains("one container")
    );
}

/// Starts a container that says `first`, then `tick` again and again.
fn talking(world: &World, name: &str) {
    world
        .selur(&["run", "-d", "--name", name, IMAGE, "sh", "-c", TALKING])
        .ok();
    let follower = Running::start(world.command(&["logs", "-f", name]));
    follower.await_stdout("tick");
}
