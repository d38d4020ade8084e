//! Real containers: the image store, overlays, a shim for each container, and runc.
//!
//! The disk is the truth. Everything that is known of a container stands below the state root in the files that
//! [`selur_shim::Root`] names, so that any number of processes may work on one root, and one that dies takes nothing
//! with it. A container exists exactly while its life, `states/ID`, does; it is changed by its shim, or by whoever holds
//! its lock while no shim lives. Nothing here starts a thread of tokio's or waits for a child of the host's process by
//! other means than the shim's answer.
//!
//! **A program that cannot be run**, because it does not exist or may not be executed, makes `start` fail with
//! `invalid_request`; the container is then `stopped` with exit code 127 or 126, as inspect and wait show.

mod attach;
mod bundle;
mod cgroup;
mod config;
mod control;
mod create;
mod delete;
mod events;
mod exec;
mod failure;
mod hold;
pub(crate) mod launch;
mod lifecycle;
mod log_files;
mod logs;
mod mounts;
mod names;
pub(crate) mod prerequisites;
mod recovery;
mod remove;
mod resources;
pub(crate) mod rootless;
mod seccomp;
mod session;
mod stats;
mod volumes;
mod watch;

use crate::hands::{self, Hands};
use crate::store::{Store, StoreOptions};
use crate::{
    AttachOptions, ContainerProcess, Done, Effect, EventOptions, EventStream, ExecSpec, Images, Inspection,
    LogOptions, LogStream, Observation, Operation, Runtime, RuntimeError, Session, StatsOptions, StatsStream,
    Volumes,
};
use config::Config;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use launch::{Errands, Launcher};
use selur_protocol::{ContainerId, Status};
use selur_shim::{Life, Mapping, Root};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use watch::Watcher;

pub(crate) use bundle::CAPABILITIES as DEFAULT_CAPABILITIES;
pub use launch::ShimLocation;
pub(crate) use mounts::check_sources;
pub(crate) use stats::process;

/// Where this backend finds what it needs. What is absent is looked for.
#[derive(Clone, Debug, Default)]
pub struct OciOptions {
    /// Else `$SELUR_ROOT`, else `/var/lib/selur` for root, else `$XDG_DATA_HOME/selur`, else `~/.local/share/selur`.
    pub state_root: Option<PathBuf>,
    /// The program that holds a container.
    pub shim: ShimLocation,
    /// Else `runc` in `PATH` or `/usr/sbin`, else `crun` where it works.
    pub runc: Option<PathBuf>,
}

/// The backend of real containers. Cheap to clone; see the [module](self).
///
/// ```no_run
/// use selur_runtime::{Oci, OciOptions, Runtime};
///
/// # async fn run() -> Result<(), selur_runtime::RuntimeError> {
/// let runtime = Oci::open(OciOptions::default())?;
/// println!("{} containers", runtime.list().await?.len());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Oci {
    site: Arc<Site>,
    /// Ends with the last clone.
    watcher: Arc<Watcher>,
}

/// All that an effect needs.
#[derive(Debug)]
struct Site {
    root: Root,
    store: Store,
    launcher: Arc<Launcher>,
    /// Who touches the containers' files.
    hands: Arc<dyn Hands>,
    /// The id of this boot.
    boot: String,
}

impl Oci {
    /// Checks that real containers can run here, opens the state root, making it if there is none, removes what
    /// half-made containers left, and takes over containers whose shim has died. Blocks.
    ///
    /// # Errors
    /// - `permission_denied`: a root without the right to mount, or the state root cannot be written to.
    /// - `unsupported`: runc, the shim, overlayfs or cgroups are missing; the root is of a newer schema, or of other ids;
    ///   without root, the machine allows no user namespace, or no overlay in one.
    ///
    /// Each message says what is missing and what mends it.
    pub fn open(options: OciOptions) -> Result<Oci, RuntimeError> {
        let found = prerequisites::check(&options)?;
        let boot =
            selur_shim::current_boot().map_err(|error| failure::io("cannot read the boot's id", error))?;
        let hands: Arc<dyn Hands> = match found.launcher.mapping {
            None => Arc::new(hands::Root),
            Some(_) => Arc::new(Errands::new(found.launcher.clone(), found.root.path().to_owned())),
        };
        let site = Arc::new(Site {
            store: Store::open_by(
                found.root.path(),
                StoreOptions::from_environment()?,
                hands.clone(),
            )?,
            launcher: found.launcher,
            hands,
            root: found.root,
            boot,
        });
        let watcher = Watcher::start(&site)?;
        recovery::sweep(&site);
        Ok(Oci {
            site,
            watcher: Arc::new(watcher),
        })
    }

    /// The state root.
    pub fn state_root(&self) -> &std::path::Path {
        self.site.root.path()
    }

    /// The OCI runtime that runs the processes.
    pub fn runc(&self) -> &std::path::Path {
        &self.site.launcher.runc
    }

