//! `selur run --rm` beside `docker run --rm` on the dockerd at `$DOCKER_HOST`.

use crate::programs::run;
use crate::report::{Bar, Row};
use crate::{IMAGE, Outcome, ROUNDS, median, timed};
use selur_testkit::{ImageBuilder, layout_tar};
use std::path::Path;
use std::process::Command;

const WARM_UP: u8 = 2;

pub(crate) fn measure(directory: &Path, selur: &Path) -> Outcome<Row> {
    std::fs::create_dir_all(directory)?;
    let layout = directory.join("layout");
    ImageBuilder::busybox().cmd(["/bin/true"]).write_layout(&layout);
    let archive = directory.join("image.tar");
    std::fs::write(&archive, layout_tar(&layout))?;
    let ours = |words: &[&str]| {
        let mut command = Command::new(selur);
        command.arg("--root").arg(directory.join("selur")).args(words);
        run(command)
    };
    ours(&["load", archive.to_str().ok_or("a path that is no UTF-8")?, IMAGE])?;
    import(directory)?;

    // It has no network, as ours has none.
    let theirs = ["run", "--rm", "--network", "none", IMAGE];
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let (our_time, _) = timed(|| ours(&["run", "--rm", IMAGE]))?;
        let (their_time, _) = timed(|| docker(&theirs))?;
        if round >= WARM_UP {
            our_times.push(our_time);
            their_times.push(their_time);
        }
    }
    Ok(Row {
        what: "selur run --rm",
        median: median(our_times),
        bar: Some(Bar {
            beside: "docker run --rm --network none",
            other: median(their_times),
            most: None,
        }),
    })
}

/// The files alone: an older dockerd reads no OCI layout.
fn import(directory: &Path) -> Outcome<()> {
    let files = directory.join("files");
    std::fs::create_dir_all(files.join("bin"))?;
    std::fs::copy("/bin/busybox", files.join("bin/true"))?;
    let archive = directory.join("files.tar");
    let mut tar = Command::new("tar");
    tar.arg("--create")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(&files)
        .arg(".");
    run(tar)?;
    let archive = archive.to_str().ok_or("a path that is no UTF-8")?;
    docker(&["import", "--change", "CMD [\"/bin/true\"]", archive, IMAGE]).map(drop)
}

fn docker(words: &[&str]) -> Outcome<String> {
    let mut command = Command::new("docker");
    command.args(words);
    run(command)
}
