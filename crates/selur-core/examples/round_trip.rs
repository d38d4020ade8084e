//! What a request costs through the bridge, guest included: pings by copy and in place, and requests with effects on the
//! simulated backend.
//!
//! `cargo run --release -p selur-core --example round_trip`

use selur_core::{Backend, Bridge, Command, Deletion, Error, Submission};
use selur_protocol::{Frame, HEADER_BYTES};
use std::time::Instant;

/// Rounds of each measurement, of which the median is printed.
const ROUNDS: usize = 51;

fn main() -> Result<(), Error> {
    let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    println!("median of {ROUNDS} rounds, in ns for each request");
    for payload_bytes in [0, 100, 1_024, 10_240] {
        let payload = vec![b'x'; payload_bytes];
        let mut frame = vec![0; HEADER_BYTES + payload_bytes];
        let _ = Frame::encode(Command::Ping, &[&payload], &mut frame);
        report(&format!("ping of {payload_bytes} bytes, by copy"), 2_000, || {
            bridge.call(&frame).map(drop)
        })?;
        let mut held = Some(bridge.reserve(frame.len())?);
        report(
            &format!("ping of {payload_bytes} bytes, in one slot"),
            2_000,
            || {
                let Some(mut slot) = held.take() else {
                    return Ok(());
                };
                slot.write_at(0, &frame)?;
                if let Submission::Ready(answer) = slot.submit()? {
                    std::hint::black_box(answer.with(|data| data.len()));
                    held = Some(answer.into_slot());
                }
                Ok(())
            },
        )?;
    }
    let container = bridge.create_container("nginx")?.to_string();
    report("inspect, simulated", 100, || {
        bridge.inspect_json(&container).map(drop)
    })?;
    report("start that changes nothing", 2_000, || {
        bridge.start_container(&container)
    })?;
    report("create and delete, simulated", 100, || {
        let id = bridge.create_container("nginx")?.to_string();
        bridge.delete_container(&id, Deletion::Force)
    })
}

fn report(what: &str, count: u32, mut request: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..count {
            request()?;
        }
        rounds.push(began.elapsed().as_nanos() / u128::from(count));
    }
    rounds.sort_unstable();
    println!("{what:<36} {:>9}", rounds[ROUNDS / 2]);
    Ok(())
}
