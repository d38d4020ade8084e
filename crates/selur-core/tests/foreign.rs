//! What hosts of other languages use: addresses of slots, slots that are answered by the queue, streams in one shape.

mod support;

use selur_core::{Bridge, Command, Completion, Exchanged, Item, ItemKind, Reader, Slot, Status, Submission};
use std::time::Duration;
use support::{frame, simulated};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

fn written(bridge: &Bridge, frame: &[u8]) -> Slot {
    let mut slot = bridge.reserve(frame.len()).expect("a slot");
    slot.write_at(0, frame).expect("written");
    slot
}

fn next_completion(bridge: &Bridge) -> Completion {
    assert!(bridge.completions().wait(PATIENCE), "no answer came");
    bridge.completions().drain(1).remove(0)
}

fn running(bridge: &Bridge) {
    let created = bridge
        .request(Command::CreateContainer, &["nginx", "web"])
        .expect("created");
    assert_eq!(created.len(), 32);
    bridge.start_container("web").expect("started");
}

fn cat(bridge: &Bridge) -> Reader {
    let spec = r#"{"command":["cat"],"stdin":true}"#;
    bridge.open_reader(Command::Exec, &["web", spec]).expect("opened")
}

#[test]
fn slots_lie_apart_from_each_other_within_the_arena() {
    let bridge = simulated();
    let arena = bridge.arena().expect("an arena");
    let slots: Vec<Slot> = (1..20)
        .map(|bytes| bridge.reserve(bytes * 300).expect("a slot"))
        .collect();
    let mut places: Vec<_> = slots
        .iter()
        .map(|slot| (slot.address(), slot.capacity()))
        .collect();
    places.sort_unstable();
    let mut end = arena.address();
    for (address, bytes) in places {
        assert!(address >= end, "two slots overlap");
        end = address + bytes;
    }
    assert!(end <= arena.address() + arena.len());
    assert!(slots.iter().all(|slot| slot.arena().address() == arena.address()));
}

#[test]
fn a_place_says_where_in_its_slot_an_answer_lies() {
    let bridge = simulated();
    let mut slot = written(&bridge, &frame(Command::Ping, &["hello"]));
    for _ in 0..3 {
        // The status was written where the length ends, and both are 0.
        let Exchanged::Here(place) = slot.exchange().expect("submitted") else {
            panic!("a ping waits for nothing");
        };
        assert_eq!(place, 5..10);
    }
    let Submission::Ready(answer) = slot.submit().expect("submitted") else {
        panic!("a ping waits for nothing");
    };
    assert_eq!(answer.place(), Some(5..10));
    assert!(
        bridge.completions().is_empty(),
        "an answer that is here comes a second time"
    );
}

#[test]
fn what_takes_longer_is_answered_by_the_queue_once() {
    let bridge = simulated();
    let mut slot = written(&bridge, &frame(Command::CreateContainer, &["nginx"]));
    let Exchanged::Pending(ticket) = slot.exchange().expect("submitted") else {
        panic!("a create takes longer");
    };
    for error in [
        slot.exchange().expect_err("the slot is the guest's again"),
        slot.write_at(0, b"x").expect_err("another may have it"),
        slot.submit().expect_err("the slot is the guest's again"),
    ] {
        assert_eq!(error.status(), Status::InvalidRequest);
    }
    let completion = next_completion(&bridge);
    assert_eq!((completion.ticket, completion.item), (ticket, None));
    assert_eq!(completion.response.data().len(), 32);
    let mut refused = written(&bridge, &frame(Command::StartContainer, &["none"]));
    let Exchanged::Copied(answer) = refused.exchange().expect("submitted") else {
        panic!("a refusal waits for nothing, and lies nowhere");
    };
    assert_eq!(answer.status(), Status::ContainerNotFound);
    bridge.close();
    assert!(
        bridge.completions().is_finished(),
        "the queue waits for an answer that never comes"
    );
}

#[test]
fn an_arena_outlives_its_bridge() {
    let bridge = simulated();
    let arena = bridge.arena().expect("an arena");
    bridge.close();
    assert_eq!(
        bridge.arena().expect_err("it is closed").status(),
        Status::InvalidRequest
    );
    drop(bridge);
    assert!(arena.len() > 600_000 && arena.address() != 0);
}

