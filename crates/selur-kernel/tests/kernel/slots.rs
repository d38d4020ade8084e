//! Slots and frames: what a host may do with the memory it was given, and what hostile bytes may not.
//!
//! Source: DESIGN, "The kernel": noBufferOverflow, linearUsage.

use crate::driver::{Driver, Machine, Sent, frame, id, report};
use proptest::prelude::*;
use proptest::sample::Index;
use selur_kernel::{BLOCK_BYTES, Input, Kernel, SlotUse, SmallKernel, Usage};
use selur_protocol::abi::{Outcome, Submitted};
use selur_protocol::{
    Command, ContainerId, Frame, HEADER_BYTES, MAX_FRAME_BYTES, Reason, Request, State, Status,
};
use std::collections::{BTreeMap, BTreeSet};

/// Enough blocks for one full frame and its neighbours, more than 64 so that gaps cross the bitmap's words.
type Roomy = Kernel<4, 8, 16, 1100, 18, { 1100 * BLOCK_BYTES }>;

fn submit(kernel: &mut impl Machine, slot: u64, frame_bytes: u32, slot_use: SlotUse) -> Outcome {
    let new_id = ContainerId::from_bytes([0xee; 16]);
    let submitted = kernel.feed(Input::Submit {
        slot,
        frame_bytes,
        slot_use,
        new_id,
    });
    submitted
        .expect("a submission is never refused")
        .expect("an outcome")
        .outcome
}

fn reason(outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Ready { reason, .. } => reason,
        Outcome::Pending { .. } => None,
    }
}

/// Bytes that are often nearly a frame.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-z0-9:./@\0_-]{0,40}".prop_map(String::into_bytes);
    let payload = prop_oneof![text, proptest::collection::vec(any::<u8>(), 0..600)];
    let length = prop_oneof![
        Just(None),
        any::<u32>().prop_map(Some),
        (0..700u32).prop_map(Some)
    ];
    let framed = (0..14u8, length, payload).prop_map(|(command, length, payload)| {
        let length = length.unwrap_or(payload.len() as u32);
        let mut bytes = vec![command];
        bytes.extend(length.to_le_bytes());
        bytes.extend(payload);
        bytes
    });
    prop_oneof![3 => framed, 1 => proptest::collection::vec(any::<u8>(), 0..12)]
}

