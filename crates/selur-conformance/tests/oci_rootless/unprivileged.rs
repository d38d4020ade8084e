//! Runs a test again as a user who is not root, and looks whether it left anything.
//!
//! The user of the subordinate ids is `nobody`, because newuidmap wants one that /etc/passwd knows. The lines in
//! /etc/subuid and /etc/subgid exist while such tests run: one process at a time, under a lock, and constant, so that
//! what a killed run left is what the next one makes.

use selur_testkit::wait_until;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tempfile::TempDir;

/// Names the shim to the test, and says that this is the unprivileged process.
const SHIM: &str = "SELUR_UNPRIVILEGED_SHIM";
/// A user whom nobody gave subordinate ids; no passwd entry is needed.
const STRANGER: (u32, u32) = (64_201, 64_201);
/// The user `nobody` and the group `nogroup`. Source: Debian policy 9.2.2.
const NOBODY: (u32, u32) = (65_534, 65_534);
const SUBORDINATE: &str = "65534:2000000000:65536\n";
/// A test that hangs ends by itself before this.
const LIMIT: Duration = Duration::from_secs(180);

/// Which ids the user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    Own,
    Subordinate,
}

/// Where the test runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) ids: Ids,
    /// Whether the cgroup that it runs in is the user's.
    pub(crate) has_cgroups: bool,
}

/// The shim that an unprivileged test uses.
pub(crate) fn shim() -> PathBuf {
    std::env::var_os(SHIM)
        .expect("an unprivileged test is started by one of root's")
        .into()
}

/// As root, runs the test as a user and panics if it fails there. False in the user's own process.
pub(crate) fn passed_elsewhere(test: &str, place: Place) -> bool {
    if std::env::var_os(SHIM).is_some() {
        return false;
    }
    let stage = Stage::enter();
    let _ids = (place.ids == Ids::Subordinate).then(SubordinateIds::grant);
    let user = match place.ids {
        Ids::Own => STRANGER,
        Ids::Subordinate => NOBODY,
    };
    let home = TempDir::new_in(stage.directory.path()).unwrap();
    chown(home.path(), Some(user.0), Some(user.1)).unwrap();
    let cgroups = place.has_cgroups.then(|| Cgroups::make(user));

    let (_, test) = test.split_once("::").unwrap();
    let output = home.path().with_extension("output");
    let log = File::create(&output).unwrap();
    let mut command = Command::new("/bin/sh");
    // The cgroups are entered by root, everything else is done by the user.
    command
        .arg("-c")
        .arg("for own in $CGROUPS; do echo $$ > $own/cgroup.procs || exit 1; done; exec \"$0\" \"$@\"");
    command.args(["setpriv", "--clear-groups"]);
    command
        .arg(format!("--reuid={}", user.0))
        .arg(format!("--regid={}", user.1));
    command
        .arg(stage.directory.path().join("test"))
        .args(["--exact", test, "--nocapture"]);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env(
            "CGROUPS",
            cgroups.as_ref().map(Cgroups::words).unwrap_or_default(),
        )
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .env(SHIM, stage.directory.path().join("shim"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let mut status = None;
    wait_until("the unprivileged test ends", LIMIT, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let said = fs::read_to_string(&output).unwrap();
    fs::remove_file(&output).unwrap();
    let has_passed = status.is_some_and(|status| status.success()) && said.contains("1 passed");
    assert!(has_passed, "as the user {}: {status:?}\n{said}", user.0);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "files are left: {left:?}");
    // What has died and is not reaped yet has no mounts to show.
    let name = home.path().to_str().unwrap();
    wait_until("no mount and no process is left", LIMIT, || !is_anywhere(name));
    drop(cgroups);
    true
}

/// What the directory of odd mounts is called, beside the test's copy.
const ODD_MOUNTS: &str = "mounts";
/// How else times of reading can be kept than by default.
const ODD_OPTIONS: [&str; 4] = ["nodiratime", "noatime", "strictatime", "strictatime,nodiratime"];

/// Mounts that only root makes, each with a file that has its number; none in the user's own process.
pub(crate) fn odd_mounts() -> Option<OddMounts> {
    if std::env::var_os(SHIM).is_some() {
        return None;
    }
    let mut mounts = OddMounts {
        made: Vec::new(),
        stage: Stage::enter(),
    };
    for (index, options) in ODD_OPTIONS.iter().enumerate() {
        let path = mounts
            .stage
            .directory
            .path()
            .join(ODD_MOUNTS)
            .join(index.to_string());
        fs::create_dir_all(&path).unwrap();
        let options = format!("{options},mode=755");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "none"]).arg(&path);
        assert!(command.status().unwrap().success());
        mounts.made.push(path.clone());
        fs::write(path.join("file"), format!("{index}\n")).unwrap();
        fs::set_permissions(path.join("file"), Permissions::from_mode(0o644)).unwrap();
    }
    Some(mounts)
}

/// Where they are, for the user's own process.
pub(crate) fn odd_mount_points() -> Vec<PathBuf> {
    let directory = shim().with_file_name(ODD_MOUNTS);
    (0..ODD_OPTIONS.len())
        .map(|index| directory.join(index.to_string()))
        .collect()
}

/// Unmounts them when it is dropped.
pub(crate) struct OddMounts {
    made: Vec<PathBuf>,
    // Dropped last: they are in its directory.
    stage: Arc<Stage>,
}

