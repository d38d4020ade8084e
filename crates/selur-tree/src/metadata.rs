//! Owner, mode, extended attributes and time of what was unpacked.

use crate::Power;
use crate::archive::{Entry, Kind};
use crate::error::{During, TreeError, quoted};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// Source: Linux, Documentation/filesystems/overlayfs.rst: of root's overlays, and of those mounted with `userxattr`.
const OPAQUE_XATTR: &str = "trusted.overlay.opaque";
const USER_OPAQUE_XATTR: &str = "user.overlay.opaque";
/// A layer must not steer overlayfs by itself.
const OVERLAY_XATTRS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
/// The one label of the kernel's that belongs to an image: a program's capabilities.
const CAPABILITY_XATTR: &[u8] = b"security.capability";

/// Owner, mode and attributes of an open file or directory, in the order in which one does not undo the other.
pub(crate) fn set_open(object: impl AsFd, entry: &Entry, power: Power) -> Result<(), TreeError> {
    let what = || format!("unpacking {}", quoted(&entry.path));
    if let Some((owner, group)) = owner(entry, power) {
        rustix::fs::fchown(&object, Some(owner), Some(group))
            .map_err(|error| not_owned(entry, power, error))?;
    }
    rustix::fs::fchmod(&object, Mode::from_raw_mode(entry.mode)).during(what)?;
    for (name, value) in kept_xattrs(entry) {
        let set = rustix::fs::fsetxattr(&object, name, value, XattrFlags::empty());
        ignore_unsupported(name, set).during(what)?;
    }
    Ok(())
}

/// Owner, mode, attributes and time of a link, a device or a FIFO, which was made under this name a moment ago.
pub(crate) fn set_named(
    parent: impl AsFd,
    name: &[u8],
    entry: &Entry,
    power: Power,
) -> Result<(), TreeError> {
    let what = || format!("unpacking {}", quoted(&entry.path));
    let no_follow = AtFlags::SYMLINK_NOFOLLOW;
    if let Some((owner, group)) = owner(entry, power) {
        rustix::fs::chownat(&parent, name, Some(owner), Some(group), no_follow)
            .map_err(|error| not_owned(entry, power, error))?;
    }
    // The mode of a symbolic link means nothing, and chmod would follow it.
    if entry.kind != Kind::Symlink {
        let mode = Mode::from_raw_mode(entry.mode);
        rustix::fs::chmodat(&parent, name, mode, AtFlags::empty()).during(what)?;
    }
    let mut xattrs = kept_xattrs(entry).peekable();
    if xattrs.peek().is_some() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let object = rustix::fs::openat(&parent, name, flags, Mode::empty()).during(what)?;
        let through = format!("/proc/self/fd/{}", object.as_raw_fd());
        for (name, value) in xattrs {
            let set = rustix::fs::setxattr(&through, name, value, XattrFlags::empty());
            ignore_unsupported(name, set).during(what)?;
        }
    }
    rustix::fs::utimensat(&parent, name, &timestamps(entry.mtime), no_follow).during(what)
}

/// Makes a directory hide what the layers below have in it.
pub(crate) fn set_opaque(directory: impl AsFd, power: Power) -> Result<(), Errno> {
    let name = match power {
        Power::Root => OPAQUE_XATTR,
        Power::Namespace | Power::SingleId => USER_OPAQUE_XATTR,
    };
    rustix::fs::fsetxattr(directory, name, b"y", XattrFlags::empty())
}

/// Who is to own it, where that can be chosen.
fn owner(entry: &Entry, power: Power) -> Option<(Uid, Gid)> {
    match power {
        Power::Root | Power::Namespace => Some((Uid::from_raw(entry.uid), Gid::from_raw(entry.gid))),
        Power::SingleId => None,
    }
}

fn not_owned(entry: &Entry, power: Power, error: Errno) -> TreeError {
    let path = quoted(&entry.path);
    // What the kernel says of an id that the namespace does not have.
    if power == Power::Namespace && error == Errno::INVAL {
        return TreeError::Unsupported(format!(
            "{path} belongs to the user {} and the group {}, and your subordinate ids do not reach that far: ask root to \
             add more of them with `usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST`, and use a new state root",
            entry.uid, entry.gid
        ));
    }
    TreeError::Io {
        what: format!("unpacking {path}"),
        source: error.into(),
    }
}

/// A time as the kernel takes it.
pub(crate) fn timestamps((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: i64::from(nanoseconds),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// The attributes that belong to the image. Those of overlayfs, and labels that mean something to this host only, do not.
fn kept_xattrs(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let is_kept = |name: &[u8]| {
        let is_overlay = OVERLAY_XATTRS.iter().any(|prefix| name.starts_with(prefix));
        let is_host_label = name.starts_with(b"security.") && name != CAPABILITY_XATTR;
        !is_overlay && !is_host_label && !name.is_empty()
    };
    let xattrs = entry.xattrs.iter();
    let xattrs = xattrs.map(|(name, value)| (name.as_slice(), value.as_slice()));
    xattrs.filter(move |(name, _)| is_kept(name))
}

/// File systems without user attributes, and links and devices, which take none, lose them, as with every other tool.
/// A lost capability would be a lie and is an error.
fn ignore_unsupported(name: &[u8], result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL) if name != CAPABILITY_XATTR => Ok(()),
        other => other,
    }
}
