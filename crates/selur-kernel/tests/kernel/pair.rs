//! The kernel and the reference model side by side: each step goes to both, and what they give is compared.

use super::driver::{Driver, Sent};
use super::model::{Expected, Model};
use selur_kernel::Kernel;
use selur_protocol::abi::{Action, CancelCause, Report};
use selur_protocol::{Command, ContainerId, Reason, Signal, Status};
use std::collections::BTreeSet;

/// So small that every limit is met: 3 containers, 8 operations, 16 blocks.
pub type Tiny = Kernel<3, 5, 8, 16, 1, 4096>;

pub const NAMES: [&str; 4] = ["", "web", "db", "aabb"];

/// A choice among however many there are when it comes to choosing.
#[derive(Clone, Copy, Debug)]
pub struct Pick(pub u32);

impl Pick {
    pub fn index(self, count: usize) -> usize {
        self.0 as usize % count
    }

    pub fn of<T>(self, all: &[T]) -> &T {
        &all[self.index(all.len())]
    }
}

#[derive(Clone, Debug)]
pub enum Step {
    Create {
        name: usize,
    },
    Ask {
        request: usize,
        argument: Pick,
    },
    Host {
        command: usize,
    },
    Cancel {
        ticket: Pick,
        deadline: bool,
    },
    Complete {
        effect: Pick,
        status: Status,
        report: Option<Report>,
    },
    Seen {
        id: Pick,
        name: usize,
        report: Report,
    },
    Gone {
        id: Pick,
    },
    Poll {
        outputs: usize,
    },
    UseStale {
        number: u64,
    },
}

/// What is asked of containers; none is a wait.
pub const REQUESTS: [Option<Action>; 14] = [
    Some(Action::Start),
    Some(Action::Stop { timeout_ms: None }),
    Some(Action::Stop {
        timeout_ms: Some(250),
    }),
    Some(Action::Inspect),
    Some(Action::Delete { force: false }),
    Some(Action::Delete { force: true }),
    Some(Action::Kill { signal: Signal::TERM }),
    Some(Action::Pause),
    Some(Action::Resume),
    Some(Action::Host(Command::Exec)),
    Some(Action::Host(Command::Logs)),
    Some(Action::Host(Command::Attach)),
    Some(Action::Host(Command::Top)),
    None,
];

/// What is asked of no container.
pub const HOSTED: [(Command, &[&str]); 4] = [
    (Command::Events, &["{}"]),
    (Command::PullImage, &["nginx"]),
    (Command::TagImage, &["nginx", "mine"]),
    (Command::CreateVolume, &["web"]),
];

/// The kernel and the model, side by side.
pub struct Pair {
    pub driver: Driver<Tiny>,
    pub model: Model,
    pub ids: Vec<ContainerId>,
    pub tickets: BTreeSet<u64>,
    pub finished: Vec<u64>,
}

impl Pair {
    pub fn new() -> Pair {
        let model = Model::new(3, 8);
        Pair {
            driver: Driver::new(Tiny::new()),
            model,
            ids: vec![],
            tickets: BTreeSet::new(),
            finished: vec![],
        }
    }

    pub fn new_id(&mut self) -> ContainerId {
        let mut bytes = [self.ids.len() as u8; 16];
        bytes[..2].copy_from_slice(&[0xaa, 0xbb]);
        let id = ContainerId::from_bytes(bytes);
        self.ids.push(id);
        id
    }

    /// Compares what the kernel gave with what the model expects, and notes the ticket.
    pub fn check(&mut self, sent: &Sent, expected: Expected) -> Option<u64> {
        let agrees = match (sent, &expected) {
            (Sent::Data(data), Expected::Data(wanted)) => data == wanted,
            (Sent::Refused(reason, state), Expected::Refused(r, s)) => (reason, state) == (r, s),
            (Sent::Pending(_), Expected::Pending) => true,
            _ => false,
        };
        assert!(agrees, "the kernel gave {sent:?}, the model {expected:?}");
        match sent {
            Sent::Pending(ticket) => {
                assert!(self.tickets.insert(*ticket), "a ticket is used again");
                Some(*ticket)
            }
            _ => None,
        }
    }

