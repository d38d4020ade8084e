//! The log of inputs and the digest of the state: what is recorded, and what a difference shows.

use crate::driver::{Driver, frame, id, report};
use crate::one::{ask, running, succeed};
use proptest::prelude::*;
use selur_kernel::{Entry, Input, SlotUse, SmallKernel};
use selur_protocol::abi::{CancelCause, Observation};
use selur_protocol::{Command, State, Status};
use std::collections::BTreeMap;

/// A short history, every kind of input in it, as version 1 writes it.
fn history() -> Driver<SmallKernel> {
    let mut driver = Driver::new(SmallKernel::new());
    let create = driver.create(id(1), "web").ticket();
    driver.drain();
    driver
        .complete(create, Status::Success, Some(report(0, 1, State::Created, None)))
        .expect("running");
    let start = driver.ask(Command::StartContainer, &["web"]).ticket();
    let wait = driver.ask(Command::WaitContainer, &["web"]).ticket();
    driver.drain();
    driver
        .complete(start, Status::NetworkError, None)
        .expect("running");
    driver.cancel(wait, CancelCause::Deadline).expect("open");
    driver.seen(id(2), "db", report(3, 4, State::Stopped, Some(-1)));
    driver.seen(id(3), "", report(1, 1, State::Paused, None));
    driver.gone(id(3));
    driver
}

/// The entries of [`history`] in hexadecimal, recorded once. They must be readable for as long as the version is 1.
const RECORDED: [&str; 11] = [
    "010100010000000101010101010101010101010101010101090000006e67696e7800776562",
    "010501000000",
    "0103001000000000000000010000000001000000000000000000",
    "01010001000000ffffffffffffffffffffffffffffffff0203000000776562",
    "01010001000000ffffffffffffffffffffffffffffffff0a03000000776562",
    "010502000000",
    "010301200000000000000400",
    "0102023000000000000001",
    "0104010202020202020202020202020202020203000000040000000401ffffffff026462",
    "01040103030303030303030303030303030303010000000100000002000000000000",
    "01040203030303030303030303030303030303",
];

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("digits"))
        .collect()
}

