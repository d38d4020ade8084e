//! Two bridges in two processes that change the same containers: their kernels are caches of one disk.

use crate::caller::{OWN_SEED, TASK, hear, own_random, variable};
use crate::evidence::Checked;
use crate::world::{DEADLINE, IMAGE, Process, ROOT, Random, World, ids, say, shell, shim};
use selur_core::{Backend, Bridge, Command, Response, Status};
use selur_protocol::Frame;
use selur_runtime::ContainerSpec;
use selur_testkit::wait_until;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CONTAINERS: u64 = 100;
/// How long both work. The environment may say more, in seconds.
const LASTS: Duration = Duration::from_secs(60);
const LASTS_VARIABLE: &str = "SELUR_CHAOS_SHARING_SECONDS";
/// How many requests each has open at once.
const IN_FLIGHT: usize = 6;

fn frame(command: Command, fields: &[&str]) -> Vec<u8> {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    let mut buffer = vec![0; 4096];
    let bytes = Frame::encode(command, &fields, &mut buffer).expect("a frame");
    buffer.truncate(bytes);
    buffer
}

fn request(random: &mut Random, spec: &str) -> (Command, Vec<u8>) {
    let name = format!("shared-{}", random.below(CONTAINERS));
    let (command, fields) = match random.below(10) {
        0..=2 => (Command::CreateContainer, vec![IMAGE, &name, spec]),
        3..=5 => (Command::StartContainer, vec![name.as_str()]),
        6..=7 => (Command::StopContainer, vec![name.as_str(), "0"]),
        8 => (Command::DeleteContainer, vec![name.as_str()]),
        _ => (Command::DeleteContainer, vec![name.as_str(), "force"]),
    };
    (command, frame(command, &fields))
}

/// What two programs that know nothing of each other must expect.
fn is_expected(response: &Response) -> bool {
    match response.status() {
        Status::Success
        | Status::ContainerNotFound
        | Status::ContainerAlreadyExists
        | Status::InvalidState => true,
        // Of this program's own.
        Status::Cancelled => response
            .message()
            .is_some_and(|words| words.contains("a forced deletion")),
        _ => false,
    }
}

/// No test of its own: one of the two.
#[test]
fn a_bridge_at_work() {
    let (Some(root), Some(task)) = (variable(ROOT), variable(TASK)) else {
        return;
    };
    let bridge = Bridge::builder()
        .backend(Backend::Oci)
        .state_root(root.clone())
        .shim(PathBuf::from(shim()))
        .build()
        .expect("a bridge");
    let mut random = own_random();
    let lasts = Duration::from_secs(task.parse().expect("a number of seconds"));
    let mut spec = shell("sleep 1000 & sleep 1000");
    spec.environment = vec![format!("{ROOT}={root}")];
    let spec = serde_json::to_string::<ContainerSpec>(&spec).expect("a specification");
    say("ready");
    hear();

    let begun = Instant::now();
    let mut open = BTreeMap::new();
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut requests, mut answers) = (0, 0);
    loop {
        while open.len() < IN_FLIGHT && begun.elapsed() < lasts {
            let (command, frame) = request(&mut random, &spec);
            let number = bridge.submit_to_queue(&frame).expect("an open bridge");
            assert!(open.insert(number, command).is_none(), "a number is given twice");
            requests += 1;
        }
        if open.is_empty() {
            break;
        }
        if !bridge.completions().wait(Some(DEADLINE * 2)) {
            say(&format!("lost {open:?}"));
            return;
        }
        for completion in bridge.completions().drain(64) {
            answers += 1;
            let Some(command) = open.remove(&completion.ticket) else {
                say(&format!("unasked {completion:?}"));
                return;
            };
            let response = &completion.response;
            *statuses.entry(response.status().name()).or_default() += 1;
            if !is_expected(response) {
                say(&format!(
                    "surprised by {command:?}: {} {}",
                    response.status().name(),
                    response.message().unwrap_or_default()
                ));
            }
        }
    }
    assert!(bridge.completions().is_empty());
    say(&format!("over {requests} {answers} {statuses:?}"));
    while hear() == "list" {
        let listed = bridge.list_containers().expect("a list");
        let lines: Vec<String> = listed
            .iter()
            .map(|id| {
                let inspection = bridge.inspect_container(&id.to_string());
                format!(
                    "{id}={}",
                    inspection.map_or_else(|error| error.to_string(), |found| found.state)
                )
            })
            .collect();
        say(&format!("list {}", lines.join(" ")));
    }
}

/// What a bridge lists, with the states.
fn listed(process: &mut Process) -> BTreeSet<String> {
    process.tell("list");
    let said = process.says();
    let list = said.strip_prefix("list").expect("a list");
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn two_processes_that_change_the_same_hundred_containers_agree_and_lose_no_answer() {
    let mut random = Random::seeded("sharing");
    let world = World::new();
    let lasts = variable(LASTS_VARIABLE).map_or(LASTS, |seconds| {
        Duration::from_secs(seconds.parse().expect("a number of seconds"))
    });
    let mut processes: Vec<Process> = (0..2)
        .map(|_| {
            let environment = [
                (TASK, lasts.as_secs().to_string()),
                (OWN_SEED, random.next().to_string()),
            ];
            world.process("sharing::a_bridge_at_work", &environment)
        })
        .collect();
    for process in &processes {
        assert_eq!(process.says(), "ready");
    }
    for process in &mut processes {
        process.tell("go");
    }
    let mut tallies = Vec::new();
    for process in &processes {
        let said = process.says_within(lasts + DEADLINE * 4).expect("an end");
        let mut words = said
            .strip_prefix("over ")
            .unwrap_or_else(|| panic!("{said}"))
            .splitn(3, ' ');
        let mut number = || {
            words
                .next()
                .and_then(|word| word.parse::<u64>().ok())
                .expect("a number")
        };
        let (requests, answers) = (number(), number());
        assert_eq!(requests, answers);
        assert!(requests > 50, "there was little to do: {said}");
        tallies.push(said);
    }

    // Both are alive, and see the other's last changes soon.
    wait_until("both lists are what the disk says", DEADLINE, || {
        let lists: Vec<BTreeSet<String>> = processes.iter_mut().map(listed).collect();
        let on_disk: BTreeSet<String> = std::fs::read_dir(world.root().states())
            .expect("lives")
            .flatten()
            .filter_map(|entry| {
                let life = std::fs::read(entry.path()).ok()?;
                let life: serde_json::Value = serde_json::from_slice(&life).ok()?;
                let id = entry.file_name().into_string().ok()?;
                Some(format!("{id}={}", life["state"].as_str()?))
            })
            .collect();
        lists.iter().all(|list| *list == on_disk)
    });
    drop(processes);
    let oci = world.open();
    let count = ids(&oci).len();
    let mut checked = Checked::default();
    checked.truth(&world, &oci);
    checked.clean_up(&world, oci);
    println!(
        "sharing: {tallies:?}, {count} containers at the end; {}",
        checked.told()
    );
}
