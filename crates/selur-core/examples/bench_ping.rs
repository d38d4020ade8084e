//! What a ping costs from Rust, guest included: the figures that those of the bindings stand beside.
//!
//! `just bench-bindings` runs it. Each line: way, payload in bytes, p50 and p99 in nanoseconds, tab-separated. A sample is
//! the mean of [`BATCH`] pings, for one alone is shorter than reading the clock twice. The ways are those of
//! bindings/selur-ffi/benches/c/ping.c.

use selur_core::{Backend, Bridge, Command, Error, Frame, Slot};
use selur_protocol::HEADER_BYTES;
use std::hint::black_box;
use std::time::Instant;

const SAMPLES: usize = 5_001;
const BATCH: u32 = 50;

fn main() -> Result<(), Error> {
    let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    for payload_bytes in [0, 100, 1_024, 10_240] {
        let payload = vec![b'x'; payload_bytes];
        let mut frame = vec![0; HEADER_BYTES + payload_bytes];
        let _ = Frame::encode(Command::Ping, &[&payload], &mut frame);
        let report = |way: &str, ping: &mut dyn FnMut() -> Result<(), Error>| -> Result<(), Error> {
            let (p50, p99) = measure(ping)?;
            println!("{way}\t{payload_bytes}\t{p50:.1}\t{p99:.1}");
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

/// The p50 and the p99.
fn measure(ping: &mut dyn FnMut() -> Result<(), Error>) -> Result<(f64, f64), Error> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for sample in 0..SAMPLES + SAMPLES / 10 {
        let began = Instant::now();
        for _ in 0..BATCH {
            ping()?;
        }
        // The first ones warm up.
        if sample >= SAMPLES / 10 {
            samples.push(began.elapsed().as_nanos() as f64 / f64::from(BATCH));
        }
    }
    samples.sort_by(f64::total_cmp);
    Ok((samples[SAMPLES / 2], samples[SAMPLES * 99 / 100]))
}
