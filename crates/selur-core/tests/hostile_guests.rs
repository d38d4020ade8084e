//! Guests that lie, trap or never return: each gives a typed error that says what it did, never a crash, a hang or a
//! wrong read.
//!
//! Each `.wat` file in `guests/` replaces parts of `guests/skeleton.wat`; the table below says what is asked of it.

mod support;

use selur_core::{Backend, Bridge, Error, Guest, Status, Submission};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use support::{PATIENCE, Scripted};

const PING: &[u8] = &[0x00, 2, 0, 0, 0, b'h', b'i'];
const START: &[u8] = &[0x02, 3, 0, 0, 0, b'w', b'e', b'b'];

/// What is asked of a guest.
#[derive(Clone, Copy, Debug)]
enum Ask {
    /// To be loaded.
    Load(Status),
    /// A ping.
    Ping,
    /// The first byte of a ping, in a slot.
    Stump,
    /// A start, to be answered.
    Start,
    /// A start, with a deadline that passes.
    StartInVain,
    /// A ping, then a slot.
    Slot,
    /// A ping, then a slot that is dropped.
    Release,
}
use Ask::{Load, Ping, Release, Slot, Start, StartInVain, Stump};

const REFUSED: Ask = Load(Status::InvalidRequest);
const FAILS: Ask = Load(Status::InternalError);

const GUESTS: &[(&str, Ask, &str)] = &[
    (
        "import",
        REFUSED,
        "it imports env.clock, and a guest must import nothing",
    ),
    (
        "growing_memory",
        REFUSED,
        "its memory has 16 pages and grows to 32",
    ),
    (
        "endless_memory",
        REFUSED,
        "its memory has 16 pages and grows without end",
    ),
    ("small_memory", REFUSED, "its memory has 1 pages"),
    (
        "other_version",
        REFUSED,
        "it speaks version 2 of the guest ABI, this host version 1",
    ),
    ("missing_export", REFUSED, "it lacks the export selur_digest"),
    (
        "wrong_signature",
        REFUSED,
        "its selur_digest has another signature",
    ),
    (
        "export_is_no_function",
        REFUSED,
        "its selur_digest is no function",
    ),
    (
        "mailbox_outside",
        REFUSED,
        "its mailbox at 1048575 is not within its memory",
    ),
    (
        "arena_outside",
        REFUSED,
        "its arena of 1048576 bytes at 131072 is not within its memory",
    ),
    ("arena_over_mailbox", REFUSED, "its mailbox and its arena overlap"),
    ("traps_at_start", FAILS, "unreachable"),
    ("loops_at_start", FAILS, "it exceeded the budget"),
    ("huge_table", FAILS, "table"),
    ("trap", Ping, "it trapped: wasm trap: wasm `unreachable`"),
    ("trap_in_ping", Ping, "it trapped: wasm trap: wasm `unreachable`"),
    ("ping_gives_two", Ping, "its ping gave 2 for 7 bytes"),
    ("ping_without_header", Stump, "its ping gave 1 for 1 bytes"),
    ("endless_loop", Ping, "it exceeded the budget of"),
    (
        "endless_recursion",
        Ping,
        "it recursed beyond its stack of 65536 bytes",
    ),
    (
        "out_of_bounds",
        Ping,
        "it trapped: wasm trap: out of bounds memory access",
    ),
    ("meaningless_word", Ping, "which means nothing"),
    ("unknown_status", Ping, "which means nothing"),
    (
        "lying_pointer",
        Ping,
        "it answered with 100 bytes at 0, which are not within the request's slot",
    ),
    (
        "lying_length",
        Ping,
        "it answered with 524287 bytes at 131076, which are not within the request's slot",
    ),
    ("no_length", Ping, "it answered with 0 bytes at 131076"),
    ("slot_outside", Ping, "which is not within its arena"),
    ("overlapping_slots", Slot, "which overlaps another"),
    ("refuses_release", Release, "it refused to take a slot back"),
    (
        "never_answers",
        StartInVain,
        "it left the cancelled ticket 7 unanswered",
    ),
    (
        "refuses_cancel",
        StartInVain,
        "it refused to cancel the open ticket 7",
    ),
    (
        "unknown_reason",
        StartInVain,
        "it gave 200, which is no reason's code",
    ),
    (
        "forgets_completion",
        StartInVain,
        "it left the cancelled ticket 7 unanswered",
    ),
    (
        "answers_twice",
        Start,
        "it answered the ticket 7, which was answered before or never given",
    ),
    (
        "answers_unknown_ticket",
        Start,
        "it answered the ticket 9, which was answered before or never given",
    ),
    (
        "answers_with_an_id",
        Start,
        "it answered the ticket 7 with what another command is answered with",
    ),
    (
        "answers_with_no_data",
        Start,
        "it answered the ticket 7 with what another command is answered with",
    ),
    (
        "fails_with_success",
        Start,
        "with a status that is not the reason's",
    ),
    ("garbage", Start, "its poll gave bytes that are no output"),
    ("unknown_command", Start, "its poll gave bytes that are no output"),
    ("half_an_output", Start, "its poll gave 35 bytes"),
    ("too_many_outputs", Start, "its poll gave 4104 bytes"),
    ("create_from_outside", Start, "which are not within its arena"),
    ("create_from_the_mailbox", Start, "which are not within its arena"),
    ("create_from_garbage", Start, "bytes that are no create request"),
    (
        "aborts_unknown_effect",
        Start,
        "it aborted the effect 9, which is not running",
    ),
    (
        "same_effect_twice",
        Start,
        "it asked for the effect 7 while that was running",
    ),
    ("hosts_unasked", Start, "it asked for exec unasked"),
    ("hosts_for_nobody", Start, "it asked for delete_image unasked"),
    ("endless_outputs", Start, "its outputs never end"),
    (
        "garbage_for_the_second",
        Start,
        "its poll gave bytes that are no output",
    ),
    (
        "refuses_completion",
        Start,
        "it refused the completion of its effect 7",
    ),
    (
        "unknown_completion_reason",
        Start,
        "it gave 200, which is no reason's code",
    ),
];

