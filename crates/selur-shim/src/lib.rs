//! The small single-threaded process that holds one container, and the files and messages that it shares with the
//! runtime.
//!
//! A shim is started by a bridge for one errand ([`Launch`]), detaches itself from it, and answers once ([`Reply`]).
//! To start a container it mounts the root file system in a mount namespace of its own, has runc run the process, and
//! then stays: it reads what the process writes into log files, obeys the control socket, restarts the process as the
//! policy says, and records its end. It owns the container's [`Life`] on disk while it lives. It must never depend on
//! the process that started it, nor wait for a peer.

mod console;
mod control;
mod detach;
mod errand;
pub mod event_log;
mod exec;
mod fill;
#[doc(hidden)]
pub mod fuzzing;
mod launch;
mod layout;
mod life;
mod lock;
pub mod log;
mod moment;
mod mount_points;
mod orphans;
mod output;
pub mod passing;
mod pipe;
mod probe;
mod process;
mod remains;
mod restart;
mod rootfs;
mod runc;
mod server;
mod supervisor;
mod trees;
mod user;
mod userns;

pub use control::{Command, ControlRequest, ControlResponse};
pub use event_log::{Event, EventKind};
pub use launch::{Errand, ExecEnd, Failure, FailureKind, Files, FreshVolume, Further, Launch, Reply, Told};
pub use layout::{Home, Root};
pub use life::{Durability, Life, current_boot};
pub use lock::{Lock, Turn, turn};
pub use moment::Moment;
pub use orphans::Traces;
pub use pipe::without_signal;
pub use process::Process;
pub use restart::RestartRule;
pub use user::USER_PLACEHOLDER;
pub use userns::{IdRange, MapTools, Mapping};

use std::ffi::OsString;
use std::process::ExitCode;

/// The version of [`Launch`], [`Reply`] and the control messages.
///
/// A shim serves its own version and those before. A bridge says the version that a command is of, so that it can
/// speak to the shims that an earlier one left.
pub const PROTOCOL_VERSION: u32 = 3;
/// The oldest version that is served.
pub(crate) const OLDEST_VERSION: u32 = 1;
/// The version of the files below the state root.
pub const SCHEMA_VERSION: u32 = 1;

/// Runs the shim: the whole of a process that has one thread. A program that brings the shim along calls this before
/// it starts any thread, with the arguments that are left.
///
/// Standard input is a socket: a [`Launch`] comes in until its end, one [`Reply`] goes out. The arguments are for
/// people who read a process list, except `--version`, and `--probe` with what to try.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if let [option, what] = &arguments[..]
        && option == "--probe"
    {
        return probe::run(what);
    }
    if arguments.iter().any(|argument| argument == "--version") {
        println!(
            "selur-shim {} (protocol {PROTOCOL_VERSION})",
            env!("CARGO_PKG_VERSION")
        );
        return ExitCode::SUCCESS;
    }
    match detach::detach() {
        Ok(detach::Side::Parent) => ExitCode::SUCCESS,
        Ok(detach::Side::Shim(peer)) => errand::run(peer),
        Err(error) => {
            eprintln!("selur-shim: {error}");
            ExitCode::FAILURE
        }
    }
}
