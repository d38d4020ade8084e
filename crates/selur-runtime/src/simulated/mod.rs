//! The simulated backend: containers that exist in memory only, deterministic, with faults chosen by the image name.
//!
//! It is for tests and for harnesses in every language, which reach all of it through nothing but the public API. It
//! must never be chosen unless it was asked for, never sleep, and never read a clock.
//!
//! Any image that its registry `fault.test` does not serve behaves as a process that runs until it is stopped and
//! handles no signal. The images of `fault.test` are scripts:
//!
//! | image | what its containers do |
//! |---|---|
//! | `fault.test/OPERATION:STATUS` | OPERATION (`pull`, `create`, `start`, `stop`, `kill`, `pause`, `resume`, `delete`, `inspect`, `push`) fails with STATUS, always, and changes nothing |
//! | `fault.test/hang:OPERATION` | OPERATION does not end until it is aborted; a hanging stop also ends when the process does, and a forced delete never hangs |
//! | `fault.test/late:OPERATION` | the same, but when the abort comes OPERATION is done already: it succeeds |
//! | `fault.test/exit:CODE` | ends by itself with CODE (0 to 255) as soon as it is started: the exit is observed, and is newer than what start's completion reports |
//! | `fault.test/exit-on-usr1:CODE` | runs until SIGUSR1 reaches it, then ends by itself with CODE: the exit is observed, and the completion of kill does not tell it |
//! | `fault.test/restarting:CODE` | is `restarting` as soon as it is started, having ended with CODE, until it is stopped or killed |
//! | `fault.test/ignore-term:latest` | ignores SIGTERM, so that stop ends it with SIGKILL |
//!
//! Any other image of `fault.test` is `image_not_found`.
//!
//! - **Exit codes.** A signal that ends a process gives 128 + its number: stop gives 143 (SIGTERM), or 137 where the
//!   process ignores the stop signal; kill gives 137. SIGCHLD, SIGCONT, SIGURG, SIGWINCH and the stopping signals do
//!   nothing. A signal other than SIGKILL that is sent to a paused container takes effect when it is resumed.
//! - **Restart policy.** A process that ended by itself with a code other than 0 is started again as the
//!   specification says, at once. `exit:CODE` under `on-failure` without a limit stays `restarting`.
//! - **Time** is virtual: 2026-01-01T00:00:00Z and one second more each time a container is made, started or ended.
//!   Timeouts pass at once. There is no process, so that `pid` is null.
//! - **Observations** tell what no completion tells: the ends of processes that ended by themselves, and restarts.
//! - **Images.** The store is empty at first, so that pull policy `never` gives `image_not_found` for what was not
//!   pulled before. Digests are made from the reference, and each image has one layer of 4,096 bytes. Load takes a layout
//!   directory or any file, reads nothing of it, and wants a name. Push needs the image here and sends nothing. Prune
//!   removes nothing but, with `all`, images that no container is made from: nothing else is ever left over.
//! - **Exec.** Every container has the programs `true`, `false`, `echo WORDS`, `warn WORDS` (to standard error), `env`,
//!   `pwd`, `exit CODE`, `cat` (says what it is told until its input ends), `sleep` (does nothing until the container
//!   ends, then 137) and `size` (says its terminal's size, at first and at each resize). Others are not found.
//! - **Attachments.** A container made with `stdin` says what it is told; that is not logged.
//! - **Statistics.** One process of 1 MiB that works 1 ms a tick of the clock. A sample follows each change.
//! - **Events** are kept for readers that are behind: the last 1,024.
//! - **Volumes** are names with labels; nothing is in them, and `path` is null. Making one takes a second.
//! - **Logs.** Each start writes one line to standard output: `IMAGE started, generation N`.

mod clock;
mod container;
mod images;
mod journal;
mod logs;
mod script;
mod session;
mod stats;
mod volumes;

use crate::{
    AttachOptions, ContainerProcess, ContainerSpec, Done, Effect, Event, EventKind, EventOptions,
    EventStream, ExecSpec, Images, LogOptions, LogStream, Observation, Operation, PullPolicy, Runtime,
    RuntimeError, Session, StatsOptions, StatsStream, Volumes,
};
use clock::Clock;
use container::{Change, Container};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use images::Store;
use journal::Journal;
use script::{Aborted, Point, Script};
use selur_protocol::{ContainerId, Status};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The simulated backend. See the [module](self) for what its containers do.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use selur_protocol::{ContainerId, State};
/// use selur_runtime::{ContainerSpec, Effect, Operation, Runtime, Simulated};
///
/// let runtime = Simulated::new();
/// let container = ContainerId::from_bytes([7; 16]);
/// let create = Operation::Create {
///     image: "docker.io/library/nginx:latest".into(),
///     name: None,
///     spec: Box::new(ContainerSpec::default()),
/// };
/// for operation in [create, Operation::Start] {
///     let effect = Effect { container, operation };
///     let done = runtime.perform(effect, Default::default()).await.unwrap();
///     println!("{:?}", done.report);
/// }
/// # });
/// ```
#[derive(Debug, Default)]
pub struct Simulated {
    world: Arc<Mutex<World>>,
}

