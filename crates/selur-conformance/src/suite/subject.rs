//! One container under test, with the effects as methods.

use super::{Ability, Fixture, Program};
use futures_util::StreamExt;
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, Signal, State, Status};
use selur_runtime::{
    Done, Effect, Inspection, LogEntry, LogOptions, Observation, Operation, Runtime, RuntimeError,
};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A container of a runtime. It may or may not exist.
#[derive(Clone)]
pub struct Subject {
    pub(super) runtime: Arc<dyn Runtime>,
    /// Its identity.
    pub id: ContainerId,
}

impl Subject {
    /// A container that nobody made yet.
    pub fn new(fixture: &impl Fixture) -> Subject {
        let half = || RandomState::new().hash_one(0);
        let bits = u128::from(half()) << 64 | u128::from(half());
        Subject {
            runtime: fixture.runtime(),
            id: ContainerId::from_bytes(bits.to_be_bytes()),
        }
    }

    /// A container that was made from a program.
    pub async fn created(fixture: &impl Fixture, program: Program) -> Subject {
        let subject = Subject::new(fixture);
        subject.create(program, None).await.expect("create");
        subject
    }

    /// A container that was made and started.
    pub async fn started(fixture: &impl Fixture, program: Program) -> Subject {
        let subject = Subject::created(fixture, program).await;
        subject.report(Operation::Start).await;
        subject
    }

    /// Performs one effect to its end.
    pub async fn perform(&self, operation: Operation) -> Result<Done, RuntimeError> {
        self.perform_until(operation, CancellationToken::new()).await
    }

    /// Performs one effect that can be aborted.
    pub async fn perform_until(
        &self,
        operation: Operation,
        abort: CancellationToken,
    ) -> Result<Done, RuntimeError> {
        let effect = Effect {
            container: self.id,
            operation,
        };
        self.runtime.perform(effect, abort).await
    }

    /// Makes it.
    pub async fn create(&self, program: Program, name: Option<&str>) -> Result<Done, RuntimeError> {
        self.perform(create(program, name)).await
    }

    /// Performs an effect that changes its life, and gives the report. After a start the process is ready.
    pub async fn report(&self, operation: Operation) -> Report {
        let words = format!("{operation:?}");
        let starts = operation == Operation::Start;
        let done = self
            .perform(operation)
            .await
            .unwrap_or_else(|error| panic!("{words}: {}", error.chain()));
        let report = done.report.unwrap_or_else(|| panic!("{words} gave no report"));
        while starts && self.log().await.len() < report.generation as usize {
            tokio::time::sleep(LOOK).await;
        }
        report
    }

    /// Performs an effect that changes its life, if this backend is able to, and that is awaited by its report alone.
    pub(super) async fn report_of(&self, fixture: &impl Fixture, operation: Operation) {
        match operation {
            Operation::Kill { .. } => drop(self.perform(operation).await.expect("kill")),
            _ => drop(self.report_if_able(fixture, operation).await),
        }
    }

    /// The same for an effect that this backend may be unable to perform: then it is refused in words or has nothing to
    /// do, and changes nothing.
    pub(super) async fn report_if_able(
        &self,
        fixture: &impl Fixture,
        operation: Operation,
    ) -> Option<Report> {
        match operation {
            Operation::Pause if !fixture.is_able_to(Ability::Pause) => {
                let before = self.inspect().await;
                assert_eq!(self.refusal(operation).await, Status::Unsupported);
                assert_eq!(self.inspect().await, before);
                None
            }
            // Nothing is paused, so that there is nothing to do.
            Operation::Resume if !fixture.is_able_to(Ability::Pause) => {
                let before = self.listed().await.map(|(_, report)| report);
                assert_eq!(Some(self.report(operation).await), before);
                None
            }
            _ => Some(self.report(operation).await),
        }
    }

    /// What it wrote so far.
    pub async fn log(&self) -> Vec<LogEntry> {
        let logs = self.runtime.logs(self.id, LogOptions::default()).await;
        let entries = logs.expect("logs").map(|entry| entry.expect("an entry"));
        entries.collect().await
    }

    /// Performs an effect that should fail, and gives the status.
    pub async fn refusal(&self, operation: Operation) -> Status {
        let words = format!("{operation:?}");
        match self.perform(operation).await {
            Ok(_) => panic!("{words} should fail"),
            Err(error) => {
                assert!(!error.chain().is_empty(), "{words} failed without a message");
                error.status()
            }
        }
    }

    /// What is known of it.
    pub async fn inspect(&self) -> Inspection {
        let done = self.perform(Operation::Inspect).await.expect("inspect");
        *done.inspection.expect("an inspect gives an inspection")
    }

    /// Waits until it is in a state, and gives what is known of it then.
    pub async fn until(&self, state: State) -> Inspection {
        loop {
            let inspection = self.inspect().await;
            if inspection.state == state.name() {
                return inspection;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the list says of it.
    pub async fn listed(&self) -> Option<(Option<String>, Report)> {
        let list = self.runtime.list().await.expect("list");
        list.into_iter().find_map(|observation| match observation {
            Observation::Seen { id, name, report } if id == self.id => Some((name, report)),
            _ => None,
        })
    }

    /// Ends whatever is left of it.
    pub async fn remove(&self) {
        self.perform(Operation::Delete { force: true })
            .await
            .expect("a forced delete");
    }
}

/// The effect that makes a container from a program.
pub(super) fn create(program: Program, name: Option<&str>) -> Operation {
    Operation::Create {
        image: program.image,
        name: name.map(Into::into),
        spec: Box::new(program.spec),
    }
}

/// A stop that waits for the specification's time.
pub(super) const STOP: Operation = Operation::Stop { timeout: None };
/// SIGKILL.
pub(super) const KILL: Operation = Operation::Kill { signal: Signal::KILL };
/// A delete of what does not run.
pub(super) const DELETE: Operation = Operation::Delete { force: false };
