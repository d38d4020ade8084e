//! The log of events: what happened to containers, images and volumes, written by every process that works on a state
//! root, in one order for all who read it.
//!
//! It is a file of lines of JSON that is only ever appended to, `events`. An event is one write to a file that was
//! opened for appending: the kernel chooses where it goes and puts it there under the file's own lock, so that two
//! writers never mix their lines, and all readers see one order. Nobody holds a lock of selur's meanwhile, so that a
//! process that is stopped in the middle blocks nobody.
//!
//! **Order within a container.** Whoever changes a container's life writes the event after it has recorded the life,
//! and before it lets go of what makes it the only one to do so: the shim writes one after the other, being a process of
//! one thread; a bridge writes under the container's lock while no shim lives; a new shim, and a deletion, wait for the
//! end of the last one. So two events of a container are never written at once, and they stand in the order of the
//! changes. One is missing only if its writer was killed between the record and the event.
//!
//! **Damage.** A disk that is full in the middle of a write leaves half a line. Each event begins with a line feed of its
//! own, so that it never continues such a half; readers skip what is no event.
//!
//! **Size.** Beyond [`RETAINED_BYTES`] the head of the file is given back to the file system as a hole. Offsets stay
//! what they are, and a reader that is overtaken finds zeros there.

use crate::{Life, Moment, Root};
use rustix::fs::{FallocateFlags, fallocate};
use schemars::JsonSchema;
use selur_protocol::ContainerId;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};

/// So much of the log is kept at least, in bytes.
pub const RETAINED_BYTES: u64 = 16 << 20;
/// The head is given back in pieces of this size, in bytes.
const HOLE_BYTES: u64 = 1 << 20;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Event {
    /// When, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// What.
    pub kind: EventKind,
    /// The container's id, the image's reference or the volume's name.
    pub subject: String,
    /// The container's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The container's generation: it grows with every start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// `ended` and `restarting`: how the process ended, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A container was made.
    Created,
    /// Its process runs.
    Started,
    /// It was frozen.
    Paused,
    /// It was thawed.
    Resumed,
    /// Its process has ended, and will be started again.
    Restarting,
    /// Its process has ended for good.
    Ended,
    /// The container was removed.
    Deleted,
    /// An image was fetched.
    ImagePulled,
    /// An image was taken in from a file.
    ImageLoaded,
    /// An image got another name.
    ImageTagged,
    /// An image was sent to a registry.
    ImagePushed,
    /// An image was removed.
    ImageDeleted,
    /// A volume was made.
    VolumeCreated,
    /// A volume was removed.
    VolumeDeleted,
}

impl Event {
    /// An event of this moment.
    pub fn now(kind: EventKind, subject: impl Into<String>) -> Event {
        Event {
            time_ns: Moment::now().as_nanoseconds(),
            kind,
            subject: subject.into(),
            name: None,
            generation: None,
            exit_code: None,
        }
    }

    /// An event of this moment in a container's life.
    pub fn of(kind: EventKind, id: ContainerId, life: &Life) -> Event {
        let ends = matches!(kind, EventKind::Ended | EventKind::Restarting);
        Event {
            name: life.name.clone(),
            generation: Some(life.generation),
            exit_code: life.exit_code.filter(|_| ends),
            ..Event::now(kind, id.to_string())
        }
    }

    /// Reads a line of the log; nothing if it is no event.
    pub fn from_line(line: &[u8]) -> Option<Event> {
        // Most of what is no event is an empty line.
        let is_object = line.first() == Some(&b'{');
        is_object.then(|| serde_json::from_slice(line).ok()).flatten()
    }
}

/// Writes an event.
///
/// # Errors
/// The file system's.
pub fn append(root: &Root, event: &Event) -> io::Result<()> {
    let mut line = b"\n".to_vec();
    serde_json::to_writer(&mut line, event)?;
    line.push(b'\n');
    let mut file = File::options().create(true).append(true).open(root.events())?;
    let written = file.write(&line)?;
    if written < line.len() {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let bytes = file.metadata()?.len();
    let before = bytes.saturating_sub(line.len() as u64);
    if before / HOLE_BYTES != bytes / HOLE_BYTES {
        give_back(&file, bytes);
    }
    Ok(())
}

/// Makes a hole of what is older than what is kept. Where the file system makes none, the log grows.
fn give_back(file: &File, bytes: u64) {
    let surplus = bytes.saturating_sub(RETAINED_BYTES) / HOLE_BYTES * HOLE_BYTES;
    if surplus > 0 {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(file, flags, 0, surplus);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    fn read(root: &Root) -> Vec<Event> {
        let text = std::fs::read(root.events()).unwrap();
        text.split(|byte| *byte == b'\n')
            .filter_map(Event::from_line)
            .collect()
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let id = ContainerId::from_bytes([7; 16]);
        let mut life = Life::created(Some("web".into())).unwrap();
        let created = Event::of(EventKind::Created, id, &life);
        life.fail_to_run(127);
        let ended = Event::of(EventKind::Ended, id, &life);
        assert_eq!((ended.generation, ended.exit_code), (Some(1), Some(127)));
        for event in [&created, &ended] {
            append(&root, event).unwrap();
        }
        assert_eq!(read(&root), [created, ended]);
    }

    #[test]
    fn half_an_event_takes_nothing_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let event = Event::now(EventKind::VolumeCreated, "data");
        append(&root, &event).unwrap();
        let mut file = File::options().append(true).open(root.events()).unwrap();
        file.write_all(b"\n{\"time_ns\":1,\"ki").unwrap();
        append(&root, &event).unwrap();
        assert_eq!(read(&root), [event.clone(), event]);
    }

    #[test]
    fn writers_in_many_threads_never_mix_their_lines() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let root = &root;
                scope.spawn(move || {
                    for generation in 0..500 {
                        let mut event = Event::now(EventKind::Started, writer.to_string());
                        event.generation = Some(generation);
                        append(root, &event).unwrap();
                    }
                });
            }
        });
        let events = read(&root);
        assert_eq!(events.len(), 2000);
        for writer in 0..4 {
            let own = events.iter().filter(|event| event.subject == writer.to_string());
            assert!(own.map(|event| event.generation).eq((0..500).map(Some)));
        }
    }

    #[test]
    fn the_head_is_given_back_and_offsets_stay() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        let mut options = File::options();
        let file = options
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(root.events())
            .unwrap();
        let filler = vec![b'x'; HOLE_BYTES as usize];
        let pieces = RETAINED_BYTES / HOLE_BYTES + 4;
        for piece in 0..pieces {
            file.write_all_at(&filler, piece * HOLE_BYTES).unwrap();
        }
        let before = file.metadata().unwrap();
        file.set_len(before.len() - 5).unwrap();
        append(&root, &Event::now(EventKind::ImagePulled, "busybox")).unwrap();
        let after = file.metadata().unwrap();
        assert!(after.len() > before.len());
        assert!(
            after.blocks() * 512 <= RETAINED_BYTES + 2 * HOLE_BYTES,
            "{}",
            after.blocks()
        );
        let mut head = [1; 16];
        file.read_exact_at(&mut head, 0).unwrap();
        assert_eq!(head, [0; 16]);
        assert_eq!(read(&root).len(), 1);
    }
}
