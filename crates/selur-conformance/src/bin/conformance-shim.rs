//! The shim, as a program of this crate, so that the tests of the oci backend know where theirs is.

use std::process::ExitCode;

fn main() -> ExitCode {
    selur_shim::main(std::env::args_os().skip(1))
}
