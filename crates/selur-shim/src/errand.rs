//! Does what the bridge asked, and answers once.

use crate::supervisor::Supervisor;
use crate::{
    Errand, Failure, FailureKind, Home, Launch, Life, Lock, PROTOCOL_VERSION, Process, Reply, Root, detach,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use selur_protocol::ContainerId;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// A longer launch is refused, in bytes.
const MAX_LAUNCH_BYTES: u64 = 1 << 20;
/// How long the bridge has to send it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a killed process has to end, in seconds: one in an uninterruptible wait may never.
const DEATH_LIMIT_S: i64 = 10;

/// What every errand needs.
pub(crate) struct Site {
    pub(crate) root: Root,
    pub(crate) home: Home,
    pub(crate) id: ContainerId,
    /// Held as long as the shim lives.
    pub(crate) _alive: Lock,
}

pub(crate) fn run(peer: UnixStream) -> ExitCode {
    let prepared = read(&peer).and_then(|launch| {
        let site = Site::take(&launch)?;
        Ok((site, launch))
    });
    let supervisor = prepared.and_then(|(site, launch)| match launch.errand {
        Errand::Start {
            layers,
            user,
            restart,
        } => Supervisor::start(site, launch.runc, &layers, user, restart).map(Some),
        Errand::Adopt => Supervisor::adopt(site, launch.runc).map(Some),
        Errand::Reap => reap(&site, &launch).map(|()| None),
    });
    // What a failed errand held is released by now, so that the bridge finds it free.
    match supervisor {
        Ok(Some(mut supervisor)) => {
            answer(peer, Ok(()));
            supervisor.supervise();
            // The process's end releases its lock: where that is free, there is no shim any more.
            std::mem::forget(supervisor);
            ExitCode::SUCCESS
        }
        Ok(None) => {
            answer(peer, Ok(()));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            answer(peer, Err(failure));
            ExitCode::FAILURE
        }
    }
}

impl Site {
    fn take(launch: &Launch) -> Result<Site, Failure> {
        let bad = || Failure::new(FailureKind::BadRequest, "the launch names no container");
        let id = ContainerId::parse(&launch.id).ok_or_else(bad)?;
        let root = Root::new(&launch.root);
        let home = root.home(id);
        let failed = |error: io::Error| Failure::while_doing("cannot take hold of the container", error);
        let busy = || Failure::new(FailureKind::Busy, "another shim holds the container");
        let alive = Lock::try_at(&root.alive(id)).map_err(failed)?.ok_or_else(busy)?;
        if let Some(own) = Process::own() {
            let own = serde_json::to_vec(&own).unwrap_or_default();
            alive.file().set_len(0).map_err(failed)?;
            alive.file().write_all_at(&own, 0).map_err(failed)?;
        }
        if let Ok(log) = File::options().create(true).append(true).open(home.shim_log()) {
            detach::keep_own_words(&log).map_err(failed)?;
        }
        Ok(Site {
            root,
            home,
            id,
            _alive: alive,
        })
    }
}

fn read(peer: &UnixStream) -> Result<Launch, Failure> {
    let bad = |message: String| Failure::new(FailureKind::BadRequest, message);
    let mut text = Vec::new();
    peer.set_read_timeout(Some(PATIENCE))
        .and_then(|()| peer.take(MAX_LAUNCH_BYTES).read_to_end(&mut text))
        .map_err(|error| bad(format!("cannot read the launch: {error}")))?;
    let launch: Launch = serde_json::from_slice(&text).map_err(|error| bad(format!("no launch: {error}")))?;
    if launch.version == PROTOCOL_VERSION {
        Ok(launch)
    } else {
        Err(bad(format!(
            "this selur-shim speaks version {PROTOCOL_VERSION}, the bridge version {}: install both from one release",
            launch.version
        )))
    }
}

/// A bridge that has died meanwhile gets no answer, and changes nothing.
fn answer(mut peer: UnixStream, result: Result<(), Failure>) {
    let reply = serde_json::to_vec(&Reply::new(result)).unwrap_or_default();
    let _ = peer.write_all(&reply);
    let _ = peer.shutdown(Shutdown::Both);
}

/// Ends the container's process, if it runs, and has runc forget it.
fn reap(site: &Site, launch: &Launch) -> Result<(), Failure> {
    let life = Life::read(&site.root, site.id).ok().flatten();
    if let Some(process) = life.and_then(|life| life.process)
        && let Some(pidfd) = process.open()
    {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: DEATH_LIMIT_S,
            tv_nsec: 0,
        };
        let runc = crate::runc::Runc::new(launch.runc.clone(), site.root.clone(), site.id);
        // A frozen process of cgroup v1 dies when it is thawed.
        let _ = runc.resume();
        let _ = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&limit)));
    }
    crate::runc::Runc::new(launch.runc.clone(), site.root.clone(), site.id).delete()
}
