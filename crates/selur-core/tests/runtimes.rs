//! Runtimes that panic, fail, call back, or are changed by others.

mod support;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use selur_core::{
    Bridge, Command, CreateOptions, Deletion, ExecSpec, LogOptions, Runtime, SessionItem, Signal, Status,
    Ticket,
};
use selur_protocol::State;
use selur_runtime::{Done, Effect, Observation, Operation, RuntimeError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Poll;
use support::{PATIENCE, Scripted, frame, id, obey, over, report, until};
use tokio_util::sync::CancellationToken;

#[test]
fn a_panic_in_the_runtime_is_an_internal_error_of_that_request() {
    let bridge = over(Arc::new(Scripted::performing(|effect, _| {
        match effect.operation {
            Operation::Start => panic!("out of cheese"),
            Operation::Stop { .. } => Box::pin(async { panic!("out of {}", "time") }),
            _ => Box::pin(std::future::ready(Ok(obey(&effect)))),
        }
    })));
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    let error = bridge.start_container("web").expect_err("it panics");
    assert_eq!(error.status(), Status::InternalError);
    assert!(
        error
            .message()
            .contains("the scripted backend panicked: out of cheese"),
        "{error}"
    );
    bridge
        .delete_container("web", Deletion::Plain)
        .expect("the bridge goes on");
}

#[test]
fn the_causes_of_a_failure_reach_the_caller() {
    let bridge = over(Arc::new(Scripted::performing(|_, _| {
        let cause = std::io::Error::other("no space left");
        let error =
            RuntimeError::with_source(Status::ResourceExhausted, "the layer cannot be written", cause);
        Box::pin(std::future::ready(Err(error)))
    })));
    let error = bridge.create_container("nginx").expect_err("it fails");
    assert_eq!(error.status(), Status::ResourceExhausted);
    assert_eq!(error.message(), "the layer cannot be written: no space left");
    assert!(bridge.list_containers().expect("listed").is_empty());
}

#[test]
fn an_inspect_without_a_document_is_an_internal_error() {
    let bridge = over(Arc::new(Scripted::obedient()));
    let id = bridge.create_container("nginx").expect("created").to_string();
    let error = bridge.inspect_container(&id).expect_err("there is no document");
    assert_eq!(error.status(), Status::InternalError);
    assert!(error.message().contains("no inspect document"), "{error}");
}

/// Runs a closure on one of the bridge's own threads, as part of a create.
fn within_an_effect<R: Send + 'static>(
    act: impl FnOnce(Bridge) -> R + Send + 'static,
) -> (R, selur_core::Ticket) {
    let holder: Arc<Mutex<Option<Bridge>>> = Arc::default();
    let (sender, receiver) = std::sync::mpsc::channel();
    let act = Mutex::new(Some((act, sender)));
    let held = holder.clone();
    let bridge = over(Arc::new(Scripted::performing(move |effect, _| {
        if let Some((act, sender)) = act.lock().expect("the act").take() {
            let bridge = loop {
                if let Some(bridge) = held.lock().expect("the holder").take() {
                    break bridge;
                }
                std::thread::yield_now();
            };
            sender.send(act(bridge)).expect("somebody listens");
        }
        Box::pin(std::future::ready(Ok(obey(&effect))))
    })));
    let ticket = bridge
        .submit(&frame(Command::CreateContainer, &["nginx"]))
        .expect("submitted");
    *holder.lock().expect("the holder") = Some(bridge);
    (receiver.recv_timeout(PATIENCE).expect("the act ends"), ticket)
}

#[test]
fn dropping_the_bridge_on_its_own_thread_does_not_deadlock() {
    let ((), mut ticket) = within_an_effect(drop);
    let response = ticket.wait_for(PATIENCE).expect("an answer");
    assert_eq!(response.status(), Status::Cancelled);
}

#[test]
fn closing_the_bridge_on_its_own_thread_does_not_deadlock() {
    let ((), mut ticket) = within_an_effect(|bridge| {
        bridge.close();
        bridge.close();
    });
    let response = ticket.wait_for(PATIENCE).expect("an answer");
    assert_eq!(response.status(), Status::Cancelled);
}

