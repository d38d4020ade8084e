//! `selur exec` with real containers: bytes, exit codes, refusals, and what a slow reader and an interrupt leave.

use crate::process::{Running, await_end, until};
use crate::world::{IMAGE, World};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{PipeReader, Read, Write};
use std::process::{Child, Stdio};

/// A pipe of this size holds what a slow reader has not taken.
const PIPE_BYTES: usize = 1 << 20;
/// The most memory that a process may ever have had, in KiB.
const MEMORY_LIMIT_KIB: u64 = 64 << 10;

/// A world in which the container `box` sleeps, and its id.
fn sleeping() -> (World, String) {
    let world = World::new();
    let id = world
        .selur(&["run", "-d", "--name", "box", IMAGE, "sleep", "1000000"])
        .ok();
    (world, id.trim_end().to_owned())
}

#[test]
fn outputs_come_apart_byte_for_byte_and_the_exit_code_is_the_process_s() {
    let (world, _) = sleeping();
    let script = r"printf 'out\033[1m\377\000'; printf 'bad\r' >&2; exit 7";
    let output = world
        .command(&["exec", "box", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"out\x1b[1m\xff\0");
    assert_eq!(output.stderr, b"bad\r");
    assert_eq!(output.status.code(), Some(7));
    let killed = world.selur(&["exec", "box", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.code, Some(143), "{killed:?}");
}

#[test]
fn input_is_passed_on_to_its_end_and_only_with_i() {
    let (world, _) = sleeping();
    // More than every pipe and queue in between holds.
    let bytes: Vec<u8> = (0..8_000_000u32).map(|number| (number >> 3) as u8).collect();
    let mut child = world
        .command(&["exec", "-i", "box", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, expected) = (child.stdin.take().unwrap(), bytes.clone());
    let writing = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let mut seen = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut seen).unwrap();
    writing.join().unwrap();
    assert!(seen == expected, "{} of {} bytes", seen.len(), expected.len());
    assert_eq!(await_end(&mut child, String::new), Some(0));

    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"not for it").unwrap();
    let mut command = world.command(&["exec", "box", "cat"]);
    command.stdin(reader);
    assert_eq!(Running::start(command).end().ok(), "");
}

#[test]
fn a_process_that_reads_no_more_ends_whatever_is_still_to_be_read() {
    let (world, _) = sleeping();
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut command = world.command(&["exec", "-i", "box", "sh", "-c", "echo done; exit 4"]);
    command.stdin(reader);
    let ending = Running::start(command).end();
    assert_eq!((ending.code, ending.stdout.as_str()), (Some(4), "done\n"));
}

#[test]
fn options_reach_the_process() {
    let (world, _) = sleeping();
    let script = "id -u; id -g; pwd; echo $ONE $TWO; echo ${MISSING-none}";
    let mut command = world.command(&[
        "exec", "-u", "12:34", "-w", "/bin", "-e", "ONE=1", "-e", "TWO", "-e", "MISSING", "box", "sh", "-c",
        script,
    ]);
    command.env("TWO", "2").env_remove("MISSING");
    assert_eq!(Running::start(command).end().ok(), "12\n34\n/bin\n1 2\nnone\n");
}

#[test]
fn what_cannot_run_ends_with_126_127_or_125_and_says_what_to_do() {
    let (world, _) = sleeping();
    world.selur(&["create", "--name", "idle", IMAGE]).ok();
    let cases: [(&[&str], i32, &str); 10] = [
        (&["box", "no-such-program"], 127, "Name a program"),
        (&["box", "/bin/no-such-program"], 127, "Name a program"),
        (&["box", "/notes.txt"], 126, "may be executed"),
        (&["box", "/bin"], 126, "may be executed"),
        (&["-w", "/nosuch", "box", "true"], 126, "Name a directory"),
        (&["-e", "", "box", "true"], 125, "KEY=VALUE"),
        (&["nobody", "true"], 125, "selur ps -a"),
        (&["idle", "true"], 125, "Start it first"),
        (&["-u", "nobody-here", "box", "true"], 125, "/etc/passwd"),
        (&["-t", "box", "true"], 125, "Leave -t out"),
    ];
    for (arguments, code, advice) in cases {
        let said = world.selur(&[&["exec"], arguments].concat()).failed(code);
        assert!(
            said.contains(advice) && said.lines().count() == 2,
            "{arguments:?}: {said}"
        );
    }
    assert!(world.selur(&["exec", "box"]).failed(125).contains("COMMAND"));
}

#[test]
fn an_exec_for_programs_is_json_lines() {
    let (world, _) = sleeping();
    let script = "printf text; printf '\\377' >&2; exit 3";
    let ending = world.selur(&["--format", "json", "exec", "box", "sh", "-c", script]);
    assert_eq!((ending.code, ending.stderr.as_str()), (Some(3), ""));
    let mut lines: Vec<serde_json::Value> = ending
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines.pop(),
        Some(serde_json::json!({ "event": "ended", "exit_code": 3 }))
    );
    let of = |stream: &str| lines.iter().find(|line| line["stream"] == *stream).unwrap();
    assert_eq!(of("stdout")["text"], "text");
    assert_eq!(of("stderr")["bytes"], serde_json::json!([255]));
}

