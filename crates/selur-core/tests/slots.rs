//! Requests written in place: a slot is reserved, submitted, answered and released once each.

mod support;

use selur_core::{Begun, Bridge, Command, CreateOptions, Slot, Status, Submission};
use support::{frame, simulated};

const MAX_FRAME_BYTES: usize = 262_149;

fn written(bridge: &Bridge, frame: &[u8]) -> Slot {
    let mut slot = bridge.reserve(frame.len()).expect("a slot");
    slot.write_at(0, frame).expect("written");
    slot
}

#[test]
fn a_ping_is_answered_where_it_was_written() {
    let bridge = simulated();
    for bytes in [0, 1, 300, 10_000, 262_144] {
        let payload = "z".repeat(bytes);
        let slot = written(&bridge, &frame(Command::Ping, &[&payload]));
        let Submission::Ready(answer) = slot.submit().expect("submitted") else {
            panic!("a ping waits for nothing");
        };
        assert_eq!(answer.status(), Status::Success);
        assert!(
            answer.with(|data| data == payload.as_bytes()).expect("shown"),
            "{bytes} bytes"
        );
    }
}

#[test]
fn a_slot_serves_one_frame_after_another() {
    let bridge = simulated();
    let mut slot = bridge.reserve(64).expect("a slot");
    for round in 0..1_000 {
        let request = frame(Command::Ping, &[&format!("round {round}")]);
        slot.write_at(0, &request).expect("written");
        slot.set_frame_len(request.len()).expect("it fits");
        let Submission::Ready(answer) = slot.submit().expect("submitted") else {
            panic!("a ping waits for nothing");
        };
        assert_eq!(answer.to_response().data(), format!("round {round}").as_bytes());
        slot = answer.into_slot();
    }
}

#[test]
fn an_exchange_shows_what_is_there_at_once_and_the_slot_stays() {
    let bridge = simulated();
    let id = bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    let mut slot = bridge.reserve(1_000).expect("a slot");
    let mut exchange = |request: &[u8]| {
        slot.write_at(0, request).expect("written");
        slot.set_frame_len(request.len()).expect("it fits");
        slot.exchange_with(|data| String::from_utf8_lossy(data).into_owned())
    };
    let answered = |text: &str| Ok(Begun::Answered(text.to_owned()));
    assert_eq!(exchange(&frame(Command::Ping, &["hi"])), answered("hi"));
    assert_eq!(
        exchange(&frame(Command::PauseContainer, &["nobody"])).map_err(|error| error.status()),
        Err(Status::ContainerNotFound)
    );
    let list = id.to_string();
    assert_eq!(exchange(&frame(Command::ListContainers, &[])), answered(&list));
    let refused = exchange(&[0x00, 3, 0, 0, 0, b'h', b'i']).expect_err("its length lies");
    assert_eq!(refused.status(), Status::InvalidRequest);
    assert_eq!(exchange(&frame(Command::Ping, &["again"])), answered("again"));
    let Ok(Begun::Pending(number)) = exchange(&frame(Command::StartContainer, &["web"])) else {
        panic!("a start has an effect");
    };
    assert!(bridge.completions().wait(None));
    let completion = &bridge.completions().drain(1)[0];
    assert_eq!(
        (completion.ticket, completion.response.status()),
        (number, Status::Success)
    );
    let released = slot
        .exchange_with(<[u8]>::len)
        .expect_err("the slot went with the start");
    assert_eq!(released.status(), Status::InvalidRequest);
}

#[test]
fn a_ping_by_copy_is_shown_where_it_lies_however_long() {
    let bridge = simulated();
    for bytes in [0, 100, 70_000, 80_000, 262_144] {
        let payload = vec![b'p'; bytes];
        let is_same = bridge
            .ping_with(&payload, |data| data == payload)
            .expect("answered");
        assert!(is_same, "{bytes} bytes");
    }
    let too_long = bridge
        .ping_with(&[b'p'; 262_145], <[u8]>::len)
        .expect_err("too long");
    assert_eq!(too_long.status(), Status::InvalidRequest);
    let no_text = bridge.ping_with(b"\xff", <[u8]>::len).expect_err("no UTF-8");
    assert_eq!(no_text.status(), Status::InvalidRequest);
    assert!(no_text.message().contains("UTF-8"), "{no_text}");
}

