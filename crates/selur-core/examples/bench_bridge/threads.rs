//! How many pings a second several threads get from one bridge.

use crate::{bridge, most};
use selur_core::{Bridge, Command, Error};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PAYLOAD_BYTES: usize = 100;

type Ping<'a> = Box<dyn FnMut() -> Result<(), Error> + 'a>;

pub(crate) fn measure() -> Result<(), Error> {
    let bridge = bridge()?;
    let payload = "x".repeat(PAYLOAD_BYTES);
    let frame = Bridge::frame(Command::Ping, &[&payload])?;
    let by_copy = || -> Result<Ping<'_>, Error> {
        Ok(Box::new(|| {
            black_box(bridge.ping_with(payload.as_bytes(), |data| data.last().copied())?);
            Ok(())
        }))
    };
    // Each thread has its slot.
    let in_place = || -> Result<Ping<'_>, Error> {
        let mut slot = bridge.reserve(frame.len())?;
        slot.write_at(0, &frame)?;
        Ok(Box::new(move || {
            black_box(slot.exchange_with(|data| data.last().copied())?);
            Ok(())
        }))
    };
    for threads in [1, 2, 4, 8] {
        println!("threads\tby copy\t{threads}\t{:.0}", rate(threads, &by_copy)?);
        println!("threads\tin place\t{threads}\t{:.0}", rate(threads, &in_place)?);
    }
    Ok(())
}

/// In pings a second.
fn rate<'a>(threads: usize, ping: &(impl Fn() -> Result<Ping<'a>, Error> + Sync)) -> Result<f64, Error> {
    let (all_are_there, is_over) = (Barrier::new(threads + 1), AtomicBool::new(false));
    // When a thread began, when it ended, and how often it pinged between.
    let work = || -> Result<(Instant, Instant, u64), Error> {
        let ping = ping();
        all_are_there.wait();
        let (mut ping, mut count, begun) = (ping?, 0, Instant::now());
        while !is_over.load(Ordering::Relaxed) {
            ping()?;
            count += 1;
        }
        Ok((begun, Instant::now(), count))
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all_are_there.wait();
        std::thread::sleep(most());
        is_over.store(true, Ordering::Relaxed);
        let mut worked = Vec::new();
        for worker in workers {
            worked.push(match worker.join() {
                Ok(worked) => worked?,
                Err(panic) => std::panic::resume_unwind(panic),
            });
        }
        // From the first one's begin to the last one's end.
        let begin = worked.iter().map(|(begin, _, _)| *begin).min();
        let end = worked.iter().map(|(_, end, _)| *end).max();
        let elapsed = begin.zip(end).map_or(Duration::ZERO, |(begin, end)| end - begin);
        let pings: u64 = worked.iter().map(|(_, _, count)| count).sum();
        Ok(pings as f64 / elapsed.as_secs_f64())
    })
}
