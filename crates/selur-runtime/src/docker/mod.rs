//! Containers of a Docker or a Podman daemon, through the Docker Engine API on a unix socket.
//!
//! The daemon is the truth, and the only place where anything is kept: a container is ours if a label says so, with its
//! identity and the specification that it was made from. Others' containers are neither seen nor touched. Any number
//! of processes may drive one daemon. Nothing here starts a thread or a runtime of tokio's: what goes on by itself runs
//! on the one that polls it.
//!
//! A daemon is not trusted: answers are bounded, what cannot be read is an error, and every wait can be given up.

mod attach;
mod create;
mod documents;
mod events;
mod exec;
mod failure;
mod frames;
mod images;
mod labels;
mod lifecycle;
mod lives;
mod load;
mod logs;
mod session;
mod site;
pub(crate) mod socket;
mod stats;
mod transport;
mod volumes;
mod watch;

use crate::store::credentials;
use crate::{
    AttachOptions, ContainerProcess, Done, Effect, EventOptions, EventStream, ExecSpec, Images, LogOptions,
    LogStream, Observation, Operation, Runtime, RuntimeError, Session, StatsOptions, StatsStream, Volumes,
};
use failure::About;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use lifecycle::until;
use selur_protocol::ContainerId;
use site::Site;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use transport::Client;

/// The longest answer to what is answered with next to nothing, in bytes.
const SHORT_ANSWER_BYTES: u64 = 4 << 20;

/// Which daemon is used.
#[derive(Clone, Debug, Default)]
pub struct DockerOptions {
    /// Its socket; else `$DOCKER_HOST`, else the first that exists of `/var/run/docker.sock`,
    /// `$XDG_RUNTIME_DIR/podman/podman.sock` and `/run/podman/podman.sock`.
    pub socket: Option<PathBuf>,
}

/// The backend of a daemon's containers. Cheap to clone; see the [module](self).
///
/// ```no_run
/// use selur_runtime::{Docker, DockerOptions, Runtime};
///
/// # async fn run() -> Result<(), selur_runtime::RuntimeError> {
/// let runtime = Docker::open(DockerOptions::default())?;
/// println!("{} has {} containers of selur", runtime.daemon(), runtime.list().await?.len());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Docker {
    site: Arc<Site>,
}

impl Docker {
    /// Finds the daemon's socket, asks the daemon who it is, and agrees on a version of the interface. Blocks, for 20 s
    /// at most where the daemon hangs.
    ///
    /// # Errors
    /// - `unsupported`: no daemon listens, it does not answer, or it is too old.
    /// - `permission_denied`: this user may not use the socket.
    /// - `invalid_request`: `$DOCKER_HOST` names no unix socket.
    ///
    /// Each message says what was tried and what mends it.
    pub fn open(options: DockerOptions) -> Result<Docker, RuntimeError> {
        let socket = socket::find(options.socket)?;
        let daemon = socket::greet(&socket)?;
        let client = Client::new(socket, daemon.api)
            .map_err(|error| error.into_runtime(About::Daemon, "cannot use the daemon"))?;
        let site = Site::new(client, daemon, credentials::default_directory());
        Ok(Docker { site: Arc::new(site) })
    }

    /// The daemon's name and version, and the version of its interface that is spoken: `Podman 4.3.1 (API 1.41)`.
    pub fn daemon(&self) -> String {
        let daemon = &self.site.daemon;
        let (major, minor) = daemon.api;
        format!("{} {} (API {major}.{minor})", daemon.name, daemon.version)
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        self.site.client.socket()
    }

    async fn act(&self, effect: Effect, abort: CancellationToken) -> Result<Done, RuntimeError> {
        if abort.is_cancelled() {
            return Err(failure::cancelled());
        }
        let site = &self.site;
        watch::ensure(site);
        let id = effect.container;
        match effect.operation {
            Operation::Create { image, name, spec } => {
                create::create(site, id, image, name, *spec, abort).await
            }
            Operation::Start => lifecycle::start(site, id, &abort).await,
            Operation::Stop { timeout } => lifecycle::stop(site, id, timeout, &abort).await,
            Operation::Kill { signal } => lifecycle::kill(site, id, signal, &abort).await,
            Operation::Pause => lifecycle::pause(site, id, &abort).await,
            Operation::Resume => lifecycle::resume(site, id, &abort).await,
            Operation::Delete { force } => lifecycle::delete(site, id, force, &abort).await,
            Operation::Inspect => {
                let look = until(&abort, site.expect(id)).await?;
                Ok(Done {
                    report: Some(look.report),
                    inspection: Some(Box::new(look.facts.inspection())),
                })
            }
        }
    }
}

impl Runtime for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn engine(&self) -> Option<String> {
        Some(self.daemon())
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn perform(&self, effect: Effect, abort: CancellationToken) -> BoxFuture<'_, Result<Done, RuntimeError>> {
        Box::pin(self.act(effect, abort))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, RuntimeError>> {
        Box::pin(async {
            watch::ensure(&self.site);
            self.site.list().await
        })
    }

    fn observations(&self) -> BoxStream<'static, Observation> {
        watch::observations(&self.site)
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut endings = self.site.endings.subscribe();
            // The site, which counts them, is here.
            let _ = endings.wait_for(|count| *count == 0).await;
        })
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(self)
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        Some(self)
    }

    fn logs(
        &self,
        container: ContainerId,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<LogStream, RuntimeError>> {
        Box::pin(logs::stream(&self.site, container, options))
    }

    fn exec(
        &self,
        container: ContainerId,
        spec: ExecSpec,
        abort: CancellationToken,
    ) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        Box::pin(exec::exec(&self.site, container, spec, abort))
    }

    fn attach(
        &self,
        container: ContainerId,
        options: AttachOptions,
    ) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        Box::pin(attach::attach(&self.site, container, options))
    }

    fn stats(
        &self,
        container: ContainerId,
        options: StatsOptions,
    ) -> BoxFuture<'_, Result<StatsStream, RuntimeError>> {
        Box::pin(stats::stream(&self.site, container, options))
    }

    fn top(&self, container: ContainerId) -> BoxFuture<'_, Result<Vec<ContainerProcess>, RuntimeError>> {
        Box::pin(stats::top(&self.site, container))
    }

    fn events(&self, options: EventOptions) -> BoxFuture<'_, Result<EventStream, RuntimeError>> {
        Box::pin(events::stream(&self.site, options))
    }
}
