//! What the host sees of a container: its process, its namespaces, its confinement, its mounts. Only reads /proc.

use serde::Serialize;
use std::fs;
use std::path::Path;

/// A container's process as the host's /proc shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Process {
    /// Its id on the host.
    pub(super) pid: u32,
    /// The name that `ps` and `top` show.
    pub(super) comm: String,
    /// Its id in each pid namespace, from the host's inwards.
    pub(super) pids: Vec<u32>,
    /// Its pid namespace.
    pub(super) pid_namespace: String,
    /// The pid namespace of this program.
    pub(super) our_pid_namespace: String,
    /// The fields NoNewPrivs, Seccomp and CapBnd of its status.
    pub(super) confinement: Vec<(String, String)>,
}

/// The process with this id, if it exists and is no zombie.
pub(super) fn process(pid: u32) -> Option<Process> {
    let proc = Path::new("/proc").join(pid.to_string());
    let status = fs::read_to_string(proc.join("status")).ok()?;
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    };
    if field("State")?.starts_with(['Z', 'X']) {
        return None;
    }
    let namespace = |proc: &Path| Some(fs::read_link(proc.join("ns/pid")).ok()?.to_str()?.to_owned());
    Some(Process {
        pid,
        comm: fs::read_to_string(proc.join("comm")).ok()?.trim_end().to_owned(),
        pids: field("NSpid")?
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect(),
        pid_namespace: namespace(&proc)?,
        our_pid_namespace: namespace(Path::new("/proc/self"))?,
        confinement: ["NoNewPrivs", "Seccomp", "CapBnd"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), field(name)?)))
            .collect(),
    })
}

/// What is left of a state root among the processes of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Remains {
    /// How many processes' mount tables were read.
    pub(super) tables_read: usize,
    /// Mounts that name the state root: `pid: line of mountinfo`.
    pub(super) mounts: Vec<String>,
    /// Processes whose command line names the container or the state root, ours aside.
    pub(super) processes: Vec<String>,
}

/// Looks for a state root, and for a container's id, in every process's mount table and command line.
///
/// A container's overlay is mounted in its shim's private namespace, so the table of this process alone would always
/// look clean.
pub(super) fn remains(root: &Path, id: &str) -> Remains {
    let mut remains = Remains::default();
    let Some(root) = root.to_str() else { return remains };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes end while they are looked at; a process that ended has no mounts.
        let Ok(table) = fs::read_to_string(entry.path().join("mountinfo")) else {
            continue;
        };
        remains.tables_read += 1;
        let mounts = table.lines().filter(|line| line.contains(root));
        remains.mounts.extend(mounts.map(|line| format!("{pid}: {line}")));
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if pid != std::process::id() && (command.contains(root) || command.contains(id)) {
            remains.processes.push(format!("{pid}: {}", command.trim_end()));
        }
    }
    remains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_namespace() {
        let process = process(std::process::id()).unwrap();
        assert_eq!(process.pid_namespace, process.our_pid_namespace);
        assert_eq!(process.pids.first(), Some(&std::process::id()));
        assert_eq!(process.confinement.len(), 3);
    }

    #[test]
    fn a_process_that_ended_is_not_found() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(super::process(pid), None);
    }

    #[test]
    fn mounts_and_processes_that_name_the_root_are_found() {
        assert!(!remains(Path::new("/proc"), "no id").mounts.is_empty());
        let clean = remains(Path::new("/selur-no-such-root"), "no id");
        assert!(clean.mounts.is_empty() && clean.tables_read > 0, "{clean:?}");
    }
}
