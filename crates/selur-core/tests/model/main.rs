//! The kernel and the shipped guest do what the proven model does, trace by trace.
//!
//! guest/proofs/traces.ml, which runs the model that the proofs are about, writes every sequence of inputs up to a depth
//! with the model's answers. Here the native kernel replays them in the model's capacities, and guest/selur.wasm those of
//! the full capacities: answer for answer, and the same digest of the logical state after each. `just verify` makes
//! the traces and names their directory in `SELUR_TRACES`; else the committed samples are replayed.

mod machine;
mod native;
mod player;
mod trace;
mod wasm;

use native::{Full, Small};
use player::Player;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use trace::{Line, Scene};

/// The traces of this kind, and whether they are all of them.
fn traces(kind: &str) -> (Lines<BufReader<File>>, bool) {
    let all = std::env::var_os("SELUR_TRACES");
    let path = match &all {
        Some(directory) => PathBuf::from(directory).join(format!("{kind}.txt")),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../guest/proofs/samples")
            .join(format!("{kind}.txt")),
    };
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (BufReader::new(file).lines(), all.is_some())
}

/// The fewest traces that prove anything.
fn least(is_all: bool, all: usize) -> usize {
    if is_all { all } else { 500 }
}

#[test]
fn the_native_kernel_answers_every_trace_as_the_model_does() {
    let (lines, is_all) = traces("small");
    let mut path: Vec<Player<Small>> = vec![];
    let mut count = 0;
    for text in lines {
        let text = text.expect("text");
        if let Some(scene) = Scene::parse(&text) {
            assert_eq!(scene, native::SMALL, "the capacities of the traces");
            path.clear();
            continue;
        }
        let line = Line::parse(&text);
        path.truncate(line.depth - 1);
        let mut player = path.last().cloned().unwrap_or_else(|| Player::new(Small::new()));
        player.play(&line, &text);
        player.compare(&line, &text);
        path.push(player);
        count += 1;
    }
    println!("{count} traces, native");
    assert!(count >= least(is_all, 100_000), "only {count} traces");
}

#[test]
fn the_shipped_guest_answers_every_trace_as_the_model_and_the_native_kernel_do() {
    let (lines, is_all) = traces("full");
    let mut guests = wasm::Guests::load();
    let mut path: Vec<String> = vec![];
    let mut natives: Vec<Player<Full>> = vec![];
    let mut running: Option<Player<wasm::Guest>> = None;
    let mut count = 0;
    for text in lines {
        let text = text.expect("text");
        if let Some(scene) = Scene::parse(&text) {
            assert_eq!(scene, native::FULL, "the capacities of the traces");
            (path, natives, running) = (vec![], vec![], None);
            continue;
        }
        let line = Line::parse(&text);
        let goes_on = line.depth == path.len() + 1;
        path.truncate(line.depth - 1);
        natives.truncate(line.depth - 1);
        // A trace begins in a fresh guest, unless it goes on from the last one.
        let mut guest = running.take().filter(|_| goes_on).unwrap_or_else(|| {
            let mut guest = Player::new(guests.start());
            path.iter().for_each(|step| guest.play(&Line::parse(step), step));
            guest
        });
        guest.play(&line, &text);
        let mut native = natives
            .last()
            .cloned()
            .unwrap_or_else(|| Player::new(Full::new()));
        native.play(&line, &text);
        native.compare(&line, &text);
        assert_eq!(
            guest.digest(),
            native.digest(),
            "the digests of guest and native kernel: {text}"
        );
        natives.push(native);
        running = Some(guest);
        path.push(text);
        count += 1;
    }
    println!("{count} traces, guest");
    assert!(count >= least(is_all, 40_000), "only {count} traces");
}
