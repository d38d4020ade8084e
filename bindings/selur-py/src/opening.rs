//! Bridges that are being made. Most are on a thread of their own: for a daemon that does not answer that takes 20 s, in
//! which Python looks for signals and a loop's other tasks go on.

use crate::failure::Failure;
use crate::fork::Own;
use crate::input;
use crate::wait::{Deadline, detached, wait};
use pyo3::prelude::*;
use selur_core::{Backend, Error, Guest, Status};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

type Made = Result<selur_core::Bridge, Error>;

/// A bridge that is being made.
#[pyclass(frozen, module = "selur._native")]
pub(crate) struct Opening {
    stage: Own<Mutex<Stage>>,
    /// At its end once the bridge is made.
    ended: UnixStream,
    /// Whether that was at once.
    #[pyo3(get)]
    is_prompt: bool,
}

enum Stage {
    Coming(Receiver<Made>),
    /// It was not made, was given up, or is another's now.
    Over(Error),
}

#[pymethods]
impl Opening {
    /// Begins to make a bridge. One that waits for nobody is there at once.
    #[new]
    #[pyo3(signature = (runtime, guest, state_root, shim, docker_socket, deadline, /))]
    fn new(
        py: Python<'_>,
        runtime: &str,
        guest: Option<&Bound<'_, PyAny>>,
        state_root: Option<PathBuf>,
        shim: Option<PathBuf>,
        docker_socket: Option<PathBuf>,
        deadline: Option<f64>,
    ) -> PyResult<Opening> {
        let is_prompt = runtime == SIMULATED && guest.is_none();
        let mut builder = selur_core::Bridge::builder().backend(backend(runtime)?);
        if let Some(guest) = guest {
            builder = builder.guest(match guest.extract::<PathBuf>() {
                Ok(path) => Guest::Path(path),
                Err(_) => Guest::Bytes(input::bytes(guest)?.into_owned()),
            });
        }
        if let Some(folder) = state_root {
            builder = builder.state_root(folder);
        }
        if let Some(program) = shim {
            builder = builder.shim(program);
        }
        if let Some(socket) = docker_socket {
            builder = builder.socket(socket);
        }
        if let Deadline::Within(deadline) = Deadline::of(deadline)? {
            builder = builder.default_deadline(Some(deadline));
        }
        let (ended, ends) = UnixStream::pair().map_err(|error| {
            let message = format!("the process has no descriptor left: {error}");
            Failure::new(Status::ResourceExhausted, message)
        })?;
        let (made, coming) = sync_channel(1);
        let work = move || {
            // Where nobody waits any more it comes back, and is closed.
            drop(made.send(builder.build()));
            drop(ends);
        };
        match is_prompt {
            true => detached(py, work),
            false => beside(work)?,
        }
        Ok(Opening {
            stage: Own::new(Mutex::new(Stage::Coming(coming))),
            ended,
            is_prompt,
        })
    }

    /// A descriptor that is readable once the bridge is made, or cannot be made.
    fn descriptor(&self) -> i32 {
        self.ended.as_raw_fd()
    }

    /// Lets go of the bridge, whether it is made or not.
    fn give_up(&self, py: Python<'_>) {
        if let Ok(stage) = self.stage.get() {
            let over = Stage::Over(Error::invalid("the bridge is closed: make another one"));
            // Whoever waits for it looks now.
            drop(self.ended.shutdown(Shutdown::Both));
            // One that is made is closed, which may take its time.
            detached(py, || {
                let before =
                    std::mem::replace(&mut *stage.lock().unwrap_or_else(PoisonError::into_inner), over);
                drop(before);
            });
        }
    }
}

impl Opening {
    /// The bridge, which is waited for until a signal's handler raises. It is given once; that it could not be made is told
    /// each time.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<selur_core::Bridge> {
        let stage = self.stage.get()?;
        wait(py, |most| {
            let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
            let made = match &*stage {
                Stage::Coming(coming) => received(coming, most)?,
                Stage::Over(error) => return Err(error.clone().into()),
            };
            let Some(made) = made else {
                return Ok(None);
            };
            *stage = Stage::Over(match &made {
                Ok(_) => Error::invalid("this bridge was taken before"),
                Err(error) => error.clone(),
            });
            Ok(Some(made?))
        })
    }
}

const SIMULATED: &str = "simulated";

/// Makes a bridge on a thread of its own.
fn beside(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name("selur-open".into());
    thread.spawn(work).map(drop).map_err(|error| {
        let message = format!("the system has no thread left to make a bridge on: {error}");
        Failure::new(Status::ResourceExhausted, message)
    })
}

/// What was made, if it came within so long.
fn received(coming: &Receiver<Made>, most: Duration) -> Result<Option<Made>, Failure> {
    match coming.recv_timeout(most) {
        Ok(made) => Ok(Some(made)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(Failure::new(
            Status::InternalError,
            "selur panicked while it made the bridge, which is a defect; please report it",
        )),
    }
}

fn backend(name: &str) -> Result<Backend, Failure> {
    Ok(match name {
        "auto" => Backend::Auto,
        SIMULATED => Backend::Simulated,
        "oci" => Backend::Oci,
        "docker" => Backend::Docker,
        _ => {
            let message = format!("{name:?} is no runtime: use auto, oci, docker or simulated");
            return Err(Failure::invalid(message));
        }
    })
}
