//! What an exec's errand keeps on disk, and what is done in the container about one that died: nobody else would end
//! its process before the container ends.
//!
//! An errand has a directory from before it calls runc until its process has ended, with a lock in it that names the
//! errand. Its runc holds the lock, too: where it is free, nothing more comes of that errand, and all that came of it is
//! in the container. Where every lock is held, no process is looked at.

use crate::errand::Site;
use crate::process::{has_children, has_ended, parent_and_session_of, parent_of};
use crate::{Home, Life, Lock, Process, current_boot};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::rand::{GetRandomFlags, getrandom};
use selur_protocol::ContainerId;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// How often what is left is looked for: it may fork while it is killed.
const ROUNDS: u32 = 16;
/// How often a name for a directory is tried.
const NAMING_ATTEMPTS: u32 = 8;
/// What may be between a process and its errand: runc, and what runc is wrapped in.
const MAX_ANCESTORS: usize = 8;
/// How long a killed process has to end, in seconds: a frozen one ends when it is thawed.
const DEATH_LIMIT: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};
const MOUNT: &str = "/sys/fs/cgroup";

/// An errand's directory. It is removed, with what is in it, when this is dropped.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    lock: Lock,
}

impl Directory {
    /// Makes one, of this number if it is free.
    pub(crate) fn make(home: &Home, number: Option<u64>) -> io::Result<Directory> {
        let own = serde_json::to_vec(&Process::own())?;
        let mut wanted = number;
        for _ in 0..NAMING_ATTEMPTS {
            let number = match wanted.take() {
                Some(number) => number,
                None => random()?,
            };
            let path = home.exec(number);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            match Lock::try_at(&lock_of(&path)) {
                Ok(Some(lock)) => {
                    // For runc, which is given its file.
                    let lock = lock.left_to_children();
                    let directory = Directory { path, lock };
                    // Without its errand's name, what it starts were an orphan's.
                    directory.lock.file().write_all_at(&own, 0)?;
                    return Ok(directory);
                }
                // Another errand takes it for a dead one's, and removes it.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("directories of errands do not last"))
    }

    /// The lock's file, for runc to hold it, too.
    pub(crate) fn lock(&self) -> &File {
        self.lock.file()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What errands have left of themselves in a container's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traces {
    /// Nothing: all that there are live.
    None,
    /// One is dead, but its runc, or who cleans up after it, is not.
    Dying,
    /// One is dead.
    Dead,
}

impl Traces {
    /// Looks for them.
    pub fn of(home: &Home) -> Traces {
        let mut traces = Traces::None;
        for path in directories(home) {
            let lock = lock_of(&path);
            if !Lock::is_held(&lock).unwrap_or(true) {
                // One that has just ended is none.
                if path.exists() {
                    return Traces::Dead;
                }
            } else if errand_of(&path).is_some_and(|errand| !errand.is_alive()) {
                traces = Traces::Dying;
            }
        }
        traces
    }
}

/// Ends what dead errands left in the container, and removes their directories: those stay where something cannot be
/// ended.
pub(crate) fn sweep(site: &Site) {
    let dead: Vec<(PathBuf, Lock)> = directories(&site.home)
        .filter_map(|path| Some((path.clone(), claim(&path)?)))
        .collect();
    let paths: Vec<&PathBuf> = dead.iter().map(|(path, _)| path).collect();
    if !dead.is_empty() && end_orphans(site, &paths) {
        for path in paths {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Ends what the caller, an errand, began and has given up.
pub(crate) fn give_up(site: &Site, directory: &Directory) {
    // Whatever it has begun is its child by now, for runc is not any more.
    if has_children() {
        let _ = end_orphans(site, &[&directory.path]);
    }
}

fn random() -> io::Result<u64> {
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(random))
}

fn lock_of(directory: &Path) -> PathBuf {
    directory.join(Home::EXEC_LOCK)
}

fn directories(home: &Home) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(home.path()).into_iter().flatten().flatten();
    entries
        .filter(|entry| Home::is_exec(&entry.file_name()))
        .map(|entry| entry.path())
}

/// The lock of a dead errand's directory.
fn claim(directory: &Path) -> Option<Lock> {
    let opened = File::options().read(true).write(true).open(lock_of(directory));
    match opened {
        Ok(file) => Lock::try_on(file).ok()?,
        Err(error) => {
            // Its errand died at once, or is about to make the lock: then it makes another directory, too.
            if error.kind() == io::ErrorKind::NotFound {
                let _ = fs::remove_dir(directory);
            }
            None
        }
    }
}

/// Which errand a directory is of.
fn errand_of(directory: &Path) -> Option<Process> {
    serde_json::from_slice(&fs::read(lock_of(directory)).ok()?).ok()
}

/// Kills the further processes of the container that have no errand, with what they left in their sessions, whereby the
/// errands of these directories do not count. False if some may be left.
///
/// The container's own processes have parents in the container. What is run in it from outside has one outside: its
/// errand, or runc, whose parent is the errand.
fn end_orphans(site: &Site, without: &[&PathBuf]) -> bool {
    let boot = current_boot().unwrap_or_default();
    let life = Life::read(&site.root, site.id).ok().flatten();
    // With the first process all others end.
    let Some(first) = life
        .filter(|life| life.boot == boot)
        .and_then(|life| life.process)
    else {
        return true;
    };
    let Some(container) = Members::of(site.id, first) else {
        return true;
    };
    let mut sessions = BTreeSet::new();
    let mut is_refused = false;
    for _ in 0..ROUNDS {
        let members = container.list();
        if !first.is_alive() {
            return true;
        }
        let suspects: Vec<Suspect> = members
            .iter()
            .filter(|pid| **pid != first.pid)
            .filter_map(|pid| Suspect::find(*pid, &members, &sessions, &container))
            .collect();
        // Only now: the errand of a process that is there is there by then.
        let errands = living(&site.home, without);
        let mut killed = Vec::new();
        let mut is_undecided = false;
        for suspect in suspects {
            let is_served = match suspect.is_outsider {
                true => is_served(suspect.pid, &errands),
                false => Some(false),
            };
            is_undecided |= is_served.is_none();
            if is_served != Some(false) {
                continue;
            }
            // runc makes every process the first of a session.
            if suspect.session == suspect.pid {
                sessions.insert(suspect.session);
            }
            match pidfd_send_signal(&suspect.pidfd, Signal::KILL) {
                Ok(()) => killed.push(suspect.pidfd),
                Err(_) => is_refused |= !has_ended(&suspect.pidfd),
            }
        }
        if killed.is_empty() && !is_undecided {
            return !is_refused;
        }
        for pidfd in killed {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&DEATH_LIMIT))) == Ok(0) {
                return false;
            }
        }
    }
    false
}

/// A process of the container that may be an orphan, or left by one.
struct Suspect {
    pid: u32,
    session: u32,
    /// Whether its parent is not in the container.
    is_outsider: bool,
    pidfd: OwnedFd,
}

impl Suspect {
    fn find(
        pid: u32,
        members: &BTreeSet<u32>,
        sessions: &BTreeSet<u32>,
        container: &Members,
    ) -> Option<Suspect> {
        let (parent, session) = parent_and_session_of(pid)?;
        let is_outsider = parent != 0 && !members.contains(&parent);
        if !is_outsider && !sessions.contains(&session) {
            return None;
        }
        let pidfd = Process::find(pid)?.open()?;
        // The number may have been given to another process since they were listed.
        let is_member = container.has(pid) && !has_ended(&pidfd);
        is_member.then_some(Suspect {
            pid,
            session,
            is_outsider,
            pidfd,
        })
    }
}

/// The errands that live.
fn living(home: &Home, without: &[&PathBuf]) -> Vec<Process> {
    directories(home)
        .filter(|path| !without.contains(&path) && Lock::is_held(&lock_of(path)).unwrap_or(true))
        .filter_map(|path| errand_of(&path))
        .collect()
}

/// Whether a process is one of these errands', or of their runc's. Nothing if its ancestors end while they are looked
/// at: a process whose parent ends gets another.
fn is_served(pid: u32, errands: &[Process]) -> Option<bool> {
    let seen = ancestors(pid);
    let is_errand = |pid: &u32| {
        errands
            .iter()
            .any(|errand| errand.pid == *pid && Process::find(*pid) == Some(*errand))
    };
    if seen.iter().any(is_errand) {
        return Some(true);
    }
    // Those that are still the same parents were so all the time.
    (seen == ancestors(pid)).then_some(false)
}

fn ancestors(pid: u32) -> Vec<u32> {
    std::iter::successors(parent_of(pid), |pid| parent_of(*pid))
        .take_while(|pid| *pid > 1)
        .take(MAX_ANCESTORS)
        .collect()
}

/// How the processes of a container are known.
enum Members {
    /// By a cgroup that has all of them, and is named by the container's id.
    Group { id: String, group: PathBuf },
    /// By their pid namespace: without root there may be no cgroup of their own.
    Namespace(PathBuf),
}

impl Members {
    fn of(id: ContainerId, first: Process) -> Option<Members> {
        let text = fs::read_to_string(format!("/proc/{}/cgroup", first.pid)).ok()?;
        let id = id.to_string();
        let group = text
            .lines()
            .flat_map(|line| paths_of(line, &id))
            .find(|path| collected(path).contains(&first.pid));
        let found = match group {
            Some(group) => Members::Group { id, group },
            None => {
                let namespace = namespace(first.pid)?;
                // A container always has one of its own; should it not, nobody is an orphan.
                if namespace == self::namespace(std::process::id())? {
                    return None;
                }
                Members::Namespace(namespace)
            }
        };
        // Its number may have been given to another process.
        first.is_alive().then_some(found)
    }

