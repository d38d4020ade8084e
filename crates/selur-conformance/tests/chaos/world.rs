//! A state root with images, what works on it, and random choices that can be repeated.

use rustix::process::{Pid, Signal, kill_process};
use selur_protocol::ContainerId;
use selur_runtime::{
    ContainerSpec, Done, Effect, Observation, Oci, OciOptions, Operation, Runtime, RuntimeError, ShimLocation,
};
use selur_shim::Root;
use selur_testkit::{BuiltImage, Compression, Contents, ImageBuilder, Layer, ScriptedRegistry, Tarball};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The image that containers are made from.
pub(crate) const IMAGE: &str = "docker.io/library/busybox:latest";
/// How many images the registry has that are only pulled.
pub(crate) const PULLED_IMAGES: u64 = 4;
/// How long anything may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// What the tests take a seed from.
const SEED: &str = "SELUR_CHAOS_SEED";

/// A state root, with a registry beside it.
pub(crate) struct World {
    pub(crate) registry: ScriptedRegistry,
    directory: TempDir,
}

impl World {
    /// With the image that containers are made from in its store.
    pub(crate) fn new() -> World {
        World::prepared(|_| {})
    }

    /// The same with a directory for the root that was prepared first.
    pub(crate) fn prepared(prepare: impl FnOnce(&Path)) -> World {
        let images = (0..PULLED_IMAGES).fold(Contents::new(), |contents, number| {
            contents.image(&format!("noise-{number}"), "latest", &noise_image(number))
        });
        let world = World {
            registry: ScriptedRegistry::serving(images),
            directory: TempDir::with_prefix("selur-chaos-").expect("a temporary directory"),
        };
        std::fs::create_dir(world.temporary()).expect("a directory for temporary files");
        prepare(&world.path());
        world.load_image();
        world
    }

    /// Puts the image that containers are made from into the store.
    pub(crate) fn load_image(&self) {
        let layout = self.directory.path().join("layout");
        if !layout.exists() {
            ImageBuilder::busybox()
                .cmd(["/bin/sleep", "1000"])
                .write_layout(&layout);
        }
        let oci = self.open();
        block_on(async {
            let images = oci.images().expect("a store");
            images.load(&layout, Some(IMAGE)).await.expect("an image");
        });
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(crate) fn root(&self) -> Root {
        Root::new(self.path())
    }

    /// Where those who work on the root put temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.directory.path().join("tmp")
    }

    pub(crate) fn open(&self) -> Oci {
        open(&self.path())
    }

    /// Another process that does what a test function of this name says, when it is named in the environment.
    pub(crate) fn process(&self, test: &str, environment: &[(&str, String)]) -> Process {
        let own = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(own);
        command.args(["--exact", test, "--nocapture"]);
        command.env(ROOT, self.path()).env("TMPDIR", self.temporary());
        command.env(REGISTRY, self.registry.address().to_string());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("a process");
        Process {
            stdin: child.stdin.take(),
            lines: lines_of(child.stdout.take().expect("its output")),
            child,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed must not leave processes behind.
        if std::thread::panicking() {
            let oci = Oci::open(options(&self.path()));
            if let Ok(oci) = oci {
                for id in ids(&oci) {
                    let _ = perform(&oci, id, Operation::Delete { force: true });
                }
            }
        }
    }
}

/// Names the state root to a process of a test's own.
pub(crate) const ROOT: &str = "SELUR_CHAOS_ROOT";
/// Names the registry.
pub(crate) const REGISTRY: &str = "SELUR_CHAOS_REGISTRY";

/// A process of a test's own. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Process {
    /// The next word that it says for the test, if it says one in time.
    pub(crate) fn says_within(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    pub(crate) fn says(&self) -> String {
        self.says_within(DEADLINE).expect("the process says something")
    }

    /// Tells it something; one that is gone does not hear.
    pub(crate) fn tell(&mut self, line: &str) {
        use std::io::Write;
        if let Some(stdin) = &mut self.stdin {
            let _ = writeln!(stdin, "{line}");
        }
    }

    /// Kills it when it cannot do anything any more, and something else has happened.
    pub(crate) fn kill_with(&mut self, other: impl FnOnce()) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::STOP));
        other();
        self.kill();
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What begins a line that is meant for the test, among the words of the test program itself.
const MARK: &str = "chaos: ";

/// Says something to the test that started this process.
pub(crate) fn say(words: &str) {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{MARK}{words}");
    let _ = output.flush();
}

