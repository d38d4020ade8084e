//! The `selur-shim` program. See the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    selur_shim::main(std::env::args_os().skip(1))
}
