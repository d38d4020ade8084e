//! How streams end that somebody closes while they are read, or that nobody reads.

mod support;

use futures_util::StreamExt;
use selur_core::{Bridge, Command, EventOptions, Status};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use support::{Events, over, simulated, until};
use tokio::sync::Notify;

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        // What ends something by a task needs the threads of its bridge.
        let has_threads = tokio::runtime::Handle::try_current().is_ok();
        self.0.fetch_add(usize::from(has_threads), Ordering::SeqCst);
    }
}

/// A bridge whose events never come, and how many streams of them have ended.
fn silent() -> (Bridge, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = ended.clone();
    let events = Events(move || {
        let counted = Counted(counted.clone());
        let never = move |_: &mut Context<'_>| {
            let _ = &counted;
            Poll::Pending
        };
        futures_util::stream::poll_fn(never).boxed()
    });
    (over(Arc::new(events)), ended)
}

#[test]
fn a_reader_that_is_closed_ends_what_it_reads() {
    let (bridge, ended) = silent();
    let reader = bridge.open_reader(Command::Events, &[]).expect("events");
    reader.next_to_queue().expect("begun");
    reader.close();
    until("it has ended", || ended.load(Ordering::SeqCst) == 1);

    let reader = bridge.open_reader(Command::Events, &[]).expect("events");
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| reader.next().expect_err("it is closed").status());
        until("it is read", || reader.next_for(Duration::ZERO).is_err());
        reader.close();
        assert_eq!(reading.join().expect("the reader"), Status::Cancelled);
    });
    assert_eq!(ended.load(Ordering::SeqCst), 2);
}

#[test]
fn a_bridge_that_is_closed_ends_streams_that_nobody_reads() {
    let (bridge, ended) = silent();
    let stream = bridge.events(EventOptions::default()).expect("events");
    let reader = bridge.open_reader(Command::Events, &[]).expect("events");
    let untaken = bridge.request(Command::Events, &[]).expect("the id of a stream");
    let gone = bridge.events(EventOptions::default()).expect("events");
    drop(gone);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    bridge.close();
    assert_eq!(ended.load(Ordering::SeqCst), 4);
    drop((stream, reader, untaken));
    assert_eq!(ended.load(Ordering::SeqCst), 4);
}

#[test]
fn a_bridge_that_is_closed_waits_for_what_its_runtime_still_does() {
    let (may_settle, settled) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let runtime = {
        let (may_settle, settled) = (may_settle.clone(), settled.clone());
        support::Scripted {
            settles: Box::new(move || {
                let (may_settle, settled) = (may_settle.clone(), settled.clone());
                Box::pin(async move {
                    may_settle.notified().await;
                    settled.store(1, Ordering::SeqCst);
                })
            }),
            ..support::Scripted::obedient()
        }
    };
    let bridge = over(Arc::new(runtime));
    bridge.create_container("nginx").expect("created");
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| bridge.close());
        until("it closes", || bridge.ping("").is_err());
        assert!(!closing.is_finished(), "it did not wait");
        may_settle.notify_one();
    });
    assert_eq!(settled.load(Ordering::SeqCst), 1);
}

#[test]
fn a_transfer_that_a_frame_began_is_given_up_at_its_deadline() {
    let bridge = simulated().with_deadline(Some(Duration::from_millis(50)));
    let fields = ["fault.test/hang:pull", r#"{"progress":true}"#];
    let reader = bridge.open_reader(Command::PullImage, &fields).expect("begun");
    let error = loop {
        if let Err(error) = reader.next() {
            break error;
        }
    };
    assert_eq!(error.status(), Status::Timeout);
}
