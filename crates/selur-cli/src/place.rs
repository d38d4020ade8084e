//! Where images and containers live, and where a daemon listens: for telling people. The backends find both by
//! themselves, in this order; nothing here may be handed to them.

use crate::cli::{Global, RuntimeChoice};
use crate::failure::Failure;
use selur_core::Status;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Refuses a socket where there is no daemon: it would not be used.
///
/// # Errors
/// That.
pub(crate) fn check_socket(global: &Global) -> Result<(), Failure> {
    if global.socket.is_none() || global.runtime == RuntimeChoice::Docker {
        return Ok(());
    }
    let message = "--socket names a daemon, and this runtime has none";
    let advice = "Say --runtime docker, which `auto` never chooses, or leave --socket out.";
    Err(Failure::new(Status::InvalidRequest, message, advice))
}

/// Refuses a state root without a name, as `--root ""` is: whoever set it meant another than the usual one.
///
/// # Errors
/// That.
pub(crate) fn check_root(global: &Global) -> Result<(), Failure> {
    let is_empty = || std::env::var_os("SELUR_ROOT").is_some_and(|root| root.is_empty());
    if !has_state_root(global) || global.root.is_some() || !is_empty() {
        return Ok(());
    }
    let message = "SELUR_ROOT is empty, and names no directory";
    let advice = "Unset it, or name a directory by it or by --root.";
    Err(Failure::new(Status::InvalidRequest, message, advice))
}

fn has_state_root(global: &Global) -> bool {
    matches!(global.runtime, RuntimeChoice::Auto | RuntimeChoice::Oci)
}

/// The state root, where the runtime has one and it can be found.
pub(crate) fn state_root(global: &Global) -> Option<PathBuf> {
    if !has_state_root(global) {
        return None;
    }
    let named = global.root.clone().or_else(|| variable("SELUR_ROOT"));
    let root = match named {
        Some(root) => root,
        None if rustix::process::geteuid().is_root() => "/var/lib/selur".into(),
        None => {
            let absolute = |name| variable(name).filter(|path| path.is_absolute());
            let data = absolute("XDG_DATA_HOME");
            data.or_else(|| Some(absolute("HOME")?.join(".local/share")))?
                .join("selur")
        }
    };
    std::path::absolute(root).ok()
}

/// The daemon's socket, where the runtime is one and it can be found.
pub(crate) fn socket(global: &Global) -> Option<PathBuf> {
    if global.runtime != RuntimeChoice::Docker {
        return None;
    }
    if let Some(socket) = &global.socket {
        return Some(socket.clone());
    }
    if let Some(host) = variable("DOCKER_HOST") {
        return host.to_str()?.strip_prefix("unix://").map(PathBuf::from);
    }
    let of_user = variable("XDG_RUNTIME_DIR").map(|directory| directory.join("podman/podman.sock"));
    let usual = [
        Some(PathBuf::from("/var/run/docker.sock")),
        of_user,
        Some(PathBuf::from("/run/podman/podman.sock")),
    ];
    usual.into_iter().flatten().find(|place| Path::exists(place))
}

fn variable(name: &str) -> Option<PathBuf> {
    let is_said = |value: &OsString| !value.is_empty();
    std::env::var_os(name).filter(is_said).map(PathBuf::from)
}
