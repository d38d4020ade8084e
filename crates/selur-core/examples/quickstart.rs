//! One real container's life, in Rust: `cargo run --package selur-core --example quickstart -- IMAGE`.
//!
//! It needs root, runc, and selur-shim beside the program or named by `$SELUR_SHIM`.

use selur_core::{Bridge, CreateOptions, Deletion, Error, LogOptions};
use std::io::Write;

fn main() -> Result<(), Error> {
    let image = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "docker.io/library/hello-world:latest".into());
    let bridge = Bridge::builder().build()?;
    let id = bridge.create_container(CreateOptions::new(image))?.to_string();
    bridge.start_container(&id)?;
    let exit_code = bridge.wait_container(&id)?;
    for entry in bridge.logs(&id, &LogOptions::default())? {
        // A closed standard output ends the reading, not the program.
        if std::io::stdout().write_all(&entry?.bytes).is_err() {
            break;
        }
    }
    println!("{id} ended with {exit_code:?}");
    bridge.delete_container(&id, Deletion::Plain)
}
