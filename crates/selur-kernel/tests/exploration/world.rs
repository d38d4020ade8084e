//! A small world around the real kernel: a runtime that may do anything, and callers that may do anything.
//!
//! It knows what is true, what is on its way, and what must never happen; which step comes next is the checker's choice.

use crate::scene::{Ask, MOST_CONTAINERS, MOST_REQUESTS, Scene, Step};
use selur_kernel::{Input, Kernel, SlotUse};
use selur_protocol::abi::{Action, Answer, CancelCause, Observation, Outcome, Output, Report};
use selur_protocol::{Command, ContainerId, Frame, Reason, State, Status};

/// Small: 3 containers, 14 operations, 4 blocks.
pub type Checked = Kernel<3, 4, 14, 4, 1, 1024>;

pub const NAMES: [&str; MOST_CONTAINERS] = ["a", "b", "c"];

/// What comes with the completion of a command that names no container: believed of any, it would be seen.
const LIE: Report = Report {
    generation: 99,
    sequence: 99,
    state: State::Restarting,
    exit_code: None,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    Not,
    /// With its place in the order of arrival, and what its effect came to.
    Open {
        arrival: u8,
        handed_out: bool,
        outcome: Option<bool>,
    },
    Answered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    pub container: usize,
    pub command: Command,
    pub forced: bool,
    /// None: an undo.
    pub request: Option<usize>,
    pub aborted: bool,
    pub performed: Option<(bool, Option<Report>)>,
}

/// What is true of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Truth {
    pub exists: bool,
    pub state: State,
    pub generation: u32,
    pub sequence: u32,
    /// The kernel was told that it is deleted: what was seen before is no longer passed on.
    told_gone: bool,
}

#[derive(Clone)]
pub struct World {
    pub kernel: Checked,
    pub asked: [[Asked; MOST_REQUESTS]; MOST_CONTAINERS],
    pub tickets: [[u64; MOST_REQUESTS]; MOST_CONTAINERS],
    pub arrivals: [u8; MOST_CONTAINERS],
    pub effects: Vec<(u64, Effect)>,
    pub truth: [Truth; MOST_CONTAINERS],
    /// What is on its way: a report, or none for gone.
    pub flying: Vec<(usize, Option<Report>)>,
    pub cancels: u8,
    pub exits: u8,
    pub losses: u8,
    /// What must never happen, and did.
    pub wrong: Option<&'static str>,
    /// What has been met: an undo, a joined forced delete, an answer that a deletion gave.
    pub met: Met,
}

/// Rare events, so that a checker can say that it met them. They are no part of a state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Met {
    pub undo: bool,
    pub abort: bool,
    pub deleted: bool,
    pub forced_join: bool,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("asked", &self.asked)
            .field("effects", &self.effects)
            .field("truth", &self.truth)
            .field("flying", &self.flying)
            .field("usage", &self.kernel.usage())
            .field("wrong", &self.wrong)
            .finish()
    }
}

pub fn id(container: usize) -> ContainerId {
    ContainerId::from_bytes([container as u8 + 1; 16])
}

impl World {
    pub fn new(scene: &Scene) -> World {
        let nothing = Truth {
            exists: false,
            state: State::Created,
            generation: 0,
            sequence: 1,
            told_gone: false,
        };
        let mut world = World {
            kernel: Checked::new(),
            asked: [[Asked::Not; MOST_REQUESTS]; MOST_CONTAINERS],
            tickets: [[0; MOST_REQUESTS]; MOST_CONTAINERS],
            arrivals: [0; MOST_CONTAINERS],
            effects: vec![],
            truth: [nothing; MOST_CONTAINERS],
            flying: vec![],
            cancels: scene.cancels,
            exits: scene.exits,
            losses: scene.losses,
            wrong: None,
            met: Met::default(),
        };
        for (container, requests) in scene.requests.iter().enumerate() {
            if requests.first() != Some(&Ask::Create) {
                world.truth[container].exists = true;
                world.truth[container].state = scene.born;
                world.observe(container, Some(world.report(container)));
            }
        }
        world
    }

