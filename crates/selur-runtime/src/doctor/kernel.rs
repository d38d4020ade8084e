//! What the kernel offers to real containers.

use super::facts::{CONTROLLERS, Facts, Version, version};
use super::finding::{Finding, Subject};
use super::remedies;
use crate::spec::capability_name;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::process::PidfdFlags;
use std::io;

/// openat2, by which layers are unpacked.
const OLDEST: Version = (5, 6, 0);
/// Overlays in user namespaces.
const OLDEST_ROOTLESS: Version = (5, 11, 0);
/// What the shim and runc need, and what containers are given: Docker's default set, and CAP_NET_ADMIN and CAP_SYS_ADMIN.
const NEEDED: u64 = 0xa804_25fb | 1 << 12 | SYS_ADMIN;
const SYS_ADMIN: u64 = 1 << 21;

/// The kernel's version.
pub(super) fn release(subject: Subject, facts: &Facts) -> Finding {
    let release = facts.release.trim();
    let oldest = match subject {
        Subject::OciRootless => OLDEST_ROOTLESS,
        _ => OLDEST,
    };
    let found = Finding::ok(
        subject,
        "kernel",
        format!("Linux {release} on {}", std::env::consts::ARCH),
    );
    match version(release) {
        Some(version) if version >= oldest => found,
        Some(_) => found.missing(format!("boot Linux {}.{} or newer", oldest.0, oldest.1)),
        None => Finding {
            found: format!("unknown: {release:?}"),
            ..found
        }
        .warning("mount /proc: `mount -t proc proc /proc`"),
    }
}

/// Root, and which of its powers.
pub(super) fn privileges(user: u32, facts: &Facts) -> Finding {
    let subject = Subject::Oci;
    if user != 0 {
        return Finding::ok(subject, "root", format!("no: this is user {user}"))
            .missing("run this as root, for example with sudo");
    }
    let Some(held) = facts.capabilities() else {
        return Finding::ok(subject, "root", "yes, with unknown capabilities")
            .warning("mount /proc: `mount -t proc proc /proc`");
    };
    let lacking: Vec<String> = (0..64)
        .filter(|number| NEEDED & !held & 1 << number != 0)
        .map(capability_name)
        .collect();
    if lacking.is_empty() {
        return Finding::ok(subject, "root", "yes, with all capabilities that are needed");
    }
    let found = Finding::ok(subject, "root", format!("yes, without {}", lacking.join(", ")));
    if held & SYS_ADMIN == 0 {
        found.missing(remedies::PRIVILEGES)
    } else {
        found.warning(remedies::PRIVILEGES)
    }
}

/// How control groups are mounted, and what containers can be limited by.
pub(super) fn cgroups(facts: &Facts) -> Finding {
    let subject = Subject::Oci;
    let cgroups = facts.cgroups();
    let Some(layout) = cgroups.layout() else {
        return Finding::ok(subject, "cgroups", "none").missing(remedies::CGROUPS);
    };
    let names: Vec<&str> = cgroups.controllers.iter().map(String::as_str).collect();
    let found = Finding::ok(subject, "cgroups", format!("{layout}: {}", names.join(", ")));
    if cgroups.is_read_only {
        let found = Finding {
            found: format!("{}, read-only", found.found),
            ..found
        };
        return found.missing("inside of a container, run that privileged");
    }
    let needed: &[&str] = if cgroups.is_former {
        &CONTROLLERS
    } else {
        &["cpu", "memory", "pids", "io", "cpuset"]
    };
    let lacking: Vec<&str> = needed
        .iter()
        .filter(|name| !cgroups.controllers.contains(**name))
        .copied()
        .collect();
    if lacking.is_empty() {
        return found;
    }
    found.warning(format!(
        "containers go without limits by {}: boot with `cgroup_enable=memory`, or a kernel that has them",
        lacking.join(", ")
    ))
}

/// Filters of system calls.
pub(super) fn seccomp(subject: Subject, facts: &Facts) -> Finding {
    let has_filters = facts
        .seccomp_actions
        .split_whitespace()
        .any(|action| action == "errno");
    let has_mode = facts.status.lines().any(|line| line.starts_with("Seccomp:"));
    match (has_filters, has_mode) {
        (true, _) => Finding::ok(subject, "seccomp", "filters"),
        (false, true) => Finding::ok(subject, "seccomp", "it exists; whether with filters is not told"),
        (false, false) => Finding::ok(subject, "seccomp", "none")
            .missing("boot a kernel with CONFIG_SECCOMP_FILTER: containers run under a filter"),
    }
}

