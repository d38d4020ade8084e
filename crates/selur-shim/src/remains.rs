//! Removes what runc keeps of a container whose processes have all ended: its cgroups and its directory. runc does the
//! same, and takes longer to be loaded than to do it.
//!
//! Whatever is not as expected is left for runc: processes, a record of another form, what cannot be removed.

use crate::Process;
use selur_protocol::ContainerId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

const CGROUPS: &str = "/sys/fs/cgroup";
const RECORD: &str = "state.json";

/// What runc has written down of a container.
///
/// Source: runc 1.1, `libcontainer/container.go`, `BaseState`, and `container_linux.go`, `State`.
#[derive(Deserialize)]
struct Kept {
    init_process_pid: u32,
    init_process_start: u64,
    cgroup_paths: Option<BTreeMap<String, PathBuf>>,
    intel_rdt_path: Option<String>,
}

/// A container's first process as runc has written it down.
pub(crate) fn recorded_process(directory: &Path) -> Option<Process> {
    Some(read(directory)?.process())
}

/// Whether it has removed all that runc keeps in this directory of a container.
pub(crate) fn remove(directory: &Path, id: ContainerId) -> bool {
    read(directory).is_some_and(|kept| kept.can_be_removed(id) && kept.remove(directory).is_ok())
}

fn read(directory: &Path) -> Option<Kept> {
    serde_json::from_slice(&fs::read(directory.join(RECORD)).ok()?).ok()
}

impl Kept {
    fn process(&self) -> Process {
        Process {
            pid: self.init_process_pid,
            started_ticks: self.init_process_start,
        }
    }

    fn cgroups(&self) -> impl Iterator<Item = &PathBuf> {
        self.cgroup_paths.iter().flat_map(BTreeMap::values)
    }

    /// Nothing is removed but empty cgroups of this name.
    fn can_be_removed(&self, id: ContainerId) -> bool {
        let name = id.to_string();
        let is_its_own = |path: &PathBuf| {
            path.starts_with(CGROUPS)
                && path.file_name().is_some_and(|last| last == name.as_str())
                && !path.components().any(|part| part == Component::ParentDir)
        };
        let has_others = self.intel_rdt_path.as_ref().is_some_and(|path| !path.is_empty());
        !has_others && self.cgroups().all(is_its_own) && !self.process().is_alive()
    }

    /// The record goes last: with it, runc can do the rest.
    fn remove(&self, directory: &Path) -> io::Result<()> {
        for path in self.cgroups() {
            match fs::remove_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::remove_dir_all(directory)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ID: ContainerId = ContainerId::from_bytes([0xab; 16]);

    fn removed(record: &Value) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join(RECORD), record.to_string()).unwrap();
        let is_removed = remove(&kept, ID);
        assert_eq!(kept.join(RECORD).exists(), !is_removed);
        is_removed
    }

    /// A process that has ended, in cgroups that are gone.
    fn ended() -> Value {
        json!({
            "init_process_pid": std::process::id(),
            "init_process_start": 0,
            "cgroup_paths": { "": format!("{CGROUPS}/no-such-controller/selur/{ID}") },
            "intel_rdt_path": "",
        })
    }

    #[test]
    fn what_is_left_of_a_container_that_has_ended_is_removed() {
        assert!(removed(&ended()));
    }

    #[test]
    fn what_is_not_as_expected_is_left_for_runc() {
        let own = Process::own().unwrap();
        let with = |key: &str, value: Value| {
            let mut record = ended();
            record[key] = value;
            record
        };
        assert!(!removed(&with("init_process_start", own.started_ticks.into())));
        assert!(!removed(&with("intel_rdt_path", "/sys/fs/resctrl/x".into())));
        assert!(!removed(&with("init_process_pid", "none".into())));
        for path in [
            format!("/tmp/{ID}"),
            format!("{CGROUPS}/cpu/selur/other"),
            format!("{CGROUPS}/../tmp/{ID}"),
            format!("{CGROUPS}/.."),
        ] {
            assert!(!removed(&with("cgroup_paths", json!({ "": path }))), "{path}");
        }
        assert!(!remove(Path::new("/nonexistent"), ID));
    }
}
