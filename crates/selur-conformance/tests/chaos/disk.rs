//! A disk that is full: of blocks, or of files. It is a small tmpfs in a mount namespace of the test's own thread, gone
//! with it.

use crate::evidence::Checked;
use crate::world::{DEADLINE, World, creation, ids, list, new_id, perform, shell};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use selur_protocol::{ContainerId, Status};
use selur_runtime::{Observation, Oci, Operation, RuntimeError};
use selur_testkit::wait_until;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Stopping takes no longer for want of room.
const SOON: Duration = Duration::from_secs(20);

/// Runs a test in a thread with mounts of its own, which its shims inherit.
fn with_own_mounts(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        // SAFETY: this thread shares no file system state that others rely on; descriptors stay shared.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.expect("a namespace");
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).expect("mounts of its own");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// What fills the disk, beside the state root on it.
struct Filler {
    directory: PathBuf,
}

impl Filler {
    /// Takes every block that is left, but no file.
    fn of_blocks(disk: &Path) -> Filler {
        let filler = Filler::new(disk);
        let mut file = File::create(filler.directory.join("blocks")).expect("room for a file");
        // The last pages one by one.
        for size in [1 << 20, 1 << 12] {
            while file.write_all(&vec![b'x'; size]).is_ok() {}
        }
        filler
    }

    /// Takes every file that is left.
    fn of_files(disk: &Path) -> Filler {
        let filler = Filler::new(disk);
        let mut number = 0;
        while File::create(filler.directory.join(number.to_string())).is_ok() {
            number += 1;
        }
        filler
    }

    fn new(disk: &Path) -> Filler {
        let directory = disk.join("filler");
        fs::create_dir(&directory).expect("room for a directory");
        Filler { directory }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn on_a_disk_without_room_containers_stop_and_are_deleted_and_nothing_is_lost() {
    with_own_mounts(|| survive("size=24m,mode=700", Filler::of_blocks));
}

#[test]
fn on_a_disk_without_files_containers_stop_and_are_deleted_and_nothing_is_lost() {
    with_own_mounts(|| survive("size=64m,nr_inodes=700,mode=700", Filler::of_files));
}

fn survive(options: &'static str, fill: fn(&Path) -> Filler) {
    let world = World::prepared(|root| {
        fs::create_dir(root).expect("a directory");
        let options = CString::new(options).expect("options");
        let flags = MountFlags::empty();
        rustix::mount::mount("selur-chaos", root, "tmpfs", flags, options.as_c_str()).expect("a disk");
    });
    let oci = world.open();
    let talks = run(&oci, "while :; do echo said; sleep 0.02; done");
    let stopped = run(&oci, "sleep 1000 & sleep 1000");
    let frozen = run(&oci, "sleep 1000");
    perform(&oci, frozen, Operation::Pause).expect("paused");
    let ended = run(&oci, "exit 7");
    let made = create(&oci, "made", "sleep 1000").expect("created");
    wait_until("a container ends", DEADLINE, || state(&oci, ended) == "stopped");

    let filler = fill(&world.path());
    refused(create(&oci, "late", "true"));
    let pulled = {
        let images = selur_runtime::Runtime::images(&oci).expect("a store");
        let reference = format!("{}/noise-1:latest", world.registry.address());
        crate::world::block_on(images.pull(&reference, &|_| {}, Default::default())).map(drop)
    };
    refused(pulled);
    refused(perform(&oci, made, Operation::Start).map(drop));
    assert_eq!(state(&oci, made), "created");
    // Another process, which mends what it finds, finds no room either.
    drop(world.open());
    assert_eq!(list(&oci).len(), 5);
    assert_eq!(state(&oci, talks), "running");
    assert_eq!(state(&oci, frozen), "paused");

    let begun = Instant::now();
    let timeout = Some(Duration::ZERO);
    let report = perform(&oci, stopped, Operation::Stop { timeout })
        .expect("stopped")
        .report;
    assert_eq!(report.and_then(|report| report.exit_code), Some(137));
    assert_eq!(state(&oci, stopped), "stopped");
    assert_eq!(state(&world.open(), stopped), "stopped");
    for id in [stopped, frozen, made, ended] {
        if let Err(error) = perform(&oci, id, Operation::Delete { force: true }) {
            panic!("{id} cannot be deleted: {}", error.chain());
        }
    }
    assert!(
        begun.elapsed() < SOON,
        "without room it took {:?}",
        begun.elapsed()
    );
    assert_eq!(ids(&oci), [talks]);

    drop(filler);
    let bytes = log_bytes(&world, talks);
    wait_until("the log goes on", DEADLINE, || log_bytes(&world, talks) > bytes);
    let late = create(&oci, "late", "exit 3").expect("there is room again");
    perform(&oci, late, Operation::Start).expect("started");
    wait_until("it ends", DEADLINE, || state(&oci, late) == "stopped");
    let mut checked = Checked::default();
    checked.truth(&world, &oci);
    checked.clean_up(&world, oci);
    println!("a full disk of {options}: {}", checked.told());
    let _ = rustix::mount::unmount(world.path(), UnmountFlags::DETACH);
}

fn refused(outcome: Result<impl Sized, RuntimeError>) {
    let Err(error) = outcome else {
        panic!("there is no room, and it succeeds");
    };
    assert_eq!(error.status(), Status::ResourceExhausted, "{}", error.chain());
    let words = error.chain().to_lowercase();
    assert!(
        words.contains("no space left") || words.contains("full"),
        "{words}"
    );
}

fn create(oci: &Oci, name: &str, script: &str) -> Result<ContainerId, RuntimeError> {
    let id = new_id();
    perform(oci, id, creation(Some(name.to_owned()), shell(script))).map(|_| id)
}

fn run(oci: &Oci, script: &str) -> ContainerId {
    let id = new_id();
    perform(oci, id, creation(None, shell(script))).expect("created");
    perform(oci, id, Operation::Start).expect("started");
    id
}

fn state(oci: &Oci, id: ContainerId) -> String {
    let mut states = list(oci).into_iter().filter_map(|seen| match seen {
        Observation::Seen {
            id: other, report, ..
        } if other == id => Some(report.state.name().to_owned()),
        _ => None,
    });
    states.next().unwrap_or_default()
}

fn log_bytes(world: &World, id: ContainerId) -> u64 {
    let logs = fs::read_dir(world.root().home(id).logs())
        .into_iter()
        .flatten()
        .flatten();
    logs.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}
