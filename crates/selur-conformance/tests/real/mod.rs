//! Real containers of the oci backend, from a registry on loopback.

use selur_conformance::suite::{Ability, Fixture, Program};
use selur_runtime::{Effect, Observation, Oci, OciOptions, Operation, Runtime, ShimLocation};
use selur_testkit::{Contents, ImageBuilder, ScriptedRegistry};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A backend on a state root of its own. When it is dropped, its containers are deleted.
pub(crate) struct Real {
    // Dropped first: its containers are gone by then, and its state root goes last.
    pub(crate) runtime: Arc<Oci>,
    registry: ScriptedRegistry,
    pub(crate) root: TempDir,
    lacks: &'static [Ability],
}

impl Real {
    /// Opens the backend with this shim.
    pub(crate) fn open(shim: PathBuf, lacks: &'static [Ability]) -> Real {
        let busybox = ImageBuilder::busybox().build();
        let registry = ScriptedRegistry::serving(Contents::new().image("busybox", "latest", &busybox));
        let root = TempDir::with_prefix("selur-suite-").expect("a temporary directory can be made");
        let options = OciOptions {
            state_root: Some(root.path().join("root")),
            shim: ShimLocation::Path(shim),
            runc: None,
        };
        let runtime = Oci::open(options).unwrap_or_else(|error| panic!("{}", error.chain()));
        Real {
            runtime: Arc::new(runtime),
            registry,
            root,
            lacks,
        }
    }

    pub(crate) fn sh(&self, script: &str) -> Program {
        let image = format!("{}/busybox:latest", self.registry.address());
        Program::command(image, &["/bin/sh", "-c", script])
    }
}

impl Drop for Real {
    /// Ends what a test that panicked left. A thread of its own may block, which one of the test's runtime may not.
    fn drop(&mut self) {
        let runtime = self.runtime.clone();
        let cleaning = std::thread::spawn(move || {
            let own = tokio::runtime::Builder::new_current_thread().enable_all().build();
            own.expect("a runtime").block_on(delete_all(&runtime));
        });
        if cleaning.join().is_err() {
            eprintln!(
                "what is left in {} could not be removed",
                self.root.path().display()
            );
        }
    }
}

async fn delete_all(runtime: &Oci) {
    for observation in runtime.list().await.expect("list") {
        let Observation::Seen { id: container, .. } = observation else {
            continue;
        };
        let operation = Operation::Delete { force: true };
        let effect = Effect { container, operation };
        let deleted = runtime.perform(effect, CancellationToken::new()).await;
        deleted.expect("a forced delete");
    }
}

impl Fixture for Real {
    async fn new() -> Real {
        Real::open(env!("CARGO_BIN_EXE_conformance-shim").into(), &[])
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

    fn lacks(&self) -> &[Ability] {
        self.lacks
    }
}
