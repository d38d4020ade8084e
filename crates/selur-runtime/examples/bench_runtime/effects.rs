//! create + start beside `runc run` of an equal bundle.

use crate::report::{Bar, Row};
use crate::{IMAGE, Outcome, ROUNDS, median, timed};
use selur_protocol::ContainerId;
use selur_runtime::{ContainerSpec, Effect, Oci, OciOptions, Operation, Runtime, ShimLocation};
use selur_testkit::ImageBuilder;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MOST: f64 = 1.5;

pub(crate) fn measure(directory: &Path) -> Outcome<Vec<Row>> {
    std::fs::create_dir_all(directory)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let oci = Oci::open(OciOptions {
        state_root: Some(directory.join("root")),
        shim: ShimLocation::Command {
            program: std::env::current_exe()?,
            arguments: vec!["shim".into()],
        },
        runc: None,
    })?;
    let layout = directory.join("layout");
    ImageBuilder::busybox().cmd(["/bin/true"]).write_layout(&layout);
    let images = oci.images().ok_or("no image store")?;
    tokio.block_on(images.load(&layout, Some(IMAGE)))?;
    let perform = |id, operation| {
        timed(|| {
            let effect = Effect {
                container: id,
                operation,
            };
            tokio.block_on(oci.perform(effect, Default::default()))?;
            Ok(())
        })
        .map(|(time, ())| time)
    };

    let first = id(0);
    perform(first, creation(first))?;
    perform(first, Operation::Start)?;
    let bundle = directory.join("bundle");
    copy_bundle(oci.state_root(), first, &layout_layer(oci.state_root())?, &bundle)?;
    perform(first, Operation::Delete { force: true })?;

    let (mut creates, mut starts, mut both, mut deletes) = (vec![], vec![], vec![], vec![]);
    let (mut lives, mut runs) = (vec![], vec![]);
    for round in 1..=ROUNDS {
        let id = id(round);
        let create = perform(id, creation(id))?;
        let start = perform(id, Operation::Start)?;
        creates.push(create);
        starts.push(start);
        both.push(create + start);
        let delete = perform(id, Operation::Delete { force: true })?;
        deletes.push(delete);
        lives.push(create + start + delete);
        let (run, ()) = timed(|| runc_run(oci.runc(), &directory.join("runc"), &bundle))?;
        runs.push(run);
    }
    let run = median(runs);
    Ok(vec![
        Row::plain("create", median(creates)),
        Row::plain("start", median(starts)),
        Row {
            what: "create + start",
            median: median(both),
            bar: Some(Bar {
                beside: "runc run",
                other: run,
                most: Some(MOST),
            }),
        },
        Row::plain("delete --force", median(deletes)),
        Row {
            what: "create + start + delete",
            median: median(lives),
            bar: Some(Bar {
                beside: "runc run, which deletes",
                other: run,
                most: None,
            }),
        },
    ])
}

fn creation(id: ContainerId) -> Operation {
    Operation::Create {
        image: IMAGE.into(),
        name: Some(format!("bench-{}", id.as_bytes()[15])),
        spec: Box::new(ContainerSpec::default()),
    }
}

/// The container's own configuration, over a plain copy of its root file system.
fn copy_bundle(root: &Path, id: ContainerId, layer: &Path, bundle: &Path) -> Outcome<()> {
    std::fs::create_dir(bundle)?;
    let home = selur_shim::Root::new(root).home(id);
    for (from, to) in [(layer, bundle.join("rootfs")), (&home.etc(), bundle.join("etc"))] {
        let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
        if !copied.success() {
            return Err(format!("cannot copy {}", from.display()).into());
        }
    }
    let text = std::fs::read_to_string(home.bundle_config())?;
    let text = text.replace(&home.path().display().to_string(), &bundle.display().to_string());
    std::fs::write(
        bundle.join("config.json"),
        text.replace(&id.to_string(), "bench-runc"),
    )?;
    Ok(())
}

/// The one layer of the image.
fn layout_layer(root: &Path) -> Outcome<PathBuf> {
    let layers = std::fs::read_dir(root.join("images/layers"))?;
    let directories = layers
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bin").is_dir());
    directories.last().ok_or_else(|| "the image has no layer".into())
}

fn runc_run(runc: &Path, root: &Path, bundle: &Path) -> Outcome<()> {
    let mut command = Command::new(runc);
    command
        .arg("--root")
        .arg(root)
        .args(["run", "--bundle"])
        .arg(bundle)
        .arg("bench-runc");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("runc run: {status}").into())
    }
}

fn id(number: u8) -> ContainerId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
    bytes[15] = number;
    ContainerId::from_bytes(bytes)
}
