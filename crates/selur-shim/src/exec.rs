//! A further process in a running container: one errand, one process of selur's for each.
//!
//! The bridge passes the process's ends of its pipes, so that its bytes flow between the two and never through here;
//! with a terminal it gets the terminal's master instead. What is left to do is to wait for the process, tell how it
//! ended, and end it when the bridge hangs up.
//!
//! The errand has a directory of the container's as long as it lives. One that dies leaves it, by which others know that
//! there may be a process to end.

use crate::console::Console;
use crate::errand::Site;
use crate::orphans::{self, Directory};
use crate::process::{has_ended, reap, session_of};
use crate::runc::{ExecCall, Runc};
use crate::{ExecEnd, Failure, FailureKind, Further, Life, Process, Reply, passing, user};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use selur_protocol::State;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;

/// How often what the process has left in its session is looked for: it may fork while it is killed.
const KILLING_ROUNDS: u32 = 16;

/// How long a container's first process that is ending may take until that is seen.
const ENDING_LIMIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// Runs the process to its end. What cannot be started is answered and has left nothing.
pub(crate) fn run(
    mut peer: UnixStream,
    site: &Site,
    runc: PathBuf,
    wanted: Further,
    descriptors: Vec<OwnedFd>,
) -> Result<(), Failure> {
    let started = start(site, runc, wanted, descriptors);
    let Started {
        process,
        pidfd,
        terminal,
        directory,
    } = match started {
        Ok(started) => started,
        Err(failure) => {
            let _ = peer.write_all(&Reply::new(Err(failure.clone())).to_line());
            return Err(failure);
        }
    };
    let reply = Reply::new(Ok(())).to_line();
    let passed: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
    // A bridge that is gone has hung up, which is noticed below.
    let _ = passing::send(&peer, &reply, &passed);
    drop(passed);
    drop(terminal);

    let mut fds = [
        PollFd::new(&pidfd, PollFlags::IN),
        // A hang-up is told unasked.
        PollFd::new(&peer, PollFlags::empty()),
    ];
    while fds.iter().all(|fd| fd.revents().is_empty()) {
        let _ = poll(&mut fds, None);
    }
    if !has_ended(&pidfd) {
        kill_session(process.pid, &pidfd);
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let _ = rustix::io::retry_on_intr(|| poll(&mut fds, None));
    }
    let end = ExecEnd {
        exit_code: reap(process.pid),
    };
    // Whoever is told of the end finds nothing of it.
    drop(directory);
    let _ = peer.write_all(&end.to_line());
    Ok(())
}

/// A process that runs.
struct Started {
    /// A child of this one.
    process: Process,
    pidfd: OwnedFd,
    /// The master of its terminal.
    terminal: Option<OwnedFd>,
    directory: Directory,
}

fn start(site: &Site, runc: PathBuf, wanted: Further, descriptors: Vec<OwnedFd>) -> Result<Started, Failure> {
    let (specification, first) = specification(site, &wanted)?;
    orphans::sweep(site);
    let mut descriptors = descriptors.into_iter();
    let mut next = |is_wanted: bool| -> Result<Stdio, Failure> {
        if !is_wanted {
            return Ok(Stdio::null());
        }
        let missing = || Failure::new(FailureKind::BadRequest, "a descriptor is missing");
        descriptors.next().map(Stdio::from).ok_or_else(missing)
    };
    let streams = [
        next(wanted.stdin && !wanted.terminal)?,
        next(!wanted.terminal)?,
        next(!wanted.terminal)?,
    ];
    let failed = |error: io::Error| Failure::while_doing("cannot prepare the process", error);
    let directory = Directory::make(&site.home, wanted.number).map_err(failed)?;
    let path = directory.path.join(ExecCall::SPECIFICATION);
    fs::write(&path, specification.to_string()).map_err(failed)?;
    let console = match wanted.terminal {
        true => Some(Console::listen(&directory.path).map_err(failed)?),
        false => None,
    };
    let call = ExecCall {
        directory: &directory.path,
        lock: directory.lock(),
        console: console.as_ref().map(Console::path),
        streams,
    };
    let process = Runc::new(runc, site.root.clone(), site.id)
        .exec(call)
        .map_err(|failure| {
            // runc was killed perhaps when it had begun: a container that was paused meanwhile holds it up.
            orphans::give_up(site, &directory);
            blame(site, &first, failure)
        })?;
    // It says what only the process is to know.
    let _ = fs::remove_file(&path);
    let pidfd = process.open().ok_or_else(|| {
        orphans::give_up(site, &directory);
        Failure::new(
            FailureKind::Internal,
            "the process cannot be waited for: this needs Linux 5.3 and a free file descriptor",
        )
    })?;
    let terminal = match console.map(Console::receive).transpose() {
        Ok(terminal) => terminal,
        Err(error) => {
            kill_session(process.pid, &pidfd);
            return Err(Failure::while_doing("runc passed no terminal", error));
        }
    };
    Ok(Started {
        process,
        pidfd,
        terminal,
        directory,
    })
}