impl Drop for OddMounts {
    fn drop(&mut self) {
        for path in &self.made {
            let _ = Command::new("umount").arg("--lazy").arg(path).status();
        }
    }
}

/// Whether a process has mounts of this test, or names it.
fn is_anywhere(name: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut files =
        processes.flat_map(|process| ["mountinfo", "cmdline"].map(|file| process.path().join(file)));
    files.any(|file| {
        let text = fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(name)
    })
}

/// Copies of the test and the shim where any user comes to: a checkout may lie in somebody's home.
struct Stage {
    directory: TempDir,
}

impl Stage {
    fn enter() -> Arc<Stage> {
        static STAGE: Mutex<Weak<Stage>> = Mutex::new(Weak::new());
        shared(&STAGE, || {
            let directory = TempDir::with_prefix("selur-unprivileged-").unwrap();
            fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
            let copies = [
                (std::env::current_exe().unwrap(), "test"),
                (env!("CARGO_BIN_EXE_conformance-shim").into(), "shim"),
            ];
            for (from, name) in copies {
                let to = directory.path().join(name);
                fs::copy(from, &to).unwrap();
                fs::set_permissions(to, Permissions::from_mode(0o755)).unwrap();
            }
            Stage { directory }
        })
    }
}

/// What many tests use at once, made by the first and dropped by the last.
fn shared<T>(known: &Mutex<Weak<T>>, make: impl FnOnce() -> T) -> Arc<T> {
    let mut known = known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    known.upgrade().unwrap_or_else(|| {
        let made = Arc::new(make());
        *known = Arc::downgrade(&made);
        made
    })
}

/// The lines that give nobody subordinate ids.
struct SubordinateIds {
    _lock: File,
}

impl SubordinateIds {
    const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

    fn grant() -> Arc<SubordinateIds> {
        static IDS: Mutex<Weak<SubordinateIds>> = Mutex::new(Weak::new());
        let has_tools = ["newuidmap", "newgidmap"]
            .iter()
            .all(|tool| Path::new("/usr/bin").join(tool).exists());
        assert!(
            has_tools,
            "newuidmap and newgidmap are missing: `apt-get install uidmap`"
        );
        shared(&IDS, || {
            let lock = File::create(std::env::temp_dir().join("selur-subordinate-ids.lock")).unwrap();
            lock.lock().unwrap();
            for file in SubordinateIds::FILES {
                let text = fs::read_to_string(file)
                    .unwrap_or_default()
                    .replace(SUBORDINATE, "");
                let end = if text.is_empty() || text.ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                replace(file, &format!("{text}{end}{SUBORDINATE}"));
            }
            SubordinateIds { _lock: lock }
        })
    }
}

impl Drop for SubordinateIds {
    fn drop(&mut self) {
        for file in SubordinateIds::FILES {
            let text = fs::read_to_string(file)
                .unwrap_or_default()
                .replace(SUBORDINATE, "");
            replace(file, &text);
        }
    }
}

/// In one step: newuidmap of other users reads these files, too.
fn replace(file: &str, text: &str) {
    let draft = format!("{file}.selur-test");
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, Permissions::from_mode(0o644)).unwrap();
    fs::rename(draft, file).unwrap();
}

/// Cgroups that belong to the user, as root delegates them.
struct Cgroups {
    /// What the user may write to; in the reverse order they are removed.
    made: Vec<PathBuf>,
    /// Those that the test is put into.
    entered: Vec<PathBuf>,
}

impl Cgroups {
    fn make(user: (u32, u32)) -> Cgroups {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "selur-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mount = Path::new("/sys/fs/cgroup");
        let mut cgroups = Cgroups {
            made: Vec::new(),
            entered: Vec::new(),
        };
        if mount.join("cgroup.controllers").exists() {
            // Of version 2: containers come beside the cgroup that has processes.
            let above = mount.join(&name);
            cgroups.add(&above, user);
            cgroups.add(&above.join("own"), user);
            cgroups.entered.push(above.join("own"));
            return cgroups;
        }
        for controller in ["cpu", "cpuacct", "memory", "pids", "freezer", "blkio"] {
            let own = mount.join(controller).join(&name);
            // Two controllers of one hierarchy have one directory by two names.
            if !own.exists() {
                cgroups.add(&own, user);
                cgroups.entered.push(own);
            }
        }
        cgroups
    }

    fn add(&mut self, path: &Path, user: (u32, u32)) {
        fs::create_dir(path).unwrap();
        self.made.push(path.to_owned());
        for file in ["", "cgroup.procs", "tasks", "cgroup.subtree_control"] {
            let file = path.join(file);
            if file.exists() {
                chown(file, Some(user.0), Some(user.1)).unwrap();
            }
        }
    }

    fn words(&self) -> String {
        let words: Vec<_> = self.entered.iter().map(|path| path.to_str().unwrap()).collect();
        words.join(" ")
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            let below = fs::read_dir(path).into_iter().flatten().flatten();
            let below: Vec<_> = below
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .collect();
            if !std::thread::panicking() {
                assert!(below.is_empty(), "cgroups are left: {below:?}");
            }
            for path in below {
                let _ = fs::remove_dir(path);
            }
            // What has ended leaves its cgroup a little later.
            let mut error = None;
            let removed = || {
                error = fs::remove_dir(path).err();
                error.is_none()
            };
            if std::thread::panicking() {
                let mut removed = removed;
                removed();
            } else {
                wait_until("the test's cgroup is empty", LIMIT, removed);
            }
        }
    }
}
