//! Stays with one container: reads its outputs, obeys the control socket, and records and follows its end.

use crate::console::Console;
use crate::errand::Site;
use crate::output::Output;
use crate::process::has_ended;
use crate::restart::{RestartRule, Restarts};
use crate::runc::Runc;
use crate::server::{Peer, Server};
use crate::{
    Command, Durability, Event, EventKind, Failure, FailureKind, Home, Life, Process, event_log, rootfs, user,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use selur_protocol::State;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SIGKILL: u8 = 9;
/// HUP is missing: it asks most daemons to read their configuration again.
const SIGNALS_THAT_END: [u8; 4] = [2, 3, SIGKILL, 15];
/// How often the exit record is tried on a disk that refuses it, and how long apart.
const RECORD_ATTEMPTS: u32 = 120;
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// The container and all that is open for it.
pub(crate) struct Supervisor {
    site: Site,
    runc: Runc,
    life: Life,
    user: String,
    ends: Ends,
    output: Output,
    server: Server,
    restarts: Restarts,
    running: Option<Running>,
    /// When the process is started again, between two generations.
    next_start: Option<Instant>,
}

/// What the first process has beside its outputs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ends {
    /// A standard input.
    pub(crate) stdin: bool,
    /// A terminal, for input and output.
    pub(crate) terminal: bool,
}

/// The process of this generation.
struct Running {
    pidfd: OwnedFd,
    process: Process,
    /// Whether it is a child of this process, so that its exit code can be had.
    is_child: bool,
    since: Instant,
    /// The writing end of its standard input, until that was ended.
    input: Option<OwnedFd>,
    stop: Option<Stop>,
    /// The signals that were sent by request.
    sent: Vec<u8>,
}

/// A stop that was asked for.
struct Stop {
    /// When SIGKILL follows; none if it was sent.
    deadline: Option<Instant>,
    /// Who waits for the end.
    peers: Vec<Peer>,
}

impl Supervisor {
    /// Runs the container's process for the first time since it was asked to start. `fill` is called when its root file
    /// system is there.
    pub(crate) fn start(
        site: Site,
        runc: PathBuf,
        layers: &[PathBuf],
        fill: impl FnOnce(&Site) -> Result<(), Failure>,
        user: String,
        restart: RestartRule,
        ends: Ends,
    ) -> Result<Supervisor, Failure> {
        rootfs::enter_namespace()?;
        let attributes = match site.mapping {
            Some(_) => rootfs::Attributes::User,
            None => rootfs::Attributes::Trusted,
        };
        rootfs::mount_overlay(&site.home, layers, attributes)?;
        if let Err(failure) = fill(&site) {
            rootfs::unmount_overlay(&site.home);
            return Err(failure);
        }
        let mut supervisor = Supervisor::new(site, runc, user, restart, ends)?;
        if supervisor.life.has_process() {
            return Err(Failure::new(
                FailureKind::WrongState,
                "the container runs already",
            ));
        }
        // What a shim left that died between runc's start and the record of it.
        supervisor.runc.delete()?;
        supervisor.life.restart_count = 0;
        match supervisor.run() {
            Ok(()) => Ok(supervisor),
            Err(failure) => {
                supervisor.fail_to_start(&failure);
                rootfs::unmount_overlay(&supervisor.site.home);
                Err(failure)
            }
        }
    }

    /// Takes over a container whose shim has died. Its process is no child: nobody will know its exit code.
    pub(crate) fn adopt(site: Site, runc: PathBuf) -> Result<Supervisor, Failure> {
        let mut supervisor = Supervisor::new(site, runc, String::new(), RestartRule::Never, Ends::default())?;
        let process = supervisor.life.process;
        match process.and_then(|process| Some((process, process.open()?))) {
            Some((process, pidfd)) => {
                supervisor.running = Some(Running::new(process, pidfd, false));
                supervisor.see_whether_it_is_frozen();
            }
            None if supervisor.life.has_process() => supervisor.end(None),
            None => {
                return Err(Failure::new(
                    FailureKind::WrongState,
                    "the container does not run",
                ));
            }
        }
        Ok(supervisor)
    }