/// Everything there is.
#[derive(Debug, Default)]
struct World {
    clock: Clock,
    store: Store,
    containers: BTreeMap<ContainerId, Container>,
    journal: Journal,
    volumes: BTreeMap<String, volumes::Record>,
    observers: Vec<mpsc::UnboundedSender<Observation>>,
}

impl Simulated {
    /// A world without containers and images.
    pub fn new() -> Simulated {
        Simulated::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    async fn act(&self, effect: Effect, abort: CancellationToken) -> Result<Done, RuntimeError> {
        let Effect {
            container: id,
            operation,
        } = effect;
        let script = match &operation {
            Operation::Create { image, .. } => Script::of(image)?,
            _ => self.world().script(id, &operation)?,
        };
        let points = Point::of(&operation);
        let is_late = |point: &Point| script.hangs(*point) == Some(Aborted::Succeeds);
        if abort.is_cancelled() && !points.iter().any(is_late) {
            return Err(aborted());
        }
        for point in points {
            if let Some(status) = script.fails(*point) {
                let words = point.name();
                let message = format!("the image's script makes {words} fail with {}", status.name());
                return Err(RuntimeError::new(status, message));
            }
            if let Some(aborted) = script.hangs(*point)
                && !matches!(operation, Operation::Delete { force: true })
            {
                self.hang(id, &operation, &abort, aborted).await?;
            }
        }
        self.world().perform(id, operation, script)
    }

    /// Resolves when there is something left to do: for a stop, when the process has ended.
    async fn hang(
        &self,
        id: ContainerId,
        operation: &Operation,
        abort: &CancellationToken,
        aborted: Aborted,
    ) -> Result<(), RuntimeError> {
        let outcome = || match aborted {
            Aborted::GivesUp => Err(self::aborted()),
            Aborted::Succeeds => Ok(()),
        };
        let changes = self.world().containers.get(&id).map(Container::changes);
        let Some(mut changes) = changes else {
            abort.cancelled().await;
            return outcome();
        };
        loop {
            let ended = match self.world().containers.get(&id) {
                None => return Err(no_such_container(id)),
                Some(container) => !container.has_process(),
            };
            if ended && matches!(operation, Operation::Stop { .. }) {
                return Ok(());
            }
            tokio::select! {
                () = abort.cancelled() => return outcome(),
                // An error means that the container is gone, which the next round finds.
                _ = changes.changed() => {}
            }
        }
    }
}

impl Runtime for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn perform(&self, effect: Effect, abort: CancellationToken) -> BoxFuture<'_, Result<Done, RuntimeError>> {
        Box::pin(self.act(effect, abort))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, RuntimeError>> {
        let world = self.world();
        let seen = world.containers.iter();
        let seen: Vec<_> = seen.map(|(id, container)| container.seen(*id)).collect();
        Box::pin(std::future::ready(Ok(seen)))
    }

    fn observations(&self) -> BoxStream<'static, Observation> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.world().observers.push(sender);
        stream::unfold(receiver, |mut receiver| async {
            let observation = receiver.recv().await?;
            Some((observation, receiver))
        })
        .boxed()
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
        let changes = self.world().containers.get(&container).map(Container::changes);
        Box::pin(std::future::ready(match changes {
            Some(changes) => Ok(logs::stream(self.world.clone(), container, changes, options)),
            None => Err(no_such_container(container)),
        }))
    }

    fn exec(
        &self,
        container: ContainerId,
        spec: ExecSpec,
        _abort: CancellationToken,
    ) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        Box::pin(async move { session::exec(&self.world, container, &spec) })
    }

    fn attach(
        &self,
        container: ContainerId,
        options: AttachOptions,
    ) -> BoxFuture<'_, Result<Session, RuntimeError>> {
        Box::pin(async move { session::attach(&self.world, container, options) })
    }

    fn stats(
        &self,
        container: ContainerId,
        options: StatsOptions,
    ) -> BoxFuture<'_, Result<StatsStream, RuntimeError>> {
        Box::pin(async move { stats::stream(&self.world, container, options) })
    }

    fn top(&self, container: ContainerId) -> BoxFuture<'_, Result<Vec<ContainerProcess>, RuntimeError>> {
        Box::pin(async move { stats::top(&self.world, container) })
    }

    fn events(&self, options: EventOptions) -> BoxFuture<'_, Result<EventStream, RuntimeError>> {
        Box::pin(async move { Ok(journal::stream(&self.world, options)) })
    }
}

