//! `selur run --rm` beside `podman run --rm`.

use crate::report::{Bar, Row};
use crate::{IMAGE, Outcome, ROUNDS, median, timed};
use rustix::mount::UnmountFlags;
use selur_testkit::{ImageBuilder, layout_tar};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The time of the one, as a part of the other's.
const MOST: f64 = 1.0 / 5.0;
const WARM_UP: u8 = 2;

pub(crate) fn measure(directory: &Path, selur: &Path) -> Outcome<Vec<Row>> {
    std::fs::create_dir_all(directory)?;
    let layout = directory.join("layout");
    ImageBuilder::busybox().cmd(["/bin/true"]).write_layout(&layout);
    let archive = directory.join("image.tar");
    std::fs::write(&archive, layout_tar(&layout))?;

    let root = directory.join("selur");
    let ours = |words: &[&str]| {
        let mut command = Command::new(selur);
        command.arg("--root").arg(&root).args(words);
        run(command)
    };
    let podman = |words: &[&str]| {
        let mut command = Command::new("podman");
        for (option, name) in [("--root", "store"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(directory.join("podman").join(name));
        }
        command.args(["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]);
        command.args(words);
        run(command)
    };
    let archive = archive.to_str().ok_or("a path that is no UTF-8")?;
    let _unmounted = Unmounted(directory.join("podman/store/overlay"));
    ours(&["load", archive, IMAGE])?;
    podman(&["load", "--quiet", "--input", archive])?;
    let theirs = podman(&["images", "--quiet", "--no-trunc"])?;
    let theirs = theirs.trim();

    // Its own limits, which it raises, need a capability that not every root has.
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
    let their_run = |network: &[&str]| podman(&[&["run", "--rm"], &limits[..], network, &[theirs]].concat());
    let (mut our_times, mut their_times, mut bare_times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let (our_time, _) = timed(|| ours(&["run", "--rm", IMAGE]))?;
        let (their_time, _) = timed(|| their_run(&[]))?;
        let (bare_time, _) = timed(|| their_run(&["--network", "none"]))?;
        if round >= WARM_UP {
            our_times.push(our_time);
            their_times.push(their_time);
            bare_times.push(bare_time);
        }
    }
    let our_time = median(our_times);
    let beside = |beside, times, most| Row {
        what: "selur run --rm",
        median: our_time,
        bar: Some(Bar {
            beside,
            other: median(times),
            most,
        }),
    };
    Ok(vec![
        beside("podman run --rm", their_times, Some(MOST)),
        beside("podman run --rm --network none", bare_times, None),
    ])
}

/// Where podman leaves a mount of its storage upon itself, which would keep the directory from being removed.
struct Unmounted(PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        // Without podman there is none.
        let _ = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Runs a program to its end; what it wrote.
pub(crate) fn run(mut command: Command) -> Outcome<String> {
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr).into_owned();
        return Err(format!("{command:?}: {}: {words}", ended.status).into());
    }
    Ok(String::from_utf8(ended.stdout)?)
}
