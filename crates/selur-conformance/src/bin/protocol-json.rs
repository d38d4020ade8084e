//! Prints `conformance/protocol.json` as the protocol crate has it; `--write` writes the file, `--check` compares it.

use selur_conformance::generated::{Generated, run};
use selur_conformance::protocol::Protocol;
use std::process::ExitCode;

fn main() -> ExitCode {
    run(|| {
        let text = Protocol::current().to_json()?;
        Ok(vec![Generated {
            path: selur_conformance::directory().join("protocol.json"),
            text,
        }])
    })
}