    async fn act(&self, effect: Effect, abort: CancellationToken) -> Result<Done, RuntimeError> {
        if abort.is_cancelled() {
            return Err(failure::cancelled());
        }
        let id = effect.container;
        match effect.operation {
            Operation::Create { image, name, spec } => {
                create::create(&self.site, id, image, name, *spec, abort).await
            }
            Operation::Stop { timeout } => lifecycle::stop(&self.site, id, timeout, abort).await,
            Operation::Start => self.block(move |site| lifecycle::start(site, id, &abort)).await,
            Operation::Kill { signal } => {
                self.block(move |site| lifecycle::kill(site, id, signal, &abort))
                    .await
            }
            Operation::Pause => self.block(move |site| lifecycle::pause(site, id, &abort)).await,
            Operation::Resume => self.block(move |site| lifecycle::resume(site, id, &abort)).await,
            Operation::Delete { force } => {
                self.block(move |site| delete::delete(site, id, force, &abort))
                    .await
            }
            Operation::Inspect => self.block(move |site| inspect(site, id)).await,
        }
    }

    async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Site>) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        block(&self.site, work).await
    }
}

impl Runtime for Oci {
    fn name(&self) -> &'static str {
        "oci"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn rootless_ids(&self) -> Option<u64> {
        self.site.mapping().map(Mapping::ids)
    }

    fn perform(&self, effect: Effect, abort: CancellationToken) -> BoxFuture<'_, Result<Done, RuntimeError>> {
        Box::pin(self.act(effect, abort))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, RuntimeError>> {
        Box::pin(self.block(|site| site.list()))
    }

    fn observations(&self) -> BoxStream<'static, Observation> {
        self.watcher.observations()
    }

    fn rest(&self) {
        self.watcher.rest();
    }

    fn images(&self) -> Option<&dyn Images> {
        Some(&self.site.store)
    }

    fn volumes(&self) -> Option<&dyn Volumes> {
        Some(self)
    }

    fn logs(
        &self,
        container: ContainerId,
        options: LogOptions,
    ) -> BoxFuture<'_, Result<LogStream, RuntimeError>> {
        let watcher = self.watcher.clone();
        Box::pin(self.block(move |site| logs::stream(site, &watcher, container, options)))
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
        let watcher = self.watcher.clone();
        let open = self.block(move |site| attach::open(site, &watcher, container, options));
        Box::pin(async { Ok(open.await?.into_session()) })
    }

    fn stats(
        &self,
        container: ContainerId,
        options: StatsOptions,
    ) -> BoxFuture<'_, Result<StatsStream, RuntimeError>> {
        Box::pin(self.block(move |site| stats::stream(site, container, options)))
    }

    fn top(&self, container: ContainerId) -> BoxFuture<'_, Result<Vec<ContainerProcess>, RuntimeError>> {
        Box::pin(self.block(move |site| stats::top(site, container)))
    }

    fn events(&self, options: EventOptions) -> BoxFuture<'_, Result<EventStream, RuntimeError>> {
        let watcher = self.watcher.clone();
        Box::pin(self.block(move |site| events::stream(site, &watcher, options)))
    }
}

/// Runs blocking work where it holds up nobody.
async fn block<T: Send + 'static>(
    site: &Arc<Site>,
    work: impl FnOnce(&Arc<Site>) -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    let site = site.clone();
    tokio::task::spawn_blocking(move || work(&site))
        .await
        .unwrap_or_else(|error| {
            let message = "the work on the container ended unexpectedly";
            Err(RuntimeError::with_source(Status::InternalError, message, error))
        })
}

impl Site {
    /// The ids of the user namespace, without root.
    fn mapping(&self) -> Option<&Mapping> {
        self.launcher.mapping.as_ref()
    }

    /// Removes what runc left of the cgroups of a container that has no process.
    fn remove_cgroups(&self, id: ContainerId) {
        match self.mapping() {
            None => remove::cgroups(id),
            Some(_) => rootless::Delegation::own().remove(id),
        }
    }
}

fn inspect(site: &Site, id: ContainerId) -> Result<Done, RuntimeError> {
    let life = site.life(id)?.ok_or_else(|| failure::not_found(id))?;
    // A deletion between the two reads.
    let config = Config::read(&site.root.home(id))?.ok_or_else(|| failure::not_found(id))?;
    let report = Some(life.report());
    let inspection = Inspection {
        id: config.id,
        name: config.name,
        image: config.image,
        image_digest: Some(config.image_digest),
        state: life.state.name().into(),
        pid: life.process.map(|process| process.pid),
        exit_code: life.exit_code,
        created_at: config.created_at,
        started_at: life.started_at,
        finished_at: life.finished_at,
        restart_count: life.restart_count,
        spec: config.spec,
        labels: config.labels,
    };
    Ok(Done {
        report,
        inspection: Some(Box::new(inspection)),
    })
}

/// What an observation says of a life.
fn seen(id: ContainerId, life: &Life) -> Observation {
    Observation::Seen {
        id,
        name: life.name.clone(),
        report: life.report(),
    }
}
