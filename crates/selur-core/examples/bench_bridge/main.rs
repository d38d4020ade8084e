//! What a bridge costs beside its round trip: how many pings a second several threads get from one, how long it takes to open
//! and what it holds in memory, and how long a container is looked up among many. All simulated: no container is real.
//!
//! `just bench` runs it. Lines of tab-separated fields, the first of which says what they are:
//!
//! - `threads`, way, threads, pings a second
//! - `open`, what, its figure, its unit
//! - `lookup`, way, containers, p50, p99 and p99.9 in nanoseconds

mod lookup;
mod open;
mod threads;

use selur_core::{Backend, Bridge, Error};
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    // First: memory that the others had used would be used again.
    open::measure()?;
    threads::measure()?;
    Ok(lookup::measure()?)
}

fn bridge() -> Result<Bridge, Error> {
    Bridge::builder().backend(Backend::Simulated).build()
}

/// How long one figure may take: `SELUR_BENCH_SECONDS`, or a second.
fn most() -> Duration {
    let given = std::env::var("SELUR_BENCH_SECONDS");
    let seconds = given.ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    Duration::from_secs_f64(seconds)
}

/// The sample that a thousandth of them are said to be below.
fn at(ascending: &[f64], thousandths: usize) -> f64 {
    let place = ascending.len() * thousandths / 1_000;
    ascending.get(place).copied().unwrap_or_default()
}
