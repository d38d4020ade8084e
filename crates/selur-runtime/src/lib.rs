//! Performs the effects that the kernel decides on: real containers, or simulated ones.
//!
//! A [`Runtime`] does what it is told to one container at a time and reports what it sees. It never decides: which
//! effect may run, in which order and for whom is the kernel's business. It must never know of selur-core or of any
//! binding.

mod effect;
mod error;
mod images;
mod inspection;
mod logs;
mod oci;
pub mod simulated;
mod spec;
pub mod store;

pub use effect::{Done, Effect, Operation};
pub use error::RuntimeError;
pub use images::{Image, Images, ProgressSink, PullProgress};
pub use inspection::Inspection;
pub use logs::{LogEntry, LogOptions, LogStream, OutputStream};
pub use oci::{Oci, OciOptions, ShimLocation};
pub use simulated::Simulated;
pub use spec::{ContainerSpec, NetworkMode, PullPolicy, RestartPolicy, SpecError};

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

    /// Whether other processes may change what this runtime shows, so that a failed lookup is worth a [`Runtime::list`].
    fn is_shared(&self) -> bool;

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

    /// The image store, if the backend has one of its own.
    fn images(&self) -> Option<&dyn Images> {
        None
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
        let message = format!("the {} backend keeps no logs", self.name());
        Box::pin(std::future::ready(Err(RuntimeError::new(
            Status::Unsupported,
            message,
        ))))
    }
}
