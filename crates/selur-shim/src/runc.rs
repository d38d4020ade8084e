//! Calls runc, one command at a time.

use crate::{Failure, FailureKind, Home, Process, Root};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use selur_protocol::ContainerId;
use serde::Deserialize;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What runc is waited for before it is killed, in seconds: a process that cannot be frozen or ended would hold the
/// shim for ever.
const LIMIT_S: i64 = 30;

/// runc for one container.
#[derive(Debug)]
pub(crate) struct Runc {
    program: PathBuf,
    root: Root,
    home: Home,
    id: ContainerId,
}

/// One record of runc's log.
#[derive(Deserialize)]
struct Record {
    level: String,
    msg: String,
}

impl Runc {
    pub(crate) fn new(program: PathBuf, root: Root, id: ContainerId) -> Runc {
        let home = root.home(id);
        Runc {
            program,
            root,
            home,
            id,
        }
    }

    /// Runs the bundle's process with these outputs. It may have ended when this returns.
    pub(crate) fn run(&self, stdout: File, stderr: File) -> Result<Process, Failure> {
        let mut command = self.command("run");
        command.arg("--detach").arg("--bundle").arg(self.home.bundle());
        command.arg("--pid-file").arg(self.home.pid_file());
        command.arg(self.id.to_string());
        command.stdout(stdout).stderr(stderr);
        self.call(command)?;
        let path = self.home.pid_file();
        let pid = fs::read_to_string(&path)
            .map_err(|error| Failure::while_doing(format_args!("runc wrote no {}", path.display()), error))?;
        // The process is a child of this one, so that its id stays its own until it is reaped here.
        pid.trim()
            .parse()
            .ok()
            .and_then(Process::find)
            .ok_or_else(|| Failure::new(FailureKind::Internal, format!("runc started no process {pid:?}")))
    }

    pub(crate) fn pause(&self) -> Result<(), Failure> {
        self.simple("pause")
    }

    pub(crate) fn resume(&self) -> Result<(), Failure> {
        self.simple("resume")
    }

    /// Has runc forget the container, its processes and cgroups. Nothing happens if runc does not know it.
    pub(crate) fn delete(&self) -> Result<(), Failure> {
        if !self.root.runc_state(self.id).exists() {
            return Ok(());
        }
        let mut command = self.command("delete");
        command.arg("--force").arg(self.id.to_string());
        self.call(command)
    }

    fn simple(&self, word: &str) -> Result<(), Failure> {
        let mut command = self.command(word);
        command.arg(self.id.to_string());
        self.call(command)
    }

    fn command(&self, word: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.root.runc());
        command.arg("--log").arg(self.home.runc_log());
        command.args(["--log-format", "json", word]);
        // A command lives for milliseconds: collecting its garbage, on threads of their own, costs more than it frees.
        command.env("GOGC", "off");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let end_with_shim = || {
            // SAFETY: prctl is async-signal-safe, and PR_SET_PDEATHSIG takes a signal number.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure calls nothing but prctl.
        unsafe { command.pre_exec(end_with_shim) };
        command
    }

    fn call(&self, mut command: Command) -> Result<(), Failure> {
        let starting =
            |error| Failure::while_doing(format_args!("cannot run {}", self.program.display()), error);
        let _ = fs::remove_file(self.home.runc_log());
        let mut child = command.spawn().map_err(starting)?;
        // An unreaped child keeps its id.
        let in_time = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .is_none_or(ended_in_time);
        let status = child.wait().map_err(starting)?;
        if status.success() {
            return Ok(());
        }
        let message = if in_time {
            self.last_error()
                .unwrap_or_else(|| format!("runc failed: {status}"))
        } else {
            format!("runc did not end within {LIMIT_S} s")
        };
        Err(Failure::new(kind_of(&message), message))
    }

    fn last_error(&self) -> Option<String> {
        let text = fs::read_to_string(self.home.runc_log()).ok()?;
        let mut records = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Record>(line).ok());
        records
            .rfind(|record| record.level == "error" || record.level == "fatal")
            .map(|record| record.msg)
    }
}

/// Waits for a child; kills it when its time is over.
fn ended_in_time(pid: Pid) -> bool {
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: LIMIT_S,
        tv_nsec: 0,
    };
    if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&limit))) == Ok(0) {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        return false;
    }
    true
}

/// Which of runc's errors mean that the program cannot be run, as Docker's client tells them.
fn kind_of(message: &str) -> FailureKind {
    let Some((_, why)) = message.split_once("exec: ") else {
        return FailureKind::Internal;
    };
    if why.contains("executable file not found") || why.contains("no such file or directory") {
        FailureKind::CommandNotFound
    } else if why.contains("permission denied") || why.contains("is a directory") {
        FailureKind::CommandNotExecutable
    } else {
        FailureKind::Internal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_runc_are_told_apart() {
        let prefix = "runc run failed: unable to start container process: ";
        let cases = [
            (
                "exec: \"nosuch\": executable file not found in $PATH",
                FailureKind::CommandNotFound,
            ),
            (
                "exec: \"/x\": stat /x: no such file or directory",
                FailureKind::CommandNotFound,
            ),
            (
                "exec: \"/etc\": permission denied",
                FailureKind::CommandNotExecutable,
            ),
            ("error mounting \"proc\"", FailureKind::Internal),
        ];
        for (words, kind) in cases {
            assert_eq!(kind_of(&format!("{prefix}{words}")), kind, "{words}");
        }
    }
}
