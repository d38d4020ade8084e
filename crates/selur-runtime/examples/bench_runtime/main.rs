//! How long containers take, each beside a program that does the same: create + start beside `runc run` of an equal
//! bundle, and `selur run --rm` beside `podman run --rm`. All run `/bin/true` of the same busybox.
//!
//! `just bench-runtime`, as root. One run, in which ours and theirs take turns; medians of 20. It works in a temporary
//! directory, and writes `docs/benchmarks/runtime.md` with `--write` only. With `--tsv`, which `just bench` gives, it prints what,
//! its median, what stands beside it and that one's median, in milliseconds and tab-separated, and fails on no time; a dockerd at
//! `$DOCKER_HOST` is then measured, too.

mod docker;
mod effects;
mod programs;
mod report;

use report::Row;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const ROUNDS: u8 = 20;
const IMAGE: &str = "docker.io/library/busybox:latest";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    // This program is its own shim, so that nothing else must be built first.
    if std::env::args().nth(1).as_deref() == Some("shim") {
        return selur_shim::main(std::env::args_os().skip(2));
    }
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a bar is missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every bar is kept.
fn measure() -> Outcome<bool> {
    let mut selur: Option<PathBuf> = None;
    let (mut writes, mut as_tsv) = (false, false);
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--write") => writes = true,
            Some("--tsv") => as_tsv = true,
            _ => selur = Some(argument.into()),
        }
    }
    let selur = selur.ok_or("name the selur program to measure")?;
    let directory = tempfile::Builder::new().prefix("selur-bench-").tempdir()?;
    let mut rows = effects::measure(&directory.path().join("effects"))?;
    rows.extend(programs::measure(&directory.path().join("programs"), &selur)?);
    if as_tsv {
        if std::env::var_os("DOCKER_HOST").is_some() {
            rows.push(docker::measure(&directory.path().join("docker"), &selur)?);
        }
        print!("{}", report::tsv(&rows));
        return Ok(true);
    }
    let table = report::table(&rows);
    println!("medians of {ROUNDS}, in one run:\n\n{table}");
    if writes {
        report::write(&table)?;
    }
    Ok(rows.iter().all(Row::is_kept))
}

fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(Duration, T)> {
    let begin = Instant::now();
    let result = work()?;
    Ok((begin.elapsed(), result))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
