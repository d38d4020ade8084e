//! Ends that come from outside: a process or a whole cgroup that is killed, and the end of a boot.

use crate::caller::TASK;
use crate::evidence::{Checked, cgroup_processes, shims};
use crate::world::{DEADLINE, World, block_on, creation, first_process, list, new_id, perform, shell, shim};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, State, Status};
use selur_runtime::{
    ContainerSpec, ExecSpec, Observation, Oci, Operation, RestartPolicy, Runtime, SessionItem,
};
use selur_shim::{Durability, Life, Process};
use selur_testkit::wait_until;
use std::process::Command;

fn run(oci: &Oci, spec: ContainerSpec) -> ContainerId {
    let id = new_id();
    perform(oci, id, creation(None, spec)).expect("created");
    perform(oci, id, Operation::Start).expect("started");
    id
}

/// A further process that lasts, with a child.
pub(crate) fn lasting() -> ExecSpec {
    ExecSpec::new(["/bin/sh", "-c", "echo on; sleep 1001 & sleep 1001"])
}

fn report(oci: &Oci, id: ContainerId) -> Report {
    let mut reports = list(oci).into_iter().filter_map(|seen| match seen {
        Observation::Seen {
            id: other, report, ..
        } if other == id => Some(report),
        _ => None,
    });
    reports.next().expect("it is listed")
}

fn sigkill(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    // One that is gone by now was killed with another.
    let _ = kill_process(pid, Signal::KILL);
}

#[test]
fn what_is_killed_from_outside_is_seen_and_follows_its_rule() {
    let world = World::new();
    let oci = world.open();
    let mut checked = Checked::default();
    let one = run(&oci, shell("sleep 1000 & sleep 1000"));
    let all = run(&oci, shell("sleep 1000 & sleep 1000 & sleep 1000"));
    let frozen = run(&oci, shell("sleep 1000"));
    let frozen_whole = run(&oci, shell("sleep 1000 & sleep 1000"));
    let again = run(
        &oci,
        ContainerSpec {
            restart: RestartPolicy::OnFailure(None),
            ..shell("sleep 1000")
        },
    );
    for id in [frozen, frozen_whole] {
        perform(&oci, id, Operation::Pause).expect("paused");
    }
    let before = report(&oci, again).generation;
    checked.truth(&world, &oci);
    let first = |id| first_process(&world, id).expect("a process");
    sigkill(first(one));
    sigkill(first(again));
    sigkill(first(frozen));
    for id in [all, frozen_whole] {
        for pid in cgroup_processes(id) {
            sigkill(pid);
        }
    }
    for id in [one, all] {
        wait_until("the end is seen", DEADLINE, || {
            report(&oci, id).state == State::Stopped
        });
        assert_eq!(report(&oci, id).exit_code, Some(137));
    }
    wait_until("it is started again", DEADLINE, || {
        let now = report(&oci, again);
        now.generation > before && now.state == State::Running
    });
    // With cgroups of version 1 a frozen process dies when it is thawed; until then it is there, and paused.
    checked.truth(&world, &oci);
    if report(&oci, frozen).state == State::Paused {
        perform(&oci, frozen, Operation::Resume).expect("resumed");
    }
    wait_until("the end is seen", DEADLINE, || {
        report(&oci, frozen).state == State::Stopped
    });
    let timeout = Some(DEADLINE);
    perform(&oci, frozen_whole, Operation::Stop { timeout }).expect("stopped");
    for id in [frozen, frozen_whole] {
        assert_eq!(report(&oci, id).exit_code, Some(137));
    }
    checked.truth(&world, &oci);
    checked.clean_up(&world, oci);
    println!("killed from outside: {}", checked.told());
}

