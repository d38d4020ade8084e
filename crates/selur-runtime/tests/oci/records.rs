//! What a shim has recorded is true for everybody, whoever looks at the very moment of it.

use crate::support::*;
use selur_protocol::{ContainerId, State, Status};
use selur_runtime::{Observation, Operation, Runtime};
use selur_shim::{Durability, Life, Lock, Process, Root};
use std::sync::atomic::{AtomicBool, Ordering};

/// How many generations of a container are recorded while others look.
const GENERATIONS: u32 = 3000;
const CODE: i32 = 7;

/// Records generations as shims do, each without any pause: held, running, ended, gone. Every record has to be there still
/// when the next shim comes.
fn record_generations(root: &Root, id: ContainerId) {
    let mut before = Life::read(root, id).unwrap().unwrap();
    for _ in 0..GENERATIONS {
        let lock = loop {
            // An adopting shim may have it for a moment, and finds that there is nothing to do.
            match Lock::try_at(&root.alive(id)).unwrap() {
                Some(lock) => break lock,
                None => std::thread::yield_now(),
            }
        };
        let mut life = Life::read(root, id).unwrap().unwrap();
        assert_eq!(life, before);
        life.run(Process {
            pid: u32::MAX >> 1,
            started_ticks: 0,
        });
        life.write(root, id, Durability::Boot).unwrap();
        life.end(State::Stopped, Some(CODE));
        life.write(root, id, Durability::Boot).unwrap();
        drop(lock);
        before = life;
    }
}

/// A container without a process, of which generations are recorded while `look` is called all the time.
async fn while_generations_are_recorded(look: impl AsyncFn(&World, ContainerId)) {
    let world = World::new().await;
    let id = world.create(shell("true")).await;
    let is_over = AtomicBool::new(false);
    let (root, over) = (world.root(), &is_over);
    std::thread::scope(|scope| {
        let recording = scope.spawn(move || {
            let recorded = std::panic::catch_unwind(|| record_generations(&root, id));
            over.store(true, Ordering::Relaxed);
            recorded
        });
        let looking = async {
            while !is_over.load(Ordering::Relaxed) {
                look(&world, id).await;
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(looking));
        if let Err(panic) = recording.join().unwrap() {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(world.life(id).exit_code, Some(CODE));
    world.delete_stopped(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_kept_that_is_recorded_while_others_look_under_the_lock() {
    while_generations_are_recorded(async |world, id| {
        // Does nothing to a container that runs, and nothing to one that does not.
        if let Err(error) = world.perform(id, Operation::Resume).await {
            assert_eq!(error.status(), Status::InvalidState, "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_not_taken_for_one_that_nobody_saw() {
    while_generations_are_recorded(async |world, _| {
        for seen in world.oci.list().await.unwrap() {
            let Observation::Seen { report, .. } = seen else {
                continue;
            };
            let is_without_code = report.state == State::Stopped && report.exit_code.is_none();
            assert!(!is_without_code, "{report:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_meets_the_end_succeeds() {
    while_generations_are_recorded(async |world, id| {
        world
            .perform(id, Operation::Stop { timeout: None })
            .await
            .unwrap();
    })
    .await;
}