fn length_of(frame: &[u8], lie: Option<u32>) -> u32 {
    lie.unwrap_or(frame.len() as u32)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    /// noBufferOverflow: whatever the bytes and the length, nothing outside the slot changes, and the response lies
    /// within it. What the protocol crate refuses is refused for its reason.
    #[test]
    fn hostile_frames_and_lengths_stay_within_their_slot(
        bytes in hostile_bytes(),
        lie in proptest::option::of(prop_oneof![any::<u32>(), 0..2000u32]),
        spare in 0..3usize,
    ) {
        let mut kernel = SmallKernel::new();
        kernel.feed(Input::Observe(selur_protocol::abi::Observation::Seen {
            id: id(1), name: "web", report: report(1, 1, State::Stopped, Some(-7)),
        })).expect("taken");
        let slots = [256, (bytes.len() + spare * 100) as u32, 256].map(|bytes| kernel.reserve(bytes).expect("a slot"));
        for slot in slots {
            kernel.slot_mut(slot).expect("reserved").fill(0xa5);
        }
        let place = kernel.slot_mut(slots[1]).expect("reserved");
        let capacity = place.len();
        place[..bytes.len()].copy_from_slice(&bytes);
        let start = BLOCK_BYTES;
        let before = kernel.arena().to_vec();

        let frame_bytes = length_of(&bytes, lie);
        let outcome = submit(&mut kernel, slots[1], frame_bytes, SlotUse::Consume);

        prop_assert_eq!(&kernel.arena()[..start], &before[..start]);
        prop_assert_eq!(&kernel.arena()[start + capacity..], &before[start + capacity..]);
        if let Outcome::Ready { offset, bytes, .. } = outcome {
            prop_assert_eq!(offset as usize, start + 4);
            prop_assert!(4 + bytes as usize <= capacity);
        }
        let parsed = match before[start..start + capacity].get(..frame_bytes as usize) {
            None => Err(Reason::LengthMismatch),
            Some(bytes) => Frame::parse(bytes).and_then(|frame| Request::parse(&frame).map(|_| ())),
        };
        match parsed {
            Err(expected) => prop_assert_eq!(reason(outcome), Some(expected)),
            Ok(()) => prop_assert!(reason(outcome).map_or(true, |reason| reason.status() != Status::InvalidRequest)),
        }
    }

    /// A ping answers exactly valid UTF-8, without moving it.
    #[test]
    fn a_ping_is_answered_in_place_exactly_if_it_is_utf8(
        ascii in 0..200usize,
        tail in prop_oneof![
            "\\PC{0,60}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..60),
        ],
        more in 0..100usize,
    ) {
        let mut payload = vec![b'x'; ascii];
        payload.extend(&tail);
        payload.extend(vec![b'y'; more]);
        let mut driver = Driver::new(SmallKernel::new());
        let mut bytes = vec![0];
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(&payload);
        let expected = match std::str::from_utf8(&payload) {
            Ok(_) => Sent::Data(payload),
            Err(_) => Sent::Refused(Reason::NotUtf8, None),
        };
        prop_assert_eq!(driver.send(&bytes, id(9)), expected);
    }

    /// Valid pings are pings, and nothing else is. What is one carries its answer; nothing is changed.
    #[test]
    fn a_ping_is_its_own_answer_and_nothing_else_is_one(
        bytes in prop_oneof![hostile_bytes(), "\\PC{0,60}".prop_map(|text| {
            let mut frame = vec![0];
            frame.extend((text.len() as u32).to_le_bytes());
            frame.extend(text.bytes());
            frame
        })],
        lie in proptest::option::of(prop_oneof![any::<u32>(), 0..2000u32]),
        is_stale in any::<bool>(),
    ) {
        let mut kernel = SmallKernel::new();
        let slot = kernel.reserve(bytes.len() as u32).expect("a slot");
        let place = kernel.slot_mut(slot).expect("reserved");
        let capacity = place.len();
        place[..bytes.len()].copy_from_slice(&bytes);
        if is_stale {
            kernel.release(slot).expect("reserved");
        }
        let before = kernel.arena().to_vec();
        let frame_bytes = length_of(&bytes, lie);
        let is_ping = !is_stale
            && before[..capacity].get(..frame_bytes as usize).is_some_and(|frame| {
                matches!(Frame::parse(frame), Ok(frame) if frame.command() == Command::Ping
                    && std::str::from_utf8(frame.payload()).is_ok())
            });
        prop_assert_eq!(kernel.ping(slot, frame_bytes), is_ping);
        prop_assert_eq!(&kernel.arena()[..], &before[..]);
        prop_assert_eq!(kernel.slot_mut(slot).is_ok(), !is_stale);
        if is_ping {
            let answer = submit(&mut kernel, slot, frame_bytes, SlotUse::Keep);
            let expected = Outcome::Ready {
                offset: (HEADER_BYTES - 1) as u32,
                bytes: frame_bytes - (HEADER_BYTES - 1) as u32,
                status: Status::Success,
                reason: None,
                state: None,
            };
            prop_assert_eq!(answer, expected);
            prop_assert_eq!(&kernel.arena()[..], &before[..], "it was answered before");
        }
    }

    /// linearUsage: each handle is used in its order, once each; whatever else is tried is refused and changes nothing.
    /// Slots never overlap, and one is given out whenever a gap is large enough.
    #[test]
    fn a_slot_is_reserved_submitted_and_released_once_each(
        uses in proptest::collection::vec((0..7u8, any::<Index>(), 0..2000u32, any::<u64>()), 1..80),
    ) {
        #[derive(Clone, Copy, PartialEq, Debug)]
        enum Stage { Reserved, Answered, Gone }
        let mut kernel = SmallKernel::new();
        let mut stages: BTreeMap<u64, Stage> = BTreeMap::new();
        let mut blocks: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for (what, which, bytes, number) in uses {
            let known: Vec<u64> = stages.keys().copied().collect();
            let handle = if known.is_empty() || number % 16 == 0 { number } else { *which.get(&known) };
            let stage = stages.get(&handle).copied().unwrap_or(Stage::Gone);
            let stale = Err(Reason::StaleHandle);
            match what {
                0 | 1 => {
                    let needed = (bytes as usize).div_ceil(BLOCK_BYTES).max(1);
                    let taken: BTreeSet<usize> =
                        blocks.values().flat_map(|(first, count)| *first..first + count).collect();
                    let gap = (0..=16 - needed).find(|first| (*first..first + needed).all(|it| !taken.contains(&it)));
                    match (kernel.reserve(bytes), gap) {
                        (Ok(handle), Some(gap)) => {
                            prop_assert_eq!((handle & 0xfff) as usize, gap);
                            prop_assert_eq!(stages.insert(handle, Stage::Reserved), None, "a handle is used again");
                            blocks.insert(handle, (gap, needed));
                            prop_assert_eq!(kernel.slot_mut(handle).expect("reserved").len(), needed * BLOCK_BYTES);
                        }
                        (given, gap) => prop_assert_eq!((given, gap), (Err(Reason::ArenaFull), None)),
                    }
                }
                2 => match stage {
                    Stage::Reserved => kernel.slot_mut(handle).expect("reserved")[..5].fill(0),
                    _ => prop_assert_eq!(kernel.slot_mut(handle).map(|_| ()), stale),
                },
                3 | 4 => {
                    if stage == Stage::Reserved {
                        kernel.slot_mut(handle).expect("reserved")[..5].fill(0);
                    }
                    let slot_use = if what == 3 { SlotUse::Consume } else { SlotUse::Keep };
                    let outcome = submit(&mut kernel, handle, 5, slot_use);
                    if stage == Stage::Reserved {
                        prop_assert_eq!(reason(outcome), None);
                        if slot_use == SlotUse::Consume {
                            stages.insert(handle, Stage::Answered);
                        }
                    } else {
                        let refused = matches!(outcome, Outcome::Ready {
                            offset: 0, bytes: 0, reason: Some(Reason::StaleHandle), ..
                        });
                        prop_assert!(refused);
                    }
                }
                _ => {
                    let released = kernel.release(handle);
                    prop_assert_eq!(released, if stage == Stage::Gone { stale } else { Ok(()) });
                    if stage != Stage::Gone {
                        stages.insert(handle, Stage::Gone);
                        blocks.remove(&handle);
                    }
                }
            }
            prop_assert_eq!(kernel.usage().slots as usize, blocks.len());
            prop_assert_eq!(kernel.usage().blocks as usize, blocks.values().map(|(_, count)| count).sum::<usize>());
        }
    }
}

