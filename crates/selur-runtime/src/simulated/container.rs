//! One simulated container: a state machine of virtual time. It must never wait.

use super::clock::{Clock, Moment};
use super::script::Script;
use crate::{ContainerSpec, Event, EventKind, Inspection, Observation, RestartPolicy, RuntimeError};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, Signal, State, Status};
use tokio::sync::watch;

const SIGUSR1: u8 = 10;
const SIGTERM: u8 = Signal::TERM.number();
/// CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH. Source: signal(7), the default dispositions.
const HARMLESS: [u8; 8] = [17, 18, 19, 20, 21, 22, 23, 28];

/// How an operation's outcome becomes known.
pub(super) enum Change {
    /// By its completion, which carries this report.
    Told(Report),
    /// By an observation; the completion carries what was true before.
    Observed { told: Report },
}

#[derive(Debug)]
pub(super) struct Container {
    name: Option<String>,
    image: String,
    digest: String,
    spec: ContainerSpec,
    script: Script,
    report: Report,
    restart_count: u32,
    created_at: Moment,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
    /// Signals that a paused process has not seen yet.
    pending: Vec<Signal>,
    /// When each generation was started, in the order of the generations.
    starts: Vec<Moment>,
    /// Tells who waits that the container changed; closed when it is gone.
    changed: watch::Sender<()>,
    /// What happened and is not in the journal yet.
    happened: Vec<Event>,
}

impl Container {
    pub(super) fn new(
        image: String,
        digest: String,
        name: Option<String>,
        spec: ContainerSpec,
        script: Script,
        clock: &mut Clock,
    ) -> Container {
        Container {
            name,
            image,
            digest,
            spec,
            script,
            report: Report {
                generation: 0,
                sequence: 1,
                state: State::Created,
                exit_code: None,
            },
            restart_count: 0,
            created_at: clock.tick(),
            started_at: None,
            finished_at: None,
            pending: Vec::new(),
            starts: Vec::new(),
            changed: watch::Sender::new(()),
            happened: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn image(&self) -> &str {
        &self.image
    }

    pub(super) fn spec(&self) -> &ContainerSpec {
        &self.spec
    }

    /// What happened since this was last asked, with the container's identity.
    pub(super) fn take_events(&mut self, id: ContainerId) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.happened);
        for event in &mut events {
            event.subject = id.to_string();
        }
        events
    }

    /// An event of this moment.
    pub(super) fn event(&self, kind: EventKind, time: Moment) -> Event {
        let tells_end = matches!(kind, EventKind::Ended | EventKind::Restarting);
        Event {
            time_ns: time.as_nanoseconds(),
            kind,
            subject: String::new(),
            name: self.name.clone(),
            generation: Some(self.report.generation),
            exit_code: self.report.exit_code.filter(|_| tells_end),
        }
    }

    pub(super) fn script(&self) -> Script {
        self.script
    }

