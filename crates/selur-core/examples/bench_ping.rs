//! What a ping costs from Rust, guest included: the figures that those of the bindings stand beside.
//!
//! `just bench` runs it. Each line: way, payload in bytes, p50, p99 and p99.9 in nanoseconds,
//! tab-separated; benchmarks/README.md says when a sample ends. A sample is the mean of [`batch`] pings, for one alone is
//! shorter than reading the clock twice. The ways are those of bindings/selur-ffi/benches/c/ping.c.

use selur_core::{Backend, Bridge, Command, Error, Frame, Slot};
use selur_protocol::HEADER_BYTES;
use std::hint::black_box;
use std::time::{Duration, Instant};

const PAYLOADS: [usize; 6] = [0, 100, 1_024, 10_240, 102_400, 262_144];
const MOST_SAMPLES: usize = 5_001;
const LEAST_SAMPLES: usize = 100;

fn main() -> Result<(), Error> {
    let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    for payload_bytes in PAYLOADS {
        let payload = vec![b'x'; payload_bytes];
        let mut frame = vec![0; HEADER_BYTES + payload_bytes];
        let _ = Frame::encode(Command::Ping, &[&payload], &mut frame);
        let report = |way: &str, ping: &mut dyn FnMut() -> Result<(), Error>| -> Result<(), Error> {
            println!("{way}\t{payload_bytes}\t{}", measure(batch(payload_bytes), ping)?);
            Ok(())
        };

        let mut slot = bridge.reserve(frame.len())?;
        slot.write_at(0, &frame)?;
        // The payload lies in the slot already: a program that uses slots makes it there.
        report("in place, one slot", &mut || in_place(&mut slot))?;
        report("in one slot, payload written each time", &mut || {
            slot.write_at(0, &frame)?;
            in_place(&mut slot)
        })?;
        drop(slot);
        // The same blocks are given out again, in which the frame still lies.
        report("in place, reserve + submit + release", &mut || {
            in_place(&mut bridge.reserve(frame.len())?)
        })?;
        report("by copy", &mut || {
            black_box(bridge.ping_with(&payload, |data| data.last().copied())?);
            Ok(())
        })?;
        report("by copy, and the answer kept", &mut || {
            black_box(bridge.call(&frame)?.data().last());
            Ok(())
        })?;
    }
    Ok(())
}

/// Submits the frame in a slot, and reads the answer's last byte.
fn in_place(slot: &mut Slot) -> Result<(), Error> {
    black_box(slot.exchange_with(|data| data.last().copied())?);
    Ok(())
}

/// How many pings a sample is the mean of: fewer long ones, each of which is long beside reading the clock.
fn batch(payload_bytes: usize) -> u32 {
    if payload_bytes > 10_240 { 5 } else { 50 }
}

/// The p50, the p99, and the p99.9 if there are samples enough for it.
fn measure(batch: u32, ping: &mut dyn FnMut() -> Result<(), Error>) -> Result<String, Error> {
    let most_seconds = std::env::var("SELUR_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let most = Duration::from_secs_f64(most_seconds.unwrap_or(1.0));
    let begin = Instant::now();
    let mut samples = Vec::with_capacity(MOST_SAMPLES);
    let mut warming_up = MOST_SAMPLES / 10;
    while samples.len() < MOST_SAMPLES && (samples.len() < LEAST_SAMPLES || begin.elapsed() < most) {
        let began = Instant::now();
        for _ in 0..batch {
            ping()?;
        }
        let nanoseconds = began.elapsed().as_nanos() as f64 / f64::from(batch);
        if warming_up > 0 && begin.elapsed() < most / 10 {
            warming_up -= 1;
        } else {
            warming_up = 0;
            samples.push(nanoseconds);
        }
    }
    samples.sort_by(f64::total_cmp);
    let at = |thousandths: usize| format!("{:.1}", samples[samples.len() * thousandths / 1_000]);
    let p999 = if samples.len() < 1_000 {
        String::new()
    } else {
        at(999)
    };
    Ok(format!("{}\t{}\t{p999}", at(500), at(990)))
}