    pub fn steps(&self, scene: &Scene, steps: &mut Vec<Step>) {
        for (container, requests) in scene.requests.iter().enumerate() {
            let waits_for_create =
                requests.first() == Some(&Ask::Create) && self.asked[container][0] == Asked::Not;
            for (request, _) in requests.iter().enumerate() {
                match self.asked[container][request] {
                    Asked::Not if request == 0 || !waits_for_create => {
                        // Equal requests are asked in their order: they are the same.
                        let twin = requests[..request]
                            .iter()
                            .zip(&self.asked[container])
                            .any(|(other, asked)| *other == requests[request] && *asked == Asked::Not);
                        if !twin {
                            steps.push(Step::Ask(container, request));
                        }
                    }
                    Asked::Open { .. } if self.cancels > 0 => steps.push(Step::Cancel(container, request)),
                    _ => {}
                }
            }
            let truth = &self.truth[container];
            if self.exits > 0 && truth.exists && matches!(truth.state, State::Running | State::Restarting) {
                steps.push(Step::Exit(container));
            }
            if self.losses > 0 && truth.exists && !self.is_being_created(container) {
                steps.push(Step::Lose(container));
            }
        }
        for (place, (_, effect)) in self.effects.iter().enumerate() {
            match effect.performed {
                None => {
                    steps.push(Step::Perform(place, false));
                    if self.can_succeed(effect) {
                        steps.push(Step::Perform(place, true));
                    }
                }
                Some(_) => steps.push(Step::Tell(place)),
            }
        }
        steps.extend((0..self.flying.len()).map(Step::Observe));
        if !scene.eager && self.clone().kernel.poll().is_some() {
            steps.push(Step::Poll);
        }
    }

    pub fn take(&mut self, scene: &Scene, step: Step) {
        match step {
            Step::Ask(container, request) => self.ask(scene, container, request),
            Step::Cancel(container, request) => {
                self.cancels -= 1;
                let ticket = self.tickets[container][request];
                let cause = CancelCause::Caller;
                match (
                    self.kernel.feed(Input::Cancel { ticket, cause }),
                    &mut self.asked[container][request],
                ) {
                    (Ok(_), Asked::Open { outcome, .. }) => *outcome = Some(false),
                    // It was settled already: its answer waits.
                    _ => self.expect(!scene.eager, "an open ticket cannot be cancelled"),
                }
            }
            Step::Perform(place, succeeds) => {
                self.perform(place, succeeds);
                if !scene.late {
                    self.tell(place);
                }
            }
            Step::Tell(place) => self.tell(place),
            Step::Exit(container) => {
                self.exits -= 1;
                self.change(container, State::Stopped);
                self.flying.push((container, Some(self.report(container))));
            }
            Step::Lose(container) => {
                self.losses -= 1;
                self.truth[container].exists = false;
                self.flying.push((container, None));
            }
            Step::Observe(place) => {
                let (container, report) = self.flying.remove(place);
                self.observe(container, report);
            }
            Step::Poll => {
                self.poll_once(scene);
            }
        }
        if scene.eager {
            while self.poll_once(scene) {}
        }
    }

    fn expect(&mut self, holds: bool, otherwise: &'static str) {
        if !holds && self.wrong.is_none() {
            self.wrong = Some(otherwise);
        }
    }

    fn ask(&mut self, scene: &Scene, container: usize, request: usize) {
        let ask = scene.requests[container][request];
        let name = NAMES[container];
        let fields: &[&str] = match ask {
            Ask::Create => &["i", name],
            Ask::Force => &[name, "force"],
            Ask::Exec => &[name, "{}"],
            Ask::Pull => &["i"],
            _ => &[name],
        };
        if ask == Ask::Force
            && self
                .effects
                .iter()
                .any(|(_, it)| it.container == container && it.forced)
        {
            self.met.forced_join = true;
        }
        match send(&mut self.kernel, ask.command(), fields, container) {
            Outcome::Pending { ticket } => {
                self.arrivals[container] += 1;
                self.tickets[container][request] = ticket;
                self.asked[container][request] = Asked::Open {
                    arrival: self.arrivals[container],
                    handed_out: false,
                    outcome: None,
                };
            }
            Outcome::Ready { .. } => self.asked[container][request] = Asked::Answered,
        }
    }

