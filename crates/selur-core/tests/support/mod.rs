//! What several tests need: bridges, frames, conditions awaited with a deadline, and a runtime that does as it is told.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use selur_core::{Backend, Bridge, Command, CreateOptions, EventOptions, Runtime, Status};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, Frame, MAX_FRAME_BYTES, State};
use selur_runtime::{Done, Effect, EventStream, Observation, RuntimeError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Long enough for everything on a machine that does other things too; only a failure takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn simulated() -> Bridge {
    Bridge::builder()
        .backend(Backend::Simulated)
        .build()
        .expect("a simulated bridge")
}

pub(crate) fn over(runtime: Arc<dyn Runtime>) -> Bridge {
    Bridge::builder()
        .backend(Backend::Custom(runtime))
        .build()
        .expect("a bridge")
}

pub(crate) fn frame(command: Command, fields: &[&str]) -> Vec<u8> {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    let mut buffer = vec![0; MAX_FRAME_BYTES];
    let count = Frame::encode(command, &fields, &mut buffer).expect("a frame");
    buffer.truncate(count);
    buffer
}

pub(crate) fn create(image: &str, name: &str) -> Vec<u8> {
    frame(Command::CreateContainer, &[image, name])
}

/// Whether nothing of a container is left, once what undoes it is through.
pub(crate) fn becomes_free(bridge: &Bridge, name: &str) {
    until("the name is free", || {
        match bridge.create_container(CreateOptions::new("nginx").name(name)) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.status(), Status::ContainerAlreadyExists, "{error}");
                false
            }
        }
    });
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn report(generation: u32, state: State) -> Report {
    Report {
        generation,
        sequence: 1,
        state,
        exit_code: None,
    }
}

type Performs =
    dyn Fn(Effect, CancellationToken) -> BoxFuture<'static, Result<Done, RuntimeError>> + Send + Sync;
type Settles = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;
type Lists = dyn Fn() -> Result<Vec<Observation>, RuntimeError> + Send + Sync;

/// A runtime made of closures.
pub(crate) struct Scripted {
    pub(crate) is_shared: bool,
    pub(crate) performs: Box<Performs>,
    pub(crate) lists: Box<Lists>,
    pub(crate) settles: Box<Settles>,
    pub(crate) observers: Mutex<Vec<mpsc::UnboundedSender<Observation>>>,
}

impl Scripted {
    /// One whose every effect succeeds at once, and tells the state that it leads to.
    pub(crate) fn obedient() -> Scripted {
        Scripted {
            is_shared: false,
            performs: Box::new(|effect, _| Box::pin(std::future::ready(Ok(obey(&effect))))),
            lists: Box::new(|| Ok(Vec::new())),
            settles: Box::new(|| Box::pin(std::future::ready(()))),
            observers: Mutex::default(),
        }
    }

    pub(crate) fn performing(
        performs: impl Fn(Effect, CancellationToken) -> BoxFuture<'static, Result<Done, RuntimeError>>
        + Send
        + Sync
        + 'static,
    ) -> Scripted {
        Scripted {
            performs: Box::new(performs),
            ..Scripted::obedient()
        }
    }

    pub(crate) fn observe(&self, observation: Observation) {
        for observer in &*self.observers.lock().expect("observers") {
            let _ = observer.send(observation.clone());
        }
    }
}

/// What an effect leads to when all goes well.
pub(crate) fn obey(effect: &Effect) -> Done {
    use selur_runtime::Operation::{Create, Delete, Inspect, Kill, Pause, Resume, Start, Stop};
    let state = match effect.operation {
        Create { .. } => Some((0, State::Created)),
        Start => Some((1, State::Running)),
        Stop { .. } | Kill { .. } => Some((2, State::Stopped)),
        Pause => Some((3, State::Paused)),
        Resume => Some((4, State::Running)),
        Delete { .. } | Inspect => None,
    };
    Done {
        report: state.map(|(generation, state)| report(generation, state)),
        inspection: None,
    }
}

impl Runtime for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn perform(&self, effect: Effect, abort: CancellationToken) -> BoxFuture<'_, Result<Done, RuntimeError>> {
        (self.performs)(effect, abort)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, RuntimeError>> {
        Box::pin(std::future::ready((self.lists)()))
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        (self.settles)()
    }

    fn observations(&self) -> BoxStream<'static, Observation> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.observers.lock().expect("observers").push(sender);
        stream::unfold(receiver, |mut receiver| async {
            let observation = receiver.recv().await?;
            Some((observation, receiver))
        })
        .boxed()
    }
}

/// A runtime that has nothing but events, made by a closure.
pub(crate) struct Events<F>(pub(crate) F);

impl<F: Fn() -> EventStream + Send + Sync + 'static> Runtime for Events<F> {
    fn name(&self) -> &'static str {
        "eventful"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn perform(&self, _: Effect, _: CancellationToken) -> BoxFuture<'_, Result<Done, RuntimeError>> {
        Box::pin(std::future::pending())
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, RuntimeError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn observations(&self) -> BoxStream<'static, Observation> {
        stream::pending().boxed()
    }

    fn events(&self, _: EventOptions) -> BoxFuture<'_, Result<EventStream, RuntimeError>> {
        Box::pin(std::future::ready(Ok((self.0)())))
    }
}

pub(crate) fn id(number: u8) -> ContainerId {
    ContainerId::from_bytes([number; 16])
}
