//! Performs the effects that the kernel decides on: real containers, or simulated ones.
//!
//! A [`Runtime`] does what it is told to one container at a time and reports what it sees. It never decides: which
//! effect may run, in which order and for whom is the kernel's business. It must never know of selur-core or of any
//! binding.

mod docker;
pub mod doctor;
mod effect;
mod error;
mod events;
mod exec;
mod hands;
mod images;
mod inspection;
mod logs;
mod oci;
mod session;
pub mod simulated;
mod spec;
mod stats;
pub mod store;
mod volumes;

pub use docker::{Docker, DockerOptions};
pub use effect::{Done, Effect, Operation};
pub use error::RuntimeError;
pub use events::{Event, EventItem, EventKind, EventOptions, EventStream};
pub use exec::ExecSpec;
pub use images::{Image, Images, ProgressSink, PruneOptions, Pruned, PullProgress, Pushed};
pub use inspection::Inspection;
pub use logs::{LogEntry, LogOptions, LogStream, OutputStream};
pub use oci::{Oci, OciOptions, ShimLocation};
pub use session::{
    AttachOptions, INPUTS_IN_FLIGHT, MAX_PIECE_BYTES, Session, SessionInput, SessionItem, TerminalSize,
};
pub use simulated::Simulated;
pub use spec::{
    Capabilities, ContainerSpec, Mount, NetworkMode, PullPolicy, Resources, RestartPolicy, SpecError,
};
pub use stats::{ContainerProcess, Stats, StatsOptions, StatsStream};
pub use volumes::{Volume, VolumeOptions, Volumes};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, Status};

use tokio_util::sync::CancellationToken;

/// What a runtime saw of one container: [`selur_protocol::abi::Observation`], owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The container exists.
    Seen {
        /// Its identity.
        id: ContainerId,
        /// Its name, if it has one.
        name: Option<String>,
        /// Its life.
        report: Report,
    },
    /// The container was deleted.
    Gone {
        /// Its identity.
        id: ContainerId,
    },
}

/// A backend that performs effects.
///
/// Every method may be called from several tasks at once, for different containers and for the same one: a runtime
/// orders what it does to one container by itself (oci: by the container's lock on disk).
pub trait Runtime: Send + Sync + 'static {
    /// The backend's name: `simulated`, `oci`, `docker`.
    fn name(&self) -> &'static str;

    /// What stands behind it, for people: the name and the version of a daemon, if there is one.
    fn engine(&self) -> Option<String> {
        None
    }

    /// Whether other processes may change what this runtime shows, so that a failed lookup is worth a [`Runtime::list`].
    fn is_shared(&self) -> bool;

    /// How many ids its containers have, where they run without root in a user namespace.
    fn rootless_ids(&self) -> Option<u64> {
        None
    }

    /// Performs one effect to its end.
    ///
    /// `abort` asks for an early end, never for a half-done one: the future still resolves, with what came of it. A
    /// create that does not succeed leaves nothing behind. An effect that changes a container's life returns the
    /// newest report of it.
    ///
    /// # Errors
    /// A [`RuntimeError`], whose status the response carries.
    fn perform(&self, effect: Effect, abort: CancellationToken) -> BoxFuture<'_, Result<Done, RuntimeError>>;

    /// Everything that exists now.
    ///
    /// # Errors
    /// The state cannot be read.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, RuntimeError>>;

    /// What happens from now on, as it happens. Ends when the runtime is dropped.
    fn observations(&self) -> BoxStream<'static, Observation>;

    /// Looks for nothing that happens any more, for a program that is about to end: observations and what follows logs or
    /// events may say nothing from now on. What is performed, listed and read is as before.
    fn rest(&self) {}

    /// The image store, if the backend has one of its own.
    fn images(&self) -> Option<&dyn Images> {
        None
    }

    /// The named volumes, if the backend has any.
    fn volumes(&self) -> Option<&dyn Volumes> {
        None
    }

    /// Resolves when nothing is under way for a caller who is gone, such as the end of a process whose session was dropped.
    /// A bridge that is closed waits for it.
    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// What a container wrote.
    ///
    /// # Errors
    /// - `container_not_found`: it does not exist.
    /// - `unsupported`: the backend keeps no logs.
    fn logs(
        &self,
        container: ContainerId,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<LogStream, RuntimeError>> {
        let _ = (container, options);
        lacking(self.name(), "logs")
    }

    /// Runs a further process in a running container. Resolves when it runs; `abort` ends it before that.
    ///
    /// # Errors
    /// - `container_not_found`, `invalid_state`: there is no such container, or it does not run.
    /// - `invalid_request`: the program cannot be run, or the user does not exist in the container.
    /// - `unsupported`: the backend lacks it.
    fn exec(
        &self,
        container: ContainerId,
        spec: ExecSpec,
        abort: CancellationToken,
    ) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        let _ = (container, spec, abort);
        lacking(self.name(), "exec")
    }

    /// Connects to a container's first process: its output from now on, and its input. It may be attached to before it
    /// is started.
    ///
    /// # Errors
    /// - `container_not_found`, `invalid_state`: there is no such container, or it has ended.
    /// - `invalid_request`: input is wanted, and the container was made without `stdin`.
    /// - `unsupported`: the backend lacks it.
    fn attach(
        &self,
        container: ContainerId,
        options: AttachOptions,
    ) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        let _ = (container, options);
        lacking(self.name(), "attachments")
    }

    /// Samples what a running container uses.
    ///
    /// # Errors
    /// - `container_not_found`, `invalid_state`: there is no such container, or it does not run.
    /// - `invalid_request`: the interval is too short.
    /// - `unsupported`: the backend lacks it.
    fn stats(
        &self,
        container: ContainerId,
        options: StatsOptions,
    ) -> BoxFuture<'_, Result<StatsStream, RuntimeError>> {
        let _ = (container, options);
        lacking(self.name(), "statistics")
    }

    /// The processes of a running container, ordered by id.
    ///
    /// # Errors
    /// - `container_not_found`, `invalid_state`: there is no such container, or it does not run.
    /// - `unsupported`: the backend lacks it.
    fn top(&self, container: ContainerId) -> BoxFuture<'_, Result<Vec<ContainerProcess>, RuntimeError>> {
        let _ = container;
        lacking(self.name(), "process lists")
    }

    /// What happens to containers, images and volumes. Nothing that happens after this resolves is left out.
    ///
    /// # Errors
    /// `unsupported`: the backend lacks it.
    fn events(&self, options: EventOptions) -> BoxFuture<'_, Result<EventStream, RuntimeError>> {
        let _ = options;
        lacking(self.name(), "events")
    }
}

/// The refusal of what a backend does not have.
fn lacking<T: Send + 'static>(backend: &str, what: &str) -> BoxFuture<'static, Result<T, RuntimeError>> {
    let message = match backend {
        "" => format!("this backend has no {what}"),
        _ => format!("the {backend} backend has no {what}"),
    };
    Box::pin(std::future::ready(Err(RuntimeError::new(
        Status::Unsupported,
        message,
    ))))
}