#[test]
fn waiting_for_the_bridge_on_its_own_thread_is_refused() {
    let (results, _ticket) = within_an_effect(|bridge| {
        let blocked = bridge.create_container("nginx").map(drop);
        let listed = bridge.list_images().map(drop);
        let pinged = bridge.ping("hi");
        (blocked, listed, pinged)
    });
    let (blocked, listed, pinged) = results;
    assert!(listed.is_err(), "it would never end");
    let error = blocked.expect_err("it would never end");
    assert_eq!(error.status(), Status::InvalidRequest);
    assert!(error.message().contains("own thread"), "{error}");
    assert_eq!(pinged.expect("a ping waits for nothing"), "hi");
}

#[test]
fn waiting_for_a_stream_on_a_bridges_own_thread_is_refused() {
    let other = support::simulated();
    let container = other.create_container("nginx").expect("created").to_string();
    other.start_container(&container).expect("started");
    let spec = ExecSpec {
        stdin: true,
        ..ExecSpec::new(["sleep"])
    };
    let mut session = other.exec(&container, &spec).expect("exec");
    let ((read, written, output), _ticket) = within_an_effect(move |_bridge| {
        let read = session.output.wait_next();
        let written = (0..100).try_for_each(|_| session.input.write(b"more than is held"));
        (read, written, session.output)
    });
    let read = read.expect("it goes on").expect_err("it would never end");
    let written = written.expect_err("it would never end");
    for error in [read, written] {
        assert_eq!(error.status(), Status::InvalidRequest);
        assert!(error.message().contains("own thread"), "{error}");
    }
    other.kill_container(&container, Signal::KILL).expect("killed");
    let end = output.into_iter().next().expect("it went on").expect("an end");
    assert!(matches!(end, SessionItem::Ended { .. }), "{end:?}");
}

/// A runtime that others change: what its listing shows is set by the test.
fn shared(world: Arc<Mutex<Vec<Observation>>>) -> (Arc<Scripted>, Arc<AtomicUsize>) {
    let listings = Arc::new(AtomicUsize::new(0));
    let counted = listings.clone();
    let runtime = Arc::new(Scripted {
        is_shared: true,
        lists: Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(world.lock().expect("the world").clone())
        }),
        ..Scripted::obedient()
    });
    (runtime, listings)
}

fn seen(number: u8, name: &str, state: State) -> Observation {
    Observation::Seen {
        id: id(number),
        name: Some(name.into()),
        report: report(5, state),
    }
}

#[test]
fn what_others_make_and_delete_is_seen_by_a_list_and_by_a_failed_lookup() {
    let world: Arc<Mutex<Vec<Observation>>> = Arc::default();
    let (runtime, _) = shared(world.clone());
    let bridge = over(runtime);
    assert!(bridge.list_containers().expect("listed").is_empty());
    world
        .lock()
        .expect("the world")
        .push(seen(1, "web", State::Created));
    bridge.start_container("web").expect("it is found");
    world
        .lock()
        .expect("the world")
        .push(seen(2, "db", State::Running));
    assert_eq!(bridge.list_containers().expect("listed"), [id(1), id(2)]);
    world.lock().expect("the world").remove(0);
    assert_eq!(bridge.list_containers().expect("listed"), [id(2)]);
    let error = bridge.start_container("web").expect_err("it is gone");
    assert_eq!(error.status(), Status::ContainerNotFound);
}

#[test]
fn a_state_that_others_changed_is_looked_up_before_a_refusal() {
    let world = Arc::new(Mutex::new(vec![seen(1, "web", State::Running)]));
    let (runtime, _) = shared(world.clone());
    let bridge = over(runtime);
    let error = bridge
        .delete_container("web", Deletion::Plain)
        .expect_err("it runs");
    assert_eq!(error.status(), Status::InvalidState);
    let mut stopped = report(6, State::Stopped);
    stopped.exit_code = Some(0);
    world.lock().expect("the world")[0] = Observation::Seen {
        id: id(1),
        name: Some("web".into()),
        report: stopped,
    };
    bridge
        .delete_container("web", Deletion::Plain)
        .expect("it has ended");
}

