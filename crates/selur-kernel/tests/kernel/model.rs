//! The reference model: what the kernel must do, written with maps and lists and without regard for space.
//!
//! It shares no code with the kernel. It does not predict the order of outputs among different tickets, but which
//! outputs wait at any moment, and which of them may still be taken back.

use super::moves::{Verdict, overtakes, verdict};
use selur_protocol::abi::{Action, Answer, CancelCause, Output, Report};
use selur_protocol::{Command, ContainerId, Reason, State, Status};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Creating,
    Live,
    Undoing,
}

#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    pub life: Life,
    pub state: State,
    pub exit: Option<i32>,
    pub known: Option<(u32, u32)>,
    pub queue: Vec<u64>,
    pub waits: Vec<u64>,
    pub forces: Vec<u64>,
    /// Whose effect has the container to itself.
    pub busy: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Job {
    /// [`ContainerId::NONE`] if it is about no container.
    pub container: ContainerId,
    pub action: Action,
    /// Whether it was handed out.
    pub out: bool,
    pub aborted: bool,
    pub by_delete: bool,
    pub undo: bool,
}

/// What a submission must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Data(Vec<u8>),
    Refused(Reason, Option<State>),
    Pending,
}

#[derive(Default)]
pub struct Model {
    pub order: Vec<ContainerId>,
    pub boxes: BTreeMap<ContainerId, Container>,
    /// Open tickets and what they want; every one is answered once.
    pub open: BTreeMap<u64, (ContainerId, Command)>,
    /// Answers that wait to be polled.
    pub answers: BTreeMap<u64, (ContainerId, Command, Answer)>,
    pub jobs: BTreeMap<u64, Job>,
    pub aborts: BTreeSet<u64>,
    /// What queued tickets want done.
    pub wishes: BTreeMap<u64, Action>,
    /// Abandoned creates that came true, by the create's ticket, until their undo is handed out.
    pub undos: BTreeMap<u64, ContainerId>,
    pub answered: BTreeSet<u64>,
    pub max_containers: usize,
    pub max_operations: usize,
}

pub fn refusal(reason: Reason) -> Answer {
    Answer::Failed {
        status: reason.status(),
        reason,
        state: None,
    }
}

impl Model {
    pub fn new(max_containers: usize, max_operations: usize) -> Model {
        Model {
            max_containers,
            max_operations,
            ..Model::default()
        }
    }

    fn operations(&self) -> BTreeMap<u64, (ContainerId, Command)> {
        let mut all: BTreeMap<_, _> = self.open.clone();
        all.extend(
            self.answers
                .iter()
                .map(|(id, (container, command, _))| (*id, (*container, *command))),
        );
        all.extend(
            self.jobs
                .iter()
                .map(|(id, job)| (*id, (job.container, job.action.command()))),
        );
        all.extend(
            self.undos
                .iter()
                .map(|(id, container)| (*id, (*container, Command::CreateContainer))),
        );
        all
    }

    pub fn operations_in_use(&self) -> usize {
        self.operations().len()
    }

    pub fn records_in_use(&self) -> usize {
        let mut all: BTreeSet<_> = self.boxes.keys().copied().collect();
        all.extend(self.operations().values().map(|(container, _)| *container));
        all.remove(&ContainerId::NONE);
        all.len()
    }

    pub fn held_slots(&self) -> usize {
        let unpolled = |job: &&Job| matches!(job.action, Action::Create { .. }) && !job.out;
        self.jobs.values().filter(unpolled).count()
    }

    pub fn list(&self) -> Vec<ContainerId> {
        self.order
            .iter()
            .copied()
            .filter(|id| self.boxes[id].life == Life::Live)
            .collect()
    }

    pub fn running_effects(&self) -> Vec<u64> {
        self.jobs
            .iter()
            .filter(|(_, job)| job.out)
            .map(|(id, _)| *id)
            .collect()
    }

