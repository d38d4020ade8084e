//! How long a container is looked up among few and many: inspected, which the backend does, and asked to pause before it was started,
//! which the kernel alone refuses. The containers take turns, so that none is warmer than the others.

use crate::{at, bridge, most};
use selur_core::{Bridge, Command, CreateOptions, Error, Status};
use std::time::Instant;

const MOST_SAMPLES: usize = 20_001;
/// No common divisor with the numbers of containers.
const STEP: usize = 7_919;

pub(crate) fn measure() -> Result<(), Error> {
    for containers in [10, 100, 1_000] {
        let bridge = bridge()?;
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for number in 0..containers {
            let name = format!("container-{number}");
            let id = bridge.create_container(CreateOptions::new("nginx").name(&name))?;
            ids.push(id.to_string());
            names.push(name);
        }
        for (key, keys) in [("id", &ids), ("name", &names)] {
            let is_inspected = |key: &String| Ok(!bridge.inspect_json(key)?.is_empty());
            report(&format!("inspect by {key}"), keys, &is_inspected)?;
            let is_refused = |frame: &Vec<u8>| Ok(bridge.call(frame)?.status() == Status::InvalidState);
            report(
                &format!("refused by the kernel, by {key}"),
                &frames(keys)?,
                &is_refused,
            )?;
        }
    }
    Ok(())
}

fn frames(keys: &[String]) -> Result<Vec<Vec<u8>>, Error> {
    let frame = |key: &String| Bridge::frame(Command::PauseContainer, &[key]);
    keys.iter().map(frame).collect()
}

fn report<K>(way: &str, keys: &[K], is_found: &dyn Fn(&K) -> Result<bool, Error>) -> Result<(), Error> {
    let mut samples = Vec::with_capacity(MOST_SAMPLES);
    let began = Instant::now();
    let mut turn = 0;
    while samples.len() < MOST_SAMPLES && began.elapsed() < most() {
        let key = &keys[turn % keys.len()];
        let begin = Instant::now();
        let is_found = is_found(key)?;
        let nanoseconds = begin.elapsed().as_nanos() as f64;
        assert!(is_found, "{way}: a container was not found");
        // The first ones warm up.
        if turn / STEP >= MOST_SAMPLES / 10 || began.elapsed() > most() / 10 {
            samples.push(nanoseconds);
        }
        turn += STEP;
    }
    samples.sort_by(f64::total_cmp);
    let p999 = match samples.len() {
        ..1_000 => String::new(),
        _ => format!("{:.1}", at(&samples, 999)),
    };
    let (p50, p99) = (at(&samples, 500), at(&samples, 990));
    println!("lookup\t{way}\t{}\t{p50:.1}\t{p99:.1}\t{p999}", keys.len());
    Ok(())
}