#[test]
fn the_log_is_written_as_version_1_wrote_it() {
    let written: Vec<String> = history()
        .log
        .iter()
        .map(|entry| entry.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(written, RECORDED);
}

#[test]
fn a_recorded_log_brings_a_fresh_kernel_to_the_same_state() {
    let mut driver = Driver::new(SmallKernel::new());
    for hex in RECORDED {
        let bytes = bytes_of(hex);
        driver
            .kernel
            .replay(&Entry::decode(&bytes).expect("an entry"))
            .expect("taken");
    }
    assert_eq!(driver.kernel.digest(), history().kernel.digest());
    assert_eq!(driver.list(), [id(1), id(2)]);
}

#[test]
fn states_that_differ_in_anything_have_different_digests() {
    type Change = fn(&mut Driver<SmallKernel>);
    let changes: [(&str, Change); 17] = [
        ("nothing", |_| {}),
        ("another container", |it| it.with_container(4, "", State::Running)),
        ("its id", |it| it.with_container(5, "", State::Running)),
        ("its name", |it| it.with_container(4, "d", State::Running)),
        ("another name", |it| it.with_container(4, "e", State::Running)),
        ("its state", |it| it.with_container(4, "", State::Paused)),
        ("its generation", |it| {
            it.seen(id(4), "", report(2, 1, State::Running, None))
        }),
        ("its sequence", |it| {
            it.seen(id(4), "", report(1, 2, State::Running, None))
        }),
        ("its exit", |it| {
            it.seen(id(4), "", report(1, 1, State::Running, Some(0)))
        }),
        ("its exit code", |it| {
            it.seen(id(4), "", report(1, 1, State::Running, Some(1)))
        }),
        ("a deletion", |it| it.gone(id(2))),
        ("a ticket", |it| drop(it.ask(Command::StopContainer, &["c"]))),
        ("its argument", |it| {
            drop(it.ask(Command::StopContainer, &["c", "5"]))
        }),
        ("its command", |it| drop(it.ask(Command::WaitContainer, &["c"]))),
        ("an effect that runs", |it| {
            it.ask(Command::StopContainer, &["c"]);
            it.drain();
        }),
        ("an answer that waits", |it| {
            let ticket = it.ask(Command::WaitContainer, &["c"]).ticket();
            it.cancel(ticket, CancelCause::Caller).expect("open");
        }),
        ("an answer that was polled", |it| {
            let ticket = it.ask(Command::WaitContainer, &["c"]).ticket();
            it.cancel(ticket, CancelCause::Caller).expect("open");
            it.drain();
        }),
    ];
    let mut digests = BTreeMap::new();
    for (what, change) in changes {
        let mut driver = Driver::new(SmallKernel::new());
        driver.with_container(1, "c", State::Running);
        driver.with_container(2, "", State::Running);
        change(&mut driver);
        if let Some(other) = digests.insert(driver.kernel.digest(), what) {
            panic!("the digest does not show a difference: {what}, {other}");
        }
    }
}

#[test]
fn a_ping_and_a_list_change_nothing() {
    let mut driver = history();
    let before = driver.kernel.digest();
    driver.ask(Command::Ping, &["hello"]);
    driver.list();
    assert_eq!(driver.kernel.digest(), before);
}

#[test]
fn a_submission_whose_slot_does_not_hold_its_frame_has_no_entry() {
    let mut kernel = SmallKernel::new();
    let slot = kernel.reserve(10).expect("a slot");
    let input = |slot, frame_bytes| Input::Submit {
        slot,
        frame_bytes,
        slot_use: SlotUse::Keep,
        new_id: id(1),
    };
    assert!(kernel.entry(input(slot, 10)).is_ok());
    assert!(kernel.entry(input(slot, 257)).is_err());
    assert!(kernel.entry(input(slot + 1, 10)).is_err());
}

fn entries() -> impl Strategy<Value = Vec<u8>> {
    let log = history().log;
    let damage = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3);
    (proptest::sample::select(log), damage, 0..3usize).prop_map(|(mut bytes, damage, cut)| {
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(bytes.len() - cut);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    /// A damaged log is refused, or is the log of something else; it never panics, and every entry has one form.
    #[test]
    fn bytes_that_no_entry_gives_are_refused(bytes in entries()) {
        let Some(entry) = Entry::decode(&bytes) else { return Ok(()) };
        let mut again = vec![0; bytes.len() + Entry::MAX_BYTES_BESIDE_FRAME];
        if let Some(length) = entry.encode(&mut again) {
            prop_assert_eq!(&again[..length], &bytes[..]);
        }
        let mut kernel = SmallKernel::new();
        let _ = kernel.replay(&entry);
        while kernel.poll().is_some() {}
    }
}

#[test]
fn an_entry_that_does_not_fit_its_buffer_is_not_written() {
    let frame = frame(Command::Ping, &["x"]);
    let entries = [
        Entry::Submit {
            slot_bytes: 256,
            slot_use: SlotUse::Keep,
            new_id: id(1),
            frame: &frame,
        },
        Entry::Other(Input::Cancel {
            ticket: 1,
            cause: CancelCause::Caller,
        }),
        Entry::Other(Input::Complete {
            effect: 1,
            status: Status::Success,
            report: Some(report(1, 1, State::Running, None)),
        }),
        Entry::Other(Input::Observe(Observation::Gone { id: id(1) })),
        Entry::Polled { outputs: 7 },
    ];
    for entry in entries {
        let mut buffer = [0; 200];
        let length = entry.encode(&mut buffer).expect("room");
        assert_eq!(Entry::decode(&buffer[..length]), Some(entry));
        assert!((0..length).all(|short| entry.encode(&mut [0; 200][..short]).is_none()));
    }
}

#[test]
fn which_of_two_tickets_is_open_shows_in_the_digest() {
    let open = |ended: usize| {
        let mut driver = running();
        let inspections = [
            ask(&mut driver, Command::InspectContainer),
            ask(&mut driver, Command::InspectContainer),
        ];
        assert_eq!(driver.drain().len(), 2);
        succeed(&mut driver, inspections[ended]);
        assert_eq!(driver.drain().len(), 1);
        driver.kernel.digest()
    };
    assert_eq!(open(0), open(0));
    assert_ne!(open(0), open(1));
}
