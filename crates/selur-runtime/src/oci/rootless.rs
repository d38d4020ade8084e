//! Containers without root: which ids a user has, which cgroups, and what to do where the machine refuses.
//!
//! Everything that needs more than the user's own rights happens in selur-shim, within a user namespace. Here is only
//! found out which one, and written down in the state root: under other ids its files would belong to others.

use super::cgroup::Cgroup;
use super::failure;
use super::prerequisites::{find_program, read_own};
use crate::{ContainerProcess, Resources, RuntimeError};
use rustix::fs::{Access, access};
use selur_protocol::{ContainerId, Status};
use selur_shim::{IdRange, MapTools, Mapping, Root, turn};
use std::env;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a user's cgroup comes to be the user's.
pub(crate) const DELEGATE: &str = "run selur in a cgroup of your own, with systemd by `systemd-run --user --scope -p Delegate=yes selur …`, \
                        without it in one that root made below each controller and gave to you by chown";

/// The ids that containers of this user have.
///
/// # Errors
/// `unsupported`: there are subordinate ids, and no program that maps them.
pub(crate) fn mapping() -> Result<Mapping, RuntimeError> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (users, groups) = (read("/etc/subuid"), read("/etc/subgid"));
    let name = name_in(&read("/etc/passwd"), user).or_else(|| {
        // Nobody is asked where nobody has any.
        let is_wanted = !users.trim().is_empty() && !groups.trim().is_empty();
        is_wanted
            .then(|| name_by(&find_program("getent")?, user))
            .flatten()
    });
    let users = subordinate(&users, user, name.as_deref());
    let groups = subordinate(&groups, user, name.as_deref());
    let own = |outside| IdRange {
        inside: 0,
        outside,
        count: 1,
    };
    if users.is_empty() || groups.is_empty() {
        return Ok(Mapping {
            users: vec![own(user)],
            groups: vec![own(group)],
            tools: None,
        });
    }
    let tools = MapTools {
        users: find_tool("newuidmap")?,
        groups: find_tool("newgidmap")?,
    };
    Ok(Mapping {
        users: after(own(user), &users),
        groups: after(own(group), &groups),
        tools: Some(tools),
    })
}

/// The own id, then the subordinate ones without a gap.
fn after(own: IdRange, ranges: &[(u32, u32)]) -> Vec<IdRange> {
    let mut mapped = vec![own];
    let mut inside: u32 = 1;
    for (outside, count) in ranges {
        let Some(next) = inside.checked_add(*count) else {
            break;
        };
        mapped.push(IdRange {
            inside,
            outside: *outside,
            count: *count,
        });
        inside = next;
    }
    mapped
}

/// The ranges of a user, by name or by number: the first one and how many. What is no range is passed over, as the
/// programs that map ids do.
///
/// Source: subuid(5).
fn subordinate(text: &str, user: u32, name: Option<&str>) -> Vec<(u32, u32)> {
    let number = user.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let is_own = owner == number || Some(owner) == name;
        let (first, count) = (first.parse::<u32>().ok()?, count.parse::<u32>().ok()?);
        (is_own && count > 0 && first.checked_add(count).is_some()).then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

/// A user's name among lines as those of /etc/passwd.
///
/// Source: passwd(5).
fn name_in(passwd: &str, user: u32) -> Option<String> {
    let number = user.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    })
}

/// The name of a user whom /etc/passwd does not list, but a directory service perhaps does: newuidmap asks it as well.
fn name_by(getent: &Path, user: u32) -> Option<String> {
    let mut command = Command::new(getent);
    command.arg("passwd").arg(user.to_string());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut said = String::new();
    let read = child.stdout.take()?.read_to_string(&mut said);
    // A host that ignores SIGCHLD was quicker perhaps.
    let _ = child.wait();
    read.ok().and_then(|_| name_in(&said, user))
}

fn find_tool(name: &str) -> Result<PathBuf, RuntimeError> {
    find_program(name).ok_or_else(|| {
        RuntimeError::new(
            Status::Unsupported,
            format!(
                "{name} is missing, which maps the subordinate ids that /etc/subuid gives you: ask root to install it, on \
                 Debian and Ubuntu with `apt-get install uidmap`, on Fedora with `dnf install shadow-utils`"
            ),
        )
    })
}

/// Where a user's state root is.
pub(super) fn state_root() -> Result<PathBuf, RuntimeError> {
    let variable = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(data) = variable("XDG_DATA_HOME").filter(|path| path.is_absolute()) {
        return Ok(data.join("selur"));
    }
    let home = variable("HOME").filter(|path| path.is_absolute());
    home.map(|home| home.join(".local/share/selur")).ok_or_else(|| {
        RuntimeError::new(
            Status::InvalidRequest,
            "without HOME nobody knows where your containers are: set it, or name a state root by SELUR_ROOT",
        )
    })
}

