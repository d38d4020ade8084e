//! The docker backend keeps the runtime's contract: on podman's own daemon, one for each test, with images from a
//! registry on loopback. `SELUR_TEST_DOCKER_SOCKET` names the socket of another daemon to be used instead; give
//! `--test-threads=1` then, for the tests share it.

use futures_util::StreamExt;
use selur_conformance::suite::{Fixture, Program};
use selur_protocol::ContainerId;
use selur_runtime::{Docker, DockerOptions, Effect, ExecSpec, Observation, Operation, Runtime, SessionItem};
use selur_testkit::{Contents, ImageBuilder, PodmanService, ScriptedRegistry};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

struct Daemon {
    runtime: Arc<Docker>,
    registry: ScriptedRegistry,
    // Dropped last: it ends what is left.
    _podman: Option<PodmanService>,
}

impl Daemon {
    fn sh(&self, script: &str) -> Program {
        let image = format!("{}/busybox:latest", self.registry.address());
        Program::command(image, &["/bin/sh", "-c", script])
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
            _podman: podman,
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

/// Dropping the request for a start does not take it back: what it started must be ended nevertheless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exec_that_is_given_up_while_it_starts_leaves_no_process() {
    let daemon = Daemon::new().await;
    let id = ContainerId::from_bytes([0xe1; 16]);
    let Program { image, spec } = daemon.runs();
    let create = Operation::Create {
        image,
        name: None,
        spec: Box::new(spec),
    };
    for operation in [create, Operation::Start] {
        let effect = Effect {
            container: id,
            operation,
        };
        let performed = daemon.runtime.perform(effect, CancellationToken::new()).await;
        performed.expect("it runs");
    }
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
    let deadline = Instant::now() + Duration::from_secs(60);
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
