//! The state root: whether it can be written, whether there is room, whether containers can live there.

use super::finding::{Finding, Subject};
use super::{remedies, trial};
use crate::oci::{OciOptions, prerequisites};
use rustix::fs::{Access, Mode, OFlags, StatVfsMountFlags};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const FEW_BYTES: u64 = 1 << 30;
const FEW_INODES: u64 = 20_000;

/// What is known of the directory that holds, or will hold, the state.
#[derive(Clone, Debug)]
struct Room {
    root: PathBuf,
    /// The root, or the nearest directory above it that exists.
    place: PathBuf,
    owner: u32,
    mode: u32,
    is_writable: bool,
    magic: u64,
    free_bytes: u64,
    /// None where a file system counts none.
    free_inodes: Option<u64>,
}

/// Looks at the state root, and makes nothing in it.
pub(super) fn findings(subject: Subject, options: &OciOptions) -> Vec<Finding> {
    let root = match prerequisites::state_root(options) {
        Ok(root) => root,
        Err(error) => {
            let (what, remedy) = super::cause_and_remedy(&error, remedies::STATE_ROOT);
            return vec![Finding::ok(subject, "state_root", what).missing(remedy)];
        }
    };
    let asked = root.clone();
    match trial::within(move || look(asked)) {
        Some(Ok(room)) => judge(subject, &room, rustix::process::geteuid().as_raw()),
        Some(Err(error)) => {
            let found = format!("{}: {error}", root.display());
            vec![Finding::ok(subject, "state_root", found).missing(remedies::STATE_ROOT)]
        }
        None => {
            let found = format!("{}: its file system does not answer", root.display());
            vec![Finding::ok(subject, "state_root", found).missing(remedies::STATE_ROOT)]
        }
    }
}

fn look(root: PathBuf) -> io::Result<Room> {
    let place = root
        .ancestors()
        .find(|place| place.symlink_metadata().is_ok())
        .unwrap_or(Path::new("/"))
        .to_owned();
    let found = fs::metadata(&place)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let kind = rustix::fs::statfs(&place)?;
    let space = rustix::fs::statvfs(&place)?;
    Ok(Room {
        owner: found.uid(),
        mode: found.permissions().mode() & 0o7777,
        is_writable: !space.f_flag.contains(StatVfsMountFlags::RDONLY) && may_write(&place),
        #[allow(clippy::unnecessary_cast, reason = "the type differs between architectures")]
        magic: kind.f_type as u64 & 0xffff_ffff,
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        free_inodes: (space.f_files > 0).then_some(space.f_favail),
        root,
        place,
    })
}

/// Tries it with a file without a name, which is gone when it is closed.
fn may_write(place: &Path) -> bool {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(place, flags, Mode::RUSR | Mode::WUSR) {
        Ok(_) => true,
        // Not every file system has such files.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
            rustix::fs::access(place, Access::WRITE_OK | Access::EXEC_OK).is_ok()
        }
        Err(_) => false,
    }
}

fn judge(subject: Subject, room: &Room, user: u32) -> Vec<Finding> {
    vec![
        judge_directory(subject, room, user),
        judge_kind(subject, room),
        judge_space(subject, room),
    ]
}

fn judge_directory(subject: Subject, room: &Room, user: u32) -> Finding {
    let root = room.root.display();
    let exists = room.root == room.place;
    let text = if exists {
        format!("{root}, owner {}, mode {:03o}", room.owner, room.mode)
    } else {
        format!("{root}, which the first command makes")
    };
    let found = Finding::ok(subject, "state_root", text);
    if !room.is_writable {
        let place = room.place.display();
        return Finding {
            found: format!("{root}: {place} cannot be written to"),
            ..found
        }
        .missing(remedies::STATE_ROOT);
    }
    // The same is refused when the root is opened.
    if exists && room.owner != user {
        return found.missing(format!(
            "it belongs to somebody else, who could put anything there: {}",
            remedies::STATE_ROOT
        ));
    }
    if exists && room.mode & prerequisites::OTHERS_MAY_WRITE != 0 {
        return found.missing(format!(
            "others may put anything there: {}, or `chmod 700 {root}` if you know everything in it",
            remedies::STATE_ROOT
        ));
    }
    // Others may read images there, and run what is setuid in them.
    if exists && room.mode & 0o077 != 0 {
        return found.warning(format!("others see what containers hold: `chmod 700 {root}`"));
    }
    found
}

/// How overlays like a file system.
#[derive(PartialEq)]
enum Suits {
    Well,
    Forgets,
    Not,
}

