//! How many pings a second several threads get from one bridge.

use crate::{bridge, most};
use selur_core::{Bridge, Command, Error};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

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
    let work = || -> Result<u64, Error> {
        let ping = ping();
        all_are_there.wait();
        let (mut ping, mut count) = (ping?, 0);
        while !is_over.load(Ordering::Relaxed) {
            ping()?;
            count += 1;
        }
        Ok(count)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all_are_there.wait();
        let begin = Instant::now();
        std::thread::sleep(most());
        is_over.store(true, Ordering::Relaxed);
        let elapsed = begin.elapsed().as_secs_f64();
        let mut pings = 0;
        for worker in workers {
            pings += match worker.join() {
                Ok(count) => count?,
                Err(panic) => std::panic::resume_unwind(panic),
            };
        }
        Ok(pings as f64 / elapsed)
    })
}
