//! Effects that are told to end early: they resolve, and nothing is half-done.

use super::subject::create;
use super::{DEADLINE, Fixture, Subject};
use selur_protocol::{State, Status};
use selur_runtime::Operation;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Whenever the abort comes: there is a whole container, or none and its name is free.
pub async fn an_aborted_create_leaves_nothing(fixture: &impl Fixture) {
    let moments = [0, 1, 5, 20].map(Duration::from_millis);
    for moment in moments {
        let subject = Subject::new(fixture);
        let abort = CancellationToken::new();
        let operation = create(fixture.runs(), Some("aborted"));
        let aborting = async {
            if !moment.is_zero() {
                tokio::time::sleep(moment).await;
            }
            abort.cancel();
        };
        if moment.is_zero() {
            abort.cancel();
        }
        let (outcome, ()) = tokio::join!(subject.perform_until(operation, abort.clone()), aborting);
        match outcome {
            Ok(_) => {
                let (_, report) = subject.listed().await.expect("a create that succeeds is whole");
                assert_eq!(report.state, State::Created);
            }
            Err(error) => {
                assert_eq!(error.status(), Status::Cancelled, "{}", error.chain());
                assert_eq!(subject.listed().await, None);
                let done = subject.create(fixture.runs(), Some("aborted")).await;
                done.expect("id and name are free");
            }
        }
        subject.remove().await;
    }
}

/// The stop ends long before its timeout, and inspect tells what came of it.
pub async fn an_aborted_stop_leaves_the_truth_known(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.ignores_term()).await;
    let abort = CancellationToken::new();
    let stop = Operation::Stop {
        timeout: Some(DEADLINE * 10),
    };
    let aborting = async { abort.cancel() };
    let (outcome, ()) = tokio::join!(subject.perform_until(stop, abort.clone()), aborting);
    let state = subject.inspect().await.state;
    match outcome {
        Ok(_) => assert_eq!(state, "stopped"),
        Err(error) => {
            assert_eq!(error.status(), Status::Cancelled, "{}", error.chain());
            assert_eq!(state, "running");
        }
    }
    let timeout = Some(Duration::from_millis(100));
    let report = subject.report(Operation::Stop { timeout }).await;
    assert_eq!(report.state, State::Stopped);
    subject.remove().await;
}
