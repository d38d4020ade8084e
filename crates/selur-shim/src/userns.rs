//! The user namespace in which everything of a user happens who is not root: there, this process may mount, and give
//! files to the subordinate ids.
//!
//! A process with one thread enters it, and keeps its id: a helper that stays outside writes the maps. Nobody becomes
//! root of the machine by this; the kernel, `/etc/subuid` and `/etc/subgid` decide which ids there are.

use crate::{Failure, FailureKind, Process};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use selur_tree::Power;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the helper says that has written the maps, before anything else.
const WRITTEN: u8 = b'+';

/// Ids of a user namespace that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first one within.
    pub inside: u32,
    /// The first one of the machine.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Which ids a user's containers have.
///
/// Invariant: the first range of each is one id, the user's own, which is 0 within.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Of users.
    pub users: Vec<IdRange>,
    /// Of groups.
    pub groups: Vec<IdRange>,
    /// The programs that may map subordinate ids; none where there are none to map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<MapTools>,
}

/// The programs that map ids, absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapTools {
    /// newuidmap.
    pub users: PathBuf,
    /// newgidmap.
    pub groups: PathBuf,
}

impl Mapping {
    /// How many users there are.
    pub fn ids(&self) -> u64 {
        self.users.iter().map(|range| u64::from(range.count)).sum()
    }

    /// Whether files belong to the same ids under both.
    pub fn is_like(&self, other: &Mapping) -> bool {
        self.users == other.users && self.groups == other.groups
    }

    pub(crate) fn power(&self) -> Power {
        match self.tools {
            Some(_) => Power::Namespace,
            None => Power::SingleId,
        }
    }

    /// Whether a process within can be this user with this group.
    pub fn has(&self, user: u32, group: u32) -> bool {
        let within = |ranges: &[IdRange], id: u32| {
            ranges
                .iter()
                .any(|range| id >= range.inside && id - range.inside < range.count)
        };
        within(&self.users, user) && within(&self.groups, group)
    }
}

/// Enters a new user namespace.
pub(crate) fn enter(mapping: &Mapping) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::while_doing("cannot enter a user namespace", error);
    let (mut own, theirs) = UnixStream::pair().map_err(failed)?;
    let outside = std::process::id();
    // SAFETY: the process has one thread, which the contract of `main` demands, so that the child may do anything.
    let helper = match unsafe { libc::fork() } {
        -1 => return Err(failed(io::Error::last_os_error())),
        0 => {
            drop(own);
            let done = help(theirs, outside, mapping);
            std::process::exit(i32::from(done.is_none()));
        }
        helper => helper,
    };
    drop(theirs);
    // SAFETY: a user namespace has no bearing on memory or descriptors.
    let unshared = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) };
    let mut answer = Vec::new();
    let answered = match unshared {
        // The helper sees the end and leaves.
        Err(_) => own.shutdown(std::net::Shutdown::Write),
        Ok(()) => own
            .write_all(&[WRITTEN])
            .and_then(|()| own.shutdown(std::net::Shutdown::Write)),
    };
    let answered = answered.and_then(|()| own.read_to_end(&mut answer).map(drop));
    if let Some(helper) = Pid::from_raw(helper) {
        let _ = rustix::io::retry_on_intr(|| waitpid(Some(helper), WaitOptions::empty()));
    }
    unshared.map_err(|error| refused("make a user namespace", error.into()))?;
    answered.map_err(failed)?;
    match answer.split_first() {
        Some((&WRITTEN, [])) => become_root(),
        _ => Err(not_mapped(mapping, &String::from_utf8_lossy(&answer))),
    }
}

/// Joins the namespace that a container was given, by its first process, if that still runs.
pub(crate) fn join(process: &Process) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::while_doing("cannot join the container's user namespace", error);
    let Some(_pidfd) = process.open() else {
        return Ok(false);
    };
    let opened = File::open(format!("/proc/{}/ns/user", process.pid));
    if !process.is_alive() {
        return Ok(false);
    }
    let namespace = opened.and_then(below_own).map_err(failed)?;
    // Another id's process in this user's namespace: the user owns that, and has every right in it.
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::User))
        .map_err(|error| failed(error.into()))?;
    become_root().map(|()| true)
}

/// The namespace directly below this process's own that a namespace is, or lies in: a process may have made others
/// within the one that it was given, and be in those.
fn below_own(namespace: File) -> io::Result<File> {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let own = identity(fs::metadata("/proc/self/ns/user")?);
    let mut namespace = namespace;
    loop {
        // The kernel gives none that lies above this process's own.
        let parent = parent_of(&namespace)?;
        if identity(parent.metadata()?) == own {
            return Ok(namespace);
        }
        namespace = parent;
    }
}

