//! What survives the deaths of bridges, shims and machines.

use crate::sessions::sigkill;
use crate::support::*;
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use selur_protocol::{ContainerId, State, Status};
use selur_runtime::{Observation, Oci, OciOptions, Operation, OutputStream, Runtime, ShimLocation};
use selur_shim::{Durability, Life, Process};
use selur_testkit::wait_until;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const COUNTING: &str =
    "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); sleep 0.005; done; echo all; sleep 1000";

/// Not a test of its own: what `a_killed_bridge_leaves_its_container_to_the_next` runs in another process.
#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_in_another_process() {
    let Ok(root) = std::env::var("SELUR_TEST_ROOT") else {
        return;
    };
    let oci = open(root.as_ref()).unwrap();
    let id = ContainerId::parse(&std::env::var("SELUR_TEST_ID").unwrap()).unwrap();
    perform(&oci, id, Operation::Start).await.unwrap();
    eprintln!("started");
    std::future::pending::<()>().await;
}

fn bridge_in_another_process(world: &World, id: ContainerId, how: &str) -> Child {
    Command::new("/bin/sh")
        .args(["-c", how])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "recovery::a_bridge_in_another_process", "--nocapture"])
        .env("SELUR_TEST_ROOT", world.root().path())
        .env("SELUR_TEST_ID", id.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_ignores_does_not_reach_the_container_and_loses_no_exit() {
    let world = World::new().await;
    let id = world
        .create(command(&["/bin/grep", "SigIgn", "/proc/self/status"]))
        .await;
    let ignoring = "trap '' CHLD HUP PIPE TERM USR1; exec \"$0\" \"$@\"";
    let mut bridge = bridge_in_another_process(&world, id, ignoring);
    let lines = BufReader::new(bridge.stderr.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("started")));
    assert_eq!(world.ended(id).await.exit_code, Some(0));
    assert_eq!(
        world.log(id, OutputStream::Stdout).await,
        "SigIgn:\t0000000000000000\n"
    );
    bridge.kill().unwrap();
    bridge.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bridge_leaves_its_container_to_the_next() {
    let world = World::new().await;
    let id = world.create(shell(COUNTING)).await;
    let mut bridge = bridge_in_another_process(&world, id, "exec \"$0\" \"$@\"");
    let lines = BufReader::new(bridge.stderr.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("started")));
    bridge.kill().unwrap();
    bridge.wait().unwrap();

    let next = open(world.root().path()).unwrap();
    let seen = next.list().await.unwrap();
    assert!(
        matches!(&seen[..], [Observation::Seen { report, .. }] if report.state == State::Running),
        "{seen:?}"
    );
    world.wrote(id, "all").await;
    let expected: String = (0..400)
        .map(|i| format!("{i}\n"))
        .chain(["all\n".into()])
        .collect();
    assert_eq!(world.log(id, OutputStream::Stdout).await, expected);
    let stopped = perform(&next, id, stop(0)).await.unwrap().report.unwrap();
    assert_eq!((stopped.state, stopped.exit_code), (State::Stopped, Some(137)));
    perform(&next, id, Operation::Delete { force: false })
        .await
        .unwrap();
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_outlives_its_shim_and_can_still_be_stopped_and_deleted() {
    let world = World::new().await;
    let id = world.run(COUNTING).await;
    world.wrote(id, "5\n").await;
    let process = world.life(id).process.unwrap();
    let shim = world.shim_pid(id);
    sigkill(shim.unwrap());
    wait_until("another shim takes over", DEADLINE, || {
        world.shim_pid(id).is_some_and(|pid| Some(pid) != shim)
    });
    assert!(process.is_alive());
    // What it wrote meanwhile waited in its pipe.
    world.wrote(id, "all").await;
    assert_eq!(world.state(id).await.unwrap().state, State::Running);
    let stopped = world.perform(id, stop(0)).await.unwrap().report.unwrap();
    assert_eq!((stopped.state, stopped.exit_code), (State::Stopped, None));
    assert!(!process.is_alive());
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_died_with_its_shim_is_found_stopped() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    let process = world.life(id).process.unwrap();
    // So that no bridge looks while both die.
    sigkill(world.shim_pid(id).unwrap());
    let _ = kill_process(
        Pid::from_raw(i32::try_from(process.pid).unwrap()).unwrap(),
        Signal::KILL,
    );
    let report = world.ended(id).await;
    assert_eq!(report.exit_code, None);
    world.perform(id, Operation::Start).await.unwrap();
    assert_eq!(world.state(id).await.unwrap().state, State::Running);
    world.delete(id).await;
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_hangs_does_not_keep_its_container_from_being_deleted() {
    let world = World::new().await;
    let id = world.run("sleep 1000").await;
    kill_process(Pid::from_raw(world.shim_pid(id).unwrap()).unwrap(), Signal::STOP).unwrap();
    world.delete(id).await;
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_after_a_reboot() {
    let world = World::new().await;
    let id = world.create(shell("sleep 1000")).await;
    let mut life = world.life(id);
    life.run(Process::own().unwrap());
    life.boot = "00000000-0000-0000-0000-000000000000".into();
    life.write(&world.root(), id, Durability::Disk).unwrap();
    let report = world.state(id).await.unwrap();
    assert_eq!((report.state, report.exit_code), (State::Stopped, None));
    let next = open(world.root().path()).unwrap();
    assert_eq!(next.list().await.unwrap().len(), 1);
    let started = perform(&next, id, Operation::Start)
        .await
        .unwrap()
        .report
        .unwrap();
    assert_eq!((started.generation, started.state), (2, State::Running));
    assert_eq!(
        Life::read(&world.root(), id).unwrap().unwrap().boot,
        selur_shim::current_boot().unwrap()
    );
    world.delete(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_bridge_does_is_observed() {
    let world = World::new().await;
    let other = open(world.root().path()).unwrap();
    let mut observations = world.oci.observations();
    let id = new_id();
    perform(&other, id, creation(Some("web"), command(&["/bin/true"])))
        .await
        .unwrap();
    perform(&other, id, Operation::Start).await.unwrap();
    world.ended(id).await;
    perform(&other, id, Operation::Delete { force: false })
        .await
        .unwrap();
    let mut last = None;
    let watching = async {
        while let Some(observation) = observations.next().await {
            match observation {
                Observation::Seen {
                    id: seen,
                    name,
                    report,
                } => {
                    assert_eq!((seen, name.as_deref()), (id, Some("web")));
                    let newness = (report.generation, report.sequence);
                    assert!(last < Some(newness), "{last:?} before {newness:?}");
                    last = Some(newness);
                }
                Observation::Gone { id: gone } => return assert_eq!(gone, id),
            }
        }
        panic!("the observations ended");
    };
    tokio::time::timeout(DEADLINE, watching)
        .await
        .expect("the deletion is observed");
    drop((world, other));
    let end = tokio::time::timeout(DEADLINE, observations.next())
        .await
        .expect("the stream ends with the runtime");
    assert_eq!(end, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_that_a_power_failure_emptied_is_an_end_that_nobody_saw() {
    let world = World::new().await;
    let id = new_id();
    world
        .perform(id, creation(Some("web"), command(&["/bin/true"])))
        .await
        .unwrap();
    std::fs::write(world.root().state(id), "").unwrap();
    let report = world.state(id).await.unwrap();
    assert_eq!((report.state, report.exit_code), (State::Stopped, None));
    assert_eq!(world.inspect(id).await.name.as_deref(), Some("web"));
    world.perform(id, Operation::Start).await.unwrap();
    assert_eq!(world.ended(id).await.exit_code, Some(0));
    std::fs::write(world.root().state(id), "{").unwrap();
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_whose_writer_died_in_the_middle_goes_with_its_container() {
    let world = World::new().await;
    let whole = world.create(shell("true")).await;
    let half_made = new_id();
    std::fs::create_dir(world.root().home(half_made).path()).unwrap();
    for id in [whole, half_made] {
        std::fs::write(world.root().states().join(format!(".{id}")), "{").unwrap();
    }
    world.delete(whole).await;
    world.assert_gone(whole);
    drop(open(world.root().path()).unwrap());
    world.assert_gone(half_made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_a_power_failure_emptied_is_made_anew() {
    let world = World::new().await;
    let id = world.create(shell("exit 7")).await;
    std::fs::write(world.root().home(id).bundle_template(), "").unwrap();
    world.perform(id, Operation::Start).await.unwrap();
    assert_eq!(world.ended(id).await.exit_code, Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_hostname_that_a_power_failure_emptied_are_made_anew_and_others_stay() {
    let world = World::new().await;
    let id = world
        .create(shell(
            "cat /etc/hostname; grep -c localhost /etc/hosts; echo mine >> /etc/hosts",
        ))
        .await;
    let etc = world.root().home(id).etc();
    for name in ["hostname", "hosts"] {
        std::fs::write(etc.join(name), "").unwrap();
    }
    world.perform(id, Operation::Start).await.unwrap();
    assert_eq!(world.ended(id).await.exit_code, Some(0));
    let hostname = std::fs::read_to_string(etc.join("hostname")).unwrap();
    assert_eq!(hostname.len(), 13, "{hostname}");
    let said = world.log(id, OutputStream::Stdout).await;
    assert_eq!(said, format!("{hostname}2\n"));
    world.perform(id, Operation::Start).await.unwrap();
    world
        .until(id, "it ends again", |report| {
            report.generation == 2 && report.state == State::Stopped
        })
        .await;
    let hosts = std::fs::read_to_string(etc.join("hosts")).unwrap();
    assert!(hosts.ends_with("mine\nmine\n"), "{hosts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_root_that_others_own_or_may_write_to_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    drop(open(&root).unwrap());
    for mode in [0o770, 0o707, 0o1777] {
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = open(&root).unwrap_err();
        assert_eq!(error.status(), Status::PermissionDenied, "{mode:o}");
        assert!(error.to_string().contains("chmod go-w"), "{error}");
    }
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(open(&root).unwrap());
    chown(&root, Some(65534), None).unwrap();
    let error = open(&root).unwrap_err();
    assert_eq!(error.status(), Status::PermissionDenied);
    assert!(error.to_string().contains("65534"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_made_immutable_is_deleted_with_it() {
    let world = World::new().await;
    let id = world
        .run("echo x > /fixed; mkdir /deep; echo x > /deep/fixed; sleep 1000")
        .await;
    let upper = world.root().home(id).upper();
    wait_until("the files are there", DEADLINE, || {
        upper.join("deep/fixed").exists()
    });
    // As a container does that was given LINUX_IMMUTABLE.
    for name in ["fixed", "deep/fixed", "deep"] {
        let file = std::fs::File::open(upper.join(name)).unwrap();
        let flags = rustix::fs::ioctl_getflags(&file).unwrap();
        rustix::fs::ioctl_setflags(&file, flags | rustix::fs::IFlags::IMMUTABLE).unwrap();
    }
    world.delete(id).await;
    world.assert_gone(id);
}

/// Holds a file as a living shim does, but without a descriptor for writing, whose end would be noticed.
fn hold_unnoticed(path: &std::path::Path) -> std::fs::File {
    let file = std::fs::File::open(path).unwrap();
    // SAFETY: a flock is numbers, for which 0 is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_RDLCK as libc::c_short;
    // SAFETY: the descriptor is open, and the third argument is the flock that this command takes.
    let held = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
    assert_eq!(held, 0);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_whose_lock_outlasts_the_news_of_its_death_is_missed() {
    let world = World::new().await;
    let id = world.create(shell("true")).await;
    let alive = world.root().alive(id);
    std::fs::write(&alive, "").unwrap();
    let lock = hold_unnoticed(&alive);
    let mut life = world.life(id);
    life.run(Process {
        pid: u32::MAX >> 1,
        started_ticks: 0,
    });
    life.write(&world.root(), id, Durability::Boot).unwrap();
    let mut observations = world.oci.observations();
    drop(std::fs::File::options().write(true).open(&alive).unwrap());
    // Events come in order: when the next one was seen, the one before was.
    let next = world.create(shell("true")).await;
    while !matches!(observations.next().await, Some(Observation::Seen { id, .. }) if id == next) {}
    assert_eq!(world.life(id).state, State::Running);
    drop(lock);
    wait_until("the end is recorded", DEADLINE, || {
        world.life(id).state == State::Stopped
    });
}

/// Makes a cgroup within one of the container's, as it may do itself: what is left is no matter for the shim alone.
fn keep_cgroup(runc_state: &Path) {
    let state = std::fs::read(runc_state.join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let cgroups = state["cgroup_paths"].as_object().unwrap();
    let cgroup = cgroups.values().next().unwrap().as_str().unwrap();
    std::fs::create_dir(Path::new(cgroup).join("inner")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runc_that_cannot_delete_is_not_asked_all_the_time() {
    const WINDOW: std::time::Duration = std::time::Duration::from_secs(3);
    let mut world = World::new().await;
    let id = world.run("sleep 1000").await;
    keep_cgroup(&world.root().runc_state(id));
    let path = |name: &str| world.directory.path().join(name);
    let (wrapper, calls, broken) = (path("runc"), path("calls"), path("broken"));
    let text = format!(
        "#!/bin/sh\nif [ -e {broken} ]; then case \"$*\" in *' delete '*) echo >> {calls}; exit 1;; esac; fi\n\
         exec {runc} \"$@\"\n",
        broken = broken.display(),
        calls = calls.display(),
        runc = world.oci.runc().display(),
    );
    std::fs::write(&wrapper, text).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&broken, "").unwrap();
    // As if its shim had died before the record.
    let mut life = world.life(id);
    life.enter(State::Stopped);
    life.write(&world.root(), id, Durability::Boot).unwrap();
    let killed = world.shim_pid(id).unwrap();
    let root = world.root();
    let with = |runc| {
        Oci::open(OciOptions {
            state_root: Some(root.path().to_owned()),
            shim: ShimLocation::Path(shim().to_owned()),
            runc,
        })
        .unwrap()
    };
    // Two bridges: neither is to set the other one off.
    let _other = with(Some(wrapper.clone()));
    world.oci = with(Some(wrapper));
    sigkill(killed);
    let count = || {
        std::fs::read_to_string(&calls)
            .unwrap_or_default()
            .lines()
            .count()
    };
    wait_until("they try", DEADLINE, || count() > 0);
    let never = std::future::pending::<()>();
    tokio::time::timeout(WINDOW, never).await.unwrap_err();
    // Each waits twice as long every time.
    assert!(count() <= 16, "{} calls in {WINDOW:?}", count());
    std::fs::remove_file(&broken).unwrap();
    drop(open(root.path()).unwrap());
    assert!(!root.runc_state(id).exists());
    world.delete_stopped(id).await;
}
