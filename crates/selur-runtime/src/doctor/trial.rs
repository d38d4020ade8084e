//! Trying things that may hang: each has a deadline, and what overruns it is left behind or killed.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything that is tried may take.
pub(super) const LIMIT: Duration = Duration::from_secs(3);
/// How much of a program's output is read.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;
const PAUSE: Duration = Duration::from_millis(1);

/// The result of something that may hang, as a file system whose server is gone does. Nothing after [`LIMIT`]: the thread
/// that tries it is then left to end when it can.
pub(super) fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, hear) = mpsc::channel();
    let work = move || {
        // Nobody listens after the deadline.
        let _ = tell.send(work());
    };
    thread::Builder::new()
        .name("selur-doctor".into())
        .spawn(work)
        .ok()?;
    hear.recv_timeout(LIMIT).ok()
}

/// What a program wrote, and how it ended.
pub(super) struct Ended {
    pub(super) output: String,
    pub(super) status: ExitStatus,
}

/// Runs a program that asks for nothing, with its outputs joined. One that overruns [`LIMIT`] is killed, with what it
/// has started.
pub(super) fn run(mut command: Command) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .current_dir("/")
        .process_group(0);
    let mut child = command.spawn()?;
    // It holds the pipe's writing ends.
    drop(command);
    let deadline = Instant::now() + LIMIT;
    let (tell, hear) = mpsc::channel();
    thread::Builder::new()
        .name("selur-doctor".into())
        .spawn(move || {
            let mut output = Vec::new();
            let _ = reader.take(MAX_OUTPUT_BYTES).read_to_end(&mut output);
            let _ = tell.send(output);
        })?;
    let output = hear.recv_timeout(LIMIT);
    let status = loop {
        match child.try_wait() {
            Ok(None) if output.is_ok() && Instant::now() < deadline => thread::sleep(PAUSE),
            Ok(None) => break None,
            Ok(Some(status)) => break Some(status),
            // A host that reaps every child was quicker.
            Err(_) => break Some(ExitStatus::from_raw(0)),
        }
    };
    match (output, status) {
        (Ok(output), Some(status)) => Ok(Ended {
            output: String::from_utf8_lossy(&output).into_owned(),
            status,
        }),
        (_, status) => {
            if status.is_none() {
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
            }
            let message = format!("it did not end within {} s", LIMIT.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;

    fn shell(script: &str) -> io::Result<Ended> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        run(command)
    }

    #[test]
    fn outputs_are_joined_and_the_end_is_told() {
        let ended = shell("echo one; echo two >&2; exit 3").unwrap();
        assert_eq!(
            (ended.output.as_str(), ended.status.code()),
            ("one\ntwo\n", Some(3))
        );
    }

    #[test]
    fn what_hangs_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let note = directory.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", note.display());
        let error = shell(&script).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let pid = std::fs::read_to_string(&note).unwrap();
        let status = format!("/proc/{}/status", pid.trim());
        // Whoever reaps it may be slow.
        let is_gone = || !std::fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
        selur_testkit::wait_until("the sleeper is gone", LIMIT, is_gone);
    }

    #[test]
    fn endless_output_is_cut_off() {
        assert!(shell("exec yes").is_ok_and(|ended| ended.output.len() as u64 == MAX_OUTPUT_BYTES));
        assert!(within(|| thread::park_timeout(LIMIT * 2)).is_none());
        assert_eq!(within(|| 7), Some(7));
    }
}
