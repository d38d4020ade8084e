//! Sessions before real daemons: what the suite does not ask of every backend.

use crate::{DEADLINE, Daemon};
use futures_util::StreamExt;
use selur_conformance::suite::Fixture;
use selur_runtime::{
    AttachOptions, ContainerSpec, ExecSpec, LogOptions, Operation, RestartPolicy, Runtime, SessionInput,
    SessionItem, TerminalSize,
};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// dockerd takes none before the start, and each process that a policy starts has a terminal of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_of_a_container_has_the_terminals_size_that_was_told_last() {
    let daemon = Daemon::new().await;
    let mut program = daemon
        .sh("until [ \"$(stty size 2>/dev/null)\" = '33 101' ]; do sleep 0.01; done; echo right; exit 3");
    program.spec = ContainerSpec {
        terminal: true,
        stdin: true,
        restart: RestartPolicy::OnFailure(Some(1)),
        ..program.spec
    };
    let id = daemon.create(0xe2, program).await;
    let options = AttachOptions {
        stdin: true,
        replay: false,
    };
    let session = daemon.runtime.attach(id, options).await.expect("attach");
    for columns in [80, 101] {
        let size = TerminalSize { rows: 33, columns };
        let sent = session.input.send(SessionInput::Resize(size)).await;
        sent.expect("it is taken");
    }
    daemon.perform(id, Operation::Start).await;
    let items = tokio::time::timeout(DEADLINE, session.output.collect::<Vec<_>>()).await;
    let items = items.expect("each process learns the size");
    let Some(Ok(SessionItem::Ended { exit_code })) = items.last() else {
        panic!("{items:?}");
    };
    assert_eq!(*exit_code, Some(3));
    // Of the second process, what it wrote before it was attached to is in the log alone.
    let log = daemon
        .runtime
        .logs(id, LogOptions::default())
        .await
        .expect("logs");
    let entries: Vec<_> = log.map(|entry| entry.expect("an entry").bytes).collect().await;
    assert_eq!(entries, [b"right\r\n", b"right\r\n"]);
    daemon.delete(id).await;
}

/// Dropping the request for a start does not take it back: what it started must be ended nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exec_that_is_given_up_while_it_starts_leaves_no_process() {
    let daemon = Daemon::new().await;
    let id = daemon.create(0xe1, daemon.runs()).await;
    daemon.perform(id, Operation::Start).await;
    let exec = |script: &str| {
        let spec = ExecSpec {
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            ..ExecSpec::default()
        };
        daemon.runtime.exec(id, spec, CancellationToken::new())
    };
    // Somewhere in between it has begun, and is not known to have.
    for tenth in 0..16 {
        let patience = Duration::from_millis(10 * tenth);
        let _ = tokio::time::timeout(patience, exec("echo begun >> /begun; exec sleep 4321")).await;
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        let mut begun = exec("cat /begun 2>/dev/null").await.expect("an exec").output;
        let mut has_begun = false;
        while let Some(item) = begun.next().await {
            has_begun |= matches!(item, Ok(SessionItem::Output { .. }));
        }
        let processes = daemon.runtime.top(id).await.expect("the processes");
        let left = processes
            .iter()
            .filter(|process| process.command.iter().any(|word| word == "4321"));
        let left = left.count();
        if has_begun && left == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{left} are left, begun: {has_begun}");
    }
}
