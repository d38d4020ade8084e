//! Volumes of real daemons.

use crate::Daemon;
use selur_conformance::suite::{Fixture, Program};
use selur_protocol::{ContainerId, State, Status};
use selur_runtime::{Effect, Mount, Operation, Runtime, VolumeOptions};
use tokio_util::sync::CancellationToken;

impl Daemon {
    /// Runs a script with a volume at /data to its end, and gives its exit code.
    async fn run_on(&self, number: u8, volume: &str, script: &str) -> Option<i32> {
        let id = self.create(number, self.on(volume, script)).await;
        self.perform(id, Operation::Start).await;
        let code = loop {
            let operation = Operation::Inspect;
            let effect = Effect {
                container: id,
                operation,
            };
            let done = self.runtime.perform(effect, CancellationToken::new()).await;
            let found = done.expect("inspect").inspection.expect("an inspection");
            if found.state == State::Stopped.name() {
                break found.exit_code;
            }
            tokio::task::yield_now().await;
        };
        self.delete(id).await;
        code
    }

    fn on(&self, volume: &str, script: &str) -> Program {
        let mut program = self.sh(script);
        program.spec.mounts = vec![Mount::Volume {
            source: volume.to_owned(),
            target: "/data".to_owned(),
            read_only: false,
        }];
        program
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_outlives_its_containers_and_is_kept_while_one_mounts_it() {
    let daemon = Daemon::new().await;
    let volumes = daemon.runtime.volumes().expect("the backend has volumes");
    let labels = VolumeOptions {
        labels: [("team".to_owned(), "blue".to_owned())].into(),
    };
    let name = format!("kept-{}", std::process::id());
    let made = volumes.create(&name, labels.clone()).await.expect("create");
    assert_eq!((&made.labels, made.containers.len()), (&labels.labels, 0));
    assert!(
        made.path.is_some() && made.created_at.starts_with("20"),
        "{made:?}"
    );
    // To make it again is no change, and with other labels it is another one.
    assert_eq!(volumes.create(&name, labels).await.ok(), Some(made));
    let other = volumes.create(&name, VolumeOptions::default()).await;
    assert_eq!(
        other.err().map(|error| error.status()),
        Some(Status::InvalidState)
    );

    assert_eq!(daemon.run_on(0x71, &name, "echo one > /data/file").await, Some(0));
    assert_eq!(
        daemon
            .run_on(0x72, &name, "[ $(cat /data/file) = one ] && exit 5")
            .await,
        Some(5)
    );

    // What a container names and nobody made is made.
    let implied = format!("{name}-implied");
    let id = ContainerId::from_bytes([0x73; 16]);
    assert_eq!(daemon.create(0x73, daemon.on(&implied, "true")).await, id);
    let listed = volumes.list().await.expect("list");
    let users = |name: &str| {
        let found = listed.iter().find(|volume| volume.name == name);
        found.map(|volume| volume.containers.clone())
    };
    assert_eq!(users(&name), Some(vec![]));
    assert_eq!(users(&implied), Some(vec![id.to_string()]));
    let refused = volumes.delete(&implied).await.map_err(|error| error.status());
    assert_eq!(refused, Err(Status::InvalidState));
    daemon.delete(id).await;
    for name in [&name, &implied] {
        volumes.delete(name).await.expect("nobody mounts it");
        let gone = volumes.delete(name).await.map_err(|error| error.status());
        assert_eq!(gone, Err(Status::VolumeNotFound));
    }
}
