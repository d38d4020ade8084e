//! The native kernel beside the reference model of its own tests: what the input says is done to both, and after each
//! step everything is compared. Then the log is replayed by a fresh kernel, which must come to the same digests.
//!
//! The model is `crates/selur-kernel/tests/kernel/model.rs`, written by hand with maps and lists; it is not the one that
//! is proved. It does not predict the order of outputs among different tickets.

use super::bytes::Bytes;
use pair::{HOSTED, NAMES, Pair, Pick, REQUESTS, Step, Tiny};
use selur_kernel::{Entry, Input, SlotUse, Usage};
use selur_protocol::abi::{Action, Outcome, Report};
use selur_protocol::{
    Command, ContainerId, ContainerRef, Frame, MAX_FRAME_BYTES, Request, State, Status, Subject,
};

#[allow(dead_code, reason = "the kernel's own tests use the rest")]
#[path = "../../crates/selur-kernel/tests/kernel/driver.rs"]
mod driver;
#[path = "../../crates/selur-kernel/tests/kernel/model.rs"]
mod model;
#[path = "../../crates/selur-kernel/tests/kernel/moves.rs"]
mod moves;
#[path = "../../crates/selur-kernel/tests/kernel/pair.rs"]
mod pair;

use driver::Sent;
use model::Expected;

/// More steps than that only take time.
const MAX_STEPS: usize = 400;

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    if bytes.flag() {
        slots(&mut bytes);
    } else {
        lives(&mut bytes);
    }
}

fn lives(bytes: &mut Bytes<'_>) {
    let mut pair = Pair::new();
    let mut replayed = Tiny::new();
    // Slots lie elsewhere in the second kernel.
    for _ in 0..bytes.below(3) {
        replayed.reserve(1).expect("a slot");
    }
    for _ in 0..MAX_STEPS {
        if bytes.is_empty() {
            break;
        }
        let logged = pair.driver.log.len();
        match bytes.below(11) {
            9 => frame(&mut pair, bytes.short()),
            10 => used_twice(&mut pair, bytes),
            _ => pair.step(&step(bytes)),
        }
        replay(&mut replayed, &pair.driver.log[logged..]);
        assert_eq!(pair.driver.kernel.digest(), replayed.digest(), "after a replay");
    }
    let logged = pair.driver.log.len();
    pair.wind_up();
    replay(&mut replayed, &pair.driver.log[logged..]);
    assert_eq!(pair.driver.kernel.digest(), replayed.digest(), "after a replay");
    assert_eq!(pair.model.answered, pair.tickets, "a ticket was lost");
    assert_eq!(pair.driver.kernel.usage(), Usage::default());
    let whole = pair.driver.kernel.reserve(4096).expect("the whole arena");
    pair.driver.kernel.release(whole).expect("reserved");
}

fn replay(kernel: &mut Tiny, log: &[Vec<u8>]) {
    for bytes in log {
        let entry = Entry::decode(bytes).expect("a logged entry");
        // What was refused is logged too, and refused again.
        let _ = kernel.replay(&entry);
    }
}

fn step(bytes: &mut Bytes<'_>) -> Step {
    match bytes.below(24) {
        0..=2 => Step::Create {
            name: bytes.below(NAMES.len()),
        },
        3..=9 => Step::Ask {
            request: bytes.below(REQUESTS.len()),
            argument: pick(bytes),
        },
        10 => Step::Host {
            command: bytes.below(HOSTED.len()),
        },
        11 | 12 => Step::Cancel {
            ticket: pick(bytes),
            deadline: bytes.flag(),
        },
        13..=16 => Step::Complete {
            effect: pick(bytes),
            status: match bytes.u8() {
                0..=199 => Status::Success,
                other => Status::ALL[usize::from(other) % Status::ALL.len()],
            },
            report: bytes.flag().then(|| report(bytes)),
        },
        17 | 18 => Step::Seen {
            id: pick(bytes),
            name: bytes.below(NAMES.len()),
            report: report(bytes),
        },
        19 => Step::Gone { id: pick(bytes) },
        20..=22 => Step::Poll {
            outputs: 1 + bytes.below(5),
        },
        _ => Step::UseStale { number: bytes.u64() },
    }
}

fn pick(bytes: &mut Bytes<'_>) -> Pick {
    Pick(u32::from(bytes.u8()))
}