    pub fn is_silent(&self) -> bool {
        self.answers.is_empty()
            && self.aborts.is_empty()
            && self.undos.is_empty()
            && self.jobs.values().all(|job| job.out)
    }

    fn admit(&self, command: Command) -> Result<(), Reason> {
        let operations = self.operations();
        let waits = operations
            .values()
            .filter(|(_, command)| *command == Command::WaitContainer)
            .count();
        if command == Command::WaitContainer && waits >= self.max_operations / 2 {
            return Err(Reason::WaitsFull);
        }
        let kept = match command {
            Command::StopContainer | Command::KillContainer | Command::DeleteContainer => 0,
            _ => (self.max_operations / 64).max(1),
        };
        if operations.len() + kept >= self.max_operations {
            return Err(Reason::TicketsFull);
        }
        Ok(())
    }

    pub fn resolve(&self, argument: &str) -> Result<ContainerId, Reason> {
        if let Some(id) = ContainerId::parse(argument) {
            return if self.boxes.contains_key(&id) {
                Ok(id)
            } else {
                Err(Reason::NoSuchContainer)
            };
        }
        if let Some((id, _)) = self.boxes.iter().find(|(_, it)| it.name == argument) {
            return Ok(*id);
        }
        let is_prefix = (4..32).contains(&argument.len())
            && argument
                .chars()
                .all(|digit| digit.is_ascii_digit() || ('a'..='f').contains(&digit));
        let found: Vec<_> = self
            .list()
            .into_iter()
            .filter(|id| is_prefix && id.to_string().starts_with(argument))
            .collect();
        match found[..] {
            [] => Err(Reason::NoSuchContainer),
            [id] => Ok(id),
            _ => Err(Reason::AmbiguousPrefix),
        }
    }

    /// A create; `ticket` is what the kernel gave, if it gave one.
    pub fn create(&mut self, id: ContainerId, name: &str, ticket: Option<u64>) -> Expected {
        let refuse = |reason| Expected::Refused(reason, None);
        if let Err(reason) = self.admit(Command::CreateContainer) {
            return refuse(reason);
        }
        if self.boxes.values().any(|it| !name.is_empty() && it.name == name) {
            return refuse(Reason::NameTaken);
        }
        if self.records_in_use() >= self.max_containers {
            return refuse(Reason::ContainersFull);
        }
        if let Some(ticket) = ticket {
            self.order.push(id);
            self.boxes.insert(
                id,
                Container {
                    life: Life::Creating,
                    ..fresh(name)
                },
            );
            self.open.insert(ticket, (id, Command::CreateContainer));
            self.hand_out(ticket, id, Action::Create { offset: 0, bytes: 0 });
            self.boxes.get_mut(&id).unwrap().busy = Some(ticket);
        }
        Expected::Pending
    }

    /// A hosted command that names no container.
    pub fn host(&mut self, command: Command, ticket: Option<u64>) -> Expected {
        if let Err(reason) = self.admit(command) {
            return Expected::Refused(reason, None);
        }
        if let Some(ticket) = ticket {
            self.open.insert(ticket, (ContainerId::NONE, command));
            self.hand_out(ticket, ContainerId::NONE, Action::Host(command));
        }
        Expected::Pending
    }

