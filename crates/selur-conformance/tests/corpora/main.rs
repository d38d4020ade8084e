//! The corpora of the fuzz targets, replayed without nightly: what the fuzzers reached, and whatever they ever found.
//!
//! The targets are the very files that libFuzzer runs (`fuzz/src`).
#![allow(unreachable_pub, reason = "the files are part of another crate, too")]
#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_map_or,
    reason = "the kernel's model is written for Rust 1.63, and panics where it is wrong"
)]

#[path = "../../../../fuzz/src/bytes.rs"]
mod bytes;
#[path = "../../../../fuzz/src/frames.rs"]
mod frames;
#[path = "../../../../fuzz/src/images.rs"]
mod images;
#[path = "../../../../fuzz/src/kernel.rs"]
mod kernel;
#[path = "../../../../fuzz/src/layers.rs"]
mod layers;
#[path = "../../../../fuzz/src/lying_guest.rs"]
mod lying_guest;
#[path = "../../../../fuzz/src/shim.rs"]
mod shim;
#[path = "../../../../fuzz/src/specs.rs"]
mod specs;
#[path = "../../../../fuzz/src/tars.rs"]
mod tars;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A target, what it does with its bytes, and how many inputs its folders hold at least.
type Target = (&'static str, fn(&[u8]), usize);

const TARGETS: [Target; 7] = [
    ("frames", frames::run, 864),
    ("images", images::run, 12),
    ("kernel", kernel::run, 624),
    ("layers", layers::run, 60),
    ("lying_guest", lying_guest::run, 60),
    ("shim", shim::run, 34),
    ("specs", specs::run, 117),
];

#[test]
fn frames_are_read_or_refused() {
    replay("frames");
}

#[test]
fn images_are_read_or_refused() {
    replay("images");
}

#[test]
fn the_kernel_agrees_with_its_model() {
    replay("kernel");
}

#[test]
fn layers_stay_in_their_directory() {
    replay("layers");
}

#[test]
fn a_lying_guest_gives_errors() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    // A panic on a thread of the bridge's would pass unseen.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    replay("lying_guest");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a panic in this process");
}

#[test]
fn the_shim_obeys_what_is_well_formed() {
    replay("shim");
}

#[test]
fn specifications_are_read_or_refused() {
    replay("specs");
}

#[test]
fn every_folder_belongs_to_a_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    for folder in ["corpus", "regressions"] {
        let names = paths(&fuzz().join(folder)).into_iter();
        let names: BTreeSet<String> = names.map(|path| name(&path)).collect();
        assert_eq!(names, targets, "fuzz/{folder}");
    }
    let sources = paths(&fuzz().join("targets")).into_iter();
    let sources: BTreeSet<String> = sources.map(|path| name(&path).replace(".rs", "")).collect();
    assert_eq!(sources, targets, "fuzz/targets");
}

/// Runs everything in the two folders of a target.
fn replay(target: &str) {
    let (_, run, least) = TARGETS
        .iter()
        .find(|(name, ..)| *name == target)
        .expect("it is in the table");
    let mut count = 0;
    for folder in ["corpus", "regressions"] {
        let inputs = paths(&fuzz().join(folder).join(target));
        assert!(!inputs.is_empty(), "fuzz/{folder}/{target} is empty");
        for input in inputs {
            let bytes = fs::read(&input).expect("an input");
            let ran = std::panic::catch_unwind(|| run(&bytes));
            assert!(ran.is_ok(), "{} is a find: see above", input.display());
            count += 1;
        }
    }
    assert!(count >= *least, "{count} inputs, of at least {least}");
    println!("{target}: {count} inputs");
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}
