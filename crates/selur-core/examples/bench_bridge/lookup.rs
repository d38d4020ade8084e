//! How long a container is looked up among few and many: inspected, which the backend does, and asked to pause before it was started,
//! which the kernel alone refuses. The bridges take turns, so that the machine is as fast for one as for the others, and in each as many
//! containers, far apart in its table, so that what is asked for is as warm in one as in the others: what differs is the table.

use crate::{at, bridge, most};
use selur_core::{Bridge, Command, CreateOptions, Error, Status};
use std::time::Instant;

const CONTAINERS: [usize; 3] = [10, 100, 1_000];
/// Those of each that are asked for.
const TARGETS: usize = 10;
const MOST_SAMPLES: usize = 20_001;

struct Table {
    bridge: Bridge,
    containers: usize,
    ids: Vec<Key>,
    names: Vec<Key>,
}

/// An id or a name, and the frame that asks to pause the container.
struct Key {
    text: String,
    pause: Vec<u8>,
}

/// A way to ask for a container: whether it was found.
type Ask = fn(&Bridge, &Key) -> Result<bool, Error>;

pub(crate) fn measure() -> Result<(), Error> {
    let tables: Vec<Table> = CONTAINERS.into_iter().map(table).collect::<Result<_, _>>()?;
    let by_id: fn(&Table) -> &[Key] = |table| &table.ids;
    let by_name: fn(&Table) -> &[Key] = |table| &table.names;
    for (key, keys) in [("id", by_id), ("name", by_name)] {
        report(&format!("inspect by {key}"), &tables, keys, is_inspected)?;
        report(
            &format!("refused by the kernel, by {key}"),
            &tables,
            keys,
            is_refused,
        )?;
    }
    Ok(())
}

fn table(containers: usize) -> Result<Table, Error> {
    let mut table = Table {
        bridge: bridge()?,
        containers,
        ids: Vec::new(),
        names: Vec::new(),
    };
    let apart = containers / TARGETS;
    for number in 0..containers {
        let name = format!("container-{number}");
        let options = CreateOptions::new("nginx").name(&name);
        let id = table.bridge.create_container(options)?.to_string();
        if number % apart == 0 {
            table.ids.push(key(id)?);
            table.names.push(key(name)?);
        }
    }
    Ok(table)
}

fn key(text: String) -> Result<Key, Error> {
    let pause = Bridge::frame(Command::PauseContainer, &[&text])?;
    Ok(Key { text, pause })
}

fn is_inspected(bridge: &Bridge, key: &Key) -> Result<bool, Error> {
    Ok(!bridge.inspect_json(&key.text)?.is_empty())
}

fn is_refused(bridge: &Bridge, key: &Key) -> Result<bool, Error> {
    Ok(bridge.call(&key.pause)?.status() == Status::InvalidState)
}

fn report(way: &str, tables: &[Table], keys: fn(&Table) -> &[Key], ask: Ask) -> Result<(), Error> {
    let mut samples: Vec<Vec<f64>> = tables.iter().map(|_| Vec::with_capacity(MOST_SAMPLES)).collect();
    // As long as all would take one after another.
    let most = most() * tables.len() as u32;
    let began = Instant::now();
    let mut turn = 0;
    while samples[0].len() < MOST_SAMPLES && began.elapsed() < most {
        // The first ones warm up.
        let is_warm = turn >= MOST_SAMPLES / 10 || began.elapsed() > most / 10;
        for (table, samples) in tables.iter().zip(&mut samples) {
            let keys = keys(table);
            let begin = Instant::now();
            let is_found = ask(&table.bridge, &keys[turn % keys.len()])?;
            let nanoseconds = begin.elapsed().as_nanos() as f64;
            assert!(is_found, "{way}: a container was not found");
            if is_warm {
                samples.push(nanoseconds);
            }
        }
        turn += 1;
    }
    for (table, mut samples) in tables.iter().zip(samples) {
        samples.sort_by(f64::total_cmp);
        let p999 = match samples.len() {
            ..1_000 => String::new(),
            _ => format!("{:.1}", at(&samples, 999)),
        };
        let (p50, p99) = (at(&samples, 500), at(&samples, 990));
        println!("lookup\t{way}\t{}\t{p50:.1}\t{p99:.1}\t{p999}", table.containers);
    }
    Ok(())
}