#[test]
fn an_exec_whose_errand_is_killed_ends_at_once_and_where_its_bridge_died_too_with_the_next() {
    let world = World::new();
    let oci = world.open();
    let mut checked = Checked::default();
    let id = run(&oci, shell("sleep 1000"));
    let kill_errand = || {
        let shim = std::fs::read(world.root().alive(id)).expect("a shim");
        let shim: Process = serde_json::from_slice(&shim).expect("a process");
        let errands: Vec<u32> = shims(&[id]).into_iter().filter(|pid| *pid != shim.pid).collect();
        assert_eq!(errands.len(), 1);
        sigkill(errands[0]);
    };
    let ended_alone = || cgroup_processes(id).len() == 1;
    block_on(async {
        let mut session = oci.exec(id, lasting(), Default::default()).await.expect("run");
        session
            .output
            .next()
            .await
            .expect("it is there")
            .expect("it says so");
        kill_errand();
        let mut last = None;
        while let Some(item) = session.output.next().await {
            last = Some(item.expect("an item"));
        }
        assert_eq!(last, Some(SessionItem::Ended { exit_code: None }));
    });
    wait_until("the process ends, and its child", DEADLINE, ended_alone);

    // The caller is killed with the errand.
    let mut caller = world.process("caller::an_exec_that_lasts", &[(TASK, id.to_string())]);
    assert_eq!(caller.says(), "runs");
    assert!(!ended_alone());
    drop(oci);
    // It must not see the errand's end first.
    caller.kill_with(kill_errand);
    let oci = world.open();
    wait_until("the next one ends it", DEADLINE, ended_alone);
    checked.truth(&world, &oci);
    checked.clean_up(&world, oci);
    println!("execs without errands: {}", checked.told());
}

#[test]
fn a_process_that_its_shim_has_not_recorded_is_ended() {
    let world = World::new();
    let mut checked = Checked::default();
    for is_watched in [true, false] {
        // Gone before its shim is.
        let id = run(&world.open(), shell("sleep 1000"));
        // As if its shim had died before the record.
        let mut life = Life::read(&world.root(), id).expect("a life").expect("it exists");
        life.enter(State::Stopped);
        life.write(&world.root(), id, Durability::Boot).expect("written");
        let watching = match is_watched {
            true => Some(world.open()),
            false => None,
        };
        for shim in shims(&[id]) {
            sigkill(shim);
        }
        let next = watching.unwrap_or_else(|| world.open());
        checked.truth(&world, &next);
        assert!(cgroup_processes(id).is_empty());
        assert_eq!(report(&next, id).state, State::Stopped);
    }
    checked.clean_up(&world, world.open());
    println!("unrecorded processes: {}", checked.told());
}

