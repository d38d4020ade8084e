//! The first use of a volume: it is filled with what the image has at its place, as Docker does it.
//!
//! Invariant: while the file `fresh` of a volume exists, no container has mounted it, so that its directory may be
//! replaced as a whole. Whoever is killed in the middle leaves a fresh volume and a directory that the next one removes.

use crate::{Failure, FailureKind, FreshVolume, Home, Lock, Root};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long another container's start may take to fill the volume.
const LIMIT: Duration = Duration::from_secs(50);
const PAUSE: Duration = Duration::from_millis(10);
/// More attributes than this are none that an image has, in bytes.
const MAX_XATTR_BYTES: usize = 64 << 10;
const CAPABILITY_XATTR: &[u8] = b"security.capability";
const ACL_PREFIX: &[u8] = b"system.posix_acl_";
const USER_PREFIX: &[u8] = b"user.";
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Fills the volumes that nobody has mounted yet. The root file system is mounted.
pub(crate) fn volumes(root: &Root, home: &Home, volumes: &[FreshVolume]) -> Result<(), Failure> {
    for volume in volumes {
        first_use(root, home, volume).map_err(|error| match error {
            Ended::Io(error) => {
                Failure::while_doing(format_args!("cannot fill the volume {}", volume.name), error)
            }
            Ended::Late => Failure::new(
                FailureKind::Busy,
                format!(
                    "another container fills the volume {} and does not end",
                    volume.name
                ),
            ),
        })?;
    }
    Ok(())
}

enum Ended {
    Io(io::Error),
    Late,
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        Ended::Io(error)
    }
}

impl From<Errno> for Ended {
    fn from(error: Errno) -> Ended {
        Ended::Io(error.into())
    }
}

fn first_use(root: &Root, home: &Home, volume: &FreshVolume) -> Result<(), Ended> {
    let mark = root.volume_fresh(&volume.name);
    let Some(_lock) = lock(&mark)? else {
        return Ok(());
    };
    let data = root.volume_data(&volume.name);
    if fs::read_dir(&data)?.next().is_none()
        && let Some(source) = find(&home.rootfs(), &volume.target)?
    {
        let filling = root.volume_filling(&volume.name);
        let outcome = copy(source, &filling).and_then(|()| fs::rename(&filling, &data));
        if outcome.is_err() {
            let _ = fs::remove_dir_all(&filling);
        }
        outcome?;
    }
    fs::remove_file(&mark)?;
    // Before the container writes: after a power failure a volume that is fresh again would lose what is in it.
    File::open(root.volume(&volume.name))?.sync_all()?;
    Ok(())
}

