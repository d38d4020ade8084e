//! Effects that are performed at once.

use super::subject::STOP;
use super::{Fixture, Subject};
use futures_util::future::join_all;
use selur_protocol::State;
use selur_protocol::abi::Report;
use selur_runtime::Operation;
use std::collections::HashMap;

/// All of them succeed in some order: no report contradicts another, and the last one is the truth.
pub async fn concurrent_effects_on_one_container_are_ordered(fixture: &impl Fixture) {
    let mut program = fixture.runs();
    // A process that is stopped before it is ready may ignore the signal.
    program.spec.stop_timeout_ms = Some(100);
    let subject = Subject::created(fixture, program).await;
    let effects = (0..8).map(|number| {
        let subject = subject.clone();
        let operation = if number % 2 == 0 { Operation::Start } else { STOP };
        tokio::spawn(async move { subject.perform(operation).await })
    });
    let reports: Vec<Report> = join_all(effects)
        .await
        .into_iter()
        .map(|outcome| outcome.expect("no effect panics").expect("no effect fails"))
        .map(|done| done.report.expect("each gives a report"))
        .collect();
    let mut told = HashMap::new();
    for report in &reports {
        let age = (report.generation, report.sequence);
        assert_eq!(*told.entry(age).or_insert(*report), *report, "{reports:?}");
    }
    let (_, last) = subject.listed().await.expect("it is listed");
    let newest = reports
        .iter()
        .max_by_key(|report| (report.generation, report.sequence));
    assert_eq!(Some(&last), newest, "{reports:?}");
    subject.remove().await;
}

/// Each lives its own life.
pub async fn containers_do_not_disturb_each_other(fixture: &impl Fixture) {
    let lives = (0..8).map(|number| {
        let program = if number % 2 == 0 {
            fixture.runs()
        } else {
            fixture.exits(number)
        };
        async move {
            let subject = Subject::started(fixture, program).await;
            if number % 2 == 0 {
                subject.report(STOP).await;
            }
            let code = subject.until(State::Stopped).await.exit_code;
            let expected = if number % 2 == 0 { 143 } else { i32::from(number) };
            assert_eq!(code, Some(expected));
            subject.remove().await;
            assert_eq!(subject.listed().await, None);
        }
    });
    join_all(lives).await;
}
