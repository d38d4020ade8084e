//! What a container's cgroups say of it: version 1, version 2, and both at once (hybrid).
//!
//! Source: Linux `Documentation/admin-guide/cgroup-v1/` and `cgroup-v2.rst`.

use selur_protocol::ContainerId;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where cgroups are mounted.
pub(super) const MOUNT: &str = "/sys/fs/cgroup";
/// Version 1 says "no limit" by a number near the greatest.
const NO_LIMIT: u64 = 1 << 60;

/// The cgroups of one process.
#[derive(Debug)]
pub(super) struct Cgroup {
    /// Of version 1: the controllers of a hierarchy, and the directory.
    former: Vec<(Vec<String>, PathBuf)>,
    /// Of version 2.
    unified: Option<PathBuf>,
}

impl Cgroup {
    /// The cgroups of a process, if it exists.
    pub(super) fn of(pid: u32) -> Option<Cgroup> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Some(Cgroup::parse(&text, Path::new(MOUNT)))
    }

    fn parse(text: &str, mount: &Path) -> Cgroup {
        let mut cgroup = Cgroup {
            former: Vec::new(),
            unified: None,
        };
        for line in text.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(number), Some(names), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let path = path.trim_start_matches('/');
            if number == "0" {
                let hybrid = mount.join("unified");
                let base = if hybrid.is_dir() { hybrid } else { mount.to_owned() };
                cgroup.unified = Some(base.join(path));
            } else {
                let names = names.strip_prefix("name=").unwrap_or(names);
                let controllers = names.split(',').map(str::to_owned).collect();
                cgroup.former.push((controllers, mount.join(names).join(path)));
            }
        }
        cgroup
    }

    /// The directory of a controller of version 1.
    pub(super) fn former(&self, controller: &str) -> Option<&Path> {
        let mut hierarchies = self.former.iter();
        let has =
            |(controllers, _): &&(Vec<String>, PathBuf)| controllers.iter().any(|name| name == controller);
        hierarchies.find(has).map(|(_, path)| path.as_path())
    }

    /// The directory of version 2, where there is no other.
    pub(super) fn only_unified(&self) -> Option<&Path> {
        match self.former.is_empty() {
            true => self.unified.as_deref(),
            false => None,
        }
    }

    /// All directories of version 1.
    pub(super) fn places(&self) -> impl Iterator<Item = &Path> {
        self.former.iter().map(|(_, path)| path.as_path())
    }

    /// The same without the directories that are not the container's own.
    pub(super) fn of_container(mut self, id: ContainerId) -> Cgroup {
        let id = id.to_string();
        let is_own = |path: &Path| path.file_name().is_some_and(|name| name == id.as_str());
        self.former.retain(|(_, path)| is_own(path));
        self.unified = self.unified.filter(|path| is_own(path));
        self
    }

    /// Whether its processes can be frozen.
    pub(super) fn can_freeze(&self) -> bool {
        self.former("freezer").is_some() || self.only_unified().is_some()
    }

    /// A file of version 1, or one of version 2 if that controller is there.
    fn read(&self, controller: &str, former: &str, unified: &str) -> Option<(String, bool)> {
        if let Some(path) = self.former(controller) {
            let text = fs::read_to_string(path.join(former)).ok()?;
            return Some((text, false));
        }
        let text = fs::read_to_string(self.unified.as_ref()?.join(unified)).ok()?;
        Some((text, true))
    }

    fn number(&self, controller: &str, former: &str, unified: &str) -> Option<u64> {
        self.read(controller, former, unified)?.0.trim().parse().ok()
    }

    /// A limit: `max` and what is near the greatest number are none.
    fn limit(&self, controller: &str, former: &str, unified: &str) -> Option<u64> {
        self.number(controller, former, unified)
            .filter(|limit| *limit < NO_LIMIT)
    }

    /// Processor time, in nanoseconds.
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        match self.read("cpuacct", "cpuacct.usage", "cpu.stat")? {
            (text, false) => text.trim().parse().ok(),
            (text, true) => field(&text, "usage_usec").map(|microseconds| microseconds.saturating_mul(1000)),
        }
    }

    /// Memory in use without the page cache that is not active, as Docker shows it.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        let used = self.number("memory", "memory.usage_in_bytes", "memory.current")?;
        let (text, is_unified) = self.read("memory", "memory.stat", "memory.stat")?;
        let name = if is_unified {
            "inactive_file"
        } else {
            "total_inactive_file"
        };
        Some(used.saturating_sub(field(&text, name).unwrap_or(0)))
    }

    pub(super) fn memory_limit_bytes(&self) -> Option<u64> {
        self.limit("memory", "memory.limit_in_bytes", "memory.max")
    }

    pub(super) fn pids(&self) -> Option<u64> {
        self.number("pids", "pids.current", "pids.current")
    }

    pub(super) fn pids_limit(&self) -> Option<u64> {
        self.limit("pids", "pids.max", "pids.max")
    }

    /// Bytes read from and written to block devices.
    pub(super) fn block_bytes(&self) -> Option<(u64, u64)> {
        match self.read("blkio", "blkio.throttle.io_service_bytes_recursive", "io.stat")? {
            (text, false) => Some((sum(&text, "Read "), sum(&text, "Write "))),
            (text, true) => Some((sum(&text, "rbytes="), sum(&text, "wbytes="))),
        }
    }

    /// Every process in it and below it, ordered.
    pub(super) fn pids_in(&self) -> BTreeSet<u32> {
        let mut pids = BTreeSet::new();
        // Every process is in every hierarchy: one that is not the unified one has it, too, if that is not used.
        let places = [
            self.former("pids"),
            self.former("devices"),
            self.unified.as_deref(),
        ];
        for place in places.into_iter().flatten() {
            collect(place, &mut pids);
        }
        pids
    }
}

fn collect(directory: &Path, pids: &mut BTreeSet<u32>) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), pids);
        }
    }
}

/// The value of a line `NAME VALUE`.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

/// The sum of the numbers that follow a word.
fn sum(text: &str, word: &str) -> u64 {
    let number = |rest: &str| {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        rest.get(..digits)?.parse::<u64>().ok()
    };
    text.split(word)
        .skip(1)
        .filter_map(number)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_in_both_versions() {
        let mount = Path::new("/nowhere");
        let hybrid = Cgroup::parse("9:name=systemd:/a\n4:cpu,cpuacct:/selur/x\n0::/selur/x\n", mount);
        assert_eq!(
            hybrid.former("cpuacct"),
            Some(Path::new("/nowhere/cpu,cpuacct/selur/x"))
        );
        assert_eq!(hybrid.former("systemd"), Some(Path::new("/nowhere/systemd/a")));
        assert_eq!(hybrid.unified.as_deref(), Some(Path::new("/nowhere/selur/x")));
    }

    #[test]
    fn sums_and_fields_are_read_from_both_versions() {
        let former = "8:0 Read 10\n8:0 Write 4\n8:0 Total 14\n8:16 Read 5\nTotal 14\n";
        assert_eq!((sum(former, "Read "), sum(former, "Write ")), (15, 4));
        let unified = "8:0 rbytes=7 wbytes=9 rios=1\n8:16 rbytes=1 wbytes=0\n";
        assert_eq!((sum(unified, "rbytes="), sum(unified, "wbytes=")), (8, 9));
        assert_eq!(
            field("a 1\ntotal_inactive_file 77\n", "total_inactive_file"),
            Some(77)
        );
    }
}
