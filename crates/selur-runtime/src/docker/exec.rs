//! Runs further processes in containers.
//!
//! The daemon's interface has no way to end what it has begun to run. A process that nobody wants any more is killed by
//! its id where the daemon is on this machine and this process may do it: through a descriptor of the process that is
//! taken before it is checked, by its cgroup, that the process is one of the container's.

use super::SHORT_ANSWER_BYTES;
use super::documents::{InspectedExec, Made};
use super::failure::{self, About, DaemonError, exec_refusal};
use super::frames::Frames;
use super::lifecycle::until;
use super::session::{self, Input, NO_DETACH_KEYS, Output, Terminal};
use super::site::{Look, Site};
use super::transport::{Answer, Call};
use crate::{ExecSpec, RuntimeError, Session, SessionInput, SessionItem, TerminalSize};
use bollard::models::ExecConfig;
use futures_util::stream::{self, StreamExt};
use hyper::Method;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use selur_protocol::{ContainerId, State, Status};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a process of a container that has ended ends with: its kernel kills all of them.
const KILLED: i32 = 137;
/// How long to wait between two looks at a process: first, and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How long a process that nobody wants any more is looked for.
const GRACE: Duration = Duration::from_secs(10);
/// How much of the daemon's own words is read, in bytes.
const MAX_WORDS_BYTES: usize = 4096;

pub(super) async fn exec(
    site: &Arc<Site>,
    id: ContainerId,
    spec: ExecSpec,
    abort: CancellationToken,
) -> Result<Session, RuntimeError> {
    spec.check()?;
    until(&abort, open(site, id, spec)).await
}

async fn open(site: &Arc<Site>, id: ContainerId, spec: ExecSpec) -> Result<Session, RuntimeError> {
    let look = site.expect(id).await?;
    if look.facts.state != State::Running {
        return Err(failure::wrong_state("exec in", look.facts.state));
    }
    let (terminal, stdin, size) = (spec.terminal, spec.stdin, spec.size);
    let container = look.facts.daemon_id.clone();
    let made = make(site, &container, spec).await.map_err(refused)?;
    // From here on it is ended when nobody wants it.
    let process = Process {
        site: site.clone(),
        id,
        container,
        generation: look.report.generation,
        exec: made,
        has_run: false,
        has_ended: false,
    };
    // The daemon starts it also when nobody waits for the answer: it is begun to its end, and ended then.
    let begun = tokio::spawn(begin(process, terminal, stdin, size)).await;
    let (process, input, output) = begun.unwrap_or_else(|error| {
        let message = "the start of the process ended unexpectedly";
        Err(RuntimeError::with_source(Status::InternalError, message, error))
    })?;
    let items = stream::unfold(Some((process, output)), |state| async {
        let (mut process, mut output) = state?;
        match output.next().await {
            Ok(Some(item)) => Some((Ok(item), Some((process, output)))),
            Ok(None) => Some((process.end().await, None)),
            Err(error) => Some((Err(session::broken(error)), None)),
        }
    });
    Ok(Session {
        input,
        output: items.boxed(),
    })
}

async fn begin(
    mut process: Process,
    terminal: bool,
    stdin: bool,
    size: Option<TerminalSize>,
) -> Result<(Process, mpsc::Sender<SessionInput>, Output), RuntimeError> {
    let site = process.site.clone();
    let path = format!("/exec/{}/start", process.exec);
    let document = serde_json::json!({ "Detach": false, "Tty": terminal });
    let call = Call::new(Method::POST, &path).json(&document).upgrading();
    let started = async { site.client.send(call, None).await?.into_pipe().await };
    let pipe = started.await.map_err(|error| {
        process.has_ended = matches!(error, DaemonError::Refused { .. });
        refused(error)
    })?;
    let frames = Frames::new(terminal);
    let terminal = terminal.then(|| Terminal::of_exec(&site, &process.exec));
    let takes = if stdin { Input::Own } else { Input::None };
    let (input, mut output) = session::open(pipe, takes, frames, terminal.clone());
    process.wait_until_it_runs(&mut output).await?;
    if let (Some(terminal), Some(size)) = (terminal, size) {
        terminal.resize(size).await;
    }
    process.has_run = true;
    Ok((process, input, output))
}

async fn make(site: &Site, container: &str, spec: ExecSpec) -> Result<String, DaemonError> {
    let config = ExecConfig {
        attach_stdin: Some(spec.stdin),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(spec.terminal),
        detach_keys: Some(NO_DETACH_KEYS.to_owned()),
        env: Some(spec.environment),
        cmd: Some(spec.command),
        user: spec.user,
        working_dir: spec.working_directory,
        ..ExecConfig::default()
    };
    let path = format!("/containers/{container}/exec");
    let call = Call::new(Method::POST, &path).json(&config);
    let mut answer: Answer = site.client.send(call, Some(SHORT_ANSWER_BYTES)).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.piece().await? {
        bytes.extend_from_slice(&piece);
    }
    let made: Made = serde_json::from_slice(&bytes).map_err(DaemonError::nonsense)?;
    Ok(made.id)
}

