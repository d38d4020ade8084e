//! How long after its writing a line of a followed log is there, while 20 containers write 1,000 lines a second each.
//!
//! `cargo run --release -p selur-runtime --example log_latency`, as root: `just bench-logs`. It makes a state root of its
//! own, and removes it. It fails if a line is lost or comes out of order, or if one comes later than the bar.

use futures_util::StreamExt;
use selur_protocol::ContainerId;
use selur_runtime::{
    ContainerSpec, Effect, LogOptions, LogStream, Oci, OciOptions, Operation, Runtime, ShimLocation,
};
use selur_testkit::ImageBuilder;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CONTAINERS: u8 = 20;
const LINES: u64 = 10_000;
const LINES_A_SECOND: u64 = 1_000;
const MOST: Duration = Duration::from_millis(50);
const IMAGE: &str = "docker.io/library/writer:latest";
const WRITER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/log_latency/writer.rs");

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    // This program is its own shim, so that nothing else must be built first.
    if std::env::args().nth(1).as_deref() == Some("shim") {
        return selur_shim::main(std::env::args_os().skip(2));
    }
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Outcome<bool> {
    let directory = tempfile::tempdir()?;
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let oci = Oci::open(OciOptions {
        state_root: Some(directory.path().join("root")),
        shim: ShimLocation::Command {
            program: std::env::current_exe()?,
            arguments: vec!["shim".into()],
        },
        runc: None,
    })?;
    let layout = directory.path().join("layout");
    let writer = compile(&directory.path().join("writer"))?;
    ImageBuilder::empty()
        .files([("writer", writer.as_slice())])
        .write_layout(&layout);
    let images = oci.images().ok_or("no image store")?;
    tokio.block_on(images.load(&layout, Some(IMAGE)))?;
    let results = tokio.block_on(run(&oci));
    for number in 1..=CONTAINERS {
        tokio.block_on(perform(&oci, id(number), Operation::Delete { force: true }))?;
    }
    Ok(report(results?))
}

/// What one reader saw.
struct Seen {
    lines: u64,
    disordered: u64,
    latencies: Vec<Duration>,
}

async fn run(oci: &Oci) -> Outcome<Vec<Seen>> {
    let mut logs = Vec::new();
    for number in 1..=CONTAINERS {
        let command = ["/writer".into(), LINES.to_string(), LINES_A_SECOND.to_string()];
        let create = Operation::Create {
            image: IMAGE.into(),
            name: None,
            spec: Box::new(ContainerSpec {
                command: Some(command.into()),
                ..ContainerSpec::default()
            }),
        };
        perform(oci, id(number), create).await?;
        let follow = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        logs.push(oci.logs(id(number), follow).await?);
    }
    let readers: Vec<_> = logs.into_iter().map(|log| tokio::spawn(read(log))).collect();
    for number in 1..=CONTAINERS {
        perform(oci, id(number), Operation::Start).await?;
    }
    let mut seen = Vec::new();
    for reader in readers {
        seen.push(reader.await??);
    }
    Ok(seen)
}

async fn read(mut log: LogStream) -> Outcome<Seen> {
    let mut seen = Seen {
        lines: 0,
        disordered: 0,
        latencies: Vec::new(),
    };
    while let Some(entry) = log.next().await {
        let entry = entry?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let text = std::str::from_utf8(&entry.bytes)?.trim_end();
        let (number, written) = text.split_once(' ').ok_or("half a line")?;
        seen.disordered += u64::from(number.parse::<u64>()? != seen.lines);
        seen.lines += 1;
        seen.latencies
            .push(now.saturating_sub(Duration::from_nanos(written.parse()?)));
    }
    Ok(seen)
}

fn report(seen: Vec<Seen>) -> bool {
    let lines: u64 = seen.iter().map(|seen| seen.lines).sum();
    let disordered: u64 = seen.iter().map(|seen| seen.disordered).sum();
    let lost = u64::from(CONTAINERS) * LINES - lines;
    let mut latencies: Vec<_> = seen.into_iter().flat_map(|seen| seen.latencies).collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies
            .get(index.min(latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    println!("{CONTAINERS} containers, {LINES_A_SECOND} lines a second each, {LINES} lines each:");
    println!("  lines        {lines}, lost {lost}, out of order {disordered}");
    println!("  p50          {:>9.1?}", at(0.5));
    println!("  p99          {:>9.1?}", at(0.99));
    println!("  p99.9        {:>9.1?}", at(0.999));
    println!("  at most      {:>9.1?}, the bar is {MOST:?}", at(1.0));
    lost == 0 && disordered == 0 && at(1.0) <= MOST
}

/// A static program: the image has nothing else.
fn compile(program: &Path) -> Outcome<Vec<u8>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args([
            "--edition=2024",
            "-Copt-level=2",
            "-Ctarget-feature=+crt-static",
            "-o",
        ])
        .arg(program)
        .arg(WRITER)
        .status()?;
    match status.success() {
        true => Ok(std::fs::read(program)?),
        false => Err(format!("compiling {WRITER} failed: {status}").into()),
    }
}

async fn perform(oci: &Oci, container: ContainerId, operation: Operation) -> Outcome<()> {
    let effect = Effect { container, operation };
    oci.perform(effect, Default::default()).await?;
    Ok(())
}

fn id(number: u8) -> ContainerId {
    ContainerId::from_bytes([number; 16])
}