    /// Any other request on a container.
    pub fn ask(&mut self, argument: &str, action: Option<Action>, ticket: Option<u64>) -> Expected {
        let id = match self.resolve(argument) {
            Ok(id) => id,
            Err(reason) => return Expected::Refused(reason, None),
        };
        let it = self.boxes[&id].clone();
        let command = action.map_or(Command::WaitContainer, |action| action.command());
        let is_force = action == Some(Action::Delete { force: true });
        if command == Command::WaitContainer && it.state == State::Stopped {
            return Expected::Data(
                it.exit
                    .map_or(String::new(), |code| code.to_string())
                    .into_bytes(),
            );
        }
        if is_force && it.life == Life::Creating && !self.jobs[&it.busy.unwrap()].out {
            self.cancel_queue(id);
            self.take_back_busy(id);
            self.remove(id);
            return Expected::Data(vec![]);
        }
        let idle = it.life == Life::Live && it.busy.is_none() && it.forces.is_empty();
        let overtakes = overtakes(command);
        let has_turn = !is_force
            && command != Command::WaitContainer
            && (if overtakes { it.life == Life::Live } else { idle });
        if has_turn {
            match verdict(command, it.state) {
                Verdict::Nothing => return Expected::Data(vec![]),
                Verdict::Refuse => return Expected::Refused(Reason::WrongState, Some(it.state)),
                Verdict::Act => {}
            }
        }
        if let Err(reason) = self.admit(command) {
            return Expected::Refused(reason, None);
        }
        let ticket = match ticket {
            Some(ticket) => ticket,
            None => return Expected::Pending,
        };
        self.open.insert(ticket, (id, command));
        if command == Command::WaitContainer {
            self.at(id).waits.push(ticket);
            return Expected::Pending;
        }
        let action = action.unwrap();
        if is_force {
            self.at(id).forces.push(ticket);
            if it.forces.is_empty() && it.life != Life::Undoing {
                self.cancel_queue(id);
                if let Some(busy) = it.busy {
                    if self.jobs[&busy].out {
                        self.jobs.get_mut(&busy).unwrap().by_delete = true;
                        self.abort(busy);
                    } else {
                        self.take_back_busy(id);
                    }
                }
                if it.life == Life::Live {
                    self.hand_out(ticket, id, action);
                }
            }
        } else if has_turn {
            if !overtakes {
                self.at(id).busy = Some(ticket);
            }
            self.hand_out(ticket, id, action);
        } else {
            self.at(id).queue.push(ticket);
            self.wishes.insert(ticket, action);
        }
        Expected::Pending
    }

    pub fn cancel(&mut self, ticket: u64, cause: CancelCause) -> Result<(), Reason> {
        let (id, command) = *self.open.get(&ticket).ok_or(Reason::StaleHandle)?;
        let reason = match cause {
            CancelCause::Caller => Reason::CancelledByCaller,
            CancelCause::Deadline => Reason::DeadlinePassed,
        };
        self.answer(ticket, refusal(reason));
        match self.jobs.get(&ticket).map(|job| job.out) {
            None => {
                let it = self.at(id);
                for list in [&mut it.queue, &mut it.waits, &mut it.forces] {
                    list.retain(|other| *other != ticket);
                }
                let forces = it.forces.clone();
                if forces.len() == 1 && !self.open.contains_key(&forces[0]) {
                    self.abort(forces[0]);
                }
            }
            Some(true) => {
                let joined = self.boxes.get(&id).map_or(false, |it| {
                    it.forces.first() == Some(&ticket) && it.forces.len() > 1
                });
                if !joined {
                    self.abort(ticket);
                }
            }
            Some(false) => {
                self.jobs.remove(&ticket);
                if let Some(it) = self.boxes.get_mut(&id) {
                    if it.busy == Some(ticket) {
                        it.busy = None;
                    }
                    it.forces.retain(|other| *other != ticket);
                    if command == Command::CreateContainer {
                        self.remove(id);
                    } else {
                        self.go_on(id);
                    }
                }
            }
        }
        Ok(())
    }

