//! How a call is measured, and how it is said: a line for each way and size, tab-separated.

use std::error::Error;
use std::time::{Duration, Instant};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The payloads in bytes; the last is the longest that selur takes.
pub(crate) const PAYLOADS: [usize; 6] = [0, 100, 1_024, 10_240, 102_400, 262_144];

const MOST_SAMPLES: usize = 10_001;
const LEAST_SAMPLES: usize = 100;
/// A p99.9 of fewer samples would be their longest.
const LEAST_FOR_P999: usize = 1_000;

/// The samples of one way and size: at most [`MOST_SAMPLES`], or as many as fit into `SELUR_BENCH_SECONDS`, which is one second
/// unless given. The first ones warm up.
pub(crate) struct Samples {
    begin: Instant,
    most: Duration,
    warming_up: usize,
    nanoseconds: Vec<f64>,
}

impl Samples {
    pub(crate) fn new() -> Samples {
        let given = std::env::var("SELUR_BENCH_SECONDS");
        let most_seconds = given.ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
        Samples {
            begin: Instant::now(),
            most: Duration::from_secs_f64(most_seconds),
            warming_up: MOST_SAMPLES / 10,
            nanoseconds: Vec::with_capacity(MOST_SAMPLES),
        }
    }

    pub(crate) fn are_wanted(&self) -> bool {
        let count = self.nanoseconds.len();
        count < MOST_SAMPLES && (count < LEAST_SAMPLES || self.begin.elapsed() < self.most)
    }

    /// Adds the mean of some calls.
    pub(crate) fn add(&mut self, elapsed: Duration, calls: u32) {
        if self.warming_up > 0 && self.begin.elapsed() < self.most / 10 {
            self.warming_up -= 1;
            return;
        }
        self.warming_up = 0;
        self.nanoseconds
            .push(elapsed.as_nanos() as f64 / f64::from(calls));
    }

    /// Prints p50, p99 and, if there are samples enough, p99.9 in nanoseconds.
    pub(crate) fn say(mut self, way: &str, payload_bytes: usize) {
        self.nanoseconds.sort_by(f64::total_cmp);
        let count = self.nanoseconds.len();
        let at = |thousandths: usize| format!("{:.1}", self.nanoseconds[count * thousandths / 1_000]);
        let p999 = if count < LEAST_FOR_P999 {
            String::new()
        } else {
            at(999)
        };
        println!("{way}\t{payload_bytes}\t{}\t{}\t{p999}", at(500), at(990));
    }
}

/// The payload of that many bytes.
pub(crate) fn payload(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Fails if an answer is not what was asked for.
pub(crate) fn expect(is: bool, what: &str) -> Outcome<()> {
    match is {
        true => Ok(()),
        false => Err(format!("the answer is wrong: {what}").into()),
    }
}
