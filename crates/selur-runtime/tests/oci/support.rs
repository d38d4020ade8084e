//! A state root of its own with an image in it, and short words for effects.

use futures_util::StreamExt;
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, Signal, State};
use selur_runtime::{
    ContainerSpec, Done, Effect, Inspection, LogEntry, LogOptions, Observation, Oci, OciOptions, Operation,
    OutputStream, Runtime, RuntimeError, ShimLocation,
};
use selur_shim::{Life, Root};
use selur_testkit::ImageBuilder;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The image that every world has.
pub(crate) const IMAGE: &str = "docker.io/library/busybox:latest";
/// How long anything may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A state root and a runtime on it. When it is dropped, its containers are deleted.
pub(crate) struct World {
    pub(crate) oci: Oci,
    pub(crate) directory: TempDir,
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(&ImageBuilder::busybox().cmd(["/bin/sh", "-c", "sleep 1000"])).await
    }

    pub(crate) async fn with(image: &ImageBuilder) -> World {
        let directory = tempfile::tempdir().unwrap();
        let layout = directory.path().join("layout");
        image.write_layout(&layout);
        let oci = open(&directory.path().join("root")).unwrap();
        oci.images().unwrap().load(&layout, Some(IMAGE)).await.unwrap();
        World { oci, directory }
    }

    pub(crate) fn root(&self) -> Root {
        Root::new(self.directory.path().join("root"))
    }

    pub(crate) async fn perform(&self, id: ContainerId, operation: Operation) -> Result<Done, RuntimeError> {
        perform(&self.oci, id, operation).await
    }

    pub(crate) async fn create(&self, spec: ContainerSpec) -> ContainerId {
        let id = new_id();
        self.perform(id, creation(None, spec)).await.unwrap();
        id
    }

    /// Creates and starts a container that runs this in a shell.
    pub(crate) async fn run(&self, script: &str) -> ContainerId {
        let id = self.create(shell(script)).await;
        self.perform(id, Operation::Start).await.unwrap();
        id
    }

    /// Runs this in a shell to its end, and gives its exit code and what it wrote to standard output.
    pub(crate) async fn output_of(&self, spec: ContainerSpec) -> (Option<i32>, String) {
        let id = self.create(spec).await;
        self.perform(id, Operation::Start).await.unwrap();
        let report = self.ended(id).await;
        (report.exit_code, self.log(id, OutputStream::Stdout).await)
    }

    pub(crate) async fn inspect(&self, id: ContainerId) -> Inspection {
        *self
            .perform(id, Operation::Inspect)
            .await
            .unwrap()
            .inspection
            .unwrap()
    }

    pub(crate) async fn state(&self, id: ContainerId) -> Option<Report> {
        let list = self.oci.list().await.unwrap();
        list.into_iter().find_map(|seen| match seen {
            Observation::Seen {
                id: other, report, ..
            } if other == id => Some(report),
            _ => None,
        })
    }

    pub(crate) async fn until(
        &self,
        id: ContainerId,
        what: &str,
        condition: impl Fn(&Report) -> bool,
    ) -> Report {
        let wait = async {
            let mut observations = self.oci.observations();
            loop {
                if let Some(report) = self.state(id).await.filter(&condition) {
                    return report;
                }
                observations.next().await;
            }
        };
        match tokio::time::timeout(DEADLINE, wait).await {
            Ok(report) => report,
            Err(_) => panic!("not within {DEADLINE:?}: {what}; {:?}", self.state(id).await),
        }
    }

    pub(crate) async fn ended(&self, id: ContainerId) -> Report {
        self.until(id, "the container ends", |report| report.state == State::Stopped)
            .await
    }

    pub(crate) async fn entries(&self, id: ContainerId, options: LogOptions) -> Vec<LogEntry> {
        let stream = self.oci.logs(id, options).await.unwrap();
        let entries: Vec<_> = tokio::time::timeout(DEADLINE, stream.collect())
            .await
            .expect("the log ends");
        entries.into_iter().map(Result::unwrap).collect()
    }

    pub(crate) async fn log(&self, id: ContainerId, stream: OutputStream) -> String {
        let entries = self.entries(id, LogOptions::default()).await;
        let bytes = entries
            .into_iter()
            .filter(|entry| entry.stream == stream)
            .flat_map(|entry| entry.bytes);
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
    }

    /// Waits until the container has written this.
    pub(crate) async fn wrote(&self, id: ContainerId, text: &str) {
        let follow = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let wait = async {
            let mut stream = self.oci.logs(id, follow).await.unwrap();
            let mut all = String::new();
            while !all.contains(text) {
                match stream.next().await {
                    Some(entry) => all += &String::from_utf8_lossy(&entry.unwrap().bytes),
                    None => panic!("the container ended without writing {text:?}: {all:?}"),
                }
            }
        };
        tokio::time::timeout(DEADLINE, wait)
            .await
            .expect("the container writes");
    }

    pub(crate) async fn delete(&self, id: ContainerId) {
        self.perform(id, Operation::Delete { force: true }).await.unwrap();
    }

    pub(crate) fn life(&self, id: ContainerId) -> Life {
        Life::read(&self.root(), id).unwrap().unwrap()
    }

    /// The shim that holds a container; none while a new one takes over.
    pub(crate) fn shim_pid(&self, id: ContainerId) -> Option<i32> {
        let text = std::fs::read(self.root().alive(id)).unwrap();
        let process: selur_shim::Process = serde_json::from_slice(&text).ok()?;
        i32::try_from(process.pid).ok()
    }

    /// Deletes a container that does not run, and checks that nothing is left of it.
    pub(crate) async fn delete_stopped(&self, id: ContainerId) {
        self.perform(id, Operation::Delete { force: false })
            .await
            .unwrap();
        self.assert_gone(id);
    }

    /// Checks that nothing at all is left of a container: no process, cgroup, mount or file.
    pub(crate) fn assert_gone(&self, id: ContainerId) {
        self.assert_all_gone(&[id]);
    }

    /// The same for several, in one look at the machine.
    pub(crate) fn assert_all_gone(&self, ids: &[ContainerId]) {
        let ids: Vec<String> = ids.iter().map(ContainerId::to_string).collect();
        let find = |places: &[&Path]| {
            let mut command = Command::new("find");
            command.args(places).arg("-false");
            for id in &ids {
                command.args(["-o", "-name", &format!("*{id}*")]);
            }
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        assert_eq!(
            find(&[self.directory.path(), Path::new("/sys/fs/cgroup")]),
            "",
            "files are left"
        );
        for entry in std::fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            // The init of a machine may take its time to reap what lost its parent.
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            if status.contains("State:\tZ") {
                continue;
            }
            for file in ["cmdline", "mountinfo", "cgroup"] {
                let text = std::fs::read(path.join(file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                assert!(
                    !ids.iter().any(|id| text.contains(id)),
                    "{} still names the container",
                    path.join(file).display()
                );
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed must not leave processes behind.
        for entry in std::fs::read_dir(self.root().states())
            .into_iter()
            .flatten()
            .flatten()
        {
            let id = entry.file_name().to_str().and_then(ContainerId::parse);
            let Some(id) = id else { continue };
            let oci = self.oci.clone();
            let delete = move || {
                let tokio = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let _ = tokio.block_on(perform(&oci, id, Operation::Delete { force: true }));
            };
            let _ = std::thread::spawn(delete).join();
        }
    }
}

pub(crate) async fn perform(
    oci: &Oci,
    container: ContainerId,
    operation: Operation,
) -> Result<Done, RuntimeError> {
    let effect = Effect { container, operation };
    let done = oci.perform(effect, Default::default());
    tokio::time::timeout(DEADLINE, done)
        .await
        .expect("the effect ends in time")
}

pub(crate) fn open(root: &Path) -> Result<Oci, RuntimeError> {
    Oci::open(OciOptions {
        state_root: Some(root.to_owned()),
        shim: ShimLocation::Path(shim().to_owned()),
        runc: None,
    })
}

pub(crate) fn new_id() -> ContainerId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&u64::from(std::process::id()).to_be_bytes());
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    // Cgroups and pids outlast a run: no two runs share an id.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    bytes[..4].copy_from_slice(&now.subsec_nanos().to_be_bytes());
    ContainerId::from_bytes(bytes)
}

pub(crate) fn shell(script: &str) -> ContainerSpec {
    command(&["/bin/sh", "-c", script])
}

pub(crate) fn command(words: &[&str]) -> ContainerSpec {
    ContainerSpec {
        command: Some(words.iter().map(|word| (*word).to_owned()).collect()),
        ..ContainerSpec::default()
    }
}

pub(crate) fn creation(name: Option<&str>, spec: ContainerSpec) -> Operation {
    Operation::Create {
        image: IMAGE.into(),
        name: name.map(str::to_owned),
        spec: Box::new(spec),
    }
}

pub(crate) fn kill(signal: &str) -> Operation {
    Operation::Kill {
        signal: Signal::parse(signal).unwrap(),
    }
}

pub(crate) fn stop(timeout_ms: u64) -> Operation {
    Operation::Stop {
        timeout: Some(Duration::from_millis(timeout_ms)),
    }
}

/// The shim of this source tree, built once.
pub(crate) fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--quiet",
            "--package",
            "selur-shim",
            "--bin",
            "selur-shim",
        ]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(
            built.status.success(),
            "selur-shim does not build: {}",
            String::from_utf8_lossy(&built.stderr)
        );
        // target/debug/deps/oci-HASH: the shim is two levels up.
        let own = std::env::current_exe().unwrap();
        let shim = own.parent().unwrap().parent().unwrap().join("selur-shim");
        assert!(shim.exists(), "{} is missing", shim.display());
        shim
    })
}