fn report(bytes: &mut Bytes<'_>) -> Report {
    Report {
        generation: u32::from(bytes.u8() % 4),
        sequence: u32::from(bytes.u8() % 6),
        state: bytes.one_of(&State::ALL),
        exit_code: bytes.flag().then(|| i32::from(bytes.u8()) - 2),
    }
}

/// Any bytes as a frame: the protocol says what they ask for, the model what comes of it.
fn frame(pair: &mut Pair, bytes: &[u8]) {
    let id = pair.new_id();
    let sent = pair.driver.send(bytes, id);
    let ticket = match sent {
        Sent::Pending(ticket) => Some(ticket),
        _ => None,
    };
    let model = &mut pair.model;
    let request = Frame::parse(bytes).and_then(|frame| Request::parse(&frame));
    let text = |container: ContainerRef<'_>| match container {
        ContainerRef::Id(id) => id.to_string(),
        ContainerRef::Name(name) => name.to_owned(),
    };
    let mut ask = |container, action| model.ask(&text(container), action, ticket);
    let expected = match request {
        Err(reason) => Expected::Refused(reason, None),
        Ok(Request::Ping(text)) => Expected::Data(text.as_bytes().to_vec()),
        Ok(Request::List) => {
            let ids: Vec<String> = pair.model.list().iter().map(ContainerId::to_string).collect();
            Expected::Data(ids.join("\n").into_bytes())
        }
        Ok(Request::Create { name, .. }) => {
            pair.model
                .create(id, name.map_or("", |name| name.as_str()), ticket)
        }
        Ok(Request::Start(it)) => ask(it, Some(Action::Start)),
        Ok(Request::Stop {
            container,
            timeout_ms,
        }) => ask(container, Some(Action::Stop { timeout_ms })),
        Ok(Request::Inspect(it)) => ask(it, Some(Action::Inspect)),
        Ok(Request::Delete { container, force }) => ask(container, Some(Action::Delete { force })),
        Ok(Request::Kill { container, signal }) => ask(container, Some(Action::Kill { signal })),
        Ok(Request::Pause(it)) => ask(it, Some(Action::Pause)),
        Ok(Request::Resume(it)) => ask(it, Some(Action::Resume)),
        Ok(Request::Wait(it)) => ask(it, None),
        Ok(Request::Hosted(hosted)) => match hosted.subject {
            Subject::Container(it) => ask(it, Some(Action::Host(hosted.command))),
            _ => pair.model.host(hosted.command, ticket),
        },
    };
    pair.check(&sent, expected);
}

/// A slot is released, and then nothing takes its handle any more.
fn used_twice(pair: &mut Pair, bytes: &mut Bytes<'_>) {
    let kernel = &mut pair.driver.kernel;
    let slot = kernel.reserve(u32::from(bytes.u8())).expect("a slot");
    kernel.release(slot).expect("reserved");
    let before = kernel.digest();
    let input = Input::Submit {
        slot,
        frame_bytes: u32::from(bytes.u8()),
        slot_use: SlotUse::Consume,
        new_id: ContainerId::from_bytes([0xee; 16]),
    };
    assert!(kernel.release(slot).is_err() && kernel.slot_mut(slot).is_err() && kernel.entry(input).is_err());
    let submitted = kernel.feed(input).expect("never refused").expect("an outcome");
    assert!(matches!(submitted.outcome, Outcome::Ready { bytes: 0, .. }));
    assert_eq!(kernel.digest(), before);
}

/// A slot that the fuzzer holds.
struct Held {
    handle: u64,
    bytes: usize,
    is_answered: bool,
    mark: u8,
}

