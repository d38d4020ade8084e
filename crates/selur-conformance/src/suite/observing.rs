//! What a runtime tells without being asked, and the order of what it tells.

use super::subject::{DELETE, STOP, create};
use super::{Fixture, Subject};
use futures_util::StreamExt;
use selur_protocol::State;
use selur_protocol::abi::Report;
use selur_runtime::{Observation, Operation};

/// A process that ends by itself is reported as stopped, by a report that is newer than its start's.
pub async fn an_exit_is_observed_by_itself(fixture: &impl Fixture) {
    let runtime = fixture.runtime();
    let mut observations = runtime.observations();
    let subject = Subject::created(fixture, fixture.exits(7)).await;
    let started = subject.report(Operation::Start).await;
    let ended = loop {
        let observation = observations
            .next()
            .await
            .expect("observations do not end before the runtime");
        match observation {
            Observation::Seen { id, report, .. } if id == subject.id && report.state == State::Stopped => {
                break report;
            }
            _ => {}
        }
    };
    assert_eq!(ended.exit_code, Some(7));
    assert!(age(ended) >= age(started), "{started:?} {ended:?}");
    assert_eq!(subject.listed().await.map(|(_, report)| report), Some(ended));
    subject.remove().await;
}

/// (generation, sequence) grows with every change of a life, and a start begins a generation.
pub async fn reports_only_grow(fixture: &impl Fixture) {
    let subject = Subject::new(fixture);
    let life = [
        create(fixture.runs(), None),
        Operation::Start,
        Operation::Pause,
        Operation::Resume,
        STOP,
        Operation::Start,
        STOP,
    ];
    let mut reports = Vec::new();
    for operation in life {
        reports.extend(subject.report_if_able(fixture, operation).await);
    }
    let ages: Vec<_> = reports.iter().copied().map(age).collect();
    assert!(ages.windows(2).all(|pair| pair[0] < pair[1]), "{ages:?}");
    let generations: Vec<_> = reports.iter().map(|report| report.generation).collect();
    let last = generations.len() - 2;
    assert!(generations[0] < generations[1] && generations[last - 1] < generations[last]);
    subject.perform(DELETE).await.expect("delete");
}

/// There is one truth, whoever asks.
pub async fn the_list_tells_what_the_last_report_told(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.runs()).await;
    for operation in [Operation::Start, Operation::Pause, Operation::Resume, STOP] {
        if let Some(told) = subject.report_if_able(fixture, operation).await {
            assert_eq!(subject.listed().await.map(|(_, report)| report), Some(told));
        }
    }
    subject.remove().await;
}

fn age(report: Report) -> (u32, u32) {
    (report.generation, report.sequence)
}
