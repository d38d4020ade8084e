//! Attaching to first processes: their output, their input, their terminal.

use crate::sessions::*;
use crate::support::*;
use selur_protocol::{ContainerId, Status};
use selur_runtime::{
    AttachOptions, ContainerSpec, ExecSpec, OutputStream, RestartPolicy, Runtime, RuntimeError, Session,
    SessionInput, TerminalSize,
};
use selur_testkit::wait_until;

const INPUT: AttachOptions = AttachOptions {
    stdin: true,
    replay: false,
};

async fn attach(world: &World, id: ContainerId, options: AttachOptions) -> Session {
    match try_attach(world, id, options).await {
        Ok(session) => session,
        Err(error) => panic!("{}", error.chain()),
    }
}

async fn try_attach(world: &World, id: ContainerId, options: AttachOptions) -> Result<Session, RuntimeError> {
    let attach = world.oci.attach(id, options);
    tokio::time::timeout(DEADLINE, attach)
        .await
        .expect("an attachment is answered in time")
}

fn with_input(script: &str) -> ContainerSpec {
    ContainerSpec {
        stdin: true,
        ..shell(script)
    }
}

async fn type_in(session: &Session, text: &str) {
    let bytes = SessionInput::Bytes(text.as_bytes().to_vec());
    session.input.send(bytes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_attaches_before_the_start_sees_everything_to_the_end() {
    let world = World::new().await;
    let id = world
        .create(shell(
            "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; echo bad >&2; exit 6",
        ))
        .await;
    let first = attach(&world, id, AttachOptions::default()).await;
    let second = attach(&world, id, AttachOptions::default()).await;
    first.input.closed().await;
    let lines: String = (0..2000).map(|i| format!("{i}\n")).collect();
    let (first, second, ()) = tokio::join!(finish(first), finish(second), world.start(id));
    for end in [first, second] {
        assert_eq!(end.text(), lines);
        assert_eq!((end.stderr.as_slice(), end.exit_code), (&b"bad\n"[..], Some(6)));
    }
    let stopped = try_attach(&world, id, AttachOptions::default()).await.err();
    assert_eq!(stopped.map(|error| error.status()), Some(Status::InvalidState));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_begins_now_or_replays() {
    let world = World::new().await;
    let id = world
        .create(with_input("echo before; read line; echo after $line; sleep 1000"))
        .await;
    world.start(id).await;
    world.wrote(id, "before").await;
    let mut now = attach(&world, id, INPUT).await;
    let replay = AttachOptions {
        replay: true,
        ..AttachOptions::default()
    };
    let mut all = attach(&world, id, replay).await;
    type_in(&now, "x\n").await;
    assert_eq!(until(&mut now.output, "after x\n").await, "after x\n");
    assert_eq!(until(&mut all.output, "after x\n").await, "before\nafter x\n");
    // An end that is deleted at once is still known.
    let (end, ()) = tokio::join!(finish(now), world.delete(id));
    assert_eq!(end.exit_code, Some(137));
    assert_eq!(finish(all).await.exit_code, Some(137));
    nothing_is_left(&world, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_held_until_the_start_and_ends_once_for_all() {
    let world = World::new().await;
    let id = world.create(with_input("md5sum; exit 5")).await;
    let session = attach(&world, id, INPUT).await;
    let feeding = async {
        for _ in 0..64 {
            let piece = SessionInput::Bytes(vec![b'x'; 64 << 10]);
            session.input.send(piece).await.unwrap();
        }
        session.input.send(SessionInput::End).await.unwrap();
    };
    let (end, (), ()) = tokio::join!(collect(session.output), feeding, world.start(id));
    assert_eq!(end.text(), "44981362d3ba9b5bacaf017c2f29d355  -\n");
    assert_eq!(end.exit_code, Some(5));

    let id = world.create(with_input("cat; echo over; sleep 1000")).await;
    world.start(id).await;
    let detached = attach(&world, id, INPUT).await;
    type_in(&detached, "one\n").await;
    world.wrote(id, "one\n").await;
    // To let go of it is no end.
    drop(detached);
    let mut session = attach(&world, id, INPUT).await;
    type_in(&session, "two\n").await;
    session.input.send(SessionInput::End).await.unwrap();
    assert_eq!(until(&mut session.output, "over\n").await, "two\nover\n");
    let late = try_attach(&world, id, INPUT).await.err().unwrap();
    assert_eq!(late.status(), Status::InvalidState, "{}", late.chain());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_without_input_is_not_attached_to_with_one() {
    let world = World::new().await;
    let id = world.create(shell("cat; echo empty; sleep 1000")).await;
    let refused = try_attach(&world, id, INPUT).await.err().unwrap();
    assert_eq!(refused.status(), Status::InvalidRequest);
    let missing = try_attach(&world, new_id(), INPUT).await.err().unwrap();
    assert_eq!(missing.status(), Status::ContainerNotFound);
    world.start(id).await;
    world.wrote(id, "empty").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_typed_at_and_resized() {
    let world = World::new().await;
    let spec = ContainerSpec {
        stdin: true,
        terminal: true,
        ..command(&["/bin/sh"])
    };
    let id = world.create(spec).await;
    let mut session = attach(&world, id, INPUT).await;
    let size = TerminalSize {
        rows: 33,
        columns: 101,
    };
    session.input.send(SessionInput::Resize(size)).await.unwrap();
    world.start(id).await;
    until(&mut session.output, "# ").await;
    type_in(&session, "stty size; tty; echo $TERM >&2\n").await;
    let answer = until(&mut session.output, "xterm\r\n/ # ").await;
    assert!(answer.contains("33 101\r\n/dev/"), "{answer:?}");
    let size = TerminalSize {
        rows: 24,
        columns: 80,
    };
    session.input.send(SessionInput::Resize(size)).await.unwrap();
    type_in(&session, "stty size\n").await;
    until(&mut session.output, "24 80\r\n/ # ").await;
    type_in(&session, "echo sleeping; sleep 1000\n").await;
    until(&mut session.output, "sleeping\r\n").await;
    // A shell that has forked and not yet run its program would swallow the interrupt.
    let runs = shell("until pidof sleep; do :; done").command.unwrap();
    finish(world.exec(id, ExecSpec::new(runs)).await).await;
    type_in(&session, "\u{3}").await;
    until(&mut session.output, "# ").await;
    type_in(&session, "exit 9\n").await;
    assert_eq!(finish(session).await.exit_code, Some(9));
    let log = world.log(id, OutputStream::Stdout).await;
    assert!(
        log.contains("24 80\r\n") && log.ends_with("exit 9\r\n"),
        "{log:?}"
    );
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_generation_of_the_process_has_an_input_of_its_own() {
    let world = World::new().await;
    for terminal in [false, true] {
        let spec = ContainerSpec {
            terminal,
            restart: RestartPolicy::OnFailure(Some(1)),
            ..with_input("echo ready; read line; echo got $line; exit 3")
        };
        let id = world.create(spec).await;
        let mut session = attach(&world, id, INPUT).await;
        world.start(id).await;
        for word in ["one", "two"] {
            until(&mut session.output, "ready").await;
            type_in(&session, &format!("{word}\n")).await;
            until(&mut session.output, &format!("got {word}")).await;
        }
        assert_eq!(finish(session).await.exit_code, Some(3));
        world.delete_stopped(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_closes_its_input_leaves_the_next_ones_alone() {
    let world = World::new().await;
    let first = "touch /seen; exec <&-; echo closed; while [ ! -e /end ]; do sleep 0.01; done; exit 1";
    let script = format!("[ -e /seen ] || {{ {first}; }}; echo ready; read line; echo got $line");
    let spec = ContainerSpec {
        restart: RestartPolicy::OnFailure(Some(1)),
        ..with_input(&script)
    };
    let id = world.create(spec).await;
    let mut session = attach(&world, id, INPUT).await;
    world.start(id).await;
    until(&mut session.output, "closed").await;
    // Nobody reads it.
    type_in(&session, "lost\n").await;
    finish(world.exec(id, ExecSpec::new(["touch", "/end"])).await).await;
    until(&mut session.output, "ready").await;
    type_in(&session, "two\n").await;
    until(&mut session.output, "got two").await;
    assert_eq!(finish(session).await.exit_code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_took_over_has_no_input_and_says_so() {
    let world = World::new().await;
    let id = world.create(with_input("while :; do sleep 0.05; done")).await;
    world.start(id).await;
    let shim = world.shim_pid(id);
    sigkill(shim.unwrap());
    wait_until("another shim takes over", DEADLINE, || {
        world.shim_pid(id).is_some_and(|pid| Some(pid) != shim)
    });
    let refused = try_attach(&world, id, INPUT).await.err().unwrap();
    assert_eq!(refused.status(), Status::Unsupported, "{}", refused.chain());
    drop(attach(&world, id, AttachOptions::default()).await);
}
