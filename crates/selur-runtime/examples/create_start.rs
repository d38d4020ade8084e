//! How long create + start take, beside `runc run` of the same bundle, both of /bin/true.
//!
//! `cargo run --release -p selur-runtime --example create_start`, as root. It makes a state root of its own, with an
//! image of busybox, and removes it.

use selur_protocol::ContainerId;
use selur_runtime::{ContainerSpec, Effect, Oci, OciOptions, Operation, Runtime, ShimLocation};
use selur_testkit::ImageBuilder;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: u8 = 20;
const IMAGE: &str = "docker.io/library/busybox:latest";
/// The bar of the project's first slice.
const MOST: f64 = 1.5;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    // This program is its own shim, so that nothing else must be built first.
    if std::env::args().nth(1).as_deref() == Some("shim") {
        return selur_shim::main(std::env::args_os().skip(2));
    }
    match measure() {
        Ok(ratio) if ratio <= MOST => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Outcome<f64> {
    let directory = tempfile::tempdir()?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let oci = Oci::open(OciOptions {
        state_root: Some(directory.path().join("root")),
        shim: ShimLocation::Command {
            program: std::env::current_exe()?,
            arguments: vec!["shim".into()],
        },
        runc: None,
    })?;
    let layout = directory.path().join("layout");
    ImageBuilder::busybox().cmd(["/bin/true"]).write_layout(&layout);
    let images = oci.images().ok_or("no image store")?;
    tokio.block_on(images.load(&layout, Some(IMAGE)))?;

    let first = id(0);
    tokio.block_on(create_and_start(&oci, first))?;
    let bundle = directory.path().join("bundle");
    copy_bundle(oci.state_root(), first, &layout_layer(oci.state_root())?, &bundle)?;
    tokio.block_on(perform(&oci, first, Operation::Delete { force: true }))?;

    let (mut creates, mut starts, mut both, mut runs, mut deletes) = (vec![], vec![], vec![], vec![], vec![]);
    for round in 1..=ROUNDS {
        let (create, start) = tokio.block_on(create_and_start(&oci, id(round)))?;
        creates.push(create);
        starts.push(start);
        both.push(create + start);
        let begin = Instant::now();
        tokio.block_on(perform(&oci, id(round), Operation::Delete { force: true }))?;
        deletes.push(begin.elapsed());

        let begin = Instant::now();
        runc_run(oci.runc(), &directory.path().join("runc"), &bundle)?;
        runs.push(begin.elapsed());
    }
    let (ours, runc) = (median(both), median(runs));
    let ratio = ours.as_secs_f64() / runc.as_secs_f64();
    println!("medians of {ROUNDS}, in one run:");
    println!("  create          {:>8.1?}", median(creates));
    println!("  start           {:>8.1?}", median(starts));
    println!("  create + start  {ours:>8.1?}");
    println!("  runc run        {runc:>8.1?}");
    println!("  delete --force  {:>8.1?}", median(deletes));
    println!("  (create + start) / runc run = {ratio:.2}, at most {MOST}");
    Ok(ratio)
}

async fn create_and_start(oci: &Oci, id: ContainerId) -> Outcome<(Duration, Duration)> {
    let begin = Instant::now();
    let create = Operation::Create {
        image: IMAGE.into(),
        name: Some(format!("bench-{}", id.as_bytes()[15])),
        spec: Box::new(ContainerSpec::default()),
    };
    perform(oci, id, create).await?;
    let created = begin.elapsed();
    perform(oci, id, Operation::Start).await?;
    Ok((created, begin.elapsed() - created))
}

async fn perform(oci: &Oci, container: ContainerId, operation: Operation) -> Outcome<()> {
    let effect = Effect { container, operation };
    oci.perform(effect, Default::default()).await?;
    Ok(())
}

/// The container's own configuration, over a plain copy of its root file system.
fn copy_bundle(root: &Path, id: ContainerId, layer: &Path, bundle: &Path) -> Outcome<()> {
    std::fs::create_dir(bundle)?;
    let copied = Command::new("cp")
        .arg("-a")
        .arg(layer)
        .arg(bundle.join("rootfs"))
        .status()?;
    if !copied.success() {
        return Err("cannot copy the image".into());
    }
    let home = selur_shim::Root::new(root).home(id);
    let etc = bundle.join("etc");
    Command::new("cp").arg("-a").arg(home.etc()).arg(&etc).status()?;
    let text = std::fs::read_to_string(home.bundle_config())?;
    let text = text.replace(&home.path().display().to_string(), &bundle.display().to_string());
    std::fs::write(
        bundle.join("config.json"),
        text.replace(&id.to_string(), "bench-runc"),
    )?;
    Ok(())
}

/// The one layer of the image.
fn layout_layer(root: &Path) -> Outcome<std::path::PathBuf> {
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

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
