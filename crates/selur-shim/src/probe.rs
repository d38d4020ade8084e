//! `selur-shim --probe WHAT`: tries what the kernel lets this user do, in namespaces that end with the process.
//!
//! A table of settings tells what a kernel may refuse; only trying tells what it does. Nothing is tried where anybody
//! else would see it, and nothing is left.

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;
use std::ffi::{CStr, OsStr};
use std::fs;
use std::io;
use std::process::ExitCode;

/// The user that root becomes to try what users may. Source: Debian policy 9.2.2, `nobody`.
const NOBODY: u32 = 65534;
/// What is hidden below an empty file system: it exists wherever a shim can run, and nothing here reads it later.
const PLACE: &str = "/sys";

/// Tries one thing, and prints `ok`, or why the kernel refuses.
pub(crate) fn run(what: &OsStr) -> ExitCode {
    let tried = match what.to_str() {
        Some("overlay") => overlay(c"index=off"),
        Some("user-namespace") => user_namespace(),
        Some("user-overlay") => user_namespace().and_then(|()| overlay(c"userxattr")),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is overlay, user-namespace and user-overlay",
        )),
    };
    match tried {
        Ok(()) => {
            println!("ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Mounts an overlay upon directories in memory, and writes through it.
fn overlay(option: &CStr) -> io::Result<()> {
    unshare(UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tmpfs", PLACE, "tmpfs", MountFlags::empty(), None)?;
    std::env::set_current_dir(PLACE)?;
    for directory in ["lower", "upper", "work", "merged"] {
        fs::create_dir(directory)?;
    }
    fs::write("lower/file", "")?;
    let mut options = b"lowerdir=lower,upperdir=upper,workdir=work,".to_vec();
    options.extend(option.to_bytes_with_nul());
    let options = CStr::from_bytes_with_nul(&options).map_err(io::Error::other)?;
    mount("overlay", "merged", "overlay", MountFlags::empty(), options)?;
    fs::write("merged/file", "changed")?;
    fs::remove_file("merged/file")
}

/// Becomes root of a user namespace, as a user who is not root outside of it.
fn user_namespace() -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        // SAFETY: the list is empty, so that nothing is read.
        check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        // SAFETY: plain numbers; the process has one thread.
        check(unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) })?;
        // SAFETY: as above.
        check(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) })?;
        // Else its own files in /proc belong to root.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    }
    let (user, group) = (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    unshare(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: namespaces have no bearing on memory or descriptors.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
