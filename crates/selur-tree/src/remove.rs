//! Removal of any tree: of layers, of what containers wrote, of volumes.

use crate::error::{During, TreeError};
use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What directories are called that wait for their removal; a container may have chosen such a name itself.
const MOVED_PREFIX: &str = ".tmp-removed-";

/// Removes a directory and all below it, however deep; that it does not exist is fine.
///
/// Directories that are not empty are moved up beside the one being removed, so neither the stack, nor the number of
/// open files, nor the length of a path bounds the depth. Symbolic links are never followed.
///
/// # Errors
/// The file system's.
pub fn remove(path: &Path) -> Result<(), TreeError> {
    let what = || format!("removing {}", path.display());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.during(what)?,
    };
    loop {
        empty_directory(top.as_fd()).during(what)?;
        match std::fs::remove_dir(path) {
            // Somebody put a last file there.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => return other.during(what),
        }
    }
}

/// Removes everything in a directory, however deep.
pub(crate) fn empty_directory(top: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut moved = 0u64;
    loop {
        let mut directories = Vec::new();
        for name in names(top)? {
            match unlink(top, &name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => directories.push(name),
                Err(error) => return Err(error),
            }
        }
        if directories.is_empty() {
            return Ok(());
        }
        for directory in directories {
            make_removable(top, &directory);
            flatten(top, &directory, &mut moved)?;
            rustix::fs::unlinkat(top, &directory, AtFlags::REMOVEDIR)?;
        }
    }
}

/// Empties one directory: files are removed, directories are moved to `top`.
fn flatten(top: BorrowedFd<'_>, directory: &std::ffi::CString, moved: &mut u64) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner: OwnedFd = rustix::fs::openat(top, directory, flags, Mode::empty())?;
    for name in names(inner.as_fd())? {
        match unlink(inner.as_fd(), &name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => {
                make_removable(inner.as_fd(), &name);
                if rustix::fs::unlinkat(&inner, &name, AtFlags::REMOVEDIR).is_err() {
                    move_up(&inner, &name, top, moved)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes what is no directory; one is told as `ISDIR`.
fn unlink(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        // POSIX has it for directories, Linux for what cannot be changed.
        Err(Errno::PERM) if is_directory(directory, name) => Err(Errno::ISDIR),
        Err(Errno::PERM) => {
            make_removable(directory, name);
            rustix::fs::unlinkat(directory, name, AtFlags::empty())
        }
        other => other,
    }
}

fn is_directory(directory: BorrowedFd<'_>, name: &CStr) -> bool {
    kind_of(directory, name) == Some(FileType::Directory)
}

fn kind_of(directory: BorrowedFd<'_>, name: &CStr) -> Option<FileType> {
    let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(found.st_mode))
}

/// Takes the attributes away by which a container that may set them has made a file immutable, or a directory one that
/// can only grow. What the kernel refuses is told by the removal that comes next.
fn make_removable(directory: BorrowedFd<'_>, name: &CStr) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // Nothing else has attributes, and some things are better not opened.
    if !matches!(
        kind_of(directory, name),
        Some(FileType::RegularFile | FileType::Directory)
    ) {
        return;
    }
    if let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) {
        make_changeable(file.as_fd());
    }
    make_changeable(directory);
}

fn make_changeable(file: BorrowedFd<'_>) {
    let fixed = IFlags::IMMUTABLE | IFlags::APPEND;
    if let Ok(flags) = rustix::fs::ioctl_getflags(file)
        && flags.intersects(fixed)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags - fixed);
    }
}

fn move_up(
    from: &OwnedFd,
    name: &std::ffi::CString,
    top: BorrowedFd<'_>,
    moved: &mut u64,
) -> rustix::io::Result<()> {
    loop {
        *moved += 1;
        let free = format!("{MOVED_PREFIX}{moved}");
        match rustix::fs::renameat_with(from, name, top, &free, rustix::fs::RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
}

fn names(directory: BorrowedFd<'_>) -> rustix::io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use rustix::fs::openat;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_deeper_than_any_path_is_removed_and_links_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let holder = tempfile::tempdir().unwrap();
        let path = holder.path().join("tree");
        fs::create_dir_all(path.join("upper/.tmp-removed-1")).unwrap();
        symlink(outside.path(), path.join("upper/link")).unwrap();
        fs::write(path.join("file"), "x").unwrap();
        let mut directory = OwnedFd::from(File::open(path.join("upper")).unwrap());
        for _ in 0..3000 {
            rustix::fs::mkdirat(&directory, "d", Mode::from_raw_mode(0o700)).unwrap();
            directory = openat(&directory, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        remove(&path).unwrap();
        assert!(!path.exists());
        assert!(outside.path().join("kept").exists());
        remove(&path).unwrap();
    }

    #[test]
    fn what_a_container_made_immutable_is_removed() {
        let holder = tempfile::tempdir().unwrap();
        let path = holder.path().join("tree");
        fs::create_dir_all(path.join("upper/deep/er")).unwrap();
        let fixed = [
            ("upper/deep/er/file", IFlags::IMMUTABLE),
            ("upper/log", IFlags::APPEND),
            ("top", IFlags::IMMUTABLE),
        ];
        for (name, _) in &fixed {
            fs::write(path.join(name), "x").unwrap();
        }
        let directories = [
            ("upper/deep/er", IFlags::IMMUTABLE),
            ("upper/deep", IFlags::APPEND),
            ("upper", IFlags::IMMUTABLE),
        ];
        for (name, flag) in fixed.iter().chain(&directories) {
            let file = File::open(path.join(name)).unwrap();
            let flags = rustix::fs::ioctl_getflags(&file).unwrap();
            rustix::fs::ioctl_setflags(&file, flags | *flag).unwrap();
        }
        fs::remove_dir_all(&path).unwrap_err();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