#[test]
fn every_command_can_be_written_in_place() {
    let bridge = simulated();
    let call = |request: Vec<u8>| {
        let response = written(&bridge, &request).submit().expect("submitted").wait();
        response.into_result().expect("a success")
    };
    let id = call(frame(Command::CreateContainer, &["nginx", "web"]));
    let id = String::from_utf8(id).expect("an id");
    call(frame(Command::StartContainer, &["web"]));
    call(frame(Command::StartContainer, &["web"]));
    let document = String::from_utf8(call(frame(Command::InspectContainer, &["web"]))).expect("JSON");
    assert!(document.contains(&id));
    // The answer is longer than the slot: it comes all the same.
    assert_eq!(call(frame(Command::ListContainers, &[])), id.as_bytes());
    call(frame(Command::StopContainer, &["web"]));
    assert_eq!(call(frame(Command::WaitContainer, &["web"])), b"143");
    call(frame(Command::DeleteContainer, &["web"]));
}

#[test]
fn a_request_that_waits_gives_its_slot_back() {
    let bridge = simulated();
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    for request in [
        frame(Command::InspectContainer, &["web"]),
        frame(Command::CreateContainer, &["nginx"]),
    ] {
        for _ in 0..500 {
            let submitted = written(&bridge, &request).submit().expect("submitted");
            assert!(matches!(submitted, Submission::Pending(_)));
            submitted.wait().into_result().expect("a success");
        }
    }
    let first = bridge.reserve(MAX_FRAME_BYTES).expect("a slot");
    let second = bridge.reserve(MAX_FRAME_BYTES).expect("a slot");
    drop((first, second));
}

#[test]
fn requests_by_copy_have_their_slot_when_the_arena_is_full() {
    let bridge = simulated();
    let mut hoarded = Vec::new();
    let mut hoard = || {
        while let Ok(slot) = bridge.reserve(256) {
            hoarded.push(slot);
        }
    };
    hoard();
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    hoard();
    bridge.start_container("web").expect("started");
    bridge.create_container("nginx").expect("created");
    hoard();
    assert_eq!(bridge.list_containers().expect("listed").len(), 2);
    assert!(hoarded.len() > 2_000);
}

#[test]
fn a_long_list_comes_through_a_short_slot() {
    let bridge = simulated();
    for _ in 0..20 {
        bridge.create_container("nginx").expect("created");
    }
    let response = written(&bridge, &frame(Command::ListContainers, &[]))
        .submit()
        .expect("submitted")
        .wait();
    assert_eq!(response.data().len(), 20 * 33 - 1);
}

#[test]
fn a_malformed_frame_is_refused_in_place() {
    let bridge = simulated();
    let cases: [(&[u8], &str); 4] = [
        (&[0x00, 9, 0, 0, 0, b'x'], "not the number of bytes that follow"),
        (&[0xFF, 0, 0, 0, 0], "no command has this code"),
        (&[0x00, 1, 0, 0, 0, 0xFF], "not valid UTF-8"),
        (&[0x02, 1, 0, 0, 0, b'!'], "\"!\": this can be no container"),
    ];
    for (request, words) in cases {
        let response = written(&bridge, request).submit().expect("submitted").wait();
        assert_eq!(response.status(), Status::InvalidRequest);
        assert!(
            response.message().expect("a message").contains(words),
            "{response:?}"
        );
    }
    // Frames without a header.
    for bytes in [0, 3] {
        let mut slot = bridge.reserve(16).expect("a slot");
        slot.set_frame_len(bytes).expect("it fits");
        let response = slot.submit().expect("submitted").wait();
        assert_eq!(response.status(), Status::InvalidRequest);
    }
}