    fn poll_once(&mut self, scene: &Scene) -> bool {
        match self.kernel.poll() {
            None => return false,
            Some(Output::Answer { ticket, answer }) => self.answered(ticket, answer),
            Some(Output::Abort { effect }) => {
                self.met.abort = true;
                match self.effects.iter_mut().find(|(id, _)| *id == effect) {
                    Some((_, effect)) if !effect.aborted => effect.aborted = true,
                    _ => self.expect(false, "an effect is aborted that does not run, or twice"),
                }
            }
            Some(Output::Effect {
                effect,
                container,
                action,
            }) => {
                let whose = match usize::from(container.as_bytes()[0]).checked_sub(1) {
                    Some(container) => container,
                    // It is about no container: it is listed with the one whose scene asked for it.
                    None => match self.place_of(effect) {
                        Some((container, _)) => container,
                        None => {
                            self.expect(false, "an effect on no container that nobody asked for");
                            return true;
                        }
                    },
                };
                self.expect(
                    action.command().names_container() == (container != ContainerId::NONE),
                    "an effect has a container that its command does not name, or none",
                );
                self.handed_out(scene, effect, whose, action);
            }
        }
        true
    }

    fn answered(&mut self, ticket: u64, answer: Answer) {
        let asked = match self.place_of(ticket) {
            Some((container, request)) => &mut self.asked[container][request],
            None => return self.expect(false, "an answer for a ticket that was never given"),
        };
        let outcome = match *asked {
            Asked::Open { outcome, .. } => outcome,
            _ => return self.expect(false, "a ticket is answered twice"),
        };
        *asked = Asked::Answered;
        let failed = match answer {
            Answer::Failed { reason, .. } => {
                self.met.deleted |= reason == Reason::ContainerDeleted;
                true
            }
            _ => false,
        };
        self.expect(
            outcome != Some(failed),
            "an answer is not what came of its effect",
        );
    }

    fn handed_out(&mut self, scene: &Scene, id: u64, container: usize, action: Action) {
        let forced = action == Action::Delete { force: true };
        let request = self.place_of(id).map(|(_, request)| request);
        let busy = |it: &Effect| it.container == container && (queues(it.command) || it.forced);
        let running: Vec<Effect> = self.effects.iter().map(|(_, it)| *it).filter(busy).collect();
        if let Some(request) = request {
            let ask = scene.requests[container][request];
            let others = scene.requests[container].iter().zip(&self.asked[container]);
            let arrived_first = others.filter(|(other, _)| other.queues()).all(|(_, other)| {
                match (self.asked[container][request], *other) {
                    (
                        Asked::Open { arrival, .. },
                        Asked::Open {
                            arrival: before,
                            handed_out: false,
                            outcome: None,
                        },
                    ) => before >= arrival,
                    _ => true,
                }
            });
            self.expect(
                !ask.queues() || arrived_first,
                "a later request has its turn before an earlier one",
            );
        } else {
            self.met.undo = true;
            self.expect(forced, "an effect that nobody asked for");
        }
        if forced {
            let alone = running.iter().all(|it| !it.forced);
            self.expect(alone, "two forced deletes run at once");
            let create_runs = running.iter().any(|it| it.command == Command::CreateContainer);
            self.expect(!create_runs, "a forced delete runs beside the create");
        } else if action.command().is_hosted() {
            let create_runs = running.iter().any(|it| it.command == Command::CreateContainer);
            self.expect(
                !create_runs || !action.command().names_container(),
                "a hosted command runs on a container that is being created",
            );
        } else if queues(action.command()) {
            self.expect(
                running.is_empty(),
                "two effects that each need the container alone run at once",
            );
        }
        if let Some(request) = request {
            match &mut self.asked[container][request] {
                Asked::Open { handed_out, .. } if !*handed_out => *handed_out = true,
                _ => self.expect(false, "an effect is handed out twice, or after its answer"),
            }
        }
        let effect = Effect {
            container,
            command: action.command(),
            forced,
            request,
            aborted: false,
            performed: None,
        };
        self.effects.push((id, effect));
    }

    fn can_succeed(&self, effect: &Effect) -> bool {
        let truth = &self.truth[effect.container];
        let runs = matches!(truth.state, State::Running | State::Paused | State::Restarting);
        match effect.command {
            Command::CreateContainer | Command::PullImage => true,
            Command::DeleteContainer if effect.forced => true,
            Command::DeleteContainer => truth.exists && !runs,
            Command::StartContainer => truth.exists && truth.state != State::Paused,
            Command::PauseContainer | Command::ResumeContainer => truth.exists && runs,
            _ => truth.exists,
        }
    }

