//! Processes by an identity that is never used again: the process id with the moment of its start.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, test_kill_process, waitpid};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use std::{fs, io};

/// How long a tracer may keep the end of a process to itself, and how long apart it is asked for.
const TRACER_LIMIT: Duration = Duration::from_secs(10);
const TRACER_PAUSE: Duration = Duration::from_millis(5);

/// A process of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id in the host's pid namespace.
    pub pid: u32,
    /// When it was started, in clock ticks since the boot.
    pub started_ticks: u64,
}

impl Process {
    /// The process that has this id now, if one has.
    pub fn find(pid: u32) -> Option<Process> {
        started_ticks(pid).map(|started_ticks| Process { pid, started_ticks })
    }

    /// This process.
    pub fn own() -> Option<Process> {
        Process::find(std::process::id())
    }

    /// A descriptor of the process, while it exists. It becomes readable when the process ends.
    pub fn open(&self) -> Option<OwnedFd> {
        self.look().ok()?
    }

    /// Whether the process runs: a zombie that nobody reaps does not.
    ///
    /// Where no descriptor is left to look with, a process counts as this one as long as any has its id: what is taken for
    /// dead is cleared away.
    pub fn is_alive(&self) -> bool {
        match self.look() {
            Ok(pidfd) => pidfd.is_some_and(|pidfd| !has_ended(&pidfd)),
            Err(NothingToLookWith) => {
                let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
                pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
            }
        }
    }

    fn look(&self) -> Result<Option<OwnedFd>, NothingToLookWith> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let Some(pidfd) = unless_exhausted(pidfd_open(pid, PidfdFlags::empty()))? else {
            return Ok(None);
        };
        // Only now: the id may have been given to another process before the descriptor was opened.
        let stat = unless_exhausted(try_read_stat(self.pid))?;
        let started_ticks: Option<u64> = stat.and_then(|stat| field(&stat, STARTED_TICKS));
        Ok((started_ticks == Some(self.started_ticks)).then_some(pidfd))
    }
}

/// The process or the machine has no descriptor or no memory left, which says nothing of any other process.
struct NothingToLookWith;

fn unless_exhausted<T, E: Into<io::Error>>(looked: Result<T, E>) -> Result<Option<T>, NothingToLookWith> {
    const EXHAUSTED: [Errno; 3] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    match looked.map_err(Into::into) {
        Ok(seen) => Ok(Some(seen)),
        Err(error)
            if EXHAUSTED
                .iter()
                .any(|errno| Errno::from_io_error(&error) == Some(*errno)) =>
        {
            Err(NothingToLookWith)
        }
        Err(_) => Ok(None),
    }
}

/// Whether the process of a descriptor has ended.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// Whether this process has a child that runs. Those that have ended are reaped.
pub(crate) fn has_children() -> bool {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            outcome => return outcome.is_ok(),
        }
    }
}

/// How a child that has ended did: its code, or 128 + the signal that ended it.
pub(crate) fn reap(pid: u32) -> Option<i32> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let until = Instant::now() + TRACER_LIMIT;
    loop {
        if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG).ok()? {
            return status
                .exit_status()
                .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
        }
        // Somebody traces it: the tracer is told first, and the parent when that has listened.
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(TRACER_PAUSE);
    }
}

/// Which field of /proc/PID/stat says when a process was started.
///
/// Source: proc_pid_stat(5).
const STARTED_TICKS: usize = 22;

fn started_ticks(pid: u32) -> Option<u64> {
    stat_field(pid, STARTED_TICKS)
}

/// The session that the process with this id is in: the id of its leader.
pub(crate) fn session_of(pid: u32) -> Option<u32> {
    stat_field(pid, 6)
}

/// The parent of the process with this id.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    stat_field(pid, 4)
}

/// The parent and the session of the process with this id, in one look.
pub(crate) fn parent_and_session_of(pid: u32) -> Option<(u32, u32)> {
    let stat = read_stat(pid)?;
    Some((field(&stat, 4)?, field(&stat, 6)?))
}

fn stat_field<T: std::str::FromStr>(pid: u32, number: usize) -> Option<T> {
    field(&read_stat(pid)?, number)
}

fn read_stat(pid: u32) -> Option<String> {
    try_read_stat(pid).ok()
}

