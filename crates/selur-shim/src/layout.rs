//! Where everything lies below a state root. Nothing else in the project puts these paths together.

use selur_protocol::ContainerId;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What begins the name of an errand's directory.
const EXEC_PREFIX: &str = "exec-";

/// A state root.
///
/// ```text
/// states/ID        the container's life; a container exists exactly while this file does
/// locks/ID         held while an effect changes the container
/// alive/ID         held by the container's shim as long as it lives; its content is the shim's process
/// names/NAME       symbolic link to ID: a claimed name
/// containers/ID/   everything else of the container
/// runc/            runc's own state
/// volumes/NAME/    a named volume
/// volumes/.uses/ID the names of the volumes that a container mounts
/// images/          the image store
/// mapping          which ids its files belong to, without root
/// events           what happened, see [`crate::event_log`]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

/// The directory of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Root {
    /// The root at this absolute path.
    pub fn new(path: impl Into<PathBuf>) -> Root {
        Root(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directories that a root consists of.
    pub fn directories(&self) -> [PathBuf; 8] {
        [
            self.states(),
            self.locks(),
            self.alive_files(),
            self.names(),
            self.containers(),
            self.runc(),
            self.volumes(),
            self.volume_uses(),
        ]
    }

    /// The directory of the lives.
    pub fn states(&self) -> PathBuf {
        self.0.join("states")
    }

    /// A container's life.
    pub fn state(&self, id: ContainerId) -> PathBuf {
        self.states().join(id.to_string())
    }

    /// Where a container's life is written before it takes its place. A writer that dies in between leaves it.
    pub fn state_draft(&self, id: ContainerId) -> PathBuf {
        self.states().join(format!(".{id}"))
    }

    /// The directory of the lock files.
    pub fn locks(&self) -> PathBuf {
        self.0.join("locks")
    }

    /// The file whose lock a changing effect holds.
    pub fn lock(&self, id: ContainerId) -> PathBuf {
        self.locks().join(id.to_string())
    }

    /// The directory of the files that living shims hold.
    pub fn alive_files(&self) -> PathBuf {
        self.0.join("alive")
    }

    /// The file whose lock a container's shim holds.
    pub fn alive(&self, id: ContainerId) -> PathBuf {
        self.alive_files().join(id.to_string())
    }

    /// The directory of the claimed names.
    pub fn names(&self) -> PathBuf {
        self.0.join("names")
    }

    /// A claimed name.
    pub fn name(&self, name: &str) -> PathBuf {
        self.names().join(name)
    }

    /// The lock under which stale names are removed. No name begins with a dot.
    pub fn names_lock(&self) -> PathBuf {
        self.names().join(".lock")
    }

    /// The directory of the containers.
    pub fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    /// A container's directory.
    pub fn home(&self, id: ContainerId) -> Home {
        Home(self.containers().join(id.to_string()))
    }

    /// Which ids of the machine the ids of its containers are: of a root that is used without root.
    pub fn mapping(&self) -> PathBuf {
        self.0.join("mapping")
    }

    /// Where that is written before it takes its place. A writer that dies in between leaves it.
    pub fn mapping_draft(&self) -> PathBuf {
        self.0.join(".mapping")
    }

    /// Where an overlay is tried. Who dies meanwhile leaves it.
    pub fn probe(&self) -> PathBuf {
        self.0.join(".probe")
    }

    /// The log of events.
    pub fn events(&self) -> PathBuf {
        self.0.join("events")
    }

    /// What runc is given as its root.
    pub fn runc(&self) -> PathBuf {
        self.0.join("runc")
    }

    /// The directory of the volumes. No volume's name begins with a dot.
    pub fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    /// A volume.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    /// What is known of a volume.
    pub fn volume_record(&self, name: &str) -> PathBuf {
        self.volume(name).join("volume.json")
    }

    /// What containers see of a volume.
    pub fn volume_data(&self, name: &str) -> PathBuf {
        self.volume(name).join("data")
    }

    /// Exists until the volume is mounted for the first time; locked by who fills it for that.
    pub fn volume_fresh(&self, name: &str) -> PathBuf {
        self.volume(name).join("fresh")
    }

    /// What the volume is filled with, until it is whole.
    pub fn volume_filling(&self, name: &str) -> PathBuf {
        self.volume(name).join("filling")
    }

    /// Held while volumes come and go, and while it is written who uses them.
    pub fn volumes_lock(&self) -> PathBuf {
        self.volumes().join(".lock")
    }

    /// The directory of the records of who uses which volumes.
    pub fn volume_uses(&self) -> PathBuf {
        self.volumes().join(".uses")
    }

    /// The volumes that a container uses.
    pub fn volume_use(&self, id: ContainerId) -> PathBuf {
        self.volume_uses().join(id.to_string())
    }

    /// What runc keeps of a container while it knows it.
    pub fn runc_state(&self, id: ContainerId) -> PathBuf {
        self.runc().join(id.to_string())
    }
}

impl Home {
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What was asked for when the container was made.
    pub fn config(&self) -> PathBuf {
        self.0.join("container.json")
    }

    /// The OCI bundle.
    pub fn bundle(&self) -> PathBuf {
        self.0.join("bundle")
    }

    /// The bundle's configuration with [`crate::USER_PLACEHOLDER`] where the user is to stand.
    pub fn bundle_template(&self) -> PathBuf {
        self.bundle().join("config.json.in")
    }

    /// The bundle's configuration as runc reads it.
    pub fn bundle_config(&self) -> PathBuf {
        self.bundle().join("config.json")
    }

    /// Where the root file system is mounted, in the shim's mount namespace only.
    pub fn rootfs(&self) -> PathBuf {
        self.0.join("rootfs")
    }

    /// What the container changed of its root file system.
    pub fn upper(&self) -> PathBuf {
        self.0.join("upper")
    }

    /// What overlayfs works in.
    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    /// The lowest layer of an image that has none.
    pub fn empty(&self) -> PathBuf {
        self.0.join("empty")
    }

    /// hostname, hosts and resolv.conf.
    pub fn etc(&self) -> PathBuf {
        self.0.join("etc")
    }

    /// The log files.
    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The FIFO that is the container's standard output.
    pub fn stdout(&self) -> PathBuf {
        self.0.join("stdout")
    }

    /// The FIFO that is the container's standard error.
    pub fn stderr(&self) -> PathBuf {
        self.0.join("stderr")
    }

    /// The name of the control socket within the directory.
    pub const CONTROL: &str = "control";

    /// Where runc writes the process id.
    pub fn pid_file(&self) -> PathBuf {
        self.0.join("pid")
    }

    /// Where runc writes why it failed.
    pub fn runc_log(&self) -> PathBuf {
        self.0.join("runc.log")
    }

    /// What an errand keeps as long as it serves a further process, by a random number.
    pub fn exec(&self, number: u64) -> PathBuf {
        self.0.join(format!("{EXEC_PREFIX}{number:016x}"))
    }

    /// The lock that an errand holds there, whose content is the errand's process.
    pub fn exec_lock(&self, number: u64) -> PathBuf {
        self.exec(number).join(Home::EXEC_LOCK)
    }

    /// The lock's name.
    pub(crate) const EXEC_LOCK: &str = "lock";

    /// Whether an entry of the directory is an errand's.
    pub(crate) fn is_exec(name: &OsStr) -> bool {
        name.as_encoded_bytes().starts_with(EXEC_PREFIX.as_bytes())
    }

    /// Where the shim's own panics go.
    pub fn shim_log(&self) -> PathBuf {
        self.0.join("shim.log")
    }
}