fn refused(error: DaemonError) -> RuntimeError {
    let hint = match error.unrunnable() {
        Some(127) => ": it does not exist in the container (exit code 127)",
        Some(_) => ": it cannot be executed (exit code 126)",
        None => "",
    };
    error.into_runtime(About::Process, format_args!("cannot run the program{hint}"))
}

/// A process that the daemon runs for us. Dropping it before its end is known kills it.
struct Process {
    site: Arc<Site>,
    id: ContainerId,
    container: String,
    generation: u32,
    exec: String,
    /// Whether the daemon has begun to run it.
    has_run: bool,
    has_ended: bool,
}

impl Process {
    async fn look(&self) -> Result<Option<InspectedExec>, RuntimeError> {
        match self
            .site
            .client
            .get(&format!("/exec/{}/json", self.exec), &[])
            .await
        {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into_runtime(About::Daemon, "cannot look at the process")),
        }
    }

    /// The daemons open the pipe first, and say in it why there is no process.
    async fn wait_until_it_runs(&mut self, output: &mut Output) -> Result<(), RuntimeError> {
        let is_podman = self.site.daemon.is_podman;
        let mut pause = LOOK.0;
        loop {
            let Some(found) = self.look().await? else {
                return Ok(());
            };
            let ahead_bytes = output.ahead().len();
            if found.pid > 0 || ahead_bytes > MAX_WORDS_BYTES {
                return Ok(());
            }
            if !found.running && matches!(found.exit_code, Some(125..=127)) {
                while output.ahead().len() <= MAX_WORDS_BYTES && !output.is_over() {
                    output.read_ahead().await.map_err(session::broken)?;
                }
                let words = output.ahead();
                if let Some(refusal) = exec_refusal(&String::from_utf8_lossy(&words)) {
                    self.has_ended = true;
                    return Err(refusal);
                }
                return Ok(());
            }
            // What podman has not begun yet has the same code as what has ended well, until its output has ended.
            if !found.running && (output.is_over() || !is_podman && found.exit_code.is_some()) {
                return Ok(());
            }
            tokio::select! {
                read = output.read_ahead(), if !output.is_over() => read.map_err(session::broken)?,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOK.1),
            }
        }
    }

    /// How it ended, which is known a little later than that its outputs have.
    async fn end(&mut self) -> Result<SessionItem, RuntimeError> {
        let mut pause = LOOK.0;
        let exit_code = loop {
            match self.look().await? {
                Some(found) if !found.running && found.exit_code.is_some() => {
                    let code = found.exit_code.and_then(|code| i32::try_from(code).ok());
                    break code.filter(|code| (0..=255).contains(code));
                }
                found => {
                    let look = self.site.look(self.id).await?;
                    if !look.is_some_and(|look| self.is_in(&look)) {
                        break Some(KILLED);
                    }
                    if found.is_none() {
                        break None;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK.1);
        };
        self.has_ended = true;
        Ok(SessionItem::Ended { exit_code })
    }

    fn is_in(&self, look: &Look) -> bool {
        look.report.generation == self.generation && look.facts.is_alive()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let (site, exec, container) = (self.site.clone(), self.exec.clone(), self.container.clone());
        let has_run = self.has_run;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let ending = Ending::of(site.clone());
            runtime.spawn(async move {
                end_when_it_runs(&site, &exec, &container, has_run).await;
                drop(ending);
            });
        }
    }
}

/// A process that is being ended.
struct Ending(Arc<Site>);

impl Ending {
    fn of(site: Arc<Site>) -> Ending {
        site.endings.send_modify(|count| *count += 1);
        Ending(site)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.endings.send_modify(|count| *count -= 1);
    }
}

/// Kills a process as soon as the daemon says which it is. What has not run yet may do so a little later.
async fn end_when_it_runs(site: &Site, exec: &str, container: &str, has_run: bool) {
    let path = format!("/exec/{exec}/json");
    let deadline = Instant::now() + GRACE;
    let mut pause = LOOK.0;
    while Instant::now() < deadline {
        match site.client.get::<InspectedExec>(&path, &[]).await {
            Ok(found) if found.running && found.pid > 0 => return end_process(found.pid, container),
            Ok(found) if !found.running && has_run => return,
            Err(error) if error.is_missing() => return,
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK.1);
    }
}

/// Kills a process if it is one of the container's.
fn end_process(pid: i64, container: &str) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    // The descriptor is of the process that has the id now: if that one is in the container's cgroup, it is it.
    let path = format!("/proc/{}/cgroup", pid.as_raw_nonzero());
    let cgroups = std::fs::read_to_string(path).unwrap_or_default();
    if container.len() == 64 && cgroups.contains(container) {
        let _ = pidfd_send_signal(descriptor, Signal::KILL);
    }
}
