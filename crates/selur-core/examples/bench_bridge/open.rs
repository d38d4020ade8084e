//! The time and the memory that a bridge with the embedded guest takes to open.

use crate::{Outcome, at, bridge, most};
use std::time::Instant;

const MOST_SAMPLES: usize = 2_001;
const BRIDGES: u64 = 100;

pub(crate) fn measure() -> Outcome<()> {
    let begin = Instant::now();
    let first = bridge()?;
    report(
        "the first in a process",
        begin.elapsed().as_nanos() as f64 / 1e3,
        "µs",
    );

    let mut microseconds = Vec::new();
    let began = Instant::now();
    while microseconds.len() < MOST_SAMPLES && (microseconds.len() < 100 || began.elapsed() < most()) {
        let begin = Instant::now();
        let opened = bridge()?;
        microseconds.push(begin.elapsed().as_nanos() as f64 / 1e3);
        // Closing is no part of it.
        drop(opened);
    }
    microseconds.sort_by(f64::total_cmp);
    report("each further one, p50", at(&microseconds, 500), "µs");
    report("each further one, p99", at(&microseconds, 990), "µs");

    let before = resident_bytes()?;
    let mut bridges = Vec::new();
    for _ in 0..BRIDGES {
        bridges.push(bridge()?);
    }
    let opened = resident_bytes()?;
    for bridge in &bridges {
        bridge.ping("is it there?")?;
    }
    let pinged = resident_bytes()?;
    for (what, after) in [
        ("resident memory of each of 100", opened),
        ("the same, each pinged once", pinged),
    ] {
        report(
            what,
            after.saturating_sub(before) as f64 / BRIDGES as f64 / 1e6,
            "MB",
        );
    }
    first.ping("is the first one there?")?;
    Ok(())
}

fn report(what: &str, figure: f64, unit: &str) {
    println!("open\t{what}\t{figure:.3}\t{unit}");
}

/// What of this process lies in memory.
fn resident_bytes() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line
        .ok_or("/proc/self/status has no VmRSS")?
        .trim()
        .trim_end_matches("kB");
    Ok(1_024 * kibibytes.trim().parse::<u64>()?)
}
