//! The simulated backend keeps the runtime's contract.

use selur_conformance::suite::{Fixture, Program};
use selur_runtime::{Runtime, Simulated};
use std::sync::Arc;

struct Memory(Arc<Simulated>);

impl Fixture for Memory {
    async fn new() -> Memory {
        Memory(Arc::new(Simulated::new()))
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        self.0.clone()
    }

    fn runs(&self) -> Program {
        Program::image("docker.io/library/nginx:latest")
    }

    fn exits(&self, code: u8) -> Program {
        Program::image(format!("fault.test/exit:{code}"))
    }

    fn ignores_term(&self) -> Program {
        Program::image("fault.test/ignore-term:latest")
    }

    fn missing(&self) -> Program {
        Program::image("fault.test/pull:image_not_found")
    }

    fn has_processes(&self) -> bool {
        false
    }
}

selur_conformance::runtime_suite!(Memory);
selur_conformance::stream_suite!(Memory);
