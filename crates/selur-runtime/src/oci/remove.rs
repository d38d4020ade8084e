//! Removes a directory with everything in it, however deep a container nested it.

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, renameat, unlinkat};
use selur_protocol::ContainerId;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Removes the tree at `path`; nothing happens if there is none.
///
/// Each directory within is moved up into the root of the tree before it is emptied. So neither the stack nor the
/// number of open descriptors grows with the depth, and no path is longer than a name. Symbolic links are removed, never
/// followed.
pub(super) fn tree(path: &Path) -> io::Result<()> {
    let root = match File::open(path) {
        Ok(root) => OwnedFd::from(root),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut moved = 0;
    loop {
        let mut found_directory = false;
        for name in entries(&root)? {
            if is_removed(&root, &name)? {
                continue;
            }
            found_directory = true;
            empty(&root, &name, &mut moved)?;
            unlinkat(&root, &name, AtFlags::REMOVEDIR)?;
        }
        if found_directory {
            continue;
        }
        match std::fs::remove_dir(path) {
            // The errand of an exec, which holds no lock, put a last file there.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            outcome => return outcome,
        }
    }
}

/// Removes the cgroups of a container that has no process. runc leaves them where it fails half-way.
///
/// They lie below each mounted hierarchy (v1, hybrid), or below the only one (v2).
pub(super) fn cgroups(id: ContainerId) {
    let mount = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(mount)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for hierarchy in hierarchies.chain([mount.to_owned()]) {
        // A cgroup that is not there, or is in use, stays as it is.
        let _ = std::fs::remove_dir(hierarchy.join("selur").join(id.to_string()));
    }
}

/// Empties a directory of the root: its directories become the root's.
fn empty(root: &OwnedFd, name: &std::ffi::CStr, moved: &mut u64) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(root, name, flags, Mode::empty())?;
    for child in entries(&directory)? {
        while !is_removed(&directory, &child)? {
            *moved += 1;
            let place = format!(".removed-{moved}");
            match renameat(&directory, &child, root, place) {
                Ok(()) => break,
                // The container chose that name itself.
                Err(rustix::io::Errno::EXIST | rustix::io::Errno::NOTEMPTY | rustix::io::Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Removes an entry that is no directory. False if it is one.
fn is_removed(directory: &OwnedFd, name: &std::ffi::CStr) -> io::Result<bool> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(true),
        Err(rustix::io::Errno::ISDIR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn entries(directory: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_deeper_than_any_path_is_removed_and_links_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let holder = tempfile::tempdir().unwrap();
        let path = holder.path().join("tree");
        fs::create_dir_all(path.join("upper/.removed-1")).unwrap();
        symlink(outside.path(), path.join("upper/link")).unwrap();
        fs::write(path.join("file"), "x").unwrap();
        let mut directory = OwnedFd::from(File::open(path.join("upper")).unwrap());
        for _ in 0..3000 {
            rustix::fs::mkdirat(&directory, "d", Mode::from_raw_mode(0o700)).unwrap();
            directory = openat(&directory, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        tree(&path).unwrap();
        assert!(!path.exists());
        assert!(outside.path().join("kept").exists());
        tree(&path).unwrap();
    }
}
