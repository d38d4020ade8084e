//! What is true, found out without the runtime: /proc, the cgroups, runc's own state, and the files of the root.

use crate::world::{World, ids, list, open, perform, shim};
use selur_protocol::{ContainerId, State};
use selur_runtime::{Images, Observation, Oci, Operation, Runtime};
use selur_shim::Lock;
use selur_testkit::wait_until;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what was killed, and what mends it, may take to settle.
const SETTLING: Duration = Duration::from_secs(30);

/// What was looked at, counted.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    counts: BTreeMap<&'static str, usize>,
    /// Every container that was ever seen.
    containers: BTreeSet<String>,
    /// The namespaces that their processes had, and when that was seen, in clock ticks since the boot: the kernel gives
    /// the number of one that has ended to another.
    namespaces: BTreeMap<String, u64>,
}

/// A process as /proc shows it.
struct Seen {
    pid: u32,
    parent: u32,
    started_ticks: u64,
    cgroups: String,
    command: String,
    environment: String,
}

impl Checked {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// What was checked, for people.
    pub(crate) fn told(&self) -> String {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(what, count)| format!("{count} × {what}"))
            .collect();
        format!(
            "checked {} containers, {} namespaces: {}",
            self.containers.len(),
            self.namespaces.len(),
            counts.join(", ")
        )
    }

    /// Compares what the runtime says of each container with what runs, until they agree, in time.
    pub(crate) fn truth(&mut self, world: &World, oci: &Oci) {
        let begun = Instant::now();
        wait_until("what is said of containers is what is", SETTLING * 2, || {
            let wrong = self.untruths(world, oci);
            let is_overdue = begun.elapsed() > SETTLING && !wrong.is_empty();
            assert!(!is_overdue, "{wrong:#?}\n{}", shim_logs(world));
            wrong.is_empty()
        });
        self.count("what list and inspect say is what runs");
    }

    fn untruths(&mut self, world: &World, oci: &Oci) -> Vec<String> {
        let mut wrong = Vec::new();
        let processes = processes();
        let now = now_in_ticks();
        for observation in list(oci) {
            let Observation::Seen { id, report, .. } = observation else {
                continue;
            };
            self.containers.insert(id.to_string());
            let text = id.to_string();
            let first = crate::world::first_process(world, id);
            let members: Vec<&Seen> = processes
                .iter()
                .filter(|process| process.cgroups.contains(&text))
                .collect();
            let pids: BTreeSet<u32> = members.iter().map(|process| process.pid).collect();
            // Those that came from outside: the first process, and what an exec left. A frozen one that was killed ends
            // when it is thawed; so does an exec that was under way.
            let is_excused = |process: &Seen| {
                let errand = processes.iter().find(|other| other.pid == process.parent);
                report.state == State::Paused
                    && (is_doomed(process.pid) || errand.is_some_and(|errand| errand.command.contains(&text)))
            };
            let roots: Vec<u32> = members
                .iter()
                .filter(|process| !pids.contains(&process.parent))
                .filter(|process| Some(process.pid) == first || !is_excused(process))
                .map(|process| process.pid)
                .collect();
            for pid in &pids {
                let namespaces = namespaces_of(*pid).into_iter();
                self.namespaces
                    .extend(namespaces.map(|namespace| (namespace, now)));
            }
            let mut say = |words: String| {
                let commands: Vec<&str> = members.iter().map(|process| process.command.as_str()).collect();
                wrong.push(format!(
                    "{text} is said to be {}, but {words}; its processes: {commands:?}",
                    report.state.name()
                ));
            };
            let inspected = match perform(oci, id, Operation::Inspect) {
                Ok(done) => done.inspection.expect("an inspection"),
                Err(error) => {
                    say(format!("inspect gives {}", error.chain()));
                    continue;
                }
            };
            if inspected.state != report.state.name() {
                say(format!("inspect says {}", inspected.state));
            }
            let runc_knows = world.root().runc_state(id).join("state.json");
            let has_shim = Lock::is_held(&world.root().alive(id)).unwrap_or(false);
            match report.state {
                State::Running | State::Paused => {
                    let expected: Vec<u32> = inspected.pid.into_iter().collect();
                    if roots != expected || expected.is_empty() {
                        say(format!(
                            "inspect names {expected:?}, and {roots:?} came from outside"
                        ));
                    }
                    let known = fs::read_to_string(&runc_knows).unwrap_or_default();
                    let known: serde_json::Value = serde_json::from_str(&known).unwrap_or_default();
                    if known["init_process_pid"].as_u64() != inspected.pid.map(u64::from) {
                        say("runc knows another process".into());
                    }
                    if !has_shim {
                        say("no shim holds it".into());
                    }
                    let frozen = is_frozen(id);
                    if frozen != (report.state == State::Paused) {
                        say(format!("frozen is {frozen}"));
                    }
                }
                State::Restarting => {
                    if !has_shim {
                        say("no shim holds it".into());
                    }
                }
                State::Created | State::Stopped => {
                    if !members.is_empty() || runc_knows.exists() {
                        say(format!("{roots:?} run, runc knows it: {}", runc_knows.exists()));
                    }
                }
            }
        }
        wrong
    }

    /// Deletes every container, each with force, and checks that nothing is left of any that was ever seen.
    pub(crate) fn clean_up(&mut self, world: &World, oci: Oci) {
        // What the last one to be killed had begun is removed by the next to come.
        drop(open(&world.path()));
        for id in ids(&oci) {
            self.containers.insert(id.to_string());
            if let Err(error) = perform(&oci, id, Operation::Delete { force: true }) {
                panic!("{id} cannot be deleted: {}\n{}", error.chain(), shim_logs(world));
            }
            self.count("delete with force succeeds");
        }
        assert_eq!(ids(&oci), [], "containers are left");
        crate::world::block_on(async {
            let volumes = oci.volumes().expect("volumes");
            for volume in volumes.list().await.expect("a list") {
                volumes
                    .delete(&volume.name)
                    .await
                    .unwrap_or_else(|error| panic!("{} stays: {}", volume.name, error.chain()));
            }
            let images = oci.images().expect("a store");
            for image in images.list().await.expect("a list") {
                images
                    .delete(&image.reference)
                    .await
                    .unwrap_or_else(|error| panic!("{} stays: {}", image.reference, error.chain()));
            }
            // What no name keeps: layers of pulls that never ended.
            Images::prune(images_of(&oci), Default::default())
                .await
                .expect("a prune");
        });
        drop(oci);
        // The next to come mends what the last one could not.
        drop(open(&world.path()));
        self.nothing_left(world);
    }

    /// Checks that no process, mount, cgroup, namespace, file, lock, pin, claim, directory or socket is left.
    pub(crate) fn nothing_left(&mut self, world: &World) {
        let begun = Instant::now();
        wait_until("nothing is left", SETTLING * 2, || {
            let left = self.leftovers(world);
            let is_overdue = begun.elapsed() > SETTLING && !left.is_empty();
            assert!(!is_overdue, "{left:#?}\n{}", shim_logs(world));
            left.is_empty()
        });
        for what in [
            "no process",
            "no mount",
            "no namespace",
            "no cgroup",
            "no file of a container, no directory of an errand, no socket",
            "no life, lock, hold of a shim or claim of a name",
            "no pin, lease, lock or work in progress of the image store",
            "no layer or blob that no image has",
            "no use or draft of a volume",
            "no state of runc's",
            "no temporary file",
        ] {
            self.count(what);
        }
    }

    fn leftovers(&self, world: &World) -> Vec<String> {
        let mut left = files_left(&world.path());
        for entry in entries(&world.temporary()) {
            left.push(format!("temporary file {}", entry.display()));
        }
        for hierarchy in hierarchies() {
            for group in entries(&hierarchy.join("selur")) {
                let name = group
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                if self.containers.contains(&name) {
                    left.push(format!("cgroup {}", group.display()));
                }
            }
        }
        let root = world.path().display().to_string();
        let own = std::process::id();
        for process in processes() {
            if process.pid == own {
                continue;
            }
            let is_ours = |text: &str| {
                text.contains(&root) || self.containers.iter().any(|id| text.contains(id.as_str()))
            };
            let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", process.pid)).unwrap_or_default();
            let words = [&process.command, &process.cgroups, &mounts, &process.environment];
            if let Some(at) = words.iter().position(|text| is_ours(text)) {
                let place = ["command", "cgroup", "mounts", "environment"][at];
                left.push(format!(
                    "process {}, by its {place}: {}",
                    process.pid, process.command
                ));
            }
            for namespace in namespaces_of(process.pid) {
                let seen = self.namespaces.get(&namespace);
                if seen.is_some_and(|seen| process.started_ticks <= *seen) {
                    left.push(format!("{namespace} of process {}", process.pid));
                }
            }
        }
        left
    }
}