    fn list(&self) -> BTreeSet<u32> {
        match self {
            Members::Group { group, .. } => collected(group),
            Members::Namespace(_) => {
                let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
                let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
                pids.filter(|pid| self.has(*pid)).collect()
            }
        }
    }

    /// Whether the process that has this number now is one of them.
    fn has(&self, pid: u32) -> bool {
        match self {
            Members::Group { id, .. } => {
                fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(id))
            }
            Members::Namespace(wanted) => namespace(pid).as_ref() == Some(wanted),
        }
    }
}

fn namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// Where a line of /proc/PID/cgroup may be found, if it is a container's own. Source: cgroups(7).
fn paths_of(line: &str, id: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
        return Vec::new();
    };
    if !group.contains(id) {
        return Vec::new();
    }
    let controllers = controllers.strip_prefix("name=").unwrap_or(controllers);
    let hierarchies = match controllers {
        "" => vec!["unified", ""],
        _ => vec![controllers],
    };
    let group = group.trim_start_matches('/');
    hierarchies
        .into_iter()
        .map(|hierarchy| Path::new(MOUNT).join(hierarchy).join(group))
        .collect()
}

fn collected(group: &Path) -> BTreeSet<u32> {
    let mut members = BTreeSet::new();
    collect(group, &mut members);
    members
}