#[test]
fn a_name_that_others_gave_to_another_container_is_found_at_once() {
    let world = Arc::new(Mutex::new(vec![seen(1, "web", State::Running)]));
    let (runtime, _) = shared(world.clone());
    let bridge = over(runtime);
    assert_eq!(bridge.list_containers().expect("listed"), [id(1)]);
    world.lock().expect("the world")[0] = seen(2, "web", State::Stopped);
    // Refused for the one that ran, which makes the bridge look again.
    bridge
        .delete_container("web", Deletion::Plain)
        .expect("this one has ended");
}

#[test]
fn a_container_that_one_listing_left_out_is_back_with_the_next() {
    let world = Arc::new(Mutex::new(vec![seen(1, "web", State::Running)]));
    let (runtime, _) = shared(world.clone());
    let bridge = over(runtime);
    assert_eq!(bridge.list_containers().expect("listed"), [id(1)]);
    let left_out = std::mem::take(&mut *world.lock().expect("the world"));
    assert!(bridge.list_containers().expect("listed").is_empty());
    *world.lock().expect("the world") = left_out;
    assert_eq!(bridge.list_containers().expect("listed"), [id(1)]);
}

#[test]
fn what_this_bridge_deleted_is_not_brought_back_by_what_was_seen_before() {
    let world = Arc::new(Mutex::new(vec![seen(1, "web", State::Stopped)]));
    let (runtime, listings) = shared(world);
    let bridge = over(runtime.clone());
    bridge.delete_container("web", Deletion::Plain).expect("deleted");
    // A listing that still shows it, and an observation that was on its way.
    runtime.observe(seen(1, "web", State::Stopped));
    assert!(bridge.list_containers().expect("listed").is_empty());
    assert!(listings.load(Ordering::SeqCst) >= 2);
}

#[test]
fn observations_reach_the_kernel_as_they_come() {
    let runtime = Arc::new(Scripted::obedient());
    let bridge = over(runtime.clone());
    let container = bridge.create_container("nginx").expect("created").to_string();
    bridge.start_container(&container).expect("started");
    let mut wait = bridge
        .submit(&frame(Command::WaitContainer, &[&container]))
        .expect("submitted");
    let mut ended = report(9, State::Stopped);
    ended.exit_code = Some(3);
    runtime.observe(Observation::Seen {
        id: bridge.list_containers().expect("listed")[0],
        name: None,
        report: ended,
    });
    assert_eq!(wait.wait_for(PATIENCE).expect("an answer").data(), b"3");
    runtime.observe(Observation::Gone {
        id: bridge.list_containers().expect("listed")[0],
    });
    until("it is gone", || {
        bridge.list_containers().expect("listed").is_empty()
    });
}

#[test]
fn a_listing_that_fails_is_told_and_tried_again() {
    let fails = Arc::new(AtomicUsize::new(1));
    let counted = fails.clone();
    let bridge = over(Arc::new(Scripted {
        lists: Box::new(move || match counted.fetch_sub(1, Ordering::SeqCst) {
            1 => Err(RuntimeError::new(
                Status::PermissionDenied,
                "the state folder is closed",
            )),
            _ => Ok(vec![seen(1, "web", State::Created)]),
        }),
        ..Scripted::obedient()
    }));
    let error = bridge.start_container("web").expect_err("it cannot be listed");
    assert_eq!(error.status(), Status::PermissionDenied);
    assert_eq!(
        error.message(),
        "the containers cannot be listed: the state folder is closed"
    );
    bridge.start_container("web").expect("it is listed now");
}