/// Source: linux/magic.h and the kernel's fs/*.
const KINDS: [(u64, &str, Suits); 19] = [
    (0xef53, "ext4", Suits::Well),
    (0x5846_5342, "xfs", Suits::Well),
    (0x9123_683e, "btrfs", Suits::Well),
    (0xf2f5_2010, "f2fs", Suits::Well),
    (0x2fc1_2fc1, "zfs", Suits::Well),
    (0xca45_1a4e, "bcachefs", Suits::Well),
    (0x0102_1994, "tmpfs", Suits::Forgets),
    (0x8584_58f6, "ramfs", Suits::Forgets),
    (0x794c_7630, "overlay", Suits::Not),
    (0x6969, "nfs", Suits::Not),
    (0xff53_4d42, "cifs", Suits::Not),
    (0xfe53_4d42, "smb", Suits::Not),
    (0x517b, "smb", Suits::Not),
    (0x6573_5546, "fuse", Suits::Not),
    (0x0102_1997, "9p", Suits::Not),
    (0x4d44, "vfat", Suits::Not),
    (0x2011_bab0, "exfat", Suits::Not),
    (0xf15f, "ecryptfs", Suits::Not),
    (0x00c3_6400, "ceph", Suits::Not),
];

fn judge_kind(subject: Subject, room: &Room) -> Finding {
    let kind = |name: &str| Finding::ok(subject, "file_system", name);
    match KINDS.iter().find(|(magic, ..)| *magic == room.magic) {
        Some((_, name, Suits::Well)) => kind(name),
        Some((_, name, Suits::Forgets)) => kind(name).warning(format!(
            "images and containers fill the memory there, and are gone after a reboot: {}",
            remedies::STATE_ROOT
        )),
        Some((_, name, Suits::Not)) => kind(name).missing(format!(
            "overlayfs cannot write there: choose a state root that is not itself on an overlay or a network file \
             system, and {}",
            remedies::STATE_ROOT
        )),
        None => kind(&format!("unknown to selur, of type {:#x}", room.magic)).warning(format!(
            "if containers do not start, {}",
            remedies::STATE_ROOT
        )),
    }
}

fn judge_space(subject: Subject, room: &Room) -> Finding {
    let gigabytes = room.free_bytes as f64 / 1e9;
    let inodes = match room.free_inodes {
        Some(inodes) => format!("{inodes} inodes"),
        None => "inodes without a limit".to_owned(),
    };
    let found = Finding::ok(subject, "free_space", format!("{gigabytes:.1} GB, {inodes}"));
    if room.free_bytes == 0 || room.free_inodes == Some(0) {
        return found.missing("free space: `selur prune`");
    }
    if room.free_bytes < FEW_BYTES || room.free_inodes.is_some_and(|inodes| inodes < FEW_INODES) {
        return found.warning("images may not fit: `selur prune` frees what nothing uses");
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::doctor::Verdict::{self, Missing, Ok as Good, Warning};

    fn room(change: impl FnOnce(&mut Room)) -> Room {
        let mut room = Room {
            root: "/var/lib/selur".into(),
            place: "/var/lib/selur".into(),
            owner: 0,
            mode: 0o700,
            is_writable: true,
            magic: 0xef53,
            free_bytes: 50 << 30,
            free_inodes: Some(1_000_000),
        };
        change(&mut room);
        room
    }

    #[test]
    fn rooms_are_judged() {
        type Change = fn(&mut Room);
        let cases: [(Change, [Verdict; 3]); 13] = [
            (|_| {}, [Good, Good, Good]),
            (|room| room.place = "/var/lib".into(), [Good, Good, Good]),
            (|room| room.is_writable = false, [Missing, Good, Good]),
            (|room| room.owner = 1000, [Missing, Good, Good]),
            (|room| room.mode = 0o755, [Warning, Good, Good]),
            (|room| room.mode = 0o775, [Missing, Good, Good]),
            (|room| room.magic = 0x794c_7630, [Good, Missing, Good]),
            (|room| room.magic = 0x6969, [Good, Missing, Good]),
            (|room| room.magic = 0x0102_1994, [Good, Warning, Good]),
            (|room| room.magic = 7, [Good, Warning, Good]),
            (|room| room.free_bytes = 1 << 20, [Good, Good, Warning]),
            (|room| room.free_inodes = Some(0), [Good, Good, Missing]),
            (|room| room.free_inodes = None, [Good, Good, Good]),
        ];
        for (change, expected) in cases {
            let room = room(change);
            let verdicts: Vec<_> = judge(Subject::Oci, &room, 0)
                .into_iter()
                .map(|finding| {
                    assert_eq!(finding.remedy.is_none(), finding.verdict == Good, "{finding:?}");
                    finding.verdict
                })
                .collect();
            assert_eq!(verdicts, expected, "{room:?}");
        }
    }

    #[test]
    fn a_root_is_looked_at_and_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("not/there");
        let room = look(root.clone()).unwrap();
        assert_eq!(room.place, directory.path());
        assert!(room.is_writable && !root.exists());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        fs::write(directory.path().join("not"), "").unwrap();
        assert!(look(root).is_err());
    }
}
