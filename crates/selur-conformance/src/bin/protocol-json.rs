//! Prints `conformance/protocol.json` as the protocol crate has it, and `docs/API.md` with tables to match; `--write`
//! writes both files, `--check` compares them.

use selur_conformance::docs;
use selur_conformance::protocol::Protocol;
use std::process::ExitCode;

fn main() -> ExitCode {
    selur_conformance::generated::run(|| Ok(vec![Protocol::generated()?, docs::generated()?]))
}