    fn perform(&mut self, place: usize, succeeds: bool) {
        let effect = self.effects[place].1;
        let container = effect.container;
        let truth = &mut self.truth[container];
        if succeeds {
            match (effect.command, truth.state) {
                (Command::CreateContainer, _) => truth.exists = true,
                (Command::DeleteContainer, _) => truth.exists = false,
                (Command::StartContainer, State::Created | State::Stopped) => {
                    truth.generation += 1;
                    truth.sequence = 0;
                    self.change(container, State::Running);
                }
                (Command::StopContainer, State::Running | State::Paused | State::Restarting) => {
                    self.change(container, State::Stopped);
                }
                (Command::PauseContainer, State::Running) => self.change(container, State::Paused),
                (Command::ResumeContainer, State::Paused) => self.change(container, State::Running),
                _ => {}
            }
        }
        let report = if effect.command.names_container() {
            Some(self.report(container)).filter(|_| self.truth[container].exists)
        } else {
            Some(LIE)
        };
        self.effects[place].1.performed = Some((succeeds, report));
    }

    fn tell(&mut self, place: usize) {
        let (id, effect) = self.effects.remove(place);
        let (succeeds, report) = effect.performed.unwrap_or((false, None));
        if let Some(request) = effect.request {
            if let Asked::Open { outcome, .. } = &mut self.asked[effect.container][request] {
                outcome.get_or_insert(succeeds);
            }
        }
        if effect.command == Command::DeleteContainer && succeeds {
            self.truth[effect.container].told_gone = true;
        }
        let status = if succeeds {
            Status::Success
        } else {
            Status::InternalError
        };
        let told = self.kernel.feed(Input::Complete {
            effect: id,
            status,
            report,
        });
        self.expect(told.is_ok(), "a running effect cannot be completed");
        let again = self.kernel.feed(Input::Complete {
            effect: id,
            status,
            report,
        });
        self.expect(
            again == Err(Reason::StaleHandle),
            "an effect can be completed twice",
        );
    }

    fn observe(&mut self, container: usize, report: Option<Report>) {
        let truth = &mut self.truth[container];
        let id = id(container);
        let observation = match report {
            Some(_) if truth.told_gone => return,
            Some(report) => Observation::Seen {
                id,
                name: NAMES[container],
                report,
            },
            None => {
                truth.told_gone = true;
                Observation::Gone { id }
            }
        };
        let taken = self.kernel.feed(Input::Observe(observation));
        self.expect(taken.is_ok(), "an observation is refused");
    }

    fn change(&mut self, container: usize, state: State) {
        let truth = &mut self.truth[container];
        truth.state = state;
        truth.sequence += 1;
    }

    fn report(&self, container: usize) -> Report {
        let truth = &self.truth[container];
        Report {
            generation: truth.generation,
            sequence: truth.sequence,
            state: truth.state,
            exit_code: if truth.state == State::Stopped {
                Some(0)
            } else {
                None
            },
        }
    }

    fn is_being_created(&self, container: usize) -> bool {
        self.effects
            .iter()
            .any(|(_, it)| it.container == container && it.command == Command::CreateContainer)
    }

    pub fn place_of(&self, ticket: u64) -> Option<(usize, usize)> {
        (0..MOST_CONTAINERS)
            .flat_map(|container| (0..MOST_REQUESTS).map(move |request| (container, request)))
            .find(|(container, request)| self.tickets[*container][*request] == ticket)
    }
}

fn queues(command: Command) -> bool {
    !command.is_hosted()
        && !matches!(
            command,
            Command::InspectContainer | Command::KillContainer | Command::WaitContainer
        )
}

pub fn send(kernel: &mut Checked, command: Command, fields: &[&str], container: usize) -> Outcome {
    let fields: [&[u8]; 2] = [
        fields[0].as_bytes(),
        fields.get(1).map_or(&[][..], |it| it.as_bytes()),
    ];
    let count = if fields[1].is_empty() { 1 } else { 2 };
    let slot = kernel.reserve(64).expect("a slot");
    let place = kernel.slot_mut(slot).expect("reserved");
    let frame_bytes = Frame::encode(command, &fields[..count], place).expect("room") as u32;
    let new_id = id(container);
    let input = Input::Submit {
        slot,
        frame_bytes,
        slot_use: SlotUse::Consume,
        new_id,
    };
    let outcome = kernel.feed(input).expect("taken").expect("an outcome").outcome;
    if let Outcome::Ready { .. } = outcome {
        kernel.release(slot).expect("answered");
    }
    outcome
}