#[test]
fn every_hostile_guest_gives_an_error_that_says_what_it_did() {
    for (name, ask, words) in GUESTS {
        let error = match provoke(&guest(name), *ask) {
            Ok(what) => panic!("{name}: {what}"),
            Err(error) => error,
        };
        let status = match ask {
            Load(status) => *status,
            _ => Status::InternalError,
        };
        assert_eq!(error.status(), status, "{name}: {error}");
        assert!(error.message().contains(words), "{name}: {error}");
    }
}

#[test]
fn every_file_of_a_guest_is_in_the_table() {
    let files = fs::read_dir(folder()).expect("guests/").map(|entry| {
        let path = entry.expect("an entry").path();
        path.file_stem().expect("a name").to_string_lossy().into_owned()
    });
    let files: BTreeSet<String> = files.filter(|name| name != "skeleton").collect();
    let table: BTreeSet<String> = GUESTS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(files, table);
}

#[test]
fn bytes_that_are_no_module_are_refused() {
    for bytes in [&b""[..], b"hello", b"\0asm\x01\0\0\0\xff"] {
        let built = Bridge::builder()
            .backend(Backend::Simulated)
            .guest(Guest::Bytes(bytes.to_vec()))
            .build();
        let error = built.expect_err("it is no guest");
        assert_eq!(error.status(), Status::InvalidRequest, "{error}");
        assert!(error.message().contains("the guest is refused"), "{error}");
    }
}

#[test]
fn a_guest_of_too_many_bytes_is_refused_before_it_is_compiled() {
    let guest = Guest::Bytes(vec![0; (4 << 20) + 1]);
    let error = load(&guest).expect_err("it is too long");
    assert_eq!(error.status(), Status::InvalidRequest);
    assert!(error.message().contains("4194305 bytes"), "{error}");
}

#[test]
fn a_file_that_is_missing_is_named() {
    let guest = Guest::Path("no/such/guest.wasm".into());
    let error = load(&guest).expect_err("there is no such file");
    assert_eq!(error.status(), Status::InvalidRequest);
    assert!(error.message().contains("no/such/guest.wasm"), "{error}");
}

#[test]
fn a_broken_guest_answers_every_open_ticket_and_every_later_call() {
    // Both wait for the first listing, and go to the guest one after another.
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let runtime = Scripted {
        lists: Box::new(move || {
            let _ = gate.lock().expect("the gate").recv();
            Ok(Vec::new())
        }),
        ..Scripted::obedient()
    };
    let bridge = Bridge::builder()
        .backend(Backend::Custom(std::sync::Arc::new(runtime)))
        .guest(guest("never_answers"))
        .build()
        .expect("it loads");
    let open = bridge.submit(START).expect("submitted");
    let queued = bridge.submit_to_queue(START).expect("submitted");
    drop(let_go);
    // The guest gives the same ticket for the second request.
    let response = open.wait();
    assert_eq!(response.status(), Status::InternalError);
    let words = response.message().expect("a message");
    assert!(
        words.contains("it gave the open ticket 7 a second time"),
        "{words}"
    );

    assert!(bridge.completions().wait(Some(PATIENCE)));
    let completions = bridge.completions().drain(10);
    assert_eq!(completions.len(), 1);
    assert_eq!(completions[0].ticket, queued);
    assert_eq!(completions[0].response.status(), Status::InternalError);

    for error in [
        bridge.call(PING).expect_err("it is broken"),
        bridge.submit(START).expect_err("it is broken"),
        bridge.submit_to_queue(START).expect_err("it is broken"),
        bridge.reserve(7).expect_err("it is broken"),
        bridge.state_digest().expect_err("it is broken"),
    ] {
        assert_eq!(error.status(), Status::InternalError);
        assert!(error.message().contains("build another one"), "{error}");
    }
    bridge.close();
    let error = bridge.call(PING).expect_err("it is closed");
    assert_eq!(error.status(), Status::InvalidRequest);
}

