//! The bridge's own threads: a tokio runtime that is started when it is first needed.

use crate::{Error, Status};
use std::cell::Cell;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// How many threads poll effects; what blocks has further ones.
const WORKERS: usize = 2;
/// How long a close waits for threads to end whose effects have all ended.
const JOIN_TIMEOUT: Duration = Duration::from_secs(1);

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is one of a bridge's own.
pub(crate) fn is_own() -> bool {
    OWN.get()
}

/// The runtime, if it was started.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    NotStarted,
    Started(Runtime),
    Ended,
}

impl Threads {
    /// Where tasks are spawned.
    ///
    /// # Errors
    /// - `resource_exhausted`: the system gives no more threads.
    /// - `invalid_request`: the threads have ended.
    pub(crate) fn handle(&self) -> Result<Handle, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::NotStarted = *state {
            *state = State::Started(start()?);
        }
        match &*state {
            State::Started(runtime) => Ok(runtime.handle().clone()),
            State::NotStarted | State::Ended => Err(Error::closed()),
        }
    }

    /// Where tasks are spawned, if there are threads.
    pub(crate) fn started(&self) -> Option<Handle> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Started(runtime) => Some(runtime.handle().clone()),
            State::NotStarted | State::Ended => None,
        }
    }

    /// Ends them for good. Waits for them where that is allowed, never on a thread that runs tasks.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Ended);
        drop(state);
        if let State::Started(runtime) = before {
            if Handle::try_current().is_ok() {
                runtime.shutdown_background();
            } else {
                runtime.shutdown_timeout(JOIN_TIMEOUT);
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end();
    }
}

fn start() -> Result<Runtime, Error> {
    // Tokio panics where it gets no thread. This one says so in peace; and if another program takes the last one meanwhile,
    // the panic ends here.
    let first = std::thread::Builder::new().name("selur-bridge".into());
    first
        .spawn(|| {})
        .map(|thread| drop(thread.join()))
        .map_err(|error| no_thread(&error.to_string()))?;
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("selur-bridge")
            .on_thread_start(|| OWN.set(true))
            .enable_all()
            .build()
    };
    match catch_unwind(build) {
        Ok(built) => built.map_err(|error| no_thread(&error.to_string())),
        Err(_) => Err(no_thread("it gave one, and then no further one")),
    }
}

fn no_thread(why: &str) -> Error {
    let message = format!(
        "the system gives the bridge no threads of its own: {why}. End other threads or programs, or raise the limits on \
         threads and memory (ulimit -u, ulimit -v, pids.max of the cgroup)"
    );
    Error::new(Status::ResourceExhausted, message)
}