    pub(super) fn report(&self) -> Report {
        self.report
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// When each generation was started.
    pub(super) fn starts(&self) -> &[Moment] {
        &self.starts
    }

    /// Whether a process runs, is frozen or will be started again.
    pub(super) fn has_process(&self) -> bool {
        matches!(
            self.report.state,
            State::Running | State::Paused | State::Restarting
        )
    }

    pub(super) fn seen(&self, id: ContainerId) -> Observation {
        Observation::Seen {
            id,
            name: self.name.clone(),
            report: self.report,
        }
    }

    pub(super) fn inspect(&self, id: ContainerId) -> Inspection {
        Inspection {
            id: id.to_string(),
            name: self.name.clone(),
            image: self.image.clone(),
            image_digest: Some(self.digest.clone()),
            state: self.report.state.name().into(),
            pid: None,
            exit_code: self.report.exit_code,
            created_at: self.created_at.to_rfc3339(),
            started_at: self.started_at.map(Moment::to_rfc3339),
            finished_at: self.finished_at.map(Moment::to_rfc3339),
            restart_count: self.restart_count,
            spec: self.spec.clone(),
            labels: self.spec.labels.clone(),
        }
    }

    pub(super) fn start(&mut self, clock: &mut Clock) -> Result<Change, RuntimeError> {
        match self.report.state {
            State::Running | State::Restarting => return Ok(Change::Told(self.report)),
            State::Paused => return Err(self.refuse("start")),
            State::Created | State::Stopped => {}
        }
        self.restart_count = 0;
        self.run(clock);
        match self.script {
            Script::ExitAtOnce { code } => {
                let told = self.report;
                self.end_by_itself(code, clock);
                Ok(Change::Observed { told })
            }
            Script::KeepRestarting { code } => {
                self.end(i32::from(code), clock);
                self.will_restart();
                Ok(Change::Told(self.report))
            }
            _ => Ok(Change::Told(self.report)),
        }
    }

    pub(super) fn stop(&mut self, clock: &mut Clock) -> Change {
        match self.report.state {
            State::Created | State::Stopped => {}
            State::Restarting => self.give_up_restarting(clock),
            State::Running | State::Paused => {
                let asked = self.spec.stop_signal.as_deref().and_then(Signal::parse);
                let code = self.ended_by(asked.unwrap_or(Signal::TERM));
                let killed = 128 + i32::from(Signal::KILL.number());
                self.end(code.unwrap_or(killed), clock);
            }
        }
        Change::Told(self.report)
    }

    pub(super) fn kill(&mut self, signal: Signal, clock: &mut Clock) -> Result<Change, RuntimeError> {
        match self.report.state {
            State::Created | State::Stopped => Err(self.refuse("kill")),
            State::Restarting => {
                self.give_up_restarting(clock);
                Ok(Change::Told(self.report))
            }
            State::Paused if signal != Signal::KILL => {
                self.pending.push(signal);
                Ok(Change::Told(self.report))
            }
            State::Running | State::Paused => Ok(self.deliver(signal, clock)),
        }
    }

    pub(super) fn pause(&mut self, clock: &Clock) -> Result<Change, RuntimeError> {
        match self.report.state {
            State::Running => {
                self.enter(State::Paused);
                self.happen(EventKind::Paused, clock);
            }
            State::Paused => {}
            _ => return Err(self.refuse("pause")),
        }
        Ok(Change::Told(self.report))
    }

    pub(super) fn resume(&mut self, clock: &mut Clock) -> Result<Change, RuntimeError> {
        match self.report.state {
            State::Paused => {
                self.enter(State::Running);
                self.happen(EventKind::Resumed, clock);
            }
            State::Running => {}
            _ => return Err(self.refuse("resume")),
        }
        for signal in std::mem::take(&mut self.pending) {
            let change = self.deliver(signal, clock);
            if self.report.state == State::Stopped || matches!(change, Change::Observed { .. }) {
                return Ok(change);
            }
        }
        Ok(Change::Told(self.report))
    }

    pub(super) fn check_deletion(&self, force: bool) -> Result<(), RuntimeError> {
        if self.has_process() && !force {
            Err(self.refuse("delete"))
        } else {
            Ok(())
        }
    }

    /// What a signal does to a process that is not frozen.
    fn deliver(&mut self, signal: Signal, clock: &mut Clock) -> Change {
        let told = self.report;
        match (self.ended_by(signal), self.script) {
            (None, _) => Change::Told(told),
            (Some(_), Script::ExitOnUsr1 { code }) if signal.number() == SIGUSR1 => {
                self.end_by_itself(code, clock);
                Change::Observed { told }
            }
            (Some(code), _) => {
                self.end(code, clock);
                Change::Told(self.report)
            }
        }
    }

    /// The exit code that a signal ends the process with, if it ends it.
    fn ended_by(&self, signal: Signal) -> Option<i32> {
        match (signal.number(), self.script) {
            (SIGUSR1, Script::ExitOnUsr1 { code }) => Some(i32::from(code)),
            (SIGTERM, Script::IgnoreTerm) => None,
            (number, _) if HARMLESS.contains(&number) => None,
            (number, _) => Some(128 + i32::from(number)),
        }
    }

    fn end_by_itself(&mut self, code: u8, clock: &mut Clock) {
        self.end(i32::from(code), clock);
        let RestartPolicy::OnFailure(most) = self.spec.restart else {
            return;
        };
        let ends_again = matches!(self.script, Script::ExitAtOnce { .. });
        while code != 0 && most.is_none_or(|most| self.restart_count < most) {
            if most.is_none() && ends_again {
                return self.will_restart();
            }
            self.will_restart();
            self.restart_count += 1;
            self.run(clock);
            if !ends_again {
                return;
            }
            self.end(i32::from(code), clock);
        }
    }

    /// Begins a generation.
    fn run(&mut self, clock: &mut Clock) {
        let now = clock.tick();
        self.report.generation += 1;
        self.report.sequence = 0;
        self.report.exit_code = None;
        self.started_at = Some(now);
        self.starts.push(now);
        self.enter(State::Running);
        self.happen(EventKind::Started, clock);
    }

    fn end(&mut self, code: i32, clock: &mut Clock) {
        self.report.exit_code = Some(code);
        self.finished_at = Some(clock.tick());
        self.pending.clear();
        self.enter(State::Stopped);
        self.happen(EventKind::Ended, clock);
    }

    /// The end that was just told is not for good.
    fn will_restart(&mut self) {
        self.enter(State::Restarting);
        if let Some(event) = self.happened.last_mut() {
            event.kind = EventKind::Restarting;
        }
    }

    fn give_up_restarting(&mut self, clock: &Clock) {
        self.enter(State::Stopped);
        self.happen(EventKind::Ended, clock);
    }

    fn happen(&mut self, kind: EventKind, clock: &Clock) {
        let event = self.event(kind, clock.now());
        self.happened.push(event);
    }

    fn enter(&mut self, state: State) {
        self.report.state = state;
        self.report.sequence += 1;
        self.changed.send_replace(());
    }

    /// Refuses what needs a process that works.
    pub(super) fn check_runs(&self, command: &str) -> Result<(), RuntimeError> {
        match self.report.state {
            State::Running => Ok(()),
            _ => Err(self.refuse(command)),
        }
    }

    /// Refuses what needs a process, frozen or not.
    pub(super) fn check_has_process(&self, command: &str) -> Result<(), RuntimeError> {
        match self.report.state {
            State::Running | State::Paused => Ok(()),
            _ => Err(self.refuse(command)),
        }
    }

    pub(super) fn refuse(&self, command: &str) -> RuntimeError {
        let state = self.report.state.name();
        RuntimeError::new(
            Status::InvalidState,
            format!("cannot {command} a container that is {state}"),
        )
    }
}
