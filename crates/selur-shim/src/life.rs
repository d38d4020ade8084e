//! A container's life as it stands on disk: the truth that every bridge reads.

use crate::{Moment, Process, Root, SCHEMA_VERSION};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, State};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What a small file can grow to without more room on the disk: the smallest block of common file systems, in bytes.
const ROOM_BYTES: usize = 4096;

/// What the file `states/ID` says, in JSON.
///
/// Invariant: it is written by the container's shim while that lives, else by whoever holds the container's lock.
/// (generation, sequence) grows with every write that changes `state` or `exit_code`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The version of this file.
    pub schema: u32,
    /// The boot in which it was written: after a reboot nothing runs.
    pub boot: String,
    /// The container's name.
    pub name: Option<String>,
    /// Grows with every start and every restart.
    pub generation: u32,
    /// Grows within a generation.
    pub sequence: u32,
    /// Where the container stands.
    #[serde(with = "state_name")]
    pub state: State,
    /// The container's first process, while it runs.
    pub process: Option<Process>,
    /// How the process ended; 126 or 127 if it could not be started.
    pub exit_code: Option<i32>,
    /// When it was last started.
    pub started_at: Option<String>,
    /// When it last ended.
    pub finished_at: Option<String>,
    /// How often the restart policy started it again since it was last asked to start.
    pub restart_count: u32,
}

impl Life {
    /// The life of a container that was just made.
    ///
    /// # Errors
    /// The boot's id cannot be read.
    pub fn created(name: Option<String>) -> io::Result<Life> {
        Ok(Life {
            schema: SCHEMA_VERSION,
            boot: current_boot()?,
            name,
            generation: 0,
            sequence: 1,
            state: State::Created,
            process: None,
            exit_code: None,
            started_at: None,
            finished_at: None,
            restart_count: 0,
        })
    }

    /// Reads a container's life; nothing if there is no such container.
    ///
    /// # Errors
    /// The file system's; `InvalidData` if the file is malformed, `Unsupported` if it is of a newer schema.
    pub fn read(root: &Root, id: ContainerId) -> io::Result<Option<Life>> {
        let text = match fs::read_to_string(root.state(id)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let refuse = |kind, why: String| io::Error::new(kind, format!("{}: {why}", root.state(id).display()));
        let life: Life = serde_json::from_str(&text)
            .map_err(|error| refuse(io::ErrorKind::InvalidData, error.to_string()))?;
        if life.schema > SCHEMA_VERSION {
            let why = format!("schema {} is newer than {SCHEMA_VERSION}", life.schema);
            return Err(refuse(io::ErrorKind::Unsupported, why));
        }
        Ok(Some(life))
    }

    /// What is known of a container whose life a power failure left unreadable: it is of another boot, and has ended.
    pub fn lost(name: Option<String>) -> Life {
        Life {
            schema: SCHEMA_VERSION,
            boot: String::new(),
            name,
            generation: 0,
            sequence: 2,
            state: State::Stopped,
            process: None,
            exit_code: None,
            started_at: None,
            finished_at: None,
            restart_count: 0,
        }
    }

    /// Writes the life in one step: readers see the old one or this one. It outlasts a power failure if `durable`.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, root: &Root, id: ContainerId, durability: Durability) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let draft = root.state_draft(id);
        let written = write_file(&draft, &text, durability).and_then(|()| fs::rename(&draft, root.state(id)));
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        match written {
            Err(error) if is_full(&error) => {
                overwrite(&root.state(id), text, durability).map_err(|_| error)?
            }
            outcome => outcome?,
        }
        match durability {
            Durability::Disk => File::open(root.states())?.sync_all(),
            Durability::Boot => Ok(()),
        }
    }

    /// Enters a state in the same generation.
    pub fn enter(&mut self, state: State) {
        self.state = state;
        self.sequence = self.sequence.saturating_add(1);
        if !matches!(state, State::Running | State::Paused) {
            self.process = None;
        }
    }

    /// Begins a generation with a process.
    pub fn run(&mut self, process: Process) {
        self.begin_generation();
        self.process = Some(process);
        self.enter(State::Running);
    }

    /// Begins a generation that has ended already: the process could not be started.
    pub fn fail_to_run(&mut self, exit_code: i32) {
        self.begin_generation();
        self.end(State::Stopped, Some(exit_code));
    }

