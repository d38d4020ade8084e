//! Compiles the committed guest ahead of time for the target, after checking it against its committed sha256.

#[path = "src/guest/config.rs"]
mod config;

use sha2::{Digest, Sha256};
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let guest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../guest");
    let (wasm_path, sum_path) = (guest.join("selur.wasm"), guest.join("selur.wasm.sha256"));
    for path in [&wasm_path, &sum_path] {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    println!("cargo:rerun-if-changed=src/guest/config.rs");

    let read_error = |error| format!("{} cannot be read: {error}", wasm_path.display());
    let wasm = fs::read(&wasm_path).map_err(read_error)?;
    let digest: String = Sha256::digest(&wasm)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let committed = fs::read_to_string(&sum_path)?;
    if committed.split_whitespace().next() != Some(digest.as_str()) {
        return Err(format!(
            "guest/selur.wasm has sha256 {digest}, guest/selur.wasm.sha256 says {committed:?}: \
             `just guest` rebuilds both"
        )
        .into());
    }

    let target = env::var("TARGET")?;
    let code = config::engine(Some(&target))
        .and_then(|engine| engine.precompile_module(&wasm))
        .map_err(|error| format!("guest/selur.wasm does not compile for {target}: {error:#}"))?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("selur.cwasm"), code)?;
    fs::write(out.join("selur.wasm.sha256"), digest)?;
    fs::write(out.join("selur.wasm.bytes"), wasm.len().to_string())?;
    Ok(())
}