#[test]
fn a_shim_that_comes_late_finds_no_container_and_leaves_nothing() {
    let world = World::new();
    let oci = world.open();
    let mut checked = Checked::default();
    let id = run(&oci, shell("sleep 1000"));
    checked.truth(&world, &oci);
    // As the shim of a caller that died, launched before the deletion and held up until after it.
    let launch = serde_json::json!({
        "version": selur_shim::PROTOCOL_VERSION,
        "root": world.path(),
        "id": id.to_string(),
        "runc": oci.runc(),
        "errand": "adopt",
    });
    let late = || {
        use std::io::{Read, Write};
        let (mut own, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket");
        let mut shim = Command::new(shim());
        let shim = shim
            .arg(id.to_string())
            .stdin(std::os::fd::OwnedFd::from(theirs))
            .spawn();
        own.write_all(launch.to_string().as_bytes()).expect("sent");
        own.shutdown(std::net::Shutdown::Write).expect("sent");
        shim.expect("a shim").wait().expect("it detaches itself");
        let mut answer = String::new();
        own.read_to_string(&mut answer).expect("an answer");
        answer
    };
    assert!(late().contains("busy"));
    perform(&oci, id, Operation::Delete { force: true }).expect("deleted");
    let answer = late();
    assert!(answer.contains("the container was deleted"), "{answer}");
    checked.clean_up(&world, oci);
    println!("a late shim: {}", checked.told());
}

#[test]
fn a_shim_that_takes_over_sees_what_is_frozen() {
    let world = World::new();
    let oci = world.open();
    let mut checked = Checked::default();
    let cases = [(State::Paused, State::Running), (State::Running, State::Paused)];
    for (truth, recorded) in cases {
        let id = run(&oci, shell("sleep 1000"));
        if truth == State::Paused {
            perform(&oci, id, Operation::Pause).expect("paused");
        }
        // As if its shim had died before the record.
        let mut life = Life::read(&world.root(), id).expect("a life").expect("it exists");
        life.enter(recorded);
        life.process = first_process(&world, id).and_then(Process::find);
        life.write(&world.root(), id, Durability::Boot).expect("written");
        for shim in shims(&[id]) {
            sigkill(shim);
        }
        wait_until("the truth is told", DEADLINE, || report(&oci, id).state == truth);
        checked.truth(&world, &oci);
        let timeout = Some(DEADLINE);
        perform(
            &oci,
            id,
            Operation::Kill {
                signal: selur_protocol::Signal::KILL,
            },
        )
        .expect("killed");
        perform(&oci, id, Operation::Stop { timeout }).expect("stopped");
    }
    checked.clean_up(&world, oci);
    println!("frozen and not recorded: {}", checked.told());
}

#[test]
fn after_another_boot_nothing_runs_and_no_process_of_this_one_is_taken_for_an_old_one() {
    let world = World::new();
    let oci = world.open();
    // It has the process id that the containers had before the machine was started again, and even their moment.
    let mut bystander = Command::new("sleep").arg("1000").spawn().expect("a process");
    let stranger = Process::find(bystander.id()).expect("it runs");
    let forge = |state: State, restart: RestartPolicy| {
        let id = new_id();
        let spec = ContainerSpec {
            restart,
            ..shell("sleep 1000")
        };
        perform(&oci, id, creation(None, spec)).expect("created");
        let mut life = Life::read(&world.root(), id).expect("a life").expect("it exists");
        life.run(stranger);
        if state != State::Running {
            life.enter(state);
        }
        life.boot = "00000000-0000-0000-0000-000000000000".into();
        life.write(&world.root(), id, Durability::Disk).expect("written");
        // What runc and the shim of that boot left.
        let known = serde_json::json!({
            "id": id.to_string(),
            "init_process_pid": stranger.pid,
            "init_process_start": stranger.started_ticks,
            "cgroup_paths": {},
            "namespace_paths": {},
            "config": { "rootfs": world.root().home(id).rootfs(), "cgroups": { "path": format!("/selur/{id}") } },
        });
        std::fs::create_dir(world.root().runc_state(id)).expect("a directory");
        std::fs::write(world.root().runc_state(id).join("state.json"), known.to_string()).expect("written");
        let shim = serde_json::to_vec(&stranger).expect("a process");
        std::fs::write(world.root().alive(id), shim).expect("written");
        id
    };
    let again = RestartPolicy::OnFailure(None);
    let forged = [
        forge(State::Running, RestartPolicy::No),
        forge(State::Paused, RestartPolicy::No),
        forge(State::Restarting, again),
        forge(State::Running, again),
        forge(State::Running, RestartPolicy::No),
        forge(State::Running, RestartPolicy::No),
    ];
    let next = world.open();
    for id in forged {
        let seen = report(&next, id);
        assert_eq!((seen.state, seen.exit_code), (State::Stopped, None));
    }
    let [killed, paused, _, started, deleted, half_deleted] = forged;
    let signal = selur_protocol::Signal::KILL;
    let operations = [Operation::Kill { signal }, Operation::Pause, Operation::Resume];
    for operation in operations {
        let error = perform(&next, killed, operation).expect_err("nothing runs");
        assert_eq!(error.status(), Status::InvalidState);
    }
    let timeout = Some(DEADLINE);
    perform(&next, paused, Operation::Stop { timeout }).expect("it is stopped");
    perform(&next, deleted, Operation::Delete { force: false }).expect("deleted");
    perform(&next, started, Operation::Start).expect("started");
    assert_eq!(report(&next, started).state, State::Running);
    // A deletion that the power failure interrupted.
    std::fs::remove_file(world.root().state(half_deleted)).expect("removed");
    let mut checked = Checked::default();
    drop(oci);
    drop(next);
    let next = world.open();
    for id in forged
        .into_iter()
        .filter(|id| ![deleted, half_deleted].contains(id))
    {
        let state = if id == started {
            State::Running
        } else {
            State::Stopped
        };
        assert_eq!(report(&next, id).state, state);
    }
    checked.truth(&world, &next);
    checked.clean_up(&world, next);
    assert!(
        bystander.try_wait().expect("a child").is_none(),
        "the stranger was killed"
    );
    bystander.kill().expect("it ends");
    bystander.wait().expect("it ends");
    println!("another boot: {} containers; {}", forged.len(), checked.told());
}
