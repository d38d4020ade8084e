//! Fifty containers at once: what each costs of ours, and that nothing of them stays.

use crate::sessions::*;
use crate::support::*;
use futures_util::future::join_all;
use selur_protocol::{ContainerId, State};
use selur_runtime::{ExecSpec, Operation};
use std::fs;
use std::time::Instant;

const CROWD: usize = 50;
/// What a container may cost of ours: memory that only its shim has, and its part of what shims share.
const MAX_BYTES_EACH: u64 = 1_500_000;
/// What stands between being told to end and ending.
const SCRIPT: &str = "trap 'exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done";

/// What a process occupies, in bytes.
#[derive(Clone, Copy, Default)]
struct Memory {
    /// Its own, and its part of what it shares.
    proportional: u64,
    private_dirty: u64,
}

impl Memory {
    /// Source: proc_pid_smaps(5).
    fn of(pid: i32) -> Memory {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
        };
        Memory {
            proportional: field("Pss:"),
            private_dirty: field("Private_Dirty:"),
        }
    }
}

/// Does the same to every container at once, and prints how long that took.
async fn all<T>(what: &str, work: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let begin = Instant::now();
    let results = join_all(work).await;
    let elapsed = begin.elapsed();
    let each = elapsed / u32::try_from(results.len()).unwrap();
    println!("{what:<8} {elapsed:>9.1?} for {}, {each:.1?} each", results.len());
    results
}

/// The processes that name a container in their arguments.
fn processes_of(id: ContainerId) -> Vec<i32> {
    let id = id.to_string();
    let names_it = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|text| String::from_utf8_lossy(&text).contains(&id))
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(names_it)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_containers_at_once_leave_nothing_and_cost_little() {
    let world = World::new().await;
    let world = &world;
    let ids = all("create", (0..CROWD).map(|_| world.create(shell(SCRIPT)))).await;
    all(
        "start",
        ids.iter().map(|id| async {
            world.perform(*id, Operation::Start).await.unwrap();
            world.wrote(*id, "ready").await;
        }),
    )
    .await;
    let execs = ids.iter().map(|id| async {
        let number = id.to_string();
        let session = world.exec(*id, ExecSpec::new(["/bin/echo", &number])).await;
        assert_eq!(finish(session).await.text(), format!("{number}\n"));
    });
    all("exec", execs).await;

    let shims: Vec<i32> = ids.iter().map(|id| world.shim_pid(*id).unwrap()).collect();
    let memory: Vec<Memory> = shims.iter().map(|pid| Memory::of(*pid)).collect();
    let mean = |part: fn(&Memory) -> u64| memory.iter().map(part).sum::<u64>() / CROWD as u64;
    let proportional = mean(|memory| memory.proportional);
    println!(
        "memory   {proportional} B PSS, {} B private dirty for each shim, of {}",
        mean(|memory| memory.private_dirty),
        shim().display()
    );
    for (id, shim) in ids.iter().zip(&shims) {
        assert_eq!(processes_of(*id), [*shim], "runc or an errand has stayed");
    }
    assert!(
        proportional <= MAX_BYTES_EACH,
        "{proportional} B of ours for each container, {MAX_BYTES_EACH} at most"
    );

    all("stop", ids.iter().map(|id| world.perform(*id, stop(60_000)))).await;
    for id in &ids {
        let report = world.state(*id).await.unwrap();
        assert_eq!((report.state, report.exit_code), (State::Stopped, Some(3)));
    }
    let delete = || Operation::Delete { force: false };
    for deleted in all("delete", ids.iter().map(|id| world.perform(*id, delete()))).await {
        deleted.unwrap();
    }
    world.assert_all_gone(&ids);
    assert_eq!(fs::read_dir(world.root().states()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(world.root().containers()).unwrap().count(), 0);
}
