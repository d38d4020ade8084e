//! The docker backend keeps the runtime's contract: on podman's own daemon, one for each test, with images from a
//! registry on loopback. `SELUR_TEST_DOCKER_SOCKET` names the socket of another daemon to be used instead; give
//! `--test-threads=1` then, for the tests share it.

mod images;
mod leftovers;
mod sessions;
mod volumes;

use selur_conformance::suite::{Fixture, Program};
use selur_protocol::ContainerId;
use selur_runtime::{Docker, DockerOptions, Effect, Observation, Operation, Runtime, RuntimeError};
use selur_testkit::{Contents, ImageBuilder, PodmanService, ScriptedRegistry};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(90);

struct Daemon {
    runtime: Arc<Docker>,
    registry: ScriptedRegistry,
    // Dropped last: it ends what is left.
    podman: Option<PodmanService>,
}

impl Daemon {
    fn sh(&self, script: &str) -> Program {
        let image = format!("{}/busybox:latest", self.registry.address());
        Program::command(image, &["/bin/sh", "-c", script])
    }

    async fn try_perform(&self, container: ContainerId, operation: Operation) -> Result<(), RuntimeError> {
        let effect = Effect { container, operation };
        let performed = self.runtime.perform(effect, CancellationToken::new());
        performed.await.map(drop)
    }

    async fn perform(&self, container: ContainerId, operation: Operation) {
        let performed = self.try_perform(container, operation).await;
        performed.unwrap_or_else(|error| panic!("{}", error.chain()));
    }

    /// Makes a container without a name. The number is its identity.
    async fn create(&self, number: u8, Program { image, spec }: Program) -> ContainerId {
        let id = ContainerId::from_bytes([number; 16]);
        let create = Operation::Create {
            image,
            name: None,
            spec: Box::new(spec),
        };
        self.perform(id, create).await;
        id
    }

    async fn delete(&self, id: ContainerId) {
        self.perform(id, Operation::Delete { force: true }).await;
    }
}

impl Drop for Daemon {
    /// Ends what a test that panicked left. A thread of its own may block, which one of the test's runtime may not.
    fn drop(&mut self) {
        let socket = self.runtime.socket().to_owned();
        let cleaning = std::thread::spawn(move || {
            let own = tokio::runtime::Builder::new_current_thread().enable_all().build();
            own.expect("a runtime").block_on(delete_all(socket));
        });
        if cleaning.join().is_err() {
            eprintln!("the daemon's containers could not be removed");
        }
    }
}

async fn delete_all(socket: PathBuf) {
    let options = DockerOptions { socket: Some(socket) };
    let runtime = Docker::open(options).expect("the daemon answers");
    for observation in runtime.list().await.expect("list") {
        let Observation::Seen { id, .. } = observation else {
            continue;
        };
        let effect = Effect {
            container: id,
            operation: Operation::Delete { force: true },
        };
        runtime
            .perform(effect, CancellationToken::new())
            .await
            .expect("a forced delete");
    }
}

impl Fixture for Daemon {
    async fn new() -> Daemon {
        let busybox = ImageBuilder::busybox().build();
        let registry = ScriptedRegistry::serving(Contents::new().image("busybox", "latest", &busybox));
        let other = std::env::var_os("SELUR_TEST_DOCKER_SOCKET").map(PathBuf::from);
        let podman = other.is_none().then(PodmanService::start);
        let socket = other.or_else(|| podman.as_ref().map(|podman| podman.socket().to_owned()));
        let runtime = Docker::open(DockerOptions { socket });
        let runtime = runtime.unwrap_or_else(|error| panic!("{}", error.chain()));
        Daemon {
            runtime: Arc::new(runtime),
            registry,
            podman,
        }
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        self.runtime.clone()
    }

    // A process with the id 1 is ended by no signal that it does not handle, but SIGKILL.
    fn runs(&self) -> Program {
        self.sh("trap 'exit 143' TERM; echo ready; while :; do sleep 1000 & wait $!; done")
    }

    fn exits(&self, code: u8) -> Program {
        self.sh(&format!("echo ready; exit {code}"))
    }

    fn ignores_term(&self) -> Program {
        self.sh("trap '' TERM; echo ready; while :; do sleep 1000; done")
    }

    fn missing(&self) -> Program {
        Program::image(format!("{}/nothing:latest", self.registry.address()))
    }

    fn has_processes(&self) -> bool {
        true
    }
}

selur_conformance::runtime_suite!(Daemon);
selur_conformance::stream_suite!(Daemon);