#[test]
fn what_came_during_the_first_listing_is_not_overtaken_by_what_comes_after_it() {
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let bridge = over(Arc::new(Scripted {
        lists: Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            // Goes on when the test says so, or has ended.
            let _ = gate.lock().expect("the gate").recv();
            Ok(Vec::new())
        }),
        ..Scripted::obedient()
    }));
    let submit = |command, fields: &[&str]| bridge.submit(&frame(command, fields)).expect("submitted");
    let mut create = submit(Command::CreateContainer, &["nginx", "web"]);
    until("the first listing", || begun.load(Ordering::SeqCst) == 1);
    let mut start = submit(Command::StartContainer, &["web"]);
    let_go.send(()).expect("the runtime waits");
    // There is no further listing before the test ends: whatever were to wait for one would be overtaken.
    for ticket in [&mut create, &mut start] {
        let response = ticket.wait_for(PATIENCE).expect("an answer");
        assert_eq!(response.status(), Status::Success);
    }
    let mut stop = submit(Command::StopContainer, &["web"]);
    let response = stop.wait_for(PATIENCE).expect("an answer");
    assert_eq!(response.status(), Status::Success);
    drop(let_go);
}

/// A bridge with the running containers web and db, whose listings wait from now on; what lets one go, and their number.
fn gated() -> (Bridge, std::sync::mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let bridge = over(Arc::new(Scripted {
        is_shared: true,
        lists: Box::new(move || {
            if counted.fetch_add(1, Ordering::SeqCst) > 0 {
                let _ = gate.lock().expect("the gate").recv();
            }
            Ok(vec![
                seen(1, "web", State::Running),
                seen(2, "db", State::Running),
            ])
        }),
        ..Scripted::obedient()
    }));
    assert_eq!(bridge.list_containers().expect("listed").len(), 2);
    (bridge, let_go, begun)
}

fn answer(ticket: &mut Ticket) -> Status {
    ticket.wait_for(PATIENCE).expect("an answer").status()
}

#[test]
fn what_is_judged_once_more_is_so_before_what_came_after_it() {
    let (bridge, let_go, begun) = gated();
    let submit = |command, name| bridge.submit(&frame(command, &[name])).expect("submitted");
    let mut delete = submit(Command::DeleteContainer, "web");
    until("the second listing", || begun.load(Ordering::SeqCst) == 2);
    let mut stop = submit(Command::StopContainer, "web");
    let mut start = submit(Command::StartContainer, "web");
    // Another container does not wait for that.
    assert_eq!(answer(&mut submit(Command::StopContainer, "db")), Status::Success);
    assert!(!stop.is_answered() && !start.is_answered());
    let_go.send(()).expect("the runtime waits");
    assert_eq!(answer(&mut delete), Status::InvalidState);
    assert_eq!(answer(&mut stop), Status::Success);
    assert_eq!(answer(&mut start), Status::Success);
}

#[test]
fn nobody_overtakes_what_waited_behind_a_request_that_was_given_up() {
    let (bridge, let_go, begun) = gated();
    let submit = |command, name| bridge.submit(&frame(command, &[name])).expect("submitted");
    let mut delete = submit(Command::DeleteContainer, "web");
    until("the second listing", || begun.load(Ordering::SeqCst) == 2);
    let mut stop = submit(Command::StopContainer, "web");
    delete.cancel();
    assert_eq!(answer(&mut delete), Status::Cancelled);
    let mut start = submit(Command::StartContainer, "web");
    assert!(!start.is_answered(), "the stop comes first");
    let_go.send(()).expect("the runtime waits");
    assert_eq!(answer(&mut stop), Status::Success);
    assert_eq!(answer(&mut start), Status::Success);
}

/// A runtime whose observations panic: the first time when they are asked for, the second when they come.
struct Blind(Scripted, AtomicUsize);

impl Runtime for Blind {
    fn name(&self) -> &'static str {
        "blind"
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn perform(&self, effect: Effect, abort: CancellationToken) -> BoxFuture<'_, Result<Done, RuntimeError>> {
        self.0.perform(effect, abort)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Observation>, RuntimeError>> {
        self.0.list()
    }

    fn observations(&self) -> BoxStream<'static, Observation> {
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("out of cheese"),
            1 => Box::pin(futures_util::stream::poll_fn(|_| -> Poll<Option<Observation>> {
                panic!("out of time")
            })),
            _ => self.0.observations(),
        }
    }
}

