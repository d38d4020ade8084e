//! Sessions before real daemons: what the suite does not ask of every backend.

use crate::{DEADLINE, Daemon};
use futures_util::StreamExt;
use selur_conformance::suite::Fixture;
use selur_runtime::{
    AttachOptions, ContainerSpec, ExecSpec, Operation, RestartPolicy, Runtime, SessionInput, SessionItem,
    TerminalSize,
};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// dockerd takes none before the start, and each process that a policy starts has a terminal of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_of_a_container_has_the_terminals_size_that_was_told_last() {
    let daemon = Daemon::new().await;
    let sized = "until [ \"$(stty size 2>/dev/null)\" = '33 101' ]; do sleep 0.01; done";
    let first = "[ -e /seen ] || { touch /seen; exit 3; }";
    // It runs until the attachment has reached it: podman forgets the exit code of what is attached to when it has ended.
    let second = "while [ ! -e /end ]; do echo second; sleep 0.05; done; exit 3";
    let mut program = daemon.sh(&format!("{sized}; {first}; {second}"));
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
    let mut session = daemon.runtime.attach(id, options).await.expect("attach");
    for columns in [80, 101] {
        let size = TerminalSize { rows: 33, columns };
        let sent = session.input.send(SessionInput::Resize(size)).await;
        sent.expect("it is taken");
    }
    daemon.perform(id, Operation::Start).await;
    let watching = async {
        let mut text = String::new();
        loop {
            match session.output.next().await {
                Some(Ok(SessionItem::Output { bytes, .. })) => text += &String::from_utf8_lossy(&bytes),
                Some(Ok(SessionItem::Ended { exit_code })) => return (text, exit_code),
                other => panic!("{other:?}"),
            }
            if text.contains("second") {
                let end = ExecSpec::new(["touch", "/end"]);
                let exec = daemon.runtime.exec(id, end, CancellationToken::new());
                // Of the last lines there may be some more to come: then it has ended already.
                if let Ok(exec) = exec.await {
                    exec.output.count().await;
                }
            }
        }
    };
    let ended = tokio::time::timeout(DEADLINE, watching).await;
    let (text, exit_code) = ended.expect("each process learns the size");
    assert!(text.contains("second"), "{text}");
    assert_eq!(exit_code, Some(3));
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