#[test]
fn writing_outside_a_slot_is_refused_and_changes_nothing() {
    let bridge = simulated();
    let request = frame(Command::Ping, &["neighbour"]);
    let mut first = bridge.reserve(100).expect("a slot");
    let second = written(&bridge, &request);
    assert_eq!(first.capacity(), 256);
    for (offset, bytes) in [(256, 1), (255, 2), (usize::MAX, 1), (0, 257)] {
        let error = first.write_at(offset, &vec![0xEE; bytes]).expect_err("outside");
        assert_eq!(error.status(), Status::InvalidRequest);
    }
    first.write_at(0, &[0xEE; 256]).expect("inside");
    assert_eq!(
        first.set_frame_len(257).expect_err("too long").status(),
        Status::InvalidRequest
    );
    let response = second.submit().expect("submitted").wait();
    assert_eq!(response.data(), b"neighbour");
}

#[test]
fn two_full_frames_fit_beside_everything_else_and_a_third_is_refused_at_once() {
    let bridge = simulated();
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    for _ in 0..3 {
        let first = bridge.reserve(MAX_FRAME_BYTES).expect("a slot");
        let second = bridge.reserve(MAX_FRAME_BYTES).expect("a slot");
        let error = bridge.reserve(MAX_FRAME_BYTES).expect_err("the arena is full");
        assert_eq!(error.status(), Status::ResourceExhausted);
        // Requests by copy have a slot of their own.
        bridge.start_container("web").expect("started");
        bridge
            .create_container(CreateOptions::new("nginx").name("other"))
            .expect("created");
        bridge
            .delete_container("other", selur_core::Deletion::Plain)
            .expect("deleted");
        drop((first, second));
    }
    let error = bridge
        .reserve(MAX_FRAME_BYTES + 1)
        .expect_err("no frame is that long");
    assert_eq!(error.status(), Status::InvalidRequest);
}

#[test]
fn slots_and_answers_outlive_the_bridge() {
    let bridge = simulated();
    let answer = written(&bridge, &frame(Command::Ping, &["hi"]))
        .submit()
        .expect("submitted");
    let mut slot = bridge.reserve(64).expect("a slot");
    drop(bridge);
    let Submission::Ready(answer) = answer else {
        panic!("a ping waits for nothing");
    };
    answer.with(|data| assert_eq!(data, b"hi")).expect("shown");
    let error = slot.write_at(0, b"x").expect_err("the bridge is closed");
    assert_eq!(error.status(), Status::InvalidRequest);
    let error = slot.submit().expect_err("the bridge is closed");
    assert_eq!(error.status(), Status::InvalidRequest);
}

#[test]
fn a_reader_that_panics_breaks_nothing_for_others() {
    let bridge = simulated();
    let Submission::Ready(answer) = written(&bridge, &frame(Command::Ping, &["hi"]))
        .submit()
        .expect("submitted")
    else {
        panic!("a ping waits for nothing");
    };
    let read = std::panic::AssertUnwindSafe(|| answer.with(|_| panic!("out of cheese")));
    std::panic::catch_unwind(read).expect_err("the reader's panic is the caller's");
    let by_copy = std::panic::AssertUnwindSafe(|| bridge.ping_with(b"hi", |_| panic!("out of bread")));
    std::panic::catch_unwind(by_copy).expect_err("the reader's panic is the caller's");
    let mut slot = written(&bridge, &frame(Command::Ping, &["hi"]));
    let in_place = std::panic::AssertUnwindSafe(|| slot.exchange_with(|_| panic!("out of wine")));
    std::panic::catch_unwind(in_place).expect_err("the reader's panic is the caller's");
    assert!(matches!(slot.exchange_with(<[u8]>::len), Ok(Begun::Answered(2))));
    assert_eq!(bridge.ping("still here").expect("answered"), "still here");
    assert_eq!(answer.to_response().data(), b"hi");
}
