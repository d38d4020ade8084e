//! What a container lives through.

use super::subject::{DELETE, KILL, STOP};
use super::{Fixture, Program, Subject};
use futures_util::StreamExt;
use selur_protocol::{Signal, State, Status};
use selur_runtime::{ContainerSpec, LogOptions, Operation, RestartPolicy};
use std::time::Duration;

/// create gives a report, and the list shows the container with its name.
pub async fn a_new_container_is_created_and_listed(fixture: &impl Fixture) {
    let subject = Subject::new(fixture);
    let done = subject.create(fixture.runs(), Some("listed")).await;
    let report = done.expect("create").report.expect("create gives a report");
    assert_eq!((report.state, report.exit_code), (State::Created, None));
    assert_eq!(subject.listed().await, Some((Some("listed".into()), report)));
    let inspection = subject.inspect().await;
    assert_eq!((inspection.pid, inspection.started_at), (None, None));
    subject.remove().await;
}

/// start resolves when the process runs, stop when it has ended.
pub async fn a_container_runs_until_it_is_stopped(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.runs()).await;
    assert_eq!(subject.report(Operation::Start).await.state, State::Running);
    let running = subject.inspect().await;
    assert_eq!((running.state.as_str(), running.exit_code), ("running", None));
    assert_eq!(running.pid.is_some(), fixture.has_processes());
    let report = subject.report(STOP).await;
    assert_eq!((report.state, report.exit_code), (State::Stopped, Some(143)));
    let stopped = subject.inspect().await;
    assert_eq!((stopped.exit_code, stopped.pid), (Some(143), None));
    assert!(stopped.finished_at.is_some());
    subject.remove().await;
}

/// stop sends SIGKILL when its time is over.
pub async fn a_process_that_ignores_the_stop_signal_is_killed(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.ignores_term()).await;
    let timeout = Some(Duration::from_millis(200));
    let report = subject.report(Operation::Stop { timeout }).await;
    assert_eq!((report.state, report.exit_code), (State::Stopped, Some(137)));
    subject.remove().await;
}

/// stop_signal is sent instead of SIGTERM.
pub async fn the_specification_names_the_stop_signal(fixture: &impl Fixture) {
    let mut program = fixture.ignores_term();
    program.spec.stop_signal = Some("SIGKILL".into());
    let subject = Subject::started(fixture, program).await;
    let timeout = Some(super::DEADLINE * 10);
    let report = subject.report(Operation::Stop { timeout }).await;
    assert_eq!(report.exit_code, Some(137));
    subject.remove().await;
}

/// The exit code is 128 and the signal.
pub async fn kill_sends_the_signal_it_is_given(fixture: &impl Fixture) {
    for (signal, code) in [(Signal::KILL, 137), (Signal::TERM, 143)] {
        let subject = Subject::started(fixture, fixture.runs()).await;
        let done = subject.perform(Operation::Kill { signal }).await;
        done.expect("kill");
        let stopped = subject.until(State::Stopped).await;
        assert_eq!(stopped.exit_code, Some(code));
        subject.remove().await;
    }
}

/// pause and resume change the state and nothing else.
pub async fn a_paused_container_is_frozen_until_it_is_resumed(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let before = subject.inspect().await;
    if let Some(report) = subject.report_if_able(fixture, Operation::Pause).await {
        assert_eq!(report.state, State::Paused);
        let paused = subject.inspect().await;
        assert_eq!((paused.state.as_str(), paused.pid), ("paused", before.pid));
    }
    assert_eq!(subject.report(Operation::Resume).await.state, State::Running);
    assert_eq!(subject.inspect().await, before);
    subject.remove().await;
}

/// stop thaws first.
pub async fn a_paused_container_can_be_stopped(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    subject.report_if_able(fixture, Operation::Pause).await;
    let report = subject.report(STOP).await;
    assert_eq!((report.state, report.exit_code), (State::Stopped, Some(143)));
    subject.remove().await;
}

/// The second life begins with a higher generation and no exit code.
pub async fn a_stopped_container_starts_again_as_a_new_generation(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.runs()).await;
    let first = subject.report(Operation::Start).await;
    subject.report(STOP).await;
    let second = subject.report(Operation::Start).await;
    assert!(second.generation > first.generation, "{first:?} {second:?}");
    assert_eq!((second.state, second.exit_code), (State::Running, None));
    let inspection = subject.inspect().await;
    assert_eq!((inspection.exit_code, inspection.restart_count), (None, 0));
    subject.remove().await;
}

/// 0, 1 and 255 pass through unchanged.
pub async fn an_exit_code_is_what_the_process_said(fixture: &impl Fixture) {
    for code in [0, 1, 255] {
        let subject = Subject::started(fixture, fixture.exits(code)).await;
        let stopped = subject.until(State::Stopped).await;
        assert_eq!(stopped.exit_code, Some(i32::from(code)));
        subject.remove().await;
    }
}

/// on-failure:2 gives three generations; code 0 gives one.
pub async fn a_failing_process_is_restarted_as_often_as_the_policy_says(fixture: &impl Fixture) {
    for (code, restarts) in [(3, 2), (0, 0)] {
        let mut program = fixture.exits(code);
        program.spec.restart = RestartPolicy::OnFailure(Some(2));
        let subject = Subject::started(fixture, program).await;
        let stopped = subject.until(State::Stopped).await;
        assert_eq!(
            (stopped.restart_count, stopped.exit_code),
            (restarts, Some(i32::from(code)))
        );
        let (_, report) = subject.listed().await.expect("it is listed");
        assert_eq!(report.generation, 1 + restarts, "each restart is a generation");
        subject.remove().await;
    }
}

