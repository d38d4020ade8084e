//! Podman's own daemon, with a storage of its own.

use crate::wait_until;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the machine's own configuration would decide otherwise. Locks are files, for those in shared memory belong to
/// all podmans of the machine; limits are ones that a machine without CAP_SYS_RESOURCE can set.
const CONTAINERS_CONF: &str = r#"
[engine]
events_logger = "file"
lock_type = "file"
cgroup_manager = "cgroupfs"
runtime = "runc"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"#;
/// Registries of tests speak http.
const REGISTRIES_CONF: &str = r#"
unqualified-search-registries = []
[[registry]]
location = "127.0.0.1"
insecure = true
"#;
/// How long what is left of it may take to be ended.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// `podman system service` on a socket of its own. It has ended when this is dropped, and its containers, processes,
/// mounts and files are gone.
#[derive(Debug)]
pub struct PodmanService {
    child: Child,
    socket: PathBuf,
    // Removed on drop, when nothing is mounted in it any more.
    root: TempDir,
}

impl PodmanService {
    /// Starts it.
    ///
    /// # Panics
    /// `podman` is missing, or does not listen within 30 s.
    pub fn start() -> PodmanService {
        let root = TempDir::with_prefix("selur-podman-").expect("a temporary directory can be made");
        let directory = root.path().display();
        // The same as on the command line: podman wants it here, too.
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\nrunroot = \"{directory}/run\"\ngraphroot = \"{directory}/storage\"\n"
        );
        for (name, contents) in [
            ("containers.conf", CONTAINERS_CONF),
            ("registries.conf", REGISTRIES_CONF),
            ("storage.conf", &storage),
        ] {
            fs::write(root.path().join(name), contents).expect("a file can be written");
        }
        fs::create_dir(root.path().join("scratch")).expect("a directory can be made");
        let socket = root.path().join("podman.sock");
        let log = fs::File::create(root.path().join("log")).expect("a file can be written");
        let child = podman(root.path())
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("podman cannot be run (apt-get install podman): {error}"));
        let mut service = PodmanService { child, socket, root };
        wait_until("podman listens (see its log)", Duration::from_secs(30), || {
            if !service.is_running() {
                let said = fs::read_to_string(service.root.path().join("log")).unwrap_or_default();
                panic!("podman has ended: {said}");
            }
            UnixStream::connect(&service.socket).is_ok()
        });
        service
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// A podman whose state is all below a directory.
fn podman(root: &Path) -> Command {
    let mut command = Command::new("podman");
    command
        .arg("--root")
        .arg(root.join("storage"))
        .arg("--runroot")
        .arg(root.join("run"))
        .arg("--tmpdir")
        .arg(root.join("tmp"))
        .env("CONTAINERS_CONF", root.join("containers.conf"))
        .env("CONTAINERS_REGISTRIES_CONF", root.join("registries.conf"))
        .env("CONTAINERS_STORAGE_CONF", root.join("storage.conf"))
        .env("HOME", root)
        .env("TMPDIR", root.join("scratch"))
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Drop for PodmanService {
    fn drop(&mut self) {
        // Whatever a test left that failed, and what conmon has not cleaned up yet.
        let storage = self.root.path().join("storage");
        let is_idle = || {
            fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| {
                let containers = format!("{}/overlay/", storage.display());
                !mounts.contains(&containers)
            })
        };
        if std::thread::panicking() || !is_idle() {
            let _ = podman(self.root.path())
                .args(["rm", "--all", "--force", "--time", "0"])
                .status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let below = format!("{}/", self.root.path().display());
        end_processes(&below);
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let mut places: Vec<_> = places.filter(|place| place.starts_with(&below)).collect();
        places.reverse();
        for place in places {
            let _ = Command::new("umount").args(["--lazy", place]).status();
        }
    }
}

/// Ends what was started with a path below the directory. After the end of each exec its conmon waits five minutes, to tell
/// it then to a podman whose files are gone.
fn end_processes(below: &str) {
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let are_left = ids.filter_map(Pid::from_raw).filter(|id| end_process(*id, below));
        if are_left.count() == 0 || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether there was such a process.
fn end_process(id: Pid, below: &str) -> bool {
    let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else {
        return false;
    };
    // The descriptor is of the process that has the id now: if this is its command, it is it.
    let command = fs::read(format!("/proc/{}/cmdline", id.as_raw_nonzero())).unwrap_or_default();
    let is_ours = String::from_utf8_lossy(&command).contains(below);
    is_ours && pidfd_send_signal(process, Signal::KILL).is_ok()
}