fn images_of(oci: &Oci) -> &dyn Images {
    oci.images().expect("a store")
}

/// Every file below the root that is there without a container, a volume or an image.
fn files_left(root: &Path) -> Vec<String> {
    const KEPT: [&str; 6] = [
        "schema",
        "events",
        "names/.lock",
        "volumes/.lock",
        "images/store.json",
        "images/lock",
    ];
    const DIRECTORIES: [&str; 16] = [
        "states",
        "locks",
        "alive",
        "names",
        "containers",
        "runc",
        "volumes",
        "volumes/.uses",
        "images",
        "images/blobs",
        "images/layers",
        "images/refs",
        "images/uses",
        "images/leases",
        "images/locks",
        "images/ingest",
    ];
    let mut left = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for path in entries(&directory) {
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .into_owned();
            if DIRECTORIES.contains(&name.as_str()) {
                open.push(path);
            } else if !KEPT.contains(&name.as_str()) {
                left.push(format!("file {name}"));
            }
        }
    }
    left
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn hierarchies() -> Vec<PathBuf> {
    let mount = Path::new("/sys/fs/cgroup");
    let mut hierarchies = entries(mount);
    hierarchies.push(mount.to_owned());
    hierarchies
}

/// Every process but zombies, which wait for whoever reaps them.
fn processes() -> Vec<Seen> {
    let mut seen = Vec::new();
    for entry in entries(Path::new("/proc")) {
        let Some(pid) = entry.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.join("stat")).unwrap_or_default();
        let Some((_, fields)) = stat.rsplit_once(')') else {
            continue;
        };
        let mut fields = fields.split_ascii_whitespace();
        let (state, parent) = (fields.next(), fields.next());
        // Field 22. Source: proc_pid_stat(5).
        let started = fields.nth(17).and_then(|ticks| ticks.parse().ok());
        if state.is_none_or(|state| matches!(state, "Z" | "X")) {
            continue;
        }
        let command = fs::read(entry.join("cmdline")).unwrap_or_default();
        seen.push(Seen {
            pid,
            parent: parent.and_then(|parent| parent.parse().ok()).unwrap_or(0),
            started_ticks: started.unwrap_or(0),
            cgroups: fs::read_to_string(entry.join("cgroup")).unwrap_or_default(),
            command: String::from_utf8_lossy(&command).replace('\0', " "),
            environment: fs::read(entry.join("environ"))
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .unwrap_or_default(),
        });
    }
    seen
}

