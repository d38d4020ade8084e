//! One property for each guarantee of the kernel, against the reference model where it says what must happen.
//!
//! Source: DESIGN, "The kernel": noLostRequests, noMemoryLeaks, noBufferOverflow, linearUsage, determinism.

use crate::driver::{Driver, Sent};
use crate::model::{Expected, Model};
use proptest::prelude::*;
use proptest::sample::Index;
use selur_kernel::{Entry, Kernel, Usage};
use selur_protocol::abi::{Action, CancelCause, Output, Report};
use selur_protocol::{Command, ContainerId, Reason, Signal, State, Status};
use std::collections::BTreeSet;

/// So small that every limit is met: 3 containers, 8 operations, 16 blocks.
type Tiny = Kernel<3, 5, 8, 16, 1, 4096>;

const NAMES: [&str; 4] = ["", "web", "db", "aabb"];

#[derive(Clone, Debug)]
enum Step {
    Create {
        name: usize,
    },
    Ask {
        request: usize,
        argument: Index,
    },
    Host {
        command: usize,
    },
    Cancel {
        ticket: Index,
        deadline: bool,
    },
    Complete {
        effect: Index,
        status: Status,
        report: Option<Report>,
    },
    Seen {
        id: Index,
        name: usize,
        report: Report,
    },
    Gone {
        id: Index,
    },
    Poll {
        outputs: usize,
    },
    UseStale {
        number: u64,
    },
}

/// What is asked of containers; none is a wait.
const REQUESTS: [Option<Action>; 14] = [
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
const HOSTED: [(Command, &[&str]); 4] = [
    (Command::Events, &["{}"]),
    (Command::PullImage, &["nginx"]),
    (Command::TagImage, &["nginx", "mine"]),
    (Command::CreateVolume, &["web"]),
];

fn reports() -> impl Strategy<Value = Report> {
    let exits = prop_oneof![Just(None), (-2..300).prop_map(Some)];
    (0..4u32, 0..6u32, proptest::sample::select(&State::ALL[..]), exits).prop_map(
        |(generation, sequence, state, exit_code)| Report {
            generation,
            sequence,
            state,
            exit_code,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let status = prop_oneof![
        4 => Just(Status::Success),
        1 => proptest::sample::select(&Status::ALL[1..]),
    ];
    let step = prop_oneof![
        4 => (0..NAMES.len()).prop_map(|name| Step::Create { name }),
        14 => (0..REQUESTS.len(), any::<Index>()).prop_map(|(request, argument)| Step::Ask { request, argument }),
        2 => (0..HOSTED.len()).prop_map(|command| Step::Host { command }),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(ticket, deadline)| Step::Cancel { ticket, deadline }),
        8 => (any::<Index>(), status, proptest::option::of(reports()))
            .prop_map(|(effect, status, report)| Step::Complete { effect, status, report }),
        3 => (any::<Index>(), 0..NAMES.len(), reports())
            .prop_map(|(id, name, report)| Step::Seen { id, name, report }),
        1 => any::<Index>().prop_map(|id| Step::Gone { id }),
        8 => (1..6usize).prop_map(|outputs| Step::Poll { outputs }),
        1 => any::<u64>().prop_map(|number| Step::UseStale { number }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The kernel and the model, side by side.
struct Pair {
    driver: Driver<Tiny>,
    model: Model,
    ids: Vec<ContainerId>,
    tickets: BTreeSet<u64>,
    finished: Vec<u64>,
}

impl Pair {
    fn new() -> Pair {
        let model = Model::new(3, 8);
        Pair {
            driver: Driver::new(Tiny::new()),
            model,
            ids: vec![],
            tickets: BTreeSet::new(),
            finished: vec![],
        }
    }

    fn new_id(&mut self) -> ContainerId {
        let mut bytes = [self.ids.len() as u8; 16];
        bytes[..2].copy_from_slice(&[0xaa, 0xbb]);
        let id = ContainerId::from_bytes(bytes);
        self.ids.push(id);
        id
    }

    /// Compares what the kernel gave with what the model expects, and notes the ticket.
    fn check(&mut self, sent: &Sent, expected: Expected) -> Option<u64> {
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

    fn step(&mut self, step: &Step) {
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
                    let ticket = *ticket.get(&open);
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
                    self.complete(*effect.get(&effects), status, report);
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
                    let id = *id.get(&self.ids);
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

    fn argument(&self, choice: Index) -> String {
        let mut arguments: Vec<String> = self.ids.iter().rev().take(6).map(|id| id.to_string()).collect();
        arguments.extend(
            self.ids
                .iter()
                .rev()
                .take(2)
                .map(|id| id.to_string()[..6].to_string()),
        );
        arguments.extend(["web", "db", "aabb", "aab", "nope"].map(String::from));
        choice.get(&arguments).clone()
    }

    fn complete(&mut self, effect: u64, status: Status, report: Option<Report>) {
        let completed = self.driver.complete(effect, status, report);
        assert_eq!(completed, self.model.complete(effect, status, report));
        if completed.is_ok() {
            self.finished.push(effect);
        }
    }

    fn poll(&mut self) -> bool {
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
    fn wind_up(&mut self) {
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

fn cases(number: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(number)
    }
}

proptest! {
    #![proptest_config(cases(3000))]

    /// noLostRequests: every accepted ticket is answered exactly once, and with what the model says.
    /// noMemoryLeaks: afterwards nothing is in use, and the arena is one gap again.
    #[test]
    fn every_ticket_is_answered_once_and_nothing_is_left_behind(steps in steps()) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step);
        }
        pair.wind_up();
        prop_assert_eq!(&pair.model.answered, &pair.tickets);
        prop_assert_eq!(pair.driver.kernel.usage(), Usage::default());
        let all = pair.driver.kernel.reserve(4096).expect("the whole arena");
        prop_assert_eq!(pair.driver.kernel.release(all), Ok(()));
    }

    /// determinism: the log of the inputs, fed to a fresh kernel, gives the same outputs and the same digest at every
    /// step, wherever the slots lie.
    #[test]
    fn a_replayed_log_gives_the_same_digests_and_outputs(steps in steps(), shift in 0..3usize) {
        let mut pair = Pair::new();
        let mut replayed = Tiny::new();
        for _ in 0..shift {
            replayed.reserve(1).expect("a slot");
        }
        for step in &steps {
            if let Step::Poll { outputs } = step {
                for _ in 0..*outputs {
                    let output = pair.driver.poll();
                    if let Some(output) = &output {
                        pair.model.take(output);
                    }
                    prop_assert_eq!(output.map(without_offset), replayed.poll().map(without_offset));
                }
                continue;
            }
            let logged = pair.driver.log.len();
            pair.step(step);
            for bytes in &pair.driver.log[logged..] {
                let entry = Entry::decode(bytes).expect("a logged entry");
                let _ = replayed.replay(&entry);
            }
            prop_assert_eq!(pair.driver.kernel.digest(), replayed.digest());
        }
    }
}

fn without_offset(output: Output) -> Output {
    match output {
        Output::Effect {
            effect,
            container,
            action: Action::Create { bytes, .. },
        } => Output::Effect {
            effect,
            container,
            action: Action::Create { offset: 0, bytes },
        },
        other => other,
    }
}