    pub fn complete(&mut self, effect: u64, status: Status, report: Option<Report>) -> Result<(), Reason> {
        match self.jobs.get(&effect) {
            Some(job) if job.out => {}
            _ => return Err(Reason::StaleHandle),
        }
        let job = self.jobs.remove(&effect).unwrap();
        self.aborts.remove(&effect);
        let id = job.container;
        if let Some(report) = report {
            self.learn(id, &report);
        }
        let ok = status == Status::Success;
        let was_open = self.open.contains_key(&effect);
        let result = match job.action {
            _ if !ok && job.by_delete => refusal(Reason::CancelledByDelete),
            _ if !ok => Answer::Failed {
                status,
                reason: Reason::Runtime,
                state: None,
            },
            Action::Create { .. } => Answer::Created(id),
            Action::Inspect | Action::Host(_) => Answer::HostData,
            _ => Answer::Done,
        };
        if was_open {
            self.answer(effect, result);
        }
        let exists = self.boxes.contains_key(&id);
        if exists && self.at(id).busy == Some(effect) {
            self.at(id).busy = None;
        }
        match job.action {
            Action::Create { .. } if ok && !was_open => {
                self.at(id).life = Life::Undoing;
                self.undos.insert(effect, id);
            }
            Action::Create { .. } if ok => self.come_to_life(id),
            Action::Create { .. } => self.remove(id),
            Action::Delete { .. } if ok => self.remove(id),
            Action::Delete { force: true } if exists && job.undo => self.come_to_life(id),
            Action::Delete { force: true } if exists => {
                self.at(id).forces.retain(|other| *other != effect);
                self.go_on(id);
            }
            _ => self.go_on(id),
        }
        Ok(())
    }

    pub fn seen(&mut self, id: ContainerId, name: &str, report: &Report) {
        if !self.boxes.contains_key(&id) {
            let pinned = self.operations().values().any(|(container, _)| *container == id);
            if pinned || self.records_in_use() >= self.max_containers {
                return;
            }
            self.order.push(id);
            self.boxes.insert(id, fresh(""));
        }
        let taken = self.boxes.values().any(|it| it.name == name);
        let it = self.at(id);
        if it.life == Life::Live && it.name.is_empty() && !taken {
            it.name = name.to_string();
        }
        self.learn(id, report);
    }

    pub fn gone(&mut self, id: ContainerId) {
        let creating = self.boxes.get(&id).map_or(true, |it| it.life == Life::Creating);
        if !creating {
            self.remove(id);
        }
    }

    /// The kernel gave this output: it must have been waiting.
    pub fn take(&mut self, output: &Output) {
        match *output {
            Output::Answer { ticket, answer } => {
                let (_, _, expected) = self.answers.remove(&ticket).unwrap_or_else(|| {
                    panic!("ticket {ticket:#x} was not to be answered with {answer:?}");
                });
                assert_eq!(answer, expected, "the answer of ticket {ticket:#x}");
                assert!(
                    self.answered.insert(ticket),
                    "ticket {ticket:#x} is answered twice"
                );
            }
            Output::Abort { effect } => {
                assert!(
                    self.aborts.remove(&effect),
                    "effect {effect:#x} was not to be aborted"
                );
            }
            Output::Effect {
                effect,
                container,
                action,
            } => {
                if let Some(job) = self.jobs.get_mut(&effect) {
                    assert!(!job.out, "effect {effect:#x} is handed out twice");
                    assert_eq!(job.container, container);
                    match (job.action, action) {
                        (Action::Create { .. }, Action::Create { .. }) => {}
                        (expected, action) => assert_eq!(expected, action),
                    }
                    job.out = true;
                    return;
                }
                assert_eq!(
                    action,
                    Action::Delete { force: true },
                    "an effect that nobody asked for"
                );
                let create = *self
                    .undos
                    .iter()
                    .find(|(_, undone)| **undone == container)
                    .expect("an undo that nobody needs")
                    .0;
                self.undos.remove(&create);
                self.hand_out(effect, container, action);
                let job = self.jobs.get_mut(&effect).unwrap();
                job.out = true;
                job.undo = true;
            }
        }
    }
}

fn fresh(name: &str) -> Container {
    Container {
        name: name.to_string(),
        life: Life::Live,
        state: State::Created,
        exit: None,
        known: None,
        queue: vec![],
        waits: vec![],
        forces: vec![],
        busy: None,
    }
}
