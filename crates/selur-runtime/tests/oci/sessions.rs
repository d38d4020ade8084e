//! Reading sessions, and looking for what they leave.

use crate::support::*;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rustix::process::{Pid, Signal, kill_process};
use selur_protocol::ContainerId;
use selur_runtime::{ExecSpec, Oci, Operation, OutputStream, Runtime, RuntimeError, Session, SessionItem};
use selur_testkit::wait_until;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) type Items = BoxStream<'static, Result<SessionItem, RuntimeError>>;

/// All that came of a session.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) exit_code: Option<i32>,
}

impl End {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl World {
    pub(crate) async fn start(&self, id: ContainerId) {
        self.perform(id, Operation::Start).await.unwrap();
    }

    pub(crate) async fn try_exec(&self, id: ContainerId, spec: ExecSpec) -> Result<Session, RuntimeError> {
        let exec = self.oci.exec(id, spec, Default::default());
        tokio::time::timeout(DEADLINE, exec)
            .await
            .expect("the exec is answered in time")
    }

    pub(crate) async fn exec(&self, id: ContainerId, spec: ExecSpec) -> Session {
        match self.try_exec(id, spec).await {
            Ok(session) => session,
            Err(error) => panic!("{}", error.chain()),
        }
    }
}

/// Reads a session to its end.
pub(crate) async fn finish(session: Session) -> End {
    let _input = session.input;
    collect(session.output).await
}

/// Reads to the end.
pub(crate) async fn collect(mut output: Items) -> End {
    let mut end = End::default();
    let reading = async {
        while let Some(item) = output.next().await {
            match item.unwrap() {
                SessionItem::Output { stream, bytes } => match stream {
                    OutputStream::Stdout => end.stdout.extend(bytes),
                    OutputStream::Stderr => end.stderr.extend(bytes),
                },
                SessionItem::Ended { exit_code } => {
                    end.exit_code = exit_code;
                    assert!(output.next().await.is_none(), "the end is the last item");
                    return;
                }
            }
        }
        panic!("the session broke off");
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("the session ends");
    end
}

/// Reads until this was written.
pub(crate) async fn until(output: &mut Items, text: &str) -> String {
    let mut all = String::new();
    let reading = async {
        while !all.contains(text) {
            match output.next().await {
                Some(Ok(SessionItem::Output { bytes, .. })) => all += &String::from_utf8_lossy(&bytes),
                other => panic!("{other:?} instead of {text:?} after {all:?}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .unwrap_or_else(|_| panic!("{text:?} does not come"));
    all
}

/// The shim's processes that serve execs of the container.
pub(crate) fn errands(id: ContainerId) -> Vec<i32> {
    let id = id.to_string();
    let alive = |pid: &i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        line.contains("selur-shim") && line.contains(&id) && !status.contains("State:\tZ")
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<i32> = pids.filter(alive).collect();
    all.into_iter().filter(|pid| !is_supervisor(*pid)).collect()
}

/// Whether it holds a container: its lock's file is open.
fn is_supervisor(pid: i32) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|path| path.to_string_lossy().contains("/alive/"))
}

/// The most that it had in memory.
pub(crate) fn high_water_bytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

pub(crate) fn sigkill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// A test of this program, run in a process of its own on the world's root.
pub(crate) fn another_process(world: &World, id: ContainerId, test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command.env("SELUR_TEST_ROOT", world.root().path());
    command.env("SELUR_TEST_ID", id.to_string());
    command.stdout(Stdio::null());
    command
}

/// What such a test works on; nothing where it is run as a test like others.
pub(crate) fn as_another_process() -> Option<(Oci, ContainerId)> {
    let root = std::env::var_os("SELUR_TEST_ROOT")?;
    let id = std::env::var("SELUR_TEST_ID").unwrap();
    Some((open(Path::new(&root)).unwrap(), ContainerId::parse(&id).unwrap()))
}

/// Checks that nothing is left of a container that was deleted: an errand may take a moment to end.
pub(crate) fn nothing_is_left(world: &World, id: ContainerId) {
    wait_until("the errands are gone", DEADLINE, || errands(id).is_empty());
    world.assert_gone(id);
}