/// Slots of any sizes, written, submitted and released in any order: no byte belongs to two, nothing is written but the
/// answer in its own slot, and in the end the arena is one gap.
fn slots(bytes: &mut Bytes<'_>) {
    let mut kernel = Tiny::new();
    let mut held: Vec<Held> = Vec::new();
    let mut mark = 0;
    for _ in 0..MAX_STEPS {
        if bytes.is_empty() {
            break;
        }
        let choice = bytes.u8();
        match choice % 4 {
            0 => {
                let wanted = match bytes.u8() {
                    250.. => bytes.u32(),
                    small => u32::from(small) * 21,
                };
                match kernel.reserve(wanted) {
                    Ok(handle) => {
                        mark = u8::max(1, u8::wrapping_add(mark, 1));
                        let slot = kernel.slot_mut(handle).expect("just given out");
                        assert!(slot.len() >= wanted as usize && slot.len() < wanted as usize + 512);
                        slot.fill(mark);
                        held.push(Held {
                            handle,
                            bytes: slot.len(),
                            is_answered: false,
                            mark,
                        });
                    }
                    Err(_) => assert!(wanted as usize > MAX_FRAME_BYTES || !held.is_empty() || wanted > 4096),
                }
            }
            1 if !held.is_empty() => {
                let slot = held.swap_remove(bytes.below(held.len()));
                kernel.release(slot.handle).expect("held");
                kernel.release(slot.handle).expect_err("released");
            }
            2 if !held.is_empty() => {
                let chosen = bytes.below(held.len());
                submit(&mut kernel, &mut held[chosen], bytes);
            }
            _ => {
                let stale = bytes.u64();
                if held.iter().all(|slot| slot.handle != stale) {
                    kernel.release(stale).expect_err("never given out");
                    assert!(!kernel.ping(stale, 5));
                }
            }
        }
        for slot in held.iter().filter(|slot| !slot.is_answered) {
            let content = kernel.slot_mut(slot.handle).expect("reserved");
            assert_eq!(content.len(), slot.bytes);
            assert!(
                content.iter().all(|byte| *byte == slot.mark),
                "written by another"
            );
        }
        let blocks: usize = held
            .iter()
            .map(|slot| slot.bytes / selur_kernel::BLOCK_BYTES)
            .sum();
        assert_eq!(kernel.usage().blocks as usize, blocks);
        assert_eq!(kernel.usage().slots as usize, held.len());
    }
    for slot in held {
        kernel.release(slot.handle).expect("held");
    }
    assert_eq!(kernel.usage(), Usage::default());
    kernel.reserve(4096).expect("the whole arena");
}

/// A ping, truthful or not, in a held slot; one that is kept is filled with its mark again.
fn submit(kernel: &mut Tiny, slot: &mut Held, bytes: &mut Bytes<'_>) {
    let slot_use = if bytes.flag() {
        SlotUse::Keep
    } else {
        SlotUse::Consume
    };
    let payload = usize::from(bytes.u8()) * 16;
    let frame_bytes = if bytes.flag() {
        bytes.u32()
    } else {
        payload as u32 + 5
    };
    let input = Input::Submit {
        slot: slot.handle,
        frame_bytes,
        slot_use,
        new_id: ContainerId::from_bytes([1; 16]),
    };
    if slot.is_answered {
        kernel.slot_mut(slot.handle).expect_err("answered");
        let submitted = kernel.feed(input).expect("never refused").expect("an outcome");
        assert!(matches!(submitted.outcome, Outcome::Ready { bytes: 0, .. }));
        return;
    }
    let place = kernel.slot_mut(slot.handle).expect("reserved");
    place[..5].copy_from_slice(&[Command::Ping.code(), 0, 0, 0, 0]);
    place[1..5].copy_from_slice(&(payload as u32).to_le_bytes());
    // Marks from 0x80 on are no UTF-8.
    let is_text = payload == 0 || slot.mark < 0x80;
    let succeeds = frame_bytes as usize == payload + 5 && payload + 5 <= slot.bytes && is_text;
    assert_eq!(kernel.ping(slot.handle, frame_bytes), succeeds);
    let submitted = kernel.feed(input).expect("never refused").expect("an outcome");
    let Outcome::Ready {
        offset,
        bytes: answered,
        status,
        ..
    } = submitted.outcome
    else {
        panic!("a ping got a ticket")
    };
    assert_eq!(status == Status::Success, succeeds, "{submitted:?}");
    assert!(answered as usize <= slot.bytes && (answered == 1 || succeeds));
    let answer = &kernel.arena()[offset as usize..][..answered as usize];
    assert_eq!(answer[0], status.code());
    assert!(answer[1..].iter().all(|byte| *byte == slot.mark));
    match slot_use {
        SlotUse::Consume => slot.is_answered = true,
        SlotUse::Keep => kernel.slot_mut(slot.handle).expect("kept").fill(slot.mark),
    }
}
