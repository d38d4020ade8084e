//! What the kernel says of itself, read from its text files. Whatever they hold is a fact, never a panic: what cannot be
//! understood is absent.

use std::collections::BTreeSet;
use std::fs;

/// A version as far as it is compared.
pub(super) type Version = (u32, u32, u32);

/// The text that findings are read from. Absent files are empty, or none where that tells something.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// `/proc/sys/kernel/osrelease`
    pub(super) release: String,
    /// `/proc/self/status`
    pub(super) status: String,
    /// `/proc/self/mountinfo`
    pub(super) mounts: String,
    /// `/sys/fs/cgroup/cgroup.controllers`
    pub(super) controllers: String,
    /// `/proc/sys/kernel/seccomp/actions_avail`
    pub(super) seccomp_actions: String,
    /// `/sys/kernel/security/lsm`
    pub(super) security_modules: String,
    /// `/sys/fs/selinux/enforce`
    pub(super) selinux_enforces: Option<String>,
    /// `/proc/sys/user/max_user_namespaces`
    pub(super) max_user_namespaces: Option<String>,
    /// `/proc/sys/kernel/unprivileged_userns_clone`, which Debian has
    pub(super) unprivileged_userns_clone: Option<String>,
    /// `/proc/sys/kernel/apparmor_restrict_unprivileged_userns`, which Ubuntu has
    pub(super) apparmor_restricts_userns: Option<String>,
    /// `/etc/subuid`
    pub(super) subordinate_users: String,
    /// `/etc/subgid`
    pub(super) subordinate_groups: String,
    /// `/etc/passwd`
    pub(super) users: String,
}

impl Facts {
    /// Reads this machine's.
    pub(super) fn read() -> Facts {
        let maybe = |path: &str| {
            let bytes = fs::read(path).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = |path: &str| maybe(path).unwrap_or_default();
        Facts {
            release: text("/proc/sys/kernel/osrelease"),
            status: text("/proc/self/status"),
            mounts: text("/proc/self/mountinfo"),
            controllers: text("/sys/fs/cgroup/cgroup.controllers"),
            seccomp_actions: text("/proc/sys/kernel/seccomp/actions_avail"),
            security_modules: text("/sys/kernel/security/lsm"),
            selinux_enforces: maybe("/sys/fs/selinux/enforce"),
            max_user_namespaces: maybe("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: maybe("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts_userns: maybe("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            subordinate_users: text("/etc/subuid"),
            subordinate_groups: text("/etc/subgid"),
            users: text("/etc/passwd"),
        }
    }

    /// The effective capabilities, as a set of bits.
    pub(super) fn capabilities(&self) -> Option<u64> {
        let digits = self
            .status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(digits.trim(), 16).ok()
    }

    /// How control groups are mounted.
    pub(super) fn cgroups(&self) -> Cgroups {
        let mut found = Cgroups::default();
        for mount in self.mounts.lines().filter_map(Mount::parse) {
            match mount.kind {
                "cgroup2" => {
                    found.is_unified = true;
                    found.is_read_only |= mount.is_read_only && mount.place == "/sys/fs/cgroup";
                }
                "cgroup" => {
                    found.is_former = true;
                    found.is_read_only |= mount.is_read_only;
                    found.controllers.extend(
                        mount
                            .options
                            .split(',')
                            .filter(|option| CONTROLLERS.contains(option))
                            .map(str::to_owned),
                    );
                }
                _ => {}
            }
        }
        if !found.is_former {
            found
                .controllers
                .extend(self.controllers.split_whitespace().map(str::to_owned));
        }
        found
    }

    /// The name of a user.
    pub(super) fn user_name(&self, id: u32) -> Option<&str> {
        self.users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then_some(name)
        })
    }
}

/// The controllers of the former hierarchies that containers are limited by. `freezer` and `devices` are no controllers
/// of the unified one, which does the same in other ways.
pub(super) const CONTROLLERS: [&str; 7] = ["cpu", "cpuset", "memory", "pids", "blkio", "devices", "freezer"];

/// How control groups are mounted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cgroups {
    /// Whether version 2 is there.
    pub(super) is_unified: bool,
    /// Whether version 1 is there.
    pub(super) is_former: bool,
    pub(super) is_read_only: bool,
    pub(super) controllers: BTreeSet<String>,
}

