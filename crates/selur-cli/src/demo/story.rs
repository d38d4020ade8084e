//! The demo's story, step by step: what is done, what is shown of it, and what must be so.

use super::report::{Recovery, Report, Step, Telling};
use super::worker::{Order, Reply, Worker};
use super::{frame, host, image};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{self, guest};
use selur_core::{Command, Inspection, Status};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The container's name.
const NAME: &str = "selur-demo";
/// The last line that the program writes before it waits.
const LAST_LINE: &str = "waiting for SIGTERM";
/// What to do where selur itself is wrong.
const DEFECT: &str = "Report this: it is a defect of selur.";

/// What is told, and with what.
pub(super) struct Story<'a> {
    pub(super) global: &'a Global,
    /// The state root; the image's layout is made in it as well.
    pub(super) root: PathBuf,
    pub(super) telling: Telling,
    pub(super) report: Report,
    pub(super) is_simulated: bool,
    /// Set by a signal.
    pub(super) interrupted: Arc<AtomicBool>,
}

impl Story<'_> {
    /// Tells it. On failure the container may still be there.
    ///
    /// # Errors
    /// A step failed, or the output is closed.
    pub(super) fn tell(&mut self) -> Result<(), Failure> {
        self.describe_guest()?;
        let frame = self.describe_frame()?;
        let layout = self.root.join("layout");
        let image = image::write_layout(&layout)?;
        let mut worker = self.worker()?;

        self.telling.heading(if self.is_simulated {
            "A container in memory"
        } else {
            "A real container"
        })?;
        self.telling.fact(
            "image",
            &format!(
                "{}: one static program of {} bytes, made here, no network",
                image::REFERENCE,
                image.program_bytes
            ),
        )?;
        let import = Order::Import {
            layout,
            reference: image::REFERENCE.to_owned(),
        };
        let digest = self.step(&mut worker, "import", &import)?.text();
        if !self.is_simulated && digest != image.manifest_digest {
            let message = format!("the store has {digest}, the image is {}", image.manifest_digest);
            return Err(Failure::new(Status::InternalError, message, DEFECT));
        }
        self.telling.fact("import", &digest)?;
        let id = self.step(&mut worker, "create", &Order::Frame { frame })?.text();
        self.telling
            .fact("create", &format!("response 00 (success) and the id: {id}"))?;
        self.step(
            &mut worker,
            "start",
            &Order::Start {
                container: NAME.to_owned(),
            },
        )?;
        self.telling.fact("start", "its process runs")?;
        self.show_logs(&mut worker)?;
        let inspection = self.inspect(&mut worker)?;
        let ids = self.step(&mut worker, "list", &Order::List)?.value;
        self.telling.fact(
            "list",
            &format!("{} container", ids.as_array().map_or(0, Vec::len)),
        )?;
        if !self.is_simulated {
            let pid = running_pid(&inspection)?;
            self.show_process(pid)?;
            worker = self.lose_bridge(worker, pid)?;
        }
        self.finish(&mut worker, &id)?;
        if let Some(pid) = inspection.pid.filter(|_| !self.is_simulated) {
            drop(worker);
            self.show_remains(pid, &id)?;
        }
        Ok(())
    }

    fn describe_guest(&mut self) -> Result<(), Failure> {
        self.report.guest = guest()?;
        let guest = &self.report.guest;
        self.telling
            .heading("The kernel: everything a container may do is decided in here")?;
        self.telling
            .fact("guest", &format!("{} bytes of WebAssembly", guest.bytes))?;
        self.telling.fact("sha256", &guest.sha256)?;
        self.telling.fact(
            "imports",
            &format!("{}: it can call nothing of this machine", guest.imports),
        )?;
        let kib = u64::from(guest.memory_pages) * 64;
        self.telling.fact(
            "memory",
            &format!(
                "{} pages of 64 KiB, at most and at least: {kib} KiB",
                guest.memory_pages
            ),
        )
    }

    fn describe_frame(&mut self) -> Result<Vec<u8>, Failure> {
        let spec = r#"{"hostname":"inside","labels":{"made-by":"selur demo"}}"#;
        let frame = session::frame(Command::CreateContainer, &[image::REFERENCE, NAME, spec])?;
        self.report.frame = frame::parts(&frame);
        self.telling
            .heading(&format!("The request as it goes in: {} bytes", frame.len()))?;
        self.telling.frame(&self.report.frame)?;
        Ok(frame)
    }

    fn show_logs(&mut self, worker: &mut Worker) -> Result<(), Failure> {
        // What is simulated writes other lines, and just one.
        let until = if self.is_simulated { "" } else { LAST_LINE };
        let order = Order::Logs {
            container: NAME.to_owned(),
            until: until.to_owned(),
        };
        let lines = self.step(worker, "logs", &order)?.value;
        let lines = lines
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|line| line.as_str());
        self.report.logs = lines.map(str::to_owned).collect();
        for (position, line) in self.report.logs.iter().enumerate() {
            let line = format!("│ {line}");
            if position == 0 {
                self.telling.fact("logs", &line)?
            } else {
                self.telling.more(&line)?
            }
        }
        if self.is_simulated || self.report.logs.iter().any(|line| line.starts_with(LAST_LINE)) {
            return Ok(());
        }
        let message = "the container's program ended before it said all";
        Err(Failure::new(Status::InternalError, message, DEFECT))
    }

    fn inspect(&mut self, worker: &mut Worker) -> Result<Inspection, Failure> {
        let value = self
            .step(
                worker,
                "inspect",
                &Order::Inspect {
                    container: NAME.to_owned(),
                },
            )?
            .value;
        let inspection: Inspection = serde_json::from_value(value).map_err(|error| {
            Failure::new(
                Status::InternalError,
                format!("inspect is not of its schema: {error}"),
                DEFECT,
            )
        })?;
        let pid = inspection.pid.map_or("none".to_owned(), |pid| pid.to_string());
        self.telling.fact(
            "inspect",
            &format!("state {}, pid {pid} on this host", inspection.state),
        )?;
        Ok(inspection)
    }

    fn show_process(&mut self, pid: u32) -> Result<(), Failure> {
        let Some(process) = host::process(pid) else {
            let message = format!("process {pid} is not in this host's process list");
            return Err(Failure::new(Status::InternalError, message, DEFECT));
        };
        self.telling
            .heading("The host's view: an ordinary process, in namespaces of its own")?;
        self.telling
            .fact("process", &format!("/proc/{pid}/comm says {}", process.comm))?;
        let inner = process
            .pids
            .last()
            .map_or("unknown".to_owned(), ToString::to_string);
        self.telling
            .fact("pid", &format!("{pid} out here, {inner} in there"))?;
        self.telling
            .fact("ns/pid", &format!("{} the container's", process.pid_namespace))?;
        self.telling
            .more(&format!("{} ours", process.our_pid_namespace))?;
        let confinement: Vec<String> = process
            .confinement
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        self.telling.fact("confined", &confinement.join(", "))?;
        if process.pid_namespace == process.our_pid_namespace {
            let message = "the container shares our pid namespace";
            return Err(Failure::new(Status::InternalError, message, DEFECT));
        }
        self.report.process = Some(process);
        Ok(())
    }

    /// Kills the bridge with a request in flight, and goes on with another.
    fn lose_bridge(&mut self, mut worker: Worker, pid: u32) -> Result<Worker, Failure> {
        self.telling
            .heading("The bridge dies: kill -9 in the middle of a request")?;
        self.order(
            &mut worker,
            &Order::OpenWait {
                container: NAME.to_owned(),
            },
        )?;
        let killed = worker.pid();
        worker.kill()?;
        self.telling.fact(
            "killed",
            &format!("process {killed} held the bridge, with a wait_container in flight"),
        )?;
        if host::process(pid).is_none() {
            let message = "the container died with its bridge";
            return Err(Failure::new(Status::InternalError, message, DEFECT));
        }
        self.telling
            .fact("container", &format!("process {pid} runs on"))?;
        let mut worker = self.worker()?;
        let value = self
            .step(
                &mut worker,
                "recover",
                &Order::Inspect {
                    container: NAME.to_owned(),
                },
            )?
            .value;
        let (state, found) = (
            value["state"].as_str().unwrap_or("unknown").to_owned(),
            value["pid"].as_u64(),
        );
        let new = worker.pid();
        self.telling.fact(
            "recovered",
            &format!("process {new} holds a new bridge: it finds {NAME} {state}, pid {pid}"),
        )?;
        if state != "running" || found != Some(u64::from(pid)) {
            let message = format!("the new bridge finds the container {state}, pid {found:?}");
            return Err(Failure::new(Status::InternalError, message, DEFECT));
        }
        self.report.recovery = Some(Recovery {
            killed_bridge_pid: killed,
            new_bridge_pid: new,
            container_pid: pid,
            state,
        });
        Ok(worker)
    }

    fn finish(&mut self, worker: &mut Worker, id: &str) -> Result<(), Failure> {
        self.telling.heading("The end")?;
        self.step(
            worker,
            "stop",
            &Order::Stop {
                container: NAME.to_owned(),
            },
        )?;
        let code = self
            .order(
                worker,
                &Order::Wait {
                    container: NAME.to_owned(),
                },
            )?
            .value;
        self.report.exit_code = code.as_i64().and_then(|code| i32::try_from(code).ok());
        let code = self
            .report
            .exit_code
            .map_or("unknown".to_owned(), |code| code.to_string());
        self.telling
            .fact("stop", &format!("SIGTERM, and it ended with exit code {code}"))?;
        if !self.is_simulated {
            let order = Order::Logs {
                container: NAME.to_owned(),
                until: "got SIGTERM".to_owned(),
            };
            let lines = self.order(worker, &order)?.value;
            let last = lines
                .as_array()
                .and_then(|lines| lines.last()?.as_str().map(str::to_owned));
            self.telling
                .fact("logs", &format!("│ {}", last.unwrap_or_default()))?;
        }
        self.step(
            worker,
            "delete",
            &Order::Delete {
                container: id.to_owned(),
            },
        )?;
        let left = self.order(worker, &Order::List)?.value;
        self.telling.fact(
            "delete",
            &format!("{} containers left", left.as_array().map_or(0, Vec::len)),
        )
    }

    fn show_remains(&mut self, pid: u32, id: &str) -> Result<(), Failure> {
        self.telling.heading("What is left")?;
        let process = host::process(pid);
        let is_gone = if process.is_none() { "gone" } else { "still there" };
        self.telling.fact("process", &format!("/proc/{pid}: {is_gone}"))?;
        let remains = host::remains(&self.root, id);
        let text = format!("{} under {}, in the", remains.mounts.len(), self.root.display());
        self.telling.fact(
            "mounts",
            &format!("{text} mount tables of all {} processes", remains.tables_read),
        )?;
        self.telling.fact("shims", &remains.processes.len().to_string())?;
        let is_clean = process.is_none() && remains.mounts.is_empty() && remains.processes.is_empty();
        let found = format!("the demo left something behind: {remains:?}");
        self.report.remains = Some(remains);
        if is_clean {
            Ok(())
        } else {
            Err(Failure::new(Status::InternalError, found, DEFECT))
        }
    }

    /// Carries out an order and notes its time.
    fn step(&mut self, worker: &mut Worker, name: &'static str, order: &Order) -> Result<Reply, Failure> {
        let reply = self.order(worker, order)?;
        self.report.steps.push(Step {
            name,
            micros: reply.micros,
        });
        Ok(reply)
    }

    fn order(&self, worker: &mut Worker, order: &Order) -> Result<Reply, Failure> {
        let is_interrupted = || self.interrupted.load(Ordering::Relaxed);
        if is_interrupted() {
            return Err(Failure::new(
                Status::Cancelled,
                "the demo was interrupted",
                "Run it again.",
            ));
        }
        worker.perform(order, &is_interrupted)
    }

    fn worker(&self) -> Result<Worker, Failure> {
        if self.is_simulated {
            Worker::simulated(self.global)
        } else {
            Worker::process(&self.root)
        }
    }
}

fn running_pid(inspection: &Inspection) -> Result<u32, Failure> {
    inspection.pid.ok_or_else(|| {
        let message = format!("the container has no process: its state is {}", inspection.state);
        Failure::new(Status::InternalError, message, DEFECT)
    })
}