#[test]
fn a_ticket_that_is_never_answered_ends_with_the_bridge() {
    let bridge = load(&guest("never_answers")).expect("it loads");
    let mut ticket = bridge.submit(START).expect("submitted");
    bridge.close();
    // Cancelled if it had not reached the guest yet.
    let response = ticket.wait_for(PATIENCE).expect("an answer");
    assert!(
        matches!(response.status(), Status::Cancelled | Status::InternalError),
        "{response:?}"
    );
}

#[test]
fn a_request_that_breaks_the_guest_as_it_is_taken_is_answered_once() {
    let bridge = load(&guest("garbage_for_the_second")).expect("it loads");
    bridge.call(START).expect("answered");
    let ticket = bridge.submit_to_queue(START).expect("it was taken");
    let completions = bridge.completions().drain(10);
    assert_eq!(completions.len(), 1);
    assert_eq!(completions[0].ticket, ticket);
    assert_eq!(completions[0].response.status(), Status::InternalError);
}

#[test]
fn an_answer_in_the_memory_of_a_guest_that_broke_since_is_an_internal_error() {
    let bridge = load(&guest("refuses_release")).expect("it loads");
    let mut slot = bridge.reserve(PING.len()).expect("a slot");
    slot.write_at(0, PING).expect("written");
    let Submission::Ready(answer) = slot.submit().expect("submitted") else {
        panic!("this guest answers at once");
    };
    assert_eq!(answer.status(), Status::Success);
    drop(bridge.reserve(64).expect("a slot"));
    assert_eq!(answer.with(<[u8]>::len), None);
    assert_eq!(answer.to_response().status(), Status::InternalError);
}

/// What a hostile guest answered although it should not, or the error.
fn provoke(guest: &Guest, ask: Ask) -> Result<String, Error> {
    let bridge = load(guest)?;
    match ask {
        Load(_) => Ok("it was loaded".into()),
        Ping => bridge.call(PING).map(|response| format!("{response:?}")),
        Stump => {
            let mut slot = bridge.reserve(1)?;
            slot.write_at(0, &PING[..1])?;
            slot.exchange().map(|exchanged| format!("{exchanged:?}"))
        }
        Start => {
            let mut ticket = bridge.submit(START)?;
            let first = match ticket.wait_for(PATIENCE) {
                Some(response) => response,
                None => return Ok("the ticket is still open".into()),
            };
            // What was answered before the guest broke was answered rightly; what comes then is not.
            first.into_result()?;
            let second = bridge.call(PING)?;
            second.into_result().map(|data| format!("{data:?}"))
        }
        StartInVain => {
            let hasty = bridge.with_deadline(Some(Duration::from_millis(200)));
            let mut ticket = hasty.submit(START)?;
            match ticket.wait_for(PATIENCE) {
                Some(response) => response.into_result().map(|data| format!("{data:?}")),
                None => Ok("the ticket is still open".into()),
            }
        }
        Slot => {
            bridge.call(PING)?;
            bridge.reserve(64).map(|slot| format!("{slot:?}"))
        }
        Release => {
            bridge.call(PING)?;
            drop(bridge.reserve(64)?);
            bridge.call(PING).map(|response| format!("{response:?}"))
        }
    }
}

fn load(guest: &Guest) -> Result<Bridge, Error> {
    Bridge::builder()
        .backend(Backend::Simulated)
        .guest(guest.clone())
        .build()
}

/// The skeleton with the parts that a file replaces.
fn guest(name: &str) -> Guest {
    let read = |name: &str| fs::read_to_string(folder().join(format!("{name}.wat"))).expect("a guest");
    let replaced = parts(&read(name));
    let mut used = BTreeSet::new();
    let mut text = String::new();
    let skeleton = read("skeleton");
    let skeleton = &skeleton[skeleton.find("(module").expect("a module")..];
    for (position, piece) in skeleton.split('«').enumerate() {
        let Some((place, rest)) = piece.split_once('»').filter(|_| position > 0) else {
            text.push_str(piece);
            continue;
        };
        let (key, usual) = place.split_once(':').expect("a name");
        let replacement = replaced.iter().find(|(replaced, _)| replaced == key);
        text.push_str(replacement.map_or(usual, |(_, part)| part));
        text.push_str(rest);
        used.extend(replacement.map(|(key, _)| key.clone()));
    }
    assert_eq!(
        used.len(),
        replaced.len(),
        "{name} replaces what the skeleton lacks"
    );
    Guest::Bytes(wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}")))
}

/// `name: part`, the part going on over lines that are indented.
fn parts(text: &str) -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(";;")) {
        match (line.split_once(':'), parts.last_mut()) {
            (_, Some((_, part))) if line.starts_with(' ') => {
                part.push('\n');
                part.push_str(line);
            }
            (Some((key, part)), _) => parts.push((key.to_owned(), part.to_owned())),
            _ => {}
        }
    }
    parts
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/guests")
}
