//! What is the simulated backend's own: its scripts, its virtual time, its store. The contract that it shares with the
//! others is tested by selur-conformance.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use futures_util::{FutureExt, StreamExt};
use selur_protocol::{ContainerId, Signal, State, Status};
use selur_runtime::{
    ContainerSpec, Done, Effect, LogOptions, Observation, Operation, PruneOptions, Pruned, PullPolicy,
    PullProgress, Runtime, RuntimeError, Simulated,
};
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

const CONTAINER: ContainerId = ContainerId::from_bytes([7; 16]);

fn create(image: &str) -> Operation {
    Operation::Create {
        image: image.into(),
        name: None,
        spec: Box::default(),
    }
}

async fn perform(runtime: &Simulated, operation: Operation) -> Result<Done, RuntimeError> {
    perform_until(runtime, operation, CancellationToken::new()).await
}

async fn perform_until(
    runtime: &Simulated,
    operation: Operation,
    abort: CancellationToken,
) -> Result<Done, RuntimeError> {
    let effect = Effect {
        container: CONTAINER,
        operation,
    };
    runtime.perform(effect, abort).await
}

async fn state(runtime: &Simulated) -> Option<State> {
    let listed = runtime.list().await.unwrap();
    listed.first().map(|observation| match observation {
        Observation::Seen { report, .. } => report.state,
        Observation::Gone { .. } => panic!("a list has no such thing"),
    })
}

