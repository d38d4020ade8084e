//! A container's life through the real guest, on the simulated backend: the typed methods and their errors.

mod support;

use selur_core::{
    Backend, Bridge, ContainerSpec, CreateOptions, Deletion, LogOptions, OutputStream, Signal, Status,
};
use selur_runtime::Simulated;
use std::sync::Arc;
use std::time::Duration;
use support::{over, simulated};

#[test]
fn a_container_lives_from_create_to_delete() {
    let bridge = simulated();
    let id = bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    assert_eq!(bridge.list_containers().expect("listed"), [id]);
    assert_eq!(bridge.resolve("web").expect("resolved"), id);
    assert_eq!(bridge.resolve(&id.to_string()[..8]).expect("resolved"), id);
    let state = |of: &str| bridge.inspect_container(of).expect("inspected").state;
    assert_eq!(state("web"), "created");
    bridge.start_container("web").expect("started");
    assert_eq!(state("web"), "running");
    bridge.pause_container("web").expect("paused");
    assert_eq!(state("web"), "paused");
    bridge.resume_container("web").expect("resumed");
    bridge
        .stop_container("web", Some(Duration::from_millis(1)))
        .expect("stopped");
    assert_eq!(bridge.wait_container("web").expect("waited"), Some(143));
    bridge.start_container("web").expect("started again");
    bridge.kill_container("web", Signal::KILL).expect("killed");
    assert_eq!(bridge.wait_container("web").expect("waited"), Some(137));
    bridge.delete_container("web", Deletion::Plain).expect("deleted");
    assert!(bridge.list_containers().expect("listed").is_empty());
}

#[test]
fn a_specification_reaches_the_runtime_as_it_was_given() {
    let bridge = simulated();
    let spec = ContainerSpec {
        command: Some(vec!["/bin/true".into()]),
        environment: vec!["A=1".into()],
        ..ContainerSpec::default()
    };
    let id = bridge
        .create_container(CreateOptions::new("nginx").spec(spec.clone()))
        .expect("created");
    assert_eq!(
        bridge.inspect_container(&id.to_string()).expect("inspected").spec,
        spec
    );
}