/// Whether the ids of a state root are those that there are now.
///
/// # Errors
/// `unsupported`: they are not; the message says what mends it.
pub(super) fn check_recorded(
    root: &Root,
    is_new: bool,
    mapping: Option<&Mapping>,
) -> Result<(), RuntimeError> {
    let path = root.path().display();
    let refuse = |message: String| Err(RuntimeError::new(Status::Unsupported, message));
    let unreadable = |why: &str| {
        let file = root.mapping();
        format!("{} {why}: name another root by SELUR_ROOT", file.display())
    };
    let text = read_own(&root.mapping()).map_err(|error| failure::io(unreadable("cannot be read"), error))?;
    let recorded = text
        .map(|text| serde_json::from_slice::<Mapping>(&text))
        .transpose();
    let recorded = recorded
        .map_err(|error| RuntimeError::with_source(Status::InternalError, unreadable("is damaged"), error))?;
    match (recorded, mapping) {
        (None, None) => Ok(()),
        (None, Some(_)) if is_new => Ok(()),
        (None, Some(_)) => refuse(format!(
            "{path} is the state root of containers as root: name another by SELUR_ROOT, or run selur as root"
        )),
        (Some(recorded), None) => refuse(format!(
            "{path} is the state root of containers without root, of the user {}: run selur as that user, or name another \
             root by SELUR_ROOT",
            owner(&recorded)
        )),
        (Some(recorded), Some(mapping)) if recorded.is_like(mapping) => Ok(()),
        (Some(recorded), Some(mapping)) if owner(&recorded) != owner(mapping) => refuse(format!(
            "{path} is the state root of the user {}, and this is the user {}: name another by SELUR_ROOT",
            owner(&recorded),
            owner(mapping)
        )),
        (Some(recorded), Some(mapping)) => refuse(format!(
            "{path} was made with the ids {}, and now you have {}, to whom its files do not belong: name another by \
             SELUR_ROOT, or ask root to restore the lines in /etc/subuid and /etc/subgid",
            words(&recorded),
            words(mapping)
        )),
    }
}

/// Whether a root is to be tried and its ids recorded: it is new, or who did that before was killed and left something.
pub(super) fn is_unfinished(root: &Root) -> bool {
    !root.mapping().exists() || root.mapping_draft().exists() || root.probe().exists()
}

/// Writes down which ids a state root has.
pub(super) fn record(root: &Root, mapping: &Mapping) -> io::Result<()> {
    let _turn = turn(root.path())?;
    let draft = root.mapping_draft();
    let written =
        fs::write(&draft, serde_json::to_vec(mapping)?).and_then(|()| fs::rename(&draft, root.mapping()));
    if written.is_err() {
        let _ = fs::remove_file(draft);
    }
    written
}

fn owner(mapping: &Mapping) -> u32 {
    mapping.users.first().map_or(0, |range| range.outside)
}

fn words(mapping: &Mapping) -> String {
    let range = |range: &IdRange| format!("{}+{}", range.outside, range.count);
    let list = |ranges: &[IdRange]| ranges.iter().map(range).collect::<Vec<_>>().join(" ");
    format!("{} and groups {}", list(&mapping.users), list(&mapping.groups))
}

/// The cgroups in which this process may make others.
#[derive(Debug)]
pub(crate) struct Delegation {
    cgroup: Option<Cgroup>,
}

impl Delegation {
    /// This process's own.
    pub(crate) fn own() -> Delegation {
        Delegation {
            cgroup: Cgroup::of(std::process::id()),
        }
    }

    /// Whether a controller may be used.
    pub(crate) fn has(&self, controller: &str) -> bool {
        let Some(cgroup) = &self.cgroup else {
            return false;
        };
        match cgroup.former(controller) {
            Some(path) => is_writable(path, &["cgroup.procs"]),
            None => self.parent().is_some_and(|parent| {
                let controllers = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
                // What freezes is no controller of version 2, but there wherever a cgroup is.
                controller == "freezer" || controllers.split_whitespace().any(|known| known == controller)
            }),
        }
    }

    /// Of version 2: the cgroup beside whose processes containers are put, because one with processes of its own can
    /// limit nothing below it.
    fn parent(&self) -> Option<&Path> {
        let parent = self.cgroup.as_ref()?.only_unified()?.parent()?;
        is_writable(parent, &["cgroup.procs", "cgroup.subtree_control"]).then_some(parent)
    }

    /// The path that runc is told, where it would not find it by itself: it puts containers below this process's own
    /// cgroups of version 1.
    pub(super) fn path(&self, id: &str) -> Option<String> {
        let parent = self.parent()?.strip_prefix(super::cgroup::MOUNT).ok()?;
        Some(format!("/{}/{id}", parent.display()))
    }

    /// Removes what runc left of a container that has no process.
    pub(super) fn remove(&self, id: ContainerId) {
        let own = self.cgroup.iter().flat_map(Cgroup::places);
        for place in own.chain(self.parent()) {
            let _ = fs::remove_dir(place.join(id.to_string()));
        }
    }
}