fn collect(group: &Path, members: &mut BTreeSet<u32>) {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    members.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), members);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::Root;
    use std::process::{Child, Command};

    fn home() -> (tempfile::TempDir, Home) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let home = root.home(ContainerId::from_bytes([3; 16]));
        fs::create_dir_all(home.path()).unwrap();
        (directory, home)
    }

    fn sleep() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    #[test]
    fn a_directory_tells_whether_its_errand_lives_and_goes_with_it() {
        let (_directory, home) = home();
        assert_eq!(Traces::of(&home), Traces::None);
        let directory = Directory::make(&home, Some(7)).unwrap();
        assert_eq!(directory.path, home.exec(7));
        assert_eq!(living(&home, &[]), [Process::own().unwrap()]);
        assert_eq!(living(&home, &[&directory.path]), []);
        // The number is taken: another is found.
        let other = Directory::make(&home, Some(7)).unwrap();
        assert_ne!(other.path, directory.path);
        assert!(claim(&other.path).is_none());
        assert_eq!(Traces::of(&home), Traces::None);
        drop((directory, other));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_dead_errand_is_known_when_nobody_holds_its_lock_any_more() {
        let (_directory, home) = home();
        fs::create_dir(home.exec(7)).unwrap();
        let lock = Lock::try_at(&home.exec_lock(7))
            .unwrap()
            .unwrap()
            .left_to_children();
        let mut errand = sleep();
        let process = Process::find(errand.id()).unwrap();
        fs::write(home.exec_lock(7), serde_json::to_vec(&process).unwrap()).unwrap();
        assert_eq!(Traces::of(&home), Traces::None);
        errand.kill().unwrap();
        errand.wait().unwrap();
        assert_eq!(Traces::of(&home), Traces::Dying);
        // As its runc does.
        let held = lock.file().try_clone().unwrap();
        drop(lock);
        assert_eq!(Traces::of(&home), Traces::Dying);
        drop(held);
        assert_eq!(Traces::of(&home), Traces::Dead);
        assert!(claim(&home.exec(7)).is_some());
        // One that died before it had the lock.
        fs::create_dir(home.exec(8)).unwrap();
        assert!(claim(&home.exec(8)).is_none());
        assert!(!home.exec(8).exists());
    }

    #[test]
    fn a_process_is_served_by_an_errand_that_is_its_ancestor() {
        let mut child = sleep();
        let own = Process::own().unwrap();
        let earlier = Process {
            started_ticks: own.started_ticks - 1,
            ..own
        };
        assert_eq!(is_served(child.id(), &[own]), Some(true));
        assert_eq!(is_served(child.id(), &[earlier]), Some(false));
        assert_eq!(is_served(child.id(), &[]), Some(false));
        // What has ended, and is not reaped, has the same parent still.
        child.kill().unwrap();
        assert_eq!(is_served(child.id(), &[own]), Some(true));
        child.wait().unwrap();
    }

    #[test]
    fn a_number_that_was_given_to_another_process_is_in_no_container() {
        let by_group = Members::Group {
            id: ContainerId::from_bytes([3; 16]).to_string(),
            group: PathBuf::new(),
        };
        let by_namespace = Members::Namespace("pid:[1]".into());
        let mut child = sleep();
        let pid = child.id();
        for members in [by_group, by_namespace] {
            assert!(!members.has(pid));
            // It has a parent outside, and is not taken all the same.
            assert!(Suspect::find(pid, &BTreeSet::from([pid]), &BTreeSet::new(), &members).is_none());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