/// Locks the mark of a fresh volume; nothing if the volume is not fresh any more.
fn lock(mark: &Path) -> Result<Option<Lock>, Ended> {
    let until = Instant::now() + LIMIT;
    loop {
        let file = match File::options().read(true).write(true).open(mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if let Some(lock) = Lock::try_on(file)? {
            return Ok(mark.exists().then_some(lock));
        }
        if Instant::now() >= until {
            return Err(Ended::Late);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The directory at a path of the container, if there is one. Symbolic links stay within its root.
fn find(rootfs: &Path, target: &str) -> io::Result<Option<OwnedFd>> {
    let root = File::open(rootfs)?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(&root, target, flags, Mode::empty(), within) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Copies a directory to a path, where the rest of an earlier attempt may stand, and waits until it is on disk.
fn copy(source: OwnedFd, path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(path)?;
    let top = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
    let target = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
    let mut copier = Copier {
        top,
        links: HashMap::new(),
    };
    copier.directory(&source, &target, &mut Vec::new())?;
    Ok(rustix::fs::syncfs(&target)?)
}

struct Copier {
    top: OwnedFd,
    /// Where the first name of a file with several names was copied to, by the file's identity.
    links: HashMap<(u64, u64), CString>,
}

impl Copier {
    /// Copies what is in a directory, then what the directory itself is like. An image's paths are at most 255 deep, and
    /// so is this.
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, path: &mut Vec<u8>) -> io::Result<()> {
        for name in names(from)? {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name.to_bytes());
            self.entry(from, to, &name, path)?;
            path.truncate(length);
        }
        let stat = rustix::fs::fstat(from)?;
        describe(from, to, &stat)
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, path: &mut Vec<u8>) -> io::Result<()> {
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let inner_from = rustix::fs::openat(from, name, DIRECTORY, Mode::empty())?;
                let inner_to = rustix::fs::openat(to, name, DIRECTORY, Mode::empty())?;
                self.directory(&inner_from, &inner_to, path)
            }
            _ if self.is_linked(&stat, to, name, path)? => Ok(()),
            FileType::RegularFile => {
                let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let source = rustix::fs::openat(from, name, read, Mode::empty())?;
                let write =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let target = rustix::fs::openat(to, name, write, Mode::RUSR | Mode::WUSR)?;
                let (mut source, mut target) = (File::from(source), File::from(target));
                io::copy(&mut source, &mut target)?;
                describe(&source.into(), &target.into(), &stat)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(target, to, name)?;
                own(to, name, &stat)
            }
            FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
                let mode = Mode::from_raw_mode(stat.st_mode);
                rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev)?;
                // The mode that was given passed through the umask.
                rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
                own(to, name, &stat)
            }
            // A socket is nothing without the process that listens on it.
            _ => Ok(()),
        }
    }

    /// Whether the file was copied under another name, and is now linked to that.
    fn is_linked(&mut self, stat: &Stat, to: &OwnedFd, name: &CStr, path: &[u8]) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let identity = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.links.get(&identity) {
            return match rustix::fs::linkat(&self.top, first, to, name, AtFlags::empty()) {
                Ok(()) => Ok(true),
                // A path that is too long, or a file with too many names: one more copy.
                Err(Errno::NAMETOOLONG | Errno::MLINK) => Ok(false),
                Err(error) => Err(error.into()),
            };
        }
        self.links.insert(identity, CString::new(path)?);
        Ok(false)
    }
}