/// Each operation with what comes before it.
fn operations() -> [(&'static str, Vec<Operation>, Operation); 8] {
    let stop = Operation::Stop { timeout: None };
    let kill = Operation::Kill { signal: Signal::KILL };
    let (start, pause) = (Operation::Start, Operation::Pause);
    [
        ("start", vec![], start.clone()),
        ("stop", vec![start.clone()], stop),
        ("kill", vec![start.clone()], kill),
        ("pause", vec![start.clone()], pause.clone()),
        ("resume", vec![start, pause], Operation::Resume),
        ("delete", vec![], Operation::Delete { force: false }),
        ("delete", vec![], Operation::Delete { force: true }),
        ("inspect", vec![], Operation::Inspect),
    ]
}

#[tokio::test]
async fn an_operation_fails_as_the_image_says_and_changes_nothing() {
    for (name, before, operation) in operations() {
        let runtime = Simulated::new();
        let image = format!("fault.test/{name}:unsupported");
        perform(&runtime, create(&image)).await.unwrap();
        for operation in before {
            perform(&runtime, operation).await.unwrap();
        }
        let known = state(&runtime).await;
        let error = perform(&runtime, operation).await.unwrap_err();
        assert_eq!(error.status(), Status::Unsupported);
        assert!(error.chain().contains(name), "{}", error.chain());
        assert_eq!(state(&runtime).await, known);
    }
}

#[tokio::test]
async fn a_create_that_fails_or_hangs_leaves_nothing() {
    let cases = [
        ("fault.test/pull:network_error", Status::NetworkError),
        ("fault.test/create:internal_error", Status::InternalError),
        ("fault.test/hang:pull", Status::Cancelled),
        ("fault.test/hang:create", Status::Cancelled),
        ("fault.test/nginx:latest", Status::ImageNotFound),
        ("Not An Image", Status::InvalidRequest),
    ];
    for (image, status) in cases {
        let runtime = Simulated::new();
        let abort = CancellationToken::new();
        let (outcome, ()) = tokio::join!(perform_until(&runtime, create(image), abort.clone()), async {
            tokio::task::yield_now().await;
            abort.cancel();
        });
        assert_eq!(outcome.unwrap_err().status(), status, "{image}");
        assert_eq!(state(&runtime).await, None);
    }
}

#[tokio::test]
async fn what_hangs_ends_when_it_is_aborted_and_is_done_only_if_it_is_late() {
    for (name, before, operation) in operations() {
        if operation == (Operation::Delete { force: true }) {
            continue;
        }
        for script in ["hang", "late"] {
            let runtime = Simulated::new();
            perform(&runtime, create(&format!("fault.test/{script}:{name}")))
                .await
                .unwrap();
            for operation in &before {
                perform(&runtime, operation.clone()).await.unwrap();
            }
            let known = state(&runtime).await;
            let abort = CancellationToken::new();
            let effect = perform_until(&runtime, operation.clone(), abort.clone());
            tokio::pin!(effect);
            assert!((&mut effect).now_or_never().is_none(), "{script}:{name}");
            abort.cancel();
            let outcome = effect.await.map_err(|error| error.status());
            match script {
                "hang" => assert_eq!(outcome, Err(Status::Cancelled)),
                _ => assert!(outcome.is_ok(), "{script}:{name}"),
            }
            let is_changed = script == "late" && name != "inspect";
            assert_eq!(state(&runtime).await != known, is_changed, "{script}:{name}");
        }
    }
}

#[tokio::test]
async fn a_hanging_stop_ends_when_the_process_does() {
    let runtime = Simulated::new();
    for operation in [create("fault.test/hang:stop"), Operation::Start] {
        perform(&runtime, operation).await.unwrap();
    }
    let stop = perform(&runtime, Operation::Stop { timeout: None });
    tokio::pin!(stop);
    assert!((&mut stop).now_or_never().is_none());
    let kill = Operation::Kill { signal: Signal::KILL };
    perform(&runtime, kill).await.unwrap();
    let report = stop.await.unwrap().report.unwrap();
    assert_eq!((report.state, report.exit_code), (State::Stopped, Some(137)));
}

#[tokio::test]
async fn a_forced_delete_ends_what_hangs() {
    let runtime = Simulated::new();
    for operation in [create("fault.test/hang:stop"), Operation::Start] {
        perform(&runtime, operation).await.unwrap();
    }
    let stop = perform(&runtime, Operation::Stop { timeout: None });
    tokio::pin!(stop);
    assert!((&mut stop).now_or_never().is_none());
    perform(&runtime, Operation::Delete { force: true })
        .await
        .unwrap();
    let outcome = stop.await.map_err(|error| error.status());
    assert_eq!(outcome, Err(Status::ContainerNotFound));
}

#[tokio::test]
async fn an_exit_is_newer_than_the_report_of_its_start() {
    let runtime = Simulated::new();
    let mut observations = runtime.observations();
    perform(&runtime, create("fault.test/exit:3")).await.unwrap();
    let started = perform(&runtime, Operation::Start).await.unwrap().report.unwrap();
    assert_eq!(started.state, State::Running);
    let Some(Observation::Seen { report: ended, .. }) = observations.next().await else {
        panic!("the exit should be observed");
    };
    assert_eq!((ended.state, ended.exit_code), (State::Stopped, Some(3)));
    assert_eq!(ended.generation, started.generation);
    assert!(ended.sequence > started.sequence);
}

#[tokio::test]
async fn observations_end_with_the_runtime() {
    let runtime = Simulated::new();
    let mut observations = runtime.observations();
    drop(runtime);
    assert_eq!(observations.next().await, None);
}

#[tokio::test]
async fn pull_policy_never_needs_what_was_pulled() {
    let runtime = Simulated::new();
    let image = "docker.io/library/nginx:latest";
    let never = Operation::Create {
        image: image.into(),
        name: None,
        spec: Box::new(ContainerSpec {
            pull: PullPolicy::Never,
            ..ContainerSpec::default()
        }),
    };
    let refused = perform(&runtime, never.clone()).await;
    assert_eq!(refused.unwrap_err().status(), Status::ImageNotFound);
    let progress = Mutex::new(Vec::new());
    let note = |step: PullProgress| progress.lock().unwrap().push(step);
    let images = runtime.images().unwrap();
    let pulled = images
        .pull("nginx", &note, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(pulled.reference, image);
    assert!(matches!(
        progress.lock().unwrap()[..],
        [
            PullProgress::Resolved { .. },
            PullProgress::Transferred { .. },
            PullProgress::LayerDone { .. }
        ]
    ));
    perform(&runtime, never).await.unwrap();
    assert_eq!(images.list().await.unwrap(), [pulled]);
}

#[tokio::test]
async fn images_are_tagged_pushed_loaded_and_pruned_without_a_container() {
    let runtime = Simulated::new();
    let images = runtime.images().unwrap();
    let quiet = |_| {};
    let pulled = images
        .pull("nginx", &quiet, CancellationToken::new())
        .await
        .unwrap();
    images.tag("nginx", "reg.test/web:v1").await.unwrap();
    let steps = Mutex::new(0);
    let note = |_| *steps.lock().unwrap() += 1;
    let pushed = images
        .push("reg.test/web:v1", &note, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        (pushed.digest, *steps.lock().unwrap()),
        (pulled.digest.clone(), 3)
    );
    let program = std::env::current_exe().unwrap();
    let loaded = images.load(&program, Some("loaded:v1")).await.unwrap();
    assert_eq!(loaded[0].reference, "docker.io/library/loaded:v1");

    perform(&runtime, create("docker.io/library/nginx:latest"))
        .await
        .unwrap();
    let options = |all, dry_run| PruneOptions { all, dry_run };
    assert_eq!(
        images.prune(options(false, false)).await.unwrap(),
        Pruned::default()
    );
    let expected = Pruned {
        references: vec!["docker.io/library/loaded:v1".to_owned()],
        layers: 1,
        freed_bytes: 4096,
    };
    for dry_run in [true, false] {
        assert_eq!(images.prune(options(true, dry_run)).await.unwrap(), expected);
    }
    assert_eq!(images.list().await.unwrap().len(), 2);

    let aborted = CancellationToken::new();
    aborted.cancel();
    let cases = [
        (
            "fault.test/push:permission_denied",
            CancellationToken::new(),
            Status::PermissionDenied,
        ),
        ("fault.test/hang:push", aborted, Status::Cancelled),
        ("absent:v1", CancellationToken::new(), Status::ImageNotFound),
    ];
    for (reference, abort, status) in cases {
        if reference.starts_with("fault.test/") {
            images
                .pull(reference, &quiet, CancellationToken::new())
                .await
                .unwrap();
        }
        let error = images.push(reference, &quiet, abort).await.unwrap_err();
        assert_eq!(error.status(), status, "{reference}");
    }
    for (reference, name, status) in [
        ("absent:v1", "other:v1", Status::ImageNotFound),
        ("nginx", "no name", Status::InvalidRequest),
        (
            "nginx",
            &format!("nginx@{}", pulled.digest),
            Status::InvalidRequest,
        ),
    ] {
        let error = images.tag(reference, name).await.unwrap_err();
        assert_eq!(error.status(), status, "{reference} {name}");
    }
}

#[tokio::test]
async fn a_follower_of_the_logs_sees_each_start_and_the_end() {
    let runtime = Simulated::new();
    perform(&runtime, create("nginx")).await.unwrap();
    let follow = LogOptions {
        follow: true,
        tail_lines: None,
        ..LogOptions::default()
    };
    let mut logs = runtime.logs(CONTAINER, follow).await.unwrap();
    assert!(logs.next().now_or_never().is_none());
    perform(&runtime, Operation::Start).await.unwrap();
    let line = logs.next().await.unwrap().unwrap();
    assert_eq!(line.bytes, b"nginx started, generation 1\n");
    assert!(logs.next().now_or_never().is_none());
    perform(&runtime, Operation::Stop { timeout: None })
        .await
        .unwrap();
    assert!(logs.next().await.is_none());
}
