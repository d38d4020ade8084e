//! Calls runc, one command at a time.

use crate::{Failure, FailureKind, Home, Process, Root, mount_points, remains};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use selur_protocol::ContainerId;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What runc is waited for before it is killed, in seconds: a process that cannot be frozen or ended would hold the
/// shim for ever.
const LIMIT_S: i64 = 30;

/// What runc needs for its files at most, with what others take meanwhile.
const LITTLE_ROOM_BYTES: u64 = 1 << 20;
const FEW_FILES: u64 = 16;

/// What a further process is run with.
pub(crate) struct ExecCall<'a> {
    /// Where the specification is and runc writes.
    pub(crate) directory: &'a Path,
    /// The lock that runc is to hold as long as it lives. A file, for a process can leave its container through a
    /// directory that is open.
    pub(crate) lock: &'a File,
    /// The socket on which the terminal is wanted, if one is.
    pub(crate) console: Option<&'a Path>,
    /// Standard input, output and error.
    pub(crate) streams: [Stdio; 3],
}

impl ExecCall<'_> {
    /// The specification's name within the directory.
    pub(crate) const SPECIFICATION: &'static str = "process.json";
}

/// runc for one container.
#[derive(Debug)]
pub(crate) struct Runc {
    program: PathBuf,
    root: Root,
    home: Home,
    id: ContainerId,
    /// Where runc writes why it failed.
    log: PathBuf,
}

/// One record of runc's log.
#[derive(Deserialize)]
struct Record {
    level: String,
    msg: String,
}

/// What runc says of a container.
#[derive(Deserialize)]
struct State {
    status: String,
}

impl Runc {
    pub(crate) fn new(program: PathBuf, root: Root, id: ContainerId) -> Runc {
        let home = root.home(id);
        Runc {
            program,
            root,
            log: home.runc_log(),
            home,
            id,
        }
    }

    /// Runs the bundle's process with these streams, or with a terminal that is passed to this socket. It may have ended
    /// when this returns.
    pub(crate) fn run(&self, streams: [Stdio; 3], console: Option<&Path>) -> Result<Process, Failure> {
        mount_points::check(&self.home.rootfs())?;
        let mut command = self.command("run");
        command.arg("--detach").arg("--bundle").arg(self.home.bundle());
        command.arg("--pid-file").arg(self.home.pid_file());
        if let Some(console) = console {
            command.arg("--console-socket").arg(console);
        }
        command.arg(self.id.to_string());
        let [stdin, stdout, stderr] = streams;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        self.call(command)?;
        started(&self.home.pid_file())
    }

    /// Runs a further process in the container. It may have ended when this returns.
    pub(crate) fn exec(mut self, call: ExecCall<'_>) -> Result<Process, Failure> {
        // Its own: the shim uses the container's.
        self.log = call.directory.join("runc.log");
        let pid_file = call.directory.join("pid");
        let mut command = self.command("exec");
        command.arg("--detach").arg("--pid-file").arg(&pid_file);
        command
            .arg("--process")
            .arg(call.directory.join(ExecCall::SPECIFICATION));
        if let Some(console) = call.console {
            command.arg("--console-socket").arg(console);
        }
        command.arg(self.id.to_string());
        let [stdin, stdout, stderr] = call.streams;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let lock = call.lock.as_raw_fd();
        let pass_lock = move || {
            // SAFETY: fcntl is async-signal-safe, and F_SETFD takes a number; the file is open until runc has ended.
            match unsafe { libc::fcntl(lock, libc::F_SETFD, 0) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure calls nothing but fcntl.
        unsafe { command.pre_exec(pass_lock) };
        self.call(command)?;
        started(&pid_file)
    }

    pub(crate) fn pause(&self) -> Result<(), Failure> {
        self.simple("pause")
    }

    /// Whether the container's processes are frozen, as runc sees it.
    pub(crate) fn is_paused(&self) -> Result<bool, Failure> {
        let mut command = self.command("state");
        command.arg(self.id.to_string());
        let failed =
            |error: io::Error| Failure::while_doing("cannot ask runc for the container's state", error);
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
        // What it says fits the pipe, so that it ends before anybody reads.
        command.stdout(write);
        self.call(command)?;
        let mut text = Vec::new();
        File::from(read).read_to_end(&mut text).map_err(failed)?;
        let state: State = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        Ok(state.status == "paused")
    }

    pub(crate) fn resume(&self) -> Result<(), Failure> {
        self.simple("resume")
    }

    /// Has runc forget the container, its processes and cgroups. Nothing happens if runc does not know it.
    pub(crate) fn delete(&self) -> Result<(), Failure> {
        let state = self.root.runc_state(self.id);
        if !state.exists() || remains::remove(&state, self.id) {
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
        command.arg("--log").arg(&self.log);
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
        let _ = fs::remove_file(&self.log);
        let mut child = command.spawn().map_err(starting)?;
        // With the container's ends of its streams, which it alone is to hold.
        drop(command);
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
        // runc does not always say why it could not write.
        match kind_of(&message) {
            FailureKind::Internal if self.has_no_room() => Err(Failure::new(
                FailureKind::DiskFull,
                format!(
                    "{message}; the disk of {} is full: no space left on device",
                    self.root.path().display()
                ),
            )),
            kind => Err(Failure::new(kind, message)),
        }
    }

    /// Whether the disk has hardly any room left: what failed has given some back.
    fn has_no_room(&self) -> bool {
        rustix::fs::statvfs(self.root.path()).is_ok_and(|found| {
            // Some file systems do not count their files.
            let has_few_files = found.f_files > 0 && found.f_favail < FEW_FILES;
            found.f_bavail.saturating_mul(found.f_frsize) < LITTLE_ROOM_BYTES || has_few_files
        })
    }

    fn last_error(&self) -> Option<String> {
        let text = fs::read_to_string(&self.log).ok()?;
        let mut records = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Record>(line).ok());
        records
            .rfind(|record| record.level == "error" || record.level == "fatal")
            .map(|record| record.msg)
    }
}

/// The process that runc has started. It is a child of this one, so that its id stays its own until it is reaped here.
fn started(pid_file: &Path) -> Result<Process, Failure> {
    let pid = fs::read_to_string(pid_file)
        .map_err(|error| Failure::while_doing(format_args!("runc wrote no {}", pid_file.display()), error))?;
    pid.trim()
        .parse()
        .ok()
        .and_then(Process::find)
        .ok_or_else(|| Failure::new(FailureKind::Internal, format!("runc started no process {pid:?}")))
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
    if message.contains("no space left on device") {
        return FailureKind::DiskFull;
    }
    // The working directory is none, or may not be entered.
    if message.contains("set in config.json failed") {
        return FailureKind::CommandNotExecutable;
    }
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
            (
                "chdir to cwd (\"/x\") set in config.json failed: no such file or directory",
                FailureKind::CommandNotExecutable,
            ),
            ("error mounting \"proc\"", FailureKind::Internal),
            (
                "write /root/runc/id/state.json: no space left on device",
                FailureKind::DiskFull,
            ),
        ];
        for (words, kind) in cases {
            assert_eq!(kind_of(&format!("{prefix}{words}")), kind, "{words}");
        }
    }
}
