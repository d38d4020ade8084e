//! Answers that nobody hears: what they made is undone, which nobody waits for but a close.

mod support;

use selur_core::{Bridge, Command, CreateOptions, Deletion, Status};
use selur_runtime::Operation;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{becomes_free, create, frame, simulated};
use tokio::sync::Notify;

#[test]
fn what_an_abandoned_answer_made_is_undone() {
    let bridge = simulated();
    let creates = create("nginx", "web");
    let created = bridge.call(&creates).expect("called");
    // Whoever lists them may have started it.
    bridge.start_container("web").expect("started");
    bridge.abandon(&creates, &created);
    becomes_free(&bridge, "web");
    bridge.start_container("web").expect("started");

    let runs = frame(Command::Exec, &["web", r#"{"command":["cat"],"stdin":true}"#]);
    let running = bridge.call(&runs).expect("called");
    let stream = String::from_utf8_lossy(running.data())
        .parse()
        .expect("a stream's id");
    bridge.abandon(&runs, &running);
    let error = bridge.take_stream(stream).expect_err("it is closed");
    assert_eq!(error.status(), Status::InvalidRequest);

    // Nothing that was there before, nothing of a failure, and nothing twice.
    let inspects = frame(Command::InspectContainer, &["web"]);
    for request in [
        &frame(Command::StartContainer, &["web"]),
        &inspects,
        &create("nginx", "web"),
        &runs[..1].to_vec(),
        &Vec::new(),
    ] {
        let response = bridge.call(request).expect("called");
        bridge.abandon(request, &response);
    }
    bridge.abandon(&runs, &running);
    bridge.abandon(&creates, &created);
    let listed = bridge.call(&frame(Command::ListContainers, &[])).expect("called");
    // The id of another command's answer is none that this one made.
    bridge.abandon(&frame(Command::ListContainers, &[]), &listed);
    assert_eq!(
        bridge.inspect_container("web").expect("it is there").state,
        "running"
    );
}

#[test]
fn what_an_answer_made_that_nobody_took_is_undone() {
    let bridge = simulated();
    for _ in 0..100 {
        let ticket = bridge.submit(&create("nginx", "web")).expect("submitted");
        support::until("it is answered", || ticket.is_answered());
        drop(ticket);
        becomes_free(&bridge, "web");
        // At whatever moment.
        let inspected = bridge.inspect_container("web").expect("it is there").id;
        bridge
            .delete_container(&inspected, Deletion::Plain)
            .expect("deleted");
        drop(bridge.submit(&create("nginx", "web")).expect("submitted"));
        becomes_free(&bridge, "web");
        bridge.delete_container("web", Deletion::Plain).expect("deleted");
    }
    // What was taken stays.
    let ticket = bridge.submit(&create("nginx", "web")).expect("submitted");
    assert_eq!(ticket.wait().status(), Status::Success);
    bridge.start_container("web").expect("started");

    let ticket = bridge.submit(&frame(Command::Events, &[])).expect("submitted");
    support::until("it is answered", || ticket.is_answered());
    drop(ticket);
    let error = bridge.take_stream(1).expect_err("it is closed");
    assert_eq!(error.status(), Status::InvalidRequest);
}

/// A runtime whose stops end when they are told to, and whose deletions when they are let go.
struct Deleting {
    bridge: Bridge,
    may_delete: Arc<Notify>,
    /// Whether one was told to end early.
    was_aborted: Arc<AtomicBool>,
    deleted: Arc<AtomicBool>,
}

fn deleting() -> Deleting {
    let may_delete = Arc::new(Notify::new());
    let was_aborted = Arc::new(AtomicBool::new(false));
    let deleted = Arc::new(AtomicBool::new(false));
    let runtime = support::Scripted::performing({
        let (may_delete, was_aborted, deleted) = (may_delete.clone(), was_aborted.clone(), deleted.clone());
        move |effect, abort| {
            let (may_delete, was_aborted, deleted) =
                (may_delete.clone(), was_aborted.clone(), deleted.clone());
            Box::pin(async move {
                match effect.operation {
                    Operation::Stop { .. } => abort.cancelled().await,
                    Operation::Delete { .. } => {
                        may_delete.notified().await;
                        was_aborted.store(abort.is_cancelled(), Ordering::SeqCst);
                        deleted.store(true, Ordering::SeqCst);
                    }
                    _ => {}
                }
                Ok(support::obey(&effect))
            })
        }
    });
    Deleting {
        bridge: support::over(Arc::new(runtime)),
        may_delete,
        was_aborted,
        deleted,
    }
}

impl Deleting {
    /// Closes the bridge, lets deletions go once it closes, and sees that this waited for the one there is.
    fn closes_after_a_deletion(self) {
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| self.bridge.close());
            support::until("it closes", || self.bridge.ping("").is_err());
            assert!(!closing.is_finished(), "it did not wait");
            self.may_delete.notify_one();
        });
        assert!(self.deleted.load(Ordering::SeqCst));
        assert!(!self.was_aborted.load(Ordering::SeqCst));
    }
}

#[test]
fn nobody_waits_for_what_is_undone_but_a_close() {
    let script = deleting();
    let creates = create("nginx", "web");
    let created = script.bridge.call(&creates).expect("called");
    script.bridge.abandon(&creates, &created);
    // It returned, and the deletion does not end.
    let error = script
        .bridge
        .with_deadline(Some(Duration::from_millis(1)))
        .delete_container("web", Deletion::Force)
        .expect_err("it is being deleted");
    assert_eq!(error.status(), Status::Timeout);
    let second = script.bridge.clone();
    script.closes_after_a_deletion();
    // There is nobody any more who could delete it.
    second.abandon(&creates, &created);
}

#[test]
fn what_is_undone_waits_for_a_ticket_even_in_a_close() {
    let script = deleting();
    let creates = create("nginx", "web");
    let created = script.bridge.call(&creates).expect("called");
    script
        .bridge
        .create_container(CreateOptions::new("nginx").name("other"))
        .expect("created");
    script.bridge.start_container("other").expect("started");
    // All tickets there are, with those that are kept for what ends containers.
    let stops = frame(Command::StopContainer, &["other"]);
    let submit = |_| script.bridge.submit(&stops).expect("submitted");
    let stopping: Vec<_> = (0..4_096).map(submit).collect();
    script.bridge.abandon(&creates, &created);
    assert!(stopping.iter().all(|ticket| !ticket.is_answered()));
    script.closes_after_a_deletion();
    for ticket in stopping {
        assert_eq!(ticket.wait().status(), Status::Cancelled);
    }
}