#[test]
fn a_full_frame_and_its_response_fit_and_a_longer_one_is_refused() {
    let mut kernel = Box::new(Roomy::new());
    let front = kernel.reserve(60 * BLOCK_BYTES as u32).expect("a slot");
    let slot = kernel
        .reserve(MAX_FRAME_BYTES as u32)
        .expect("a slot across the words of the bitmap");
    let place = kernel.slot_mut(slot).expect("reserved");
    place[..5].copy_from_slice(&[0, 0, 0, 4, 0]);
    place[5..MAX_FRAME_BYTES].fill(b'x');
    let outcome = submit(&mut *kernel, slot, MAX_FRAME_BYTES as u32, SlotUse::Consume);
    let Outcome::Ready {
        offset,
        bytes,
        reason: None,
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(bytes, 262_145);
    assert!(
        kernel.arena()[offset as usize + 1..][..262_144]
            .iter()
            .all(|byte| *byte == b'x')
    );
    assert_eq!(kernel.reserve(40 * BLOCK_BYTES as u32), Err(Reason::ArenaFull));
    assert_eq!(kernel.release(front), Ok(()));
    assert_eq!(kernel.release(slot), Ok(()));
    assert_eq!(
        kernel.reserve(MAX_FRAME_BYTES as u32 + 1),
        Err(Reason::PayloadTooLong)
    );
    assert_eq!(kernel.reserve(u32::MAX), Err(Reason::PayloadTooLong));
    assert_eq!(kernel.usage(), Usage::default());
}

#[test]
fn a_kept_slot_is_used_again_and_again_under_the_same_handle() {
    let mut kernel = SmallKernel::new();
    let slot = kernel.reserve(7).expect("a slot");
    for round in [b"ab", b"cd"] {
        kernel.slot_mut(slot).expect("reserved")[..7].copy_from_slice(&[0, 2, 0, 0, 0, round[0], round[1]]);
        let outcome = submit(&mut kernel, slot, 7, SlotUse::Keep);
        assert!(matches!(
            outcome,
            Outcome::Ready {
                offset: 4,
                bytes: 3,
                reason: None,
                ..
            }
        ));
        assert_eq!(&kernel.arena()[4..7], &[0, round[0], round[1]]);
    }
    kernel.slot_mut(slot).expect("reserved")[..5].copy_from_slice(&[9, 0, 0, 0, 0]);
    assert_eq!(
        reason(submit(&mut kernel, slot, 5, SlotUse::Keep)),
        Some(Reason::MissingContainer)
    );
    assert_eq!(kernel.release(slot), Ok(()));
}

#[test]
fn a_kept_slot_stays_with_a_pending_request_but_goes_with_a_create() {
    let mut kernel = SmallKernel::new();
    let slot = kernel.reserve(100).expect("a slot");
    for (command, text, stays) in [("create", "nginx\0c", false), ("inspect", "c", true)] {
        let slot = if stays {
            kernel.reserve(100).expect("a slot")
        } else {
            slot
        };
        let code = if stays {
            Command::InspectContainer
        } else {
            Command::CreateContainer
        };
        let bytes = frame(code, &[text]);
        kernel.slot_mut(slot).expect("reserved")[..bytes.len()].copy_from_slice(&bytes);
        let outcome = submit(&mut kernel, slot, bytes.len() as u32, SlotUse::Keep);
        assert!(matches!(outcome, Outcome::Pending { .. }), "{command}");
        assert_eq!(kernel.release(slot).is_ok(), stays, "{command}");
    }
}

#[test]
fn the_slot_of_a_create_cannot_be_touched_until_its_effect_is_polled() {
    let mut kernel = SmallKernel::new();
    let slot = kernel.reserve(100).expect("a slot");
    let bytes = frame(Command::CreateContainer, &["nginx"]);
    kernel.slot_mut(slot).expect("reserved")[..bytes.len()].copy_from_slice(&bytes);
    submit(&mut kernel, slot, bytes.len() as u32, SlotUse::Consume);
    assert!(kernel.slot_mut(slot).is_err());
    assert_eq!(kernel.release(slot), Err(Reason::StaleHandle));
    assert_eq!(
        reason(submit(&mut kernel, slot, 5, SlotUse::Consume)),
        Some(Reason::StaleHandle)
    );
    let other = kernel.reserve(1).expect("a slot");
    assert_ne!(other & 0xfff, slot & 0xfff);
    kernel.poll().expect("the effect");
    assert_eq!(kernel.release(slot), Err(Reason::StaleHandle));
    assert_eq!(kernel.usage().slots, 1);
}

#[test]
fn a_list_that_does_not_fit_its_slot_says_so() {
    let mut driver = Driver::new(Roomy::new());
    for number in 1..=4 {
        driver.seen(id(number), "", report(1, 1, State::Running, None));
    }
    let list = frame(Command::ListContainers, &[]);
    let Sent::Data(data) = driver.send(&list, id(9)) else {
        panic!("no list")
    };
    assert_eq!(data.len(), 4 * 33 - 1);

    let mut driver = Driver::new(Kernel::<16, 32, 16, 16, 1, 4096>::new());
    for number in 1..=8 {
        driver.seen(id(number), "", report(1, 1, State::Running, None));
    }
    assert_eq!(
        driver.send(&list, id(9)),
        Sent::Refused(Reason::SlotTooSmall, None)
    );
    let Sent::Data(data) = driver.send_in(&list, 5 + 8 * 33, id(9)) else {
        panic!("no list")
    };
    assert_eq!(data.len(), 8 * 33 - 1);
}

#[test]
fn a_submission_says_whether_outputs_wait() {
    let mut kernel = SmallKernel::new();
    for (text, waits) in [("x", false), ("nginx", true), ("x", true)] {
        let command = if text == "nginx" {
            Command::CreateContainer
        } else {
            Command::Ping
        };
        let slot = kernel.reserve(20).expect("a slot");
        let bytes = frame(command, &[text]);
        kernel.slot_mut(slot).expect("reserved")[..bytes.len()].copy_from_slice(&bytes);
        let input = Input::Submit {
            slot,
            frame_bytes: bytes.len() as u32,
            slot_use: SlotUse::Consume,
            new_id: id(1),
        };
        let submitted: Submitted = kernel.feed(input).expect("taken").expect("an outcome");
        assert_eq!(submitted.outputs_waiting, waits);
    }
}