#[test]
fn an_unknown_field_of_a_specification_is_named() {
    let bridge = simulated();
    let frame = support::frame(
        selur_core::Command::CreateContainer,
        &["nginx", "", r#"{"colour":"red"}"#],
    );
    let response = bridge.call(&frame).expect("a response");
    assert_eq!(response.status(), Status::InvalidRequest);
    assert!(response.message().expect("a message").contains("colour"));
    assert!(bridge.list_containers().expect("listed").is_empty());
}

#[test]
fn failures_say_what_was_asked_for_and_what_to_do() {
    let bridge = simulated();
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    let taken = bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect_err("the name is taken");
    let cases = [
        (
            bridge.start_container("nobody").expect_err("unknown"),
            Status::ContainerNotFound,
            "\"nobody\": no container has this id",
        ),
        (
            bridge.pause_container("web").expect_err("not running"),
            Status::InvalidState,
            "\"web\": cannot pause a container that is created: start it first",
        ),
        (
            taken,
            Status::ContainerAlreadyExists,
            "\"web\": a container has this name already",
        ),
        (
            bridge.create_container("Not An Image").expect_err("no image"),
            Status::InvalidRequest,
            "\"Not An Image\": this is no image reference",
        ),
        (
            bridge
                .create_container("fault.test/pull:network_error")
                .expect_err("no network"),
            Status::NetworkError,
            "network_error",
        ),
        (
            bridge.start_container("a\0b").expect_err("two fields"),
            Status::InvalidRequest,
            "NUL",
        ),
        (
            bridge
                .start_container("a\u{1b}[31mb\"")
                .expect_err("no container argument"),
            Status::InvalidRequest,
            "\"a\\u{1b}[31mb\\\"\": this can be no container's id",
        ),
    ];
    for (error, status, words) in cases {
        assert_eq!(error.status(), status, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn an_endless_argument_is_shown_cut() {
    let error = simulated()
        .start_container(&"x".repeat(200_000))
        .expect_err("too long");
    assert_eq!(error.status(), Status::InvalidRequest);
    assert!(error.message().len() < 300, "{error}");
}

#[test]
fn a_ping_carries_up_to_a_full_payload() {
    let bridge = simulated();
    for bytes in [0, 1, 100, 73_000, 74_000, 262_144] {
        let text = "y".repeat(bytes);
        assert!(bridge.ping(&text).expect("answered") == text, "{bytes} bytes");
    }
    let error = bridge.ping(&"y".repeat(262_145)).expect_err("too long");
    assert_eq!(error.status(), Status::InvalidRequest);
}

#[test]
fn another_bridge_on_the_same_runtime_finds_its_containers() {
    let runtime = Arc::new(Simulated::new());
    let first = over(runtime.clone());
    first
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    first.start_container("web").expect("started");
    drop(first);
    let second = over(runtime);
    assert_eq!(second.inspect_container("web").expect("found").state, "running");
    second.stop_container("web", None).expect("stopped");
}

#[test]
fn logs_and_images_come_from_the_runtime() {
    let bridge = simulated();
    let image = bridge.pull_image("nginx").expect("pulled");
    assert_eq!(
        bridge.list_images().expect("listed"),
        std::slice::from_ref(&image)
    );
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    bridge.start_container("web").expect("started");
    let entries: Vec<_> = bridge
        .logs("web", &LogOptions::default())
        .expect("logs")
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("entries");
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].stream, OutputStream::Stdout);
    bridge.delete_container("web", Deletion::Force).expect("deleted");
    let error = bridge.logs("web", &LogOptions::default()).expect_err("gone");
    assert_eq!(error.status(), Status::ContainerNotFound);
    bridge.delete_image(&image.reference).expect("deleted");
    let error = bridge.delete_image(&image.reference).expect_err("gone");
    assert_eq!(error.status(), Status::ImageNotFound);
}

#[test]
fn followed_logs_end_when_the_bridge_is_closed() {
    let bridge = simulated();
    let id = bridge.create_container("nginx").expect("created").to_string();
    bridge.start_container(&id).expect("started");
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut logs = bridge.logs(&id, &options).expect("logs").into_iter();
    assert!(logs.next().is_some());
    let reader = std::thread::spawn(move || logs.next().is_none());
    bridge.close();
    assert!(reader.join().expect("the reader"));
}

#[test]
fn a_runtime_without_an_image_store_says_so() {
    let bridge = over(Arc::new(support::Scripted::obedient()));
    let error = bridge.list_images().expect_err("no images");
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.message().contains("scripted"), "{error}");
}

#[test]
fn auto_is_the_real_backend_and_says_what_it_lacks() {
    let root = tempfile::tempdir().expect("a folder");
    for backend in [Backend::Auto, Backend::Oci] {
        let built = Bridge::builder()
            .backend(backend)
            .state_root(root.path())
            .shim(std::path::PathBuf::from("/no/such/selur-shim"))
            .build();
        let error = built.expect_err("there is no shim");
        // As another user than root, that is what is missing first.
        assert!(
            error.message().contains("/no/such/selur-shim") || error.status() == Status::PermissionDenied,
            "{error}"
        );
    }
}

#[test]
fn the_guest_is_the_committed_one_and_imports_nothing() {
    let info = simulated().info();
    assert_eq!(info.backend, "simulated");
    assert_eq!(info.guest.sha256, selur_core::guest_sha256());
    let committed = include_str!("../../../guest/selur.wasm.sha256");
    assert_eq!(
        committed.split_whitespace().next(),
        Some(selur_core::guest_sha256())
    );
    assert_eq!((info.guest.imports, info.guest.memory_pages), (0, 16));
    assert!(info.guest.exports.contains(&"selur_exchange".to_owned()));

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/selur.wasm");
    let from_path = Bridge::builder()
        .backend(Backend::Simulated)
        .guest(selur_core::Guest::Path(path.into()))
        .build()
        .expect("a bridge");
    assert_eq!(from_path.info().guest, info.guest);
    assert_eq!(from_path.ping("hi").expect("answered"), "hi");
}