/// Source: ioctl_ns(2).
fn parent_of(namespace: &File) -> io::Result<File> {
    // SAFETY: the descriptor is open for the whole call, and this request takes no argument.
    let parent = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_PARENT) };
    if parent < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    let parent = unsafe { OwnedFd::from_raw_fd(parent) };
    Ok(File::from(parent))
}

/// The user is root already wherever the own id is 0. What is left is to drop the groups that nobody has within, where
/// that is allowed.
fn become_root() -> Result<(), Failure> {
    let denied = fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny");
    if !denied {
        rustix::thread::set_thread_groups(&[])
            .map_err(|error| refused("drop groups in a user namespace", error.into()))?;
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            FailureKind::Internal,
            "the user is not root within the own user namespace",
        ));
    }
    Ok(())
}

/// The helper's whole life: waits until the other has entered its namespace, and maps ids there.
fn help(mut socket: UnixStream, pid: u32, mapping: &Mapping) -> Option<()> {
    let mut word = Vec::new();
    socket.read_to_end(&mut word).ok()?;
    if word != [WRITTEN] {
        return None;
    }
    let mapped = match &mapping.tools {
        Some(tools) => {
            call(&tools.users, pid, &mapping.users).and_then(|()| call(&tools.groups, pid, &mapping.groups))
        }
        None => write_single(pid, mapping).map_err(|error| format!("the own id: {error}")),
    };
    match mapped {
        Ok(()) => socket.write_all(&[WRITTEN]).ok(),
        Err(words) => {
            let _ = socket.write_all(words.as_bytes());
            None
        }
    }
}

/// Source: newuidmap(1).
fn call(program: &Path, pid: u32, ranges: &[IdRange]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(pid.to_string());
    for range in ranges {
        for number in [range.inside, range.outside, range.count] {
            command.arg(number.to_string());
        }
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Source: user_namespaces(7): one's own id may be mapped without any right, once setgroups is given up.
fn write_single(pid: u32, mapping: &Mapping) -> io::Result<()> {
    let text = |ranges: &[IdRange]| {
        let line = |range: &IdRange| format!("{} {} {}\n", range.inside, range.outside, range.count);
        ranges.iter().map(line).collect::<String>()
    };
    fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    fs::write(format!("/proc/{pid}/uid_map"), text(&mapping.users))?;
    fs::write(format!("/proc/{pid}/gid_map"), text(&mapping.groups))
}

/// What keeps users out of user namespaces here, and what mends it.
fn obstacle() -> Option<(&'static str, &'static str)> {
    let setting = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    if setting("/proc/sys/user/max_user_namespaces") == "0" {
        return Some((
            "user namespaces are switched off",
            "ask root to run `sysctl -w user.max_user_namespaces=15000`",
        ));
    }
    if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return Some((
            "user namespaces are for root only",
            "ask root to run `sysctl -w kernel.unprivileged_userns_clone=1`",
        ));
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return Some((
            "AppArmor takes their powers from user namespaces",
            "ask root to run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or to give this program a \
             profile that allows `userns`",
        ));
    }
    match Path::new("/proc/self/ns/user").exists() {
        true => None,
        false => Some(("this kernel has no user namespaces", "run selur as root")),
    }
}

/// What the kernel refused to who would be root in a user namespace, with the remedy.
pub(crate) fn refused(what: &str, error: io::Error) -> Failure {
    let (why, remedy) = obstacle().unwrap_or((
        "the kernel refuses it",
        "run selur as root; inside of a container, run that privileged",
    ));
    Failure::new(
        FailureKind::Unsupported,
        format!("cannot {what} ({error}), because {why}: {remedy}"),
    )
}

fn not_mapped(mapping: &Mapping, said: &str) -> Failure {
    let said = match said {
        "" => "nothing was said",
        said => said,
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_bound = status.lines().any(|line| {
        line.strip_prefix("NoNewPrivs:")
            .is_some_and(|value| value.trim() == "1")
    });
    let remedy = match (&mapping.tools, obstacle()) {
        (Some(_), _) if is_bound => {
            "run selur without no_new_privs, under which newuidmap has no right to map anything".to_owned()
        }
        (None, Some((_, remedy))) => remedy.to_owned(),
        (None, None) => "run selur as root".to_owned(),
        (Some(tools), _) => format!(
            "check that {} and {} are setuid root, as the package uidmap installs them, and that /etc/subuid and \
             /etc/subgid give you what they give nobody else",
            tools.users.display(),
            tools.groups.display()
        ),
    };
    Failure::new(
        FailureKind::Unsupported,
        format!("the ids of a user namespace cannot be mapped ({said}): {remedy}"),
    )
}