impl Cgroups {
    pub(super) fn layout(&self) -> Option<&'static str> {
        match (self.is_former, self.is_unified) {
            (true, true) => Some("hybrid"),
            (true, false) => Some("v1"),
            (false, true) => Some("v2"),
            (false, false) => None,
        }
    }
}

struct Mount<'a> {
    place: &'a str,
    kind: &'a str,
    /// Of the file system.
    options: &'a str,
    is_read_only: bool,
}

impl<'a> Mount<'a> {
    /// Source: proc_pid_mountinfo(5).
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(4);
        let (place, own_options) = (mount.next()?, mount.next()?);
        let mut kind = kind.split(' ');
        Some(Mount {
            place,
            kind: kind.next()?,
            options: kind.nth(1).unwrap_or_default(),
            is_read_only: own_options.split(',').any(|option| option == "ro"),
        })
    }
}

/// The first version in a text: `runc version 1.1.5`, `6.1.0-13-amd64`.
pub(super) fn version(text: &str) -> Option<Version> {
    let candidates = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    candidates.filter(|word| word.contains('.')).find_map(|word| {
        let mut numbers = word.split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some((major, minor, numbers.next().flatten().unwrap_or(0)))
    })
}

/// How many subordinate ids a user has, whom lines name by name or by number.
///
/// Source: subuid(5).
pub(super) fn subordinate_ids(text: &str, name: Option<&str>, id: u32) -> u64 {
    let id = id.to_string();
    let count = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let is_theirs = owner == id || name.is_some_and(|name| owner == name);
        let begin: u32 = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        // What goes past the last id there is maps nothing.
        (is_theirs && begin.checked_add(count).is_some()).then_some(u64::from(count))
    };
    text.lines().filter_map(count).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_and_kernels_say() {
        let cases = [
            ("6.1.0-13-amd64\n", Some((6, 1, 0))),
            ("runc version 1.1.5+ds1\ncommit: 1.1.5", Some((1, 1, 5))),
            ("crun version 1.8.1\n", Some((1, 8, 1))),
            ("5.10", Some((5, 10, 0))),
            ("selur-shim 0.1.0 (protocol 2)", Some((0, 1, 0))),
            ("", None),
            ("no figures... at all", None),
            ("99999999999999.1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn subordinate_ids_are_summed_over_name_and_number() {
        let text =
            "alice:100000:65536\n1000:300000:10\nbob:1:1\nalice:x:1\nalice:4294967295:2\n\u{0}\nalice\n";
        assert_eq!(subordinate_ids(text, Some("alice"), 1000), 65546);
        assert_eq!(subordinate_ids(text, None, 7), 0);
        assert_eq!(subordinate_ids(text, Some("bob"), 1001), 1);
    }

    #[test]
    fn control_groups_of_every_layout_are_told_apart() {
        let tmpfs = "24 1 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n";
        let former = "26 25 0:24 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                      27 25 0:25 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let unified = "25 1 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let hybrid = "25 1 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let facts = |mounts: String| Facts {
            mounts,
            controllers: "cpu memory pids\n".into(),
            ..Facts::default()
        };
        let names = |cgroups: &Cgroups| {
            cgroups
                .controllers
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let cases = [
            (String::new(), None, "cpu memory pids"),
            (format!("{tmpfs}{former}"), Some("v1"), "cpu pids"),
            (format!("{tmpfs}{former}{hybrid}"), Some("hybrid"), "cpu pids"),
            (unified.to_owned(), Some("v2"), "cpu memory pids"),
            ("garbage - \n - cgroup\n\u{0}".to_owned(), None, "cpu memory pids"),
        ];
        for (mounts, layout, controllers) in cases {
            let cgroups = facts(mounts.clone()).cgroups();
            assert_eq!(
                (cgroups.layout(), names(&cgroups).as_str()),
                (layout, controllers),
                "{mounts}"
            );
            assert!(!cgroups.is_read_only, "{mounts}");
        }
        assert!(facts(unified.replace(" rw ", " ro ")).cgroups().is_read_only);
    }

    #[test]
    fn garbage_is_no_fact() {
        for status in [
            "",
            "CapEff:",
            "CapEff:\tzz",
            "CapEff:\tffffffffffffffffff",
            "\u{0}\u{0}",
        ] {
            let facts = Facts {
                status: status.into(),
                users: "::\nroot\nx:y:z".into(),
                ..Facts::default()
            };
            assert_eq!(
                (facts.capabilities(), facts.user_name(0)),
                (None, None),
                "{status}"
            );
        }
    }
}