/// System calls that are tried: a kernel may be too old for them, or a filter may refuse them.
pub(super) fn system_calls(subject: Subject) -> Vec<Finding> {
    let judge = |name: &str, tried: rustix::io::Result<()>| {
        match tried {
        Ok(()) => Finding::ok(subject, name, "it works"),
        Err(error) => Finding::ok(subject, name, io::Error::from(error).to_string()).missing(
            "boot a newer Linux; inside of a container, run that with a newer Docker or Podman, whose filter knows it",
        ),
    }
    };
    let itself = rustix::process::getpid();
    let pidfd = rustix::process::pidfd_open(itself, PidfdFlags::empty()).map(drop);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::IN_ROOT).map(drop);
    vec![judge("pidfd", pidfd), judge("openat2", opened)]
}

/// What else confines processes here.
pub(super) fn security_modules(facts: &Facts) -> Finding {
    let subject = Subject::Oci;
    let modules: Vec<&str> = facts
        .security_modules
        .trim()
        .split(',')
        .filter(|name| !name.is_empty())
        .collect();
    let found = match &modules[..] {
        [] => "none is told".to_owned(),
        modules => modules.join(", "),
    };
    if facts
        .selinux_enforces
        .as_deref()
        .is_some_and(|text| text.trim() == "1")
    {
        return Finding::ok(
            subject,
            "security_modules",
            format!("{found}; SELinux is enforcing"),
        )
        .warning("a directory of the host that a container is to use needs its label: `chcon -Rt container_file_t DIR`");
    }
    Finding::ok(subject, "security_modules", found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    const FULL: &str = "CapEff:\t000001ffffffffff\nSeccomp:\t0\n";

    fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = Facts {
            release: "6.1.0-13-amd64\n".into(),
            status: FULL.into(),
            mounts: "25 1 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n".into(),
            controllers: "cpuset cpu io memory pids\n".into(),
            seccomp_actions: "kill_process errno allow\n".into(),
            ..Facts::default()
        };
        change(&mut facts);
        facts
    }

    fn all(user: u32, facts: &Facts) -> Vec<Finding> {
        vec![
            release(Subject::Oci, facts),
            privileges(user, facts),
            cgroups(facts),
            seccomp(Subject::Oci, facts),
            security_modules(facts),
        ]
    }

    #[test]
    fn a_machine_with_everything_lacks_nothing() {
        for finding in all(0, &facts(|_| {})) {
            assert_eq!(
                (finding.verdict, &finding.remedy),
                (Verdict::Ok, &None),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn each_lack_is_told_with_what_mends_it() {
        use Verdict::{Missing, Warning};
        type Change = fn(&mut Facts);
        let cases: [(&str, Change, Verdict, &str); 12] = [
            ("kernel", |f| f.release = "5.4.0".into(), Missing, "Linux 5.6"),
            ("kernel", |f| f.release = "\u{0}?".into(), Warning, "/proc"),
            ("kernel", |f| f.release.clear(), Warning, "/proc"),
            ("root", |f| f.status.clear(), Warning, "/proc"),
            ("root", |f| f.status = "CapEff:\t0".into(), Missing, "privileged"),
            (
                "root",
                |f| f.status = "CapEff:\t1ffffefff7f".into(),
                Warning,
                "privileged",
            ),
            ("cgroups", |f| f.mounts.clear(), Missing, "mount -t cgroup2"),
            (
                "cgroups",
                |f| f.mounts = f.mounts.replace(" rw ", " ro "),
                Missing,
                "privileged",
            ),
            (
                "cgroups",
                |f| f.controllers = "cpu pids".into(),
                Warning,
                "memory",
            ),
            (
                "seccomp",
                |f| {
                    f.seccomp_actions.clear();
                    f.status = f.status.replace("Seccomp", "Other");
                },
                Missing,
                "CONFIG_SECCOMP_FILTER",
            ),
            (
                "security_modules",
                |f| f.selinux_enforces = Some("1\n".into()),
                Warning,
                "chcon",
            ),
            (
                "cgroups",
                |f| f.mounts = "26 25 0:24 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n".into(),
                Warning,
                "freezer",
            ),
        ];
        for (check, change, verdict, words) in cases {
            let findings = all(0, &facts(change));
            let finding = findings.iter().find(|finding| finding.check == check);
            let finding = finding.unwrap_or_else(|| panic!("{check}"));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            let remedy = finding.remedy.as_deref().unwrap_or_default();
            assert!(remedy.contains(words), "{finding:?}");
        }
    }

    #[test]
    fn what_root_lacks_is_named() {
        let finding = privileges(0, &facts(|f| f.status = "CapEff:\t000001ffffdfffff".into()));
        assert!(finding.found.ends_with("without CAP_SYS_ADMIN"), "{finding:?}");
        let user = privileges(1000, &facts(|_| {}));
        assert!(user.verdict == Verdict::Missing && user.found.contains("1000"));
    }

    #[test]
    fn the_system_calls_of_this_machine_are_tried() {
        let checks: Vec<_> = system_calls(Subject::Oci)
            .into_iter()
            .map(|finding| (finding.check, finding.verdict))
            .collect();
        assert_eq!(
            checks,
            [("pidfd".into(), Verdict::Ok), ("openat2".into(), Verdict::Ok)]
        );
    }
}
