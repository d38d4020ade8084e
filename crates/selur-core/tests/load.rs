//! Much at once: nothing is lost.

mod support;

use selur_core::{Command, CreateOptions, Deletion, Status};
use selur_runtime::Operation;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use support::{PATIENCE, Scripted, frame, obey, over, simulated};

#[test]
fn a_thousand_containers_from_eight_threads_lose_no_answer() {
    let bridge = simulated();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|maker| {
                let bridge = bridge.clone();
                scope.spawn(move || {
                    (0..125)
                        .map(|number| {
                            let options = CreateOptions::new("nginx").name(format!("c{maker}-{number}"));
                            let id = bridge.create_container(options).expect("created").to_string();
                            bridge.start_container(&id).expect("started");
                            id
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        makers
            .into_iter()
            .flat_map(|maker| maker.join().expect("a maker"))
            .collect()
    });
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), 1_000);
    let listed = bridge.list_containers().expect("listed");
    assert_eq!(listed.len(), 1_000);
    for id in ids {
        bridge.delete_container(&id, Deletion::Force).expect("deleted");
    }
    assert!(bridge.list_containers().expect("listed").is_empty());
}

#[test]
fn twelve_thousand_effects_that_cannot_begin_end_one_after_another() {
    let bridge = over(Arc::new(Scripted::performing(|effect, abort| {
        Box::pin(async move {
            if effect.operation == Operation::Start {
                abort.cancelled().await;
            }
            Ok(obey(&effect))
        })
    })));
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    // All tickets but those that are kept for what ends containers.
    let start = frame(Command::StartContainer, &["web"]);
    let starts: Vec<_> = (0..4_096 - 64)
        .map(|_| bridge.submit(&start).expect("submitted"))
        .collect();
    let nonsense = frame(Command::CreateContainer, &["nginx", "", r#"{"nonsense":1}"#]);
    let creates: Vec<_> = (0..12_000)
        .map(|_| bridge.submit(&nonsense).expect("submitted"))
        .collect();
    assert!(creates.iter().all(|create| !create.is_answered()));
    // One ticket is free, which each takes and gives back.
    starts[1].cancel();
    for mut create in creates {
        let response = create.wait_for(PATIENCE).expect("an answer");
        assert_eq!(response.status(), Status::InvalidRequest);
    }
}

#[test]
fn a_stop_is_answered_beside_two_hundred_open_waits() {
    let bridge = simulated();
    let id = bridge.create_container("nginx").expect("created").to_string();
    bridge.start_container(&id).expect("started");
    let wait = frame(Command::WaitContainer, &[&id]);
    let waits: Vec<_> = (0..200)
        .map(|_| bridge.submit(&wait).expect("submitted"))
        .collect();
    assert!(waits.iter().all(|wait| !wait.is_answered()));
    bridge.stop_container(&id, None).expect("stopped");
    for mut wait in waits {
        let response = wait.wait_for(PATIENCE).expect("an answer");
        assert_eq!(
            (response.status(), response.data()),
            (Status::Success, &b"143"[..])
        );
    }
}

#[test]
fn more_calls_than_tickets_are_all_answered() {
    let bridge = simulated();
    let options = CreateOptions::new("fault.test/hang:start").name("stuck");
    bridge.create_container(options).expect("created");
    let start = frame(Command::StartContainer, &["stuck"]);
    let starts: Vec<_> = (0..6_000)
        .map(|_| bridge.submit(&start).expect("submitted"))
        .collect();
    assert!(starts.iter().all(|start| !start.is_answered()));
    // It has tickets of its own, and ends the start that everything waits for.
    bridge
        .delete_container("stuck", Deletion::Force)
        .expect("deleted");
    for mut start in starts {
        let response = start.wait_for(PATIENCE).expect("an answer");
        assert!(
            matches!(response.status(), Status::Cancelled | Status::ContainerNotFound),
            "{response:?}"
        );
    }
    assert_eq!(bridge.ping("still here").expect("answered"), "still here");
}

#[test]
fn a_waiting_call_goes_on_when_what_was_given_up_has_ended() {
    let (open, gate) = tokio::sync::watch::channel(false);
    let bridge = over(Arc::new(Scripted::performing(move |effect, _| {
        let mut gate = gate.clone();
        Box::pin(async move {
            if effect.operation == Operation::Inspect {
                let _ = gate.wait_for(|is_open| *is_open).await;
            }
            Ok(obey(&effect))
        })
    })));
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    let inspect = frame(Command::InspectContainer, &["web"]);
    let given_up: Vec<_> = (0..4_096)
        .map(|_| bridge.submit(&inspect).expect("submitted"))
        .collect();
    let mut waiting = bridge
        .submit(&frame(Command::StartContainer, &["web"]))
        .expect("submitted");
    given_up.iter().for_each(selur_core::Ticket::cancel);
    for inspect in given_up {
        assert_eq!(inspect.wait().status(), Status::Cancelled);
    }
    // All are answered, but their effects run on and hold every ticket.
    assert!(!waiting.is_answered());
    open.send_replace(true);
    let response = waiting.wait_for(PATIENCE).expect("an answer");
    assert_eq!(response.status(), Status::Success);
}

#[test]
fn waiting_calls_keep_their_deadlines_and_their_order() {
    let bridge = simulated();
    bridge
        .create_container(CreateOptions::new("fault.test/hang:start").name("stuck"))
        .expect("created");
    bridge
        .create_container(CreateOptions::new("nginx").name("free"))
        .expect("created");
    let start = frame(Command::StartContainer, &["stuck"]);
    let filling: Vec<_> = (0..4_096)
        .map(|_| bridge.submit(&start).expect("submitted"))
        .collect();
    // These stand behind the ones above, although their container is free.
    let hasty = bridge.with_deadline(Some(Duration::from_millis(50)));
    let overdue = hasty.start_container("free").expect_err("no ticket is free");
    assert_eq!(overdue.status(), Status::Timeout);
    let mut patient = bridge
        .submit(&frame(Command::StartContainer, &["free"]))
        .expect("submitted");
    let given_up = bridge
        .submit(&frame(Command::PauseContainer, &["free"]))
        .expect("submitted");
    given_up.cancel();
    assert_eq!(given_up.wait().status(), Status::Cancelled);
    assert!(!patient.is_answered());
    drop(filling);
    assert_eq!(
        patient.wait_for(PATIENCE).expect("an answer").status(),
        Status::Success
    );
    assert_eq!(
        bridge.inspect_container("free").expect("inspected").state,
        "running"
    );
}

#[test]
fn calls_beyond_the_waiting_line_are_refused() {
    let bridge = simulated();
    bridge
        .create_container(CreateOptions::new("fault.test/hang:start").name("stuck"))
        .expect("created");
    let start = frame(Command::StartContainer, &["stuck"]);
    let mut refused = None;
    let mut open = Vec::new();
    for _ in 0..(4_096 + 16_384 + 1) {
        let mut ticket = bridge.submit(&start).expect("submitted");
        if ticket.is_answered() {
            refused = ticket.wait_for(PATIENCE);
            break;
        }
        open.push(ticket);
    }
    assert_eq!(refused.expect("a refusal").status(), Status::ResourceExhausted);
    assert!(open.len() >= 16_384, "only {} were taken", open.len());
    bridge
        .delete_container("stuck", Deletion::Force)
        .expect("deleted");
    for mut ticket in open {
        assert!(ticket.wait_for(PATIENCE).is_some());
    }
}
