//! What containers write.

use crate::support::*;
use futures_util::StreamExt;
use selur_protocol::Signal;
use selur_runtime::{LogOptions, Operation, OutputStream, Runtime};

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_told_apart_line_by_line_and_byte_by_byte() {
    let world = World::new().await;
    let id = world
        .run("printf 'one\\ntwo\\n'; printf 'bad\\n' >&2; printf '\\000\\377'; exit 3")
        .await;
    world.ended(id).await;
    assert_eq!(world.log(id, OutputStream::Stderr).await, "bad\n");
    let entries = world.entries(id, LogOptions::default()).await;
    let out: Vec<_> = entries
        .iter()
        .filter(|entry| entry.stream == OutputStream::Stdout)
        .map(|entry| entry.bytes.clone())
        .collect();
    assert_eq!(out, [b"one\n".to_vec(), b"two\n".to_vec(), b"\0\xff".to_vec()]);
    assert!(entries.windows(2).all(|pair| pair[0].time_ns <= pair[1].time_ns));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_are_had_on_request() {
    let world = World::new().await;
    let id = world
        .run("for i in 1 2 3 4 5; do echo line $i; done; printf open")
        .await;
    world.ended(id).await;
    for (lines, text) in [
        (0, ""),
        (1, "open"),
        (3, "line 4\nline 5\nopen"),
        (99, "line 1\nline 2\nline 3\nline 4\nline 5\nopen"),
    ] {
        let options = LogOptions {
            tail_lines: Some(lines),
            ..LogOptions::default()
        };
        let bytes: Vec<u8> = world
            .entries(id, options)
            .await
            .into_iter()
            .flat_map(|entry| entry.bytes)
            .collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), text, "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_everything_across_files_until_the_end() {
    // 12 MiB, so that a second log file is begun.
    const LINES: usize = 96 << 10;
    let world = World::new().await;
    let filler = "x".repeat(120);
    let script = format!("i=0; while [ $i -lt {LINES} ]; do echo $i {filler}; i=$((i+1)); done");
    let id = world.create(shell(&script)).await;
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut stream = world.oci.logs(id, follow).await.unwrap();
    world.perform(id, Operation::Start).await.unwrap();
    let mut line = Vec::new();
    let mut next = 0;
    let reading = async {
        while let Some(entry) = stream.next().await {
            line.extend(entry.unwrap().bytes);
            if line.ends_with(b"\n") {
                let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                assert_eq!(text, format!("{next} {filler}\n"));
                next += 1;
            }
        }
    };
    tokio::time::timeout(DEADLINE * 3, reading)
        .await
        .expect("the log ends");
    assert_eq!(next, LINES);
    let files = selur_shim::log::file_numbers(&world.root().home(id).logs()).unwrap();
    assert_eq!(files, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn moment_and_stream_are_chosen_on_request() {
    let world = World::new().await;
    let script =
        "trap 'echo late; echo bad >&2; exit 0' USR1; echo early; while :; do sleep 1000 & wait $!; done";
    let id = world.create(shell(script)).await;
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut stream = world.oci.logs(id, follow).await.unwrap();
    world.perform(id, Operation::Start).await.unwrap();
    // Read by the shim before the rest is written, so that it has another moment.
    assert_eq!(stream.next().await.unwrap().unwrap().bytes, b"early\n");
    let signal = Signal::parse("USR1").unwrap();
    world.perform(id, Operation::Kill { signal }).await.unwrap();
    world.ended(id).await;
    let all = world.entries(id, LogOptions::default()).await;
    let late = all.iter().find(|entry| entry.bytes == b"late\n").unwrap();
    let since = LogOptions {
        since_ns: Some(late.time_ns),
        stderr: false,
        ..LogOptions::default()
    };
    assert_eq!(world.entries(id, since).await, std::slice::from_ref(late));
    let none = LogOptions {
        stdout: false,
        stderr: false,
        follow: true,
        ..LogOptions::default()
    };
    assert_eq!(world.entries(id, none).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_the_rotation_overtakes_is_told() {
    let world = World::new().await;
    let id = world
        .create(shell(
            "yes | head -c 200; echo ready; sleep 0.01; yes | head -c 15000000; exit 0",
        ))
        .await;
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut stream = world.oci.logs(id, follow).await.unwrap();
    world.perform(id, Operation::Start).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    // Lines of two bytes take fifteen each in the files, whose first ones are gone by now.
    world.ended(id).await;
    let mut error = None;
    while let Some(entry) = stream.next().await {
        error = entry.err();
    }
    assert_eq!(error.unwrap().status(), selur_protocol::Status::ResourceExhausted);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_containers_that_write_at_once_lose_and_reorder_nothing() {
    const LINES: usize = 2_000;
    let world = World::new().await;
    let script = format!("i=0; while [ $i -lt {LINES} ]; do echo $i; echo $i >&2; i=$((i+1)); done");
    let one = async || {
        let id = world.create(shell(&script)).await;
        let follow = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let mut stream = world.oci.logs(id, follow).await.unwrap();
        world.perform(id, Operation::Start).await.unwrap();
        let mut next = [0; 2];
        let mut last_ns = 0;
        while let Some(entry) = stream.next().await {
            let entry = entry.unwrap();
            let next = &mut next[usize::from(entry.stream == OutputStream::Stderr)];
            assert_eq!(entry.bytes, format!("{next}\n").into_bytes());
            *next += 1;
            assert!(last_ns <= entry.time_ns);
            last_ns = entry.time_ns;
        }
        assert_eq!(next, [LINES; 2]);
    };
    let all = futures_util::future::join_all((0..20).map(|_| one()));
    tokio::time::timeout(DEADLINE * 3, all)
        .await
        .expect("the logs end");
}
