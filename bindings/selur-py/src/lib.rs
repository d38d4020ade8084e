//! The native module below the Python package `selur`: what is fast, what waits, and what touches the guest's memory.
//!
//! A function here decodes its arguments, calls selur-core and encodes what came of it; what is convenient is written in
//! Python, above. Whatever can wait gives the interpreter's lock away and looks for signals; a ping does neither, for it
//! is answered in less time than that takes, unless the guest is somebody else's. `unsafe` stands in [`buffer`] alone.

mod bridge;
mod buffer;
mod failure;
mod fork;
mod input;
mod made;
mod opening;
mod response;
mod slot;
mod stream;
mod wait;

use pyo3::prelude::*;

/// The native half of the package `selur`. Use the package.
#[pymodule(name = "_native")]
mod native {
    #[pymodule_export]
    use crate::bridge::{Bridge, close, frame};
    #[pymodule_export]
    use crate::fork::forked;
    #[pymodule_export]
    use crate::made::Made;
    #[pymodule_export]
    use crate::opening::Opening;
    #[pymodule_export]
    use crate::response::Response;
    #[pymodule_export]
    use crate::slot::{Answer, Slot};
    #[pymodule_export]
    use crate::stream::Stream;
    #[pymodule_export]
    use crate::wait::settle;
    use pyo3::prelude::*;
    use pyo3::types::PyDict;
    use selur_core::{Command, Status, guest_sha256};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let commands = PyDict::new(py);
        for command in Command::ALL {
            commands.set_item(command.name(), command.code())?;
        }
        let statuses = PyDict::new(py);
        for status in Status::ALL {
            statuses.set_item(status.name(), status.code())?;
        }
        module.add("COMMANDS", commands)?;
        module.add("STATUSES", statuses)?;
        module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
        module.add("GUEST_SHA256", guest_sha256())?;
        // In a child of os.fork() the bridge's threads are gone: what was made before is refused there.
        let hooks = PyDict::new(py);
        hooks.set_item("after_in_child", module.getattr("_forked")?)?;
        py.import("os")?
            .call_method("register_at_fork", (), Some(&hooks))?;
        Ok(())
    }
}
