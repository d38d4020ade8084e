//! The oci backend keeps the runtime's contract: real containers, from a registry on loopback.

use selur_conformance::suite::{Fixture, Program};
use selur_runtime::{Oci, OciOptions, Runtime, ShimLocation};
use selur_testkit::{Contents, ImageBuilder, ScriptedRegistry};
use std::sync::Arc;
use tempfile::TempDir;

struct Real {
    // Dropped first: its containers are gone by then, and its state root goes last.
    runtime: Arc<Oci>,
    registry: ScriptedRegistry,
    _root: TempDir,
}

impl Real {
    fn sh(&self, script: &str) -> Program {
        let image = format!("{}/busybox:latest", self.registry.address());
        Program::command(image, &["/bin/sh", "-c", script])
    }
}

impl Fixture for Real {
    async fn new() -> Real {
        let busybox = ImageBuilder::busybox().build();
        let registry = ScriptedRegistry::serving(Contents::new().image("busybox", "latest", &busybox));
        let root = TempDir::with_prefix("selur-suite-").expect("a temporary directory can be made");
        let options = OciOptions {
            state_root: Some(root.path().join("root")),
            shim: ShimLocation::Path(env!("CARGO_BIN_EXE_conformance-shim").into()),
            runc: None,
        };
        let runtime = Oci::open(options).unwrap_or_else(|error| panic!("{}", error.chain()));
        Real {
            runtime: Arc::new(runtime),
            registry,
            _root: root,
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

selur_conformance::runtime_suite!(Real);
selur_conformance::stream_suite!(Real);