fn now_in_ticks() -> u64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime
        .split(' ')
        .next()
        .and_then(|seconds| seconds.parse::<f64>().ok());
    (seconds.expect("an uptime") * TICKS_A_SECOND) as u64
}

/// The processes of the shim's program that work for these containers.
pub(crate) fn shims(containers: &[ContainerId]) -> Vec<u32> {
    let program = format!("{} ", shim().display());
    let containers: Vec<String> = containers.iter().map(ContainerId::to_string).collect();
    processes()
        .into_iter()
        .filter(|process| {
            process
                .command
                .strip_prefix(&program)
                .is_some_and(|id| containers.iter().any(|container| id.trim() == container))
        })
        .map(|process| process.pid)
        .collect()
}

/// The namespaces of a process that are not this one's.
fn namespaces_of(pid: u32) -> Vec<String> {
    let of = |pid: &str| -> BTreeSet<String> {
        entries(Path::new(&format!("/proc/{pid}/ns")))
            .into_iter()
            .filter_map(|link| Some(fs::read_link(link).ok()?.to_string_lossy().into_owned()))
            .collect()
    };
    let own = of("self");
    of(&pid.to_string()).difference(&own).cloned().collect()
}

/// Whether SIGKILL waits for the process to be thawed.
fn is_doomed(pid: u32) -> bool {
    const SIGKILL: u64 = 1 << 8;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .filter_map(|line| line.strip_prefix("SigPnd:").or(line.strip_prefix("ShdPnd:")))
        .filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .any(|mask| mask & SIGKILL != 0)
}

fn is_frozen(id: ContainerId) -> bool {
    hierarchies().iter().any(|hierarchy| {
        let group = hierarchy.join("selur").join(id.to_string());
        let of_version_1 = fs::read_to_string(group.join("freezer.state"));
        let of_version_2 = fs::read_to_string(group.join("cgroup.freeze"));
        of_version_1.is_ok_and(|state| state.trim() == "FROZEN")
            || of_version_2.is_ok_and(|state| state.trim() == "1")
    })
}

/// What shims said of themselves, to understand a failure.
fn shim_logs(world: &World) -> String {
    let mut logs = String::new();
    for home in entries(&world.root().containers()) {
        if let Ok(log) = fs::read_to_string(home.join("shim.log"))
            && !log.is_empty()
        {
            logs += &format!("{}: {log}\n", home.display());
        }
    }
    logs
}

/// Every process in a container's cgroups.
pub(crate) fn cgroup_processes(id: ContainerId) -> Vec<u32> {
    let id = id.to_string();
    let members = processes()
        .into_iter()
        .filter(|process| process.cgroups.contains(&id));
    members.map(|process| process.pid).collect()
}