    /// Records the end of the process. The state is stopped or restarting.
    pub fn end(&mut self, state: State, exit_code: Option<i32>) {
        self.exit_code = exit_code;
        self.finished_at = Some(Moment::now().to_rfc3339());
        self.enter(state);
    }

    /// What the kernel is told of this life.
    pub fn report(&self) -> Report {
        Report {
            generation: self.generation,
            sequence: self.sequence,
            state: self.state,
            exit_code: self.exit_code,
        }
    }

    /// Whether a process runs, is frozen or will be started again.
    pub fn has_process(&self) -> bool {
        matches!(self.state, State::Running | State::Paused | State::Restarting)
    }

    fn begin_generation(&mut self) {
        self.generation = self.generation.saturating_add(1);
        self.sequence = 0;
        self.exit_code = None;
        self.started_at = Some(Moment::now().to_rfc3339());
    }
}

/// Whether a write outlasts a power failure. After one nothing runs, so that only what is true then needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It reaches the disk before the write returns.
    Disk,
    /// It reaches every process of this boot.
    Boot,
}

/// The id of this boot.
///
/// # Errors
/// /proc is not mounted.
pub fn current_boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Writes a new file whole, in place of whatever is there.
pub(crate) fn write_file(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    match durability {
        Durability::Disk => file.sync_data(),
        Durability::Boot => Ok(()),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Writes over a file that exists, in the room that it has: for a full disk. A reader may see it half-written for a
/// moment, and so may everybody after a power failure: better than to lose what happened.
fn overwrite(path: &Path, mut content: Vec<u8>, durability: Durability) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    let before = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if before > ROOM_BYTES || content.len() > ROOM_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Spaces after the value mean nothing: one write replaces the old content, and the length is right at once.
    content.resize(content.len().max(before), b' ');
    file.write_all_at(&content, 0)?;
    match durability {
        Durability::Disk => file.sync_data(),
        Durability::Boot => Ok(()),
    }
}

/// States by their names, as inspect has them.
mod state_name {
    use selur_protocol::State;
    use serde::de::{Deserialize, Deserializer, Error};

    pub(super) fn serialize<S: serde::Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(state.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<State, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        State::ALL
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| D::Error::custom(format!("{name:?} is no state")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        for path in root.directories() {
            fs::create_dir(path).unwrap();
        }
        (directory, root)
    }

    #[test]
    fn a_life_is_read_as_it_was_written() {
        let (_directory, root) = root();
        let id = ContainerId::from_bytes([3; 16]);
        assert_eq!(Life::read(&root, id).unwrap(), None);
        let mut life = Life::created(Some("web".into())).unwrap();
        life.run(Process::own().unwrap());
        life.end(State::Stopped, Some(137));
        for durability in [Durability::Boot, Durability::Disk] {
            life.write(&root, id, durability).unwrap();
            assert_eq!(Life::read(&root, id).unwrap().as_ref(), Some(&life));
        }
        assert_eq!(life.report().generation, 1);
        assert_eq!(life.report().sequence, 2);
    }

    #[test]
    fn a_life_is_written_in_the_room_that_it_has_when_there_is_no_other() {
        let (_directory, root) = root();
        let id = ContainerId::from_bytes([3; 16]);
        let mut life = Life::created(None).unwrap();
        life.write(&root, id, Durability::Boot).unwrap();
        let path = root.state(id);
        for _ in 0..2 {
            // Longer, then shorter.
            life.name = match life.name {
                None => Some("x".repeat(500)),
                Some(_) => None,
            };
            overwrite(&path, serde_json::to_vec(&life).unwrap(), Durability::Disk).unwrap();
            assert_eq!(Life::read(&root, id).unwrap().as_ref(), Some(&life));
        }
        overwrite(&path, vec![b'x'; ROOM_BYTES + 1], Durability::Disk).unwrap_err();
        assert_eq!(Life::read(&root, id).unwrap(), Some(life));
    }

    #[test]
    fn a_life_of_a_newer_schema_is_refused() {
        let (_directory, root) = root();
        let id = ContainerId::from_bytes([3; 16]);
        let mut life = Life::created(None).unwrap();
        life.schema = SCHEMA_VERSION + 1;
        life.write(&root, id, Durability::Boot).unwrap();
        let error = Life::read(&root, id).unwrap_err();
        assert!(error.to_string().contains("newer"), "{error}");
    }
}
