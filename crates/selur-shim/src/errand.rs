//! Does what the bridge asked, and answers once.

use crate::runc::Runc;
use crate::supervisor::{Ends, Supervisor};
use crate::{
    Errand, Failure, FailureKind, Home, Launch, Life, Lock, Mapping, OLDEST_VERSION, PROTOCOL_VERSION,
    Process, Reply, Root, Told, current_boot, detach, exec, fill, orphans, passing, remains, trees, userns,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use selur_protocol::ContainerId;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A longer launch is refused, in bytes.
const MAX_LAUNCH_BYTES: usize = 1 << 20;
/// How long the bridge has to send it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a killed process has to end, in seconds: one in an uninterruptible wait may never.
const DEATH_LIMIT_S: i64 = 10;

/// What every errand needs.
pub(crate) struct Site {
    pub(crate) root: Root,
    pub(crate) home: Home,
    pub(crate) id: ContainerId,
    /// The ids that there are, in a user namespace.
    pub(crate) mapping: Option<Mapping>,
    /// Held as long as the container's shim lives; what is no shim has none.
    pub(crate) _alive: Option<Lock>,
}

pub(crate) fn run(peer: UnixStream) -> ExitCode {
    let mut descriptors = Vec::new();
    match read(&peer, &mut descriptors) {
        Ok(launch) => perform(peer, launch, descriptors),
        Err(failure) => refuse(peer, failure),
    }
}

fn perform(peer: UnixStream, mut launch: Launch, descriptors: Vec<OwnedFd>) -> ExitCode {
    if let Some(mapping) = &launch.mapping
        && let Err(failure) = enter_namespace(&launch, mapping)
    {
        return refuse(peer, failure);
    }
    if let (Errand::Files(files), Some(mapping)) = (&mut launch.errand, &launch.mapping) {
        return match trees::run(&launch.root, files.clone(), mapping, descriptors) {
            Ok(told) => {
                answer_with(peer, Ok(()), told);
                ExitCode::SUCCESS
            }
            Err(failure) => refuse(peer, failure),
        };
    }
    let place = match Site::visit(&launch) {
        Ok(place) => place,
        Err(failure) => return refuse(peer, failure),
    };
    // What a failed errand held is released when it is refused, so that the bridge finds it free.
    let supervisor = match launch.errand {
        Errand::Exec(further) => {
            return match exec::run(peer, &place, launch.runc, further, descriptors) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Errand::Start {
            layers,
            user,
            restart,
            volumes,
            stdin,
            terminal,
        } => place
            .hold_container()
            .and_then(|site| {
                let ends = Ends { stdin, terminal };
                let fill = |site: &Site| match volumes.is_empty() {
                    true => Ok(()),
                    false => {
                        fill::volumes(&site.root, &site.home, &volumes).and_then(|()| still_wanted(&peer))
                    }
                };
                Supervisor::start(site, launch.runc, &layers, fill, user, restart, ends)
            })
            .map(Some),
        Errand::Adopt => place
            .hold_container()
            .and_then(|site| Supervisor::adopt(site, launch.runc))
            .map(Some),
        Errand::Reap => place
            .hold()
            .and_then(|site| reap(&site, launch.runc))
            .map(|()| None),
        Errand::Sweep => {
            orphans::sweep(&place);
            Ok(None)
        }
        Errand::Files(_) => Err(Failure::new(
            FailureKind::BadRequest,
            "files are touched within a user namespace only",
        )),
    };
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
        Err(failure) => refuse(peer, failure),
    }
}

/// Enters the user namespace that a running container lives in; a new one for everything else.
fn enter_namespace(launch: &Launch, mapping: &Mapping) -> Result<(), Failure> {
    let process = match launch.errand {
        Errand::Exec(_) | Errand::Adopt | Errand::Reap | Errand::Sweep => {
            ContainerId::parse(&launch.id).and_then(|id| first_process(&Root::new(&launch.root), id))
        }
        Errand::Start { .. } | Errand::Files(_) => None,
    };
    match process.as_ref().map(userns::join).transpose()? {
        Some(true) => Ok(()),
        _ => userns::enter(mapping),
    }
}

/// Filling volumes may take longer than the bridge waits: what it gave up must not start later.
fn still_wanted(peer: &UnixStream) -> Result<(), Failure> {
    let mut fds = [PollFd::new(peer, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // A hang-up is told unasked.
    match poll(&mut fds, Some(&at_once)) {
        Ok(1..) => Err(Failure::new(
            FailureKind::Internal,
            "the start was given up while volumes were filled",
        )),
        _ => Ok(()),
    }
}

fn refuse(peer: UnixStream, failure: Failure) -> ExitCode {
    answer(peer, Err(failure));
    ExitCode::FAILURE
}

impl Site {
    /// Looks at the container without holding it.
    fn visit(launch: &Launch) -> Result<Site, Failure> {
        let bad = || Failure::new(FailureKind::BadRequest, "the launch names no container");
        let id = ContainerId::parse(&launch.id).ok_or_else(bad)?;
        let root = Root::new(&launch.root);
        let home = root.home(id);
        if let Ok(log) = File::options().create(true).append(true).open(home.shim_log()) {
            let failed = |error| Failure::while_doing("cannot keep the shim's own words", error);
            detach::keep_own_words(&log).map_err(failed)?;
        }
        Ok(Site {
            root,
            home,
            id,
            mapping: launch.mapping.clone(),
            _alive: None,
        })
    }

    /// Becomes the shim of a container that exists.
    fn hold_container(self) -> Result<Site, Failure> {
        let site = self.hold()?;
        // A deletion holds the lock from its last look at the shim until the container is gone, so that a shim whose
        // bridge died before comes either before that look or here.
        if site.root.state(site.id).exists() {
            return Ok(site);
        }
        let _ = fs::remove_file(site.root.alive(site.id));
        Err(Failure::new(FailureKind::WrongState, "the container was deleted"))
    }

    /// Becomes the only process that works on the container.
    fn hold(self) -> Result<Site, Failure> {
        let failed = |error: io::Error| Failure::while_doing("cannot take hold of the container", error);
        let busy = || Failure::new(FailureKind::Busy, "another shim holds the container");
        let alive = Lock::try_at(&self.root.alive(self.id))
            .map_err(failed)?
            .ok_or_else(busy)?;
        if let Some(own) = Process::own() {
            let own = serde_json::to_vec(&own).unwrap_or_default();
            alive.file().set_len(0).map_err(failed)?;
            match alive.file().write_all_at(&own, 0) {
                // What is lost is that a shim which hangs can be killed: no reason for it not to work.
                Err(error) if is_full(&error) => {}
                outcome => outcome.map_err(failed)?,
            }
        }
        Ok(Site {
            _alive: Some(alive),
            ..self
        })
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Reads what the bridge wants done.
pub(crate) fn read(peer: &UnixStream, descriptors: &mut Vec<OwnedFd>) -> Result<Launch, Failure> {
    let bad = |message: String| Failure::new(FailureKind::BadRequest, message);
    let failed = |error: io::Error| bad(format!("cannot read the launch: {error}"));
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    peer.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    loop {
        let bytes = passing::receive(peer, &mut buffer, descriptors).map_err(failed)?;
        text.extend_from_slice(buffer.get(..bytes).unwrap_or_default());
        if bytes == 0 || text.len() > MAX_LAUNCH_BYTES {
            break;
        }
    }
    let launch: Launch = serde_json::from_slice(&text).map_err(|error| bad(format!("no launch: {error}")))?;
    if (OLDEST_VERSION..=PROTOCOL_VERSION).contains(&launch.version) {
        Ok(launch)
    } else {
        Err(bad(format!(
            "this selur-shim speaks versions {OLDEST_VERSION} to {PROTOCOL_VERSION}, the bridge version {}: install both from one release",
            launch.version
        )))
    }
}

/// A bridge that has died meanwhile gets no answer, and changes nothing.
fn answer(peer: UnixStream, result: Result<(), Failure>) {
    answer_with(peer, result, None);
}

fn answer_with(mut peer: UnixStream, result: Result<(), Failure>, told: Option<Told>) {
    let reply = Reply {
        told,
        ..Reply::new(result)
    };
    let _ = peer.write_all(&reply.to_line());
    let _ = peer.shutdown(Shutdown::Both);
}

/// The container's first process as its life has it; else as runc has it, for its shim may have died before it recorded
/// what it had started.
fn first_process(root: &Root, id: ContainerId) -> Option<Process> {
    match Life::read(root, id).ok().flatten() {
        // A process of another boot is another process by now.
        Some(life) if life.boot != current_boot().unwrap_or_default() => None,
        Some(life) if life.process.is_some() => life.process,
        _ => remains::recorded_process(&root.runc_state(id)),
    }
}

/// Ends the container's process, if it runs, and has runc forget it.
fn reap(site: &Site, runc: PathBuf) -> Result<(), Failure> {
    let runc = Runc::new(runc, site.root.clone(), site.id);
    if let Some(process) = first_process(&site.root, site.id)
        && let Some(pidfd) = process.open()
    {
        let stays = |why: String| {
            let message = format!("the container's process {} does not end: {why}", process.pid);
            Failure::new(FailureKind::Internal, message)
        };
        match pidfd_send_signal(&pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                let remedy = format!("ask root to run `kill -9 {}`", process.pid);
                return Err(stays(format!("it cannot be killed ({error}): {remedy}")));
            }
        }
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: DEATH_LIMIT_S,
            tv_nsec: 0,
        };
        // A frozen process of cgroup v1 dies when it is thawed.
        let _ = runc.resume();
        if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&limit))) == Ok(0) {
            return Err(stays(
                "it was killed, and waits in the kernel for a device or a file system that does not answer"
                    .into(),
            ));
        }
    }
    runc.delete()
}
