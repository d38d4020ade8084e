//! Further processes in running containers.

use crate::sessions::*;
use crate::support::*;
use futures_util::StreamExt;
use selur_protocol::{ContainerId, State, Status};
use selur_runtime::{ExecSpec, OutputStream, Runtime, SessionInput, SessionItem, TerminalSize};
use selur_testkit::{ImageBuilder, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use tokio_util::sync::CancellationToken;

fn script(text: &str) -> ExecSpec {
    ExecSpec::new(["/bin/sh", "-c", text])
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_come_apart_and_the_exit_code_comes_last() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let session = world
        .exec(
            id,
            script("printf out; printf bad >&2; printf '\\000\\377'; exit 7"),
        )
        .await;
    let end = finish(session).await;
    assert_eq!(end.stdout, b"out\0\xff");
    assert_eq!(end.stderr, b"bad");
    assert_eq!(end.exit_code, Some(7));
    let killed = finish(world.exec(id, script("kill -9 $$")).await).await;
    assert_eq!(killed.exit_code, Some(137));
    // Nothing of it is in the container's log, and the container goes on.
    assert_eq!(world.log(id, OutputStream::Stdout).await, "");
    assert_eq!(world.state(id).await.unwrap().state, State::Running);
    world.delete(id).await;
    nothing_is_left(&world, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_flows_until_it_ends_and_none_is_empty() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let spec = ExecSpec {
        stdin: true,
        ..ExecSpec::new(["/bin/md5sum"])
    };
    let session = world.exec(id, spec).await;
    let feeding = async {
        // More than a pipe and all queues hold.
        for _ in 0..64 {
            let piece = SessionInput::Bytes(vec![b'x'; 64 << 10]);
            session.input.send(piece).await.unwrap();
        }
        session.input.send(SessionInput::End).await.unwrap();
    };
    let (end, ()) = tokio::join!(collect(session.output), feeding);
    assert_eq!(end.text(), "44981362d3ba9b5bacaf017c2f29d355  -\n".to_owned());
    session.input.closed().await;

    let without = world.exec(id, ExecSpec::new(["/bin/cat"])).await;
    without.input.closed().await;
    assert_eq!(finish(without).await.exit_code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gets_the_environment_directory_and_user_that_are_asked_for() {
    let image = ImageBuilder::busybox()
        .files([
            (
                "etc/passwd",
                &b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/srv:/bin/sh\n"[..],
            ),
            ("etc/group", b"root:x:0:\nweb:x:1001:\nextra:x:7:web\n"),
        ])
        .cmd(["/bin/sleep", "1000"]);
    let world = World::with(&image).await;
    let mut spec = command(&["/bin/sleep", "1000"]);
    spec.environment = vec!["A=container".into(), "B=container".into()];
    spec.working_directory = Some("/tmp".into());
    let id = world.create(spec).await;
    world.start(id).await;
    let report =
        "echo $A $B $C; pwd; id -u; id -g; id -G; grep -E 'CapBnd|CapEff|NoNewPrivs' /proc/self/status";
    let own = finish(world.exec(id, script(report)).await).await.text();
    let confinement = "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\n";
    assert_eq!(own, format!("container container\n/tmp\n0\n0\n0\n{confinement}"));

    let spec = ExecSpec {
        environment: vec!["B=mine".into(), "C=new".into()],
        working_directory: Some("/etc".into()),
        user: Some("web".into()),
        ..script(report)
    };
    let other = finish(world.exec(id, spec).await).await.text();
    let confinement = confinement.replacen("00000000a80425fb", "0000000000000000", 1);
    assert_eq!(
        other,
        format!("container mine new\n/etc\n1000\n1001\n1001 7\n{confinement}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_the_size_that_it_is_given_and_takes_input() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let spec = ExecSpec {
        terminal: true,
        stdin: true,
        size: Some(TerminalSize {
            rows: 31,
            columns: 97,
        }),
        ..script("stty size; tty; echo $TERM; read line; stty size; echo got $line >&2; exit 3")
    };
    let session = world.exec(id, spec).await;
    let mut output = session.output;
    let first = until(&mut output, "xterm\r\n").await;
    assert!(first.starts_with("31 97\r\n/dev/pts/"), "{first:?}");
    let size = TerminalSize {
        rows: 50,
        columns: 120,
    };
    session.input.send(SessionInput::Resize(size)).await.unwrap();
    session
        .input
        .send(SessionInput::Bytes(b"hello\n".to_vec()))
        .await
        .unwrap();
    let end = collect(output).await;
    // The terminal echoes what is typed.
    assert_eq!(end.text(), "hello\r\n50 120\r\ngot hello\r\n");
    assert_eq!((end.stderr.len(), end.exit_code), (0, Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_was_closed_is_read_when_it_is_opened_again() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let spec = ExecSpec {
        terminal: true,
        ..script("exec </dev/null >/dev/null 2>&1; sleep 1; echo late >/dev/tty; exit 3")
    };
    let end = finish(world.exec(id, spec).await).await;
    assert_eq!((end.text(), end.exit_code), ("late\r\n".to_owned(), Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_typed_at_a_terminal_ends_what_runs_there() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let spec = ExecSpec {
        terminal: true,
        stdin: true,
        ..script("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done")
    };
    let mut session = world.exec(id, spec).await;
    until(&mut session.output, "ready").await;
    session.input.send(SessionInput::Bytes(vec![3])).await.unwrap();
    let end = finish(session).await;
    assert!(end.text().contains("caught"), "{end:?}");
    assert_eq!(end.exit_code, Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_refused_with_its_reason() {
    let world = World::new().await;
    let id = world.run("touch /tmp/plain; echo ready; sleep 1000").await;
    world.wrote(id, "ready").await;
    let spec = |words: &[&str]| ExecSpec::new(words.iter().copied());
    let cases = [
        (spec(&["nosuch"]), "exit code 127"),
        (spec(&["/no/such/program"]), "exit code 127"),
        (spec(&["/tmp/plain"]), "exit code 126"),
        (spec(&["/etc"]), "exit code 126"),
        (
            ExecSpec {
                user: Some("nobody-here".into()),
                ..spec(&["/bin/true"])
            },
            "no user \"nobody-here\"",
        ),
        (
            ExecSpec {
                working_directory: Some("/nowhere".into()),
                ..spec(&["/bin/true"])
            },
            "/nowhere",
        ),
        (spec(&[]), "command"),
        (
            ExecSpec {
                environment: vec!["X".into()],
                ..spec(&["/bin/true"])
            },
            "environment",
        ),
    ];
    for (spec, words) in cases {
        for terminal in [false, true] {
            let spec = ExecSpec {
                terminal,
                ..spec.clone()
            };
            let error = world.try_exec(id, spec).await.err().expect("it is refused");
            assert_eq!(
                error.status(),
                Status::InvalidRequest,
                "{words}: {}",
                error.chain()
            );
            assert!(error.chain().contains(words), "{words}: {}", error.chain());
        }
    }
    let status = |error: Option<selur_runtime::RuntimeError>| error.map(|error| error.status());
    let created = world.create(shell("true")).await;
    let refused = world.try_exec(created, script("true")).await.err();
    assert_eq!(status(refused), Some(Status::InvalidState));
    let refused = world.try_exec(new_id(), script("true")).await.err();
    assert_eq!(status(refused), Some(Status::ContainerNotFound));
    world.perform(id, selur_runtime::Operation::Pause).await.unwrap();
    let refused = world.try_exec(id, script("true")).await.err();
    assert_eq!(status(refused), Some(Status::InvalidState));
    world.delete(id).await;
    nothing_is_left(&world, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_dropped_leaves_nothing_behind() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let home = || fs::read_dir(world.root().home(id).path()).unwrap().count();
    drop(world.exec(id, script("sleep 1001")).await);
    wait_until("the first is gone", DEADLINE, || {
        errands(id).is_empty() && processes(&world, id).len() == 1
    });
    let (open_before, home_before) = (open(), home());
    for terminal in [false, true] {
        let spec = ExecSpec {
            terminal,
            stdin: true,
            ..script("trap '' HUP TERM; sleep 1002 & setsid sh -c 'echo ready; exec sleep 1003' & sleep 1001")
        };
        let mut session = world.exec(id, spec).await;
        until(&mut session.output, "ready").await;
        wait_until("all of them run", DEADLINE, || {
            let all = processes(&world, id);
            let runs = |word: &str| all.iter().any(|line| line.starts_with(word));
            runs("sleep 1001") && runs("sleep 1002") && runs("sleep 1003")
        });
        drop(session);
        // What left the session of its own accord is a process of the container's now.
        wait_until("its session is gone", DEADLINE, || {
            let left = processes(&world, id);
            left.len() == 2 && left.iter().any(|line| line.contains("sleep 1003"))
        });
        let killing = script("kill -9 $(pidof sleep | tr ' ' '\\n' | grep -v '^1$')");
        finish(world.exec(id, killing).await).await;
        wait_until("only the container's own is left", DEADLINE, || {
            processes(&world, id).len() == 1
        });
        wait_until("the errand is gone", DEADLINE, || errands(id).is_empty());
        wait_until("no descriptor is left", DEADLINE, || open() <= open_before);
        assert_eq!(home(), home_before);
    }
    world.delete(id).await;
    nothing_is_left(&world, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_that_is_aborted_or_forgotten_leaves_nothing_behind() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    for wait in [0, 1, 5, 20, 40] {
        let abort = CancellationToken::new();
        let exec = world.oci.exec(id, script("sleep 1001"), abort.clone());
        let striking = async {
            tokio::time::timeout(
                std::time::Duration::from_millis(wait),
                std::future::pending::<()>(),
            )
            .await
            .unwrap_err();
            abort.cancel();
        };
        let (outcome, ()) = tokio::join!(exec, striking);
        assert!(
            outcome
                .err()
                .is_none_or(|error| error.status() == Status::Cancelled)
        );
        let forgotten = world.oci.exec(id, script("sleep 1001"), CancellationToken::new());
        let _ = tokio::time::timeout(std::time::Duration::from_millis(wait), forgotten).await;
        wait_until("only the container's own is left", DEADLINE, || {
            errands(id).is_empty() && processes(&world, id).len() == 1
        });
    }
    let home = world.root().home(id);
    let names = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        names
            .into_iter()
            .all(|name| !name.to_string_lossy().starts_with("exec-"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_container_ends_its_execs() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let session = world.exec(id, script("sleep 1001")).await;
    let (end, stopped) = tokio::join!(finish(session), world.perform(id, stop(0)));
    assert_eq!(end.exit_code, Some(137));
    assert_eq!(stopped.unwrap().report.unwrap().state, State::Stopped);
    wait_until("the errand is gone", DEADLINE, || errands(id).is_empty());
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_that_meets_the_end_of_the_container_is_refused_or_killed() {
    let world = World::new().await;
    for _ in 0..8 {
        let id = world.run("sleep 1000").await;
        let (session, stopped) = tokio::join!(
            world.try_exec(id, script("sleep 1001")),
            world.perform(id, stop(0))
        );
        stopped.unwrap();
        match session {
            Ok(session) => assert_eq!(finish(session).await.exit_code, Some(137)),
            Err(error) => assert_eq!(error.status(), Status::InvalidState, "{error}"),
        }
        world.delete_stopped(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_left_behind_with_the_output_open_holds_the_end_up_for_a_short_grace_only() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    for left_behind in ["sleep 1001", "while :; do echo on; sleep 0.01; done"] {
        let session = world
            .exec(id, script(&format!("{left_behind} & echo done; exit 4")))
            .await;
        let end = finish(session).await;
        assert_eq!(end.exit_code, Some(4));
        assert!(end.text().contains("done\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_errand_that_was_killed_left_goes_with_the_container() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let mut session = world.exec(id, script("echo ready; sleep 1001")).await;
    until(&mut session.output, "ready").await;
    for pid in errands(id) {
        sigkill(pid);
    }
    fs::create_dir(world.root().home(id).exec(1)).unwrap();
    // Nobody waits for the process any more: how it ends is not known.
    let end = finish(session).await;
    assert_eq!(end.exit_code, None);
    world.delete(id).await;
    nothing_is_left(&world, id);
}

/// A process that is killed when the test ends, however it does.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn execs_that_start_are_left_alone_by_processes_that_open_the_root() {
    const WORKERS: usize = 16;
    const TURNS: usize = 20;
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let _openers = [(); 2].map(|()| {
        let opener = another_process(&world, id, "exec::one_that_opens_the_root_all_the_time").spawn();
        Killed(opener.unwrap())
    });
    let work = async |_| {
        for _ in 0..TURNS {
            let end = finish(world.exec(id, script("sleep 0.05; echo hi")).await).await;
            assert_eq!((end.text(), end.exit_code), ("hi\n".to_owned(), Some(0)));
        }
    };
    futures_util::future::join_all((0..WORKERS).map(work)).await;
    world.delete(id).await;
    nothing_is_left(&world, id);
}

/// What the test above runs beside it.
#[test]
fn one_that_opens_the_root_all_the_time() {
    let parent = std::os::unix::process::parent_id();
    let Some((_, _)) = as_another_process() else {
        return;
    };
    // Until it is killed, or left alone.
    while std::os::unix::process::parent_id() == parent {
        as_another_process();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_is_looked_at_where_no_errand_died() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let wrapper = world.directory.path().join("shim");
    let launches = world.directory.path().join("launches");
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {}\nexec {} \"$@\"\n",
        launches.display(),
        shim().display()
    );
    fs::write(&wrapper, text).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let open = || {
        let oci = selur_runtime::Oci::open(selur_runtime::OciOptions {
            state_root: Some(world.root().path().to_owned()),
            shim: selur_runtime::ShimLocation::Path(wrapper.clone()),
            runc: None,
        });
        drop(oci.unwrap());
        let launches = fs::read_to_string(&launches).unwrap_or_default();
        launches
            .lines()
            .filter(|line| line.contains(&id.to_string()))
            .count()
    };
    // Whoever knows runc may run something by it, which has a parent that is no errand.
    let foreign = Command::new(world.oci.runc())
        .arg("--root")
        .arg(world.root().runc())
        .args(["exec", "--detach", &id.to_string(), "/bin/sleep", "1001"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(foreign.unwrap().success());
    assert_eq!(open(), 0);
    assert_eq!(
        finish(world.exec(id, script("true")).await).await.exit_code,
        Some(0)
    );
    assert_eq!(processes(&world, id).len(), 2);
    // The trace of an errand that died.
    let trace = world.root().home(id).exec(1);
    fs::create_dir(&trace).unwrap();
    fs::write(trace.join("lock"), "").unwrap();
    assert_eq!(open(), 1);
    assert!(!trace.exists());
    wait_until("what has no errand is ended", DEADLINE, || {
        processes(&world, id).len() == 1
    });
    world.delete(id).await;
    nothing_is_left(&world, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_has_a_directory_that_goes_with_it() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let directories = || {
        let entries = fs::read_dir(world.root().home(id).path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("exec-")).count()
    };
    let mut session = world.exec(id, script("echo ready; sleep 1001")).await;
    until(&mut session.output, "ready").await;
    assert_eq!(directories(), 1);
    drop(open(world.root().path()).unwrap());
    assert_eq!(directories(), 1);
    assert!(processes(&world, id).len() > 1);
    drop(session);
    wait_until("it is gone", DEADLINE, || {
        directories() == 0 && processes(&world, id).len() == 1
    });
    world.delete(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_flows_to_a_slow_reader_in_little_memory() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    // A process of its own: the tests of this one need memory, too.
    let reader = another_process(&world, id, "exec::a_slow_reader_in_another_process").output();
    let reader = reader.unwrap();
    let words = String::from_utf8_lossy(&reader.stderr);
    assert!(
        reader.status.success() && words.contains("read it all"),
        "{words}"
    );
    assert!(high_water_bytes(world.shim_pid(id).unwrap()) < MOST_BYTES);
}

const MOST_BYTES: u64 = 64 << 20;

/// The reader of the test above, which tells it where and what.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_in_another_process() {
    const BYTES: u64 = 1 << 30;
    let Some((oci, id)) = as_another_process() else {
        return;
    };
    let head = ExecSpec::new(["/bin/head", "-c", &BYTES.to_string(), "/dev/zero"]);
    let mut session = oci.exec(id, head, CancellationToken::new()).await.unwrap();
    let errand = errands(id)[0];
    let (mut read, mut pieces) = (0, 0u64);
    let exit_code = loop {
        match session.output.next().await.unwrap().unwrap() {
            SessionItem::Output { bytes, .. } => {
                assert!(bytes.len() <= selur_runtime::MAX_PIECE_BYTES);
                read += bytes.len() as u64;
                pieces += 1;
                if pieces % 512 == 0 {
                    // Slow: everybody else could fill their buffers meanwhile.
                    let pause = std::time::Duration::from_millis(5);
                    let never = std::future::pending::<()>();
                    tokio::time::timeout(pause, never).await.unwrap_err();
                    assert!(high_water_bytes(errand) < MOST_BYTES);
                }
            }
            SessionItem::Ended { exit_code } => break exit_code,
        }
    };
    assert_eq!((read, exit_code), (BYTES, Some(0)));
    let own = high_water_bytes(i32::try_from(std::process::id()).unwrap());
    assert!(own < MOST_BYTES, "{own}");
    eprintln!("read it all: {own} bytes");
}

/// The processes in the container's pid namespace, as they are called.
fn processes(world: &World, id: ContainerId) -> Vec<String> {
    let first = world.life(id).process.unwrap().pid;
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(&first.to_string());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let pid = entry.unwrap().file_name().into_string().unwrap();
        let in_it = pid.parse::<u32>().is_ok() && namespace(&pid).is_some() && namespace(&pid) == own;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // What has ended and is not reaped has no line any more.
        if in_it && !line.is_empty() {
            found.push(line.replace('\0', " "));
        }
    }
    found
}
