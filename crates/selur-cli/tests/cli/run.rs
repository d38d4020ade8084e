//! `selur run` with real containers: output, exit codes, signals, what outlives whom.

use crate::process::{Running, await_end, until};
use crate::world::{IMAGE, World};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;

/// A program that says that it runs, and ends with 7 on SIGINT and 9 on SIGTERM.
const PATIENT: &str =
    "trap 'exit 7' INT; trap 'exit 9' TERM; echo ready; while :; do sleep 1 & wait $!; done";

#[test]
fn output_and_exit_code_are_the_containers() {
    let world = World::new();
    let ending = world.selur(&["run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!(
        (ending.code, ending.stdout.as_str(), ending.stderr.as_str()),
        (Some(5), "out\n", "err\n")
    );
    assert_eq!(world.count(), 0);
}

#[test]
fn output_is_passed_on_byte_for_byte() {
    let world = World::new();
    let script = r"printf 'no line feed \033[1m\377 at the end'";
    let output = world
        .command(&["run", "--rm", IMAGE, "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"no line feed \x1b[1m\xff at the end");
}

#[test]
fn options_reach_the_process() {
    let world = World::new();
    let script = "hostname; pwd; id -u; id -g; echo $ONE $TWO; cat /proc/1/comm; true";
    let mut command = world.command(&[
        "run",
        "--rm",
        "--name",
        "opts",
        "-e",
        "ONE=1",
        "-e",
        "TWO",
        "-e",
        "MISSING",
        "-w",
        "/bin",
        "-u",
        "12:34",
        "--hostname",
        "inside",
        "--entrypoint",
        "sh",
        IMAGE,
        "-c",
        script,
    ]);
    command.env("TWO", "2").env_remove("MISSING");
    assert_eq!(
        Running::start(command).end().ok(),
        "inside\n/bin\n12\n34\n1 2\nsh\n"
    );
}

#[test]
fn a_program_that_is_missing_ends_with_127() {
    let world = World::new();
    for program in ["no-such-program", "/bin/no-such-program"] {
        let said = world.selur(&["run", "--rm", IMAGE, program]).failed(127);
        assert!(
            said.contains("no-such-program") && said.lines().count() == 2,
            "{said}"
        );
    }
    assert_eq!(world.count(), 0);
}

#[test]
fn a_file_that_is_no_program_ends_with_126() {
    let world = World::new();
    for program in ["/notes.txt", "/bin"] {
        let said = world.selur(&["run", "--rm", IMAGE, program]).failed(126);
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    assert_eq!(world.count(), 0);
}

#[test]
fn a_source_that_is_missing_is_told_with_what_to_do() {
    let world = World::new();
    let said = world
        .selur(&["run", "--rm", "-v", "/nonexistent/source:/x", IMAGE, "true"])
        .failed(125);
    assert!(
        said.contains("/nonexistent/source") && said.contains("Make it first."),
        "{said}"
    );
    assert_eq!(world.count(), 0);
}

#[test]
fn an_image_that_is_not_to_be_had_ends_with_125() {
    let world = World::empty();
    let said = world
        .selur(&["run", "--rm", "--pull", "never", IMAGE])
        .failed(125);
    assert!(said.contains("busybox"), "{said}");
    // Nobody listens on port 1.
    let said = world.selur(&["run", "--rm", "127.0.0.1:1/nothing"]).failed(125);
    assert!(said.contains("127.0.0.1:1"), "{said}");
    assert_eq!(world.count(), 0);
}

#[test]
fn a_signal_that_ends_the_process_is_128_and_its_number() {
    let world = World::new();
    let code = world
        .selur(&[
            "run",
            "--rm",
            IMAGE,
            "sh",
            "-c",
            "kill -KILL $$; sh -c 'kill -9 $PPID'; exit 3",
        ])
        .code;
    // PID 1 cannot kill itself: the shell goes on and says so with its code.
    assert_eq!(code, Some(3));
    let running = Running::start(world.command(&["run", "--name", "victim", IMAGE, "sh", "-c", PATIENT]));
    running.await_stdout("ready");
    world.selur(&["kill", "victim"]).ok();
    assert_eq!(running.end().code, Some(137));
}

#[test]
fn interrupt_and_termination_reach_the_container() {
    let world = World::new();
    for (signal, code) in [(Signal::INT, 7), (Signal::TERM, 9)] {
        let running = Running::start(world.command(&["run", "--rm", IMAGE, "sh", "-c", PATIENT]));
        running.await_stdout("ready");
        running.signal(signal);
        assert_eq!(running.end().code, Some(code));
    }
    assert_eq!(world.count(), 0, "--rm removes what was interrupted");
}

#[test]
fn the_third_interrupt_kills_what_ignores_them() {
    let world = World::new();
    let script = "trap 'echo caught' INT; echo ready; while :; do sleep 1 & wait $!; done";
    let running = Running::start(world.command(&["run", "--rm", IMAGE, "sh", "-c", script]));
    running.await_stdout("ready");
    running.signal(Signal::INT);
    running.await_stdout("caught\n");
    running.signal(Signal::INT);
    running.await_stderr("once more kills it");
    running.signal(Signal::INT);
    assert_eq!(running.end().code, Some(137));
    assert_eq!(world.count(), 0);
}

#[test]
fn a_container_outlives_a_run_that_was_killed() {
    let world = World::new();
    let script =
        "echo one; echo two >&2; trap 'echo three; exit 4' TERM; while :; do sleep 1 & wait $!; done";
    let running = Running::start(world.command(&["run", "--name", "orphan", IMAGE, "sh", "-c", script]));
    running.await_stdout("one");
    running.await_stderr("two");
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);

    let listed = world.selur(&["ps"]).ok();
    assert!(
        listed.contains("orphan") && listed.contains("running"),
        "{listed}"
    );
    let logs = world.selur(&["logs", "orphan"]);
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("one\n", "two\n"));
    world.selur(&["stop", "orphan"]).ok();
    assert_eq!(world.selur(&["wait", "orphan"]).ok(), "4\n");
    assert_eq!(world.selur(&["logs", "orphan"]).ok(), "one\nthree\n");
}

#[test]
fn detached_containers_are_there_until_they_are_removed() {
    let world = World::new();
    let id = world
        .selur(&[
            "run",
            "-d",
            "--name",
            "web",
            "-l",
            "tier=front",
            IMAGE,
            "sh",
            "-c",
            PATIENT,
        ])
        .ok();
    let id = id.trim_end();
    assert_eq!(id.len(), 32);
    let follower = Running::start(world.command(&["logs", "-f", "web"]));
    follower.await_stdout("ready");
    let inspection = world.inspect(&id[..8]);
    assert_eq!(
        (inspection["id"].as_str(), inspection["state"].as_str()),
        (Some(id), Some("running"))
    );
    assert_eq!(inspection["labels"]["tier"], "front");
    assert!(world.selur(&["rm", "web"]).failed(1).contains("rm -f"));
    assert_eq!(world.selur(&["stop", "web"]).ok(), "web\n");
    assert_eq!(follower.end().ok(), "ready\n");
    assert_eq!(world.inspect("web")["exit_code"], 9);
    assert_eq!(world.selur(&["rm", "web"]).ok(), "web\n");
    assert_eq!(world.count(), 0);
}

#[test]
fn what_run_leaves_without_rm_can_be_read_and_started_again() {
    let world = World::new();
    assert_eq!(
        world
            .selur(&["run", "--name", "once", IMAGE, "echo", "hello"])
            .ok(),
        "hello\n"
    );
    assert_eq!(world.inspect("once")["state"], "stopped");
    world.selur(&["start", "once"]).ok();
    assert_eq!(world.selur(&["wait", "once"]).ok(), "0\n");
    assert_eq!(world.selur(&["logs", "once"]).ok(), "hello\nhello\n");
    assert_eq!(world.selur(&["logs", "-n", "1", "once"]).ok(), "hello\n");
}

#[test]
fn a_reader_that_goes_away_ends_run_and_rm_removes_the_container() {
    let world = World::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = world.command(&["run", "--rm", IMAGE, "sh", "-c", "while :; do echo y; done"]);
    let mut child = command.stdout(writer).spawn().unwrap();
    drop(command);
    drop(reader);
    let mut status = None;
    until("the end of run", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(141));
    assert_eq!(world.count(), 0);
}

#[test]
fn a_name_is_taken_once() {
    let world = World::new();
    world.selur(&["create", "--name", "only", IMAGE]).ok();
    let said = world.selur(&["run", "--name", "only", IMAGE]).failed(125);
    assert!(
        said.contains("only") && said.contains("has this name already"),
        "{said}"
    );
    assert_eq!(world.count(), 1);
}

#[test]
fn events_of_a_run_are_json_lines_for_programs() {
    let world = World::new();
    let script = "echo text; printf '\\377' >&2; exit 0";
    let events = world
        .selur(&["--format", "json", "run", "--rm", IMAGE, "sh", "-c", script])
        .json_lines();
    assert_eq!(events[0]["event"], "created");
    let of = |stream: &str| {
        events
            .iter()
            .find(|event| event["stream"] == *stream)
            .unwrap()
            .clone()
    };
    assert_eq!(of("stdout")["text"], "text\n");
    assert_eq!(of("stderr")["bytes"], serde_json::json!([255]));
    assert_eq!(events.last().unwrap()["exit_code"], 0);
}

#[test]
fn interrupts_are_heard_though_nobody_reads_the_output() {
    let world = World::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = world.command(&["run", "--name", "loud", IMAGE, "yes"]);
    let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let waiting = || rustix::io::ioctl_fionread(&reader).unwrap();
    until("the pipe is full", || waiting() >= 60_000);
    let interrupt = || kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    // The first process of a container ignores them; the third kills it.
    until("the container is killed", || {
        interrupt();
        world.inspect("loud")["state"] == "stopped"
    });
    assert_eq!(world.inspect("loud")["exit_code"], 137);
    interrupt();
    assert_eq!(await_end(&mut child, String::new), Some(130));
}