    fn new(
        site: Site,
        runc: PathBuf,
        user: String,
        restart: RestartRule,
        ends: Ends,
    ) -> Result<Supervisor, Failure> {
        let life = Life::read(&site.root, site.id)
            .map_err(|error| Failure::while_doing("cannot read the container's life", error))?
            .ok_or_else(|| Failure::new(FailureKind::WrongState, "the container was deleted"))?;
        Ok(Supervisor {
            runc: Runc::new(runc, site.root.clone(), site.id),
            output: Output::open(&site.home)?,
            server: Server::listen(&site.home)?,
            restarts: Restarts::new(restart),
            life,
            user,
            ends,
            site,
            running: None,
            next_start: None,
        })
    }

    /// Works until the container has ended for good.
    pub(crate) fn supervise(&mut self) {
        while self.running.is_some() || self.next_start.is_some() {
            self.wait();
            let more = self.output.pump();
            for (peer, command) in self.server.requests() {
                self.obey(peer, command);
            }
            if !more
                && self
                    .running
                    .as_ref()
                    .is_some_and(|running| has_ended(&running.pidfd))
            {
                let exit_code = self.running.as_ref().and_then(Running::exit_code);
                self.end(exit_code);
            }
            self.be_on_time();
        }
        let _ = fs::remove_file(self.site.home.path().join(Home::CONTROL));
        rootfs::unmount_overlay(&self.site.home);
    }