fn lines_of(output: std::process::ChildStdout) -> std::sync::mpsc::Receiver<String> {
    use std::io::{BufRead, BufReader};
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The test program may have begun a line of its own.
            if let Some((_, words)) = line.split_once(MARK)
                && sender.send(words.to_owned()).is_err()
            {
                return;
            }
        }
    });
    receiver
}

pub(crate) fn shim() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_conformance-shim"))
}

fn options(root: &Path) -> OciOptions {
    OciOptions {
        state_root: Some(root.to_owned()),
        shim: ShimLocation::Path(shim().to_owned()),
        ..OciOptions::default()
    }
}

pub(crate) fn open(root: &Path) -> Oci {
    Oci::open(options(root)).unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// Waits for what is asynchronous, on threads of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for asynchronous work");
    tokio.block_on(work)
}

/// Performs an operation to its end, which must come in time.
pub(crate) fn perform(oci: &Oci, container: ContainerId, operation: Operation) -> Result<Done, RuntimeError> {
    let mut operation = operation;
    if let Operation::Create { spec, .. } = &mut operation {
        // So that a process of the container is known for one, wherever it is.
        let mark = format!("{ROOT}={}", oci.state_root().display());
        spec.environment.push(mark);
    }
    block_on(async {
        let effect = Effect { container, operation };
        let words = format!("{effect:?}");
        let done = oci.perform(effect, Default::default());
        tokio::time::timeout(DEADLINE, done)
            .await
            .unwrap_or_else(|_| panic!("{words} does not end"))
    })
}

/// The container's first process, as its life says.
pub(crate) fn first_process(world: &World, id: ContainerId) -> Option<u32> {
    let life = selur_shim::Life::read(&world.root(), id).ok().flatten()?;
    life.process.map(|process| process.pid)
}

pub(crate) fn list(oci: &Oci) -> Vec<Observation> {
    block_on(oci.list()).expect("a list")
}

pub(crate) fn ids(oci: &Oci) -> Vec<ContainerId> {
    let id = |observation: &Observation| match observation {
        Observation::Seen { id, .. } | Observation::Gone { id } => *id,
    };
    list(oci).iter().map(id).collect()
}

/// An id that no other run of this test uses: cgroups outlast a run.
pub(crate) fn new_id() -> ContainerId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 16];
    let half = || RandomState::new().build_hasher().finish();
    bytes[..8].copy_from_slice(&half().to_be_bytes());
    bytes[8..].copy_from_slice(&(half() ^ NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes());
    ContainerId::from_bytes(bytes)
}

pub(crate) fn creation(name: Option<String>, spec: ContainerSpec) -> Operation {
    Operation::Create {
        image: IMAGE.into(),
        name,
        spec: Box::new(spec),
    }
}

pub(crate) fn command(words: &[&str]) -> ContainerSpec {
    ContainerSpec {
        command: Some(words.iter().map(|word| (*word).to_owned()).collect()),
        ..ContainerSpec::default()
    }
}

pub(crate) fn shell(script: &str) -> ContainerSpec {
    command(&["/bin/sh", "-c", script])
}

/// An image whose layers are worth some reads and writes.
pub(crate) fn noise_image(number: u64) -> BuiltImage {
    let layer = |layer: u64| {
        let mut random = Random::new(number << 8 | layer);
        let noise: Vec<u8> = (0..60_000).map(|_| random.below(256) as u8).collect();
        let tarball = Tarball::new()
            .directory("noise", 0o755)
            .file(&format!("noise/{layer}"), 0o644, noise);
        Layer::new(&tarball.finish(), Compression::Gzip)
    };
    (0..3)
        .fold(ImageBuilder::empty(), |builder, number| {
            builder.layer(layer(number))
        })
        .cmd(["/none"])
        .build()
}

/// Choices that can be repeated.
///
/// Source: Steele, Lea, Flood: SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The seed of the environment, else another each time; it is printed.
    pub(crate) fn seeded(test: &str) -> Random {
        let given = std::env::var(SEED).ok();
        let seed = given.map_or_else(
            || RandomState::new().build_hasher().finish() >> 32,
            |seed| seed.parse().expect("SELUR_CHAOS_SEED is a number"),
        );
        println!("{test}: {SEED}={seed}");
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(usize::try_from(self.below(from.len() as u64)).ok()?)
            .cloned()
    }

    /// Up to this long.
    pub(crate) fn moment_within(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(most.max(1)))
    }
}