fn is_writable(cgroup: &Path, files: &[&str]) -> bool {
    let may_write = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    may_write(cgroup) && files.iter().all(|file| may_write(&cgroup.join(file)))
}

/// Refuses limits that nobody would keep.
///
/// # Errors
/// `unsupported`, naming the limit.
pub(super) fn check_limits(resources: &Resources) -> Result<(), RuntimeError> {
    let wanted = [
        ("memory_bytes", "memory", resources.memory_bytes.is_some()),
        ("cpus", "cpu", resources.cpus.is_some()),
        ("pids", "pids", resources.pids.is_some()),
    ];
    let delegation = Delegation::own();
    for (field, controller, _) in wanted.iter().filter(|(_, _, is_wanted)| *is_wanted) {
        if !delegation.has(controller) {
            return Err(RuntimeError::new(
                Status::Unsupported,
                format!(
                    "resources.{field}: without root a limit needs the cgroup controller {controller}, and it is not \
                     yours: {DELEGATE}, or leave the limit out"
                ),
            ));
        }
    }
    Ok(())
}

/// What a container without cgroups of its own cannot do.
pub(super) fn needs_cgroups(what: &str) -> RuntimeError {
    RuntimeError::new(
        Status::Unsupported,
        format!(
            "cannot {what} a container that has no cgroups of its own: {DELEGATE}, and start the container there"
        ),
    )
}

/// The processes of a container by its pid namespace.
pub(super) fn processes(
    first: u32,
    describe: impl Fn(u32) -> Option<ContainerProcess>,
) -> Vec<ContainerProcess> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = namespace(first) else {
        return Vec::new();
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut pids: Vec<u32> = pids
        .filter(|pid| namespace(*pid).as_ref() == Some(&wanted))
        .collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(describe).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn count(ranges: &[IdRange]) -> u64 {
        ranges.iter().map(|range| u64::from(range.count)).sum()
    }

    #[test]
    fn subordinate_ids_are_found_by_name_and_by_number_and_follow_the_own() {
        let text =
            "other:1:2\nweb:100000:65536\n# web:3:4\n1000:300000:10\nweb:x:1\nweb:5:0\nweb:4294967295:2\n";
        let ranges = subordinate(text, 1000, Some("web"));
        assert_eq!(ranges, [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(subordinate(text, 1000, None), [(300_000, 10)]);
        let own = IdRange {
            inside: 0,
            outside: 1000,
            count: 1,
        };
        let mapped = after(own, &ranges);
        let inside: Vec<u32> = mapped.iter().map(|range| range.inside).collect();
        assert_eq!(inside, [0, 1, 65_537]);
        assert_eq!(count(&mapped), 65_547);
    }

    #[test]
    fn a_user_of_a_directory_service_has_a_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:1000:33::/:/bin/sh\nodd\n";
        assert_eq!(name_in(passwd, 1000).as_deref(), Some("web"));
        assert_eq!(name_in(passwd, 33), None);
        let directory = tempfile::tempdir().unwrap();
        let getent = directory.path().join("getent");
        let script = "#!/bin/sh\n[ \"$*\" = 'passwd 70123' ] && echo 'far@example.org:*:70123:70123::/home/far:/bin/sh'\n";
        fs::write(&getent, script).unwrap();
        fs::set_permissions(&getent, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(name_by(&getent, 70_123).as_deref(), Some("far@example.org"));
        assert_eq!(name_by(&getent, 70_124), None);
        assert_eq!(name_by(&directory.path().join("none"), 70_123), None);
        assert_eq!(
            subordinate("far@example.org:5000:10\n", 70_123, Some("far@example.org")),
            [(5000, 10)]
        );
    }

    #[test]
    fn a_state_root_is_used_with_its_own_ids_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let mapping = |user: u32, more: u32| Mapping {
            users: after(
                IdRange {
                    inside: 0,
                    outside: user,
                    count: 1,
                },
                &[(100_000, more)],
            ),
            groups: Vec::new(),
            tools: None,
        };
        let refusal = |is_new, mapping: Option<&Mapping>| {
            check_recorded(&root, is_new, mapping)
                .map_err(|error| (error.status(), error.to_string()))
                .err()
        };
        let own = mapping(1000, 10);
        assert_eq!(refusal(false, None), None);
        assert_eq!(refusal(true, Some(&own)), None);
        let (_, of_root) = refusal(false, Some(&own)).unwrap();
        assert!(of_root.contains("as root"), "{of_root}");
        record(&root, &own).unwrap();
        assert_eq!(refusal(false, Some(&own)), None);
        let cases = [
            (None, "of the user 1000"),
            (Some(mapping(1001, 10)), "this is the user 1001"),
            (Some(mapping(1000, 11)), "restore the lines"),
        ];
        for (mapping, words) in cases {
            let (status, message) = refusal(false, mapping.as_ref()).unwrap();
            assert_eq!(status, Status::Unsupported);
            assert!(
                message.contains(words) && message.contains("SELUR_ROOT"),
                "{message}"
            );
        }
    }
}
