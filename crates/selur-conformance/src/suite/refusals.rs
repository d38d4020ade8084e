//! What a runtime refuses, and what it does not do twice.

use super::subject::{DELETE, KILL, STOP, create};
use super::{Fixture, Subject};
use selur_protocol::Status;
use selur_runtime::{Effect, Operation};
use tokio_util::sync::CancellationToken;

/// start of what runs, stop of what does not, pause of what is paused…
pub async fn what_is_so_already_is_done_without_a_change(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.runs()).await;
    let lives = [
        vec![STOP],
        vec![Operation::Start, Operation::Start, Operation::Resume],
        vec![Operation::Pause, Operation::Pause],
        vec![STOP, STOP],
    ];
    for life in lives {
        let mut reports = Vec::new();
        for operation in life {
            reports.extend(subject.report_if_able(fixture, operation).await);
        }
        assert!(reports.windows(2).all(|pair| pair[0] == pair[1]), "{reports:?}");
    }
    subject.remove().await;
}

/// Every effect but a forced delete needs its container.
pub async fn an_unknown_container_is_not_found(fixture: &impl Fixture) {
    let subject = Subject::new(fixture);
    let effects = [
        Operation::Start,
        STOP,
        KILL,
        Operation::Pause,
        Operation::Resume,
        DELETE,
        Operation::Inspect,
    ];
    for operation in effects {
        assert_eq!(subject.refusal(operation).await, Status::ContainerNotFound);
    }
}

/// The state table's invalid_state cells, as far as a runtime sees them.
pub async fn a_state_that_forbids_an_effect_refuses_it(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.runs()).await;
    let idle = [KILL, Operation::Pause, Operation::Resume];
    for operation in idle.clone() {
        assert_eq!(subject.refusal(operation).await, Status::InvalidState);
    }
    subject.report(Operation::Start).await;
    assert_eq!(subject.refusal(DELETE).await, Status::InvalidState);
    if subject.report_if_able(fixture, Operation::Pause).await.is_some() {
        for operation in [Operation::Start, DELETE] {
            assert_eq!(subject.refusal(operation).await, Status::InvalidState);
        }
    }
    subject.report(STOP).await;
    for operation in idle {
        assert_eq!(subject.refusal(operation).await, Status::InvalidState);
    }
    subject.remove().await;
}

/// Two containers never have one name; nor one id.
pub async fn a_taken_name_is_refused(fixture: &impl Fixture) {
    let first = Subject::new(fixture);
    let done = first.create(fixture.runs(), Some("taken")).await;
    done.expect("create");
    let second = Subject::new(fixture);
    let again = create(fixture.runs(), Some("taken"));
    assert_eq!(second.refusal(again).await, Status::ContainerAlreadyExists);
    assert_eq!(second.listed().await, None);
    let twin = create(fixture.runs(), None);
    assert_eq!(first.refusal(twin).await, Status::ContainerAlreadyExists);
    assert!(first.listed().await.is_some(), "the first one is untouched");
    first.remove().await;
}

/// Neither a container nor its name.
pub async fn a_create_that_fails_leaves_nothing(fixture: &impl Fixture) {
    let runtime = fixture.runtime();
    let before = runtime.list().await.expect("list").len();
    let subject = Subject::new(fixture);
    let effect = Effect {
        container: subject.id,
        operation: create(fixture.missing(), Some("fails")),
    };
    let failure = runtime.perform(effect, CancellationToken::new()).await;
    assert_eq!(
        failure.map_err(|error| error.status()),
        Err(Status::ImageNotFound)
    );
    assert_eq!(runtime.list().await.expect("list").len(), before);
    let done = subject.create(fixture.runs(), Some("fails")).await;
    done.expect("id and name are free");
    subject.remove().await;
}