#[test]
fn one_gibibyte_to_a_slow_reader_takes_no_memory_to_speak_of() {
    let (world, id) = sleeping();
    let script = "exec dd if=/dev/zero bs=64k count=16384 2>/dev/null";
    let (mut child, mut reader) = unread(&world, &["exec", "box", "sh", "-c", script]);
    let (mut total, mut peaks) = (0u64, Vec::new());
    let mut buffer = vec![0; PIPE_BYTES];
    // Whenever this reader reads, everything behind it has long been full.
    for round in 0.. {
        until("the pipe is full", || is_full(&reader) || total >= 960 << 20);
        let length = reader.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        total += length as u64;
        assert!(buffer[..length].iter().all(|byte| *byte == 0));
        if round == 500 {
            peaks = peaks_kib(&child, &id);
        }
    }
    assert_eq!(total, 1 << 30);
    assert_eq!(await_end(&mut child, String::new), Some(0));
    // The command, the container's shim, and that of the further process.
    assert_eq!(peaks.len(), 3, "{peaks:?}");
    assert!(
        peaks.iter().all(|(_, peak)| *peak < MEMORY_LIMIT_KIB),
        "in KiB: {peaks:?}"
    );
    println!("most memory of each process in KiB: {peaks:?}");
}

#[test]
fn an_interrupt_ends_an_exec_whose_output_nobody_reads_and_leaves_nothing() {
    let (world, id) = sleeping();
    for (signal, code) in [
        (Signal::INT, 130),
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
    ] {
        let (mut child, reader) = unread(&world, &["exec", "box", "yes"]);
        until("the pipe is full", || is_full(&reader));
        assert!(runs(&world, "yes"));
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(await_end(&mut child, String::new), Some(code));
        until("the process is gone", || !runs(&world, "yes"));
        until("only the container's shim is left", || shims(&id).len() == 1);
        assert_eq!(execs_kept(&world), 0);
    }
    assert_eq!(world.selur(&["exec", "box", "echo", "fine"]).ok(), "fine\n");
}

#[test]
fn a_reader_that_goes_away_ends_the_process() {
    let (world, id) = sleeping();
    let (mut child, reader) = unread(&world, &["exec", "box", "yes"]);
    drop(reader);
    assert_eq!(await_end(&mut child, String::new), Some(141));
    until("only the container's shim is left", || shims(&id).len() == 1);
    assert!(!runs(&world, "yes"));
}

/// A command whose output is read when the test pleases.
fn unread(world: &World, arguments: &[&str]) -> (Child, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES).unwrap();
    let child = world.command(arguments).stdout(writer).spawn().unwrap();
    (child, reader)
}

/// Whether so much waits in a pipe that its writer may be blocked: it writes pieces of 64 KiB at most.
fn is_full(reader: &PipeReader) -> bool {
    rustix::io::ioctl_fionread(reader).unwrap() as usize > PIPE_BYTES - (64 << 10)
}

/// The processes that hold this container or something in it.
fn shims(id: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One that has ended has no arguments.
    let is_shim = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments).into_owned();
        arguments.contains("shim\0") && arguments.contains(id)
    };
    pids.filter(is_shim).collect()
}

/// The most memory that the command and the shims ever had.
fn peaks_kib(child: &Child, id: &str) -> Vec<(i32, u64)> {
    let own = i32::try_from(child.id()).unwrap();
    let peak = |pid: i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        (pid, line.trim().trim_end_matches(" kB").parse().unwrap())
    };
    std::iter::once(own).chain(shims(id)).map(peak).collect()
}

/// Whether a process of the container has this name.
fn runs(world: &World, name: &str) -> bool {
    let script = format!("ps -o comm | grep -qx {name}");
    world.selur(&["exec", "box", "sh", "-c", &script]).code == Some(0)
}

/// What the state root keeps of further processes.
fn execs_kept(world: &World) -> usize {
    let containers = fs::read_dir(world.root().join("containers")).unwrap().flatten();
    let entries = containers.flat_map(|container| fs::read_dir(container.path()).unwrap().flatten());
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("exec"))
        .count()
}
