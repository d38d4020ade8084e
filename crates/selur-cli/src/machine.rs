//! This machine as containers see it: what it has, what real containers need of it and is missing. Only looks; the
//! bridge finds out the rest.

use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Something that this machine lacks.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Missing {
    /// What.
    pub(crate) what: String,
    /// How it comes here.
    pub(crate) remedy: String,
}

/// What this machine is.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The processor's architecture.
    pub(crate) architecture: &'static str,
    /// The user that this program runs as.
    pub(crate) user_id: u32,
    /// Where runc is.
    pub(crate) runc: Option<PathBuf>,
    /// How control groups are mounted: `v1`, `v2`, `hybrid` or `none`.
    pub(crate) cgroups: &'static str,
    /// What real containers lack here.
    pub(crate) missing: Vec<Missing>,
}

/// Looks at this machine.
pub(crate) fn machine() -> Machine {
    Machine {
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
        architecture: std::env::consts::ARCH,
        user_id: rustix::process::geteuid().as_raw(),
        runc: runc(),
        cgroups: cgroups(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()),
        missing: missing(),
    }
}

/// Source: capabilities(7), linux/capability.h.
const CAP_SYS_ADMIN: u64 = 21;

/// Everything that is missing.
pub(crate) fn missing() -> Vec<Missing> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    judge(
        &read("/proc/self/status"),
        &read("/proc/filesystems"),
        &read("/proc/self/mountinfo"),
        runc().is_some(),
    )
}

fn runc() -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    // Where distributions put it; a user's PATH often lacks these.
    let folders = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    folders
        .map(|folder| Path::new(folder).join("runc"))
        .find(|program| program.is_file())
}

/// Source: proc_pid_mountinfo(5): the type stands behind the separator.
fn cgroups(mounts: &str) -> &'static str {
    let has = |kind: &str| mounts.lines().any(|line| line.contains(&format!(" - {kind} ")));
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

fn judge(status: &str, filesystems: &str, mounts: &str, has_runc: bool) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut lacks = |what: &str, remedy: &str| {
        missing.push(Missing {
            what: what.to_owned(),
            remedy: remedy.to_owned(),
        });
    };
    if !has_runc {
        lacks(
            "the program runc",
            "install it: apt-get install runc (dnf, apk and pacman call it the same)",
        );
    }
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0);
    // Who is not root has it in a user namespace, or the backend says why not.
    if is_root(status) && effective & (1 << CAP_SYS_ADMIN) == 0 {
        lacks(
            "the right to mount (CAP_SYS_ADMIN)",
            "run it as root: sudo selur demo; inside Docker: --privileged",
        );
    }
    if !filesystems
        .lines()
        .any(|line| line.trim_start_matches("nodev").trim() == "overlay")
    {
        lacks("the overlay file system", "load its module: modprobe overlay");
    }
    if is_root(status) && !mounts.lines().any(|line| line.contains(" - cgroup")) {
        lacks(
            "control groups",
            "mount them: mount -t cgroup2 none /sys/fs/cgroup",
        );
    }
    missing
}

/// Source: proc_pid_status(5): the real, the effective, the saved and the file system's user.
fn is_root(status: &str) -> bool {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.and_then(|users| users.split_whitespace().nth(1)) == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "Name:\tselur\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n";
    const FILESYSTEMS: &str = "nodev\tsysfs\nnodev\toverlay\n\text4\n";
    const MOUNTS: &str = "25 1 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_machine_with_everything_lacks_nothing() {
        assert_eq!(judge(ROOT, FILESYSTEMS, MOUNTS, true), []);
    }

    #[test]
    fn control_groups_are_told_apart() {
        let first = "26 25 0:24 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let cases = [
            ("", "none"),
            (first, "v1"),
            (MOUNTS, "v2"),
            (&format!("{first}{MOUNTS}"), "hybrid"),
        ];
        for (mounts, kind) in cases {
            assert_eq!(cgroups(mounts), kind, "{mounts}");
        }
    }

    #[test]
    fn each_lack_is_named_with_its_remedy() {
        let confined = "Uid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\n";
        let cases = [
            (judge(ROOT, FILESYSTEMS, MOUNTS, false), "runc"),
            (judge(confined, FILESYSTEMS, MOUNTS, true), "CAP_SYS_ADMIN"),
            (judge(ROOT, "\text4\nnodev\toverlayx\n", MOUNTS, true), "overlay"),
            (judge(ROOT, FILESYSTEMS, "", true), "control groups"),
        ];
        for (missing, what) in cases {
            let [one] = &missing[..] else {
                panic!("{what}: {missing:?}")
            };
            assert!(one.what.contains(what) && !one.remedy.is_empty(), "{one:?}");
        }
        assert_eq!(judge("Uid:\t0\t0\t0\t0\n", "", "", false).len(), 4);
        let user = "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n";
        assert_eq!(judge(user, FILESYSTEMS, "", true), []);
    }
}
