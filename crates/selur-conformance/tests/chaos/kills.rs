//! SIGKILL at any moment, of callers and of shims.

use crate::caller::{OWN_SEED, TASK};
use crate::evidence::{Checked, shims};
use crate::script::{Phase, prepare};
use crate::world::{DEADLINE, Process, Random, World, ids};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::process::{Signal, pidfd_send_signal};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

const CALLER_KILLS: usize = 200;
const SHIM_KILLS: usize = 50;
/// After so many kills everything is looked at and cleaned up.
const BATCH: usize = 20;
/// What the callers are killed in: the phases that the guarantee names, and one more.
const PHASES: [Phase; 7] = Phase::ALL;

/// When something is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After this time.
    After(Duration),
    /// When so many files of the root have changed.
    Change(u64),
}

/// How long an operation takes, and how many changes of files the root sees in it, as measured so far.
#[derive(Debug)]
struct Course {
    lasts: Duration,
    changes: u64,
}

/// Sees every change of a file below the root.
struct Changes {
    inotify: OwnedFd,
}

impl Changes {
    fn of(root: &Path) -> Changes {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
        let changes = Changes { inotify };
        changes.watch(root);
        changes
    }

    fn watch(&self, directory: &Path) {
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ONLYDIR;
        // One that is gone meanwhile is none.
        if inotify::add_watch(&self.inotify, directory, flags).is_err() {
            return;
        }
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // What layers and containers are made of is neither looked at nor changed by name.
            let name = entry.file_name();
            let is_content = ["upper", "rootfs", "work", "noise", "bin"]
                .iter()
                .any(|other| name == *other);
            if is_directory && !is_content {
                self.watch(&entry.path());
            }
        }
    }

    /// How many there were since it was last asked.
    fn count(&self, root: &Path) -> u64 {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut count = 0;
        let mut has_new = false;
        while let Ok(event) = reader.next() {
            count += 1;
            has_new |= event.events().contains(ReadFlags::CREATE | ReadFlags::ISDIR);
        }
        if has_new {
            self.watch(&root.join("containers"));
            self.watch(&root.join("images/ingest"));
        }
        count
    }
}

impl Course {
    fn unknown() -> Course {
        Course {
            lasts: Duration::from_millis(60),
            changes: 12,
        }
    }

    fn moment(&self, random: &mut Random) -> Moment {
        if random.one_in(2) {
            // A little longer than it lasts, for what comes after the answer.
            Moment::After(random.moment_within(self.lasts * 5 / 4))
        } else {
            Moment::Change(1 + random.below(self.changes + 2))
        }
    }
}

#[test]
fn two_hundred_killed_callers_leave_true_states_and_nothing_else() {
    let mut random = Random::seeded("killed callers");
    let world = World::new();
    let mut checked = Checked::default();
    let mut courses = BTreeMap::new();
    for phase in PHASES {
        courses.insert(phase, measured(&world, phase, &mut random));
    }
    let mut kills: BTreeMap<Phase, usize> = BTreeMap::new();
    let mut unprepared = 0;
    for batch in 0..CALLER_KILLS / BATCH {
        // Half of the time another process is there that sees everything, and mends at once.
        let bystander = (batch % 2 == 0).then(|| world.open());
        let mut killed = 0;
        while killed < BATCH {
            let phase = random.pick(&PHASES).expect("a phase");
            if kill_a_caller(&world, phase, &courses[&phase], &mut random) {
                *kills.entry(phase).or_default() += 1;
                killed += 1;
            } else {
                unprepared += 1;
                assert!(unprepared < CALLER_KILLS, "callers fail before they are killed");
            }
        }
        let oci = bystander.unwrap_or_else(|| world.open());
        checked.truth(&world, &oci);
        checked.clean_up(&world, oci);
        world.load_image();
    }
    println!(
        "killed callers: {kills:?}, {unprepared} failed before; {}",
        checked.told()
    );
    println!("killed callers: operations last {courses:?}");
}

/// Starts a caller, for it to perform one operation.
fn caller(world: &World, phase: Phase, random: &mut Random) -> Process {
    let environment = [
        (TASK, format!("{phase:?}")),
        (OWN_SEED, random.next().to_string()),
    ];
    world.process("caller::one_operation", &environment)
}

/// Measures an operation that nobody disturbs.
fn measured(world: &World, phase: Phase, random: &mut Random) -> Course {
    let mut course = Course::unknown();
    for _ in 0..2 {
        let mut caller = caller(world, phase, random);
        let first = caller.says();
        assert_eq!(first, "begins", "{phase:?}");
        let changes = Changes::of(&world.path());
        let begun = Instant::now();
        let end = caller.says();
        assert!(end.starts_with("ends"), "{phase:?}: {end}");
        course = Course {
            lasts: begun.elapsed(),
            changes: changes.count(&world.path()),
        };
        caller.kill();
    }
    course
}