#[test]
fn a_reader_gives_the_same_by_blocking_and_by_the_queue() {
    let bridge = simulated();
    running(&bridge);
    let spec = r#"{"command":["echo","hello"]}"#;
    let blocking = bridge.open_reader(Command::Exec, &["web", spec]).expect("opened");
    let queued = bridge.open_reader(Command::Exec, &["web", spec]).expect("opened");
    for (kind, value, data) in [
        (ItemKind::Stdout, None, &b"hello\n"[..]),
        (ItemKind::Ended, Some(0), b""),
        (ItemKind::End, None, b""),
        (ItemKind::End, None, b""),
    ] {
        let Item { head, data: bytes } = blocking.next().expect("an item");
        assert_eq!((head.kind, head.value, &bytes[..]), (kind, value, data));
        let ticket = queued.next_to_queue().expect("begun");
        let completion = next_completion(&bridge);
        assert_eq!((completion.ticket, completion.item), (ticket, Some(head)));
        assert_eq!(
            (completion.response.status(), completion.response.data()),
            (Status::Success, data)
        );
    }
}

#[test]
fn a_cancelled_read_loses_no_item() {
    let bridge = simulated();
    running(&bridge);
    let reader = cat(&bridge);
    let ticket = reader.next_to_queue().expect("begun");
    assert_eq!(
        reader.next_to_queue().expect_err("one is under way").status(),
        Status::InvalidRequest
    );
    assert_eq!(
        reader.next().expect_err("one is under way").status(),
        Status::InvalidRequest
    );
    bridge.cancel(ticket);
    let completion = next_completion(&bridge);
    assert_eq!(
        (completion.ticket, completion.response.status()),
        (ticket, Status::Cancelled)
    );
    let written = reader.write_to_queue(b"still there").expect("begun");
    let completion = next_completion(&bridge);
    assert_eq!((completion.ticket, completion.item), (written, None));
    assert_eq!(reader.next().expect("an item").data, b"still there");
    let ended = reader.end_input_to_queue().expect("begun");
    assert_eq!(next_completion(&bridge).ticket, ended);
    assert_eq!(reader.next().expect("an item").head.value, Some(0));
}

#[test]
fn a_reader_that_is_dropped_or_whose_bridge_closes_answers_its_read() {
    let bridge = simulated();
    running(&bridge);
    let dropped = cat(&bridge);
    let first = dropped.next_to_queue().expect("begun");
    drop(dropped);
    let completion = next_completion(&bridge);
    assert_eq!(
        (completion.ticket, completion.response.status()),
        (first, Status::Cancelled)
    );
    let open = cat(&bridge);
    let second = open.next_to_queue().expect("begun");
    bridge.close();
    let completion = next_completion(&bridge);
    assert_eq!(
        (completion.ticket, completion.response.status()),
        (second, Status::Cancelled)
    );
    assert!(bridge.completions().is_finished());
    assert_eq!(
        open.next().expect_err("it is closed").status(),
        Status::InvalidRequest
    );
}

#[test]
fn a_close_wakes_who_blocks_in_a_read() {
    let bridge = simulated();
    running(&bridge);
    let reader = cat(&bridge);
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            loop {
                match reader.next().expect_err("nothing comes").status() {
                    // The other thread's read was under way.
                    Status::InvalidRequest => std::thread::yield_now(),
                    status => return status,
                }
            }
        });
        // Once a further read is refused the first one is under way.
        while reader.next_to_queue().is_ok_and(|ticket| {
            bridge.cancel(ticket);
            next_completion(&bridge).ticket == ticket
        }) {}
        reader.close();
        assert_eq!(blocked.join().expect("it returns"), Status::Cancelled);
    });
}

#[test]
fn a_request_that_opens_no_stream_gives_no_reader() {
    let bridge = simulated();
    running(&bridge);
    let error = bridge
        .open_reader(Command::Top, &["web"])
        .expect_err("it opens none");
    assert_eq!(error.status(), Status::InvalidRequest);
}