/// Owner, mode, attributes and times of an open file or directory, in the order in which one does not undo the other.
fn describe(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> io::Result<()> {
    rustix::fs::fchown(
        to,
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    for name in attributes(from)? {
        let mut value = vec![0; MAX_XATTR_BYTES];
        let bytes = rustix::fs::fgetxattr(from, &name, &mut value)?;
        value.truncate(bytes);
        match rustix::fs::fsetxattr(to, &name, &value, XattrFlags::empty()) {
            // A file system without them loses them; a lost capability would be a program that does not work.
            Err(Errno::OPNOTSUPP | Errno::PERM) if name.to_bytes() != CAPABILITY_XATTR => {}
            set => set?,
        }
    }
    Ok(rustix::fs::futimens(to, &times(stat))?)
}

/// Owner and times of what cannot be opened: a link, a FIFO, a device.
fn own(to: &OwnedFd, name: &CStr, stat: &Stat) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(rustix::fs::utimensat(
        to,
        name,
        &times(stat),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// The attributes that belong to a file wherever it is: not overlayfs's, nor this host's labels.
fn attributes(file: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut list = vec![0; MAX_XATTR_BYTES];
    let bytes = match rustix::fs::flistxattr(file, &mut list) {
        Err(Errno::OPNOTSUPP) => 0,
        bytes => bytes?,
    };
    list.truncate(bytes);
    let is_kept = |name: &&[u8]| {
        name.starts_with(USER_PREFIX) && !name.starts_with(b"user.overlay.")
            || name.starts_with(ACL_PREFIX)
            || *name == CAPABILITY_XATTR
    };
    let names = list.split(|byte| *byte == 0).filter(is_kept);
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}

fn times(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime,
            tv_nsec: stat.st_atime_nsec as _,
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: stat.st_mtime_nsec as _,
        },
    }
}

fn names(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    struct Scene {
        _directory: tempfile::TempDir,
        root: Root,
        home: Home,
    }

    fn scene() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path().join("root"));
        let home = root.home(selur_protocol::ContainerId::from_bytes([1; 16]));
        fs::create_dir_all(home.rootfs()).unwrap();
        fs::create_dir_all(root.volume_data("v")).unwrap();
        fs::write(root.volume_fresh("v"), "").unwrap();
        Scene {
            _directory: directory,
            root,
            home,
        }
    }

    fn fill(scene: &Scene, target: &str) -> Result<(), Failure> {
        let volume = FreshVolume {
            name: "v".into(),
            target: target.into(),
        };
        volumes(&scene.root, &scene.home, &[volume])
    }

    #[test]
    fn a_fresh_volume_is_filled_with_what_the_image_has_there() {
        let scene = scene();
        let source = scene.home.rootfs().join("srv");
        fs::create_dir_all(source.join("deep/er")).unwrap();
        fs::write(source.join("deep/er/file"), "content").unwrap();
        fs::hard_link(source.join("deep/er/file"), source.join("same")).unwrap();
        symlink("/etc/passwd", source.join("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            source.join("fifo"),
            FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o1751)).unwrap();
        fs::set_permissions(source.join("same"), fs::Permissions::from_mode(0o640)).unwrap();
        // What an attempt left that was killed.
        fs::create_dir_all(scene.root.volume_filling("v").join("half")).unwrap();
        fill(&scene, "/srv").unwrap();

        let data = scene.root.volume_data("v");
        assert_eq!(fs::read_to_string(data.join("deep/er/file")).unwrap(), "content");
        let (one, other) = (
            data.join("same").metadata().unwrap(),
            data.join("deep/er/file").metadata().unwrap(),
        );
        assert_eq!((one.ino(), one.mode() & 0o7777), (other.ino(), 0o640));
        assert_eq!(
            fs::read_link(data.join("link")).unwrap(),
            Path::new("/etc/passwd")
        );
        assert_eq!(data.join("fifo").metadata().unwrap().mode(), 0o010_400);
        assert_eq!(data.metadata().unwrap().mode() & 0o7777, 0o1751);
        assert_eq!(
            data.metadata().unwrap().mtime(),
            source.metadata().unwrap().mtime()
        );
        assert!(!scene.root.volume_fresh("v").exists() && !scene.root.volume_filling("v").exists());
    }

    #[test]
    fn links_do_not_lead_out_of_the_image() {
        let scene = scene();
        let outside = scene.root.path().join("secret");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("key"), "x").unwrap();
        symlink(&outside, scene.home.rootfs().join("srv")).unwrap();
        symlink("../../../secret", scene.home.rootfs().join("up")).unwrap();
        for target in ["/srv", "/up"] {
            fill(&scene, target).unwrap();
            assert_eq!(
                fs::read_dir(scene.root.volume_data("v")).unwrap().count(),
                0,
                "{target}"
            );
            fs::write(scene.root.volume_fresh("v"), "").unwrap();
        }
    }

    #[test]
    fn a_volume_that_was_used_or_has_content_stays_as_it_is() {
        let scene = scene();
        fs::create_dir(scene.home.rootfs().join("srv")).unwrap();
        fs::write(scene.home.rootfs().join("srv/image"), "x").unwrap();
        fs::write(scene.root.volume_data("v").join("mine"), "x").unwrap();
        fill(&scene, "/srv").unwrap();
        assert!(!scene.root.volume_fresh("v").exists());
        fs::remove_file(scene.root.volume_data("v").join("mine")).unwrap();
        fill(&scene, "/srv").unwrap();
        assert_eq!(fs::read_dir(scene.root.volume_data("v")).unwrap().count(), 0);
    }

    #[test]
    fn many_first_uses_at_once_fill_it_once() {
        let scene = scene();
        fs::create_dir(scene.home.rootfs().join("srv")).unwrap();
        for index in 0..50 {
            fs::write(scene.home.rootfs().join(format!("srv/{index}")), "x").unwrap();
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    fill(&scene, "/srv").unwrap();
                    assert_eq!(fs::read_dir(scene.root.volume_data("v")).unwrap().count(), 50);
                });
            }
        });
    }
}
