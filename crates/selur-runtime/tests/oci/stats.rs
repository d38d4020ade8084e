//! What containers use, and which processes they have.

use crate::sessions::*;
use crate::support::*;
use futures_util::StreamExt;
use selur_protocol::Status;
use selur_runtime::{ExecSpec, Operation, Runtime, Stats, StatsOptions};

const FAST: StatsOptions = StatsOptions {
    follow: true,
    interval_ms: 10,
};

#[tokio::test(flavor = "multi_thread")]
async fn samples_grow_while_the_container_works_and_end_with_it() {
    let world = World::new().await;
    let id = world.run("while :; do :; done").await;
    let mut stats = world.oci.stats(id, FAST).await.unwrap();
    let first = stats.next().await.unwrap().unwrap();
    let mut last: Stats = first.clone();
    while last.cpu_ns < first.cpu_ns + 50_000_000 {
        let next = stats.next().await.unwrap().unwrap();
        assert!(last.cpu_ns <= next.cpu_ns && last.time_ns < next.time_ns);
        last = next;
    }
    assert!(last.memory_bytes > 0 && last.memory_bytes < 64 << 20, "{last:?}");
    assert_eq!((last.pids, last.memory_limit_bytes), (1, None));
    assert!(last.online_cpus >= 1);
    // Its network has nothing but loopback.
    assert_eq!(
        (last.network_receive_bytes, last.network_send_bytes),
        (Some(0), Some(0))
    );
    world.perform(id, Operation::Pause).await.unwrap();
    assert!(stats.next().await.unwrap().is_ok());
    world.delete(id).await;
    let rest = tokio::time::timeout(DEADLINE, stats.count()).await;
    rest.expect("the samples end with the container");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sample_is_one_and_what_cannot_be_sampled_is_refused() {
    let world = World::new().await;
    let id = world.create(shell("sleep 1000")).await;
    let once = StatsOptions {
        follow: false,
        ..FAST
    };
    let status = |error: Option<selur_runtime::RuntimeError>| error.map(|error| error.status());
    assert_eq!(
        status(world.oci.stats(id, once).await.err()),
        Some(Status::InvalidState)
    );
    assert_eq!(status(world.oci.top(id).await.err()), Some(Status::InvalidState));
    let nobody = world.oci.stats(new_id(), once).await.err();
    assert_eq!(status(nobody), Some(Status::ContainerNotFound));
    world.start(id).await;
    let short = StatsOptions {
        interval_ms: 9,
        ..FAST
    };
    assert_eq!(
        status(world.oci.stats(id, short).await.err()),
        Some(Status::InvalidRequest)
    );
    assert_eq!(world.oci.stats(id, once).await.unwrap().count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_of_the_container_is_listed() {
    let world = World::new().await;
    let id = world.run("sleep 1000 & echo ready; sleep 1001; true").await;
    world.wrote(id, "ready").await;
    let mut session = world
        .exec(id, ExecSpec::new(["/bin/sh", "-c", "echo in; exec sleep 1002"]))
        .await;
    until(&mut session.output, "in").await;
    let listed = async || world.oci.top(id).await.unwrap();
    let mut all = listed().await;
    let calls = |all: &[selur_runtime::ContainerProcess], number: &str| {
        all.iter().any(|process| process.command == ["sleep", number])
    };
    while !["1000", "1001", "1002"].iter().all(|number| calls(&all, number)) {
        tokio::task::yield_now().await;
        all = listed().await;
    }
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(all.is_sorted_by_key(|process| process.pid));
    let first = world.life(id).process.unwrap().pid;
    let child = all.iter().find(|process| process.command[1] == "1000").unwrap();
    assert_eq!(
        (child.parent_pid, child.uid, child.state.as_str()),
        (first, 0, "S")
    );
    assert!(child.memory_bytes > 0);
}