    pub fn step(&mut self, step: &Step) {
        match *step {
            Step::Create { name } => {
                let id = self.new_id();
                let sent = self.driver.create(id, NAMES[name]);
                let ticket = if let Sent::Pending(ticket) = sent {
                    Some(ticket)
                } else {
                    None
                };
                let expected = self.model.create(id, NAMES[name], ticket);
                self.check(&sent, expected);
            }
            Step::Ask { request, argument } => {
                let argument = self.argument(argument);
                let (command, option) = match REQUESTS[request] {
                    None => (Command::WaitContainer, None),
                    Some(action) => match action {
                        Action::Stop { timeout_ms: Some(ms) } => (action.command(), Some(ms.to_string())),
                        Action::Delete { force: true } => (action.command(), Some("force".into())),
                        Action::Kill { .. } => (action.command(), Some("SIGTERM".into())),
                        Action::Host(Command::Exec) => (Command::Exec, Some("{}".into())),
                        _ => (action.command(), None),
                    },
                };
                let mut fields = vec![argument.as_str()];
                fields.extend(option.as_deref());
                let sent = self.driver.ask(command, &fields);
                let ticket = if let Sent::Pending(ticket) = sent {
                    Some(ticket)
                } else {
                    None
                };
                let expected = self.model.ask(&argument, REQUESTS[request], ticket);
                self.check(&sent, expected);
            }
            Step::Host { command } => {
                let (command, fields) = HOSTED[command];
                let sent = self.driver.ask(command, fields);
                let ticket = if let Sent::Pending(ticket) = sent {
                    Some(ticket)
                } else {
                    None
                };
                let expected = self.model.host(command, ticket);
                self.check(&sent, expected);
            }
            Step::Cancel { ticket, deadline } => {
                let open: Vec<u64> = self.tickets.iter().copied().collect();
                if !open.is_empty() {
                    let ticket = *ticket.of(&open);
                    let cause = if deadline {
                        CancelCause::Deadline
                    } else {
                        CancelCause::Caller
                    };
                    assert_eq!(
                        self.driver.cancel(ticket, cause),
                        self.model.cancel(ticket, cause)
                    );
                }
            }
            Step::Complete {
                effect,
                status,
                report,
            } => {
                // Those that were not handed out among them: they cannot be complete.
                let effects: Vec<u64> = self.model.jobs.keys().copied().collect();
                if !effects.is_empty() {
                    self.complete(*effect.of(&effects), status, report);
                }
            }
            Step::Seen { id, name, report } => {
                let id = match self.ids.len() {
                    0 => self.new_id(),
                    count if id.index(count + 1) == count => self.new_id(),
                    count => self.ids[id.index(count + 1)],
                };
                self.driver.seen(id, NAMES[name], report);
                self.model.seen(id, NAMES[name], &report);
            }
            Step::Gone { id } => {
                if !self.ids.is_empty() {
                    let id = *id.of(&self.ids);
                    self.driver.gone(id);
                    self.model.gone(id);
                }
            }
            Step::Poll { outputs } => {
                for _ in 0..outputs {
                    self.poll();
                }
            }
            Step::UseStale { number } => {
                let stale = self.finished.last().copied().unwrap_or(number);
                assert_eq!(
                    self.driver.complete(stale, Status::Success, None),
                    Err(Reason::StaleHandle)
                );
                assert_eq!(
                    self.driver.complete(number, Status::Success, None),
                    Err(Reason::StaleHandle)
                );
                assert_eq!(
                    self.driver.cancel(number, CancelCause::Caller),
                    Err(Reason::StaleHandle)
                );
            }
        }
        assert_eq!(
            self.driver.kernel.usage().operations as usize,
            self.model.operations_in_use()
        );
        assert_eq!(
            self.driver.kernel.usage().containers as usize,
            self.model.records_in_use()
        );
        assert_eq!(self.driver.kernel.usage().slots as usize, self.model.held_slots());
        assert_eq!(self.driver.list(), self.model.list());
    }

    fn argument(&self, choice: Pick) -> String {
        let mut arguments: Vec<String> = self.ids.iter().rev().take(6).map(|id| id.to_string()).collect();
        arguments.extend(
            self.ids
                .iter()
                .rev()
                .take(2)
                .map(|id| id.to_string()[..6].to_string()),
        );
        arguments.extend(["web", "db", "aabb", "aab", "nope"].map(String::from));
        choice.of(&arguments).clone()
    }

    fn complete(&mut self, effect: u64, status: Status, report: Option<Report>) {
        let completed = self.driver.complete(effect, status, report);
        assert_eq!(completed, self.model.complete(effect, status, report));
        if completed.is_ok() {
            self.finished.push(effect);
        }
    }

    pub fn poll(&mut self) -> bool {
        match self.driver.poll() {
            Some(output) => {
                self.model.take(&output);
                true
            }
            None => {
                assert!(self.model.is_silent(), "the kernel keeps something back");
                false
            }
        }
    }

    /// Brings everything to its end: every effect is completed, every container deleted.
    pub fn wind_up(&mut self) {
        loop {
            while self.poll() {}
            match self.model.running_effects().first() {
                Some(effect) => self.complete(*effect, Status::Success, None),
                None => break,
            }
        }
        for id in self.model.list() {
            self.driver.gone(id);
            self.model.gone(id);
        }
        while self.poll() {}
    }
}
