//! What selur is measured beside, and the page and the plots of a run. `scripts/bench` is what calls it.

mod measure;
mod peers;
mod placement;
mod report;
mod server;

use measure::Outcome;
use std::process::ExitCode;

const USAGE: &str = "usage:
  selur-benchmarks peers [NAME…]        measures the peers: way, payload bytes, p50, p99, p99.9 in nanoseconds
  selur-benchmarks serve NAME CPU       is a peer's server: for the command above
  selur-benchmarks page FIGURES FOLDER  writes README.md and the plots of the figures in a folder into another";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((command, names)) if command == "peers" => peers::measure(names),
        Some((command, [name, cpu])) if command == "serve" => serve(name, cpu),
        Some((command, [figures, folder])) if command == "page" => {
            report::write(figures.as_ref(), folder.as_ref())
        }
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(name: &str, cpu: &str) -> Outcome<()> {
    peers::serve(name, cpu.parse()?)
}
