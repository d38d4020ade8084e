//! The restart policy.

use crate::support::*;
use selur_protocol::State;
use selur_runtime::{ContainerSpec, Operation, OutputStream, RestartPolicy};

fn failing(policy: RestartPolicy) -> ContainerSpec {
    ContainerSpec {
        restart: policy,
        ..shell("echo run; exit 3")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_process_is_started_again_as_often_as_the_policy_says() {
    let world = World::new().await;
    let id = world.create(failing(RestartPolicy::OnFailure(Some(2)))).await;
    world.perform(id, Operation::Start).await.unwrap();
    let report = world.ended(id).await;
    assert_eq!((report.generation, report.exit_code), (3, Some(3)));
    assert_eq!(world.inspect(id).await.restart_count, 2);
    assert_eq!(world.log(id, OutputStream::Stdout).await, "run\nrun\nrun\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_between_two_generations_can_be_stopped_killed_and_deleted() {
    let world = World::new().await;
    for operation in [stop(0), kill("KILL"), Operation::Delete { force: true }] {
        let id = world.create(failing(RestartPolicy::OnFailure(None))).await;
        world.perform(id, Operation::Start).await.unwrap();
        world
            .until(id, "it waits for its restart", |report| {
                report.state == State::Restarting && report.generation > 2
            })
            .await;
        world.perform(id, operation.clone()).await.unwrap();
        if !matches!(operation, Operation::Delete { .. }) {
            assert_eq!(world.ended(id).await.state, State::Stopped);
            world
                .perform(id, Operation::Delete { force: false })
                .await
                .unwrap();
        }
        world.assert_gone(id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_killed_on_request_stays_down() {
    let world = World::new().await;
    let spec = ContainerSpec {
        restart: RestartPolicy::OnFailure(None),
        ..shell("sleep 1000")
    };
    let id = world.create(spec).await;
    world.perform(id, Operation::Start).await.unwrap();
    world.perform(id, kill("KILL")).await.unwrap();
    assert_eq!(world.ended(id).await.exit_code, Some(137));
    assert_eq!(world.inspect(id).await.restart_count, 0);
}
