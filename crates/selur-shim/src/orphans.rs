//! Ends what execs left in a container whose errands died: nobody else would before the container ends.

use crate::Process;
use crate::process::{has_ended, parent_of, session_of};
use rustix::process::{Signal, pidfd_send_signal};
use selur_protocol::ContainerId;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How often what is left is looked for: it may fork while it is killed.
const ROUNDS: u32 = 16;
const MOUNT: &str = "/sys/fs/cgroup";

/// Kills the further processes of a container that nobody waits for, with what they left in their sessions, and gives
/// how many there were. Its processes are found by its cgroup, or by its pid namespace where it has
/// none of its own.
///
/// The container's own processes have parents in the container. What was run in it from outside has one outside: its
/// errand, or runc, whose command lines end with the container's id. One whose errand has died has another parent. An
/// errand that calls this has given up those of its own.
pub fn end_orphans(id: ContainerId, first: Process) -> usize {
    let mut sessions = BTreeSet::new();
    let mut ended = BTreeSet::new();
    for _ in 0..ROUNDS {
        let members = members(id, first.pid);
        let mut found = false;
        for pid in members.iter().copied().filter(|pid| *pid != first.pid) {
            let Some(pidfd) = Process::find(pid).and_then(|process| process.open()) else {
                continue;
            };
            let is_orphan = parent_of(pid).is_some_and(|parent| {
                let is_outside = parent != 0 && !members.contains(&parent);
                is_outside && (parent == std::process::id() || !works_for(parent, id))
            });
            let session = session_of(pid).filter(|session| is_orphan || sessions.contains(session));
            let Some(session) = session.filter(|_| !has_ended(&pidfd)) else {
                continue;
            };
            // runc makes every process the first of a session.
            if session == pid {
                sessions.insert(session);
            }
            found = true;
            ended.insert(pid);
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
        if !found {
            break;
        }
    }
    ended.len()
}

/// Every process of the container: those in the cgroup of its first, which is named by its id.
fn members(id: ContainerId, first: u32) -> BTreeSet<u32> {
    let text = fs::read_to_string(format!("/proc/{first}/cgroup")).unwrap_or_default();
    let id = id.to_string();
    let mut members = BTreeSet::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        if !group.contains(&id) {
            continue;
        }
        let controllers = controllers.strip_prefix("name=").unwrap_or(controllers);
        let group = group.trim_start_matches('/');
        let hierarchy = match controllers {
            "" => ["unified", ""],
            _ => [controllers, controllers],
        };
        for hierarchy in hierarchy {
            collect(&Path::new(MOUNT).join(hierarchy).join(group), &mut members);
        }
        // Each hierarchy has them all.
        if !members.is_empty() {
            break;
        }
    }
    if members.is_empty() {
        // Without root there may be no cgroup of its own.
        of_namespace(first, &mut members);
    }
    members
}

/// The processes in the pid namespace of the first one.
fn of_namespace(first: u32, members: &mut BTreeSet<u32>) {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let (Some(wanted), own) = (namespace(first), namespace(std::process::id())) else {
        return;
    };
    // A container always has one of its own; should it not, nobody is an orphan.
    if own.is_none_or(|own| own == wanted) {
        return;
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    members.extend(pids.filter(|pid| namespace(*pid).as_ref() == Some(&wanted)));
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

/// Whether a process is an errand of this container's, or runc at work for one.
fn works_for(pid: u32, id: ContainerId) -> bool {
    let id = id.to_string();
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command
        .split(|byte| *byte == 0)
        .any(|argument| argument == id.as_bytes())
}