fn try_read_stat(pid: u32) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/stat"))
}

/// A field from the third on. The second, the name, may contain anything, so count from its closing parenthesis.
fn field<T: std::str::FromStr>(stat: &str, number: usize) -> Option<T> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;

    #[test]
    fn a_process_is_not_mistaken_for_another_of_the_same_id() {
        let own = Process::own().unwrap();
        assert!(own.is_alive());
        let earlier = Process {
            started_ticks: own.started_ticks - 1,
            ..own
        };
        assert!(!earlier.is_alive());
    }

    #[test]
    fn who_has_no_descriptor_left_takes_no_process_for_dead() {
        const PARENT: &str = "SELUR_TEST_PARENT_STARTED_TICKS";
        let Ok(started_ticks) = std::env::var(PARENT) else {
            // In a process of its own, for others need descriptors meanwhile.
            let name = "process::tests::who_has_no_descriptor_left_takes_no_process_for_dead";
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(PARENT, Process::own().unwrap().started_ticks.to_string())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout);
            assert!(child.status.success() && said.contains("1 passed"), "{said}");
            return;
        };
        let parent = Process {
            pid: std::os::unix::process::parent_id(),
            started_ticks: started_ticks.parse().unwrap(),
        };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = Process::find(child.id()).unwrap();
        child.wait().unwrap();
        let limit = getrlimit(Resource::Nofile);
        let none = Rlimit {
            current: Some(0),
            ..limit
        };
        setrlimit(Resource::Nofile, none).unwrap();
        let (no_descriptor, seen) = (parent.open().is_none(), [parent.is_alive(), gone.is_alive()]);
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(no_descriptor);
        assert_eq!(seen, [true, false]);
    }

    /// Traces a process from another one until `end` ends, and says in `ready` whether it could. Gives the tracer's id.
    fn trace(pid: u32, ready: &OwnedFd, end: &OwnedFd, not_ended: &UnixStream) -> i32 {
        let (ready, end, not_ended) = (ready.as_raw_fd(), end.as_raw_fd(), not_ended.as_raw_fd());
        // SAFETY: the child does nothing but the system calls below.
        let tracer = unsafe { libc::fork() };
        if tracer != 0 {
            return tracer;
        }
        // So that it ends with this test, however that ends.
        // SAFETY: nobody else in the child uses the descriptor.
        unsafe { libc::close(not_ended) };
        // SAFETY: this request takes no memory.
        let mut byte = u8::from(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) } == 0);
        // SAFETY: the byte is there, and the descriptor open.
        unsafe { libc::write(ready, (&raw const byte).cast(), 1) };
        // SAFETY: as above.
        unsafe { libc::read(end, (&raw mut byte).cast(), 1) };
        // SAFETY: nothing of the parent's is cleaned up.
        unsafe { libc::_exit(0) }
    }

    #[test]
    fn the_code_of_a_process_that_is_traced_comes_when_its_tracer_lets_go() {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", "read line; exit 7"])
            .stdin(std::process::Stdio::piped());
        // Where Yama lets only a parent trace; what it says where there is no Yama is of no interest.
        let may_be_traced = || {
            // SAFETY: this request takes no memory.
            unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
            Ok(())
        };
        // SAFETY: it is one system call.
        unsafe { command.pre_exec(may_be_traced) };
        let mut child = command.spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        let pidfd = process.open().unwrap();
        let (is_ready, ready) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (end, not_ended) = UnixStream::pair().unwrap();
        let end = OwnedFd::from(end);
        let tracer = trace(process.pid, &ready, &end, &not_ended);
        assert!(tracer > 0);
        let mut is_traced = [0];
        fs::File::from(is_ready).read_exact(&mut is_traced).unwrap();
        // Its end would not do: the tracer has the pipe, too.
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
        let (sender, code) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(reap(process.pid)));
        let early = code.recv_timeout(Duration::from_millis(100));
        not_ended.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(is_traced, [1], "the process cannot be traced");
        assert!(early.is_err(), "{early:?}");
        assert_eq!(code.recv().unwrap(), Some(7));
        assert_eq!(reap(u32::try_from(tracer).unwrap()), Some(0));
        child.wait().unwrap_err();
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        let pidfd = process.open().unwrap();
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
        assert_eq!(Process::find(process.pid), None);
    }
}
