//! How things move in the reference model.

use super::model::{Container, Job, Life, Model, refusal};
use selur_protocol::abi::{Action, Answer, Report};
use selur_protocol::{Command, ContainerId, Reason, State};

impl Model {
    pub fn at(&mut self, id: ContainerId) -> &mut Container {
        self.boxes.get_mut(&id).expect("a container that exists")
    }

    pub fn hand_out(&mut self, ticket: u64, container: ContainerId, action: Action) {
        let job = Job {
            container,
            action,
            out: false,
            aborted: false,
            by_delete: false,
            undo: false,
        };
        self.jobs.insert(ticket, job);
    }

    pub fn answer(&mut self, ticket: u64, answer: Answer) {
        if let Some((container, command)) = self.open.remove(&ticket) {
            self.answers.insert(ticket, (container, command, answer));
        }
    }

    pub fn abort(&mut self, effect: u64) {
        let job = self.jobs.get_mut(&effect).expect("a running effect");
        if !job.aborted {
            job.aborted = true;
            self.aborts.insert(effect);
        }
    }

    pub fn cancel_queue(&mut self, id: ContainerId) {
        for ticket in std::mem::take(&mut self.at(id).queue) {
            self.answer(ticket, refusal(Reason::CancelledByDelete));
        }
    }

    pub fn take_back_busy(&mut self, id: ContainerId) {
        let busy = self.at(id).busy.take().expect("something runs");
        self.jobs.remove(&busy);
        self.answer(busy, refusal(Reason::CancelledByDelete));
    }

    pub fn learn(&mut self, id: ContainerId, report: &Report) {
        let it = match self.boxes.get_mut(&id) {
            Some(it) => it,
            None => return,
        };
        let version = (report.generation, report.sequence);
        if it.known.map_or(false, |known| version <= known) {
            return;
        }
        it.known = Some(version);
        it.state = report.state;
        it.exit = report.exit_code;
        if it.state == State::Stopped {
            let exit = it.exit;
            for ticket in std::mem::take(&mut it.waits) {
                self.answer(ticket, Answer::Exited(exit));
            }
        }
    }

    pub fn remove(&mut self, id: ContainerId) {
        self.order.retain(|other| *other != id);
        if let Some(it) = self.boxes.remove(&id) {
            for ticket in it.queue.into_iter().chain(it.waits) {
                self.answer(ticket, refusal(Reason::ContainerDeleted));
            }
            for ticket in it.forces {
                if !self.jobs.contains_key(&ticket) {
                    self.answer(ticket, Answer::Done);
                }
            }
        }
    }

    pub fn come_to_life(&mut self, id: ContainerId) {
        self.at(id).life = Life::Live;
        let (overtaking, queue) = std::mem::take(&mut self.at(id).queue)
            .into_iter()
            .partition(|ticket| overtakes(self.open[ticket].1));
        self.at(id).queue = queue;
        let overtaking: Vec<u64> = overtaking;
        for ticket in overtaking {
            self.turn(id, ticket);
        }
        self.go_on(id);
    }

    /// Lets whoever is next have the container.
    pub fn go_on(&mut self, id: ContainerId) {
        loop {
            let it = match self.boxes.get(&id) {
                Some(it) if it.life == Life::Live => it,
                _ => return,
            };
            if let Some(first) = it.forces.first().copied() {
                if !self.jobs.contains_key(&first) {
                    self.hand_out(first, id, Action::Delete { force: true });
                }
                return;
            }
            if it.busy.is_some() || it.queue.is_empty() {
                return;
            }
            let ticket = self.at(id).queue.remove(0);
            if self.turn(id, ticket) {
                self.at(id).busy = Some(ticket);
            }
        }
    }

    /// Decides about a request whose turn it is; says whether it acts.
    pub fn turn(&mut self, id: ContainerId, ticket: u64) -> bool {
        let state = self.boxes[&id].state;
        let command = self.open[&ticket].1;
        match verdict(command, state) {
            Verdict::Nothing => self.answer(ticket, Answer::Done),
            Verdict::Refuse => {
                let reason = Reason::WrongState;
                self.answer(
                    ticket,
                    Answer::Failed {
                        status: reason.status(),
                        reason,
                        state: Some(state),
                    },
                );
            }
            Verdict::Act => {
                let action = self.wishes[&ticket];
                self.hand_out(ticket, id, action);
                return true;
            }
        }
        false
    }
}

/// Whether a command never queues behind others.
pub fn overtakes(command: Command) -> bool {
    command.is_hosted() || matches!(command, Command::InspectContainer | Command::KillContainer)
}

pub enum Verdict {
    Act,
    Nothing,
    Refuse,
}

/// DESIGN's table, by what each command is for.
pub fn verdict(command: Command, state: State) -> Verdict {
    use State::*;
    let (acts_in, is_so_in): (&[State], &[State]) = match command {
        Command::StartContainer => (&[Created, Stopped], &[Running, Restarting]),
        Command::StopContainer => (&[Running, Paused, Restarting], &[Created, Stopped]),
        Command::KillContainer => (&[Running, Paused, Restarting], &[]),
        Command::PauseContainer => (&[Running], &[Paused]),
        Command::ResumeContainer => (&[Paused], &[Running]),
        Command::DeleteContainer => (&[Created, Stopped], &[]),
        Command::Exec => (&[Running], &[]),
        Command::Stats | Command::Top => (&[Running, Paused], &[]),
        Command::Attach => (&[Created, Running, Paused, Restarting], &[]),
        _ => (&State::ALL, &[]),
    };
    if acts_in.contains(&state) {
        Verdict::Act
    } else if is_so_in.contains(&state) {
        Verdict::Nothing
    } else {
        Verdict::Refuse
    }
}
