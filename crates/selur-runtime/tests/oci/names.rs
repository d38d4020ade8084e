//! Who has a name.

use crate::support::*;
use selur_protocol::Status;
use selur_runtime::Operation;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_claim_a_name_exactly_one_gets_it() {
    let world = World::new().await;
    // Bridges of their own: nothing is shared but the disk.
    let bridges: Vec<_> = (0..4).map(|_| open(world.root().path()).unwrap()).collect();
    for round in 0..5 {
        let claims = (0..16).map(|index| {
            let (oci, id) = (&bridges[index % bridges.len()], new_id());
            async move { (id, perform(oci, id, creation(Some("web"), shell("true"))).await) }
        });
        let outcomes = futures_util::future::join_all(claims).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(_, outcome)| outcome.is_ok());
        assert_eq!(won.len(), 1, "round {round}");
        for (id, outcome) in lost {
            assert_eq!(outcome.unwrap_err().status(), Status::ContainerAlreadyExists);
            world.assert_gone(id);
        }
        world
            .perform(won[0].0, Operation::Delete { force: false })
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_a_container_that_was_never_finished_is_free() {
    let world = World::new().await;
    let dead = new_id();
    std::os::unix::fs::symlink(dead.to_string(), world.root().name("web")).unwrap();
    std::fs::create_dir_all(world.root().home(dead).upper()).unwrap();
    world
        .perform(new_id(), creation(Some("web"), shell("true")))
        .await
        .unwrap();
    world.assert_gone(dead);

    let held = new_id();
    std::os::unix::fs::symlink(held.to_string(), world.root().name("busy")).unwrap();
    let lock = selur_shim::Lock::try_at(&world.root().lock(held))
        .unwrap()
        .unwrap();
    let error = world
        .perform(new_id(), creation(Some("busy"), shell("true")))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::ContainerAlreadyExists);
    drop(lock);
    world
        .perform(new_id(), creation(Some("busy"), shell("true")))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_a_damaged_disk_gives_to_nobody_is_free() {
    let world = World::new().await;
    std::os::unix::fs::symlink("no id", world.root().name("web")).unwrap();
    std::fs::write(world.root().name("file"), "").unwrap();
    for name in ["web", "file"] {
        world
            .perform(new_id(), creation(Some(name), shell("true")))
            .await
            .unwrap();
    }
}
