//! From create to delete.

use crate::support::*;
use selur_protocol::{State, Status};
use selur_runtime::{Effect, Operation, Runtime};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_made_started_inspected_stopped_and_deleted() {
    let world = World::new().await;
    let id = world
        .create(shell(
            "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done",
        ))
        .await;
    let created = world.state(id).await.unwrap();
    assert_eq!(
        (created.generation, created.sequence, created.state),
        (0, 1, State::Created)
    );

    let started = world.perform(id, Operation::Start).await.unwrap().report.unwrap();
    assert_eq!((started.generation, started.state), (1, State::Running));
    world.wrote(id, "ready").await;
    let inspection = world.inspect(id).await;
    assert_eq!(inspection.state, "running");
    assert!(inspection.image_digest.unwrap().starts_with("sha256:"));
    let pid = inspection.pid.unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());

    let stopped = world.perform(id, stop(30_000)).await.unwrap().report.unwrap();
    assert_eq!((stopped.state, stopped.exit_code), (State::Stopped, Some(7)));
    assert!(stopped.sequence > started.sequence);
    let inspection = world.inspect(id).await;
    assert_eq!(inspection.pid, None);
    assert!(inspection.finished_at.unwrap() > inspection.started_at.unwrap());
    world
        .perform(id, Operation::Delete { force: false })
        .await
        .unwrap();
    assert_eq!(world.state(id).await, None);
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ignores_the_stop_signal_is_killed_when_its_time_is_over() {
    let world = World::new().await;
    let id = world
        .run("trap '' TERM; echo ready; while :; do sleep 0.05; done")
        .await;
    world.wrote(id, "ready").await;
    let begin = Instant::now();
    let stopped = world.perform(id, stop(300)).await.unwrap().report.unwrap();
    assert_eq!((stopped.state, stopped.exit_code), (State::Stopped, Some(137)));
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_aborted_answers_at_once_and_lets_a_kill_through() {
    let world = World::new().await;
    let id = world
        .run("trap '' TERM; echo ready; while :; do sleep 0.05; done")
        .await;
    world.wrote(id, "ready").await;
    let abort = CancellationToken::new();
    let effect = Effect {
        container: id,
        operation: stop(3_600_000),
    };
    let stopping = world.oci.perform(effect, abort.clone());
    let killing = async {
        // A process with the id 1 gets no signal that it does not handle.
        world.perform(id, kill("USR1")).await.unwrap();
        abort.cancel();
    };
    let (stopped, ()) = tokio::time::timeout(DEADLINE, async { tokio::join!(stopping, killing) })
        .await
        .expect("the stop ends when it is aborted");
    assert_eq!(stopped.unwrap_err().status(), Status::Cancelled);
    world.perform(id, kill("KILL")).await.unwrap();
    assert_eq!(world.ended(id).await.exit_code, Some(137));
    // The shim outlives the peer that no longer awaits its answer, and cleans up.
    selur_testkit::wait_until("runc forgets the container", DEADLINE, || {
        !world.root().runc_state(id).exists()
    });
    world.delete(id).await;
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_container_stands_still_until_it_is_resumed() {
    let world = World::new().await;
    let id = world
        .run("i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done")
        .await;
    world.wrote(id, "3\n").await;
    let paused = world.perform(id, Operation::Pause).await.unwrap().report.unwrap();
    assert_eq!(paused.state, State::Paused);
    let error = world.perform(id, Operation::Start).await.unwrap_err();
    assert_eq!(error.status(), Status::InvalidState);
    let pid = world.inspect(id).await.pid.unwrap();
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
        stat.split(' ').nth(2).unwrap().trim().to_owned()
    };
    let before = ticks();
    let resumed = world
        .perform(id, Operation::Resume)
        .await
        .unwrap()
        .report
        .unwrap();
    assert_eq!(resumed.state, State::Running);
    assert!(resumed.sequence > paused.sequence);
    selur_testkit::wait_until("the process runs on", DEADLINE, || ticks() != before);

    world.perform(id, Operation::Pause).await.unwrap();
    let stopped = world.perform(id, stop(100)).await.unwrap().report.unwrap();
    assert_eq!(stopped.state, State::Stopped);
    world.delete(id).await;
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_container_can_be_killed_and_deleted() {
    let world = World::new().await;
    for forced in [false, true] {
        let id = world.run("sleep 1000").await;
        world.perform(id, Operation::Pause).await.unwrap();
        if !forced {
            world.perform(id, kill("KILL")).await.unwrap();
            assert_eq!(world.ended(id).await.exit_code, Some(137));
        }
        world
            .perform(id, Operation::Delete { force: forced })
            .await
            .unwrap();
        world.assert_gone(id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_state_does_not_allow_is_refused_and_what_is_done_already_succeeds() {
    let world = World::new().await;
    let id = world.create(shell("sleep 1000")).await;
    for operation in [kill("TERM"), Operation::Pause, Operation::Resume] {
        let error = world.perform(id, operation).await.unwrap_err();
        assert_eq!(error.status(), Status::InvalidState);
        assert!(error.to_string().contains("created"), "{error}");
    }
    assert_eq!(
        world.perform(id, stop(0)).await.unwrap().report.unwrap().state,
        State::Created
    );
    world.perform(id, Operation::Start).await.unwrap();
    let again = world.perform(id, Operation::Start).await.unwrap().report.unwrap();
    assert_eq!((again.generation, again.state), (1, State::Running));
    let error = world
        .perform(id, Operation::Delete { force: false })
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::InvalidState);
    world.perform(id, kill("KILL")).await.unwrap();
    world.ended(id).await;
    let second = world.perform(id, Operation::Start).await.unwrap().report.unwrap();
    assert_eq!(
        (second.generation, second.state, second.exit_code),
        (2, State::Running, None)
    );
    world.delete(id).await;
    world.delete(id).await;
    let error = world
        .perform(id, Operation::Delete { force: false })
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::ContainerNotFound);
    world.assert_gone(id);
}

/// The bar of the project's first slice: 8 at a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_short_containers_all_end() {
    const CONTAINERS: usize = 1000;
    const AT_ONCE: usize = 8;
    let world = World::new().await;
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || async {
        while next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < CONTAINERS {
            let id = world.create(command(&["/bin/true"])).await;
            world.perform(id, Operation::Start).await.unwrap();
            let report = world.ended(id).await;
            assert_eq!((report.generation, report.exit_code), (1, Some(0)));
            world
                .perform(id, Operation::Delete { force: false })
                .await
                .unwrap();
        }
    };
    futures_util::future::join_all((0..AT_ONCE).map(|_| worker())).await;
    assert_eq!(world.oci.list().await.unwrap(), []);
    for directory in world.root().directories() {
        let left: Vec<_> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            left.iter().all(|name| name == ".lock" || name == ".uses"),
            "{}: {left:?}",
            directory.display()
        );
    }
}
