//! iceoryx2's request and response through shared memory, both sides polling without a pause, each on a processor of its own: what
//! two processes can reach if they burn two processors for it. The server checks that the bytes are text.

use crate::measure::{Outcome, PAYLOADS, Samples, expect, payload};
use crate::placement::Placement;
use crate::server::{Server, listens_at};
use iceoryx2::port::client::Client;
use iceoryx2::prelude::*;
use std::hint::spin_loop;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::time::Instant;

const MOST_BYTES: usize = PAYLOADS[PAYLOADS.len() - 1] + 1;
/// The first byte of a request.
const PING: u8 = 0;
const END: u8 = 1;

type Bytes = [u8];

pub(super) fn measure() -> Outcome<()> {
    let server = Server::start("iceoryx2", Placement::AcrossCpus)?;
    let folder = folder(std::process::id());
    let measured = converse(&server.address, &folder);
    let ended = measured.and_then(|()| server.wait());
    std::fs::remove_dir_all(folder)?;
    ended
}

/// Where both sides keep what they know of each other.
fn folder(client: u32) -> PathBuf {
    std::env::temp_dir().join(format!("selur-benchmarks-{client}"))
}

fn node(folder: &Path) -> Outcome<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    let folder = folder.to_str().ok_or("a path that is no UTF-8")?;
    config
        .global
        .set_root_path(&iceoryx2::prelude::Path::new(folder.as_bytes())?);
    Ok(NodeBuilder::new().config(&config).create()?)
}

fn converse(address: &str, folder: &Path) -> Outcome<()> {
    let node = node(folder)?;
    let service = node
        .service_builder(&address.try_into()?)
        .request_response::<Bytes, Bytes>()
        .open()?;
    let client = service
        .client_builder()
        .initial_max_slice_len(MOST_BYTES)
        .create()?;
    for bytes in PAYLOADS {
        let mut request = vec![PING];
        request.extend_from_slice(payload(bytes).as_bytes());
        let mut samples = Samples::new();
        while samples.are_wanted() {
            let began = Instant::now();
            let length = ask(&client, &request)?;
            samples.add(began.elapsed(), 1);
            expect(length == bytes, "its length")?;
        }
        samples.say("iceoryx2, both polling, across CPUs", bytes);
    }
    // A server that were killed would leave its shared memory behind.
    ask(&client, &[END])?;
    Ok(())
}

/// The length of the answer.
fn ask(client: &Client<ipc::Service, Bytes, (), Bytes, ()>, request: &[u8]) -> Outcome<usize> {
    let request = client.loan_slice_uninit(request.len())?.write_from_slice(request);
    let pending = request.send()?;
    loop {
        // Asking whether anybody is there is not free: seldom.
        for _ in 0..1_000_000 {
            if let Some(answer) = pending.receive()? {
                return Ok(answer.payload().len());
            }
            spin_loop();
        }
        expect(pending.is_connected(), "the server is gone")?;
    }
}

pub(super) fn serve() -> Outcome<()> {
    let node = node(&folder(parent_id()))?;
    let name = format!("selur-benchmarks/{}", std::process::id());
    let service = node
        .service_builder(&name.as_str().try_into()?)
        .request_response::<Bytes, Bytes>()
        .create()?;
    let server = service
        .server_builder()
        .initial_max_slice_len(MOST_BYTES)
        .create()?;
    listens_at(&name)?;
    loop {
        let Some(request) = server.receive()? else {
            spin_loop();
            continue;
        };
        let (command, text) = request.payload().split_first().ok_or("an empty request")?;
        let text = std::str::from_utf8(text)?.as_bytes();
        request
            .loan_slice_uninit(text.len())?
            .write_from_slice(text)
            .send()?;
        if *command == END {
            return Ok(());
        }
    }
}