/// After delete there is no trace, and the name can be used again.
pub async fn delete_leaves_nothing_and_frees_the_name(fixture: &impl Fixture) {
    let first = Subject::new(fixture);
    let done = first.create(fixture.runs(), Some("again")).await;
    done.expect("create");
    first.perform(DELETE).await.expect("delete");
    assert_eq!(first.listed().await, None);
    assert_eq!(first.refusal(Operation::Inspect).await, Status::ContainerNotFound);
    let second = Subject::new(fixture);
    let done = second.create(fixture.runs(), Some("again")).await;
    done.expect("the name is free");
    second.remove().await;
}

/// In every state, and for what is not there.
pub async fn forced_delete_ends_what_runs_and_is_idempotent(fixture: &impl Fixture) {
    let paused = Subject::started(fixture, fixture.runs()).await;
    paused.report_if_able(fixture, Operation::Pause).await;
    let subjects = [
        Subject::new(fixture),
        Subject::created(fixture, fixture.runs()).await,
        Subject::started(fixture, fixture.runs()).await,
        paused,
    ];
    for subject in subjects {
        subject.remove().await;
        assert_eq!(subject.listed().await, None);
        subject.remove().await;
    }
}

/// Name, image, specification, labels and times.
pub async fn inspect_tells_what_was_asked_for(fixture: &impl Fixture) {
    let Program { image, spec } = fixture.runs();
    let spec = ContainerSpec {
        environment: vec!["COLOUR=green".into()],
        labels: [("team".to_string(), "blue".to_string())].into(),
        stop_timeout_ms: Some(1500),
        ..spec
    };
    let program = Program {
        image: image.clone(),
        spec: spec.clone(),
    };
    let subject = Subject::new(fixture);
    subject.create(program, Some("inspected")).await.expect("create");
    let inspection = subject.inspect().await;
    assert_eq!(inspection.id, subject.id.to_string());
    assert_eq!(inspection.name.as_deref(), Some("inspected"));
    assert_eq!(inspection.image, image);
    assert_eq!(inspection.spec, spec);
    assert_eq!(inspection.labels.get("team").map(String::as_str), Some("blue"));
    let digest = inspection.image_digest.expect("the digest is known");
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert!(
        inspection.created_at.contains('T') && inspection.created_at.ends_with('Z'),
        "{}",
        inspection.created_at
    );
    subject.report(Operation::Start).await;
    let started_at = subject.inspect().await.started_at.expect("it was started");
    assert!(started_at >= inspection.created_at);
    subject.remove().await;
}

/// The log outlives the process, and a follower's stream ends with it.
pub async fn what_a_process_wrote_is_in_the_logs(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.exits(0)).await;
    let follow = LogOptions {
        follow: true,
        tail_lines: None,
        ..LogOptions::default()
    };
    let runtime = fixture.runtime();
    let stream = runtime.logs(subject.id, follow).await.expect("logs");
    let followed: Vec<_> = stream.map(|entry| entry.expect("an entry")).collect().await;
    assert!(
        followed.len() == 1 && followed[0].bytes.ends_with(b"\n"),
        "{followed:?}"
    );
    subject.until(State::Stopped).await;
    assert_eq!(subject.log().await, followed);
    let tail = LogOptions {
        follow: false,
        tail_lines: Some(0),
        ..LogOptions::default()
    };
    let stream = runtime.logs(subject.id, tail).await.expect("logs");
    assert_eq!(stream.count().await, 0);
    subject.remove().await;
    let gone = runtime.logs(subject.id, LogOptions::default()).await;
    assert_eq!(
        gone.err().map(|error| error.status()),
        Some(Status::ContainerNotFound)
    );
}

/// Who follows before the start sees every run, and who asks for the end of the log sees the rest of them.
pub async fn a_followed_log_goes_on_through_restarts(fixture: &impl Fixture) {
    let mut program = fixture.exits(3);
    program.spec.restart = RestartPolicy::OnFailure(Some(2));
    let subject = Subject::created(fixture, program).await;
    let runtime = fixture.runtime();
    let follow = async |tail_lines| {
        let options = LogOptions {
            follow: true,
            tail_lines,
            ..LogOptions::default()
        };
        let stream = runtime.logs(subject.id, options).await.expect("logs");
        stream.map(|entry| entry.expect("an entry"))
    };
    let whole = follow(None).await;
    subject.report(Operation::Start).await;
    let rest = follow(Some(1)).await;
    let (whole, rest): (Vec<_>, Vec<_>) = tokio::join!(whole.collect(), rest.collect());
    assert_eq!(whole.len(), 3, "{whole:?}");
    assert!(!rest.is_empty() && whole.ends_with(&rest), "{whole:?} {rest:?}");
    subject.until(State::Stopped).await;
    assert_eq!(subject.log().await, whole);
    subject.remove().await;
}

/// Its name would be left without content.
pub async fn an_image_in_use_is_not_deleted(fixture: &impl Fixture) {
    let runtime = fixture.runtime();
    let images = runtime.images().expect("the backend has an image store");
    let Program { image, .. } = fixture.runs();
    let subject = Subject::started(fixture, fixture.runs()).await;
    let listed = images.list().await.expect("images");
    assert!(listed.iter().any(|known| known.reference == image), "{listed:?}");
    let refused = images.delete(&image).await.map_err(|error| error.status());
    assert_eq!(refused, Err(Status::InvalidState));
    subject.perform(KILL).await.expect("kill");
    subject.remove().await;
    images.delete(&image).await.expect("nothing uses it");
    let refused = images.delete(&image).await.map_err(|error| error.status());
    assert_eq!(refused, Err(Status::ImageNotFound));
}
