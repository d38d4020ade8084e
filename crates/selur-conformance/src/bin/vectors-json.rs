//! Prints the files of `conformance/vectors`; `--write` writes them, `--check` compares them.

use std::process::ExitCode;

fn main() -> ExitCode {
    selur_conformance::generated::run(selur_conformance::catalog::generated)
}