/// Has a caller begin an operation and kills it at a random moment. False if it did not come that far.
fn kill_a_caller(world: &World, phase: Phase, course: &Course, random: &mut Random) -> bool {
    let mut caller = caller(world, phase, random);
    let moment = course.moment(random);
    let changes = Changes::of(&world.path());
    // Once in a while earlier: while it opens the root, and mends what the one before left.
    if random.one_in(8) {
        wait_for(moment, course, &changes, &world.path());
        caller.kill();
        return true;
    }
    if caller.says() != "begins" {
        return false;
    }
    changes.count(&world.path());
    wait_for(moment, course, &changes, &world.path());
    caller.kill();
    true
}

/// Waits for a moment, but never much longer than the operation lasts.
fn wait_for(moment: Moment, course: &Course, changes: &Changes, root: &Path) {
    let begun = Instant::now();
    let (until, wanted) = match moment {
        Moment::After(delay) => (delay, u64::MAX),
        Moment::Change(number) => (course.lasts * 2, number),
    };
    let mut seen = 0;
    while seen < wanted && begun.elapsed() < until {
        let rest = until.saturating_sub(begun.elapsed());
        std::thread::park_timeout(rest.min(Duration::from_micros(300)));
        if wanted < u64::MAX {
            seen += changes.count(root);
        }
    }
}

#[test]
fn fifty_killed_shims_leave_true_states_and_nothing_else() {
    let mut random = Random::seeded("killed shims");
    let world = World::new();
    let mut checked = Checked::default();
    let phases = [
        Phase::Start,
        Phase::Start,
        Phase::Exec,
        Phase::Stop,
        Phase::Delete,
        Phase::Freeze,
    ];
    let mut courses = BTreeMap::new();
    for phase in phases {
        courses.insert(phase, measured(&world, phase, &mut random));
    }
    let registry = world.registry.address().to_string();
    let mut kills: BTreeMap<Phase, usize> = BTreeMap::new();
    let (mut killed, mut missed, mut refused) = (0, 0, 0);
    while killed < SHIM_KILLS {
        let oci = world.open();
        let batch_end = killed + BATCH / 2;
        while killed < batch_end {
            let phase = random.pick(&phases).expect("a phase");
            let Ok(step) = prepare(&oci, &registry, phase, &mut random) else {
                refused += 1;
                continue;
            };
            let moment = courses[&phase].moment(&mut random);
            let begun = Instant::now();
            let working = oci.clone();
            let work = std::thread::spawn(move || step.perform(&working));
            let changes = Changes::of(&world.path());
            wait_for(moment, &courses[&phase], &changes, &world.path());
            if kill_a_shim(&world, &mut random) {
                killed += 1;
                *kills.entry(phase).or_default() += 1;
            } else {
                missed += 1;
                assert!(missed < SHIM_KILLS * 20, "there are no shims to kill");
            }
            // What the caller is told may be an error; but it is told, and soon.
            let answer = work.join().expect("an answer");
            refused += usize::from(answer.is_err());
            assert!(
                begun.elapsed() < DEADLINE,
                "{phase:?} was answered late: {answer:?}"
            );
        }
        checked.truth(&world, &oci);
        checked.clean_up(&world, oci);
        world.load_image();
    }
    println!(
        "killed shims: {kills:?}, {missed} times none was there, {refused} requests failed; {}",
        checked.told()
    );
}

/// Kills a shim, or the process of an errand, whatever it is at.
fn kill_a_shim(world: &World, random: &mut Random) -> bool {
    let containers: Vec<_> = std::fs::read_dir(world.root().locks())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| selur_protocol::ContainerId::parse(entry.file_name().to_str()?))
        .collect();
    // The newest is at work; others hold containers that nobody touches.
    let mut pids = shims(&containers);
    pids.sort_unstable();
    let chosen = match random.one_in(3) {
        true => random.pick(&pids),
        false => pids.last().copied(),
    };
    let shim = chosen.and_then(selur_shim::Process::find);
    shim.and_then(|shim| shim.open())
        .is_some_and(|shim| pidfd_send_signal(&shim, Signal::KILL).is_ok())
}

#[test]
fn a_caller_that_nobody_kills_leaves_nothing_either() {
    let world = World::new();
    let mut random = Random::seeded("callers that live");
    let mut checked = Checked::default();
    for phase in PHASES {
        measured(&world, phase, &mut random);
    }
    let oci = world.open();
    checked.truth(&world, &oci);
    assert!(!ids(&oci).is_empty());
    checked.clean_up(&world, oci);
}
