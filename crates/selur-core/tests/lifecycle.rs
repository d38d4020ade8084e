//! A container's life through the real guest, on the simulated backend.

use selur_core::{Backend, Bridge, CreateOptions, Deletion, Signal, Status};

fn simulated() -> Bridge {
    Bridge::builder()
        .backend(Backend::Simulated)
        .build()
        .expect("a bridge")
}

#[test]
fn a_container_lives_from_create_to_delete() {
    let bridge = simulated();
    let id = bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    assert_eq!(bridge.list_containers().expect("listed"), [id]);
    assert_eq!(
        bridge.inspect_container("web").expect("inspected").state,
        "created"
    );
    bridge.start_container("web").expect("started");
    bridge.pause_container("web").expect("paused");
    assert_eq!(
        bridge.inspect_container("web").expect("inspected").state,
        "paused"
    );
    bridge.resume_container("web").expect("resumed");
    bridge.kill_container("web", Signal::KILL).expect("killed");
    assert_eq!(bridge.wait_container("web").expect("waited"), Some(137));
    bridge.delete_container("web", Deletion::Plain).expect("deleted");
    let error = bridge.inspect_container("web").expect_err("it is gone");
    assert_eq!(error.status(), Status::ContainerNotFound);
}
