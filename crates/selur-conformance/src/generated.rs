//! Files that a program writes and the repository holds: printed, written, or compared with what is committed.

use std::path::PathBuf;
use std::process::ExitCode;

/// A file and what it should hold.
#[derive(Debug)]
pub struct Generated {
    /// Where it is.
    pub path: PathBuf,
    /// What it should hold.
    pub text: String,
}

/// Why files could not be made or written.
pub type Error = Box<dyn std::error::Error>;

impl Generated {
    /// Whether the committed file holds this text.
    pub fn is_current(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|committed| committed == self.text)
    }
}

/// The main function of a generator: without arguments prints, with `--write` writes, with `--check` fails if a
/// committed file differs.
pub fn run(generate: impl FnOnce() -> Result<Vec<Generated>, Error>) -> ExitCode {
    let mode = std::env::args().nth(1);
    match generate().and_then(|files| perform(mode.as_deref(), &files)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(mode: Option<&str>, files: &[Generated]) -> Result<(), Error> {
    match mode {
        None => {
            for file in files {
                print!("{}", file.text);
            }
        }
        Some("--write") => {
            for file in files {
                std::fs::write(&file.path, &file.text)?;
            }
        }
        Some("--check") => {
            if let Some(stale) = files.iter().find(|file| !file.is_current()) {
                let path = stale.path.display();
                return Err(format!("{path} is not current: run this again with --write").into());
            }
        }
        Some(other) => {
            return Err(format!("{other} is unknown: give nothing, --write or --check").into());
        }
    }
    Ok(())
}
