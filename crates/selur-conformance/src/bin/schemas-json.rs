//! Prints the JSON Schemas of `docs/schemas/`; `--write` writes them, `--check` compares them.

use std::process::ExitCode;

fn main() -> ExitCode {
    selur_conformance::generated::run(selur_conformance::schemas::generated)
}
