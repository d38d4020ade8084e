//! The shim's protocol: whoever connects to its control socket, and whatever a bridge sends, gets at most one answer, and
//! only a well-formed request is obeyed. Messages survive being written and read.
//!
//! The first byte says what the rest is meant to be.

use super::bytes::Bytes;
use selur_shim::{ControlRequest, ControlResponse, FailureKind, Launch, Life, Reply, Root, fuzzing};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::fs;

/// The longest request is one of so many bytes; the server reads 512 at once.
const MAX_REQUEST_BYTES: usize = 4096;
const PIECE_BYTES: usize = 512;
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=selur_shim::PROTOCOL_VERSION;

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.u8() % 6 {
        0 | 1 => connections(&mut bytes),
        2 => launch(bytes.rest()),
        3 => same::<ControlRequest>(bytes.rest()),
        4 => {
            same::<ControlResponse>(bytes.0);
            same::<Reply>(bytes.rest());
        }
        _ => life(bytes.rest()),
    }
}

/// Up to four peers, each with up to eight pieces.
fn connections(bytes: &mut Bytes<'_>) {
    let mut connections: Vec<Vec<Vec<u8>>> = vec![vec![]; 1 + bytes.below(4)];
    // The last one sends all that is left at once: a whole line, or one that is too long.
    let pieces = bytes.below(8);
    for _ in 0..pieces {
        let peer = bytes.below(connections.len());
        connections[peer].push(bytes.short().to_vec());
    }
    if let Some(last) = connections.last_mut() {
        let mut rest = bytes.rest().to_vec();
        if rest.last() == Some(&b'+') {
            rest = rest.repeat(1 + PIECE_BYTES.min(2 * MAX_REQUEST_BYTES / rest.len()));
        }
        last.push(rest);
    }

    let place = tempfile::tempdir().expect("a temporary directory");
    let root = Root::new(place.path());
    for directory in root.directories() {
        fs::create_dir(directory).expect("a directory of the root");
    }
    let home = root.home(selur_protocol::ContainerId::from_bytes([1; 16]));
    fs::create_dir_all(home.path()).expect("the container's directory");
    let served = fuzzing::serve(&home, &connections).expect("a control socket");

    for (served, pieces) in served.iter().zip(&connections) {
        let sent = pieces.concat();
        let line = sent.iter().position(|byte| *byte == b'\n');
        let wanted = line.and_then(|end| serde_json::from_slice::<ControlRequest>(&sent[..end]).ok());
        let wanted = wanted.filter(|request| VERSIONS.contains(&request.version));
        match line {
            Some(end) if end < MAX_REQUEST_BYTES => {
                let wanted: Vec<_> = wanted.into_iter().map(|request| request.command).collect();
                assert_eq!(served.commands, wanted);
            }
            // It depends on how the pieces fell.
            Some(end) if end < MAX_REQUEST_BYTES + 2 * PIECE_BYTES => {}
            _ => assert!(served.commands.is_empty() && served.answer.is_empty()),
        }
        if served.answer.is_empty() {
            continue;
        }
        let (end, line) = served.answer.split_last().expect("an answer");
        assert!(*end == b'\n' && !line.contains(&b'\n'), "more than one answer");
        let answer: ControlResponse = serde_json::from_slice(line).expect("an answer in JSON");
        match &served.commands[..] {
            [] => assert!(
                answer
                    .result
                    .is_err_and(|failure| failure.kind == FailureKind::BadRequest)
            ),
            [command] => assert_eq!(answer.result.is_ok(), command.version() == 1),
            several => panic!("one connection asked for {several:?}"),
        }
    }
}

fn launch(bytes: &[u8]) {
    match fuzzing::launch(bytes) {
        Ok(launch) => {
            assert!(VERSIONS.contains(&launch.version));
            let again: Launch = serde_json::from_slice(bytes).expect("it was read");
            assert_eq!(again, launch);
            same::<Launch>(bytes);
        }
        Err(failure) => assert!(
            matches!(failure.kind, FailureKind::BadRequest) && !failure.message.is_empty(),
            "{failure:?}"
        ),
    }
}

/// A container's life on disk: whatever the file holds is read or refused.
fn life(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory");
    let root = Root::new(place.path());
    for directory in root.directories() {
        fs::create_dir(directory).expect("a directory of the root");
    }
    let id = selur_protocol::ContainerId::from_bytes([1; 16]);
    fs::write(root.state(id), bytes).expect("a state file");
    if let Ok(life) = Life::read(&root, id) {
        let life = life.expect("the file exists");
        assert!(life.schema <= selur_shim::SCHEMA_VERSION);
        life.write(&root, id, selur_shim::Durability::Boot)
            .expect("written");
        assert_eq!(Life::read(&root, id).expect("read"), Some(life));
    }
}

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&message).expect("a message is JSON");
        let again: T = serde_json::from_slice(&written).expect("what was written is read");
        assert_eq!(again, message);
    }
}
