//! Edges that sequences at random pass by. Each test here was written for a mutant of the kernel that lived.

use crate::driver::{Driver, Sent, frame, id, report};
use selur_kernel::{BLOCK_BYTES, Entry, Input, Kernel, SlotUse, SmallKernel, Usage};
use selur_protocol::abi::{CancelCause, Observation};
use selur_protocol::{Command, HEADER_BYTES, Reason, State, Status};
use std::collections::BTreeMap;

/// Two words of the arena's bitmap, and a part of a third.
type Wide = Kernel<4, 8, 16, 140, 3, { 140 * BLOCK_BYTES }>;

#[test]
fn only_a_reserved_slot_holds_a_ping() {
    let ping = frame(Command::Ping, &["hi"]);
    let create = frame(Command::CreateContainer, &["nginx"]);
    let mut kernel = SmallKernel::new();
    let mut submitted = |frame: &[u8]| {
        let slot = kernel.reserve(64).expect("a slot");
        kernel.slot_mut(slot).expect("reserved")[..frame.len()].copy_from_slice(frame);
        let input = Input::Submit {
            slot,
            frame_bytes: frame.len() as u32,
            slot_use: SlotUse::Consume,
            new_id: id(1),
        };
        kernel.feed(input).expect("never refused");
        slot
    };
    let (answered, held) = (submitted(&ping), submitted(&create));
    for slot in [answered, held] {
        for bytes in [HEADER_BYTES, ping.len()] {
            assert!(!kernel.ping(slot, bytes as u32));
        }
    }
    // The bytes are still there, and in a reserved slot they are a ping.
    kernel.release(answered).expect("answered");
    let again = kernel.reserve(64).expect("a slot");
    kernel.slot_mut(again).expect("reserved")[..ping.len()].copy_from_slice(&ping);
    assert!(kernel.ping(again, ping.len() as u32));
}

/// A gap ends where the next slot begins, also where that is in another word of the bitmap.
#[test]
fn a_gap_is_as_long_as_it_is_wherever_the_words_of_the_bitmap_end() {
    for before in [1, 40, 60, 63, 64, 65, 100, 127, 128, 130] {
        for gap in [1, 2, 4, 5, 8] {
            for wanted in 1..=10 {
                let mut kernel = Wide::new();
                let blocks = |count: usize| (count * BLOCK_BYTES) as u32;
                let first = kernel.reserve(blocks(before)).expect("room");
                let middle = kernel.reserve(blocks(gap)).expect("room");
                let last = kernel.reserve(blocks(1)).expect("room");
                kernel.release(middle).expect("reserved");
                let expected = if wanted <= gap { before } else { before + gap + 1 };
                let fits = expected + wanted <= 140;
                match kernel.reserve(blocks(wanted)) {
                    Ok(slot) => {
                        assert!(fits, "{wanted} blocks do not fit behind {expected}");
                        assert_eq!((slot & 0xfff) as usize, expected, "{before} {gap} {wanted}");
                        let taken = before + 1 + wanted;
                        assert_eq!(kernel.usage().blocks as usize, taken);
                        kernel.release(slot).expect("reserved");
                    }
                    Err(reason) => assert!(!fits && reason == Reason::ArenaFull, "{before} {gap} {wanted}"),
                }
                assert_eq!(kernel.usage().blocks as usize, before + 1);
                kernel.release(first).expect("reserved");
                kernel.release(last).expect("reserved");
                assert_eq!(kernel.usage(), Usage::default());
            }
        }
    }
}

#[test]
fn the_longest_entry_beside_a_frame_is_a_container_with_the_longest_name() {
    let name = "n".repeat(63);
    let entry = Entry::Other(Input::Observe(Observation::Seen {
        id: id(1),
        name: &name,
        report: report(1, 1, State::Running, Some(1)),
    }));
    let mut buffer = [0; 200];
    assert_eq!(entry.encode(&mut buffer), Some(Entry::MAX_BYTES_BESIDE_FRAME));
    assert_eq!(Entry::MAX_BYTES_BESIDE_FRAME, 97);
}

/// What a request says beside its command, and what an answer says beside its kind, is part of the state.
#[test]
fn requests_and_answers_that_differ_in_a_number_have_different_digests() {
    type Change = fn(&mut Driver<SmallKernel>);
    let changes: [(&str, Change); 13] = [
        ("stop after 5", |it| stop(it, "5")),
        ("stop after 6", |it| stop(it, "6")),
        ("stop after 0", |it| stop(it, "0")),
        ("stop", |it| drop(it.ask(Command::StopContainer, &["c"]))),
        ("kill by 9", |it| {
            drop(it.ask(Command::KillContainer, &["c", "9"]))
        }),
        ("kill by 15", |it| {
            drop(it.ask(Command::KillContainer, &["c", "15"]))
        }),
        ("exit 0", |it| exit(it, Some(0))),
        ("exit 1", |it| exit(it, Some(1))),
        ("exit -1", |it| exit(it, Some(-1))),
        ("exit unknown", |it| exit(it, None)),
        ("no network", |it| fail(it, Status::NetworkError)),
        ("no permission", |it| fail(it, Status::PermissionDenied)),
        ("cancelled", |it| {
            let ticket = it.ask(Command::StopContainer, &["c"]).ticket();
            it.drain();
            it.cancel(ticket, CancelCause::Caller).expect("open");
        }),
    ];
    let mut digests = BTreeMap::new();
    for (what, change) in changes {
        let mut driver = Driver::new(SmallKernel::new());
        driver.with_container(1, "c", State::Running);
        change(&mut driver);
        if let Some(other) = digests.insert(driver.kernel.digest(), what) {
            panic!("the digest does not show a difference: {what}, {other}");
        }
    }
}

fn stop(driver: &mut Driver<SmallKernel>, timeout_ms: &str) {
    let sent = driver.ask(Command::StopContainer, &["c", timeout_ms]);
    assert!(matches!(sent, Sent::Pending(_)));
}

/// A wait is answered, and the container's own exit is then another.
fn exit(driver: &mut Driver<SmallKernel>, code: Option<i32>) {
    driver.ask(Command::WaitContainer, &["c"]);
    driver.seen(id(1), "c", report(2, 1, State::Stopped, code));
    driver.seen(id(1), "c", report(3, 1, State::Stopped, Some(77)));
}

fn fail(driver: &mut Driver<SmallKernel>, status: Status) {
    let ticket = driver.ask(Command::StopContainer, &["c"]).ticket();
    driver.drain();
    driver.complete(ticket, status, None).expect("running");
}