impl World {
    fn script(&self, id: ContainerId, operation: &Operation) -> Result<Script, RuntimeError> {
        match (self.containers.get(&id), operation) {
            (Some(container), _) => Ok(container.script()),
            (None, Operation::Delete { force: true }) => Ok(Script::RunUntilStopped),
            (None, _) => Err(no_such_container(id)),
        }
    }

    fn perform(
        &mut self,
        id: ContainerId,
        operation: Operation,
        script: Script,
    ) -> Result<Done, RuntimeError> {
        if let Operation::Create { image, name, spec } = operation {
            return self.create(id, image, name, *spec, script);
        }
        let Some(container) = self.containers.get_mut(&id) else {
            return match operation {
                Operation::Delete { force: true } => Ok(Done::default()),
                _ => Err(no_such_container(id)),
            };
        };
        let clock = &mut self.clock;
        let change = match operation {
            Operation::Start => container.start(clock)?,
            Operation::Stop { .. } => container.stop(clock),
            Operation::Kill { signal } => container.kill(signal, clock)?,
            Operation::Pause => container.pause(clock)?,
            Operation::Resume => container.resume(clock)?,
            Operation::Delete { force } => {
                container.check_deletion(force)?;
                if container.has_process() {
                    // Killed for it: the end is told before the deletion.
                    container.kill(selur_protocol::Signal::KILL, clock)?;
                }
                self.tell(id);
                if let Some(container) = self.containers.remove(&id) {
                    let mut event = container.event(EventKind::Deleted, self.clock.now());
                    event.subject = id.to_string();
                    self.journal.add(event);
                }
                return Ok(Done::default());
            }
            Operation::Inspect => {
                let inspection = Some(Box::new(container.inspect(id)));
                return Ok(Done {
                    report: Some(container.report()),
                    inspection,
                });
            }
            Operation::Create { .. } => {
                return Err(RuntimeError::new(Status::InternalError, "a create came twice"));
            }
        };
        self.tell(id);
        let Some(container) = self.containers.get(&id) else {
            return Err(no_such_container(id));
        };
        let report = match change {
            Change::Told(report) => report,
            Change::Observed { told } => {
                let seen = container.seen(id);
                self.observers
                    .retain(|observer| observer.send(seen.clone()).is_ok());
                told
            }
        };
        Ok(Done {
            report: Some(report),
            inspection: None,
        })
    }

    /// Puts what happened to an image or a volume into the journal.
    fn tell_about(&mut self, kind: EventKind, subject: &str) {
        self.journal.add(Event {
            time_ns: self.clock.now().as_nanoseconds(),
            kind,
            subject: subject.to_owned(),
            name: None,
            generation: None,
            exit_code: None,
        });
    }

    /// Puts what happened to a container into the journal.
    fn tell(&mut self, id: ContainerId) {
        let container = self.containers.get_mut(&id);
        for event in container
            .map(|container| container.take_events(id))
            .unwrap_or_default()
        {
            self.journal.add(event);
        }
    }

    fn create(
        &mut self,
        id: ContainerId,
        image: String,
        name: Option<String>,
        spec: ContainerSpec,
        script: Script,
    ) -> Result<Done, RuntimeError> {
        let taken = |message: String| Err(RuntimeError::new(Status::ContainerAlreadyExists, message));
        if self.containers.contains_key(&id) {
            return taken(format!("the container {id} exists already"));
        }
        if let Some(name) = &name
            && self
                .containers
                .values()
                .any(|other| other.name() == Some(name.as_str()))
        {
            return taken(format!("the name {name:?} is taken: choose another"));
        }
        let digest = match spec.pull {
            PullPolicy::Never => self.store.find(&image)?,
            PullPolicy::Missing if self.store.find(&image).is_ok() => self.store.find(&image)?,
            PullPolicy::Missing | PullPolicy::Always => {
                self.tell_about(EventKind::ImagePulled, &image);
                self.store.add(&image, &self.clock)
            }
        };
        self.make_volumes(&spec);
        let container = Container::new(image, digest, name, spec, script, &mut self.clock);
        let report = Some(container.report());
        let mut event = container.event(EventKind::Created, self.clock.now());
        event.subject = id.to_string();
        self.journal.add(event);
        self.containers.insert(id, container);
        Ok(Done {
            report,
            inspection: None,
        })
    }
}

/// A panic elsewhere leaves no half-made world: every change is one assignment or one insertion.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn aborted() -> RuntimeError {
    RuntimeError::new(Status::Cancelled, "the effect was aborted")
}

fn no_such_container(id: ContainerId) -> RuntimeError {
    RuntimeError::new(
        Status::ContainerNotFound,
        format!("the simulated backend has no container {id}"),
    )
}
