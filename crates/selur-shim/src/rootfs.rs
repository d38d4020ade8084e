//! The container's root file system: an overlay of the image's layers, mounted where only the shim and the container
//! see it.

use crate::{Failure, Home};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Enters a mount namespace of its own. What the host unmounts later is unmounted here, too, and nothing that is
/// mounted here is seen by the host.
pub(crate) fn enter_namespace() -> Result<(), Failure> {
    // SAFETY: a mount namespace has no bearing on memory or descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
        .map_err(|error| Failure::while_doing("cannot make a mount namespace", error))?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(|error| Failure::while_doing("cannot separate the mount namespace", error))
}

/// Mounts the overlay.
pub(crate) fn mount_overlay(home: &Home, layers: &[PathBuf]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let hint = match error.raw_os_error() {
            Some(libc::ENODEV) => ": the kernel has no overlayfs: try `modprobe overlay`",
            Some(libc::EINVAL) => {
                ": overlayfs cannot write there: choose a state root that is not itself on an overlay or a network file system"
            }
            _ => "",
        };
        Failure::while_doing(
            format_args!("cannot mount the overlay at {}{hint}", home.rootfs().display()),
            error,
        )
    };
    // The path of the writable part may hold characters that the options give a meaning; a descriptor's does not.
    let home_directory = fs::File::open(home.path()).map_err(failed)?;
    let writable = format!("/proc/self/fd/{}", home_directory.as_raw_fd());
    let empty = home.empty();
    let (parent, lower) = match layers {
        [] => (home.path().to_owned(), vec![Path::new(&empty)]),
        layers => {
            let parent = layers
                .first()
                .and_then(|layer| layer.parent())
                .unwrap_or(Path::new("/"));
            let relative = |layer: &'_ PathBuf| layer.strip_prefix(parent).is_ok();
            if layers.iter().all(relative) {
                let names = layers.iter().filter_map(|layer| layer.strip_prefix(parent).ok());
                (parent.to_owned(), names.collect())
            } else {
                (PathBuf::from("/"), layers.iter().map(PathBuf::as_path).collect())
            }
        }
    };
    let mut options = b"lowerdir=".to_vec();
    for (index, layer) in lower.iter().rev().enumerate() {
        if index > 0 {
            options.push(b':');
        }
        for byte in layer.as_os_str().as_bytes() {
            if matches!(byte, b':' | b',' | b'\\') {
                options.push(b'\\');
            }
            options.push(*byte);
        }
    }
    options.extend_from_slice(
        format!(",upperdir={writable}/upper,workdir={writable}/work,index=off").as_bytes(),
    );
    let options = CString::new(options).map_err(|error| failed(error.into()))?;
    // Short names keep many layers within the one page that older kernels read.
    std::env::set_current_dir(&parent).map_err(failed)?;
    let mounted = mount(
        "overlay",
        home.rootfs(),
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    );
    let _ = std::env::set_current_dir("/");
    mounted.map_err(|error| failed(error.into()))
}

/// Unmounts the overlay. Without this it would go with the last process in the namespace, later.
pub(crate) fn unmount_overlay(home: &Home) {
    let _ = unmount(home.rootfs(), UnmountFlags::DETACH);
}
