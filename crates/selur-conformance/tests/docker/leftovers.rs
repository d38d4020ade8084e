//! What these tests leave on the machine: nothing, also where one of them ends early.

use crate::Daemon;
use futures_util::StreamExt;
use selur_conformance::suite::Fixture;
use selur_runtime::{ExecSpec, Operation, Runtime};
use std::fs;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_that_ends_with_a_running_container_leaves_nothing() {
    let daemon = Daemon::new().await;
    let socket = daemon.runtime.socket().to_owned();
    let id = daemon.create(0xf1, daemon.runs()).await;
    daemon.perform(id, Operation::Start).await;
    let exec = daemon
        .runtime
        .exec(id, ExecSpec::new(["true"]), CancellationToken::new());
    exec.await.expect("exec").output.count().await;
    let is_podmans = daemon.podman.is_some();
    drop(daemon);
    if !is_podmans {
        // That daemon goes on, and has nothing of ours.
        let other = Daemon::new().await;
        assert_eq!(other.runtime.list().await.expect("list"), []);
        return;
    }
    let root = socket.parent().expect("the socket is in a directory");
    let below = format!("{}/", root.display());
    let processes = fs::read_dir("/proc")
        .expect("the processes can be listed")
        .flatten();
    let left = processes.filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains(&below).then_some(command)
    });
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts can be read");
    assert!(!mounts.contains(&below), "{mounts}");
    assert!(!root.exists());
}