/// What is wrong where runc says so in many ways: the container has ended meanwhile, or was paused.
fn blame(site: &Site, first: &OwnedFd, failure: Failure) -> Failure {
    if failure.kind != FailureKind::Internal {
        return failure;
    }
    // No process can join one that is ending, which it is seen to be when all others of the container have ended.
    let mut fds = [PollFd::new(first, PollFlags::IN)];
    let has_ended =
        rustix::io::retry_on_intr(|| poll(&mut fds, Some(&ENDING_LIMIT))).is_ok_and(|ready| ready > 0);
    let life = Life::read(&site.root, site.id).ok().flatten();
    if has_ended || life.is_none_or(|life| life.state != State::Running) {
        return wrong_state();
    }
    failure
}

fn wrong_state() -> Failure {
    Failure::new(FailureKind::WrongState, "the container does not run")
}

/// What runc is told to run: the container's own process with what is wanted in its places. And a descriptor of the
/// container's first process.
fn specification(site: &Site, wanted: &Further) -> Result<(Value, OwnedFd), Failure> {
    let life = Life::read(&site.root, site.id)
        .map_err(|error| Failure::while_doing("cannot read the container's life", error))?
        .filter(|life| life.state == State::Running);
    let first = life.and_then(|life| life.process).ok_or_else(wrong_state)?;
    let pidfd = first.open().ok_or_else(wrong_state)?;

    let reading = |error: io::Error| Failure::while_doing("cannot read the container's bundle", error);
    let bundle = fs::read(site.home.bundle_config()).map_err(reading)?;
    let mut bundle: Bundle = serde_json::from_slice(&bundle).map_err(|error| reading(error.into()))?;
    let process = &mut bundle.process;
    if let Some(user) = &wanted.user {
        // The id is the container's as long as its process has not ended.
        let root = PathBuf::from(format!("/proc/{}/root", first.pid));
        let resolved = user::resolve_in(&root, user, site.mapping.as_ref());
        if has_ended(&pidfd) {
            return Err(wrong_state());
        }
        process["user"] = resolved?;
    }
    process["args"] = json!(wanted.arguments);
    let own: Vec<String> = serde_json::from_value(process["env"].take()).unwrap_or_default();
    process["env"] = json!(environment(own, wanted));
    if let Some(directory) = &wanted.working_directory {
        process["cwd"] = json!(directory);
    }
    process["terminal"] = json!(wanted.terminal);
    if let Some((rows, columns)) = wanted.size.filter(|_| wanted.terminal) {
        process["consoleSize"] = json!({ "height": rows, "width": columns });
    } else if let Some(process) = process.as_object_mut() {
        process.remove("consoleSize");
    }
    Ok((bundle.process, pidfd))
}

/// What is read of a bundle: the rest is long.
#[derive(serde::Deserialize)]
struct Bundle {
    process: Value,
}

/// The container's variables, what a terminal needs, what was asked for: the last of a name counts.
fn environment(own: Vec<String>, wanted: &Further) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut environment = own;
    if wanted.terminal && !environment.iter().any(|entry| name(entry) == "TERM") {
        environment.push("TERM=xterm".into());
    }
    for entry in &wanted.environment {
        match environment.iter_mut().find(|known| name(known) == name(entry)) {
            Some(known) => known.clone_from(entry),
            None => environment.push(entry.clone()),
        }
    }
    environment
}

/// Kills the process and what it left in its session: runc makes every process the first of one. The process is not
/// reaped yet, so that the session's number is nobody else's.
fn kill_session(leader: u32, pidfd: &OwnedFd) {
    let _ = pidfd_send_signal(pidfd, Signal::KILL);
    for _ in 0..KILLING_ROUNDS {
        let mut found = false;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(pid) = pid.filter(|pid| *pid != leader && session_of(*pid) == Some(leader)) else {
                continue;
            };
            if let Some(member) = Process::find(pid).and_then(|process| process.open())
                && session_of(pid) == Some(leader)
                && !has_ended(&member)
            {
                found = true;
                let _ = pidfd_send_signal(&member, Signal::KILL);
            }
        }
        if !found {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_laid_over_the_containers_own() {
        let wanted = Further {
            environment: vec!["A=2".into(), "C=".into()],
            terminal: true,
            ..Further::default()
        };
        let own = vec!["A=1".into(), "B=x=y".into()];
        assert_eq!(environment(own, &wanted), ["A=2", "B=x=y", "TERM=xterm", "C="]);
    }
}