#[test]
fn a_panic_of_the_observations_holds_nobody_up_and_they_are_asked_for_again() {
    let runtime = Arc::new(Blind(Scripted::obedient(), AtomicUsize::new(0)));
    let bridge = over(runtime.clone());
    let list = frame(Command::ListContainers, &[]);
    let mut first = bridge.submit(&list).expect("submitted");
    let first = first.wait_for(PATIENCE).expect("an answer");
    assert_eq!(first.status(), Status::InternalError);
    let words = first.message().expect("a message");
    assert!(
        words.contains("the blind backend panicked: out of cheese"),
        "{words}"
    );
    until("somebody follows", || {
        bridge.list_containers().expect("listed");
        !runtime.0.observers.lock().expect("observers").is_empty()
    });
}

#[test]
fn a_log_ends_when_the_bridge_is_closed() {
    let bridge = support::simulated();
    let id = bridge.create_container("nginx").expect("created").to_string();
    bridge.start_container(&id).expect("started");
    let logs = || bridge.logs(&id, &LogOptions::default()).expect("a log");
    let readers: Vec<_> = (0..64).map(|_| logs()).collect();
    assert!(logs().wait_next().is_some());
    bridge.close();
    for mut reader in readers {
        assert!(reader.wait_next().is_none());
    }
}

#[test]
fn what_is_about_no_container_lists_nothing() {
    let (runtime, listings) = shared(Arc::default());
    let bridge = over(runtime);
    for _ in 0..10 {
        bridge.ping("hi").expect("answered");
        bridge.list_images().expect_err("it has no images");
        bridge.start_container("").expect_err("no container is meant");
    }
    assert_eq!(listings.load(Ordering::SeqCst), 0);
}

#[test]
fn an_abort_reaches_the_effect_and_its_end_is_not_lost() {
    let aborted = Arc::new(AtomicUsize::new(0));
    let counted = aborted.clone();
    let bridge = over(Arc::new(Scripted::performing(move |effect, abort| {
        let counted = counted.clone();
        Box::pin(async move {
            if effect.operation == Operation::Start {
                abort.cancelled().await;
                counted.fetch_add(1, Ordering::SeqCst);
                return Err(RuntimeError::new(Status::Cancelled, "aborted"));
            }
            Ok::<Done, RuntimeError>(obey(&effect))
        })
    })));
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    let start = bridge
        .submit(&frame(Command::StartContainer, &["web"]))
        .expect("submitted");
    start.cancel();
    assert_eq!(start.wait().status(), Status::Cancelled);
    until("the abort", || aborted.load(Ordering::SeqCst) == 1);
    bridge.delete_container("web", Deletion::Plain).expect("deleted");
}

#[test]
fn a_waker_may_use_the_bridge() {
    struct Waker(OnceLock<Bridge>, AtomicUsize);
    impl std::task::Wake for Waker {
        fn wake(self: Arc<Self>) {
            let bridge = self.0.get().expect("the bridge");
            assert_eq!(bridge.ping("hi").expect("answered"), "hi");
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    let bridge = support::simulated();
    let waker = Arc::new(Waker(OnceLock::new(), AtomicUsize::new(0)));
    waker.0.set(bridge.clone()).expect("set once");
    let mut ticket = bridge
        .submit(&frame(Command::CreateContainer, &["fault.test/hang:create"]))
        .expect("submitted");
    let task = waker.clone().into();
    let mut context = std::task::Context::from_waker(&task);
    assert!(std::pin::Pin::new(&mut ticket).poll(&mut context).is_pending());
    ticket.cancel();
    until("the wake", || waker.1.load(Ordering::SeqCst) == 1);
    assert_eq!(ticket.wait().status(), Status::Cancelled);
    let weak: Weak<Waker> = Arc::downgrade(&waker);
    drop((task, waker));
    assert!(
        weak.upgrade().is_none(),
        "a waker is kept no longer than its ticket"
    );
}
