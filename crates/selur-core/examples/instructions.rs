//! One hot path, so many times: `just bench-check` counts its instructions.
//!
//! `instructions PATH COUNT TIMES`: the count is of the payload's bytes, for inspections and lookups of the containers that
//! there are. The difference between two runs, one of which goes the path a known number of times more, is the path's own:
//! what begins and ends the program is in both.

use selur_core::{Backend, Bridge, Command, CreateOptions, Error, Slot};
use std::hint::black_box;
use std::process::ExitCode;

const USAGE: &str = "usage: instructions copied|kept|in_place|written|reserved PAYLOAD_BYTES TIMES
       instructions inspected|id_looked_up|name_looked_up CONTAINERS TIMES";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, count, times] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let (Ok(count), Ok(times)) = (count.parse(), times.parse()) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match go(path, count, times) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether there is such a path.
fn go(path: &str, count: usize, times: u32) -> Result<bool, Error> {
    let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    let payload = "x".repeat(count);
    let frame = Bridge::frame(Command::Ping, &[&payload])?;
    let mut slot = bridge.reserve(frame.len())?;
    slot.write_at(0, &frame)?;
    match path {
        "copied" => {
            for _ in 0..times {
                black_box(bridge.ping_with(payload.as_bytes(), |data| data.last().copied())?);
            }
        }
        "kept" => {
            for _ in 0..times {
                black_box(bridge.call(&frame)?.data().last());
            }
        }
        "in_place" => {
            for _ in 0..times {
                ping(&mut slot)?;
            }
        }
        "written" => {
            for _ in 0..times {
                slot.write_at(0, &frame)?;
                ping(&mut slot)?;
            }
        }
        "reserved" => {
            // The same block is given out again, in which the frame still lies.
            drop(slot);
            for _ in 0..times {
                ping(&mut bridge.reserve(frame.len())?)?;
            }
        }
        "inspected" => {
            let (id, _) = newest_of(&bridge, count)?;
            for _ in 0..times {
                black_box(bridge.inspect_json(&id)?);
            }
        }
        "id_looked_up" | "name_looked_up" => {
            let (id, name) = newest_of(&bridge, count)?;
            let container = if path == "id_looked_up" { id } else { name };
            // The kernel finds the container, and refuses at once: it does not run.
            let frame = Bridge::frame(Command::PauseContainer, &[&container])?;
            for _ in 0..times {
                black_box(bridge.call(&frame)?.status());
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Makes so many containers. Gives the id and the name of the last.
fn newest_of(bridge: &Bridge, count: usize) -> Result<(String, String), Error> {
    let mut newest = (String::new(), String::new());
    for number in 0..count {
        let name = format!("web-{number}");
        let options = CreateOptions::new("nginx").name(&name);
        newest = (bridge.create_container(options)?.to_string(), name);
    }
    Ok(newest)
}

fn ping(slot: &mut Slot) -> Result<(), Error> {
    black_box(slot.exchange_with(|data| data.last().copied())?);
    Ok(())
}
