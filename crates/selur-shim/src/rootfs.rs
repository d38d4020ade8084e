//! The container's root file system: an overlay of the image's layers, mounted where only the shim and the container
//! see it.

use crate::{Failure, Home, userns};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Enters a mount namespace of its own. What the host unmounts later is unmounted here, too, and nothing that is
/// mounted here is seen by the host.
pub(crate) fn enter_namespace() -> Result<(), Failure> {
    // SAFETY: a mount namespace has no bearing on memory or descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.map_err(|error| match error {
        rustix::io::Errno::PERM => userns::refused("make a mount namespace", error.into()),
        error => Failure::while_doing("cannot make a mount namespace", error),
    })?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(|error| Failure::while_doing("cannot separate the mount namespace", error))
}

/// Which attributes overlayfs keeps its own notes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// Those that root alone can write.
    Trusted,
    /// Those that any owner of a file can write: without root.
    User,
}

/// Mounts the overlay.
pub(crate) fn mount_overlay(home: &Home, layers: &[PathBuf], attributes: Attributes) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let hint = match error.raw_os_error() {
            Some(libc::ENODEV) => ": the kernel has no overlayfs: try `modprobe overlay`",
            Some(libc::EPERM) => {
                ": use Linux 5.11 or newer, before which overlays were for root only, or run selur as root"
            }
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
    let open = |path: &Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Failure::while_doing(format_args!("cannot open {}", path.display()), error))
    };
    let empty = [home.empty()];
    let lower = if layers.is_empty() { &empty[..] } else { layers };
    let lower: Vec<OwnedFd> = lower
        .iter()
        .rev()
        .map(|layer| open(layer))
        .collect::<Result<_, _>>()?;
    let writable = open(home.path())?;
    // The kernel reads no more than a page of options, and gives some characters a meaning there: the numbers of open
    // directories are short, and have none of them.
    let numbers: Vec<String> = lower.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
    let (lower_numbers, writable_number) = (numbers.join(":"), writable.as_raw_fd());
    let options = format!(
        "lowerdir={lower_numbers},upperdir={writable_number}/upper,workdir={writable_number}/work,index=off{}",
        match attributes {
            Attributes::Trusted => "",
            Attributes::User => ",userxattr",
        }
    );
    let options = CString::new(options).map_err(|error| failed(error.into()))?;
    std::env::set_current_dir("/proc/self/fd").map_err(failed)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::Root;
    use std::fs;

    #[test]
    fn as_many_layers_as_an_image_may_have_are_mounted_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        // What options give a meaning.
        let root = Root::new(directory.path().join("a,b:c\\d"));
        let home = root.home(selur_protocol::ContainerId::from_bytes([1; 16]));
        for path in [home.rootfs(), home.upper(), home.work(), home.empty()] {
            fs::create_dir_all(path).unwrap();
        }
        let layers: Vec<PathBuf> = (0..127)
            .map(|number| {
                let layer = root.path().join(format!("layers/{number:032x}"));
                fs::create_dir_all(&layer).unwrap();
                fs::write(layer.join("top"), number.to_string()).unwrap();
                fs::write(layer.join(number.to_string()), "").unwrap();
                layer
            })
            .collect();
        enter_namespace().unwrap();
        for (layers, entries) in [(&layers[..], 128), (&[], 0)] {
            mount_overlay(&home, layers, Attributes::Trusted).unwrap();
            assert_eq!(fs::read_dir(home.rootfs()).unwrap().count(), entries);
            if entries > 0 {
                assert_eq!(fs::read_to_string(home.rootfs().join("top")).unwrap(), "126");
            }
            fs::write(home.rootfs().join("new"), "").unwrap();
            assert!(home.upper().join("new").exists());
            fs::remove_file(home.rootfs().join("new")).unwrap();
            unmount_overlay(&home);
        }
    }
}