    /// Sleeps until something is to be done.
    fn wait(&self) {
        let running = self.running.as_ref();
        let mut fds: Vec<PollFd<'_>> = running
            .map(|running| PollFd::new(&running.pidfd, PollFlags::IN))
            .into_iter()
            .collect();
        let others = self.output.descriptors().chain(self.server.descriptors());
        fds.extend(others.map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN)));
        let stop = running.and_then(|running| running.stop.as_ref()?.deadline);
        let next = [
            stop,
            self.next_start,
            self.server.deadline(),
            self.output.deadline(),
        ];
        let timeout = next.into_iter().flatten().min().map(|next| {
            let left = next.saturating_duration_since(Instant::now());
            Timespec::try_from(left).unwrap_or(Timespec {
                tv_sec: i64::MAX,
                tv_nsec: 0,
            })
        });
        // An interruption leads to one more turn.
        let _ = poll(&mut fds, timeout.as_ref());
    }

    /// Does what is due.
    fn be_on_time(&mut self) {
        let now = Instant::now();
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if let Some(running) = &mut self.running
            && let Some(stop) = &mut running.stop
            && is_due(stop.deadline)
        {
            stop.deadline = None;
            let _ = self.signal(SIGKILL);
        }
        if is_due(self.next_start) {
            self.next_start = None;
            self.life.restart_count = self.life.restart_count.saturating_add(1);
            if let Err(failure) = self.run() {
                // Nobody asked for it who could be told.
                eprintln!("selur-shim: cannot start the process again: {}", failure.message);
                self.fail_to_start(&failure);
                if self.life.state == State::Restarting {
                    self.life.enter(State::Stopped);
                    self.record(Durability::Disk, EventKind::Ended);
                }
            }
        }
    }

    fn obey(&mut self, peer: Peer, command: Command) {
        let result = match command {
            Command::Stop { signal, timeout_ms } => match self.stop(peer, signal, timeout_ms) {
                Ok(()) => return,
                Err(failure) => Err(failure),
            },
            Command::Kill { signal } if self.running.is_some() => self.signal(signal),
            Command::Kill { .. } => {
                self.end_restarting();
                Ok(())
            }
            Command::Pause => self.freeze(State::Running, State::Paused),
            Command::Resume => self.freeze(State::Paused, State::Running),
            Command::Input => return self.hand_out_input(peer),
            Command::EndInput => {
                if let Some(running) = &mut self.running {
                    running.input = None;
                }
                Ok(())
            }
        };
        self.server.answer(peer, result);
    }

    fn hand_out_input(&mut self, peer: Peer) {
        let running = self.running.as_ref();
        let input = running.and_then(|running| running.input.as_ref().map(AsFd::as_fd));
        match self.output.terminal().filter(|_| running.is_some()).or(input) {
            Some(input) => self.server.answer_with(peer, Ok(()), &[input]),
            None => {
                let failure = match running {
                    Some(running) if !running.is_child => Failure::new(
                        FailureKind::Unsupported,
                        "the container's first shim has died, and its input with it: start the container anew",
                    ),
                    _ => Failure::new(FailureKind::WrongState, "the container's input has ended"),
                };
                self.server.answer(peer, Err(failure));
            }
        }
    }

    fn stop(&mut self, peer: Peer, signal: u8, timeout_ms: u32) -> Result<(), Failure> {
        let Some(running) = &mut self.running else {
            self.end_restarting();
            self.server.answer(peer, Ok(()));
            return Ok(());
        };
        let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
        let stop = running.stop.get_or_insert(Stop {
            deadline: Some(deadline),
            peers: Vec::new(),
        });
        stop.deadline = stop.deadline.map(|earlier| earlier.min(deadline));
        stop.peers.push(peer);
        self.signal(signal)?;
        // A frozen process sees the signal when it is thawed.
        if self.life.state == State::Paused {
            self.freeze(State::Paused, State::Running)?;
        }
        Ok(())
    }

    /// Sends a signal to the container's first process.
    fn signal(&mut self, number: u8) -> Result<(), Failure> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        if !running.sent.contains(&number) {
            running.sent.push(number);
        }
        // SAFETY: the descriptor is open for the whole call; no signal information and no flags are given.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                running.pidfd.as_raw_fd(),
                i32::from(number),
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if sent != 0 {
            let error = io::Error::last_os_error();
            // The end is noticed in this turn or the next.
            if error.raw_os_error() != Some(libc::ESRCH) {
                return Err(Failure::while_doing(
                    format_args!("cannot send signal {number}"),
                    error,
                ));
            }
        }
        if number == SIGKILL && self.life.state == State::Paused {
            // A frozen process of cgroup v1 dies when it is thawed. It is dying either way, so that the state stays.
            let _ = self.runc.resume();
        }
        Ok(())
    }

    fn freeze(&mut self, from: State, to: State) -> Result<(), Failure> {
        if self.life.state == to {
            return Ok(());
        }
        if self.life.state != from || self.running.is_none() {
            let state = self.life.state.name();
            return Err(Failure::new(
                FailureKind::WrongState,
                format!("the container is {state}"),
            ));
        }
        let kind = match to {
            State::Paused => {
                self.runc.pause()?;
                EventKind::Paused
            }
            _ => {
                // One that was killed while it was frozen was thawed for that, and may have ended since.
                if let Err(failure) = self.runc.resume()
                    && self.runc.is_paused().unwrap_or(true)
                {
                    return Err(failure);
                }
                EventKind::Resumed
            }
        };
        self.life.enter(to);
        self.record(Durability::Boot, kind);
        Ok(())
    }

    /// The shim before may have died between runc's freezing or thawing and the record of it.
    fn see_whether_it_is_frozen(&mut self) {
        let (state, kind) = match self.runc.is_paused() {
            Ok(true) => (State::Paused, EventKind::Paused),
            Ok(false) => (State::Running, EventKind::Resumed),
            // It ends just now perhaps, which is seen in its place.
            Err(failure) => return eprintln!("selur-shim: {}", failure.message),
        };
        if self.life.state != state {
            self.life.enter(state);
            self.record(Durability::Boot, kind);
        }
    }

    fn end_restarting(&mut self) {
        if self.next_start.take().is_some() {
            self.life.enter(State::Stopped);
            self.record(Durability::Disk, EventKind::Ended);
        }
    }

    /// Begins a generation.
    fn run(&mut self) -> Result<(), Failure> {
        // Each time: the container may have changed its own users.
        user::write_bundle_config(&self.site, &self.user)?;
        let failed = |error: io::Error| Failure::while_doing("cannot make the container's input", error);
        let mut input = None;
        let mut console = None;
        let streams = if self.ends.terminal {
            console = Some(Console::listen(self.site.home.path()).map_err(failed)?);
            [Stdio::null(), Stdio::null(), Stdio::null()]
        } else {
            let (stdout, stderr) = Output::container_ends(&self.site.home)?;
            let stdin = match self.ends.stdin {
                true => {
                    let (read, write) =
                        pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
                    input = Some(write);
                    read.into()
                }
                false => Stdio::null(),
            };
            [stdin, stdout.into(), stderr.into()]
        };
        let ran = self.runc.run(streams, console.as_ref().map(Console::path));
        let ran = ran.and_then(|process| {
            let terminal = console.map(Console::receive).transpose();
            self.output.set_terminal(terminal.map_err(failed)?)?;
            Ok(process)
        });
        let process = match ran {
            Ok(process) => process,
            Err(failure) => {
                self.output.discard();
                let _ = self.runc.delete();
                return Err(failure);
            }
        };
        let Some(pidfd) = process.open() else {
            // Nobody would see its end.
            let _ = self.runc.delete();
            return Err(Failure::new(
                FailureKind::Internal,
                "the container's process cannot be waited for: this needs Linux 5.3 and a free file descriptor",
            ));
        };
        self.life.run(process);
        self.record(Durability::Boot, EventKind::Started);
        self.running = Some(Running {
            input,
            ..Running::new(process, pidfd, true)
        });
        Ok(())
    }

    /// Records a program that cannot be run as an end, with the code that shells give for it.
    fn fail_to_start(&mut self, failure: &Failure) {
        let exit_code = match failure.kind {
            FailureKind::CommandNotFound => 127,
            FailureKind::CommandNotExecutable => 126,
            _ => return,
        };
        self.life.fail_to_run(exit_code);
        self.record(Durability::Disk, EventKind::Ended);
    }

    /// The process has ended: first the record, then everybody else.
    fn end(&mut self, exit_code: Option<i32>) {
        self.output.drain();
        let _ = self.output.set_terminal(None);
        let running = self.running.take();
        let asked_for = running
            .as_ref()
            .is_some_and(|running| running.was_asked_to_end(exit_code));
        let delay = match &running {
            Some(running) if !asked_for => self.restarts.after(exit_code, running.since.elapsed()),
            _ => None,
        };
        let (state, kind) = match delay {
            Some(_) => (State::Restarting, EventKind::Restarting),
            None => (State::Stopped, EventKind::Ended),
        };
        self.life.end(state, exit_code);
        self.record(Durability::Disk, kind);
        for peer in running
            .and_then(|running| running.stop)
            .map(|stop| stop.peers)
            .unwrap_or_default()
        {
            self.server.answer(peer, Ok(()));
        }
        if let Err(failure) = self.runc.delete() {
            eprintln!("selur-shim: {}", failure.message);
        }
        self.next_start = delay.map(|delay| Instant::now() + delay);
    }

    /// Writes the life, and then what happened. A disk that refuses the life is tried again for a minute: nobody may
    /// learn what it does not say.
    fn record(&self, durability: Durability, kind: EventKind) {
        for _ in 0..RECORD_ATTEMPTS {
            match self.life.write(&self.site.root, self.site.id, durability) {
                Ok(()) => break,
                Err(error) => eprintln!("selur-shim: cannot record the container's life: {error}"),
            }
            std::thread::sleep(RECORD_PAUSE);
        }
        let event = Event::of(kind, self.site.id, &self.life);
        if let Err(error) = event_log::append(&self.site.root, &event) {
            eprintln!("selur-shim: cannot record that the container {kind:?}: {error}");
        }
    }
}

impl Running {
    fn new(process: Process, pidfd: OwnedFd, is_child: bool) -> Running {
        Running {
            pidfd,
            process,
            is_child,
            since: Instant::now(),
            input: None,
            stop: None,
            sent: Vec::new(),
        }
    }

    /// How the process ended: its code, or 128 + the signal that ended it. Reaps it.
    fn exit_code(&self) -> Option<i32> {
        if !self.is_child {
            return None;
        }
        crate::process::reap(self.process.pid)
    }

    /// Whether somebody wanted this end, so that the restart policy does not apply.
    fn was_asked_to_end(&self, exit_code: Option<i32>) -> bool {
        self.stop.is_some()
            || self.sent.iter().any(|signal| {
                SIGNALS_THAT_END.contains(signal) || exit_code == Some(128 + i32::from(*signal))
            })
    }
}
