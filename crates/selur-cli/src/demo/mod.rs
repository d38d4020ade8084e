//! `selur demo`: convinces a stranger on their own machine. A real container is made from nothing, driven through the
//! sealed kernel, shown in the host's process list, kept through the death of its bridge, and removed without a trace.
//!
//! It never pretends: where real containers cannot run it says what is missing, and the simulated story says so in
//! each of its lines. It uses a state root of its own and leaves nothing behind, also when it fails.

mod frame;
mod host;
mod image;
mod report;
mod story;
mod worker;

pub(crate) use worker::{WORKER_SUBCOMMAND, worker};

use crate::cli::{Demo, Global};
use crate::failure::Failure;
use crate::machine;
use report::{Report, Telling};
use rustix::fs::statfs;
use selur_core::Status;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use story::Story;

/// The type of an overlay. Source: linux/magic.h, OVERLAYFS_SUPER_MAGIC.
const OVERLAY_TYPE: u64 = 0x794c_7630;

/// Tells the story.
///
/// # Errors
/// A step failed; what it made is removed.
pub(crate) fn demo(demo: &Demo, global: &Global) -> Result<u8, Failure> {
    let is_simulated = demo.simulated || global.runtime == crate::cli::RuntimeChoice::Simulated;
    if !is_simulated {
        refuse_if_missing()?;
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Failure::io("cannot receive signals", &error))?;
    }
    let root = tempfile::Builder::new()
        .prefix("selur-demo-")
        .tempdir_in(folder())
        .map_err(|error| Failure::io("cannot make a state root for the demo", &error))?;
    let mut story = Story {
        global,
        root: root.path().to_owned(),
        telling: Telling::new(global.format, is_simulated),
        report: Report {
            runtime: if is_simulated { "simulated" } else { "oci" }.to_owned(),
            ..Report::default()
        },
        is_simulated,
        interrupted,
    };
    let told = story.tell();
    // Whatever happened, nothing stays: a fresh bridge finds what is left in the state root.
    if told.is_err() && !is_simulated {
        worker::clean(root.path());
    }
    root.close()
        .map_err(|error| Failure::io(format_args!("cannot remove {}", story.root.display()), &error))?;
    told.map_err(|failure| match is_simulated {
        true => failure,
        false => {
            let advice = format!("{} `selur demo --simulated` shows the rest.", failure.advice());
            failure.with_advice(advice.trim_start())
        }
    })?;
    story.telling.end(&story.report)?;
    Ok(0)
}

/// A folder for the state root. In a container of Docker's the usual one lies on an overlay, on which no other overlay
/// can be written.
fn folder() -> PathBuf {
    let usual = std::env::temp_dir();
    let candidates = [usual.clone(), "/var/tmp".into(), "/dev/shm".into()];
    let is_overlay = |folder: &Path| statfs(folder).is_ok_and(|found| found.f_type as u64 == OVERLAY_TYPE);
    candidates
        .into_iter()
        .find(|folder| folder.is_dir() && !is_overlay(folder))
        .unwrap_or(usual)
}

fn refuse_if_missing() -> Result<(), Failure> {
    let missing = machine::missing();
    if missing.is_empty() {
        return Ok(());
    }
    let whats: Vec<&str> = missing.iter().map(|missing| missing.what.as_str()).collect();
    let remedies: Vec<String> = missing
        .iter()
        .map(|missing| format!("{}: {}.", missing.what, missing.remedy))
        .collect();
    let message = format!("real containers cannot run here, missing: {}", whats.join("; "));
    let advice = format!("{} Or see it without: selur demo --simulated", remedies.join(" "));
    Err(Failure::new(Status::Unsupported, message, advice))
}
