//! The built `selur` as a process: started, watched, signalled, awaited with a deadline.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long anything may take on a busy machine before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
}

impl Ending {
    /// Standard output of a command that is to end with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// Standard error of a command that is to end with this code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.stderr
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Standard output as one JSON document a line.
    #[track_caller]
    pub(crate) fn json_lines(self) -> Vec<serde_json::Value> {
        let text = self.ok();
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        text.lines().map(parse).collect()
    }
}

/// The command with nothing of this environment that would change what it does.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selur"));
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "SELUR_ROOT",
        "SELUR_SHIM",
        "SELUR_MAX_LAYER_BYTES",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs the command to its end.
#[track_caller]
pub(crate) fn selur(arguments: &[&str]) -> Ending {
    Running::start(command(arguments)).end()
}

/// A command that runs; dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

impl Running {
    /// Starts it, its outputs watched.
    pub(crate) fn start(mut command: Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = Stream::read(child.stdout.take().unwrap());
        let stderr = Stream::read(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until standard output contains a text.
    #[track_caller]
    pub(crate) fn await_stdout(&self, text: &str) {
        self.stdout.await_text(text);
    }

    /// Waits until standard error contains a text.
    #[track_caller]
    pub(crate) fn await_stderr(&self, text: &str) {
        self.stderr.await_text(text);
    }

    /// Waits for its end, and for that of its outputs.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ending {
        let seen = || format!("{} {}", self.stdout.text(), self.stderr.text());
        let code = await_end(&mut self.child, seen);
        Ending {
            code,
            stdout: self.stdout.end(),
            stderr: self.stderr.end(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a process, and gives its exit code; what was seen of it is told if it does not end.
#[track_caller]
pub(crate) fn await_end(child: &mut Child, seen: impl Fn() -> String) -> Option<i32> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: DEADLINE.as_secs() as i64,
        tv_nsec: 0,
    };
    let ready = poll(&mut fds, Some(&limit)).unwrap();
    assert!(ready > 0, "the command did not end: {}", seen());
    child.wait().unwrap().code()
}

struct Stream {
    seen: Arc<(Mutex<Vec<u8>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(mut source: impl Read + Send + 'static) -> Stream {
        let seen = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let tell = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                tell.0.lock().unwrap().extend_from_slice(&buffer[..length]);
                tell.1.notify_all();
            }
        });
        Stream {
            seen,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.0.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn await_text(&self, text: &str) {
        let seen = self.seen.0.lock().unwrap();
        let lacks = |seen: &mut Vec<u8>| !String::from_utf8_lossy(seen).contains(text);
        let (seen, result) = self.seen.1.wait_timeout_while(seen, DEADLINE, lacks).unwrap();
        assert!(
            !result.timed_out(),
            "no {text:?} in {:?}",
            String::from_utf8_lossy(&seen)
        );
    }

    fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

/// Waits until a condition holds, for as long as a test waits for anything.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    selur_testkit::wait_until(what, DEADLINE, holds);
}
